//! Events as packets in a capture file (pcapng), for Wireshark and its like. What goes where is told in
//! `docs/pcapng.md`; in short:
//!
//! ```text
//! section header       hardware, kernel, `tracer VERSION`; host; a word where times are not wall-clock times; the
//!                      session as JSON
//! interface            before its first packet: one per namespace, device and link type
//! enhanced packet      bytes, time in ns; comment: the event's text; custom option: its JSON; losses before it; packet id
//! custom block         only where another session goes on in the section: that one as JSON
//! interface statistics at the end, one per interface: packets and losses
//! ```
//!
//! All of it derives from the schemas: packets, devices, namespaces and packet ids are found by how their fields are
//! shown. A batch is one write of whole blocks, so that a file can be read while it grows.

mod block;
mod columns;
mod counts;
mod json;
mod losses;
mod section;

use std::fmt;
use std::io::{self, Write};

use tracer_event::{ClockSample, Event, Session, text};

use crate::{Loss, Sink};
use block::Block;
use columns::{Columns, Packet};
use losses::Losses;
use section::{Key, Section, Times, halves};

pub use counts::{Counts, Skipped};
pub use json::{Json, NoJson};

/// The options of a packet, but for comments.
const DROP_COUNT: u16 = 4;
const PACKET_ID: u16 = 5;

/// Writes events as packets of a pcapng file. It takes all events it gets; those without a packet are counted and left
/// out, see [`PcapngSink::counts`].
///
/// Sessions may follow each other. A new section, in which interfaces are numbered anew, begins only where its header
/// would be wrong: with another host, kernel or architecture, and where times are by another clock; and after 16,384
/// interfaces.
///
/// Losses are per probe and CPU, while the format has them per interface: all that were lost since the last packet are
/// put on the next one, whatever its interface, with a comment that says of which probe and CPU they are. So the sum is
/// right in the whole file.
pub struct PcapngSink<W> {
    out: W,
    json: Box<dyn Json + Send>,
    /// Whole blocks that are not written yet.
    pending: Vec<u8>,
    session: Session,
    section: Option<Section>,
    /// Whether the session's JSON is in the section.
    described: bool,
    /// By the probes' numbers.
    columns: Vec<Option<Columns>>,
    losses: Losses,
    /// The JSON in the making.
    text: String,
    counts: Counts,
}

impl<W: Write> PcapngSink<W> {
    /// Bytes after which a batch is written before its end: a bound on memory.
    const FULL: usize = 1 << 20;

    /// Writes to `out`, which needs no buffer of its own, with the JSON that `json` makes.
    pub fn new(out: W, json: impl Json + Send + 'static) -> PcapngSink<W> {
        PcapngSink {
            out,
            json: Box::new(json),
            pending: Vec::new(),
            session: Session::default(),
            section: None,
            described: true,
            columns: Vec::new(),
            losses: Losses::default(),
            text: String::new(),
            counts: Counts::default(),
        }
    }

    /// How many events became packets, and how many did not. The handle stays good after [`Sink::finish`].
    pub fn counts(&self) -> Counts {
        self.counts.clone()
    }

    fn write_pending(&mut self) -> io::Result<()> {
        let written = self.out.write_all(&self.pending);
        // Also after an error: part of it may be out, and must not come twice.
        self.pending.clear();
        written
    }

    fn write_if_full(&mut self) -> io::Result<()> {
        if self.pending.len() >= PcapngSink::<W>::FULL { self.write_pending() } else { Ok(()) }
    }

    /// The section for what has such times, begun if it is not yet, with the session described in it.
    fn open(&mut self, times: Times) -> &mut Section {
        if self.section.as_ref().is_some_and(|section| section.times() != times) {
            self.close();
        }
        if self.section.is_none() || !self.described {
            self.text.clear();
            self.json.session(&mut self.text, &self.session);
            // A new section has it in its header.
            if self.section.is_some() && !self.text.is_empty() {
                let mut custom = Block::new(&mut self.pending, block::CUSTOM);
                self.counts.numbers().long_json.add(custom.custom(&self.text, block::SESSION_MAX));
                custom.finish();
            }
            self.described = true;
        }
        self.section.get_or_insert_with(|| {
            let (section, too_long) = Section::begin(&mut self.pending, &self.session, times, &self.text);
            self.counts.numbers().long_json.add(too_long);
            section
        })
    }

    /// Ends the section with its statistics.
    fn close(&mut self) {
        if let Some(section) = self.section.take() {
            section.end(&mut self.pending, &mut self.losses);
        }
    }

    /// The columns of the event's probe.
    fn columns(&mut self, event: &Event<'_>) -> &Columns {
        let (number, layout) = (usize::from(event.record.header().probe), &event.probe.layout);
        if self.columns.len() <= number {
            self.columns.resize_with(number + 1, || None);
        }
        let columns = &mut self.columns[number];
        if columns.as_ref().is_some_and(|columns| !columns.are_of(layout)) {
            *columns = None;
        }
        columns.get_or_insert_with(|| Columns::new(layout))
    }

    /// The interface of such packets, described if it is new.
    fn interface(&mut self, times: Times, own_netns: Option<u64>, key: Key<'_>) -> usize {
        if let Some(number) = self.open(times).interface(key) {
            return number;
        }
        if self.section.as_ref().is_some_and(Section::is_full) {
            self.close();
        }
        let number = self.open(times).add(key);
        section::describe(&mut self.pending, &self.session, own_netns, key);
        number
    }

    fn packet(&mut self, event: &Event<'_>, packet: &Packet<'_>, link: u16) {
        let context = event.context;
        let columns = self.columns(event);
        let (netns, device) = (columns.netns(event), columns.device(event));
        let times = Times::of(context.clock);
        let time = times.of_event(context.clock, event.record.header().time);
        let key = Key { netns, link, device: device.as_deref().unwrap_or_default() };
        let interface = self.interface(times, context.own_netns, key);
        let losses = std::mem::take(&mut self.losses);
        if let Some(section) = &mut self.section {
            section.count(interface, time, losses.events());
        }
        self.text.clear();
        self.json.event(&mut self.text, event);

        let (pieces, original) = packet.on_the_wire();
        let captured: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut block = Block::new(&mut self.pending, block::ENHANCED_PACKET);
        block.fixed((interface as u32).to_le_bytes());
        block.fixed(halves(time));
        block.fixed((captured as u32).to_le_bytes());
        block.fixed(original.to_le_bytes());
        for piece in pieces {
            block.bytes(piece);
        }
        block.pad();
        let numbers = self.counts.numbers();
        numbers.cut_text.add(block.text_by(block::COMMENT, |out| text::write(out, event)));
        if losses.events() > 0 {
            block.text(block::COMMENT, losses.text());
            block.option(DROP_COUNT, losses.events().to_le_bytes());
        }
        if let Some(id) = event.record.packet_id() {
            block.option(PACKET_ID, id.to_le_bytes());
        }
        numbers.long_json.add(block.json(&self.text, block::JSON_MAX));
        block.finish();
        numbers.packets.add(true);
    }
}

impl<W: Write> Sink for PcapngSink<W> {
    fn begin(&mut self, session: &Session) -> io::Result<()> {
        if self.section.as_ref().is_some_and(|section| !section.is_of(session)) {
            self.close();
        }
        self.session = session.clone();
        self.described = false;
        self.columns.clear();
        Ok(())
    }

    fn clock(&mut self, _: ClockSample) -> io::Result<()> {
        // Now it is known what times are, so a live reader need not wait for the first packet.
        self.open(Times::Wall);
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let Some(packet) = self.columns(event).packet(event) else {
            self.counts.numbers().without_packet.add(true);
            return Ok(());
        };
        match u16::try_from(packet.link) {
            Ok(link) => self.packet(event, &packet, link),
            Err(_) => self.counts.numbers().other_link.add(true),
        }
        self.write_if_full()
    }

    fn loss(&mut self, loss: &Loss<'_>) -> io::Result<()> {
        self.losses.add(loss);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() {
            self.write_pending()?;
        }
        self.out.flush()
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        // A file without packets is a capture file too.
        self.open(self.section.as_ref().map_or(Times::Wall, Section::times));
        self.close();
        self.flush()
    }
}

impl<W: fmt::Debug> fmt::Debug for PcapngSink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PcapngSink")
            .field("out", &self.out)
            .field("pending", &self.pending.len())
            .field("session", &self.session)
            .field("losses", &self.losses)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
