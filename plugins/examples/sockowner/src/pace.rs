//! How often something that takes long may be looked at. Whoever is waited for by all events must not let them wait much:
//! looking takes a fifth of the time at most, however much there is to see.

use std::time::{Duration, Instant};

/// How long a look may take before it is broken off, to be gone on with next time.
pub const STEP: Duration = Duration::from_millis(250);
/// Between two looks passes so many times what the first of them took.
const REST: u32 = 4;

/// The pace of one thing that is looked at.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    /// When the last look ended, and how long it took.
    last: Option<(Instant, Duration)>,
}

impl Pace {
    /// At most one look in an interval.
    pub fn new(interval: Duration) -> Pace {
        Pace { interval, last: None }
    }

    /// Whether it is time for a look, when so many intervals are enough.
    pub fn is_due(&self, intervals: u32, now: Instant) -> bool {
        let Some((ended, took)) = self.last else { return true };
        now.saturating_duration_since(ended) >= (self.interval * intervals).max(took * REST)
    }

    /// Notes a look that began at a time and took so long.
    pub fn looked(&mut self, began: Instant, took: Duration) {
        self.last = Some((began + took, took));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_took_long_is_not_repeated_soon() {
        let second = Duration::from_secs(1);
        let begin = Instant::now();
        let mut pace = Pace::new(second);
        assert!(pace.is_due(1, begin));
        pace.looked(begin, Duration::ZERO);
        assert!(!pace.is_due(1, begin + second / 2) && pace.is_due(1, begin + second));
        assert!(!pace.is_due(10, begin + second) && pace.is_due(10, begin + second * 10));
        pace.looked(begin, second);
        assert!(!pace.is_due(1, begin + second * 4) && pace.is_due(1, begin + second * 5));
        // A clock that was read before is no reason for one.
        assert!(!pace.is_due(1, begin));
    }
}
