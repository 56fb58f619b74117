//! Traces that are not whole, and traces in several files.

use std::fs;

use tracer_event::{Clock, ClockSample, Context, NoSymbols, Session, sample};
use tracer_trace::{
    Sink,
    file::{RotatingSink, Rotation},
};

use crate::run::{Folder, golden, printed, ran, trace};

/// The blocks of a trace: offset, kind, length.
fn blocks(trace: &[u8]) -> Vec<(usize, u16, usize)> {
    let (mut at, mut blocks) = (16, vec![]);
    while at < trace.len() {
        let len = 24 + u32::from_le_bytes(trace[at + 8..at + 12].try_into().unwrap()) as usize;
        blocks.push((at, u16::from_le_bytes(trace[at + 4..at + 6].try_into().unwrap()), len));
        at += len;
    }
    blocks
}

const EVENTS: u16 = 4;

#[test]
fn a_file_that_was_cut_is_printed_up_to_there() {
    let (bytes, folder) = (fs::read(golden("dropmon.trace")).unwrap(), Folder::new());
    let all = printed(&["print", &trace()]);
    let (at, _, len) = *blocks(&bytes).iter().rfind(|(_, kind, _)| *kind == EVENTS).unwrap();
    let cut = folder.file("cut", &bytes[..at + len - 5]);
    for arguments in [&["print"][..], &["stats"], &["pcap", "-o", &folder.name("x.pcapng")]] {
        let run = ran(&[arguments, &[&cut]].concat());
        assert_eq!(run.code, Some(1), "{run:?}");
        let told = format!(
            "tracer: {cut}: the file ends inside a block (kind: events) at offset {at}: 5 of its {len} bytes are missing; all before it was read\n"
        );
        assert!(run.err.starts_with(&told), "{}", run.err);
        if arguments == ["print"] {
            assert!(run.out.len() > 1000 && run.out.len() < all.len() && all.starts_with(&run.out));
        }
    }
    // Its tracer was killed between two blocks, or is still writing.
    let (end, ..) = *blocks(&bytes).last().unwrap();
    let run = ran(&["print", &folder.file("open", &bytes[..end])]);
    assert_eq!(run.code, Some(0));
    assert!(
        run.out == all && run.err.contains("the file has no end block: its tracer was killed"),
        "{run:?}"
    );
}

#[test]
fn a_changed_byte_costs_its_block_and_is_told_of() {
    let (mut bytes, folder) = (fs::read(golden("dropmon.trace")).unwrap(), Folder::new());
    let all = printed(&["print", &trace()]);
    let (at, _, len) = *blocks(&bytes).iter().find(|(_, kind, _)| *kind == EVENTS).unwrap();
    bytes[at + len - 3] ^= 0x10;
    let changed = folder.file("changed", &bytes);
    let run = ran(&["print", &changed]);
    let told = format!(
        "tracer: {changed}: the block (kind: events) at offset {at} is damaged and was left out: its checksum does not match\n"
    );
    assert_eq!((run.code, run.err), (Some(1), told));
    assert!(run.out.len() > 1000 && run.out.len() < all.len() && all.ends_with(&run.out));
}

#[test]
fn what_is_no_trace_is_refused() {
    let folder = Folder::new();
    let script = folder.file("run.sh", b"#!/bin/sh\n");
    for command in ["print", "stats", "schema"] {
        let run = ran(&[command, &script]);
        let told =
            format!("error: {script} is not a trace: traces are what `tracer collect -o FILE` writes\n");
        assert_eq!((run.code, &*run.out, run.err), (Some(1), "", told));
    }
    let (packets, out) = (golden("dropmon.pcapng"), folder.name("x.pcapng"));
    let run = ran(&["pcap", packets.to_str().unwrap(), "-o", &out]);
    assert!(run.code == Some(1) && run.err.contains("is not a trace"), "{run:?}");
    assert!(!folder.path().join("x.pcapng").exists(), "made for nothing");
    let run = ran(&["print", &folder.file("empty", b"")]);
    assert!(run.code == Some(1) && run.err.contains("is empty"), "{run:?}");
    let run = ran(&["print", folder.path().to_str().unwrap()]);
    assert!(run.code == Some(1) && run.err.contains("is no regular file"), "{run:?}");
}

/// A run in files of at least one block each.
fn rotated(folder: &Folder) -> String {
    let path = folder.name("set");
    let rotation = Rotation { size: Some(1), ..Rotation::default() };
    let mut sink: Box<dyn Sink> = Box::new(RotatingSink::create(path.as_ref(), rotation).unwrap());
    let session = Session {
        probes: std::sync::Arc::new(tracer_event::Probes::new(vec![sample::probe()])),
        ..Session::default()
    };
    sink.begin(&session).unwrap();
    let record = sample::record();
    for i in 0..4 {
        let context = Context { clock: &Clock::NONE, symbols: &NoSymbols, ..sample::CONTEXT };
        sink.event(&session.probes.event(&record, &context).unwrap()).unwrap();
        // Each sample closes a block, so that the next event begins a file.
        sink.clock(ClockSample { monotonic: 10 + i, realtime: 20 }).unwrap();
    }
    sink.finish().unwrap();
    path
}

#[test]
fn a_set_of_files_is_one_trace() {
    let folder = Folder::new();
    let path = rotated(&folder);
    assert!(folder.path().join("set.3").exists() && !folder.path().join("set.4").exists());
    let events = |file: &str| printed(&["print", file]).matches("[k] __nft_trace_packet").count();
    assert_eq!((events(&path), events(&folder.name("set.2"))), (4, 1));
    let stats = printed(&["stats", &path]);
    assert!(stats.starts_with("1 session, 4 events"), "{stats}");
    // Somebody needed the room.
    fs::remove_file(folder.path().join("set.2")).unwrap();
    let run = ran(&["print", &path]);
    assert_eq!((run.code, run.out.matches("[k] __nft_trace_packet").count()), (Some(1), 3), "{run:?}");
    assert!(run.err.contains("set.3: one older file of the same run is missing"), "{}", run.err);
}
