//! Questions within questions, and from within another plugin: what a signal handler can bring about.

use std::{cell::Cell, ffi::c_void, ptr};

use tracer_plugin_abi::c::{self, Text};
use tracer_plugin_host::{Answer, Failure, Library, OptionValue, Services, When};

use crate::support::{Engine, session};

thread_local! {
    /// What the last plugin that was started may ask.
    static HOST: Cell<*const c::Host> = const { Cell::new(ptr::null()) };
}

unsafe extern "C" fn start(host: *const c::Host, _: *const c::Session, _: *mut *mut c_void) -> i32 {
    HOST.set(host);
    c::OK
}

unsafe extern "C" fn event(_: *mut c_void, _: *const c::Event) -> i32 {
    log()
}

/// Asks, by whatever way this was reached.
fn log() -> i32 {
    let host = HOST.get();
    // SAFETY: the host is never freed.
    unsafe { (*host).log.unwrap()((*host).context, c::LOG_INFO, Text::new("it")) }
}

static FUNCTIONS: c::Functions = c::Functions {
    struct_size: size_of::<c::Functions>() as u32,
    reserved: 0,
    start: Some(start),
    enrich: None,
    event: Some(event),
    loss: None,
    tick: None,
    flush: None,
    stop: None,
};

static PLUGIN: c::Plugin = c::Plugin {
    magic: c::MAGIC,
    major: c::MAJOR,
    minor: c::MINOR,
    struct_size: size_of::<c::Plugin>() as u32,
    name: Text::new("nested"),
    release: Text::NONE,
    licence: Text::NONE,
    section: ptr::null(),
    functions: &raw const FUNCTIONS,
};

extern "C" fn entry() -> *const c::Plugin {
    &raw const PLUGIN
}

/// Has the plugin ask while it is answered.
struct Interrupted {
    answers: Vec<i32>,
}

impl Services for Interrupted {
    fn log(&mut self, _: u32, _: &str) {
        self.answers.push(log());
    }

    fn option(&self, _: &str) -> Option<OptionValue> {
        None
    }

    fn field(&mut self, _: &str, _: &str) -> Option<u32> {
        None
    }

    fn value(&self, _: u32) -> Option<Answer> {
        None
    }

    fn render(&mut self, _: bool) -> Option<String> {
        None
    }

    fn symbol(&mut self, _: u64) -> Option<(String, u64)> {
        None
    }

    fn address(&mut self, _: &str) -> Option<u64> {
        None
    }

    fn type_size(&mut self, _: &str) -> Option<u32> {
        None
    }

    fn member(&mut self, _: &str, _: &str) -> Option<(u64, u32, u32)> {
        None
    }

    fn enumerator(&mut self, _: &str, _: &str) -> Option<i64> {
        None
    }
}

#[test]
fn a_question_within_another_is_refused() {
    let mut engine = Interrupted { answers: Vec::new() };
    let mut instance = Library::linked(entry).unwrap().start(&mut engine, &session()).unwrap();
    let failure = instance.event(&mut engine, &crate::support::event(&[], b"")).unwrap_err();
    assert_eq!(failure, Failure::WrongTime { callback: "log", when: When::Within });
    // Only the first got through.
    assert_eq!(engine.answers, [c::WRONG_TIME]);
    assert_eq!(instance.stop(&mut engine), Ok(()));
}

#[test]
fn the_thread_that_calls_may_not_ask_between_calls() {
    let mut engine = Engine::default();
    let mut instance = Library::linked(entry).unwrap().start(&mut engine, &session()).unwrap();
    assert_eq!(log(), c::WRONG_TIME);
    let failure = instance.event(&mut engine, &crate::support::event(&[], b"")).unwrap_err();
    assert_eq!(failure, Failure::WrongTime { callback: "log", when: When::NoCall });
    assert!(engine.logged.is_empty());
}

#[test]
fn a_plugin_may_not_ask_in_the_name_of_another() {
    let mut engine = Engine::default();
    let mut first = Library::linked(entry).unwrap().start(&mut engine, &session()).unwrap();
    let mut second = Library::linked(entry).unwrap().start(&mut engine, &session()).unwrap();
    // It has the second one's host.
    let event = crate::support::event(&[], b"");
    let failure = first.event(&mut engine, &event).unwrap_err();
    assert_eq!(failure, Failure::Returned { function: "event", code: c::WRONG_TIME, why: None });
    let failure = second.event(&mut engine, &event).unwrap_err();
    assert_eq!(failure, Failure::WrongTime { callback: "log", when: When::NoCall });
    assert!(engine.logged.is_empty());
}
