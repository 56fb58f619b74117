//! The two back ends against each other, where libpcap cannot be asked: tags that stand beside the data, EtherTypes that
//! do, links that are none, lengths that are wrong, data that is noise or none at all.

use std::time::{Duration, Instant};

use tracer_compose::filter::packet::Program;
use tracer_dsl::filter::Filter;
use tracer_event::packet::{Capture, ETHERNET, RAW, Tag};
use tracer_filter_tests::machine::Machine;
use tracer_filter_tests::numbers::Numbers;
use tracer_filter_tests::{expressions, frames, packets};
use tracer_trace::filter::PacketFilter;

/// Filters of a run without a time, and packets that each is asked of.
const FILTERS: usize = 400;
const PACKETS: usize = 100;

#[test]
fn what_the_interpreter_matches_the_program_matches() {
    let seconds = std::env::var("TRACER_FUZZ_SECONDS").ok().map(|s| s.parse().expect("a number of seconds"));
    let start = Instant::now();
    let seed = if seconds.is_some() { u64::from(std::process::id()) } else { 5 };
    let mut n = Numbers::new(seed);
    let samples = packets(&mut n, 100, 0);
    let (mut filters, mut pairs, mut matched) = (0, 0, 0);
    let more = |filters: usize| match seconds {
        Some(seconds) => start.elapsed() < Duration::from_secs(seconds),
        None => filters < FILTERS,
    };
    while more(filters) {
        let text = match n.below(8) {
            0 => format!("len {} {}", n.pick(&["<", ">=", "="]), n.below(200)),
            1 => format!("ether[{}:{}] & {} = {}", n.below(40), n.pick(&[1, 2, 4]), n.below(256), n.below(4)),
            _ => expressions::expression(&mut n, &samples),
        };
        let Ok(filter) = text.parse::<Filter>() else { continue };
        let Ok(interpreter) = PacketFilter::new(&filter) else { continue };
        let program = Program::new(&filter).unwrap_or_else(|why| panic!("`{text}`: {why}"));
        let machine = Machine::new(program);
        filters += 1;
        for _ in 0..PACKETS {
            let bytes = packet(&mut n);
            let link = n.pick(&[ETHERNET, ETHERNET, RAW, RAW, RAW, 0, 113, u32::MAX]);
            // What such data begins with.
            let bytes =
                if link == RAW && n.once_in(2) { bytes.get(14..).unwrap_or_default() } else { &bytes };
            let bytes = if n.once_in(3) { &bytes[..n.below(bytes.len() + 1)] } else { bytes };
            let original = match n.below(6) {
                0 => n.pick(&[0, 1, u32::MAX, u32::MAX - 2]),
                1 => n.u32() % 300,
                _ => u32::try_from(bytes.len()).unwrap(),
            };
            let ethertype = n.pick(&[0, 0, 0x0800, 0x86dd, 0x0806, 0x8847, 4, 0x8100]);
            let kind = n.pick(&[0x8100, 0x88a8, 0x9100, 0x1234]);
            let tag = n.once_in(2).then(|| Tag { ethertype: kind, control: n.u16() & 0x3007 });
            let capture = Capture { bytes, link, ethertype, tag, original };
            // An event without a byte and a length has no packet.
            let expected = (!bytes.is_empty() || original > 0) && interpreter.matches(&capture);
            assert_eq!(machine.matches(&capture), expected, "seed {seed}: `{text}`: {capture:x?}");
            pairs += 1;
            matched += usize::from(expected);
        }
    }
    eprintln!("{filters} filters, {pairs} pairs, {matched} matches, in {:?}", start.elapsed());
    assert!(matched > pairs / 20 && matched < pairs / 2, "{matched} of {pairs}");
}

fn packet(n: &mut Numbers) -> Vec<u8> {
    match n.below(12) {
        0 => Vec::new(),
        1 => {
            let len = n.below(100);
            n.bytes(len)
        }
        // More than filters look at.
        2 => {
            let mut bytes = frames::frame(n);
            bytes.resize(n.pick(&[600, 4095, 4096, 4097, 5000]), 0x45);
            bytes
        }
        _ => frames::frame(n),
    }
}

/// Where the frame ends for filters, and where the data does, is the same for both.
#[test]
fn the_last_bytes_of_a_frame_are_in_it() {
    let bytes = [&[2; 12][..], &[0x08, 0], &[0x45; 5000]].concat();
    for (text, expected) in [
        ("ether[4095] = 0x45", true),
        ("ether[4092:4] = 0x45454545", true),
        ("ether[4096] = 0x45", false),
        ("not ether[4096] = 0x45", false),
        ("ether[4093:4] = 0x45454545", false),
        ("ether[len - 1000] = 0x45", true),
        ("ether[len - 1] = 0x45", false),
    ] {
        let filter: Filter = text.parse().unwrap();
        let capture = Capture { bytes: &bytes, link: ETHERNET, ethertype: 0, tag: None, original: 5014 };
        assert_eq!(PacketFilter::new(&filter).unwrap().matches(&capture), expected, "{text}");
        assert_eq!(Machine::new(Program::new(&filter).unwrap()).matches(&capture), expected, "{text}");
    }
}
