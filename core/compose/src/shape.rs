//! A shape: all that decides what a composed program looks like.

use std::{collections::BTreeMap, sync::Arc};

use tracer_event::{Layout, LayoutError, Schema};

use crate::{
    arguments::{ArgType, Arguments},
    filter::{Condition, Scratch},
    fragment::{Accessor, Build, Follow, Reader},
    link::Linked,
};

/// How a program is attached, as far as its code depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attach {
    /// A kprobe: parameters in `struct pt_regs`.
    Kprobe,
    /// A BPF trampoline at a function's entry or return: parameters typed, in an array.
    Fentry,
    /// A tracepoint: arguments typed, in an array, and some of them perhaps NULL.
    TpBtf,
    /// A tracepoint: arguments in an array.
    RawTracepoint,
}

/// Which part of an event a program makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// All of it.
    Event,
    /// What is known at the entry of a function, and waits for its return.
    Entry,
    /// What the return adds.
    Return(ReturnValue),
}

/// Where a returned value is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReturnValue {
    /// How many parameters the function has: a trampoline's context has the value behind them.
    pub parameters: u8,
}

/// Bytes for a stack at most: `PERF_MAX_STACK_DEPTH`, 127 addresses.
pub const STACK_BYTES: u32 = 127 * 8;

/// Bytes of counters at the front of a CPU's slot. What the filter works with follows, then the record under construction.
pub(crate) const SLOT_HEADER: u32 = 64;

/// Bytes behind the last CPU's slot, for each of the program's probes: the rate limit's second (since boot) and its number
/// of events.
const SHARED: u32 = COUNTERS;

/// Bytes of a probe's counters on a CPU: a cache line.
pub const COUNTERS: u32 = 64;

/// Calls that wait for their return at once, of all of a program's probes.
pub const CALLS: u32 = 1024;

/// Offsets of the counters in a slot; `u64` each. Every hit is counted as filtered or as admitted,
/// and at rest admitted = limited + delivered + lost; so hits = filtered + limited + delivered + lost.
pub mod counter {
    /// All conditions were met. Not each hit, because most hits end at a condition: one count is enough for them.
    pub const ADMITTED: i16 = 0;
    /// A condition was not met.
    pub const FILTERED: i16 = 8;
    /// Suppressed by a rate limit.
    pub const LIMITED: i16 = 16;
    /// A record went into the ring.
    pub const DELIVERED: i16 = 24;
    /// The ring had no room.
    pub const LOST: i16 = 32;
    /// No counter: whether the program runs on this CPU; see [`super::Shape::reentered`].
    pub const BUSY: i16 = 48;
}

/// A map that the driver itself uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MapRef {
    /// The program's own: an array of one value, a slot for each CPU in it.
    Slots,
    /// Shared by all programs: an array of ring buffers.
    Rings,
    /// Events that wait for a return: shared by the programs at entry and return.
    Calls,
}

/// A reader in a shape.
pub struct BoundReader<'a> {
    /// Index of its fragment in [`Shape::fragments`].
    pub fragment: usize,
    /// The reader.
    pub reader: &'a Reader,
    /// What it reports, with its options applied.
    pub schema: Arc<Schema>,
}

/// What a collector knows about the hits of a probe, whoever reads there: see
/// [`crate::ManifestGuard`].
pub struct Guard<'a> {
    /// Index of the accessor's fragment in [`Shape::fragments`].
    pub fragment: usize,
    /// What gives the value; a hit at which it is absent is no event.
    pub accessor: &'a Accessor,
    /// The argument that is NULL for all readers when the value is one of `when`.
    pub withhold: Option<ArgType>,
    /// Values of the accessor's field.
    pub when: Vec<i64>,
}

/// What is composed.
pub struct Shape<'a> {
    /// How the program is attached.
    pub attach: Attach,
    /// Which build of the fragments is used; all of one program's are of the same.
    pub build: Build,
    /// What the probe offers.
    pub arguments: &'a Arguments,
    /// The linked fragments.
    pub fragments: Vec<&'a Linked>,
    /// Readers, in the order of their sections.
    pub readers: Vec<BoundReader<'a>>,
    /// What must hold, all of it; see [`Condition::conjuncts`].
    pub filter: Vec<Condition<'a>>,
    /// What reads the packet that the filter asks about: index of its fragment in [`Shape::fragments`], and the reader.
    pub packet: Option<(usize, &'a Reader)>,
    /// What notes that the packet of an event has passed the filter: index of its fragment in [`Shape::fragments`], and its
    /// functions.
    pub follow: Option<(usize, &'a Follow)>,
    /// What holds at the probe whatever is read there.
    pub guards: Vec<Guard<'a>>,
    /// Whether the kernel stack is recorded.
    pub stack: bool,
    /// Events per second at most, on all CPUs together.
    pub rate: Option<u32>,
    /// Whether this kernel may start the program on a CPU where it runs already.
    pub reentered: bool,
    /// Which part of an event the program makes.
    pub role: Role,
    /// The section of what the function returns, where it returns something; behind those of the readers.
    pub returns: Option<Arc<Schema>>,
    /// The probe's number, which records carry; the first of several.
    pub first: u16,
    /// Of how many probes the program is. With several of them, each one's cookie is its place among them,
    /// counted from 1.
    pub count: u16,
    /// CPUs that may run the program: the machine's possible CPUs.
    pub cpus: u32,
    /// Values of the collectors' options: (index of the fragment, option) to value.
    pub constants: BTreeMap<(usize, String), u64>,
    /// Addresses of kernel symbols that fragments ask for.
    pub symbols: BTreeMap<String, u64>,
}

impl Shape<'_> {
    /// The layout of the records.
    pub fn layout(&self) -> Result<Layout, LayoutError> {
        let readers = self.readers.iter().map(|r| Arc::clone(&r.schema));
        Layout::new(readers.chain(self.returns.clone()).collect())
    }

    /// Bytes of the program's array: a slot for each CPU, and what the CPUs share.
    pub fn slots_size(&self, layout: &Layout) -> u32 {
        let by_cpu = if self.count > 1 { self.cpus.saturating_mul(self.counters_size()) } else { 0 };
        self.counters(layout).saturating_add(by_cpu)
    }

    /// Where in the array the counters of the first CPU's probes are, where there are several of those; each CPU's have
    /// their own [`Shape::counters_size`] bytes. A single probe's are at the begin of the slot.
    pub fn counters(&self, layout: &Layout) -> u32 {
        self.shared(layout).saturating_add(SHARED.saturating_mul(u32::from(self.count)))
    }

    /// Bytes of all probes' counters on one CPU.
    pub fn counters_size(&self) -> u32 {
        COUNTERS.saturating_mul(u32::from(self.count))
    }

    /// Bytes of an event that waits for a return.
    pub fn call_size(&self, layout: &Layout) -> u32 {
        self.slot_size(layout) - self.record_at(layout)
    }

    /// Where in the array that is which the CPUs share.
    pub(crate) fn shared(&self, layout: &Layout) -> u32 {
        self.slot_size(layout).saturating_mul(self.cpus)
    }

    pub(crate) fn constant(&self, fragment: usize, option: &str) -> u64 {
        self.constants.get(&(fragment, option.to_owned())).copied().unwrap_or(0)
    }

    pub(crate) fn symbol(&self, name: &str) -> u64 {
        self.symbols.get(name).copied().unwrap_or(0)
    }

    /// Where in a slot the record is made.
    pub(crate) fn record_at(&self, layout: &Layout) -> u32 {
        // A filter for which there is no room has no program either.
        SLOT_HEADER + Scratch::new(self, layout).map_or(0, |scratch| scratch.size)
    }

    /// Bytes of one CPU's slot: whole cache lines, so that CPUs do not share any.
    pub fn slot_size(&self, layout: &Layout) -> u32 {
        let stack = if self.stack { STACK_BYTES } else { 0 };
        // 8 bytes for the padding behind the last tail.
        (self.record_at(layout) + layout.max_size(stack) + 8).next_multiple_of(64)
    }
}
