//! Noise: texts of every language of this room with pieces changed, taken out, doubled and exchanged. Whatever
//! comes, reading ends without a panic, and every diagnostic points into the text and can be shown. What is
//! read reads the same from its own spelling. The run is bounded and the same each time;
//! TRACER_FUZZ_SECONDS asks for a longer one, of other texts each time.

use std::time::{Duration, Instant};

use tracer_dsl::diagnostic::Colour;
use tracer_dsl::filter::Filter;
use tracer_dsl::filter::tree::{Node, NodeKind};
use tracer_dsl::{Diagnostics, OptionDef, OptionTable, Probe, Profile, SubCommand, When, option::ValueType};

/// Texts of each language in a run without a time.
const ROUNDS: usize = 30_000;

/// SplitMix64: numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Less than `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("lengths have at most 64 bits");
        usize::try_from(self.next() % end).expect("less than a length")
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// A place between two characters.
    fn place(&mut self, text: &str) -> usize {
        let mut at = self.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    fn piece<'a>(&mut self, text: &'a str) -> &'a str {
        let (a, b) = (self.place(text), self.place(text));
        &text[a.min(b)..a.max(b)]
    }
}

/// One of `seeds` with some changes.
fn text(n: &mut Numbers, seeds: &[&str], words: &[&str]) -> String {
    let mut text = n.pick(seeds).to_owned();
    for _ in 0..n.below(6) {
        let (a, b) = (n.place(&text), n.place(&text));
        let (start, end) = (a.min(b), a.max(b));
        match n.below(6) {
            0 => text.truncate(end),
            1 if end - start < 12 => text.replace_range(start..end, ""),
            2 => {
                let piece = n.piece(&text).to_owned();
                if piece.len() < 200 {
                    text.insert_str(start, &piece);
                }
            }
            3 => text.insert_str(
                start,
                n.pick(&["\u{0}", "ü", "\u{1f980}", "\u{301}", "\r\n", "\u{feff}", "\u{202e}", "\t"]),
            ),
            4 => {
                let piece = {
                    let other = n.pick(seeds);
                    n.piece(other).to_owned()
                };
                text.insert_str(start, &piece);
            }
            _ => text.insert_str(start, n.pick(words)),
        }
    }
    text
}

/// That findings can be shown, and each points at whole characters of its text.
fn sound(found: &Diagnostics, given: &str) {
    assert!(!found.is_empty(), "an error without a reason: {given:?}");
    // Drawing takes longer than reading, so some will do.
    if given.len().is_multiple_of(8) {
        assert!(!found.render(Colour::Never).contains('\u{1b}'));
    }
    for one in found {
        let source = one.source.as_ref().unwrap_or_else(|| panic!("{one:?} has no place: {given:?}"));
        assert_eq!(&*source.text, given);
        assert!(source.text.get(source.span.clone()).is_some(), "{:?} of {given:?}", source.span);
        assert!(!one.message.is_empty());
    }
}

fn run(seed: u64, seeds: &[&str], words: &[&str], check: impl Fn(&str) -> bool) {
    let seconds = std::env::var("TRACER_FUZZ_SECONDS").ok().map(|s| s.parse().expect("a number of seconds"));
    let start = Instant::now();
    let mut n = Numbers(if seconds.is_some() { u64::from(std::process::id()) } else { seed });
    let (mut rounds, mut read) = (0, 0);
    let more = |rounds: usize| match seconds {
        Some(seconds) => start.elapsed() < Duration::from_secs(seconds),
        None => rounds < ROUNDS,
    };
    for seed in seeds {
        assert!(check(seed), "a seed is not read: {seed:?}");
    }
    while more(rounds) {
        rounds += 1;
        read += usize::from(check(&text(&mut n, seeds, words)));
    }
    eprintln!("{rounds} texts, {read} of them read, in {:?}", start.elapsed());
    assert!(read > 0 && read < rounds);
}

#[test]
fn probes() {
    let seeds =
        ["kprobe:__nft_trace_packet/stack", "tp:skb:kfree_skb/optional", "fe:tcp_*", "skb:consume_skb"];
    run(1, &seeds, &[":", "/", "*", "stack", "kr", "$", "//"], |text| match text.parse::<Probe>() {
        Ok(probe) => {
            assert_eq!(probe.to_string().parse(), Ok(probe), "{text:?}");
            true
        }
        Err(found) => {
            sound(&found, text);
            false
        }
    });
}

#[test]
fn conditions_on_the_machine() {
    let seeds = [
        "kernel >= 5.17 and not module nf-tables",
        "symbol kfree_skb_reason or (kernel < 6.4 and not (symbol a or symbol b))",
        "not not kernel == 6.1.95",
    ];
    let words = ["(", ")", "and", "or", "not ", ">=", "<", "!=", "99999999999", ".", "kernel", "symbol "];
    run(2, &seeds, &words, |text| match text.parse::<When>() {
        Ok(when) => {
            let again: When = when.to_string().parse().unwrap_or_else(|found| panic!("{text:?}: {found}"));
            assert_eq!(again.to_string(), when.to_string(), "{text:?}");
            assert!(text.get(when.span()).is_some_and(|part| !part.is_empty()), "{text:?}");
            true
        }
        Err(found) => {
            sound(&found, text);
            false
        }
    });
}

/// The whole language, which has no one spelling to be read back from: whatever is read has its parts in their places.
#[test]
fn filters_of_packets_and_fields() {
    fn in_place(node: &Node, text: &str) {
        assert!(text.get(node.span.clone()).is_some_and(|part| !part.is_empty()), "{node:?} of {text:?}");
        match &node.kind {
            NodeKind::Not(inside) => in_place(inside, text),
            NodeKind::And(parts) | NodeKind::Or(parts) => {
                assert!(parts.len() > 1);
                parts.iter().for_each(|part| in_place(part, text));
            }
            NodeKind::Packet(_) | NodeKind::Field(_) | NodeKind::Has(_) => {}
        }
    }
    let seeds = [
        "tcp dst port (80 or 443) and not host 10.0.0.1 or src net 10.0.0.0/8",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 && ip[2:2] - ((ip[0] & 0xf) << 2) > len",
        "vlan 5 and mpls or ether src 02:42:ac:10:2a:01 or ip6 net fe80::/10",
        "nft.verdict in {drop, 0x1, \"x y\"} or dev.name =~ \"v*\" and ct.mark & 0xff != 10.0.0.1",
        "has nft and sk_buff._nfct:~0x7:nf_conn.mark[2] == -1 or portrange 6000-6008 or ip proto \\udp",
    ];
    let words = [
        "(", ")", "[", "]", "not ", "!", "and ", "||", "port ", "net ", "0x", "::", ".", "/", "-", "in {",
        "=",
    ];
    run(5, &seeds, &words, |text| match text.parse::<Filter>() {
        Ok(filter) => {
            in_place(&filter.root, text);
            // Parentheses may be more than are read.
            if let Ok(again) = filter.reading().parse::<Filter>() {
                assert_eq!(again.reading(), filter.reading(), "{text:?}");
            }
            assert!(!filter.warnings.has_errors());
            true
        }
        Err(found) => {
            sound(&found, text);
            false
        }
    });
}

#[test]
fn profiles() {
    let verdicts = OptionDef::new("nft-verdicts", "", ValueType::list_of(["accept", "drop"]))
        .selects("nft.verdict".parse().unwrap())
        .on([SubCommand::Collect]);
    let table = OptionTable::new([verdicts]).unwrap();
    let seeds = [
        include_str!("../../../profiles/nft-dropmon.toml"),
        "version = 1\nname = \"a\"\nextends = ['b', \"c\"]\nwhen = 'kernel > 5 or module x'\n[collect]\n\
         probes = ['k:f', { any = ['k:g', \"k:h/stack\"], filter = 'a.b == 1', when = 'symbol g', optional = true }]\n\
         ring_size = '8M'\nrate = 1_000\nutc = true\n[[print.x]]\n"
            .trim_end_matches("[[print.x]]\n"),
        "version = 1\nname = '''\nü'''\n[stats]\nby = 'bytes'\ntop = 0x10\n[[collect.probes]]\nprobe = 'skb:kfree_skb'\n",
    ];
    let words = [
        "\"",
        "'",
        "[",
        "]",
        "{",
        "}",
        "=",
        "#",
        "\n",
        "\\u00fc",
        "'''",
        "version",
        "when",
        "probes",
        "1979-05-27",
        "9999999999999999999",
        "[[collect.probes]]",
        "[pcap]\n",
        "true",
        "\\",
    ];
    run(4, &seeds, &words, |text| match Profile::parse("a.toml", text, &table) {
        Ok(profile) => {
            for command in profile.commands() {
                for spec in profile.settings(command).probe_specs("probe") {
                    assert!(!spec.alternatives.is_empty(), "{text:?}");
                    assert!(!spec.to_string().is_empty());
                }
            }
            true
        }
        Err(found) => {
            sound(&found, text);
            false
        }
    });
}

/// Depth costs stack in every reader that calls itself.
#[test]
fn depth_ends_without_an_overflow() {
    let table = OptionTable::new([]).unwrap();
    for open in ["[", "{a=", "{", "("] {
        let deep = open.repeat(100_000);
        assert!(Profile::parse("a", &format!("version = 1\nname = 'a'\nx = {deep}"), &table).is_err());
        assert!(deep.parse::<When>().is_err());
        assert!(deep.parse::<Filter>().is_err());
        assert!(deep.parse::<Probe>().is_err());
    }
}
