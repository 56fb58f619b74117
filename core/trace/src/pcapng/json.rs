//! What pcapng carries besides packets and texts is JSON, and this is where the sink has it from. It is a trait, so that
//! the sink knows nothing of how JSON is made, and files can be written without.

use tracer_event::{Event, Session};

/// Makes the JSON of what a capture file tells. Each text is one object with a `type`; an empty one is left out.
pub trait Json {
    /// Appends what is true of all events to come: the host, the probes, the schemas of their sections.
    fn session(&mut self, out: &mut String, session: &Session);

    /// Appends an event.
    fn event(&mut self, out: &mut String, event: &Event<'_>);
}

/// No JSON: the file has packets, comments and counts only.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoJson;

impl Json for NoJson {
    fn session(&mut self, _: &mut String, _: &Session) {}

    fn event(&mut self, _: &mut String, _: &Event<'_>) {}
}
