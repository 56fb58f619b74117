//! What a sink itself has to know of the wall clock: a loss comes without a context, and its time is shown as those of
//! the events around it are.

use tracer_event::{Clock, ClockSample, Context, NoSymbols};

/// The samples of a session so far, and whether times are shown by them.
#[derive(Debug, Default)]
pub(crate) struct Wall {
    pub(crate) clock: Clock,
    pub(crate) utc: bool,
}

impl Wall {
    /// Another session begins.
    pub(crate) fn begin(&mut self) {
        self.clock = Clock::default();
    }

    pub(crate) fn add(&mut self, sample: ClockSample) {
        self.clock.add(sample);
    }

    /// Enough of one to show times.
    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            own_netns: None,
            symbols: &NoSymbols,
            clock: &self.clock,
            utc: self.utc,
            link_header: false,
        }
    }
}
