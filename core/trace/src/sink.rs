//! The one thing that the engine knows about outputs.

use std::io;

use tracer_event::{Account, ClockSample, Event, Follow, Loss, Session, Shortfall};

/// A place where events go.
///
/// First comes `begin`. Whoever has the events hands them over in batches: `event` for each, then one `flush`. At the
/// end come `account`, where it is known, and `finish`. An error of any of them is the sink's last word: it gets no
/// further events.
pub trait Sink {
    /// Takes what is true of all events to come. Traces that are read one after another begin again each time; the
    /// events of a sink's `Context` are then of the new session.
    ///
    /// # Errors
    ///
    /// Those of the output.
    fn begin(&mut self, session: &Session) -> io::Result<()>;

    /// Takes the news that both clocks were looked at. Each event's `Context` has all samples so far besides.
    ///
    /// # Errors
    ///
    /// Those of the output.
    fn clock(&mut self, sample: ClockSample) -> io::Result<()> {
        let _ = sample;
        Ok(())
    }

    /// Takes the news that the next event is of the same packet as the one before it: what is sorted says so, what is live
    /// does not.
    ///
    /// # Errors
    ///
    /// Those of the output.
    fn follow(&mut self, follow: Follow) -> io::Result<()> {
        let _ = follow;
        Ok(())
    }

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

    /// Takes the news that a collector's events do not tell something, about where it was noticed. An output that has no
    /// place for that may leave it out.
    ///
    /// # Errors
    ///
    /// Those of the output.
    fn shortfall(&mut self, shortfall: &Shortfall) -> io::Result<()> {
        let _ = shortfall;
        Ok(())
    }

    /// Takes what became of all hits, by the probes' numbers: the last word of a run that ended in order.
    ///
    /// # Errors
    ///
    /// Those of the output.
    fn account(&mut self, accounts: &[Account]) -> io::Result<()> {
        let _ = accounts;
        Ok(())
    }

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
