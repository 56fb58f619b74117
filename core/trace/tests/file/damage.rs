//! A file cut anywhere and with any byte changed gives what is whole, and says what is not.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tracer_event::{ProbeInfo, Probes, Session, sample};
use tracer_trace::file::{BlockProblem, Flaw, Show, Trace, TraceSink};
use tracer_trace::{Loss, Sink, TextRender, TextSink};

use crate::common::{Folder, block, blocks, read, rendering, trace};
use crate::traffic::{Mix, Traffic};

/// Enough for three blocks of events.
const EVENTS: usize = 20;

#[test]
fn a_file_cut_anywhere_is_read_to_its_last_whole_block() {
    let folder = Folder::new();
    let (bytes, memory) = trace(EVENTS);
    let blocks = blocks(&bytes);
    let mut last = 0;
    for len in 0..bytes.len() {
        let read = read(&folder.file("t", &bytes[..len]));
        let whole = blocks.iter().filter(|(at, _, block)| at + block.len() <= len).count();
        // The session and the probes.
        if whole < 2 {
            assert!(read.is_err(), "at {len}");
            continue;
        }
        let (back, damages) = read.unwrap();
        assert!(memory.0.starts_with(&back.0), "at {len}");
        assert!(back.0.len() >= last, "at {len}");
        last = back.0.len();
        assert_eq!(damages.len(), 1, "at {len}");
        let end = blocks[whole - 1].0 + blocks[whole - 1].2.len();
        match damages[0].flaw {
            Flaw::NoEnd { offset } => assert_eq!((offset as usize, len), (end, end)),
            Flaw::CutHeader { offset, bytes } => {
                assert_eq!((offset, bytes as usize), (end as u64, len - end));
            }
            Flaw::Cut { offset, size, missing, kind } => {
                assert_eq!((offset as usize, kind), (end, blocks[whole].1));
                assert_eq!(size as usize, blocks[whole].2.len());
                assert_eq!(missing as usize, end + size as usize - len);
            }
            ref other => panic!("{other} at {len}"),
        }
    }
    assert_eq!(last, memory.0.len());
}

#[test]
fn every_changed_byte_is_told_and_the_rest_is_read() {
    let folder = Folder::new();
    let (bytes, memory) = trace(EVENTS);
    let blocks = blocks(&bytes);
    let first_events = blocks.iter().find(|(_, kind, _)| *kind == 4).unwrap().0;
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        // Every bit has its turn, at one byte or another, and all at once do.
        changed[at] ^= if at % 9 == 8 { 0xff } else { 1 << (at % 9) };
        let (back, damages) = match read(&folder.file("t", &changed)) {
            Err(_) if at < first_events => continue,
            Err(error) => panic!("{error} at {at}"),
            Ok(read) => read,
        };
        assert!(at >= 16, "the file's header");
        let (start, kind, block) = blocks.iter().rfind(|(start, _, _)| *start <= at).unwrap();
        let (start, kind, size) = (*start as u64, *kind, block.len() as u64);
        let told = match damages[0].flaw {
            Flaw::Block { offset, kind: named, problem: BlockProblem::Checksum } => {
                (offset, named) == (start, kind)
            }
            Flaw::Skipped { offset, bytes } => (offset, bytes) == (start, size),
            _ => false,
        };
        assert!(told, "{} at {at}", damages[0]);
        let missing = memory.of("event").len() - back.of("event").len();
        assert!(if kind == 4 { (1..=8).contains(&missing) } else { missing == 0 }, "{missing} at {at}");
        assert_eq!(back.of("account").len(), usize::from(kind != 6), "at {at}");
    }
}

#[test]
fn damage_is_told_by_threads_as_well() {
    let folder = Folder::new();
    let (mut bytes, _) = trace(EVENTS);
    let blocks = blocks(&bytes);
    let (at, _, block) = blocks.iter().find(|(_, kind, _)| *kind == 4).unwrap();
    bytes[at + block.len() - 1] ^= 1;
    let trace = Trace::open(&folder.file("t", &bytes)).unwrap();
    let (mut out, mut damages) = (vec![], vec![]);
    let two = NonZeroUsize::new(2).unwrap();
    let mut report = |damage| damages.push(damage);
    let replayed = trace.render(&TextRender, rendering(two), &mut out, &mut report, &mut |_| {}).unwrap();
    assert_eq!((replayed.damages, damages.len(), replayed.events), (1, 1, EVENTS as u64 - 8));
}

#[test]
fn what_is_no_trace_is_not_read() {
    let folder = Folder::new();
    let error = |bytes: &[u8]| read(&folder.file("t", bytes)).unwrap_err();
    assert!(
        error(b"#!/bin/sh\n").ends_with("is not a trace: traces are what `tracer collect -o FILE` writes")
    );
    assert!(error(b"").ends_with("is empty: its tracer was ended before it wrote anything"));
    assert!(error(b"\x89tracer\n").contains("begins like a trace"));
    // Sent as text: the newline became two bytes.
    assert!(error(b"\x89tracer\r\n").contains("is not a trace"));
    let (bytes, _) = trace(1);
    let mut newer = bytes.clone();
    newer[8..12].copy_from_slice(&7u32.to_le_bytes());
    let checksum = crc32c::crc32c(&newer[..12]);
    newer[12..16].copy_from_slice(&checksum.to_le_bytes());
    assert!(error(&newer).contains("has version 7 of the trace format; this tracer (0.1.0) reads up to 0"));
    assert!(error(&bytes[..200]).contains(
        "no readable description of its probes, so that its events cannot be read: the file ends inside"
    ));
    assert!(read(&folder.path("")).unwrap_err().ends_with("is no regular file; a trace is read from one"));
    assert!(read(&folder.path("nix")).unwrap_err().starts_with("cannot read"));
}

/// The trace with the payload of the first block of a kind replaced, and its checksums right.
fn with_payload(bytes: &[u8], kind: u16, change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut changed = bytes[..16].to_vec();
    let mut left = 1;
    for (_, this, old) in blocks(bytes) {
        if this == kind && left > 0 {
            left -= 1;
            let payload = change(&old[24..]);
            changed.extend(block(kind, old[6], &payload, payload.len()));
        } else {
            changed.extend(old);
        }
    }
    changed
}

#[test]
fn hostile_descriptions_are_refused() {
    let folder = Folder::new();
    let (bytes, _) = trace(10);
    let words = |from: &str, to: &str| {
        let changed = with_payload(&bytes, 2, |json| {
            let json = std::str::from_utf8(json).unwrap();
            assert!(json.contains(from), "{json}");
            json.replacen(from, to, 1).into_bytes()
        });
        read(&folder.file("t", &changed))
    };
    let kind = words(r#""kind":"str""#, r#""kind":"tensor""#).unwrap_err();
    assert!(kind.contains(", written by tracer 0.1.0, cannot be understood by this version (0.1.0): section 'dev', field 'name': a kind 'tensor'"), "{kind}");
    assert!(words("if {ifindex}", r"\u001b]0;{ifindex}").unwrap_err().contains("control character"));
    assert!(words(r#""size":24"#, r#""size":4000000000"#).unwrap_err().contains("more than 65536"));
    let deep = words("\"schemas\":", &format!("\"more\":{}", "[".repeat(100_000)));
    assert!(deep.unwrap_err().contains("cannot be understood"));
    // Another description than the one that the events were written by.
    let (back, damages) = words(r#""show":"device""#, r#""show":"hologram""#).unwrap();
    assert!(
        damages[0]
            .to_string()
            .contains("how to show dev.name ('hologram') is not known to this version: it is shown plainly")
    );
    assert!(damages.iter().any(|d| matches!(d.flaw, Flaw::Block { problem: BlockProblem::Probes, .. })));
    assert!(back.of("event").is_empty());
}

#[test]
fn what_a_file_says_paints_no_terminal() {
    let folder = Folder::new();
    let mut traffic = Traffic::new(Mix::Scans);
    let session = traffic.session();
    let hostile = ProbeInfo { name: "a\x1b[2J\nb".into(), ..session.probes.probe(0).unwrap().clone() };
    let probes = Arc::new(Probes::new(vec![hostile]));
    let session = Session { tracer: "0\x1b[2J\n".into(), probes, ..session };
    let mut bytes = vec![];
    let mut sink = Box::new(TraceSink::new(&mut bytes));
    sink.begin(&session).unwrap();
    let record = traffic.record();
    sink.event(&session.probes.event(&record, &sample::CONTEXT).unwrap()).unwrap();
    let probe = session.probes.probe(0).unwrap();
    sink.loss(&Loss { events: 1, probe, cpu: 0, before: None }).unwrap();
    sink.finish().unwrap();
    let mut text = vec![];
    let mut sink = Box::new(TextSink::new(&mut text));
    let trace = Trace::open(&folder.file("t", &bytes)).unwrap();
    trace.replay(&mut *sink, Show::default(), &mut |damage| panic!("{damage}")).unwrap();
    sink.finish().unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(
        !text.contains('\x1b')
            && text.ends_with(
                r"lost 1 events of [k] a\x1b[2J\nb on CPU 0 after its last event
"
            ),
        "{text}"
    );
    let unknown = with_payload(&bytes, 2, |json| {
        String::from_utf8_lossy(json).replacen(r#""kind":"str""#, r#""kind":"\u001b[2J""#, 1).into_bytes()
    });
    let error = read(&folder.file("t", &unknown)).unwrap_err();
    assert!(!error.contains(['\x1b', '\n']) && error.contains(r"written by tracer 0\u{1b}[2J\n,"), "{error}");
}

#[test]
fn hostile_payloads_are_damage() {
    let folder = Folder::new();
    let (bytes, memory) = trace(10);
    let probes = blocks(&bytes).into_iter().find(|(_, kind, _)| *kind == 2).unwrap().2;
    let id = crc32c::crc32c(&probes[24..]).to_le_bytes();
    let events = |items: &[u8]| [&id[..], items].concat();
    let huge = [1u32, 5, 0].map(u32::to_le_bytes);
    let slot = [huge.as_flattened(), &[1, 0x80, 0x80, 0x40, 0]].concat();
    let wrong_record = [[2u32, 5, 1].map(u32::to_le_bytes).as_flattened(), &[1, 1, 0, 2, 2, 0, 0]].concat();
    let cases: [(u16, u8, Vec<u8>, usize, &str); 9] = [
        (4, 1, vec![0x10, 7, 1, 0], 32 << 20, "lengths contradict"),
        (4, 9, vec![1, 2, 3], 3, "compressed in a way (9)"),
        (4, 0, vec![], 0, "probes that its events are of were not read"),
        (4, 0, events(&[1, 2]), 6, "after 0 items: it ends inside an item"),
        (4, 0, events(&slot), 4 + slot.len(), "after 0 items: it ends inside an item"),
        (4, 0, events(&wrong_record), 4 + wrong_record.len(), "do not agree with their schemas"),
        (3, 0, b"[[1,2,3]]".to_vec(), 9, "invalid type"),
        (5, 0, b"{\"monotonic\":-1}".to_vec(), 16, "invalid value"),
        (6, 0, vec![b' '; 9 << 20], 9 << 20, "9437184 bytes are more than"),
    ];
    for (kind, codec, payload, raw, expected) in cases {
        let bad = block(kind, codec, &payload, raw);
        let mut changed = bytes.clone();
        let end = blocks(&bytes).last().unwrap().0;
        changed.splice(end..end, bad);
        let (back, damages) = read(&folder.file("t", &changed)).unwrap();
        assert_eq!(damages.len(), 1, "{damages:?}");
        assert!(damages[0].to_string().contains(expected), "{}, not {expected}", damages[0]);
        assert!(back == memory);
    }
}
