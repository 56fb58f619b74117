//! What a plugin is given and may ask for, in types of Rust's: whoever runs plugins needs to know nothing of C.

/// What a plugin may ask for. Its texts are any that the plugin likes, up to 64 KiB.
///
/// Called by the thread that called the plugin, during that call.
pub trait Services {
    /// A message to the user, not escaped yet; `level` is one of the interface's `LOG_...`.
    fn log(&mut self, level: u32, text: &str);

    /// The value of an option of the plugin's; `None` if there is no such option. It is asked for once at most.
    fn option(&self, name: &str) -> Option<OptionValue>;

    /// A number for a field that events may have, for [`Services::value`].
    fn field(&mut self, section: &str, field: &str) -> Option<u32>;

    /// A field of the current event, by a number, which may also be one that [`Services::field`] never gave. `None` if the event does
    /// not have it.
    fn value(&self, handle: u32) -> Option<Answer>;

    /// The current event in words, or as a line of JSON.
    fn render(&mut self, json: bool) -> Option<String>;

    /// The function of the kernel at an address, and the bytes from its begin.
    fn symbol(&mut self, address: u64) -> Option<(String, u64)>;

    /// The address of a function or variable of the kernel.
    fn address(&mut self, name: &str) -> Option<u64>;

    /// Bytes of a struct or union of the kernel.
    fn type_size(&mut self, name: &str) -> Option<u32>;

    /// A member of a struct or union of the kernel: bits from its begin, bytes, and bits if it is a bitfield (else 0).
    fn member(&mut self, name: &str, member: &str) -> Option<(u64, u32, u32)>;

    /// The value of an enumerator of an enum of the kernel.
    fn enumerator(&mut self, name: &str, enumerator: &str) -> Option<i64>;
}

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionValue {
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
}

/// The value of a field of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An unsigned number.
    Uint(u64),
    /// A signed number.
    Int(i64),
    /// A number that has a name.
    Named(i64, String),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// An event, as the plugin gets it.
#[derive(Debug, Clone, Copy)]
pub struct EventParts<'a> {
    /// The probe's place in [`SessionInfo::probes`](crate::SessionInfo::probes).
    pub probe: u16,
    /// The CPU.
    pub cpu: u16,
    /// CLOCK_MONOTONIC, nanoseconds.
    pub time: u64,
    /// CLOCK_REALTIME, nanoseconds since 1970 (UTC); 0 where it is not known.
    pub realtime: i64,
    /// The process that ran on the CPU.
    pub tgid: u32,
    /// The thread.
    pub pid: u32,
    /// The thread's name, up to a NUL or its end.
    pub comm: [u8; 16],
    /// Of all events of a packet the same number, 0 where packets are not followed.
    pub packet_id: u64,
    /// Addresses of the kernel stack, innermost first.
    pub stack: &'a [u64],
    /// The whole record.
    pub record: &'a [u8],
}

/// The news that events were lost.
#[derive(Debug, Clone, Copy)]
pub struct LossParts {
    /// The probe's place in [`SessionInfo::probes`](crate::SessionInfo::probes).
    pub probe: u16,
    /// The CPU.
    pub cpu: u16,
    /// How many.
    pub events: u64,
    /// The time of the event that came next, or 0 if none did.
    pub before: u64,
}
