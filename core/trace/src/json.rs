//! Events as JSON lines. The first line of a session is its `meta`, and it waits for what came with the beginning: both
//! clocks are looked at right after it.

use std::io::{self, Write};

use tracer_event::{Account, ClockSample, Event, Loss, Session, json};

use crate::{Sink, batch::Batch, wall::Wall};

/// Writes events as JSON, one object a line, see [`tracer_event::json`].
#[derive(Debug)]
pub struct JsonSink<W> {
    batch: Batch<W>,
    renderer: json::Renderer,
    wall: Wall,
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

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.meta()?;
        self.batch.add(|out| self.renderer.event(out, event))
    }

    fn loss(&mut self, loss: &Loss<'_>) -> io::Result<()> {
        self.meta()?;
        self.batch.add(|out| self.renderer.loss(out, loss, &self.wall.context()))
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
