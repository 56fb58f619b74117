//! Events as text. A batch is one write, so that lines of a busy tracer come in whole and cost few system calls.

use std::fmt::Write as _;
use std::io::{self, Write};

use tracer_event::{Escaped, Event, Session, text};

use crate::file::{Render, RenderBlock};
use crate::{Loss, Sink};

/// Writes events as text, see [`tracer_event::text`].
#[derive(Debug)]
pub struct TextSink<W> {
    out: W,
    pending: String,
}

impl<W: Write> TextSink<W> {
    /// Bytes of text after which a batch is written before its end: a bound on memory.
    const FULL: usize = 1 << 20;

    /// Writes to `out`, which needs no buffer of its own.
    pub fn new(out: W) -> TextSink<W> {
        TextSink { out, pending: String::new() }
    }

    fn write_pending(&mut self) -> io::Result<()> {
        let written = self.out.write_all(self.pending.as_bytes());
        // Also after an error: part of it may be out, and must not come twice.
        self.pending.clear();
        written
    }
}

impl<W: Write> Sink for TextSink<W> {
    fn begin(&mut self, _: &Session) -> io::Result<()> {
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        text::write(&mut self.pending, event).map_err(io::Error::other)?;
        if self.pending.len() >= TextSink::<W>::FULL { self.write_pending() } else { Ok(()) }
    }

    fn loss(&mut self, loss: &Loss<'_>) -> io::Result<()> {
        write_loss(&mut self.pending, loss).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() {
            self.write_pending()?;
        }
        self.out.flush()
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.flush()
    }
}

/// The same text, of a stored trace, by several threads.
#[derive(Debug, Clone, Copy, Default)]
pub struct TextRender;

impl Render for TextRender {
    fn block(&self) -> Box<dyn RenderBlock + '_> {
        Box::<TextBlock>::default()
    }
}

/// Of one block all events have one session, as what remembers texts wants it.
#[derive(Default)]
struct TextBlock(text::Texts);

impl RenderBlock for TextBlock {
    fn event(&mut self, event: &Event<'_>, out: &mut String) -> bool {
        // Only the output can fail, and this one cannot.
        let _ = self.0.write(out, event);
        true
    }

    fn loss(&mut self, loss: &Loss<'_>, out: &mut String) {
        let _ = write_loss(out, loss);
    }
}

fn write_loss(out: &mut String, loss: &Loss<'_>) -> std::fmt::Result {
    let Loss { events, probe, cpu, before } = *loss;
    let place = format_args!("[{}] {} on CPU {cpu}", probe.tag, Escaped(&probe.name));
    match before {
        Some(time) => writeln!(out, "{time} lost {events} events of {place} before this"),
        None => writeln!(out, "lost {events} events of {place} after its last event"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::RefCell, rc::Rc, sync::Arc};
    use tracer_event::{Clock, Context, Layout, NoSymbols, ProbeInfo, Probes, Tag, Trim};

    /// Keeps each write apart.
    #[derive(Clone, Default)]
    struct Writes(Rc<RefCell<Vec<String>>>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().push(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

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
}
