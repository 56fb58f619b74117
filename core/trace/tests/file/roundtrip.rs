//! What goes in comes out, in the same order, by both readers.

use std::io::{self, Write};
use std::num::NonZeroUsize;

use tracer_event::{Session, sample};
use tracer_trace::file::{Progress, Render, Replay, Show, Trace, TraceSink, Worker};
use tracer_trace::{Shortfall, Sink, TextRender, TextSink};

use crate::common::{Both, Folder, Memory, block, blocks, feed, read, rendering, run, trace};
use crate::traffic::{Mix, Names, Traffic};

#[test]
fn everything_comes_back_in_its_place() {
    let folder = Folder::new();
    for events in [0, 1, 200, 12_000] {
        let (bytes, memory) = trace(events);
        let (back, damages) = read(&folder.file("t", &bytes)).unwrap();
        assert_eq!(damages, []);
        assert!(back == memory, "{events} events differ");
        let trace = Trace::open(&folder.path("t")).unwrap();
        assert_eq!(*trace.session(), Traffic::new(Mix::Scans).session());
        assert_eq!(trace.totals().unwrap().events, events as u64);
        assert_eq!(trace.bytes(), bytes.len() as u64);
    }
}

#[test]
fn shortfalls_stand_where_they_were_noticed() {
    let folder = Folder::new();
    let (mut bytes, mut memory) = (vec![], Memory::default());
    let mut sink = Box::new(TraceSink::new(&mut bytes));
    let mut traffic = Traffic::new(Mix::Scans);
    let session = traffic.session();
    let mut both = Both(&mut *sink, &mut memory);
    both.each(|sink| sink.begin(&session));
    for count in [3, u64::MAX] {
        feed(&mut both, &mut traffic, 20, 100, &Names);
        let what = "packets\twithout an id".to_owned();
        let shortfall = Shortfall { collector: "skb_tracking".to_owned(), what, count, time: 7 };
        both.each(|sink| sink.shortfall(&shortfall));
    }
    sink.finish().unwrap();
    let (back, damages) = read(&folder.file("t", &bytes)).unwrap();
    assert_eq!(damages, []);
    assert_eq!(back.of("shortfall").len(), 2);
    // The second feed says the same of the clocks again, which is no news.
    let told = |memory: &Memory| -> Vec<String> {
        memory.0.iter().filter(|line| !line.starts_with("clock")).cloned().collect()
    };
    assert!(told(&back) == told(&memory));
    // The same line from both readers, and nothing in it that a terminal would take for its own.
    let trace = Trace::open(&folder.path("t")).unwrap();
    let (mut one, mut several) = (vec![], vec![]);
    let mut sink = Box::new(TextSink::new(&mut one));
    trace.replay(&mut *sink, Show::default(), &mut |damage| panic!("{damage}")).unwrap();
    sink.finish().unwrap();
    let threads = NonZeroUsize::new(3).unwrap();
    trace
        .render(&TextRender, rendering(threads), &mut several, &mut |damage| panic!("{damage}"), &mut |_| {})
        .unwrap();
    assert!(one == several);
    let text = String::from_utf8(one).unwrap();
    assert!(text.contains("\ncollector skb_tracking: 3 packets\\twithout an id\n"), "{text}");
}

#[test]
fn records_are_stored_in_a_fifth_of_their_size() {
    let (bytes, _) = trace(20_000);
    assert!(bytes.len() < 20_000 * 100, "{} bytes", bytes.len());
}

#[test]
fn threads_render_what_one_does() {
    let folder = Folder::new();
    let (bytes, _) = trace(20_000);
    let trace = Trace::open(&folder.file("t", &bytes)).unwrap();
    let mut one = vec![];
    let mut sink = Box::new(TextSink::new(&mut one));
    trace.replay(&mut *sink, Show::default(), &mut |damage| panic!("{damage}")).unwrap();
    sink.finish().unwrap();
    for threads in [1, 2, 5] {
        let (mut several, mut last) = (vec![], None);
        let threads = NonZeroUsize::new(threads).unwrap();
        let replayed = trace
            .render(
                &TextRender,
                rendering(threads),
                &mut several,
                &mut |damage| panic!("{damage}"),
                &mut |progress| last = Some(progress),
            )
            .unwrap();
        assert!(one == several);
        assert_eq!((replayed.events, replayed.selected), (20_000, 20_000));
        let total = bytes.len() as u64;
        assert_eq!(last, Some(Progress { read: total, total }));
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_rendering() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let folder = Folder::new();
    let trace = Trace::open(&folder.file("t", &trace(30_000).0)).unwrap();
    let threads = NonZeroUsize::new(2).unwrap();
    let error = trace.render(&TextRender, rendering(threads), &mut Full, &mut |_| {}, &mut |_| {});
    assert!(error.unwrap_err().to_string().contains("broken pipe"));
}

#[test]
#[should_panic(expected = "a scoped thread panicked")]
fn a_renderer_that_panics_blocks_nobody() {
    struct Panics;
    impl Render for Panics {
        fn worker(&self) -> Box<dyn Worker> {
            panic!("on purpose")
        }
    }
    let folder = Folder::new();
    let trace = Trace::open(&folder.file("t", &trace(60_000).0)).unwrap();
    let threads = NonZeroUsize::new(2).unwrap();
    let _ = trace.render(&Panics, rendering(threads), &mut vec![], &mut |_| {}, &mut |_| {});
}

#[test]
fn a_selection_leaves_losses_in() {
    let folder = Folder::new();
    let (bytes, all) = trace(200);
    let trace = Trace::open(&folder.file("t", &bytes)).unwrap();
    let mut memory = Memory::default();
    let replay = Replay {
        show: Show::default(),
        select: &mut |event| event.record.header().cpu == 1,
        report: &mut |damage| panic!("{damage}"),
        progress: &mut |_| {},
    };
    let replayed = trace.replay_with(&mut memory, replay).unwrap();
    assert_eq!(replayed.events, 200);
    assert_eq!(replayed.selected, memory.of("event").len() as u64);
    assert!((1..200).contains(&replayed.selected));
    assert_eq!(memory.of("loss"), all.of("loss"));
    let lost: u64 = (0..200).filter(|i| i % 10 == 3).map(|i| i + 1).sum();
    assert_eq!(replayed.lost, lost);
}

#[test]
fn a_replayed_trace_is_a_trace() {
    let folder = Folder::new();
    let (bytes, memory) = trace(300);
    let trace = Trace::open(&folder.file("a", &bytes)).unwrap();
    let mut again = vec![];
    let mut sink = Box::new(TraceSink::new(&mut again));
    trace.replay(&mut *sink, Show::default(), &mut |damage| panic!("{damage}")).unwrap();
    sink.finish().unwrap();
    assert!(read(&folder.file("b", &again)).unwrap().0 == memory);
}

#[test]
fn sessions_may_follow_each_other_in_one_file() {
    let folder = Folder::new();
    let (mut bytes, mut memory) = (vec![], Memory::default());
    let mut sink = Box::new(TraceSink::new(&mut bytes));
    let mut sinks = Both(&mut *sink, &mut memory);
    run(&mut sinks, 70);
    let other = Session { host: "other".into(), ..Traffic::new(Mix::Scans).session() };
    sinks.each(|sink| sink.begin(&other));
    feed(&mut sinks, &mut Traffic::new(Mix::Payload), 70, 64, &sample::Names);
    sink.finish().unwrap();
    let (back, damages) = read(&folder.file("t", &bytes)).unwrap();
    assert_eq!(damages, []);
    assert!(back == memory);
    // Two files put together are read one after the other.
    let (bytes, memory) = trace(70);
    let (back, damages) = read(&folder.file("t", &bytes.repeat(2))).unwrap();
    assert_eq!(damages, []);
    assert_eq!(back.of("event").len(), 2 * memory.of("event").len());
}

#[test]
fn unknown_kinds_of_blocks_are_skipped() {
    let folder = Folder::new();
    let (bytes, memory) = trace(100);
    let mut more = bytes[..16].to_vec();
    for (_, _, known) in blocks(&bytes) {
        more.extend(block(700, 9, b"from the future", 99));
        more.extend(known);
    }
    let (back, damages) = read(&folder.file("t", &more)).unwrap();
    assert_eq!(damages, []);
    assert!(back == memory);
}

#[test]
fn blocks_are_written_by_size_and_age_not_by_flushes() {
    let mut writes = vec![];
    let mut sink = TraceSink::new(&mut writes);
    let mut memory = Memory::default();
    let mut traffic = Traffic::new(Mix::Scans);
    sink.begin(&traffic.session()).unwrap();
    let front = sink.written();
    let mut sinks = Both(&mut sink, &mut memory);
    feed(&mut sinks, &mut traffic, 60, 64, &Names);
    let one_clock = sink.written() - front;
    assert!(one_clock < 200, "{one_clock} bytes, though it was flushed three times");
    std::thread::sleep(std::time::Duration::from_millis(1_050));
    sink.flush().unwrap();
    assert!(sink.written() > front + one_clock);
    assert_eq!(sink.events(), 60);
}

#[test]
fn what_a_killed_tracer_leaves_is_read() {
    let folder = Folder::new();
    let mut bytes = vec![];
    let mut sink = TraceSink::new(&mut bytes);
    run(&mut Both(&mut sink, &mut Memory::default()), 100);
    drop(sink);
    let (back, damages) = read(&folder.file("t", &bytes)).unwrap();
    assert_eq!(back.of("event").len(), 100);
    assert!(damages[0].to_string().contains("has no end block: its tracer was killed"), "{}", damages[0]);
    assert_eq!(Trace::open(&folder.path("t")).unwrap().totals(), None);
}

#[test]
fn a_sink_that_was_not_begun_takes_nothing() {
    let mut sink = Box::new(TraceSink::new(vec![]));
    assert!(sink.flush().is_err() && sink.account(&[]).is_err());
    assert!(sink.finish().unwrap_err().to_string().contains("not begun"));
}

/// A disk with so many bytes left.
struct Disk<'a>(&'a mut Vec<u8>, usize);

impl Write for Disk<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(self.1 - self.0.len());
        self.0.extend(&bytes[..len]);
        if len == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(len) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_leaves_whole_blocks() {
    let folder = Folder::new();
    let mut traffic = Traffic::new(Mix::Scans);
    let session = traffic.session();
    let mut bytes = vec![];
    let mut sink = TraceSink::new(Disk(&mut bytes, 400_000));
    sink.begin(&session).unwrap();
    let context = tracer_event::Context { symbols: &Names, ..sample::CONTEXT };
    let mut taken = 0;
    let error = loop {
        let record = traffic.record();
        match sink.event(&session.probes.event(&record, &context).unwrap()) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(sink.flush().is_err() && Box::new(sink).finish().is_err(), "nothing more is written");
    assert_eq!(bytes.len(), 400_000);
    let (back, damages) = read(&folder.file("t", &bytes)).unwrap();
    let events = back.of("event").len();
    assert!(events > 1000 && events < taken, "{events} of {taken}");
    assert!(damages[0].to_string().contains("the file ends inside a block (kind: events)"), "{}", damages[0]);
}
