//! Events as text, the form that people paste into tickets (DESIGN §11). There is one renderer, for live events and for
//! stored ones, and nothing in it is about a particular collector: what is printed, and where, is in the schemas.
//!
//! ```text
//! TIME [COMM] PID [TAG] PROBE HEAD...
//!     FRAME...
//!   PACKET TEXTS
//!   TEXT OF A SECTION
//! ```

use std::fmt;

use crate::stack::Frame;
use crate::stacks::Stacks;
use crate::steps::Step;
use crate::texts::Texts;
use crate::{Context, Escaped, Event, Loss, ProbeInfo, Section, Shortfall, append, show, utc};

/// Prints an event. Each line ends with a newline; sections that are absent or have nothing to say leave no trace.
///
/// For one event, or few: a [`Renderer`] prints the same and remembers what events have in common.
///
/// # Errors
///
/// Only those of `out`.
pub fn write(out: &mut dyn fmt::Write, event: &Event<'_>) -> fmt::Result {
    let mut text = String::new();
    Renderer::new().event(&mut text, event);
    out.write_str(&text)
}

/// Prints many events of one session. It remembers the stacks and sections that it has printed, in at most 12 MiB, so it
/// must not outlive what their symbols say: whoever begins with another session takes another renderer.
#[derive(Debug)]
pub struct Renderer {
    stacks: Stacks,
    texts: Texts,
}

impl Renderer {
    /// Knows no stack yet.
    pub fn new() -> Renderer {
        Renderer { stacks: Stacks::new(), texts: Texts::default() }
    }

    /// Appends an event. Each line ends with a newline; sections that are absent or have nothing to say leave no trace.
    pub fn event(&mut self, out: &mut String, event: &Event<'_>) {
        self.push_head(out, event);
        if !event.record.stack_bytes().is_empty() {
            self.stacks.push(out, event, push_stack);
        }
        self.push_packet_line(out, event);
        self.push_lines(out, event);
    }

    /// Appends a line about a loss, in its place among the events.
    pub fn loss(&mut self, out: &mut String, loss: &Loss<'_>, context: &Context<'_>) {
        let Loss { events, probe, cpu, before } = *loss;
        if let Some(time) = before {
            push_time(out, time, context);
            out.push(' ');
        }
        out.push_str("lost ");
        append::decimal(out, events);
        out.push_str(" events of ");
        push_probe(out, probe);
        out.push_str(" on CPU ");
        append::decimal(out, cpu);
        out.push_str(if before.is_some() { " before this\n" } else { " after its last event\n" });
    }

    /// Appends a line about what a collector's events do not tell.
    pub fn shortfall(&mut self, out: &mut String, shortfall: &Shortfall) {
        out.push_str("collector ");
        Escaped(&shortfall.collector).push(out);
        out.push_str(": ");
        append::decimal(out, shortfall.count);
        out.push(' ');
        Escaped(&shortfall.what).push(out);
        out.push('\n');
    }

    fn push_head(&mut self, out: &mut String, event: &Event<'_>) {
        let header = event.record.header();
        push_time(out, header.time, event.context);
        out.push_str(" [");
        Escaped(&header.comm()).push(out);
        out.push_str("] ");
        append::decimal(out, header.pid);
        out.push(' ');
        push_probe(out, event.probe);
        for index in &event.record.layout().lines().head {
            self.push_section(out, " ", *index, event);
        }
        out.push('\n');
    }

    fn push_packet_line(&mut self, out: &mut String, event: &Event<'_>) {
        let mut prefix = "  ";
        for index in &event.record.layout().lines().packet {
            if self.push_section(out, prefix, *index, event) {
                prefix = " ";
            }
        }
        if prefix == " " {
            out.push('\n');
        }
    }

    fn push_lines(&mut self, out: &mut String, event: &Event<'_>) {
        for index in &event.record.layout().lines().own {
            if self.push_section(out, "  ", *index, event) {
                out.push('\n');
            }
        }
    }

    /// Appends the text of a section, if it is present and says something, behind `prefix`.
    fn push_section(&mut self, out: &mut String, prefix: &str, index: usize, event: &Event<'_>) -> bool {
        let Some(section) = event.record.section(index) else { return false };
        let before = out.len();
        out.push_str(prefix);
        let start = out.len();
        let probe = event.record.header().probe;
        self.texts.push(out, probe, index, &section, |out| {
            push_steps(out, section.schema().steps(), &section, event.context);
        });
        let says = out.len() > start;
        if !says {
            out.truncate(before);
        }
        says
    }
}

impl Default for Renderer {
    fn default() -> Renderer {
        Renderer::new()
    }
}

/// Monotonic nanoseconds, or the wall clock where that is wanted and known.
fn push_time(out: &mut String, time: u64, context: &Context<'_>) {
    match utc::realtime(time, context) {
        Some(realtime) => utc::push(out, realtime),
        None => append::decimal(out, time),
    }
}

fn push_probe(out: &mut String, probe: &ProbeInfo) {
    out.push('[');
    out.push_str(probe.tag.as_str());
    out.push_str("] ");
    Escaped(&probe.name).push(out);
}

fn push_stack(out: &mut String, frames: &[Frame<'_>]) {
    for Frame { address, symbol } in frames {
        out.push_str("    ");
        match symbol {
            Some(symbol) => {
                Escaped(&symbol.name).push(out);
                out.push('+');
                append::hex(out, symbol.offset);
            }
            None => {
                out.push_str("0x");
                append::hex_digits(out, address.unwrap_or(0), 16);
            }
        }
        out.push('\n');
    }
}

fn push_steps(out: &mut String, steps: &[Step], section: &Section<'_>, context: &Context<'_>) {
    // The schema was checked: every field that its template names exists.
    let field = |index: usize| section.schema().fields().get(index);
    for step in steps {
        match step {
            Step::Literal(words) => out.push_str(words),
            Step::Field(index) => {
                if let Some(field) = field(*index) {
                    show::push(out, section, field, context);
                }
            }
            Step::Group(needs, steps) => {
                let is_met = needs.iter().all(|need| {
                    field(need.field).is_some_and(|field| match &need.word {
                        Some(word) => show::is(section, field, word, context),
                        None => show::is_set(section, field, context),
                    })
                });
                if is_met {
                    push_steps(out, steps, section, context);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, dropmon};
    use crate::{Clock, ClockSample, Probes, Record, header};

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

    #[test]
    fn the_wall_clock_is_told_where_it_is_wanted_and_known() {
        let probe = sample::probe();
        let record = sample::record();
        let mut clock = Clock::default();
        clock.add(ClockSample { monotonic: 3_443_000_000_000, realtime: 1_795_544_303_123_456_789 });
        let utc = Context { clock: &clock, utc: true, ..sample::CONTEXT };
        let starts_with = |context: Context<'_>, time: &str| {
            let record = Record::parse(&record, &probe.layout).unwrap();
            let mut out = String::new();
            let mut renderer = Renderer::new();
            renderer.event(&mut out, &Event { record, probe: &probe, context: &context });
            assert!(out.starts_with(&format!("{time} [swapper/0] 0 [k] __nft_trace_packet\n")), "{out}");
            out.clear();
            let before = Some(record.header().time);
            renderer.loss(&mut out, &Loss { events: 17, probe: &probe, cpu: 3, before }, &context);
            let lost = "lost 17 events of [k] __nft_trace_packet on CPU 3";
            assert_eq!(out, format!("{time} {lost} before this\n"));
            out.clear();
            renderer.loss(&mut out, &Loss { events: 17, probe: &probe, cpu: 3, before: None }, &context);
            assert_eq!(out, format!("{lost} after its last event\n"));
        };
        starts_with(utc, "2026-11-24T18:18:23.436539787Z");
        starts_with(Context { utc: false, ..utc }, "3443313082998");
        starts_with(Context { clock: &Clock::NONE, ..utc }, "3443313082998");
    }

    #[test]
    fn names_in_a_final_array_and_a_whole_stack() {
        let symbols = dropmon::Table::new();
        let context = Context { own_netns: Some(sample::NETNS), symbols: &symbols, ..sample::CONTEXT };
        let probes = Probes::new(vec![dropmon::probe()]);
        let record = dropmon::record();
        let event = probes.event(&record, &context).unwrap();
        let mut text = String::new();
        write(&mut text, &event).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 20 + 2);
        assert_eq!(lines[1], "    __nft_trace_packet+0x21");
        assert!(lines[21].starts_with("  if 2 (eth0) rxif 2 172.16.42.1.52294 > "), "{text}");
        let rule = "  table firewalld (1) chain filter_IN_FedoraServer (202) handle 215 drop";
        assert_eq!(lines[22], rule);
    }
}
