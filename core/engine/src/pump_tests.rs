//! The pump between a source and a sink that tests can look into: what is lost is said in its
//! place, and nothing is taken that was not asked for.

use std::{
    collections::VecDeque,
    io,
    os::fd::BorrowedFd,
    sync::{Arc, Mutex},
};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tracer_event::{Event, Layout, NoSymbols, ProbeInfo, Probes, Tag, Trim, header};
use tracer_trace::{Loss, Sink};

use super::*;

/// A record that is nothing but its header.
fn record(time: u64, cpu: u16, lost: u64) -> Vec<u8> {
    let mut bytes = vec![0; header::SIZE];
    bytes[header::RECORD_SIZE..][..4].copy_from_slice(&(header::SIZE as u32).to_le_bytes());
    bytes[header::CPU..][..2].copy_from_slice(&cpu.to_le_bytes());
    bytes[header::TIME..][..8].copy_from_slice(&time.to_le_bytes());
    bytes[header::LOST..][..8].copy_from_slice(&lost.to_le_bytes());
    bytes
}

struct Records {
    records: VecDeque<Vec<u8>>,
    never: OwnedFd,
}

impl Records {
    fn new(records: impl IntoIterator<Item = Vec<u8>>) -> Box<Self> {
        let never = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        Box::new(Self { records: records.into_iter().collect(), never })
    }
}

impl Source for Records {
    fn probes(&self) -> Arc<Probes> {
        let layout = Arc::new(Layout::new(vec![]).unwrap());
        let info = ProbeInfo {
            tag: Tag::Kprobe,
            name: "f".into(),
            way: String::new(),
            layout,
            trim: Trim::Machinery,
        };
        Arc::new(Probes::new(vec![info]))
    }

    fn wakeups(&self) -> Vec<BorrowedFd<'_>> {
        use std::os::fd::AsFd as _;
        vec![self.never.as_fd()]
    }

    fn drain(&mut self, max: usize, each: &mut dyn FnMut(&[u8])) -> usize {
        let n = max.min(self.records.len());
        self.records.drain(..n).for_each(|r| each(&r));
        n
    }
}

/// Writes down what it gets; fails at the event with the time given.
#[derive(Default)]
struct Notes {
    seen: Arc<Mutex<Vec<String>>>,
    fails_at: Option<u64>,
}

impl Sink for Notes {
    fn begin(&mut self, _: &Session) -> io::Result<()> {
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let time = event.record.header().time;
        if self.fails_at == Some(time) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.seen.lock().unwrap().push(format!("event {time}"));
        Ok(())
    }

    fn loss(&mut self, loss: &Loss<'_>) -> io::Result<()> {
        let Loss { events, cpu, before, .. } = loss;
        self.seen.lock().unwrap().push(format!("lost {events} on {cpu} before {before:?}"));
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.seen.lock().unwrap().push("end".into());
        Ok(())
    }
}

fn start(source: Box<Records>, sink: Notes, stop_after: Option<u64>) -> (Pump, UnboundedReceiver<Word>) {
    let (sender, words) = unbounded_channel();
    let parts = Parts {
        enriching: None,
        session: Session { probes: source.probes(), ..Session::default() },
        source,
        sink: Box::new(sink),
        symbols: NoSymbols,
        show: Show::default(),
        stop_after,
        keep: &[],
        stacks: false,
    };
    (Pump::start(parts, sender).unwrap(), words)
}

#[test]
fn losses_stand_where_they_happened() {
    let sink = Notes::default();
    let seen = Arc::clone(&sink.seen);
    let records = [record(1, 0, 0), record(2, 1, 3), record(3, 0, 0), record(4, 1, 3), record(5, 0, 2)];
    let (pump, mut words) = start(Records::new(records), sink, None);
    let counts = Counts { lost_by_cpu: vec![7, 3], ..Counts::default() };
    pump.finish(vec![counts]).unwrap();
    assert!(matches!(words.blocking_recv(), Some(Word::Finished)));
    let expected = [
        "event 1",
        "lost 3 on 1 before Some(2)",
        "event 2",
        "event 3",
        "event 4",
        "lost 2 on 0 before Some(5)",
        "event 5",
        "lost 5 on 0 before None",
        "end",
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
    assert_eq!(pump.progress.events.load(Ordering::Relaxed), 5);
}

#[test]
fn no_more_than_enough() {
    let sink = Notes::default();
    let seen = Arc::clone(&sink.seen);
    let (pump, mut words) = start(Records::new((1..=9).map(|i| record(i, 0, 0))), sink, Some(2));
    assert!(matches!(words.blocking_recv(), Some(Word::Enough)));
    assert_eq!(pump.progress.events.load(Ordering::Relaxed), 2);
    pump.finish(vec![]).unwrap();
    assert!(matches!(words.blocking_recv(), Some(Word::Finished)));
    assert_eq!(*seen.lock().unwrap(), ["event 1", "event 2", "end"]);
}

#[test]
fn a_sink_that_fails_ends_it() {
    let sink = Notes { fails_at: Some(2), ..Notes::default() };
    let (pump, mut words) = start(Records::new((1..=3).map(|i| record(i, 0, 0))), sink, None);
    match words.blocking_recv() {
        Some(Word::Failed(error)) => assert_eq!(error.kind(), io::ErrorKind::BrokenPipe),
        other => panic!("{other:?}"),
    }
    assert_eq!(pump.progress.events.load(Ordering::Relaxed), 0, "what was not flushed was not printed");
}

#[test]
fn a_record_that_is_none_is_counted() {
    let sink = Notes::default();
    let (pump, mut words) = start(Records::new([vec![1, 2, 3], record(1, 0, 0)]), sink, None);
    pump.finish(vec![]).unwrap();
    assert!(matches!(words.blocking_recv(), Some(Word::Finished)));
    assert_eq!(pump.progress.malformed.load(Ordering::Relaxed), 1);
    assert_eq!(pump.progress.events.load(Ordering::Relaxed), 1);
}
