//! The one thing that the engine knows about outputs.

use std::io;

use tracer_event::Event;

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
