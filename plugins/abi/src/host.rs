//! What a plugin may ask its host for.

use std::{marker::PhantomData, mem::MaybeUninit};

use crate::{
    Event, Value,
    c::{self, Text},
    view,
};

/// tracer, for the time of a call.
pub struct Host<'a> {
    host: *const c::Host,
    _call: PhantomData<&'a c::Host>,
}

/// A field that events may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle(u32);

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// More than people usually want to know.
    Debug,
    /// Worth knowing.
    Info,
    /// Something is not as it should be.
    Warning,
}

/// Calls a function of the host's, if it is there: it may be older than this.
macro_rules! ask {
    ($host:expr, $function:ident $(, $argument:expr)*) => {{
        let host = $host.host;
        // SAFETY: whoever made this vouches for the pointer.
        let size = unsafe { (*host).struct_size } as usize;
        let end = std::mem::offset_of!(c::Host, $function) + size_of::<usize>();
        // SAFETY: the host says that its struct has this member.
        let function = if size >= end { unsafe { (*host).$function } } else { None };
        match function {
            // SAFETY: the arguments live as long as the call, and the function is the host's.
            Some(function) => unsafe { function((*host).context $(, $argument)*) },
            None => c::ABSENT,
        }
    }};
}

impl<'a> Host<'a> {
    /// # Safety
    /// The host's pointer, during a call of the host's.
    pub(crate) unsafe fn new(host: *const c::Host) -> Host<'a> {
        Host { host, _call: PhantomData }
    }

    /// Tells the user something.
    pub fn log(&self, level: Level, text: &str) {
        let level = match level {
            Level::Debug => c::LOG_DEBUG,
            Level::Info => c::LOG_INFO,
            Level::Warning => c::LOG_WARNING,
        };
        let _ = ask!(self, log, level, Text::of(text));
    }

    pub(crate) fn fail(&self, why: &str) {
        let _ = ask!(self, fail, Text::of(why));
    }

    /// The number that an option of the plugin's has; `None` where there is no such option.
    pub fn number(&self, option: &str) -> Option<u64> {
        match self.option(option)? {
            Value::Uint(number) => Some(number),
            _ => None,
        }
    }

    /// The text that an option of the plugin's has; `None` where there is no such option.
    pub fn text(&self, option: &str) -> Option<&'a str> {
        match self.option(option)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn option(&self, name: &str) -> Option<Value<'a>> {
        let mut value = MaybeUninit::<c::Value>::zeroed();
        let status = ask!(self, option, Text::of(name), value.as_mut_ptr());
        // SAFETY: all-zero is a value too, and the host fills it.
        (status == c::OK).then(|| unsafe { view::value(&value.assume_init()) })
    }

    /// Finds a field that events may have.
    pub fn field(&self, section: &str, field: &str) -> Option<Handle> {
        let mut handle = 0;
        let status = ask!(self, field, Text::of(section), Text::of(field), &raw mut handle);
        (status == c::OK).then_some(Handle(handle))
    }

    /// A field of an event; `None` where the event does not have the section.
    pub fn value<'e>(&self, event: &Event<'e>, field: Handle) -> Option<Value<'e>> {
        let mut value = MaybeUninit::<c::Value>::zeroed();
        let status = ask!(self, value, event.raw(), field.0, value.as_mut_ptr());
        // SAFETY: all-zero is a value too, and the host fills it; what it points to lives as long as the event.
        (status == c::OK).then(|| unsafe { view::value(&value.assume_init()) })
    }

    /// An event in words, as tracer prints it.
    pub fn text_of<'e>(&self, event: &Event<'e>) -> Option<&'e str> {
        self.render(event, c::AS_TEXT)
    }

    /// An event as an object of JSON, on a line.
    pub fn json_of<'e>(&self, event: &Event<'e>) -> Option<&'e str> {
        self.render(event, c::AS_JSON)
    }

    fn render<'e>(&self, event: &Event<'e>, form: u32) -> Option<&'e str> {
        let mut text = Text::NONE;
        let status = ask!(self, render, event.raw(), form, &raw mut text);
        // SAFETY: the host's text lives as long as the event.
        (status == c::OK).then(|| unsafe { view::text(text) })
    }

    /// The function of the kernel that has an address, and the bytes from its begin.
    pub fn symbol(&self, address: u64) -> Option<(String, u64)> {
        let mut symbol = c::Symbol { name: Text::NONE, offset: 0 };
        let status = ask!(self, symbol, address, &raw mut symbol);
        // SAFETY: the name is valid until the next call of the host's.
        (status == c::OK).then(|| unsafe { (view::text(symbol.name).to_owned(), symbol.offset) })
    }

    /// The address of a function or variable of the kernel.
    pub fn address(&self, name: &str) -> Option<u64> {
        let mut address = 0;
        (ask!(self, address, Text::of(name), &raw mut address) == c::OK).then_some(address)
    }

    /// The bytes of one of the kernel's structs or unions.
    pub fn type_size(&self, name: &str) -> Option<u32> {
        let mut size = 0;
        (ask!(self, type_size, Text::of(name), &raw mut size) == c::OK).then_some(size)
    }

    /// A member of one of the kernel's structs or unions.
    pub fn member(&self, name: &str, member: &str) -> Option<c::Member> {
        let mut found = c::Member { bit_offset: 0, size: 0, bits: 0 };
        (ask!(self, member, Text::of(name), Text::of(member), &raw mut found) == c::OK).then_some(found)
    }

    /// The value of an enumerator of one of the kernel's enums.
    pub fn enumerator(&self, name: &str, enumerator: &str) -> Option<i64> {
        let mut value = 0;
        (ask!(self, enumerator, Text::of(name), Text::of(enumerator), &raw mut value) == c::OK)
            .then_some(value)
    }
}
