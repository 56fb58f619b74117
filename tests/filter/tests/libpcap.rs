//! The filter's two back ends against libpcap: packets of all protocols, whole, cut and spoilt, and filters of all kinds,
//! both made at random, must match alike. `tcpdump` is all that this needs from outside; where it is not installed, the
//! tests say so and do nothing.

use std::time::{Duration, Instant};

use tracer_compose::filter::packet::Program;
use tracer_dsl::filter::Filter;
use tracer_event::packet::{Capture, ETHERNET, RAW};
use tracer_filter_tests::machine::Machine;
use tracer_filter_tests::numbers::Numbers;
use tracer_filter_tests::pcap::Captured;
use tracer_filter_tests::{expressions, generate, packets, tcpdump};
use tracer_trace::filter::PacketFilter;

/// Filters and packets of a run without a time; each filter is asked of each packet.
const FILTERS: usize = 500;
const PACKETS: usize = 250;

#[test]
fn matches_what_tcpdump_matches() {
    let seconds = std::env::var("TRACER_FUZZ_SECONDS").ok().map(|s| s.parse().expect("a number of seconds"));
    let start = Instant::now();
    let seed = if seconds.is_some() { u64::from(std::process::id()) } else { 1 };
    let mut n = Numbers::new(seed);
    let (mut filters, mut pairs, mut matched, mut refused, mut lost) = (0, 0, 0, 0, 0);
    let more = |filters: usize| match seconds {
        Some(seconds) => start.elapsed() < Duration::from_secs(seconds),
        None => filters < FILTERS,
    };
    while more(filters) {
        let link = if n.once_in(5) { RAW } else { ETHERNET };
        let packets = packets(&mut n, PACKETS, if link == RAW { 14 } else { 0 });
        let Some(file) = tcpdump::File::new(link, &packets) else { return };
        for _ in 0..50 {
            filters += 1;
            let text = expressions::expression(&mut n, &packets);
            // Without a link header, its bytes are beyond the data here and the network header's in libpcap.
            if link == RAW && ["ether[", "link["].iter().any(|load| text.contains(load)) {
                continue;
            }
            let parsed = text.parse::<Filter>().ok();
            let ours = parsed.as_ref().and_then(|filter| PacketFilter::new(filter).ok());
            let theirs = file.matching(&text);
            let (ours, theirs) = match (ours, theirs) {
                (Some(ours), Ok(theirs)) => (ours, theirs),
                (None, Err(_)) => {
                    refused += 1;
                    continue;
                }
                // Of packets without a link header, we do not know beforehand.
                (Some(_), Err(_)) if link == RAW => {
                    refused += 1;
                    continue;
                }
                // It looks at the first number that is read for the right side, be it an index.
                (Some(_), Err(why)) if why.contains("by zero") || why.contains("shift by more") => {
                    refused += 1;
                    continue;
                }
                (Some(_), Err(why)) => panic!("seed {seed}: tcpdump refuses `{text}`: {why}"),
                (None, Ok(_)) => {
                    let why = text.parse::<Filter>().map(|f| PacketFilter::new(&f).map(|_| ()));
                    panic!("seed {seed}: tcpdump takes `{text}`: {why:?}")
                }
            };
            let program = Program::new(&parsed.unwrap()).unwrap_or_else(|why| panic!("`{text}`: {why}"));
            let machine = Machine::new(program);
            for (number, packet) in packets.iter().enumerate() {
                let Captured { bytes, original } = packet;
                let capture = Capture { bytes, link, ethertype: 0, tag: None, original: *original };
                let (ours, theirs) = (ours.matches(&capture), theirs.contains(&number));
                let bpf = machine.matches(&capture);
                // Behind an authentication header, libpcap goes on at a wrong place.
                if ours != theirs && text.contains("protochain") && bytes.contains(&51) {
                    lost += 1;
                    continue;
                }
                assert_eq!(ours, bpf, "seed {seed}: BPF of `{text}` of link {link}: {packet:x?}");
                assert_eq!(ours, theirs, "seed {seed}: `{text}` of link {link}: {packet:x?}");
                pairs += 1;
                matched += usize::from(ours);
            }
        }
    }
    let took = start.elapsed();
    eprintln!("{filters} filters, {refused} refused by both; {pairs} pairs, {matched} matches, in {took:?}");
    assert!(lost <= pairs / 10_000, "{lost} of {pairs}");
    assert!(pairs >= 100_000 && matched > pairs / 20 && matched < pairs / 2, "{matched} of {pairs}");
}

/// A tag that a device took off counts as if it were in the data.
#[test]
fn a_tag_apart_is_as_if_it_were_in_the_data() {
    let mut n = Numbers::new(7);
    let mut tags = 0;
    while tags < 300 {
        let bytes = generate::frame(&mut n);
        let ethertype = u16::from_be_bytes([bytes[12], bytes[13]]);
        if !matches!(ethertype, 0x8100 | 0x88a8) {
            continue;
        }
        tags += 1;
        let whole = [Captured::whole(bytes.clone())];
        let apart = [&bytes[..12], &bytes[16..]].concat();
        let tag =
            tracer_event::packet::Tag { ethertype, control: u16::from_be_bytes([bytes[14], bytes[15]]) };
        for text in [expressions::expression(&mut n, &whole), "vlan and ip".into(), "less 100".into()] {
            let Ok(filter) = text.parse::<Filter>() else { continue };
            let Ok(filter) = PacketFilter::new(&filter) else { continue };
            let original = whole[0].original;
            let inside = Capture { bytes: &bytes, link: ETHERNET, ethertype: 0, tag: None, original };
            let outside = Capture { bytes: &apart, tag: Some(tag), original: original - 4, ..inside };
            assert_eq!(filter.matches(&inside), filter.matches(&outside), "`{text}`: {bytes:x?}");
        }
    }
}
