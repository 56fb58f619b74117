//! Several sessions in one file, and a file that is read while it grows.

use std::io::{self, Write};

use tracer_event::{Clock, ClockSample, Session};
use tracer_trace::pcapng::NoJson;
use tracer_trace::{PcapngSink, Sink as _};

use crate::events::{Capture, Hit, STARTED, Words, session};
use crate::file::{Block, read};

/// Block kinds by their initials.
fn kinds(bytes: &[u8]) -> String {
    let kind = |block: &Block| match block {
        Block::Section { .. } => 'S',
        Block::Interface { .. } => 'I',
        Block::Packet(_) => 'p',
        Block::Statistics { .. } => 's',
        Block::Custom { .. } => 'c',
    };
    read(bytes).iter().map(kind).collect()
}

/// A session with a packet, another one with a packet.
fn two(second: &Session, clock: Clock) -> String {
    let mut capture = Capture::begun(Words::default());
    capture.hit(&Hit::default());
    capture.clock = clock;
    capture.sink.begin(second).unwrap();
    capture.hit(&Hit::default());
    kinds(&capture.finish())
}

#[test]
fn sessions_of_one_machine_share_a_section() {
    let clock = crate::events::clock();
    let second =
        Session { tracer: "0.2.0".into(), command: vec!["other".into()], own_netns: None, ..session() };
    assert_eq!(two(&second, clock), "SIpcps");
}

#[test]
fn another_machine_is_another_section() {
    let others = [
        Session { host: "fw2".into(), ..session() },
        Session { kernel: "7.3.0".into(), ..session() },
        Session { machine: "aarch64".into(), ..session() },
    ];
    for other in others {
        assert_eq!(two(&other, crate::events::clock()), "SIpsSIps");
    }
    assert_eq!(two(&session(), Clock::NONE), "SIpsSIps", "times by another clock");
}

#[test]
fn interfaces_without_end_begin_another_section() {
    let mut capture = Capture::begun(NoJson);
    for netns in 1..=20_000 {
        capture.hit(&Hit { netns, ..Hit::default() });
    }
    capture.hit(&Hit { netns: 20_000, ..Hit::default() });
    let kinds = kinds(&capture.finish());
    let section = |interfaces| format!("S{}", "Ip".repeat(interfaces));
    let expected =
        [section(16_384), "s".repeat(16_384), section(3_616), "p".into(), "s".repeat(3_616)].concat();
    assert_eq!(kinds, expected);
}

#[test]
fn a_live_reader_gets_whole_blocks_at_once() {
    let mut capture = Capture::new(NoJson);
    capture.sink.begin(&session()).unwrap();
    capture.sink.flush().unwrap();
    assert!(capture.writes.borrow().is_empty(), "it is not known yet what times are");
    let sample = ClockSample { monotonic: 0, realtime: STARTED.cast_signed() };
    capture.sink.clock(sample).unwrap();
    capture.sink.flush().unwrap();
    capture.hit(&Hit::default());
    capture.hit(&Hit::default());
    capture.sink.flush().unwrap();
    capture.sink.flush().unwrap();
    capture.hit(&Hit::default());
    let kinds = |index: usize, before: &[u8]| {
        let write = capture.writes.borrow()[index].clone();
        kinds(&[before, &write].concat())
    };
    assert_eq!(kinds(0, &[]), "S");
    let header = capture.writes.borrow()[0].clone();
    assert_eq!(kinds(1, &header), "SIpp");
    assert_eq!(capture.writes.borrow().len(), 2, "a batch is one write");
}

#[test]
fn a_large_batch_is_written_before_its_end() {
    let mut capture = Capture::begun(NoJson);
    for _ in 0..6_000 {
        capture.hit(&Hit::default());
    }
    let writes = capture.writes.borrow().clone();
    assert!(!writes.is_empty());
    assert!(writes.iter().all(|write| write.len() < 1 << 21));
    read(&writes.concat());
}

#[test]
fn a_session_without_events_is_a_file() {
    assert_eq!(kinds(&Capture::begun(NoJson).finish()), "S");
    assert_eq!(kinds(&Capture::new(NoJson).finish()), "S");
    let mut capture = Capture::begun(Words::default());
    capture.lose(3);
    assert_eq!(kinds(&capture.finish()), "S");
}

/// Takes nothing.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn errors_come_out_once() {
    let mut sink = PcapngSink::new(Broken, NoJson);
    sink.begin(&session()).unwrap();
    let sample = ClockSample { monotonic: 0, realtime: STARTED.cast_signed() };
    sink.clock(sample).unwrap();
    assert_eq!(sink.flush().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert!(sink.flush().is_ok(), "part of it may be out, and must not come twice");
}
