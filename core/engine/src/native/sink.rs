//! A plugin as a sink: it gets the events in the format of traces, into its process, where they are played to it.

use std::{
    io::{self, Write},
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tracer_compose::Fragment;
use tracer_event::{Account, ClockSample, Event, Follow, Loss, Session, Shortfall};
use tracer_trace::{Sink, file::TraceSink};

use super::{
    form::{Options, Role, Start},
    frame::Kind,
    process::{Process, Quarantine, START},
};
use crate::clock;

/// How long events may stay here before the plugin gets them.
const AGE: Duration = Duration::from_millis(100);
/// How long the plugin may take nothing at all.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a trace that are sent at once.
const PIECE: usize = 1 << 20;
/// How often it is told the time.
const TICK: Duration = Duration::from_secs(1);

/// How events are shown, where the plugin asks for them in words.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown {
    /// Whether events come as they happen.
    pub live: bool,
    /// By the wall clock.
    pub utc: bool,
    /// With link headers.
    pub link_header: bool,
}

/// A plugin that takes events. One that cannot start is an error of [`Sink::begin`]; otherwise this never fails: a plugin that cannot go
/// on is quarantined, which the user is told, and [`NativeSink::missed`] counts what it did not get.
pub struct NativeSink {
    name: String,
    process: Option<Process>,
    trace: TraceSink<Bytes>,
    bytes: Bytes,
    /// Events that it was given.
    given: u64,
    missed: Arc<AtomicU64>,
    failed: Arc<AtomicBool>,
    ticked: Instant,
    /// Since when it has not been seen to take events although it was given some.
    waits: Option<Instant>,
    tell: Box<dyn FnMut(String) + Send>,
    /// Why it is quarantined.
    why: Option<Quarantine>,
    is_over: bool,
}

/// The bytes of the trace that are to be sent.
#[derive(Debug, Clone, Default)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Bytes {
    fn take(&self) -> Vec<u8> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NativeSink {
    /// Starts a process for the plugin, which loads the library. `tell` gets what the user is to be told.
    ///
    /// # Errors
    /// The library is not taken, or is no sink.
    pub fn start(
        fragment: &Fragment,
        options: Options,
        shown: Shown,
        tell: Box<dyn FnMut(String) + Send>,
    ) -> Result<Self, Quarantine> {
        let Shown { live, utc, link_header } = shown;
        let start = Start { role: Role::Sink, options, live, utc, link_header, printed: None };
        Self::start_as(fragment, &start, tell)
    }

    /// The same, as this says.
    pub(super) fn start_as(
        fragment: &Fragment,
        start: &Start,
        tell: Box<dyn FnMut(String) + Send>,
    ) -> Result<Self, Quarantine> {
        let name = fragment.manifest.name.clone();
        let Some(half) = &fragment.native else {
            return Err(Quarantine::declares("it has no native half"));
        };
        let process = Process::start(&name, half, start)?;
        let described = process.described();
        if described.name != name {
            let its = described.name.escape_debug();
            let why = format!("its library is that of `{its}`, and collector.toml that of `{name}`");
            return Err(Quarantine::declares(why));
        }
        if !described.is_sink {
            let why = "collector.toml says that it is a sink, but its library has no function `event`";
            return Err(Quarantine::declares(why));
        }
        let bytes = Bytes::default();
        Ok(Self {
            name,
            process: Some(process),
            trace: TraceSink::new(bytes.clone()).within(AGE),
            bytes,
            given: 0,
            missed: Arc::default(),
            failed: Arc::default(),
            ticked: Instant::now(),
            waits: None,
            tell,
            why: None,
            is_over: false,
        })
    }

    /// How many events the plugin was not given, or was and did not take, because it is not used any more: known once this is
    /// finished.
    pub fn missed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.missed)
    }

    /// Whether it was quarantined, be it at its very end, when it had all events.
    pub fn failed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.failed)
    }

    /// Does something to the trace, and sends what comes of it.
    fn with(&mut self, what: &'static str, action: impl FnOnce(&mut TraceSink<Bytes>) -> io::Result<()>) {
        if self.process.is_none() {
            return;
        }
        let written = action(&mut self.trace).map_err(|error| Quarantine::Unsent(error.to_string()));
        if let Err(why) = written.and_then(|()| self.pass_on(what)) {
            self.quarantine(why);
        }
    }

    /// Sends what the trace has written.
    fn pass_on(&mut self, what: &'static str) -> Result<(), Quarantine> {
        let (Some(process), bytes) = (&mut self.process, self.bytes.take()) else { return Ok(()) };
        if bytes.is_empty() {
            return Ok(());
        }
        self.waits.get_or_insert_with(Instant::now);
        bytes.chunks(PIECE).try_for_each(|piece| process.send(Kind::Trace, &[piece], what, PATIENCE))
    }

    fn quarantine(&mut self, why: Quarantine) {
        let why = self.at_events(why);
        self.tell_rest();
        let Some(process) = self.process.take() else { return };
        self.failed.store(true, Ordering::Relaxed);
        // It may have taken some that it has not told of.
        let left = self.given.saturating_sub(process.taken);
        self.missed.fetch_add(left, Ordering::Relaxed);
        (self.tell)(format!(
            "sink {} is not used any more: {why}; {} of {} events that it was given are known to be taken, and it gets no more",
            self.name, process.taken, self.given
        ));
        process.leave(&why);
        self.why = Some(why);
    }

    fn tell_said(&mut self) {
        let lines = self.process.as_mut().map(Process::said).unwrap_or_default();
        lines.into_iter().for_each(|line| (self.tell)(format!("sink {}: {line}", self.name)));
    }

    /// The same, for good.
    fn tell_rest(&mut self) {
        let lines = self.process.as_mut().map(Process::said_at_last).unwrap_or_default();
        lines.into_iter().for_each(|line| (self.tell)(format!("sink {}: {line}", self.name)));
    }

    /// Whether it goes on: looks at what it says, and tells it the time.
    fn look(&mut self) -> Result<(), Quarantine> {
        let Some(process) = &mut self.process else { return Ok(()) };
        let before = process.taken;
        process.look("event")?;
        if process.taken >= self.given {
            self.waits = None;
        } else if process.taken > before {
            self.waits = self.waits.map(|_| Instant::now());
        } else if self.waits.is_some_and(|since| since.elapsed() > PATIENCE) {
            return Err(Quarantine::Blocked { what: "event", limit: PATIENCE });
        }
        if self.ticked.elapsed() < TICK { Ok(()) } else { self.tick() }
    }

    fn tick(&mut self) -> Result<(), Quarantine> {
        let Some(process) = &mut self.process else { return Ok(()) };
        self.ticked = Instant::now();
        let now = clock::monotonic().to_le_bytes();
        process.send(Kind::Tick, &[&now], "event", PATIENCE)
    }

    /// Tells it the time, whether or not it is time to.
    pub(super) fn tick_now(&mut self) {
        if let Err(why) = self.tick() {
            self.quarantine(why);
        }
    }

    /// Why it is quarantined.
    pub(super) fn why(&self) -> Option<&Quarantine> {
        self.why.as_ref()
    }

    /// Ends the plugin, once it has taken everything. It may take long, but not without taking any.
    fn stop(&mut self) -> Result<(), Quarantine> {
        let Some(process) = &mut self.process else { return Ok(()) };
        process.send(Kind::Stop, &[], "event", PATIENCE)?;
        process.done("stop", PATIENCE)
    }

    /// It works behind what it is sent: what comes behind events, it has not got to where it has not taken them.
    fn at_events(&self, why: Quarantine) -> Quarantine {
        let taken = self.process.as_ref().map_or(self.given, |process| process.taken);
        match why {
            Quarantine::Blocked { limit, .. } if taken < self.given => {
                Quarantine::Blocked { what: "event", limit }
            }
            Quarantine::Ended { how, .. } if taken < self.given => Quarantine::Ended { what: "event", how },
            why => why,
        }
    }

    /// Finishes the trace and the plugin, and says why it was quarantined, or else how its process ended otherwise than in order, which is of
    /// no concern to a run.
    ///
    /// # Errors
    /// That.
    pub(super) fn end(mut self) -> Result<(), Quarantine> {
        self.close()
    }

    fn close(&mut self) -> Result<(), Quarantine> {
        if mem::replace(&mut self.is_over, true) {
            return Ok(());
        }
        let trace = mem::replace(&mut self.trace, TraceSink::new(Bytes::default()));
        if trace.written() > 0 {
            self.with("flush", |_| Box::new(trace).finish());
        }
        if let Err(why) = self.stop() {
            self.quarantine(why);
        }
        self.tell_rest();
        let missed = self.missed.load(Ordering::Relaxed);
        if missed > 0 {
            (self.tell)(format!("sink {}: {missed} events were not taken by it", self.name));
        }
        match self.why.take() {
            Some(why) => Err(why),
            None => self.process.take().map_or(Ok(()), Process::finish),
        }
    }
}

impl Sink for NativeSink {
    fn begin(&mut self, session: &Session) -> io::Result<()> {
        let is_first = self.trace.written() == 0;
        self.with("start", |trace| trace.begin(session));
        let Some(process) = &mut self.process else { return Ok(()) };
        let started = process.expect(Kind::Started, "start", START);
        match started {
            Ok(()) => {
                self.waits = None;
                Ok(())
            }
            Err(why) if is_first => {
                self.tell_rest();
                let error = io::Error::other(format!("sink {} cannot be used: {why}", self.name));
                if let Some(process) = self.process.take() {
                    process.leave(&why);
                }
                self.why = Some(why);
                Err(error)
            }
            Err(why) => {
                self.quarantine(why);
                Ok(())
            }
        }
    }

    fn clock(&mut self, sample: ClockSample) -> io::Result<()> {
        self.with("event", |trace| trace.clock(sample));
        Ok(())
    }

    fn follow(&mut self, follow: Follow) -> io::Result<()> {
        self.with("event", |trace| trace.follow(follow));
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        if self.process.is_none() {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        self.given += 1;
        self.with("event", |trace| trace.event(event));
        Ok(())
    }

    fn loss(&mut self, loss: &Loss<'_>) -> io::Result<()> {
        self.with("loss", |trace| trace.loss(loss));
        Ok(())
    }

    fn shortfall(&mut self, shortfall: &Shortfall) -> io::Result<()> {
        self.with("event", |trace| trace.shortfall(shortfall));
        Ok(())
    }

    fn account(&mut self, accounts: &[Account]) -> io::Result<()> {
        self.with("event", |trace| trace.account(accounts));
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with("flush", Sink::flush);
        match self.look() {
            Ok(()) => self.tell_said(),
            Err(why) => self.quarantine(why),
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        // The user knows.
        let _ = self.end();
        Ok(())
    }
}

impl Drop for NativeSink {
    /// Another output has failed, and this is not finished for that: what the plugin was given is its own, and it is told the end.
    fn drop(&mut self) {
        let _ = self.close();
    }
}
