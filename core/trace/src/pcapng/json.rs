//! What pcapng carries besides packets and texts is JSON, and this is where the sink has it from. It is a trait, so that
//! the sink knows nothing of how JSON is made, and files can be written without.

use std::fmt;

use tracer_event::{Event, Session};

use crate::Loss;

/// Makes the JSON of what a capture file tells. Each text is one object with a `type`; an empty one is left out.
pub trait Json {
    /// What is true of all events to come: the host, the probes, the schemas of their sections.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being written.
    fn session(&mut self, out: &mut String, session: &Session) -> fmt::Result;

    /// An event.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being written.
    fn event(&mut self, out: &mut String, event: &Event<'_>) -> fmt::Result;

    /// That events were lost.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being written.
    fn loss(&mut self, out: &mut String, loss: &Loss<'_>) -> fmt::Result;
}

/// No JSON: the file has packets, comments and counts only.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoJson;

impl Json for NoJson {
    fn session(&mut self, _: &mut String, _: &Session) -> fmt::Result {
        Ok(())
    }

    fn event(&mut self, _: &mut String, _: &Event<'_>) -> fmt::Result {
        Ok(())
    }

    fn loss(&mut self, _: &mut String, _: &Loss<'_>) -> fmt::Result {
        Ok(())
    }
}
