//! What the host's functions do: look at the arguments, ask [`Services`](crate::Services), and write the answer.

use std::ffi::c_void;

use tracer_plugin_abi::c::{self, Text};

use crate::{
    desk::{Serving, enter, enter_event},
    session::size,
};

/// No text that a plugin gives is longer: none has a reason to be, and the length cannot be checked otherwise.
const MOST: u64 = 64 << 10;
/// Bytes of the text that says why.
const MOST_WHY: usize = 1 << 10;

/// The host's functions.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Callback {
    Log,
    Fail,
    Option,
    Field,
    Value,
    Render,
    Symbol,
    Address,
    TypeSize,
    Member,
    Enumerator,
}

impl Callback {
    const NAMES: [&str; 11] = [
        "log",
        "fail",
        "option",
        "field",
        "value",
        "render",
        "symbol",
        "address",
        "type_size",
        "member",
        "enumerator",
    ];

    /// The name of a function, by its number.
    pub(crate) fn name(number: u32) -> &'static str {
        Callback::NAMES.get(number as usize).copied().unwrap_or("a function")
    }
}

/// The table of functions that plugins are given, without a context.
pub(crate) const fn table() -> c::Host {
    c::Host {
        struct_size: size::<c::Host>(),
        major: c::MAJOR,
        minor: c::MINOR,
        context: std::ptr::null_mut(),
        log: Some(log),
        fail: Some(fail),
        option: Some(option),
        field: Some(field),
        value: Some(value),
        render: Some(render),
        symbol: Some(symbol),
        address: Some(address),
        type_size: Some(type_size),
        member: Some(member),
        enumerator: Some(enumerator),
    }
}

/// The status of a question that is answered or not.
type Status = Result<(), i32>;

/// Its status as C has it. (The closure is for `?`.)
fn status(answer: impl FnOnce() -> Status) -> i32 {
    answer().err().unwrap_or(c::OK)
}

/// # Safety
/// The text is NULL or valid, as long as it says.
unsafe fn text<'a>(text: Text) -> Result<&'a str, i32> {
    if text.len == 0 {
        return Ok("");
    }
    if text.bytes.is_null() || text.len > MOST {
        return Err(c::BAD_ARGUMENT);
    }
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { std::slice::from_raw_parts(text.bytes, text.len as usize) };
    std::str::from_utf8(bytes).map_err(|_| c::BAD_ARGUMENT)
}

/// Where an answer goes.
struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    /// The pointer is NULL or to room for one, however aligned, until the plugin's call returns.
    unsafe fn new(pointer: *mut T) -> Result<Out<T>, i32> {
        if pointer.is_null() { Err(c::BAD_ARGUMENT) } else { Ok(Out(pointer)) }
    }

    fn put(self, value: Option<T>) -> Status {
        let value = value.ok_or(c::ABSENT)?;
        // SAFETY: whoever made this vouched for it.
        unsafe { self.0.write_unaligned(value) };
        Ok(())
    }
}

/// Too much was asked about one event.
fn too_much(serving: &mut Serving) -> i32 {
    serving.why = Some("it asked for more than 16 MiB about one event".to_owned());
    c::FAILED
}

unsafe extern "C" fn log(context: *mut c_void, level: u32, message: Text) -> i32 {
    enter(context, Callback::Log, |serving| {
        // SAFETY: the plugin's text, for the time of this call.
        status(|| unsafe {
            let message = text(message)?;
            if level > c::LOG_WARNING {
                return Err(c::BAD_ARGUMENT);
            }
            serving.services().log(level, message);
            Ok(())
        })
    })
}

unsafe extern "C" fn fail(context: *mut c_void, why: Text) -> i32 {
    enter(context, Callback::Fail, |serving| {
        // SAFETY: the plugin's text, for the time of this call.
        match unsafe { text(why) } {
            Ok(why) => {
                let end = (0..=MOST_WHY.min(why.len())).rev().find(|end| why.is_char_boundary(*end));
                serving.why = Some(why[..end.unwrap_or(0)].to_owned());
                c::OK
            }
            Err(status) => status,
        }
    })
}

unsafe extern "C" fn option(context: *mut c_void, name: Text, value: *mut c::Value) -> i32 {
    enter(context, Callback::Option, |serving| {
        // SAFETY: the plugin's arguments, for the time of this call.
        status(|| unsafe {
            let (name, out) = (text(name)?, Out::new(value)?);
            if let Some(known) = serving.answers.option(name) {
                return out.put(Some(known));
            }
            let value = serving.services().option(name).ok_or(c::ABSENT)?;
            serving.answers.keep_option(name, value);
            out.put(serving.answers.option(name))
        })
    })
}

unsafe extern "C" fn field(context: *mut c_void, section: Text, field: Text, handle: *mut u32) -> i32 {
    enter(context, Callback::Field, |serving| {
        // SAFETY: the plugin's arguments, for the time of this call.
        status(|| unsafe {
            let (section, field, out) = (text(section)?, text(field)?, Out::new(handle)?);
            out.put(serving.services().field(section, field))
        })
    })
}

unsafe extern "C" fn value(
    context: *mut c_void,
    event: *const c::Event,
    handle: u32,
    value: *mut c::Value,
) -> i32 {
    enter_event(context, Callback::Value, event, |serving| {
        status(|| {
            // SAFETY: the plugin's room, for the time of this call.
            let out = unsafe { Out::new(value)? };
            let found = serving.services().value(handle).ok_or(c::ABSENT)?;
            match serving.answers.value(found) {
                Some(found) => out.put(Some(found)),
                None => Err(too_much(serving)),
            }
        })
    })
}

unsafe extern "C" fn render(
    context: *mut c_void,
    event: *const c::Event,
    form: u32,
    rendered: *mut Text,
) -> i32 {
    enter_event(context, Callback::Render, event, |serving| {
        status(|| {
            // SAFETY: the plugin's room, for the time of this call.
            let out = unsafe { Out::new(rendered)? };
            let json = match form {
                c::AS_TEXT => false,
                c::AS_JSON => true,
                _ => return Err(c::BAD_ARGUMENT),
            };
            let text = serving.services().render(json).ok_or(c::ABSENT)?;
            match serving.answers.keep(text.into_bytes()) {
                Some(text) => out.put(Some(text)),
                None => Err(too_much(serving)),
            }
        })
    })
}

unsafe extern "C" fn symbol(context: *mut c_void, address: u64, symbol: *mut c::Symbol) -> i32 {
    enter(context, Callback::Symbol, |serving| {
        status(|| {
            // SAFETY: the plugin's room, for the time of this call.
            let out = unsafe { Out::new(symbol)? };
            let (name, offset) = serving.services().symbol(address).ok_or(c::ABSENT)?;
            out.put(Some(serving.answers.symbol(name, offset)))
        })
    })
}

unsafe extern "C" fn address(context: *mut c_void, name: Text, address: *mut u64) -> i32 {
    enter(context, Callback::Address, |serving| {
        // SAFETY: the plugin's arguments, for the time of this call.
        status(|| unsafe {
            let (name, out) = (text(name)?, Out::new(address)?);
            out.put(serving.services().address(name))
        })
    })
}

unsafe extern "C" fn type_size(context: *mut c_void, name: Text, size: *mut u32) -> i32 {
    enter(context, Callback::TypeSize, |serving| {
        // SAFETY: the plugin's arguments, for the time of this call.
        status(|| unsafe {
            let (name, out) = (text(name)?, Out::new(size)?);
            out.put(serving.services().type_size(name))
        })
    })
}

unsafe extern "C" fn member(context: *mut c_void, name: Text, member: Text, found: *mut c::Member) -> i32 {
    enter(context, Callback::Member, |serving| {
        // SAFETY: the plugin's arguments, for the time of this call.
        status(|| unsafe {
            let (name, member, out) = (text(name)?, text(member)?, Out::new(found)?);
            let found = serving.services().member(name, member);
            out.put(found.map(|(bit_offset, size, bits)| c::Member { bit_offset, size, bits }))
        })
    })
}

unsafe extern "C" fn enumerator(context: *mut c_void, name: Text, enumerator: Text, value: *mut i64) -> i32 {
    enter(context, Callback::Enumerator, |serving| {
        // SAFETY: the plugin's arguments, for the time of this call.
        status(|| unsafe {
            let (name, enumerator, out) = (text(name)?, text(enumerator)?, Out::new(value)?);
            out.put(serving.services().enumerator(name, enumerator))
        })
    })
}
