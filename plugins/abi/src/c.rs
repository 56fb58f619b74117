//! What crosses the boundary: structs of fixed-width integers, pointers with lengths, and opaque pointers. The C header
//! (`include/tracer/plugin.h`) is generated from this file, so its comments are written for readers of C too.
//!
//! A struct that may grow begins with its size. Both sides read no more of a struct than the smaller of both sizes, so an
//! older plugin works with a newer tracer of the same major version, and a newer one as far as tracer knows it. What is
//! behind is as if it were zero.

use std::ffi::c_void;

/// Begins every descriptor: `TRACERNP`, read as a little-endian number.
pub const MAGIC: u64 = 0x504e_5245_4341_5254;
/// The version of this interface that must be the same on both sides.
pub const MAJOR: u16 = 1;
/// Counts what was added to the major version.
pub const MINOR: u16 = 0;

/// It went well; of `enrich`: the section is there.
pub const OK: i32 = 0;
/// There is no such thing; of `enrich`: the event gets no section.
pub const ABSENT: i32 = 1;
/// It failed. A plugin that returns this, or any other negative number, gets no further calls but `stop`.
pub const FAILED: i32 = -1;
/// The plugin panicked: what `export_plugin!` returns then.
pub const PANICKED: i32 = -2;
/// From the host: this may not be asked now, or not by this thread, or not about this event. The plugin is not used any more.
pub const WRONG_TIME: i32 = -3;
/// From the host: a pointer is NULL, or a text is not UTF-8.
pub const BAD_ARGUMENT: i32 = -4;

/// A field or value: an unsigned number of 1, 2, 4 or 8 bytes.
pub const KIND_UINT: u32 = 1;
/// A field or value: a signed number of 1, 2, 4 or 8 bytes.
pub const KIND_INT: u32 = 2;
/// A field: an array of characters, up to a NUL or its end. A value: a text, UTF-8.
pub const KIND_STRING: u32 = 3;
/// A field or value: bytes.
pub const KIND_BYTES: u32 = 4;
/// A field: 32 bits that say where behind the section's struct a text is (`tracer_add_text` sets it).
pub const KIND_TEXT: u32 = 5;

/// Says more than people usually want to know.
pub const LOG_DEBUG: u32 = 0;
/// Worth knowing.
pub const LOG_INFO: u32 = 1;
/// Something is not as it should be.
pub const LOG_WARNING: u32 = 2;

/// An event as tracer prints it: some lines, each with its end.
pub const AS_TEXT: u32 = 0;
/// An event as an object of JSON: one line, with its end.
pub const AS_JSON: u32 = 1;

/// UTF-8 of so many bytes, without a NUL at its end.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Text {
    /// The first byte; may be NULL if there is none.
    pub bytes: *const u8,
    /// How many there are.
    pub len: u64,
}

/// A name for a value of a field.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Name {
    /// The value.
    pub value: i64,
    /// Its name.
    pub name: Text,
}

/// A field of a section.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// A C identifier, in no other field of the section.
    pub name: Text,
    /// How it is shown: `plain` (also if empty), `hex`, `be16`, `be32`, `ipv4`, `ipv6`, `mac`, `netns`.
    pub show: Text,
    /// `KIND_...`
    pub kind: u32,
    /// Bytes from the begin of the section's struct.
    pub offset: u32,
    /// Its bytes.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// Names of its values, if it is a number that has some.
    pub names: *const Name,
    /// How many.
    pub names_len: u64,
}

/// A section of events: a struct, and behind it the texts that its fields refer to.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// `sizeof(struct tracer_section)`
    pub struct_size: u32,
    /// `sizeof(struct tracer_field)`
    pub field_size: u32,
    /// A C identifier.
    pub name: Text,
    /// Bytes of its struct: 1 to 4096.
    pub size: u32,
    /// Bytes of all texts behind it, at most 32768; 0 where no field is a `KIND_TEXT`.
    pub texts: u32,
    /// The fields.
    pub fields: *const Field,
    /// How many.
    pub fields_len: u64,
}

/// What a library says of itself. `tracer_plugin()` returns a pointer to one, which is valid for good.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Plugin {
    /// `TRACER_MAGIC`
    pub magic: u64,
    /// `TRACER_MAJOR`
    pub major: u16,
    /// `TRACER_MINOR`
    pub minor: u16,
    /// `sizeof(struct tracer_plugin)`
    pub struct_size: u32,
    /// The name in `collector.toml`.
    pub name: Text,
    /// The plugin's own version, for people.
    pub release: Text,
    /// Its licence, as SPDX has it.
    pub licence: Text,
    /// What `enrich` fills; NULL if there is none.
    pub section: *const Section,
    /// What tracer calls.
    pub functions: *const Functions,
}

/// What tracer calls, all from one thread, one after another. Those that are NULL are not.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Functions {
    /// `sizeof(struct tracer_functions)`
    pub struct_size: u32,
    /// Zero.
    pub reserved: u32,
    /// Comes first. `host` and `session` are valid until `stop` returns. What it puts into `state` is given to all others.
    pub start: Option<
        unsafe extern "C" fn(host: *const Host, session: *const Session, state: *mut *mut c_void) -> i32,
    >,
    /// Fills the plugin's section of an event: `OK`, `ABSENT`, or an error.
    pub enrich: Option<unsafe extern "C" fn(state: *mut c_void, event: *const Event, room: *mut Room) -> i32>,
    /// Takes an event, of a plugin that is a sink.
    pub event: Option<unsafe extern "C" fn(state: *mut c_void, event: *const Event) -> i32>,
    /// Takes the news that events were lost, of a plugin that is a sink.
    pub loss: Option<unsafe extern "C" fn(state: *mut c_void, loss: *const Loss) -> i32>,
    /// About once a second, whether or not there are events. `now`: CLOCK_MONOTONIC, nanoseconds.
    pub tick: Option<unsafe extern "C" fn(state: *mut c_void, now: u64) -> i32>,
    /// Behind some events, when there are no more for now: a plugin that is a sink passes on what it has kept.
    pub flush: Option<unsafe extern "C" fn(state: *mut c_void) -> i32>,
    /// Comes last, also after a failure of another but `start`: frees `state`.
    pub stop: Option<unsafe extern "C" fn(state: *mut c_void) -> i32>,
}

/// A probe of the session.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// Such as `__nft_trace_packet` or `skb:kfree_skb`.
    pub name: Text,
    /// `k`, `kr`, `tp`, `fe` or `fx`.
    pub tag: Text,
}

/// What is true of all events.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// `sizeof(struct tracer_session)`
    pub struct_size: u32,
    /// 1: events come as they happen. 0: they come from a trace.
    pub live: u32,
    /// `sizeof(struct tracer_probe)`
    pub probe_size: u32,
    /// Zero.
    pub reserved: u32,
    /// The version of tracer that saw the events.
    pub tracer: Text,
    /// The host on which they happened.
    pub host: Text,
    /// Its kernel's release.
    pub kernel: Text,
    /// Its architecture, such as `x86_64`.
    pub machine: Text,
    /// The inode number of tracer's own network namespace there, or 0.
    pub own_netns: u64,
    /// The probes; `tracer_event.probe` counts them.
    pub probes: *const Probe,
    /// How many.
    pub probes_len: u64,
    /// All sections that events may have, each once.
    pub sections: *const Section,
    /// How many.
    pub sections_len: u64,
}

/// An event. It and all that it points to are valid until the function returns that was given it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// `sizeof(struct tracer_event)`
    pub struct_size: u32,
    /// The probe's place in `tracer_session.probes`.
    pub probe: u16,
    /// The CPU.
    pub cpu: u16,
    /// CLOCK_MONOTONIC, nanoseconds.
    pub time: u64,
    /// CLOCK_REALTIME, nanoseconds since 1970 (UTC); 0 where it is not known.
    pub realtime: i64,
    /// The process that ran on the CPU, and the thread, as the kernel numbers them.
    pub tgid: u32,
    /// The thread.
    pub pid: u32,
    /// The thread's name, up to a NUL or its end. It is the thread's own choice.
    pub comm: [u8; 16],
    /// Of all events of a packet the same number, 0 where packets are not followed.
    pub packet_id: u64,
    /// Addresses of the kernel stack, innermost first.
    pub stack: *const u64,
    /// How many.
    pub stack_len: u64,
    /// The whole record, as the format of traces has it.
    pub record: *const u8,
    /// Its bytes.
    pub record_len: u64,
}

/// Room for the plugin's section. It is zeroed.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// `sizeof(struct tracer_room)`
    pub struct_size: u32,
    /// Bytes of the struct.
    pub section_len: u32,
    /// The struct; the texts begin right behind it.
    pub section: *mut u8,
    /// Bytes that texts may take.
    pub texts_len: u32,
    /// Bytes that they do take: set by the plugin.
    pub texts_used: u32,
}

/// Events that were lost.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Loss {
    /// `sizeof(struct tracer_loss)`
    pub struct_size: u32,
    /// The probe's place in `tracer_session.probes`.
    pub probe: u16,
    /// The CPU.
    pub cpu: u16,
    /// How many.
    pub events: u64,
    /// The time of the event that came next, or 0 if none did.
    pub before: u64,
}

/// A value of a field or of an option.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Value {
    /// `KIND_UINT`, `KIND_INT`, `KIND_STRING` or `KIND_BYTES`.
    pub kind: u32,
    /// Zero.
    pub reserved: u32,
    /// A number; a negative one in two's complement.
    pub number: u64,
    /// A text or bytes, or the name of a number that has one; else of length 0. As long valid as the event, of an option until
    /// `stop` returns.
    pub bytes: Text,
}

/// An address that has a name.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Symbol {
    /// The function. Valid until the next call of the host's.
    pub name: Text,
    /// Bytes from its begin.
    pub offset: u64,
}

/// A member of one of the kernel's types.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Bits from the begin of the type.
    pub bit_offset: u64,
    /// Bytes of the member, or of the type that its bits are of.
    pub size: u32,
    /// Bits of a bitfield, else 0.
    pub bits: u32,
}

/// What a plugin may ask for, by the thread and during the functions that tracer calls, and at no other time. What has an
/// event may be asked only about the one that was just given. Each gets `context` first.
///
/// All return `OK`, `ABSENT`, or an error.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Host {
    /// `sizeof(struct tracer_host)`
    pub struct_size: u32,
    /// The version of the interface that tracer has.
    pub major: u16,
    /// The same.
    pub minor: u16,
    /// To be given to each function.
    pub context: *mut c_void,
    /// Tells the user something, on standard error. At most 10 lines a second are shown; others are counted.
    pub log: Option<unsafe extern "C" fn(context: *mut c_void, level: u32, text: Text) -> i32>,
    /// Says why the function is going to return an error.
    pub fail: Option<unsafe extern "C" fn(context: *mut c_void, why: Text) -> i32>,
    /// The value of an option in `collector.toml`.
    pub option: Option<unsafe extern "C" fn(context: *mut c_void, name: Text, value: *mut Value) -> i32>,
    /// Finds a field that events may have: `handle` is for `value`, and stays the same.
    pub field: Option<
        unsafe extern "C" fn(context: *mut c_void, section: Text, field: Text, handle: *mut u32) -> i32,
    >,
    /// A field of the event; `ABSENT` where the event does not have the section.
    pub value: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            event: *const Event,
            handle: u32,
            value: *mut Value,
        ) -> i32,
    >,
    /// The event in words, `AS_TEXT` or `AS_JSON`. Valid as long as the event.
    pub render: Option<
        unsafe extern "C" fn(context: *mut c_void, event: *const Event, form: u32, text: *mut Text) -> i32,
    >,
    /// The function of the kernel that has an address.
    pub symbol: Option<unsafe extern "C" fn(context: *mut c_void, address: u64, symbol: *mut Symbol) -> i32>,
    /// The address of a function or variable of the kernel.
    pub address: Option<unsafe extern "C" fn(context: *mut c_void, name: Text, address: *mut u64) -> i32>,
    /// The bytes of one of the kernel's structs or unions.
    pub type_size: Option<unsafe extern "C" fn(context: *mut c_void, name: Text, size: *mut u32) -> i32>,
    /// A member of one of the kernel's structs or unions.
    pub member: Option<
        unsafe extern "C" fn(context: *mut c_void, name: Text, member: Text, found: *mut Member) -> i32,
    >,
    /// The value of an enumerator of one of the kernel's enums.
    pub enumerator: Option<
        unsafe extern "C" fn(context: *mut c_void, name: Text, enumerator: Text, value: *mut i64) -> i32,
    >,
}

impl Text {
    /// This text.
    pub const fn new(text: &'static str) -> Text {
        Text::of(text)
    }

    /// This text, which must live as long as it is used.
    pub const fn of(text: &str) -> Text {
        Text { bytes: text.as_ptr(), len: text.len() as u64 }
    }

    /// No text.
    pub const NONE: Text = Text { bytes: std::ptr::null(), len: 0 };
}

impl Field {
    /// No field: what a declaration fills in.
    pub const NONE: Field = Field {
        name: Text::NONE,
        show: Text::NONE,
        kind: 0,
        offset: 0,
        size: 0,
        reserved: 0,
        names: std::ptr::null(),
        names_len: 0,
    };
}

// SAFETY: descriptors are constants; nothing is ever written through them.
unsafe impl Sync for Plugin {}
// SAFETY: see above.
unsafe impl Sync for Section {}
// SAFETY: see above.
unsafe impl Sync for Field {}
// SAFETY: see above.
unsafe impl Sync for Name {}
// SAFETY: see above.
unsafe impl Sync for Text {}
