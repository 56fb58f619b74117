//! Traces made and read back, and a sink that remembers everything.

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tracer_event::{Clock, ClockSample, Context, Event, Session, Symbols, text};
use tracer_trace::file::{Damage, Rendering, Show, Trace, TraceSink};
use tracer_trace::{Account, Loss, Shortfall, Sink};

use crate::traffic::{Mix, Names, Traffic};

/// All of a trace, in that many threads.
pub fn rendering(threads: NonZeroUsize) -> Rendering<'static> {
    Rendering { threads, show: Show::default(), select: &|_| true }
}

/// What a sink was told, one line each.
#[derive(Default, Debug, Clone, PartialEq, Eq)]
pub struct Memory(pub Vec<String>);

impl Memory {
    /// Lines that start like this.
    pub fn of(&self, start: &str) -> Vec<&str> {
        self.0.iter().filter(|line| line.starts_with(start)).map(String::as_str).collect()
    }
}

impl Sink for Memory {
    fn begin(&mut self, session: &Session) -> io::Result<()> {
        self.0.push(format!("begin {session:?}"));
        Ok(())
    }

    fn clock(&mut self, sample: ClockSample) -> io::Result<()> {
        self.0.push(format!("clock {sample:?}"));
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let mut shown = String::new();
        text::write(&mut shown, event).unwrap();
        let clock = event.context.clock.realtime(event.record.header().time);
        self.0.push(format!("event {clock:?} {:x} {shown}", crc32c::crc32c(event.record.bytes())));
        Ok(())
    }

    fn loss(&mut self, loss: &Loss<'_>) -> io::Result<()> {
        self.0.push(format!("loss {loss:?}"));
        Ok(())
    }

    fn shortfall(&mut self, shortfall: &Shortfall) -> io::Result<()> {
        self.0.push(format!("shortfall {shortfall:?}"));
        Ok(())
    }

    fn account(&mut self, accounts: &[Account]) -> io::Result<()> {
        self.0.push(format!("account {accounts:?}"));
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

/// Two sinks that are told the same.
pub struct Both<'a>(pub &'a mut dyn Sink, pub &'a mut dyn Sink);

impl Both<'_> {
    pub fn each(&mut self, mut tell: impl FnMut(&mut dyn Sink) -> io::Result<()>) {
        tell(self.0).unwrap();
        tell(self.1).unwrap();
    }
}

pub const ACCOUNT: Account =
    Account { hits: 9, filtered: 3, limited: 1, delivered: 4, lost: 1, missed: Some(7) };

/// Events between two looks at the clocks, which are the ends of blocks: a short run has several as well.
fn clock_each(events: usize) -> usize {
    match events {
        0..40 => 8,
        40..3_000 => 16,
        _ => 10_000,
    }
}

/// Feeds sinks with a run of that many events, with clocks and losses in it and an account at its end.
pub fn run(sinks: &mut Both<'_>, events: usize) {
    let mut traffic = Traffic::new(Mix::Scans);
    let session = traffic.session();
    sinks.each(|sink| sink.begin(&session));
    feed(sinks, &mut traffic, events, clock_each(events), &Names);
    sinks.each(|sink| sink.account(&[ACCOUNT]));
}

/// The part of a run between its begin and its account.
pub fn feed(sinks: &mut Both<'_>, traffic: &mut Traffic, events: usize, each: usize, symbols: &dyn Symbols) {
    let session = traffic.session();
    let mut clock = Clock::default();
    for i in 0..events {
        if i % each == 0 {
            let monotonic = 3_443_313_000_000 + i as u64 * 1_000;
            let sample =
                ClockSample { monotonic, realtime: 1_700_000_000_000_000_000 + i.cast_signed() as i64 };
            clock.add(sample);
            sinks.each(|sink| sink.clock(sample));
        }
        let context =
            Context { own_netns: session.own_netns, symbols, clock: &clock, utc: false, link_header: false };
        let record = traffic.record();
        let event = session.probes.event(&record, &context).unwrap();
        if i % 10 == 3 {
            let before = (i % 20 == 3).then_some(event.record.header().time);
            let loss = Loss { events: 1 + i as u64, probe: event.probe, cpu: 3, before };
            sinks.each(|sink| sink.loss(&loss));
        }
        sinks.each(|sink| sink.event(&event));
        if i % 8 == 7 {
            sinks.each(|sink| sink.flush());
        }
    }
}

/// A trace of that many events, and what is in it.
pub fn trace(events: usize) -> (Vec<u8>, Memory) {
    let (mut bytes, mut memory) = (vec![], Memory::default());
    let mut sink = Box::new(TraceSink::new(&mut bytes));
    run(&mut Both(&mut *sink, &mut memory), events);
    sink.finish().unwrap();
    (bytes, memory)
}

/// All that a trace gives, with what is wrong with it.
pub fn read(path: &Path) -> Result<(Memory, Vec<Damage>), String> {
    let trace = Trace::open(path).map_err(|error| error.to_string())?;
    let (mut memory, mut damages) = (Memory::default(), vec![]);
    let replayed = trace
        .replay(&mut memory, Show::default(), &mut |damage| damages.push(damage))
        .map_err(|error| error.to_string())?;
    assert_eq!(replayed.events, memory.of("event ").len() as u64);
    assert_eq!(replayed.damages, damages.len() as u64);
    Ok((memory, damages))
}

/// A folder that is gone at the end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tracer-trace-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file with these bytes.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A block as the specification has it, with what is in its header's place.
pub fn block(kind: u16, codec: u8, payload: &[u8], raw: usize) -> Vec<u8> {
    let mut block = b"\xf4blk".to_vec();
    block.extend(kind.to_le_bytes());
    block.extend([codec, 0]);
    block.extend((payload.len() as u32).to_le_bytes());
    block.extend((raw as u32).to_le_bytes());
    block.extend(crc32c::crc32c(payload).to_le_bytes());
    block.extend(crc32c::crc32c(&block).to_le_bytes());
    block.extend(payload);
    block
}

/// The blocks of a trace: offset, kind, and all of their bytes.
pub fn blocks(trace: &[u8]) -> Vec<(usize, u16, Vec<u8>)> {
    let (mut at, mut blocks) = (16, vec![]);
    while at < trace.len() {
        let len = 24 + u32::from_le_bytes(trace[at + 8..at + 12].try_into().unwrap()) as usize;
        let kind = u16::from_le_bytes(trace[at + 4..at + 6].try_into().unwrap());
        blocks.push((at, kind, trace[at..at + len].to_vec()));
        at += len;
    }
    blocks
}
