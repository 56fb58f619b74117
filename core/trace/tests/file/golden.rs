//! A trace that was written once: what reads it today must read it tomorrow. `TRACER_WRITE_GOLDEN=1` writes it anew, which
//! is right only until version 1 of the format is frozen.

use std::path::PathBuf;

use tracer_event::{Clock, ClockSample, Context, ProbeInfo, Probes, Session, sample};
use tracer_trace::file::{Show, Trace, TraceSink};
use tracer_trace::{Loss, Sink, TextSink};

use crate::common::ACCOUNT;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

#[test]
fn the_golden_trace_reads_as_ever() {
    if std::env::var_os("TRACER_WRITE_GOLDEN").is_some() {
        std::fs::write(path("sample.trace"), written()).unwrap();
    }
    let trace = Trace::open(&path("sample.trace")).unwrap();
    assert_eq!(*trace.session(), session());
    let mut text = vec![];
    let mut sink = Box::new(TextSink::new(&mut text));
    trace.replay(&mut *sink, Show::default(), &mut |damage| panic!("{damage}")).unwrap();
    sink.finish().unwrap();
    let text = String::from_utf8(text).unwrap();
    if std::env::var_os("TRACER_WRITE_GOLDEN").is_some() {
        std::fs::write(path("sample.txt"), &text).unwrap();
    }
    let expected = std::fs::read_to_string(path("sample.txt")).unwrap();
    assert_eq!(text, expected);
}

fn session() -> Session {
    let other =
        ProbeInfo { name: "skb:kfree_skb".into(), tag: tracer_event::Tag::RawTracepoint, ..sample::probe() };
    Session {
        tracer: "0.1.0".into(),
        host: "gw".into(),
        kernel: "6.12.95-cloud-amd64".into(),
        machine: "x86_64".into(),
        command: ["tracer", "-p", "nft-dropmon", "collect", "-o", "sample.trace"].map(String::from).to_vec(),
        own_netns: Some(sample::NETNS),
        probes: std::sync::Arc::new(Probes::new(vec![sample::probe(), other])),
    }
}

/// Some events of the sample, with a loss, two looks at the clocks, and something to compress.
fn written() -> Vec<u8> {
    let (mut bytes, session) = (vec![], session());
    let mut sink = Box::new(TraceSink::new(&mut bytes));
    sink.begin(&session).unwrap();
    let mut clock = Clock::default();
    for i in 0..12u64 {
        if i % 8 == 0 {
            let monotonic = 3_443_313_000_000 + i * 60_000_000_000;
            let time = ClockSample { monotonic, realtime: 1_764_000_000_000_000_000 + i.cast_signed() };
            clock.add(time);
            sink.clock(time).unwrap();
        }
        let context = Context {
            own_netns: session.own_netns,
            symbols: &sample::Names,
            clock: &clock,
            utc: false,
            link_header: false,
        };
        let mut record = sample::record();
        record[tracer_event::header::PROBE] = u8::from(i % 3 == 2);
        let time = 3_443_313_082_998 + i * 1_000;
        record[tracer_event::header::TIME..tracer_event::header::TIME + 8]
            .copy_from_slice(&time.to_le_bytes());
        let event = session.probes.event(&record, &context).unwrap();
        if i == 5 {
            sink.loss(&Loss { events: 7, probe: event.probe, cpu: 1, before: Some(time) }).unwrap();
        }
        sink.event(&event).unwrap();
    }
    let probe = session.probes.probe(0).unwrap();
    sink.loss(&Loss { events: 2, probe, cpu: 0, before: None }).unwrap();
    sink.account(&[ACCOUNT, ACCOUNT]).unwrap();
    sink.finish().unwrap();
    bytes
}
