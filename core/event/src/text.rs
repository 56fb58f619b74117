//! Events as text, the form that people paste into tickets (DESIGN §11). There is one renderer, for live events and for
//! stored ones, and nothing in it is about a particular collector: what is printed, and where, is in the schemas.
//!
//! ```text
//! TIME [COMM] PID [TAG] PROBE HEAD...
//!     FRAME...
//!   PACKET TEXTS
//!   TEXT OF A SECTION
//! ```
//!
//! In a sorted trace, a packet's later events are indented as a whole, and marked with the time since its first one:
//!
//! ```text
//!     ↳ +12.345us TIME [COMM] PID [TAG] PROBE HEAD...
//!       PACKET TEXTS
//! ```

use std::fmt;

use crate::stack::Frame;
use crate::stacks::Stacks;
use crate::steps::Step;
use crate::texts::Texts;
use crate::{Context, Escaped, Event, Follow, Loss, ProbeInfo, Section, Shortfall, append, show, utc};

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
    /// An event that is to be indented.
    lines: String,
}

/// What a packet's later events are indented by.
const INDENT: &str = "    ";

impl Renderer {
    /// Knows no stack yet.
    pub fn new() -> Renderer {
        Renderer { stacks: Stacks::new(), texts: Texts::default(), lines: String::new() }
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

    /// Appends an event of a packet that others were seen of. Its lines are those of [`Renderer::event`], indented, behind
    /// a mark; what was lost in between has a line of its own.
    pub fn follower(&mut self, out: &mut String, event: &Event<'_>, follow: Follow) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        self.event(&mut lines, event);
        if follow.lost > 0 {
            out.push_str(INDENT);
            out.push_str("↳ ");
            append::decimal(out, follow.lost);
            out.push_str(" events were lost in between, of this packet or of others\n");
        }
        let mut prefix = "    ↳ ";
        for line in lines.split_inclusive('\n') {
            out.push_str(prefix);
            if prefix != INDENT {
                push_since(out, follow.since);
                out.push(' ');
                prefix = INDENT;
            }
            out.push_str(line);
        }
        self.lines = lines;
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

/// `+345ns`, `+12.345us`, `+1.234ms`, `+61.500s`: cut, not rounded.
fn push_since(out: &mut String, since: u64) {
    out.push('+');
    let (unit, name) = match since {
        0..1_000 => {
            append::decimal(out, since);
            out.push_str("ns");
            return;
        }
        1_000..1_000_000 => (1_000, "us"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    append::decimal(out, since / unit);
    out.push('.');
    let thousandths = since % unit / (unit / 1_000);
    for digit in [thousandths / 100, thousandths / 10 % 10, thousandths % 10] {
        append::decimal(out, digit);
    }
    out.push_str(name);
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
    use crate::sample::{self, dropmon, tracked};
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

    const ID: u64 = 0x1f_dd03_636d;

    /// The text of an event that is followed, and of one that follows.
    fn tracked(hit: tracked::Hit, follow: Option<Follow>) -> String {
        let probes = tracked::probes();
        let record = hit.record(&probes);
        let event = probes.event(&record, &sample::CONTEXT).unwrap();
        let (mut text, mut renderer) = (String::new(), Renderer::new());
        match follow {
            None => renderer.event(&mut text, &event),
            Some(follow) => renderer.follower(&mut text, &event, follow),
        }
        text
    }

    #[test]
    fn the_packets_id_stands_behind_the_probe() {
        let first = |probe, id| {
            let text = tracked(tracked::Hit { probe, at: 2, id, cpu: 0 }, None);
            text.lines().next().unwrap().to_owned()
        };
        let start = "3443313083000 [swapper/0] 0 [tp]";
        assert_eq!(first(tracked::RECEIVED, ID), format!("{start} net:netif_receive_skb #1fdd03636d"));
        // Also where another section of the first line was collected before it.
        let freed = format!("{start} skb:kfree_skb #1fdd03636d (drop NOT_SPECIFIED)");
        assert_eq!(first(tracked::FREED, ID), freed);
        assert_eq!(
            first(tracked::RECEIVED, u64::MAX),
            format!("{start} net:netif_receive_skb #ffffffffffffffff")
        );
        assert_eq!(
            first(tracked::RECEIVED, 0),
            format!("{start} net:netif_receive_skb"),
            "nothing follows it"
        );
    }

    #[test]
    fn followers_are_the_same_lines_marked_and_indented() {
        let hit = tracked::Hit { probe: tracked::FREED, at: 12_345, id: ID, cpu: 0 };
        let plain = tracked(hit, None);
        let follow = Follow { since: 12_345, lost: 0 };
        let expected = format!("    ↳ +12.345us {}", plain.trim_end().replace('\n', "\n    ")) + "\n";
        assert_eq!(tracked(hit, Some(follow)), expected);
        let lost = "    ↳ 17 events were lost in between, of this packet or of others\n";
        assert_eq!(tracked(hit, Some(Follow { lost: 17, ..follow })), format!("{lost}{expected}"));
    }

    #[test]
    fn times_since_have_three_digits_behind_the_point() {
        let told = [
            (0, "+0ns"),
            (999, "+999ns"),
            (1_000, "+1.000us"),
            (12_045, "+12.045us"),
            (999_999, "+999.999us"),
            (1_002_999, "+1.002ms"),
            (61_500_000_000, "+61.500s"),
            (u64::MAX, "+18446744073.709s"),
        ];
        for (since, expected) in told {
            let mut text = String::new();
            push_since(&mut text, since);
            assert_eq!(text, expected);
        }
    }
}
