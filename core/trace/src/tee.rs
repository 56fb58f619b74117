//! Two outputs at once, such as a file that keeps everything and a terminal that shows it; or none at all.

use std::io;

use tracer_event::{Account, ClockSample, Event, Follow, Loss, Session, Shortfall};

use crate::Sink;

/// Gives everything to both. The first that fails ends it for both, since neither could be told that the other goes on.
pub struct Tee {
    first: Box<dyn Sink + Send>,
    second: Box<dyn Sink + Send>,
}

impl Tee {
    /// `first` gets everything before `second` does: it is the one that must not miss anything.
    pub fn new(first: Box<dyn Sink + Send>, second: Box<dyn Sink + Send>) -> Tee {
        Tee { first, second }
    }

    /// No output.
    pub fn none() -> impl Sink + Send {
        Nothing
    }

    fn both(&mut self, mut each: impl FnMut(&mut dyn Sink) -> io::Result<()>) -> io::Result<()> {
        each(&mut *self.first)?;
        each(&mut *self.second)
    }
}

impl Sink for Tee {
    fn begin(&mut self, session: &Session) -> io::Result<()> {
        self.both(|sink| sink.begin(session))
    }

    fn clock(&mut self, sample: ClockSample) -> io::Result<()> {
        self.both(|sink| sink.clock(sample))
    }

    fn follow(&mut self, follow: Follow) -> io::Result<()> {
        self.both(|sink| sink.follow(follow))
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.both(|sink| sink.event(event))
    }

    fn loss(&mut self, loss: &Loss<'_>) -> io::Result<()> {
        self.both(|sink| sink.loss(loss))
    }

    fn shortfall(&mut self, shortfall: &Shortfall) -> io::Result<()> {
        self.both(|sink| sink.shortfall(shortfall))
    }

    fn account(&mut self, accounts: &[Account]) -> io::Result<()> {
        self.both(|sink| sink.account(accounts))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.both(|sink| sink.flush())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        let Tee { first, second } = *self;
        // A terminal that is gone is no reason to leave the file without its end.
        first.finish().and(second.finish())
    }
}

/// See [`Tee::none`].
struct Nothing;

impl Sink for Nothing {
    fn begin(&mut self, _: &Session) -> io::Result<()> {
        Ok(())
    }

    fn event(&mut self, _: &Event<'_>) -> io::Result<()> {
        Ok(())
    }

    fn loss(&mut self, _: &Loss<'_>) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}
