//! The one thing that the engine knows about outputs.

use std::io;

use tracer_event::{Event, ProbeInfo};

/// A place where events go.
///
/// The engine drains its source in batches: `event` for each, then one `flush`; at the end of the run `finish`. An
/// error of any of the three is the sink's last word: it gets no further events.
pub trait Sink {
    /// Takes one event. It may stay in memory until [`Sink::flush`].
    ///
    /// # Errors
    ///
    /// Those of the output.
    fn event(&mut self, event: &Event<'_>) -> io::Result<()>;

    /// Takes the news that events were lost, in its place among the events.
    ///
    /// # Errors
    ///
    /// Those of the output.
    fn loss(&mut self, loss: &Loss<'_>) -> io::Result<()>;

    /// Passes on everything taken so far. Called at the end of each batch.
    ///
    /// # Errors
    ///
    /// Those of the output.
    fn flush(&mut self) -> io::Result<()>;

    /// Writes what must stand at the end of the output, and everything taken so far.
    ///
    /// # Errors
    ///
    /// Those of the output.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

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
