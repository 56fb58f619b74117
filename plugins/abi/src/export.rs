//! From the functions that C sees to the trait. Nothing unwinds across: a panic becomes an error with its message and place.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    ffi::c_void,
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::Once,
};

use crate::{
    Event, Failure, Host, Loss, Native, Out, SectionData, Session,
    c::{self, Text},
};

/// A plugin's state: the plugin, and whom it may ask.
struct State<T> {
    host: *const c::Host,
    /// `None` once it has panicked: nothing is known of it any more.
    plugin: Option<T>,
}

/// A plugin's descriptor.
#[doc(hidden)]
pub const fn entry(
    name: &'static str,
    release: &'static str,
    licence: &'static str,
    section: Option<&'static c::Section>,
    functions: &'static c::Functions,
) -> c::Plugin {
    c::Plugin {
        magic: c::MAGIC,
        major: c::MAJOR,
        minor: c::MINOR,
        struct_size: size_of::<c::Plugin>() as u32,
        name: Text::new(name),
        release: Text::new(release),
        licence: Text::new(licence),
        section: match section {
            Some(section) => section,
            None => std::ptr::null(),
        },
        functions,
    }
}

/// The functions of a plugin.
#[doc(hidden)]
pub const fn functions<T: Native>() -> c::Functions {
    let enriches = T::Section::SECTION.is_some();
    c::Functions {
        struct_size: size_of::<c::Functions>() as u32,
        reserved: 0,
        start: Some(start::<T>),
        enrich: if enriches { Some(enrich::<T>) } else { None },
        event: if T::SINK { Some(event::<T>) } else { None },
        loss: if T::SINK { Some(loss::<T>) } else { None },
        tick: Some(tick::<T>),
        flush: if T::SINK { Some(flush::<T>) } else { None },
        stop: Some(stop::<T>),
    }
}

/// Makes a type that implements [`Native`] the plugin of this library: `export_plugin!(TYPE, name: "NAME", release: "1.0.0",
/// licence: "MIT")`. The name is that in `collector.toml`.
#[macro_export]
macro_rules! export_plugin {
    ($type:ty, name: $name:expr, release: $release:expr, licence: $licence:expr $(,)?) => {
        /// The library's one symbol.
        #[unsafe(no_mangle)]
        pub extern "C" fn tracer_plugin() -> *const $crate::c::Plugin {
            $crate::descriptor!($type, name: $name, release: $release, licence: $licence)
        }
    };
}

/// The same as [`export_plugin!`] without a symbol, for a plugin that is linked into a binary: a pointer to the descriptor.
#[macro_export]
macro_rules! descriptor {
    ($type:ty, name: $name:expr, release: $release:expr, licence: $licence:expr $(,)?) => {{
        static FUNCTIONS: $crate::c::Functions = $crate::functions::<$type>();
        static PLUGIN: $crate::c::Plugin = $crate::entry(
            $name,
            $release,
            $licence,
            <<$type as $crate::Native>::Section as $crate::SectionData>::SECTION,
            &FUNCTIONS,
        );
        &raw const PLUGIN
    }};
}

thread_local! {
    /// What a panic said, and where.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Whether this thread is in a function of the plugin's.
    static CALLED: Cell<bool> = const { Cell::new(false) };
}

/// Has panics in the plugin's functions kept for [`panicked`], instead of printed. Those of other threads, and of a program that a plugin is
/// linked into, stay as they are.
fn keep_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !CALLED.get() {
                return others(info);
            }
            let place =
                info.location().map(|at| format!(", at {}:{}", at.file(), at.line())).unwrap_or_default();
            let text = format!("{}{place}", message(info.payload()));
            PANIC.with(|kept| *kept.borrow_mut() = Some(text));
        }));
    });
}

/// Calls the plugin's code.
fn caught<R>(function: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
    let before = CALLED.replace(true);
    // What may be broken after a panic is not used again.
    let result = catch_unwind(AssertUnwindSafe(function));
    CALLED.set(before);
    result
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let literal = payload.downcast_ref::<&str>().copied();
    literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

fn panicked(payload: &(dyn Any + Send)) -> String {
    let kept = PANIC.with(|kept| kept.borrow_mut().take());
    kept.unwrap_or_else(|| message(payload).to_owned())
}

/// The result as C has it; what went wrong is told.
fn status(host: &Host<'_>, result: Result<Result<i32, Failure>, Box<dyn Any + Send>>) -> i32 {
    match result {
        Ok(Ok(status)) => status,
        Ok(Err(failure)) => {
            host.fail(&failure.0);
            c::FAILED
        }
        Err(payload) => {
            host.fail(&panicked(&*payload));
            c::PANICKED
        }
    }
}

/// Calls the plugin.
///
/// # Safety
/// `state` is what `start` made, and nothing else uses it.
unsafe fn call<T: Native>(
    state: *mut c_void,
    function: impl FnOnce(&mut T, &Host<'_>) -> Result<i32, Failure>,
) -> i32 {
    // SAFETY: the caller vouches for it.
    let state = unsafe { &mut *state.cast::<State<T>>() };
    // SAFETY: it is valid until `stop`.
    let host = unsafe { Host::new(state.host) };
    let Some(plugin) = &mut state.plugin else { return c::FAILED };
    let result = caught(|| function(plugin, &host));
    if result.is_err() {
        // Its destructor might not bear what it finds.
        std::mem::forget(state.plugin.take());
    }
    status(&host, result)
}

unsafe extern "C" fn start<T: Native>(
    host: *const c::Host,
    session: *const c::Session,
    state: *mut *mut c_void,
) -> i32 {
    keep_panics();
    // SAFETY: tracer's pointers, valid for the call.
    let (asked, session) = unsafe { (Host::new(host), Session::new(session)) };
    let result = caught(|| T::start(&asked, &session).map(Some));
    let (plugin, result) = match result {
        Ok(Ok(plugin)) => (plugin, Ok(Ok(c::OK))),
        Ok(Err(failure)) => (None, Ok(Err(failure))),
        Err(payload) => (None, Err(payload)),
    };
    if plugin.is_some() {
        let made = Box::new(State { host, plugin });
        // SAFETY: tracer's pointer to room for one.
        unsafe { *state = Box::into_raw(made).cast() };
    }
    status(&asked, result)
}

unsafe extern "C" fn enrich<T: Native>(
    state: *mut c_void,
    event: *const c::Event,
    room: *mut c::Room,
) -> i32 {
    // SAFETY: tracer's pointers, valid for the call.
    let (event, room) = unsafe { (Event::new(event), &mut *room) };
    let enrich = |plugin: &mut T, host: &Host<'_>| {
        let Some(section) = plugin.enrich(host, &event)? else { return Ok(c::ABSENT) };
        // SAFETY: tracer's room: the struct, and the texts right behind it.
        let all = unsafe {
            std::slice::from_raw_parts_mut(room.section, room.section_len as usize + room.texts_len as usize)
        };
        let (bytes, texts) = all.split_at_mut(room.section_len as usize);
        let mut out = Out::new(bytes, texts);
        section.put(&mut out);
        room.texts_used = out.used();
        Ok(c::OK)
    };
    // SAFETY: tracer gives what `start` made.
    unsafe { call::<T>(state, enrich) }
}

unsafe extern "C" fn event<T: Native>(state: *mut c_void, event: *const c::Event) -> i32 {
    // SAFETY: tracer's pointers, valid for the call, and what `start` made.
    unsafe {
        let event = Event::new(event);
        call::<T>(state, |plugin, host| plugin.event(host, &event).map(|()| c::OK))
    }
}

unsafe extern "C" fn loss<T: Native>(state: *mut c_void, loss: *const c::Loss) -> i32 {
    // SAFETY: tracer's pointers, valid for the call, and what `start` made.
    unsafe {
        let loss = Loss::new(loss);
        call::<T>(state, |plugin, host| plugin.loss(host, &loss).map(|()| c::OK))
    }
}

unsafe extern "C" fn tick<T: Native>(state: *mut c_void, now: u64) -> i32 {
    // SAFETY: what `start` made.
    unsafe { call::<T>(state, |plugin, host| plugin.tick(host, now).map(|()| c::OK)) }
}

unsafe extern "C" fn flush<T: Native>(state: *mut c_void) -> i32 {
    // SAFETY: what `start` made.
    unsafe { call::<T>(state, |plugin, host| plugin.flush(host).map(|()| c::OK)) }
}

unsafe extern "C" fn stop<T: Native>(state: *mut c_void) -> i32 {
    // SAFETY: what `start` made, and this is its last use.
    let state = unsafe { Box::from_raw(state.cast::<State<T>>()) };
    // SAFETY: it is valid until this returns.
    let host = unsafe { Host::new(state.host) };
    let Some(plugin) = state.plugin else { return c::OK };
    let result = caught(|| plugin.stop(&host).map(|()| c::OK));
    status(&host, result)
}
