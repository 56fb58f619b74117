//! What the host gives, as Rust sees it. A member that an older host does not have is as if it were zero.

use std::{borrow::Cow, marker::PhantomData};

use crate::c::{self, Text};

/// Reads a member of a struct that says how large it is; zero where it is not there.
macro_rules! member {
    ($pointer:expr, $type:ty, $member:ident) => {{
        let pointer: *const $type = $pointer;
        // SAFETY: all of these structs have at least their size.
        let size = unsafe { (*pointer).struct_size } as usize;
        // SAFETY: the member is read only if the struct has it. All members are integers and pointers: zero is one.
        unsafe {
            let at = &raw const (*pointer).$member;
            let end = std::mem::offset_of!($type, $member) + size_of_val(&(*pointer).$member);
            if size >= end { std::ptr::read(at) } else { std::mem::zeroed() }
        }
    }};
}

/// An event, for the time of the call that was given it.
pub struct Event<'a> {
    event: *const c::Event,
    _call: PhantomData<&'a c::Event>,
}

/// What is true of all events, for the time of [`Native::start`](crate::Native::start).
pub struct Session<'a> {
    session: *const c::Session,
    _call: PhantomData<&'a c::Session>,
}

/// Events that were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// The probe's place in [`Session::probes`].
    pub probe: u16,
    /// The CPU.
    pub cpu: u16,
    /// How many.
    pub events: u64,
    /// The time of the event that came next, if one did (CLOCK_MONOTONIC, ns).
    pub before: Option<u64>,
}

/// A value of a field or of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// An unsigned number.
    Uint(u64),
    /// A signed number.
    Int(i64),
    /// A number that has a name.
    Named(i64, &'a str),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// # Safety
/// The text is valid for `'a`.
pub(crate) unsafe fn text<'a>(text: Text) -> &'a str {
    // SAFETY: the caller vouches for it. What is not UTF-8, the host has replaced; one that has not is not believed.
    std::str::from_utf8(unsafe { bytes(text) }).unwrap_or("")
}

/// # Safety
/// The bytes are valid for `'a`.
unsafe fn bytes<'a>(text: Text) -> &'a [u8] {
    if text.bytes.is_null() {
        return &[];
    }
    // SAFETY: the caller vouches for it.
    unsafe { std::slice::from_raw_parts(text.bytes, text.len as usize) }
}

/// # Safety
/// What the value points to is valid for `'a`.
pub(crate) unsafe fn value<'a>(value: &c::Value) -> Value<'a> {
    // SAFETY: the caller vouches for it.
    let (text, bytes) = unsafe { (text(value.bytes), bytes(value.bytes)) };
    match value.kind {
        c::KIND_STRING => Value::Text(text),
        c::KIND_BYTES => Value::Bytes(bytes),
        _ if !text.is_empty() => Value::Named(value.number.cast_signed(), text),
        c::KIND_INT => Value::Int(value.number.cast_signed()),
        _ => Value::Uint(value.number),
    }
}

impl<'a> Event<'a> {
    /// # Safety
    /// The host's pointer, valid for `'a`.
    pub(crate) unsafe fn new(event: *const c::Event) -> Event<'a> {
        Event { event, _call: PhantomData }
    }

    pub(crate) fn raw(&self) -> *const c::Event {
        self.event
    }

    /// The probe's place in [`Session::probes`].
    pub fn probe(&self) -> u16 {
        member!(self.event, c::Event, probe)
    }

    /// The CPU.
    pub fn cpu(&self) -> u16 {
        member!(self.event, c::Event, cpu)
    }

    /// CLOCK_MONOTONIC, nanoseconds.
    pub fn time(&self) -> u64 {
        member!(self.event, c::Event, time)
    }

    /// CLOCK_REALTIME, nanoseconds since 1970 (UTC), where it is known.
    pub fn realtime(&self) -> Option<i64> {
        Some(member!(self.event, c::Event, realtime)).filter(|time| *time != 0)
    }

    /// The process that ran on the CPU.
    pub fn tgid(&self) -> u32 {
        member!(self.event, c::Event, tgid)
    }

    /// The thread that ran on the CPU.
    pub fn pid(&self) -> u32 {
        member!(self.event, c::Event, pid)
    }

    /// The thread's name. It is the thread's own choice.
    pub fn comm(&self) -> Cow<'static, str> {
        let comm = member!(self.event, c::Event, comm);
        let end = comm.iter().position(|byte| *byte == 0).unwrap_or(comm.len());
        Cow::Owned(String::from_utf8_lossy(&comm[..end]).into_owned())
    }

    /// The number that all events of a packet have in common, where packets are followed.
    pub fn packet_id(&self) -> Option<u64> {
        Some(member!(self.event, c::Event, packet_id)).filter(|id| *id != 0)
    }

    /// Addresses of the kernel stack, innermost first.
    pub fn stack(&self) -> &'a [u64] {
        let (stack, len) = (member!(self.event, c::Event, stack), member!(self.event, c::Event, stack_len));
        if stack.is_null() {
            return &[];
        }
        // SAFETY: the host's memory, valid for `'a`.
        unsafe { std::slice::from_raw_parts(stack, len as usize) }
    }

    /// The whole record, as the format of traces has it.
    pub fn record(&self) -> &'a [u8] {
        let record = member!(self.event, c::Event, record);
        let record = Text { bytes: record, len: member!(self.event, c::Event, record_len) };
        // SAFETY: the host's memory, valid for `'a`.
        unsafe { bytes(record) }
    }
}

impl<'a> Session<'a> {
    /// # Safety
    /// The host's pointer, valid for `'a`.
    pub(crate) unsafe fn new(session: *const c::Session) -> Session<'a> {
        Session { session, _call: PhantomData }
    }

    fn text(&self, of_session: Text) -> &'a str {
        // SAFETY: the host's text, valid for `'a`.
        unsafe { text(of_session) }
    }

    /// Whether events come as they happen, and not from a trace.
    pub fn is_live(&self) -> bool {
        member!(self.session, c::Session, live) != 0
    }

    /// The version of tracer that saw the events.
    pub fn tracer(&self) -> &'a str {
        self.text(member!(self.session, c::Session, tracer))
    }

    /// The host on which they happened.
    pub fn host(&self) -> &'a str {
        self.text(member!(self.session, c::Session, host))
    }

    /// The kernel's release.
    pub fn kernel(&self) -> &'a str {
        self.text(member!(self.session, c::Session, kernel))
    }

    /// The architecture, such as `x86_64`.
    pub fn machine(&self) -> &'a str {
        self.text(member!(self.session, c::Session, machine))
    }

    /// The inode number of tracer's own network namespace, where it is known.
    pub fn own_netns(&self) -> Option<u64> {
        Some(member!(self.session, c::Session, own_netns)).filter(|netns| *netns != 0)
    }

    /// The probes, by their names.
    pub fn probes(&self) -> impl ExactSizeIterator<Item = &'a str> + use<'a> {
        let (probes, len) =
            (member!(self.session, c::Session, probes), member!(self.session, c::Session, probes_len));
        let stride = member!(self.session, c::Session, probe_size) as usize;
        let len = if probes.is_null() { 0 } else { len as usize };
        // SAFETY: the host's array of structs that are `stride` bytes long and begin with a name; their texts are valid for `'a`.
        (0..len).map(move |i| unsafe {
            let probe = probes.cast::<u8>().add(i * stride).cast::<c::Probe>();
            text((*probe).name)
        })
    }

    /// The fields that events may have, by section and name.
    pub fn fields(&self) -> Vec<(&'a str, &'a str)> {
        let (sections, len) =
            (member!(self.session, c::Session, sections), member!(self.session, c::Session, sections_len));
        let mut found = Vec::new();
        let mut at = sections.cast::<u8>();
        for _ in 0..if sections.is_null() { 0 } else { len } {
            let section = at.cast::<c::Section>();
            // SAFETY: the host's array of structs that say how large they are.
            let (name, fields, count, stride, size) = unsafe {
                let section = &*section;
                let sizes = (section.field_size as usize, section.struct_size as usize);
                (text(section.name), section.fields, section.fields_len as usize, sizes.0, sizes.1)
            };
            for i in 0..if fields.is_null() { 0 } else { count } {
                // SAFETY: the host's array of structs that are `stride` bytes long and begin with a name.
                let field = unsafe { text((*fields.cast::<u8>().add(i * stride).cast::<c::Field>()).name) };
                found.push((name, field));
            }
            // SAFETY: still inside of the array, or at its end.
            at = unsafe { at.add(size) };
        }
        found
    }
}

impl Loss {
    /// # Safety
    /// The host's pointer.
    pub(crate) unsafe fn new(loss: *const c::Loss) -> Loss {
        Loss {
            probe: member!(loss, c::Loss, probe),
            cpu: member!(loss, c::Loss, cpu),
            events: member!(loss, c::Loss, events),
            before: Some(member!(loss, c::Loss, before)).filter(|time| *time != 0),
        }
    }
}
