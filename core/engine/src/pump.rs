//! The thread that takes records out of the source and gives events to the sink. A sink may block
//! for as long as it likes: it only keeps this thread, the ring stays the one bounded buffer, and
//! what finds no room there is counted by the programs that would have put it in.

use std::{
    collections::HashMap,
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use tokio::sync::mpsc::UnboundedSender;
use tracer_event::{Clock, ClockSample, Context, Event, Probes, Session, Shortfall};
use tracer_kernel::{Capability, caps::keep_only};
use tracer_trace::{Account, Loss, Sink};

use crate::{attached::Counts, clock, native::enrich::Enriching, source::Source};

/// Records that are taken out of the ring before the sink is flushed.
const BATCH: usize = 4096;

/// How long this thread sleeps when there is nothing to drain. Programs do not wake it: a wakeup
/// would cost the traced CPU more than the rest of the event (docs/performance.md). A ring holds
/// what comes in that time many times over, and no eye sees the delay.
const IDLE: Timespec = Timespec { tv_sec: 0, tv_nsec: 40_000_000 };

/// How long records are left to gather once there are some.
const GATHER: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// What the pump tells the run. After each of these but the first two its thread is at its end.
#[derive(Debug)]
pub(crate) enum Word {
    /// Something for the user to know.
    Said(String),
    /// As many events as were asked for have been given to the sink; it waits to be finished.
    Enough,
    /// The sink failed.
    Failed(io::Error),
    /// Everything was given to the sink, and the sink is finished.
    Finished,
}

/// What the pump and the run share.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Events that the sink took and passed on.
    pub(crate) events: AtomicU64,
    /// Records that could not be decoded.
    pub(crate) malformed: AtomicU64,
    finish: AtomicBool,
    /// What the collectors' programs counted, for the sink.
    shortfalls: Mutex<Vec<Shortfall>>,
    /// What was lost in the end, for losses that no later record tells of.
    counts: Mutex<Vec<Counts>>,
}

impl Progress {
    /// Tells the sink what the collectors' programs counted.
    fn tell(&self, sink: &mut dyn Sink) -> io::Result<()> {
        let shortfalls = std::mem::take(&mut *self.shortfalls.lock().unwrap_or_else(PoisonError::into_inner));
        shortfalls.iter().try_for_each(|shortfall| sink.shortfall(shortfall))
    }
}

/// The run's end of the pump.
pub(crate) struct Pump {
    pub(crate) progress: Arc<Progress>,
    wake: OwnedFd,
}

/// What the pump works with.
pub(crate) struct Parts<Y> {
    pub(crate) source: Box<dyn Source>,
    pub(crate) sink: Box<dyn Sink + Send>,
    pub(crate) symbols: Y,
    /// What the outputs are told; its probes are those of the source, with what is added.
    pub(crate) session: Session,
    /// What adds to events.
    pub(crate) enriching: Option<Enriching>,
    pub(crate) show: Show,
    pub(crate) stop_after: Option<u64>,
    /// Privileges that the sink needs: to make files in other people's folders and give them away.
    pub(crate) keep: &'static [Capability],
    /// Whether events have stacks: names are read before the first one, which would wait for them.
    pub(crate) stacks: bool,
}

impl<Y> Parts<Y> {
    /// Tells the user what the native halves said, and the outputs which events they were not asked about.
    fn tell_of_natives(&mut self, words: &UnboundedSender<Word>, last: bool) -> io::Result<()> {
        let Some(enriching) = &mut self.enriching else { return Ok(()) };
        for said in enriching.said() {
            let _ = words.send(Word::Said(said));
        }
        let shortfalls = enriching.shortfalls(last);
        shortfalls.iter().try_for_each(|shortfall| self.sink.shortfall(shortfall))
    }
}

/// How events are shown, where an output shows them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Show {
    pub(crate) link_header: bool,
    pub(crate) utc: bool,
}

impl Pump {
    /// Starts the thread.
    pub(crate) fn start<Y: tracer_event::Symbols + Send + 'static>(
        parts: Parts<Y>,
        words: UnboundedSender<Word>,
    ) -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let waker = wake.try_clone()?;
        let progress = Arc::new(Progress::default());
        let shared = Arc::clone(&progress);
        thread::Builder::new().name("tracer-sink".to_owned()).spawn(move || {
            // Decoding what strangers sent needs no privilege. Failing to drop them is no reason
            // not to trace; without any there is nothing to drop.
            let _ = keep_only(parts.keep);
            let mut parts = parts;
            let word = work(&mut parts, &shared, &waker, &words);
            // Where an output failed, they are not told the end yet.
            let told = parts.enriching.take().map(|mut enriching| {
                enriching.stop();
                enriching.said()
            });
            for said in told.unwrap_or_default() {
                let _ = words.send(Word::Said(said));
            }
            let word = word.and_then(|()| parts.sink.finish()).map_or_else(Word::Failed, |()| Word::Finished);
            // Nobody listens when the run has given up waiting.
            let _ = words.send(word);
        })?;
        Ok(Self { progress, wake })
    }

    /// Has the thread tell the sink.
    pub(crate) fn tell(&self, shortfalls: Vec<Shortfall>) {
        self.progress.shortfalls.lock().unwrap_or_else(PoisonError::into_inner).extend(shortfalls);
    }

    /// Has the thread drain what is left and finish the sink. `counts` are the last ones: nothing
    /// may be attached any more.
    pub(crate) fn finish(&self, counts: Vec<Counts>) -> io::Result<()> {
        *self.progress.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
        self.progress.finish.store(true, Ordering::Release);
        rustix::io::write(&self.wake, &1u64.to_ne_bytes())?;
        Ok(())
    }
}

fn work<Y: tracer_event::Symbols>(
    parts: &mut Parts<Y>,
    progress: &Progress,
    wake: &OwnedFd,
    words: &UnboundedSender<Word>,
) -> io::Result<()> {
    let probes = Arc::clone(&parts.session.probes);
    if parts.stacks {
        let _ = parts.symbols.resolve(0);
    }
    parts.sink.begin(&parts.session)?;
    let mut clocks = Clocks::default();
    let mut losses = Losses::default();
    let (mut taken, mut enough) = (0, false);
    loop {
        let finish = progress.finish.load(Ordering::Acquire);
        let mut drained = 0;
        if !enough {
            if let Some(sample) = clocks.look() {
                parts.sink.clock(sample)?;
            }
            let context = Context {
                own_netns: parts.session.own_netns,
                symbols: &parts.symbols,
                clock: &clocks.clock,
                utc: parts.show.utc,
                link_header: parts.show.link_header,
            };
            let left = parts.stop_after.map_or(u64::MAX, |n| n - taken);
            let max = usize::try_from(left).unwrap_or(usize::MAX).min(BATCH);
            let (sink, mut result) = (&mut parts.sink, Ok(()));
            let mut give = |bytes: &[u8]| {
                let passed = pass(bytes, &probes, &context, sink.as_mut(), &mut losses, progress);
                passed.map(|events| taken += events)
            };
            match &mut parts.enriching {
                None => {
                    drained = parts.source.drain(max, &mut |bytes| {
                        if result.is_ok() {
                            result = give(bytes);
                        }
                    });
                }
                Some(enriching) => {
                    drained = parts.source.drain(max, &mut |bytes| {
                        if result.is_ok() && enriching.take(bytes) {
                            result = enriching.pass(&mut give);
                        }
                    });
                    result = result.and_then(|()| enriching.pass(&mut give));
                    enriching.tick();
                }
            }
            result?;
            parts.tell_of_natives(words, false)?;
            progress.tell(parts.sink.as_mut())?;
            parts.sink.flush()?;
            // Only now: an output that blocks has not taken them.
            progress.events.store(taken, Ordering::Relaxed);
            if parts.stop_after.is_some_and(|n| taken >= n) {
                enough = true;
                let _ = words.send(Word::Enough);
                continue;
            }
        }
        if drained == BATCH {
            continue;
        }
        if finish {
            break;
        }
        let wakeups = if enough { Vec::new() } else { parts.source.wakeups() };
        let mut fds: Vec<PollFd<'_>> = wakeups
            .iter()
            .map(|fd| PollFd::new(fd, PollFlags::IN))
            .chain([PollFd::new(wake, PollFlags::IN)])
            .collect();
        wait(&mut fds, &IDLE)?;
        // Whoever wants this to finish does not wait.
        wait(&mut [PollFd::new(wake, PollFlags::IN)], &GATHER)?;
    }
    let counts = std::mem::take(&mut *progress.counts.lock().unwrap_or_else(PoisonError::into_inner));
    losses.rest(&counts, &probes, parts.sink.as_mut())?;
    if let Some(enriching) = &mut parts.enriching {
        enriching.stop();
    }
    parts.tell_of_natives(words, true)?;
    progress.tell(parts.sink.as_mut())?;
    let accounts: Vec<Account> = counts.iter().map(Counts::account).collect();
    parts.sink.account(&accounts)
}

/// How often the two clocks are compared. The wall clock is slewed by at most half a millisecond per second, so an
/// event's time is right to 30 ms at worst, and much better where nothing is wrong with the clock.
const COMPARE: Duration = Duration::from_secs(60);

/// The clocks' samples so far.
#[derive(Default)]
struct Clocks {
    clock: Clock,
    looked: Option<Instant>,
}

impl Clocks {
    /// Looks at the clocks if it is time to, and returns what they say.
    fn look(&mut self) -> Option<ClockSample> {
        if self.looked.is_some_and(|at| at.elapsed() < COMPARE) {
            return None;
        }
        self.looked = Some(Instant::now());
        let sample = clock::sample();
        self.clock.add(sample);
        Some(sample)
    }
}

fn wait(fds: &mut [PollFd<'_>], limit: &Timespec) -> io::Result<()> {
    match poll(fds, Some(limit)) {
        // A stop and continue of the process interrupts the wait.
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// One record: the loss before it, if there was one, then its event. Returns the number of events.
fn pass(
    bytes: &[u8],
    probes: &Probes,
    context: &Context<'_>,
    sink: &mut dyn Sink,
    losses: &mut Losses,
    progress: &Progress,
) -> io::Result<u64> {
    match probes.event(bytes, context) {
        Ok(event) => {
            losses.before(&event, sink)?;
            sink.event(&event)?;
            Ok(1)
        }
        Err(_) => {
            progress.malformed.fetch_add(1, Ordering::Relaxed);
            Ok(0)
        }
    }
}

/// Losses in their place: each record carries how many its probe lost on its CPU before it, so the
/// difference between two records is what was lost between them.
#[derive(Default)]
struct Losses {
    known: HashMap<(u16, u16), u64>,
}

impl Losses {
    fn before(&mut self, event: &Event<'_>, sink: &mut dyn Sink) -> io::Result<()> {
        let header = event.record.header();
        let known = self.known.entry((header.probe, header.cpu)).or_default();
        let lost = header.lost.saturating_sub(*known);
        *known = header.lost.max(*known);
        if lost == 0 {
            return Ok(());
        }
        sink.loss(&Loss { events: lost, probe: event.probe, cpu: header.cpu, before: Some(header.time) })
    }

    /// What was lost after the last record of each probe and CPU.
    fn rest(&self, counts: &[Counts], probes: &Probes, sink: &mut dyn Sink) -> io::Result<()> {
        for (number, counts) in (0u16..).zip(counts) {
            let Some(probe) = probes.probe(number) else { continue };
            for (cpu, total) in (0u16..).zip(&counts.lost_by_cpu) {
                let known = self.known.get(&(number, cpu)).copied().unwrap_or(0);
                let lost = total.saturating_sub(known);
                if lost > 0 {
                    sink.loss(&Loss { events: lost, probe, cpu, before: None })?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "pump_tests.rs"]
mod tests;
