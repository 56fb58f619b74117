//! The sink that writes a trace. Records are packed, not decoded: of an event, only a stack that its block has not seen yet
//! is looked at, for addresses whose names are not in the file yet.
//!
//! A block of events is written when it is large enough, when it is a second old at a flush, and before anything that must
//! stand behind it. So a tracer that is killed leaves all but the last second, and a block is large enough to
//! compress well when there is much to write.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tracer_event::{ClockSample, Event, Follow, ProbeInfo, Probes, Session};

use crate::{Account, Loss, Shortfall, Sink};

use super::block::{self, Kind};
use super::meta::{Meta, Part};
use super::notes::{AccountForm, ClockForm, End, Index, IndexEntry, ShortfallForm, SymbolForm};
use super::pack::{PackedLoss, Packer};
use super::schema;
use super::series::SeriesPacker;
use super::state::SYMBOLS;

/// Packed bytes after which a block of events is written; about 3,000 records of `nft-dropmon`.
const FULL: usize = 256 << 10;
/// Bytes of records after which it is, however well they pack.
const FULL_RECORDS: usize = 8 << 20;
/// The age at which a flush writes it.
const AGE: Duration = Duration::from_secs(1);

/// Symbols of a block: with names as long as the kernel has them, it is not too long for a reader.
const SYMBOLS_BLOCK: usize = 8192;

/// Writes a trace to `out`, which needs no buffer of its own: each block is one write.
///
/// After an error nothing more is written: what is in the file by then is readable to its last whole block.
#[derive(Debug)]
pub struct TraceSink<W: Write> {
    out: W,
    part: Part,
    /// The age at which a flush writes a block.
    age: Duration,
    probes: Arc<Probes>,
    /// The checksum of the probes block, which events blocks refer to.
    probes_checksum: [u8; 4],
    packer: Packer,
    series: SeriesPacker,
    /// What the next event follows.
    follow: Option<Follow>,
    /// The first event in the packer.
    first_time: Option<u64>,
    since: Option<Instant>,
    /// Sessions that began after the first.
    sessions: u64,
    seen: HashSet<u64>,
    symbols: Vec<SymbolForm>,
    index: Index,
    written: u64,
    events: u64,
    lost: u64,
    is_over: bool,
    block: Vec<u8>,
    payload: Vec<u8>,
}

impl<W: Write> TraceSink<W> {
    /// Writes to `out`, from [`Sink::begin`] on.
    pub fn new(out: W) -> TraceSink<W> {
        TraceSink::part(out, Part { run: new_run(), number: 0 })
    }

    /// Writes one file of a run.
    pub(super) fn part(out: W, part: Part) -> TraceSink<W> {
        TraceSink {
            out,
            part,
            age: AGE,
            probes: Arc::default(),
            probes_checksum: [0; 4],
            packer: Packer::default(),
            series: SeriesPacker::default(),
            follow: None,
            first_time: None,
            since: None,
            sessions: 0,
            seen: HashSet::new(),
            symbols: Vec::new(),
            index: Index::new(),
            written: 0,
            events: 0,
            lost: 0,
            is_over: false,
            block: Vec::new(),
            payload: Vec::new(),
        }
    }

    /// The same, with events in the output so long after they were taken at most (at the first flush after that).
    #[must_use]
    pub fn within(mut self, age: Duration) -> TraceSink<W> {
        self.age = age;
        self
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Events taken so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Those of them that are in the file; the others wait in a block that is not full yet.
    pub(super) fn stored(&self) -> u64 {
        self.events - u64::from(self.packer.events())
    }

    /// Takes the news of an error, which is the last.
    fn check<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.is_over |= result.is_err();
        result
    }

    fn expect_begun(&self) -> io::Result<()> {
        match (self.is_over, self.written) {
            (true, _) => Err(io::Error::other("the trace ended with an error or its end block")),
            (false, 0) => Err(io::Error::other("the trace was not begun")),
            (false, _) => Ok(()),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let written = self.out.write_all(&self.block);
        self.written += self.block.len() as u64;
        self.block.clear();
        self.check(written)
    }

    /// Puts a block of JSON behind those that wait to be written.
    fn put_json(&mut self, kind: Kind, value: &impl Serialize) -> io::Result<()> {
        let payload = serde_json::to_vec(value).map_err(io::Error::from);
        let payload = self.check(payload)?;
        self.put(kind, &payload)
    }

    fn put(&mut self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        if payload.len() > block::JSON {
            let (name, len) = (Kind::name(kind.number()), payload.len());
            let error = format!("the trace's {name} take {len} bytes; {} are possible", block::JSON);
            return self.check(Err(io::Error::new(io::ErrorKind::InvalidInput, error)));
        }
        block::put(&mut self.block, kind, payload);
        Ok(())
    }

    /// Writes the events taken so far, behind the names that they need.
    fn write_events(&mut self) -> io::Result<()> {
        if !self.symbols.is_empty() {
            let symbols = std::mem::take(&mut self.symbols);
            symbols.chunks(SYMBOLS_BLOCK).try_for_each(|some| self.put_json(Kind::Symbols, &some))?;
        }
        if let Some(series) = self.series.take() {
            self.put_json(Kind::Series, &series)?;
        }
        if !self.packer.is_empty() {
            let offset = self.written + self.block.len() as u64;
            let events = self.events - u64::from(self.packer.events());
            if let Some(time) = self.first_time.take() {
                self.index.add(IndexEntry { offset, events, time });
            }
            self.payload.clear();
            self.payload.extend(self.probes_checksum);
            self.packer.take(&mut self.payload);
            block::put(&mut self.block, Kind::Events, &self.payload);
        }
        self.since = None;
        if self.block.is_empty() { Ok(()) } else { self.write() }
    }

    /// Keeps the names of a stack's addresses that have none in the file yet.
    fn take_symbols(&mut self, event: &Event<'_>) {
        for address in event.record.stack() {
            if self.seen.len() < SYMBOLS
                && self.seen.insert(address)
                && let Some(symbol) = event.context.symbols.resolve(address)
            {
                self.symbols.push((address, symbol.name.into_owned(), symbol.offset));
            }
        }
    }

    fn number(&self, probe: &ProbeInfo) -> Option<u16> {
        let mut probes = self.probes.iter();
        let number = probes.position(|known| std::ptr::eq(known, probe));
        number
            .or_else(|| self.probes.iter().position(|known| known == probe))
            .and_then(|i| u16::try_from(i).ok())
    }

    /// Writes the end block, behind everything taken so far.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.expect_begun()?;
        self.write_events()?;
        let end = End { events: self.events, lost: self.lost, index: self.index.take() };
        let payload = serde_json::to_vec(&end).map_err(io::Error::from);
        let mut payload = self.check(payload)?;
        // The last bytes of the file say where its end block is.
        payload.extend(self.written.to_le_bytes());
        self.put(Kind::End, &payload)?;
        self.write()?;
        self.is_over = true;
        self.out.flush()
    }
}

impl<W: Write> Sink for TraceSink<W> {
    fn begin(&mut self, session: &Session) -> io::Result<()> {
        if self.written == 0 && !self.is_over {
            self.block.extend(block::file_header());
        } else {
            self.expect_begun()?;
            self.write_events()?;
            self.sessions += 1;
        }
        let mut part = self.part.clone();
        if self.sessions > 0 {
            // Another run, though it may be of the same tracer on the same machine: names and clocks begin anew.
            part.run = format!("{}+{}", part.run, self.sessions);
        }
        self.put_json(Kind::Session, &Meta::new(session, &part))?;
        let payload = schema::write(&session.probes).map_err(io::Error::from);
        let payload = self.check(payload)?;
        self.put(Kind::Probes, &payload)?;
        self.probes_checksum = crc32c::crc32c(&payload).to_le_bytes();
        self.probes = Arc::clone(&session.probes);
        self.seen.clear();
        self.write()?;
        let flushed = self.out.flush();
        self.check(flushed)
    }

    fn clock(&mut self, sample: ClockSample) -> io::Result<()> {
        self.expect_begun()?;
        self.write_events()?;
        self.put_json(Kind::Clock, &ClockForm::from(sample))?;
        self.write()
    }

    fn follow(&mut self, follow: Follow) -> io::Result<()> {
        self.follow = Some(follow);
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.expect_begun()?;
        let header = event.record.header();
        let packed = self.packer.record(event.record.bytes(), header.stack as usize);
        let packed = packed.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error));
        if self.check(packed)? {
            self.take_symbols(event);
        }
        self.series.event(self.packer.events() - 1, header.time, self.follow.take());
        self.events += 1;
        if self.since.is_none() {
            self.since = Some(Instant::now());
        }
        if self.first_time.is_none() {
            self.first_time = Some(header.time);
        }
        let packer = &self.packer;
        if packer.len() >= FULL || packer.record_bytes() >= FULL_RECORDS || packer.is_full() {
            self.write_events()
        } else {
            Ok(())
        }
    }

    fn loss(&mut self, loss: &Loss<'_>) -> io::Result<()> {
        self.expect_begun()?;
        let Loss { events, probe, cpu, before } = *loss;
        let number = self.number(probe).ok_or_else(|| {
            let error = format!("the trace has no probe {}, of which events were lost", probe.name);
            io::Error::new(io::ErrorKind::InvalidInput, error)
        });
        let probe = self.check(number)?;
        self.packer.loss(PackedLoss { events, probe, cpu, before });
        self.lost = self.lost.saturating_add(events);
        if self.since.is_none() {
            self.since = Some(Instant::now());
        }
        if self.packer.len() >= FULL { self.write_events() } else { Ok(()) }
    }

    fn shortfall(&mut self, shortfall: &Shortfall) -> io::Result<()> {
        self.expect_begun()?;
        self.write_events()?;
        self.put_json(Kind::Shortfall, &ShortfallForm::from(shortfall.clone()))?;
        self.write()
    }

    fn account(&mut self, accounts: &[Account]) -> io::Result<()> {
        self.expect_begun()?;
        self.write_events()?;
        let accounts: Vec<AccountForm> = accounts.iter().copied().map(AccountForm::from).collect();
        self.put_json(Kind::Account, &accounts)?;
        self.write()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.expect_begun()?;
        if self.since.is_some_and(|since| since.elapsed() >= self.age) {
            self.write_events()?;
            let flushed = self.out.flush();
            self.check(flushed)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.end()
    }
}

impl<W: Write> Drop for TraceSink<W> {
    /// A sink that is not finished, because something else failed, still writes what it has taken.
    fn drop(&mut self) {
        if self.expect_begun().is_ok() {
            let _ = self.write_events().and_then(|()| self.out.flush());
        }
    }
}

/// A name for a run that no other has: by the time and the process.
pub(super) fn new_run() -> String {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", time.as_nanos(), std::process::id())
}
