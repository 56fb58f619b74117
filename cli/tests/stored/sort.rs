//! `sort`, and what `print`, `pcap` and `stats` make of what it writes: a trace of a few packets that go through two probes on
//! two CPUs at once, with losses.

use std::{fs, path::Path, sync::Arc};

use serde_json::Value;
use tracer_event::{
    Account, Clock, ClockSample, Context, Loss, Session,
    sample::{
        self,
        tracked::{self, FREED, Hit, RECEIVED},
    },
};
use tracer_trace::{Sink, file::TraceSink};

use crate::{
    golden::compare,
    run::{Folder, Ran, golden, printed, ran, tracer},
};

/// The packet of the examples in the documentation.
const ID: u64 = 0x1f_dd03_636d;

/// Writes the trace.
fn write(path: &Path) {
    let mut bytes = Vec::new();
    feed(Box::new(TraceSink::new(&mut bytes)));
    fs::write(path, bytes).unwrap();
}

/// Two packets whose events mix, one that nothing follows, and one whose events are told out of order. Something is lost
/// while the first is on its way, and at the end.
fn feed(mut sink: Box<dyn Sink + '_>) {
    let hits = [
        (RECEIVED, 0, ID, 0),
        (RECEIVED, 2_500, u64::MAX, 1),
        (FREED, 4_100, u64::MAX, 1),
        (RECEIVED, 5_000, 0, 1),
        (FREED, 12_345, ID, 0),
        (FREED, 3_500_000, 0x2a, 1),
        (RECEIVED, 3_499_200, 0x2a, 0),
        (FREED, 2_000_012_345, ID, 1),
    ];
    let probes = Arc::new(tracked::probes());
    let session = Session {
        tracer: "0.1.0".into(),
        host: "gw".into(),
        kernel: "6.12.95-cloud-amd64".into(),
        machine: "x86_64".into(),
        command: ["tracer", "collect", "-o"].map(String::from).to_vec(),
        own_netns: Some(sample::NETNS),
        probes: Arc::clone(&probes),
    };
    let mut clock = Clock::default();
    let first = ClockSample { monotonic: tracked::START - 1_000, realtime: 1_764_000_000_000_000_000 };
    clock.add(first);
    sink.begin(&session).unwrap();
    sink.clock(first).unwrap();
    let context = Context { own_netns: session.own_netns, clock: &clock, ..sample::CONTEXT };
    for (probe, at, id, cpu) in hits {
        if (probe, at) == (FREED, 12_345) {
            let before = Some(tracked::START + at);
            sink.loss(&Loss { events: 17, probe: probes.probe(FREED).unwrap(), cpu: 0, before }).unwrap();
        }
        let record = Hit { probe, at, id, cpu }.record(&probes);
        sink.event(&probes.event(&record, &context).unwrap()).unwrap();
    }
    sink.loss(&Loss { events: 1, probe: probes.probe(RECEIVED).unwrap(), cpu: 1, before: None }).unwrap();
    let account = Account { hits: 22, delivered: 4, lost: 18, ..Account::default() };
    sink.account(&[account, account]).unwrap();
    sink.finish().unwrap();
}

fn trace() -> String {
    golden("tracked.trace").to_str().unwrap().to_owned()
}

/// One test, because the trace is to be there before anything is said of it.
#[test]
fn the_golden_trace_is_sorted_as_ever() {
    if std::env::var_os("TRACER_WRITE_GOLDEN").is_some() {
        write(&golden("tracked.trace"));
    }
    let (trace, folder) = (trace(), Folder::new());
    let sorted = folder.name("sorted.data");
    assert_eq!(printed(&["sort", &trace, "-o", &sorted]), "");
    for (name, arguments) in [
        ("tracked.txt", &[][..]),
        ("tracked.link.txt", &["-e", "--utc"]),
        ("tracked.json", &["--format", "json"]),
    ] {
        let told = printed(&[&["sort", &trace], arguments].concat());
        compare(name, told.as_bytes());
        // What was written says the same, and can be sorted again.
        assert_eq!(printed(&[&["print", &sorted], arguments].concat()), told, "{arguments:?}");
        assert_eq!(printed(&[&["sort", &sorted], arguments].concat()), told, "{arguments:?}");
        assert_eq!(printed(&[&["sort", "--memory", "1M", &trace], arguments].concat()), told);
        assert_ne!(printed(&[&["print", &trace], arguments].concat()), told);
    }
    assert_eq!(printed(&["stats", &sorted]), printed(&["stats", &trace]));
    assert_eq!(printed(&["schema", &sorted]), printed(&["schema", &trace]));
}

#[test]
fn the_id_is_in_every_output() {
    let (trace, folder) = (trace(), Folder::new());
    let text = printed(&["print", &trace]);
    let first = "3443313082998 [swapper/0] 0 [tp] net:netif_receive_skb #1fdd03636d\n";
    assert!(text.starts_with(first), "{text}");
    // Also where another section was collected before it.
    let freed = "3443313095343 [swapper/0] 0 [tp] skb:kfree_skb #1fdd03636d (drop NOT_SPECIFIED)\n";
    assert!(text.contains(freed), "{text}");
    let untracked = "3443313087998 [swapper/0] 0 [tp] net:netif_receive_skb\n";
    assert!(text.contains(untracked), "{text}");
    let json = printed(&["print", "--format", "json", &trace]);
    let ids: Vec<String> = json
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["type"] == "event")
        .map(|line| line["skb_tracking"]["id"].as_str().unwrap().to_owned())
        .collect();
    let all = "ffffffffffffffff";
    assert_eq!(ids, ["1fdd03636d", all, all, "0", "1fdd03636d", "2a", "2a", "1fdd03636d"]);
    let packets = folder.name("x.pcapng");
    ran(&["pcap", &trace, "-o", &packets]);
    assert_eq!(packet_ids(&fs::read(packets).unwrap()), [ID, u64::MAX, u64::MAX, 0, ID, 0x2a, 0x2a, ID]);
}

/// The option `epb_packetid` of each packet; 0 where there is none.
fn packet_ids(mut capture: &[u8]) -> Vec<u64> {
    let number = |at: &[u8]| u32::from_le_bytes(at[..4].try_into().unwrap());
    let mut ids = vec![];
    while !capture.is_empty() {
        let (kind, len) = (number(capture), number(&capture[4..]) as usize);
        let (block, rest) = capture.split_at(len);
        if kind == 6 {
            let mut options = &block[28 + (number(&block[20..]) as usize).next_multiple_of(4)..len - 4];
            let mut id = 0;
            while options.len() >= 4 {
                let head = number(options);
                let (code, size) = (head & 0xffff, (head >> 16) as usize);
                if (code, size) == (5, 8) {
                    id = u64::from_le_bytes(options[4..12].try_into().unwrap());
                }
                options = &options[4 + size.next_multiple_of(4)..];
            }
            ids.push(id);
        }
        capture = rest;
    }
    ids
}

#[test]
fn one_packet_can_be_asked_for() {
    let (trace, folder) = (trace(), Folder::new());
    let events = |arguments: &[&str]| {
        let json = printed(&[arguments, &["--format", "json", &trace]].concat());
        json.lines().filter(|line| line.contains("\"type\":\"event\"")).count()
    };
    for (filter, of_packet) in [
        ("skb_tracking.id == 0x1fdd03636d", 3),
        ("skb_tracking.id == 136851972973", 3),
        ("skb_tracking.id == 0xffffffffffffffff", 2),
        ("skb_tracking.id == 18446744073709551615", 2),
        ("skb_tracking.id > 0xfffffffffffffff0", 2),
        ("skb_tracking.id == 0 and has skb_tracking", 1),
        ("skb_tracking.id in {0x2a, 0x1fdd03636d}", 5),
        ("skb_tracking.id == 0x1fdd03636e", 0),
    ] {
        assert_eq!(events(&["print", "-f", filter]), of_packet, "{filter}");
        assert_eq!(events(&["sort", "-f", filter]), of_packet, "{filter}");
        let stats = printed(&["stats", "-f", filter, "--format", "json", &trace]);
        assert_eq!(serde_json::from_str::<Value>(&stats).unwrap()["events"], of_packet, "{filter}");
        let run = ran(&["pcap", "-f", filter, "-o", &folder.name("x.pcapng"), &trace]);
        let packets =
            if of_packet == 1 { "1 packet written".into() } else { format!("{of_packet} packets written") };
        assert!(run.err.contains(&packets), "{filter}: {}", run.err);
    }
    // Whom an event follows does not depend on what is shown.
    let sorted = folder.name("sorted");
    printed(&["sort", &trace, "-o", &sorted]);
    let filter = ["-f", "event.probe =~ \"*kfree*\""];
    let told = printed(&[&["sort", &trace], &filter[..]].concat());
    assert!(
        told.contains("    ↳ +12.345us 3443313095343 ") && !told.contains("netif_receive_skb #"),
        "{told}"
    );
    assert_eq!(printed(&[&["print", &sorted], &filter[..]].concat()), told);
}

#[test]
fn the_ending_says_what_is_written() {
    let (trace, folder) = (trace(), Folder::new());
    let text = printed(&["sort", &trace]);
    let written = |name: &str, arguments: &[&str]| {
        let path = folder.name(name);
        let run = ran(&[&["sort", &trace, "-o", &path], arguments].concat());
        assert_eq!((run.code, &*run.out), (Some(0), ""), "{}", run.err);
        (fs::read(path).unwrap(), run.err)
    };
    assert_eq!(written("x.txt", &[]), (text.clone().into_bytes(), String::new()));
    assert_eq!(written("x.data", &["--format", "text"]).0, text.into_bytes());
    assert_eq!(written("x.json", &[]).0, printed(&["sort", "--format", "json", &trace]).into_bytes());
    let (packets, said) = written("x.pcapng", &[]);
    assert_eq!(packet_ids(&packets), [ID, ID, ID, u64::MAX, u64::MAX, 0, 0x2a, 0x2a]);
    assert_eq!(said, format!("tracer: 8 packets written to {}\n", folder.name("x.pcapng")));
    // The same as of the sorted trace.
    let sorted = folder.name("sorted");
    printed(&["sort", &trace, "-o", &sorted]);
    ran(&["pcap", &sorted, "-o", &folder.name("y.pcapng")]);
    assert!(fs::read(folder.name("y.pcapng")).unwrap() == packets);
    // And to standard output.
    let run = tracer(&["sort", &trace, "--format", "pcapng"]).output().unwrap();
    assert!(run.stdout == packets && run.stderr.is_empty());
}

#[test]
fn a_trace_is_not_written_over_itself() {
    let folder = Folder::new();
    let own = folder.file("t", &fs::read(trace()).unwrap());
    let link = folder.name("link");
    std::os::unix::fs::symlink(&own, &link).unwrap();
    for out in [&own, &link] {
        let Ran { code, err, .. } = ran(&["sort", &own, "-o", out]);
        assert_eq!(code, Some(2));
        assert!(
            err.contains("the trace would be written over while it is read") && err.contains('^'),
            "{err}"
        );
    }
    assert_eq!(fs::read(&own).unwrap(), fs::read(trace()).unwrap());
    let script = folder.file("run.sh", b"#!/bin/sh\n");
    let run = ran(&["sort", &own, "-o", &script]);
    assert!(run.code == Some(1) && run.err.contains("is not a trace and is not overwritten"), "{run:?}");
}

/// A trace of more than there may be memory for.
fn large(folder: &Folder) -> String {
    let probes = Arc::new(tracked::probes());
    let session = Session { probes: Arc::clone(&probes), ..Session::default() };
    let mut bytes = Vec::new();
    let mut sink = Box::new(TraceSink::new(&mut bytes));
    sink.begin(&session).unwrap();
    for i in 0..12_000 {
        if i % 2_000 == 0 {
            // It ends the block before it.
            sink.clock(ClockSample { monotonic: tracked::START + i, realtime: 1 }).unwrap();
        }
        let hit = Hit { probe: (i % 2) as u16, at: i * 100, id: 1 + i * 7 % 3_001, cpu: 0 };
        let record = hit.record(&probes);
        sink.event(&probes.event(&record, &sample::CONTEXT).unwrap()).unwrap();
    }
    sink.finish().unwrap();
    folder.file("large", &bytes)
}

#[test]
fn what_does_not_fit_in_memory_is_the_same_and_leaves_nothing() {
    let (folder, temporary) = (Folder::new(), Folder::new());
    let large = large(&folder);
    let sort = |memory: &str, place: &Path| {
        let mut command = tracer(&["sort", &large, "--memory", memory]);
        command.env("TMPDIR", place);
        Ran::from(command.output().unwrap())
    };
    let whole = sort("256M", temporary.path());
    assert_eq!((whole.code, &*whole.err), (Some(0), ""));
    assert_eq!(whole.out.matches("    ↳ +").count(), 12_000 - 3_001);
    let pieces = sort("1M", temporary.path());
    assert!(pieces.code == Some(0) && pieces.out == whole.out);
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
    // With less memory it would be in files, and there is no place for them.
    let nowhere = folder.path().join("nowhere");
    assert_eq!(sort("256M", &nowhere).out, whole.out);
    let run = sort("1M", &nowhere);
    let told = format!("error: cannot keep events in a temporary file in {}: ", nowhere.display());
    assert!(run.code == Some(1) && run.out.is_empty() && run.err.starts_with(&told), "{}", run.err);
    assert!(run.err.contains("set TMPDIR to a folder with more room"), "{}", run.err);
    let run = ran(&["sort", &large, "--memory", "1K"]);
    assert!(run.code == Some(2) && run.err.contains('^'), "{}", run.err);
}

#[test]
fn a_cut_trace_is_sorted_up_to_there() {
    let folder = Folder::new();
    let bytes = fs::read(large(&folder)).unwrap();
    let cut = folder.file("cut", &bytes[..bytes.len() * 2 / 3]);
    let [sorted, plain] = ["sort", "print"].map(|command| ran(&[command, &cut]));
    assert_eq!((sorted.code, &sorted.err), (Some(1), &plain.err));
    assert!(sorted.err.contains("the file ends inside a block"), "{}", sorted.err);
    let mut lines = [sorted.out, plain.out].map(|text| {
        let events = text.lines().filter(|line| line.contains(" [tp] ")).map(|line| {
            let at = line.find("3443").unwrap();
            line[at..].to_owned()
        });
        events.collect::<Vec<String>>()
    });
    assert!(lines[0].len() > 1_000 && lines[0] != lines[1]);
    lines.iter_mut().for_each(|lines| lines.sort());
    assert_eq!(lines[0], lines[1]);
}
