//! Noise: valid packets with bytes changed, taken out, doubled, and cut. Whatever comes, decoding ends, and its text is one
//! line of printable characters. The run is bounded and the same each time; TRACER_FUZZ_SECONDS asks for a longer one, of
//! other numbers each time.

use std::time::{Duration, Instant};

use tracer_event::packet::{Capture, ETHERNET, Flaw, Packet, RAW, Tag};

use crate::{generate, numbers::Numbers};

/// Packets of a run without a time.
const ROUNDS: usize = 150_000;
/// EtherTypes that data without a link header may be said to have.
const TYPES: [u16; 8] = [0, 0x0800, 0x86dd, 0x0806, 0x8100, 0x8847, 0x6558, 0xffff];

#[test]
fn noise_is_a_line_of_text() {
    let seconds = std::env::var("TRACER_FUZZ_SECONDS").ok().map(|s| s.parse().expect("a number of seconds"));
    let start = Instant::now();
    let seed = if seconds.is_some() { u64::from(std::process::id()) } else { 1 };
    let mut n = Numbers::new(seed);
    let mut rounds = 0;
    let more = |rounds: usize| match seconds {
        Some(seconds) => start.elapsed() < Duration::from_secs(seconds),
        None => rounds < ROUNDS,
    };
    while more(rounds) {
        rounds += 1;
        let mut bytes = match n.below(16) {
            0 => {
                let len = n.below(200);
                n.bytes(len)
            }
            _ => generate::frame(&mut n),
        };
        for _ in 0..n.below(5) {
            mutate(&mut n, &mut bytes);
        }
        let original = match n.below(3) {
            0 => n.u32(),
            1 => u32::from(n.byte()),
            _ => u32::try_from(bytes.len()).unwrap(),
        };
        let tag = n.once_in(4).then(|| Tag { ethertype: n.u16(), control: n.u16() });
        let (link, ethertype, skip) = match n.below(3) {
            0 => (RAW, n.pick(&TYPES), 14.min(bytes.len())),
            _ => (ETHERNET, 0, 0),
        };
        let capture = Capture { bytes: &bytes[skip..], link, ethertype, tag, original };
        let packet = Packet::decode(&capture);
        for link_header in [false, true] {
            let text = packet.show(link_header).to_string();
            let printable = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
            let tidy = !text.contains("  ") && text.trim() == text && text.len() < 4096;
            assert!(printable && tidy, "seed {seed}, round {rounds}: {text:?} of {capture:x?}");
        }
    }
    eprintln!("{rounds} packets in {:?}", start.elapsed());
}

/// Cut anywhere, a packet says so exactly when a header is not whole, and what it says before is a start of what the whole
/// packet says.
#[test]
fn every_cut_is_told() {
    let mut n = Numbers::new(2);
    for _ in 0..1500 {
        let bytes = generate::frame(&mut n);
        let original = u32::try_from(bytes.len()).unwrap();
        let decode = |len: usize| {
            let capture = Capture { bytes: &bytes[..len], link: ETHERNET, ethertype: 0, tag: None, original };
            Packet::decode(&capture)
        };
        let whole = decode(bytes.len());
        // In a first fragment, a packet inside may itself be cut short.
        if whole.end().is_some() {
            continue;
        }
        let mut told = true;
        for len in 0..bytes.len() {
            let cut = decode(len);
            match cut.end() {
                Some(Flaw::Truncated) => assert!(told, "{cut} at {len} of {bytes:x?}"),
                None => {
                    told = false;
                    assert_eq!(cut, whole, "at {len} of {bytes:x?}");
                }
                other => panic!("{other:?} at {len} of {bytes:x?}"),
            }
        }
    }
}

/// A tag that a device took off is shown where it was.
#[test]
fn a_tag_apart_is_as_if_it_were_in_the_data() {
    let mut n = Numbers::new(5);
    let mut tags = 0;
    while tags < 500 {
        let bytes = generate::frame(&mut n);
        let original = u32::try_from(bytes.len()).unwrap();
        let capture = Capture { bytes: &bytes, link: ETHERNET, ethertype: 0, tag: None, original };
        let whole = Packet::decode(&capture);
        let Some(first) = whole.vlans.first() else { continue };
        tags += 1;
        let tag = Tag {
            ethertype: u16::from_be_bytes([bytes[12], bytes[13]]),
            control: u16::from_be_bytes([bytes[14], bytes[15]]),
        };
        let apart = [&bytes[..12], &bytes[16..]].concat();
        let capture = Capture { bytes: &apart, tag: Some(tag), original: original - 4, ..capture };
        assert_eq!(Packet::decode(&capture), whole);
        let capture = Capture { bytes: &apart[14..], link: RAW, ethertype: first.ethertype, ..capture };
        assert_eq!(Packet::decode(&capture), Packet { ethernet: None, ..whole });
    }
}

pub fn mutate(n: &mut Numbers, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = n.below(bytes.len());
    match n.below(6) {
        0 => bytes.truncate(at),
        1 => bytes[at] = n.pick(&[0, 1, 0x0f, 0x7f, 0x80, 0xff]),
        2 => bytes[at] ^= 1 << n.below(8),
        3 => drop(bytes.drain(at..(at + n.below(8)).min(bytes.len()))),
        4 => {
            let part = bytes[at..(at + n.below(40)).min(bytes.len())].to_vec();
            bytes.splice(at..at, part);
        }
        _ => bytes[at] = n.byte(),
    }
}
