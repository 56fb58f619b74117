//! Events as JSON lines. The first line of a session is its `meta`, and it waits for what came with the beginning: both
//! clocks are looked at right after it.

use std::io::{self, Write};

use tracer_event::{Account, Clock, ClockSample, Context, Event, Follow, Loss, Session, Shortfall, json};

use crate::{
    Sink,
    batch::Batch,
    file::{Render, Worker},
    pcapng,
    wall::Wall,
};

/// Writes events as JSON, one object a line, see [`tracer_event::json`].
#[derive(Debug)]
pub struct JsonSink<W> {
    batch: Batch<W>,
    renderer: json::Renderer,
    wall: Wall,
    /// What the next event follows.
    follow: Option<Follow>,
    session: Session,
    /// Whether the session's first line is still to be written.
    is_new: bool,
}

impl<W: Write> JsonSink<W> {
    /// Writes to `out`, which needs no buffer of its own.
    pub fn new(out: W) -> JsonSink<W> {
        JsonSink {
            batch: Batch::new(out),
            renderer: json::Renderer::new(),
            wall: Wall::default(),
            follow: None,
            session: Session::default(),
            is_new: false,
        }
    }

    /// The same, with the wall clock's time in losses too. Events have it as their context says.
    #[must_use]
    pub fn utc(mut self, utc: bool) -> JsonSink<W> {
        self.wall.utc = utc;
        self
    }

    /// The session's first line, once.
    fn meta(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.is_new) {
            return Ok(());
        }
        self.batch.add(|out| self.renderer.meta(out, &self.session, &self.wall.clock))
    }
}

impl<W: Write> Sink for JsonSink<W> {
    fn begin(&mut self, session: &Session) -> io::Result<()> {
        // Of a session without anything else.
        self.meta()?;
        self.renderer = json::Renderer::new();
        self.wall.begin();
        self.session = session.clone();
        self.is_new = true;
        Ok(())
    }

    fn clock(&mut self, sample: ClockSample) -> io::Result<()> {
        self.wall.add(sample);
        if self.is_new { Ok(()) } else { self.batch.add(|out| self.renderer.clock(out, sample)) }
    }

    fn follow(&mut self, follow: Follow) -> io::Result<()> {
        self.follow = Some(follow);
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.meta()?;
        let follow = self.follow.take();
        self.batch.add(|out| match follow {
            Some(follow) => self.renderer.follower(out, event, follow),
            None => self.renderer.event(out, event),
        })
    }

    fn loss(&mut self, loss: &Loss<'_>) -> io::Result<()> {
        self.meta()?;
        self.batch.add(|out| self.renderer.loss(out, loss, &self.wall.context()))
    }

    fn shortfall(&mut self, shortfall: &Shortfall) -> io::Result<()> {
        self.meta()?;
        self.batch.add(|out| self.renderer.shortfall(out, shortfall))
    }

    fn account(&mut self, accounts: &[Account]) -> io::Result<()> {
        self.meta()?;
        self.batch.add(|out| self.renderer.account(out, &self.session.probes, accounts))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.meta()?;
        self.batch.flush()
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.flush()
    }
}

/// The same lines, of a stored trace, by several threads.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonRender;

impl Render for JsonRender {
    fn worker(&self) -> Box<dyn Worker> {
        Box::new(json::Renderer::new())
    }

    fn begin(&self, session: &Session, clock: &Clock, out: &mut String) {
        json::Renderer::new().meta(out, session, clock);
    }

    fn clock(&self, sample: ClockSample, out: &mut String) {
        json::Renderer::new().clock(out, sample);
    }

    fn shortfall(&self, shortfall: &Shortfall, out: &mut String) {
        json::Renderer::new().shortfall(out, shortfall);
    }

    fn account(&self, session: &Session, accounts: &[Account], out: &mut String) {
        json::Renderer::new().account(out, &session.probes, accounts);
    }
}

impl Worker for json::Renderer {
    fn event(&mut self, event: &Event<'_>, out: &mut String) {
        json::Renderer::event(self, out, event);
    }

    fn follower(&mut self, event: &Event<'_>, follow: Follow, out: &mut String) {
        json::Renderer::follower(self, out, event, follow);
    }

    fn loss(&mut self, loss: &Loss<'_>, context: &Context<'_>, out: &mut String) {
        json::Renderer::loss(self, out, loss, context);
    }
}

/// What a capture file says of an event beside its packet.
impl pcapng::Json for json::Renderer {
    fn session(&mut self, out: &mut String, session: &Session) {
        *self = json::Renderer::new();
        self.meta(out, session, &Clock::NONE);
        out.truncate(out.trim_end().len());
    }

    fn event(&mut self, out: &mut String, event: &Event<'_>) {
        json::Renderer::event(self, out, event);
        out.truncate(out.trim_end().len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::{Broken, Writes};
    use std::sync::Arc;
    use tracer_event::sample::{self, dropmon};
    use tracer_event::{Context, ProbeInfo, Probes};

    /// A session as a live run has it: the clocks first, then a batch, a look at the clocks, a batch, the account.
    fn run(sink: &mut Box<dyn Sink>) -> io::Result<()> {
        let probes = Arc::new(Probes::new(vec![dropmon::probe()]));
        let session = Session { host: "gate".into(), probes: Arc::clone(&probes), ..Session::default() };
        let symbols = dropmon::Table::new();
        let context = Context { symbols: &symbols, ..sample::CONTEXT };
        let record = dropmon::record();
        let event = probes.event(&record, &context).map_err(io::Error::other)?;
        let probe = dropmon::probe();
        sink.begin(&session)?;
        sink.clock(ClockSample { monotonic: 1, realtime: 1_000_000_000 })?;
        sink.loss(&Loss { events: 2, probe: &probe, cpu: 3, before: Some(6) })?;
        sink.event(&event)?;
        sink.flush()?;
        sink.clock(ClockSample { monotonic: 9, realtime: 2_000_000_000 })?;
        sink.event(&event)?;
        sink.flush()?;
        sink.account(&[Account { hits: 4, delivered: 2, lost: 2, ..Account::default() }])
    }

    fn lines(text: &str) -> Vec<serde_json::Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn types(text: &str) -> Vec<String> {
        lines(text).iter().map(|line| line["type"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_session_begins_with_its_meta_and_ends_with_its_account() {
        let writes = Writes::default();
        let mut sink: Box<dyn Sink> = Box::new(JsonSink::new(writes.clone()).utc(true));
        run(&mut sink).unwrap();
        assert_eq!(writes.0.borrow().len(), 2, "a batch is one write");
        sink.finish().unwrap();
        let text = writes.text();
        assert_eq!(types(&text), ["meta", "loss", "event", "clock", "event", "account"]);
        let lines = lines(&text);
        assert_eq!(lines[0]["host"], "gate");
        assert_eq!(lines[0]["clock"][0]["realtime"], 1_000_000_000);
        assert_eq!(lines[1]["utc"], "1970-01-01T00:00:01.000000005Z");
        assert_eq!(lines[5]["probes"][0]["lost"], 2);
    }

    #[test]
    fn every_line_is_as_the_json_schema_says() {
        let writes = Writes::default();
        let mut sink: Box<dyn Sink> = Box::new(JsonSink::new(writes.clone()).utc(true));
        run(&mut sink).unwrap();
        sink.finish().unwrap();
        let layout = dropmon::layout();
        let sections = layout.sections().iter().map(|placed| &*placed.schema);
        let schema = sample::strict(json::schema(sections));
        let validator = jsonschema::validator_for(&schema).unwrap();
        let wrong: Vec<_> =
            lines(&writes.text()).into_iter().filter(|line| !validator.is_valid(line)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn sessions_follow_each_other() {
        let writes = Writes::default();
        let mut sink: Box<dyn Sink> = Box::new(JsonSink::new(writes.clone()));
        run(&mut sink).unwrap();
        sink.begin(&Session { host: "empty".into(), ..Session::default() }).unwrap();
        run(&mut sink).unwrap();
        sink.begin(&Session::default()).unwrap();
        sink.finish().unwrap();
        let session = ["meta", "loss", "event", "clock", "event", "account"];
        let expected = [&session[..], &["meta"], &session[..], &["meta"]].concat();
        let text = writes.text();
        assert_eq!(types(&text), expected);
        assert_eq!(lines(&text)[6]["clock"], serde_json::json!([]), "not that of the session before");
    }

    #[test]
    fn a_large_batch_is_written_before_its_end() {
        let writes = Writes::default();
        let mut sink = JsonSink::new(writes.clone());
        let probe = ProbeInfo { name: "f".repeat(1000), ..sample::probe() };
        for _ in 0..2000 {
            sink.loss(&Loss { events: 1, probe: &probe, cpu: 0, before: None }).unwrap();
        }
        assert_eq!(writes.0.borrow().len(), 2);
    }

    #[test]
    fn errors_come_out_once() {
        let mut sink: Box<dyn Sink> = Box::new(JsonSink::new(Broken));
        let error = run(&mut sink).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(sink.flush().is_ok());
    }
}
