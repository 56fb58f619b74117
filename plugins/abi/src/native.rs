//! The one trait of a plugin that is written in Rust.

use std::fmt;

use crate::{Event, Host, Loss, Out, SectionData, Session, c};

/// A plugin. Its functions are called one after another by one thread; between [`Native::start`] and [`Native::stop`] it may
/// keep whatever it wants.
///
/// An error is the last word of a plugin: it is told to the user, and the plugin is called no more, but for `stop`. So a look-up that
/// found nothing is `Ok(None)`, not an error. A panic is an error.
pub trait Native: Sized + 'static {
    /// What [`Native::enrich`] adds to events: see [`section!`](crate::section!). [`NoSection`] if nothing.
    type Section: SectionData;

    /// Whether it is a sink: whether it is given events by [`Native::event`].
    const SINK: bool = false;

    /// Begins: options may be read, and what is needed be opened.
    ///
    /// # Errors
    /// Why it cannot be used.
    fn start(host: &Host<'_>, session: &Session<'_>) -> Result<Self, Failure>;

    /// Adds its section to an event.
    ///
    /// # Errors
    /// Why it cannot go on.
    fn enrich(&mut self, host: &Host<'_>, event: &Event<'_>) -> Result<Option<Self::Section>, Failure> {
        let _ = (host, event);
        Ok(None)
    }

    /// Takes an event.
    ///
    /// # Errors
    /// Why it cannot go on.
    fn event(&mut self, host: &Host<'_>, event: &Event<'_>) -> Result<(), Failure> {
        let _ = (host, event);
        Ok(())
    }

    /// Takes the news that events were lost, in its place among the events.
    ///
    /// # Errors
    /// Why it cannot go on.
    fn loss(&mut self, host: &Host<'_>, loss: &Loss) -> Result<(), Failure> {
        let _ = (host, loss);
        Ok(())
    }

    /// Is called about once a second; `now` is CLOCK_MONOTONIC, nanoseconds.
    ///
    /// # Errors
    /// Why it cannot go on.
    fn tick(&mut self, host: &Host<'_>, now: u64) -> Result<(), Failure> {
        let _ = (host, now);
        Ok(())
    }

    /// Passes on what it has kept of events: there are no more for now.
    ///
    /// # Errors
    /// Why it cannot go on.
    fn flush(&mut self, host: &Host<'_>) -> Result<(), Failure> {
        let _ = host;
        Ok(())
    }

    /// Ends. There are no more events, or an error came before.
    ///
    /// # Errors
    /// What could not be done any more.
    fn stop(self, host: &Host<'_>) -> Result<(), Failure> {
        let _ = host;
        Ok(())
    }
}

/// Why a plugin cannot go on, for the user: what, where, why, and what to do.
pub struct Failure(pub(crate) String);

impl Failure {
    /// For this reason.
    pub fn new(why: impl Into<String>) -> Failure {
        Failure(why.into())
    }
}

// With its source's errors, since it is all that the user gets to see. That it is no `Error` itself lets it be made from all of them.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        let mut why = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            why = format!("{why}: {error}");
            source = error.source();
        }
        Failure(why)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Of a plugin that adds nothing to events.
#[derive(Debug)]
pub enum NoSection {}

impl SectionData for NoSection {
    const SECTION: Option<&'static c::Section> = None;

    fn put(&self, _: &mut Out<'_>) {
        match *self {}
    }
}
