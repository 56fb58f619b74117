//! What the clocks say now.

use rustix::time::{ClockId, clock_gettime};
use tracer_event::ClockSample;

/// CLOCK_MONOTONIC, nanoseconds.
pub(crate) fn monotonic() -> u64 {
    nanoseconds(ClockId::Monotonic).unsigned_abs()
}

/// Both clocks: of some looks, the one that took the least time.
pub(crate) fn sample() -> ClockSample {
    let looks = (0..5).map(|_| {
        let before = nanoseconds(ClockId::Monotonic);
        let realtime = nanoseconds(ClockId::Realtime);
        let took = nanoseconds(ClockId::Monotonic) - before;
        (took, ClockSample { monotonic: (before + took / 2).unsigned_abs(), realtime })
    });
    let (_, sample) =
        looks.min_by_key(|(took, _)| *took).unwrap_or((0, ClockSample { monotonic: 0, realtime: 0 }));
    sample
}

fn nanoseconds(clock: ClockId) -> i64 {
    let now = clock_gettime(clock);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
