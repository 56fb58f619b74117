//! What became of hits that are no events: losses in their place among the events, and the account at a run's end.

use crate::ProbeInfo;

/// Events that were lost because there was no room for them.
#[derive(Debug, Clone, Copy)]
pub struct Loss<'a> {
    /// How many.
    pub events: u64,
    /// Of which probe.
    pub probe: &'a ProbeInfo,
    /// On which CPU.
    pub cpu: u16,
    /// They were lost before the event with this time (CLOCK_MONOTONIC, ns), and after the one before it of the same
    /// probe on the same CPU. `None`: after the last.
    pub before: Option<u64>,
}

/// Something that a collector's programs counted because it should not be: what its events do not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    /// The collector.
    pub collector: String,
    /// So many of what, such as `packets without an id: the map is full`.
    pub what: String,
    /// How many since the last such news.
    pub count: u64,
    /// When that was noticed (CLOCK_MONOTONIC, ns); it happened within the second before.
    pub time: u64,
}

/// What became of a probe's hits: hits = filtered + limited + delivered + lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// The program ran.
    pub hits: u64,
    /// A filter was not met.
    pub filtered: u64,
    /// Suppressed by the rate limit.
    pub limited: u64,
    /// It became an event.
    pub delivered: u64,
    /// There was no room for its event.
    pub lost: u64,
    /// The kernel did not run the program; `None` where the kernel does not count that.
    pub missed: Option<u64>,
}
