//! Events as text.

use std::io::{self, Write};

use tracer_event::{ClockSample, Context, Event, Follow, Loss, Session, Shortfall, text};

use crate::{
    Sink,
    batch::Batch,
    file::{Render, Worker},
    wall::Wall,
};

/// Writes events as text, see [`tracer_event::text`].
#[derive(Debug)]
pub struct TextSink<W> {
    batch: Batch<W>,
    renderer: text::Renderer,
    wall: Wall,
    /// What the next event follows.
    follow: Option<Follow>,
}

impl<W: Write> TextSink<W> {
    /// Writes to `out`, which needs no buffer of its own.
    pub fn new(out: W) -> TextSink<W> {
        TextSink {
            batch: Batch::new(out),
            renderer: text::Renderer::new(),
            wall: Wall::default(),
            follow: None,
        }
    }

    /// The same, with the times of losses shown by the wall clock (UTC). Those of events are as their context says.
    #[must_use]
    pub fn utc(mut self, utc: bool) -> TextSink<W> {
        self.wall.utc = utc;
        self
    }
}

impl<W: Write> Sink for TextSink<W> {
    fn begin(&mut self, _: &Session) -> io::Result<()> {
        self.renderer = text::Renderer::new();
        self.wall.begin();
        Ok(())
    }

    fn clock(&mut self, sample: ClockSample) -> io::Result<()> {
        self.wall.add(sample);
        Ok(())
    }

    fn follow(&mut self, follow: Follow) -> io::Result<()> {
        self.follow = Some(follow);
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let follow = self.follow.take();
        self.batch.add(|out| match follow {
            Some(follow) => self.renderer.follower(out, event, follow),
            None => self.renderer.event(out, event),
        })
    }

    fn shortfall(&mut self, shortfall: &Shortfall) -> io::Result<()> {
        self.batch.add(|out| self.renderer.shortfall(out, shortfall))
    }

    fn loss(&mut self, loss: &Loss<'_>) -> io::Result<()> {
        self.batch.add(|out| self.renderer.loss(out, loss, &self.wall.context()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.batch.flush()
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.flush()
    }
}

/// The same text, of a stored trace, by several threads.
#[derive(Debug, Clone, Copy, Default)]
pub struct TextRender;

impl Render for TextRender {
    fn worker(&self) -> Box<dyn Worker> {
        Box::new(text::Renderer::new())
    }

    fn shortfall(&self, shortfall: &Shortfall, out: &mut String) {
        text::Renderer::new().shortfall(out, shortfall);
    }
}

impl Worker for text::Renderer {
    fn event(&mut self, event: &Event<'_>, out: &mut String) {
        text::Renderer::event(self, out, event);
    }

    fn follower(&mut self, event: &Event<'_>, follow: Follow, out: &mut String) {
        text::Renderer::follower(self, out, event, follow);
    }

    fn loss(&mut self, loss: &Loss<'_>, context: &Context<'_>, out: &mut String) {
        text::Renderer::loss(self, out, loss, context);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::{Broken, Writes};
    use std::sync::Arc;
    use tracer_event::{Clock, Layout, NoSymbols, ProbeInfo, Probes, Tag, Trim, sample};

    /// Gives a sink some events that are nothing but their header.
    fn feed(sink: &mut dyn Sink, events: usize) -> io::Result<()> {
        let layout = Arc::new(Layout::new(vec![]).unwrap());
        let probe = ProbeInfo {
            tag: Tag::RawTracepoint,
            name: "skb:kfree_skb".into(),
            layout,
            way: "tp_btf".into(),
            trim: Trim::Machinery,
        };
        let probes = Probes::new(vec![probe]);
        let context = Context {
            own_netns: None,
            symbols: &NoSymbols,
            clock: &Clock::NONE,
            utc: false,
            link_header: false,
        };
        let mut bytes = [0; 64];
        bytes[0] = 64;
        let event = probes.event(&bytes, &context).unwrap();
        (0..events).try_for_each(|_| sink.event(&event))
    }

    #[test]
    fn a_batch_is_one_write() {
        let writes = Writes::default();
        let mut sink: Box<dyn Sink> = Box::new(TextSink::new(writes.clone()));
        feed(&mut *sink, 2).unwrap();
        assert!(writes.0.borrow().is_empty());
        sink.flush().unwrap();
        sink.flush().unwrap();
        feed(&mut *sink, 1).unwrap();
        sink.finish().unwrap();
        let line = "0 [] 0 [tp] skb:kfree_skb\n";
        assert_eq!(*writes.0.borrow(), [line.repeat(2), line.to_owned()]);
    }

    #[test]
    fn a_large_batch_is_written_before_its_end() {
        let writes = Writes::default();
        let mut sink = TextSink::new(writes.clone());
        feed(&mut sink, 60_000).unwrap();
        assert_eq!(writes.0.borrow().len(), 1);
    }

    #[test]
    fn errors_come_out_once() {
        let mut sink = TextSink::new(Broken);
        feed(&mut sink, 1).unwrap();
        assert_eq!(sink.flush().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(sink.flush().is_ok());
    }

    #[test]
    fn losses_tell_the_time_as_events_do() {
        let writes = Writes::default();
        let probe = ProbeInfo { name: "a\x1bb".into(), ..sample::probe() };
        let told = |utc| {
            let mut sink: Box<dyn Sink> = Box::new(TextSink::new(writes.clone()).utc(utc));
            sink.begin(&Session::default()).unwrap();
            sink.clock(ClockSample { monotonic: 5, realtime: 1_795_544_303_123_456_789 }).unwrap();
            sink.loss(&Loss { events: 17, probe: &probe, cpu: 3, before: Some(6) }).unwrap();
            sink.loss(&Loss { events: 1, probe: &probe, cpu: 3, before: None }).unwrap();
            // The clock is another machine's.
            sink.begin(&Session::default()).unwrap();
            sink.loss(&Loss { events: 2, probe: &probe, cpu: 3, before: Some(6) }).unwrap();
            sink.finish().unwrap();
            let text = writes.text();
            writes.0.borrow_mut().clear();
            text
        };
        let rest = "lost 17 events of [k] a\\x1bb on CPU 3 before this\n\
                    lost 1 events of [k] a\\x1bb on CPU 3 after its last event\n\
                    6 lost 2 events of [k] a\\x1bb on CPU 3 before this\n";
        assert_eq!(told(false), format!("6 {rest}"));
        assert_eq!(told(true), format!("2026-11-24T18:18:23.123456790Z {rest}"));
    }
}
