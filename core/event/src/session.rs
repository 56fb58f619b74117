//! What is true of all events of a run: where and with what they were seen. A live run finds it out, a stored trace
//! has it in its front, and every output derives its own front from it.

use std::sync::Arc;

use crate::Probes;

/// A run, without its events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// The version of tracer that saw the events.
    pub tracer: String,
    /// The host's name.
    pub host: String,
    /// The kernel's release, such as `6.12.95-cloud-amd64`.
    pub kernel: String,
    /// The machine's architecture, such as `x86_64`.
    pub machine: String,
    /// The words of the command line, the program's name first.
    pub command: Vec<String>,
    /// The inode number of the tracer's own network namespace.
    pub own_netns: Option<u64>,
    /// The probes; a record's header says which it is of.
    pub probes: Arc<Probes>,
}

/// The two clocks of a machine, compared now and then, because the wall clock is set and slewed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clock {
    /// In ascending order of `monotonic`.
    samples: Vec<ClockSample>,
}

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSample {
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub monotonic: u64,
    /// `CLOCK_REALTIME`, nanoseconds since 1970-01-01 00:00 UTC.
    pub realtime: i64,
}

impl Clock {
    /// Knows nothing of the wall clock.
    pub const NONE: Clock = Clock { samples: Vec::new() };

    /// Takes a sample; one that is not later than the last is not needed and left out.
    pub fn add(&mut self, sample: ClockSample) {
        if self.samples.last().is_none_or(|last| last.monotonic < sample.monotonic) {
            self.samples.push(sample);
        }
    }

    /// All samples, oldest first.
    pub fn samples(&self) -> &[ClockSample] {
        &self.samples
    }

    /// Wall-clock time, in nanoseconds since 1970 (UTC), of a monotonic time: by the last sample before it, and before
    /// the first by the first. `None` where there is no sample.
    pub fn realtime(&self, monotonic: u64) -> Option<i64> {
        let after = self.samples.partition_point(|sample| sample.monotonic <= monotonic);
        let sample = self.samples.get(after.saturating_sub(1))?;
        let since = i128::from(monotonic) - i128::from(sample.monotonic);
        i64::try_from(i128::from(sample.realtime) + since).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_follows_the_samples() {
        let mut clock = Clock::default();
        assert_eq!(clock.realtime(5), None);
        clock.add(ClockSample { monotonic: 100, realtime: 1_000 });
        clock.add(ClockSample { monotonic: 200, realtime: 1_150 });
        clock.add(ClockSample { monotonic: 200, realtime: 9_999 });
        assert_eq!(clock.samples().len(), 2);
        assert_eq!(clock.realtime(40), Some(940), "before the first");
        assert_eq!(clock.realtime(199), Some(1_099));
        assert_eq!(clock.realtime(200), Some(1_150));
        assert_eq!(clock.realtime(300), Some(1_250));
        assert_eq!(clock.realtime(u64::MAX), None, "beyond what can be said");
    }
}
