//! Events as text, the form that people paste into tickets (DESIGN §11). There is one renderer, for live events and for
//! stored ones, and nothing in it is about a particular collector: what is printed, and where, is in the schemas.
//!
//! ```text
//! TIME [COMM] PID [TAG] PROBE HEAD...
//!     FRAME...
//!   PACKET TEXTS
//!   TEXT OF A SECTION
//! ```

use std::collections::HashMap;
use std::fmt::{self, Write};

use crate::template::{Group, Need, Piece};
use crate::{Context, Escaped, Event, Place, Section, Show, show};

/// Prints an event. Each line ends with a newline; sections that are absent or have nothing to say leave no trace.
///
/// # Errors
///
/// Only those of `out`.
pub fn write(out: &mut dyn Write, event: &Event<'_>) -> fmt::Result {
    Texts::forgetful().write(out, event)
}

/// Prints events as [`write()`] does, and remembers what it printed: most events have the stack of an earlier one, the same
/// rule or the same device, and looking their text up takes less than making it again.
///
/// For events of one session, whose addresses have the same names all the time.
#[derive(Debug)]
pub struct Texts {
    /// By the probe's number; in it the stacks, and behind them the layout's sections.
    probes: Vec<Vec<Known>>,
    most: usize,
}

/// Texts by the bytes that they were made of.
type Known = HashMap<Vec<u8>, String>;

impl Default for Texts {
    fn default() -> Texts {
        Texts { probes: Vec::new(), most: Texts::MOST }
    }
}

impl Texts {
    /// Stacks of a probe, and sections of one sort, that are remembered at most.
    const MOST: usize = 1024;

    fn forgetful() -> Texts {
        Texts { probes: Vec::new(), most: 0 }
    }

    /// Prints an event. Each line ends with a newline; sections that are absent or have nothing to say leave no trace.
    ///
    /// # Errors
    ///
    /// Only those of `out`.
    pub fn write(&mut self, out: &mut dyn Write, event: &Event<'_>) -> fmt::Result {
        self.write_head(out, event)?;
        let header = event.record.header();
        let bytes = event.record.bytes();
        let stack = &bytes[bytes.len().saturating_sub(header.stack as usize)..];
        self.write_known(out, event, 0, stack, &|out| write_stack(out, event))?;
        self.write_packet_line(out, event)?;
        self.write_lines(out, event)
    }

    fn write_head(&mut self, out: &mut dyn Write, event: &Event<'_>) -> fmt::Result {
        let header = event.record.header();
        let (time, comm, pid) = (header.time, header.comm(), header.pid);
        let (tag, name) = (event.probe.tag, &event.probe.name);
        write!(out, "{time} [{}] {pid} [{tag}] {}", Escaped(&comm), Escaped(name))?;
        for (index, section) in placed(event, Place::Head) {
            self.write_section(&mut Prefixed { prefix: " ", out }, event, index, &section)?;
        }
        out.write_char('\n')
    }

    fn write_packet_line(&mut self, out: &mut dyn Write, event: &Event<'_>) -> fmt::Result {
        let mut prefix = "  ";
        for index in event.record.layout().packet_line() {
            let Some(section) = event.record.section(*index) else { continue };
            let mut text = Prefixed { prefix, out };
            self.write_section(&mut text, event, *index, &section)?;
            if text.prefix.is_empty() {
                prefix = " ";
            }
        }
        if prefix == " " { out.write_char('\n') } else { Ok(()) }
    }

    fn write_lines(&mut self, out: &mut dyn Write, event: &Event<'_>) -> fmt::Result {
        for (index, section) in placed(event, Place::Line) {
            let mut text = Prefixed { prefix: "  ", out };
            self.write_section(&mut text, event, index, &section)?;
            if text.prefix.is_empty() {
                out.write_char('\n')?;
            }
        }
        Ok(())
    }

    fn write_section(
        &mut self,
        out: &mut dyn Write,
        event: &Event<'_>,
        index: usize,
        section: &Section<'_>,
    ) -> fmt::Result {
        let Some(text) = section.schema().text() else { return Ok(()) };
        let write = |out: &mut dyn Write| write_pieces(out, text.template.pieces(), section, event.context);
        // No two packets are the same.
        if section.schema().fields().iter().any(|field| field.show == Show::Packet) {
            return write(out);
        }
        self.write_known(out, event, index + 1, section.bytes(), &write)
    }

    /// Prints what `write` does, which depends on `bytes` alone.
    fn write_known(
        &mut self,
        out: &mut dyn Write,
        event: &Event<'_>,
        part: usize,
        bytes: &[u8],
        write: &dyn Fn(&mut dyn Write) -> fmt::Result,
    ) -> fmt::Result {
        if self.most == 0 {
            return write(out);
        }
        let probe = usize::from(event.record.header().probe);
        if self.probes.len() <= probe {
            self.probes.resize_with(probe + 1, Vec::new);
        }
        let parts = &mut self.probes[probe];
        if parts.len() <= part {
            parts.resize_with(part + 1, Known::new);
        }
        let known = &mut parts[part];
        if let Some(text) = known.get(bytes) {
            return out.write_str(text);
        }
        if known.len() >= self.most {
            return write(out);
        }
        let mut text = String::new();
        write(&mut text)?;
        out.write_str(&text)?;
        known.insert(bytes.to_owned(), text);
        Ok(())
    }
}

fn write_stack(out: &mut dyn Write, event: &Event<'_>) -> fmt::Result {
    for frame in event.probe.trim.frames(event.record.stack(), event.context.symbols) {
        match frame.symbol {
            Some(symbol) => writeln!(out, "    {}+{:#x}", Escaped(&symbol.name), symbol.offset)?,
            None => writeln!(out, "    {:#018x}", frame.address)?,
        }
    }
    Ok(())
}

/// The present sections with a text in that place, in the layout's order, with their indices.
fn placed<'a>(event: &Event<'a>, place: Place) -> impl Iterator<Item = (usize, Section<'a>)> + use<'a> {
    let record = event.record;
    let sections = record.layout().sections().iter().enumerate();
    sections
        .filter(move |(_, placed)| placed.schema.text().is_some_and(|text| text.place == place))
        .filter_map(move |(index, _)| Some((index, record.section(index)?)))
}

fn write_pieces(
    out: &mut dyn Write,
    pieces: &[Piece],
    section: &Section<'_>,
    context: &Context<'_>,
) -> fmt::Result {
    // The schema was checked: every field that its template names exists.
    let field = |name: &String| section.schema().field(name);
    let is_met = |need: &Need| {
        field(&need.field).is_some_and(|field| match &need.word {
            Some(word) => show::is(section, field, word, context),
            None => show::is_set(section, field, context),
        })
    };
    pieces.iter().try_for_each(|piece| match piece {
        Piece::Literal(text) => out.write_str(text),
        Piece::Field(name) => field(name).map_or(Ok(()), |field| show::write(out, section, field, context)),
        Piece::Group(Group { needs, pieces }) if needs.iter().all(is_met) => {
            write_pieces(out, pieces, section, context)
        }
        Piece::Group(_) => Ok(()),
    })
}

/// Puts `prefix` before the first character, and then has none: what says nothing gets no space and no line either.
struct Prefixed<'a> {
    prefix: &'static str,
    out: &'a mut dyn Write,
}

impl Write for Prefixed<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !text.is_empty() && !self.prefix.is_empty() {
            self.out.write_str(self.prefix)?;
            self.prefix = "";
        }
        self.out.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProbeInfo, Record, header, sample};

    fn text(bytes: &[u8], probe: &ProbeInfo, own_netns: Option<u64>) -> String {
        let context = Context { own_netns, symbols: &sample::Names, ..sample::CONTEXT };
        let record = Record::parse(bytes, &probe.layout).unwrap();
        let mut text = String::new();
        write(&mut text, &Event { record, probe, context: &context }).unwrap();
        text
    }

    #[test]
    fn the_sample_of_the_design_to_the_byte() {
        let expected = "\
3443313082998 [swapper/0] 0 [k] __nft_trace_packet
    __nft_trace_packet+0x1
    nft_do_chain+0x3ef
  if 2 (eth0) rxif 2 172.16.42.1.52294 > 172.16.42.2.8080 ttl 64 tos 0x0 id 37968 off 0 [DF] len 60 proto TCP (6) flags [S] seq 1971640626 win 64240
  table firewalld (1) chain filter_IN_FedoraServer (202) handle 215 drop
";
        assert_eq!(text(&sample::record(), &sample::probe(), Some(sample::NETNS)), expected);
    }

    #[test]
    fn what_is_remembered_is_what_was_printed() {
        let probe = sample::probe();
        let context = Context { own_netns: Some(sample::NETNS), symbols: &sample::Names, ..sample::CONTEXT };
        let mut texts = Texts { most: 2, ..Texts::default() };
        for round in 0..40u8 {
            let mut bytes = sample::record();
            // A stack, a rule and a header of another event, each at its own pace.
            let stack = bytes.len() - 8;
            bytes[stack] = round / 3;
            bytes[header::TIME] = round;
            bytes[probe.layout.sections()[0].offset as usize + sample::NFT_RULE] = round / 2;
            let record = Record::parse(&bytes, &probe.layout).unwrap();
            let event = Event { record, probe: &probe, context: &context };
            let (mut once, mut known) = (String::new(), String::new());
            write(&mut once, &event).unwrap();
            texts.write(&mut known, &event).unwrap();
            assert_eq!(once, known);
        }
        assert_eq!(texts.probes[0][0].len(), 2, "no more than it may");
    }

    #[test]
    fn a_foreign_namespace_starts_the_packet_line() {
        let shown = text(&sample::record(), &sample::probe(), Some(1));
        assert!(shown.contains("\n  ns 4026531840 if 2 (eth0) rxif 2 172.16.42.1"), "{shown}");
    }

    #[test]
    fn absent_sections_leave_no_trace() {
        let probe = sample::probe();
        let bytes = sample::Bytes::new(&probe.layout).finish();
        assert_eq!(text(&bytes, &probe, None), "0 [] 0 [k] __nft_trace_packet\n");
        // Only the tracer's own namespace, which says nothing: no packet line.
        let inum = u32::try_from(sample::NETNS).unwrap().to_le_bytes();
        let bytes = sample::Bytes::new(&probe.layout).fixed(1, &inum).finish();
        assert_eq!(text(&bytes, &probe, Some(sample::NETNS)), "0 [] 0 [k] __nft_trace_packet\n");
        assert_eq!(text(&bytes, &probe, None).lines().count(), 2);
    }

    #[test]
    fn heads_follow_the_probe_and_policies_are_said() {
        let probe = sample::probe();
        let mut nft = sample::nft();
        nft[sample::NFT_RULE] = 0;
        nft[sample::NFT_POLICY] = 1;
        let bytes = sample::Bytes::new(&probe.layout).fixed(0, &nft).fixed(4, &2u32.to_le_bytes()).finish();
        let expected = "\
0 [] 0 [k] __nft_trace_packet (drop NETFILTER_DROP)
  table firewalld (1) chain filter_IN_FedoraServer (202) drop (policy)
";
        assert_eq!(text(&bytes, &probe, None), expected);
    }

    #[test]
    fn hostile_names_stay_on_their_line() {
        let probe = sample::probe();
        let mut nft = sample::nft();
        nft[..8].copy_from_slice(b"\x1b[2J\nx\0\0");
        let mut bytes = sample::Bytes::new(&probe.layout).fixed(0, &nft).finish();
        bytes[header::COMM..header::COMM + 3].copy_from_slice(b"\n\r\x07");
        let shown = text(&bytes, &probe, None);
        assert!(shown.starts_with("0 [\\n\\r\\x07] 0 "), "{shown}");
        assert!(shown.contains("table \\x1b[2J\\nx (1)"), "{shown}");
        assert_eq!(shown.lines().count(), 2);
    }

    #[test]
    fn frames_without_a_name_are_addresses() {
        let probe = sample::probe();
        let context = sample::CONTEXT;
        let bytes = sample::Bytes::new(&probe.layout).stack(&[0x1234]).finish();
        let record = Record::parse(&bytes, &probe.layout).unwrap();
        let mut text = String::new();
        write(&mut text, &Event { record, probe: &probe, context: &context }).unwrap();
        assert!(text.ends_with("\n    0x0000000000001234\n"), "{text}");
    }
}
