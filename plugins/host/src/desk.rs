//! Where a plugin's questions arrive. Who asks, and when, is found out before anything is touched: the thread that is in a call of ours has
//! the desk noted in its own memory, and nobody else has. So a question from a thread of the plugin's, or from between two calls,
//! reaches nothing but an atomic number, at whatever time it comes.

use std::{
    any::Any,
    cell::{Cell, UnsafeCell},
    ffi::c_void,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::{self, NonNull},
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering},
};

use rustix::thread::{Pid, gettid};
use tracer_plugin_abi::c;

use crate::{
    EventParts, Failure, Services,
    answers::Answers,
    callbacks::{self, Callback},
    session::size,
};

thread_local! {
    /// The desk of the plugin that this thread is calling just now.
    static HERE: Cell<*const Desk> = const { Cell::new(ptr::null()) };
}

/// All desks that there are, so that a pointer that a plugin gives can be compared before it is believed.
static DESKS: AtomicPtr<Desk> = AtomicPtr::new(ptr::null_mut());

/// How many events' structs take turns. A plugin that keeps a pointer to one and uses it for a later event is found out.
const TURNS: usize = 64;

/// What stands behind `context`. It is never freed.
pub(crate) struct Desk {
    /// What the plugin is given.
    host: c::Host,
    /// The thread that calls the plugin.
    thread: Pid,
    /// The first question at a wrong time: [`Callback`] and [`When`], above a one.
    misuse: AtomicU32,
    /// Whether a question is being answered. Only a signal handler of the plugin's can see that.
    busy: AtomicBool,
    /// Belongs to the thread that is in a call.
    serving: UnsafeCell<Serving>,
    next: *mut Desk,
}

/// What a question may use.
pub(crate) struct Serving {
    services: Option<NonNull<dyn Services>>,
    /// The event that was given; NULL if none was.
    event: *const c::Event,
    pub(crate) answers: Answers,
    /// Why the function is going to fail, as the plugin says.
    pub(crate) why: Option<String>,
    /// A panic of the services', which goes on when the plugin has returned.
    panic: Option<Box<dyn Any + Send>>,
    /// So many places for events, never freed: a thread of the plugin's may look at one that is over.
    events: *mut c::Event,
    turn: usize,
}

/// What was wrong about the time of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// It came from a thread of the plugin's.
    OtherThread,
    /// The plugin was not called.
    NoCall,
    /// The function was given no event.
    NoEvent,
    /// The event was not the one that the function was given.
    OtherEvent,
    /// Another question was being answered: it came from a signal handler.
    Within,
}

impl When {
    const ALL: [When; 5] = [When::OtherThread, When::NoCall, When::NoEvent, When::OtherEvent, When::Within];
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            When::OtherThread => {
                "from a thread of its own; only the thread that tracer calls it by may do so"
            }
            When::NoCall => "while tracer was not calling it",
            When::NoEvent => "in a function that is not given an event",
            When::OtherEvent => "about an event that is not the one that it was just given",
            When::Within => "from within another such call, as a signal handler does",
        })
    }
}

/// Refers to a desk. It is neither `Send` nor `Sync`: the thread that made it is the one that calls the plugin.
#[derive(Clone, Copy)]
pub(crate) struct DeskRef(NonNull<Desk>);

impl DeskRef {
    /// A desk for a plugin that this thread is going to call.
    pub(crate) fn leak() -> DeskRef {
        let serving = Serving {
            services: None,
            event: ptr::null(),
            answers: Answers::default(),
            why: None,
            panic: None,
            events: vec![NO_EVENT; TURNS].leak().as_mut_ptr(),
            turn: 0,
        };
        let desk = NonNull::from(Box::leak(Box::new(Desk {
            host: callbacks::table(),
            thread: gettid(),
            misuse: AtomicU32::new(0),
            busy: AtomicBool::new(false),
            serving: UnsafeCell::new(serving),
            next: ptr::null_mut(),
        })));
        // SAFETY: nobody else knows it yet.
        unsafe { (*desk.as_ptr()).host.context = desk.as_ptr().cast() };
        let mut first = DESKS.load(Ordering::Relaxed);
        loop {
            // SAFETY: nobody else looks at it before it is in the list.
            unsafe { (*desk.as_ptr()).next = first };
            match DESKS.compare_exchange_weak(first, desk.as_ptr(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return DeskRef(desk),
                Err(other) => first = other,
            }
        }
    }

    fn desk(&self) -> &Desk {
        // SAFETY: it is never freed; what others may change meanwhile is atomic or in a cell.
        unsafe { self.0.as_ref() }
    }

    /// What the plugin is given.
    pub(crate) fn host(&self) -> *const c::Host {
        &raw const self.desk().host
    }

    /// Calls the plugin, answering its questions meanwhile; gives its status, and why it fails if it said so.
    pub(crate) fn call(
        &self,
        services: &mut dyn Services,
        event: Option<&EventParts<'_>>,
        run: impl FnOnce(*const c::Event) -> i32,
    ) -> (i32, Option<String>) {
        let services = NonNull::from(services);
        // SAFETY: only the lifetime changes, and the pointer is forgotten below before that ends.
        let services: NonNull<dyn Services> = unsafe { std::mem::transmute(services) };
        // SAFETY: this thread is not in a call (a plugin cannot make us call it), and no other uses it.
        let serving = unsafe { &mut *self.desk().serving.get() };
        serving.services = Some(services);
        serving.why = None;
        serving.event = match event {
            Some(event) => serving.lend(event),
            None => ptr::null(),
        };
        let event = serving.event;
        let outer = HERE.replace(self.0.as_ptr());
        let status = run(event);
        HERE.set(outer);
        // SAFETY: the call is over, and so are its questions.
        let serving = unsafe { &mut *self.desk().serving.get() };
        serving.services = None;
        serving.take_back();
        if let Some(panic) = serving.panic.take() {
            std::panic::resume_unwind(panic);
        }
        (status, serving.why.take())
    }

    /// Whether the plugin asked at a wrong time since it was made.
    pub(crate) fn misused(&self) -> Result<(), Failure> {
        let code = self.desk().misuse.load(Ordering::Relaxed);
        if code == 0 {
            return Ok(());
        }
        let when = When::ALL.get((code >> 16) as usize).copied().unwrap_or(When::NoCall);
        Err(Failure::WrongTime { callback: Callback::name(code >> 8 & 0xff), when })
    }
}

const NO_EVENT: c::Event = c::Event {
    struct_size: size::<c::Event>(),
    probe: 0,
    cpu: 0,
    time: 0,
    realtime: 0,
    tgid: 0,
    pid: 0,
    comm: [0; 16],
    packet_id: 0,
    stack: ptr::null(),
    stack_len: 0,
    record: ptr::null(),
    record_len: 0,
};

impl Serving {
    /// An event as C sees it, at another place than the one before.
    fn lend(&mut self, event: &EventParts<'_>) -> *const c::Event {
        self.answers.clear();
        self.turn = (self.turn + 1) % TURNS;
        let event = c::Event {
            struct_size: size::<c::Event>(),
            probe: event.probe,
            cpu: event.cpu,
            time: event.time,
            realtime: event.realtime,
            tgid: event.tgid,
            pid: event.pid,
            comm: event.comm,
            packet_id: event.packet_id,
            stack: event.stack.as_ptr(),
            stack_len: event.stack.len() as u64,
            record: event.record.as_ptr(),
            record_len: event.record.len() as u64,
        };
        // SAFETY: there are more places than that.
        unsafe {
            let place = self.events.add(self.turn);
            place.write(event);
            place
        }
    }

    /// Who looks at the event when it is over sees an empty one, and no memory that is gone.
    fn take_back(&mut self) {
        if !self.event.is_null() {
            // SAFETY: there are more places than that.
            unsafe { self.events.add(self.turn).write(NO_EVENT) };
            self.event = ptr::null();
        }
    }

    /// Who answers.
    pub(crate) fn services(&mut self) -> &mut dyn Services {
        let mut services = self.services.expect("set by `call` before the plugin can ask anything");
        // SAFETY: it was made of a reference that `call` holds, and does not use until the plugin returns. Questions do not nest.
        unsafe { services.as_mut() }
    }
}

/// Answers a question, if it comes from the right thread at the right time.
pub(crate) fn enter(
    context: *mut c_void,
    callback: Callback,
    answer: impl FnOnce(&mut Serving) -> i32,
) -> i32 {
    let here = HERE.get();
    if here.is_null() || !ptr::eq(here, context.cast_const().cast()) {
        return refuse(context, callback);
    }
    // SAFETY: `call` noted it for this thread and has not returned; it is never freed.
    let desk = unsafe { &*here };
    if desk.busy.swap(true, Ordering::Relaxed) {
        return desk.note(callback, When::Within);
    }
    // SAFETY: this thread is the one in a call, and not within another question. `call` uses it again when the plugin has returned.
    let serving = unsafe { &mut *desk.serving.get() };
    // Unwinding through the plugin would be undefined.
    let result = catch_unwind(AssertUnwindSafe(|| answer(serving)));
    let status = result.unwrap_or_else(|panic| {
        serving.panic = Some(panic);
        c::FAILED
    });
    desk.busy.store(false, Ordering::Relaxed);
    status
}

/// Answers a question about an event, if it is the one that was given.
pub(crate) fn enter_event(
    context: *mut c_void,
    callback: Callback,
    event: *const c::Event,
    answer: impl FnOnce(&mut Serving) -> i32,
) -> i32 {
    enter(context, callback, |serving| {
        if event.is_null() {
            return c::BAD_ARGUMENT;
        }
        if ptr::eq(event, serving.event) {
            return answer(serving);
        }
        let when = if serving.event.is_null() { When::NoEvent } else { When::OtherEvent };
        // SAFETY: `enter` found it there.
        unsafe { &*HERE.get() }.note(callback, when)
    })
}

#[cold]
fn refuse(context: *mut c_void, callback: Callback) -> i32 {
    let mut desk: *const Desk = DESKS.load(Ordering::Acquire);
    while !desk.is_null() {
        // SAFETY: desks in the list are never freed. Nothing that is not atomic changes but in the cell, which is left alone.
        let known = unsafe { &*desk };
        if ptr::eq(desk, context.cast_const().cast()) {
            let when = if known.thread == gettid() { When::NoCall } else { When::OtherThread };
            return known.note(callback, when);
        }
        desk = known.next;
    }
    c::BAD_ARGUMENT
}

impl Desk {
    /// The first such question is told; which of several is first does not matter.
    fn note(&self, callback: Callback, when: When) -> i32 {
        let code = (when as u32) << 16 | (callback as u32) << 8 | 1;
        let _ = self.misuse.compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed);
        c::WRONG_TIME
    }
}
