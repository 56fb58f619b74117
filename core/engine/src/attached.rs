//! The programs that are in the kernel, from attaching to the last look at their counters.

use std::sync::Arc;

use tracer_compose::{COUNTERS, counter};
use tracer_event::{Probes, Shortfall};
use tracer_kernel::{Link, Map, map::wait_for_running_programs};
use tracer_trace::Account;

use crate::{
    error::Error,
    load::{Attachment, Live, LiveHook, Loaded, Outcome},
    request::Way,
    shortfall::Counter,
};

/// What became of a probe's hits. Always hits = filtered + limited + delivered + lost, except in
/// the moment between two of the additions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The probe, as it was asked for.
    pub probe: String,
    /// The program ran.
    pub hits: u64,
    /// A filter was not met.
    pub filtered: u64,
    /// Suppressed by the rate limit.
    pub limited: u64,
    /// A record went into the ring.
    pub delivered: u64,
    /// The ring had no room.
    pub lost: u64,
    /// Events that wait for their function's return.
    pub waiting: u64,
    /// What the kernel did not run the program for.
    pub missed: Missed,
    /// `lost` by CPU.
    pub lost_by_cpu: Vec<u64>,
}

/// Hits that the kernel did not run a program for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Missed {
    /// So many.
    Counted(u64),
    /// This kernel does not count them.
    #[default]
    Unknown,
    /// So many, of all probes that share a program.
    Shared {
        /// The program's number.
        program: usize,
        /// How many.
        hits: u64,
    },
}

impl Counts {
    /// The same as outputs take it.
    pub(crate) fn account(&self) -> Account {
        let Self { hits, filtered, limited, delivered, lost, waiting, missed, .. } = *self;
        // Of a call that has not returned, nothing is known that an output could tell.
        let hits = hits - waiting.min(hits);
        let missed = match missed {
            Missed::Counted(n) => Some(n),
            Missed::Unknown | Missed::Shared { .. } => None,
        };
        Account { hits, filtered, limited, delivered, lost, missed }
    }
}

/// The attached probes of a run.
pub struct Attached {
    live: Vec<Live>,
    attachments: Vec<Attachment>,
    hooks: Vec<LiveHook>,
    counters: Vec<Counter>,
    probes: Arc<Probes>,
    /// Programs keep the rings alive; this keeps the array, for as long as they run.
    _rings: Map,
}

/// Links that are closed at once: each may take a tenth of a second, in which its thread does nothing.
const AT_ONCE: usize = 64;

impl Attached {
    /// Takes over what was attached.
    pub(crate) fn new(outcome: Outcome, rings: Map) -> Self {
        let Outcome { live, attachments, hooks, counters, .. } = outcome;
        let probes = Arc::new(Probes::new(live.iter().map(|l| l.info.clone()).collect()));
        Self { live, attachments, hooks, counters, probes, _rings: rings }
    }

    /// What decoding the probes' records takes.
    pub fn probes(&self) -> Arc<Probes> {
        Arc::clone(&self.probes)
    }

    /// The probes.
    pub fn live(&self) -> &[Live] {
        &self.live
    }

    /// The hooks, by their collectors: where each stands, and how often the kernel did not run it, as far as it tells.
    pub fn hooks(&self) -> impl Iterator<Item = (&str, &str, Option<u64>)> {
        self.hooks.iter().map(|hook| {
            let missed = hook.program.info().ok().and_then(|info| info.recursion_misses);
            (hook.collector.as_str(), hook.at.as_str(), missed)
        })
    }

    /// What the collectors' programs have counted, since this was asked last, that should not be.
    pub(crate) fn shortfalls(&mut self) -> Vec<Shortfall> {
        // A map that cannot be read says no more; that will be seen elsewhere.
        self.counters.iter_mut().filter_map(|counter| counter.look().ok().flatten()).collect()
    }

    /// The same of the whole run, in words.
    pub(crate) fn shortfalls_in_all(&self) -> Vec<String> {
        let counted = self.counters.iter().filter(|counter| counter.known > 0);
        counted.map(|counter| counter.told(counter.known)).collect()
    }

    /// Detaches everything. Afterwards no program runs, and the counters stand still.
    pub fn stop(&mut self) -> Result<(), Error> {
        for attachment in &mut self.attachments {
            // A kprobe's count of misses goes with its link.
            attachment.missed_before = attachment.missed_by_links();
        }
        // Entries before returns, so that little is left waiting; they were attached last.
        let all = self.attachments.iter_mut();
        let entries: Vec<Link> = all.filter_map(|attachment| attachment.links.pop()).collect();
        detach(entries);
        detach(self.attachments.iter_mut().flat_map(|attachment| attachment.links.drain(..)).collect());
        // What keeps the maps goes last, as it came first.
        detach(self.hooks.iter_mut().filter_map(|hook| hook.link.take()).collect());
        // A program that was running while its link was closed still delivers.
        Ok(wait_for_running_programs()?)
    }

    /// What became of each probe's hits so far.
    pub fn counts(&self) -> Result<Vec<Counts>, Error> {
        let read: Result<Vec<Vec<Read<'_>>>, Error> =
            self.attachments.iter().map(|a| a.programs.iter().map(Read::of).collect()).collect();
        let read = read?;
        let missed: Vec<Option<u64>> = self.attachments.iter().map(Attachment::missed).collect();
        Ok(self.live.iter().map(|live| self.count(live, &read, &missed)).collect())
    }

    fn count(&self, live: &Live, read: &[Vec<Read<'_>>], missed: &[Option<u64>]) -> Counts {
        let (attachment, index) = live.attachment;
        let by_cpu = |offset: i16| -> Vec<u64> {
            let programs = read[attachment].iter().map(|program| program.by_cpu(index, offset));
            let add = |a: Vec<u64>, b: Vec<u64>| a.iter().zip(&b).map(|(a, b)| a + b).collect();
            programs.reduce(add).unwrap_or_default()
        };
        // The program at the return takes back what the one at the entry has counted.
        let sum = |offset| by_cpu(offset).iter().fold(0u64, |sum, n| sum.wrapping_add(*n));
        let (admitted, filtered, limited) =
            (sum(counter::ADMITTED), sum(counter::FILTERED), sum(counter::LIMITED));
        let (delivered, lost) = (sum(counter::DELIVERED), sum(counter::LOST));
        let waits = matches!(live.way, Way::Fexit | Way::Kretprobe);
        let missed = match missed[attachment] {
            None => Missed::Unknown,
            Some(hits) if self.attachments[attachment].probes > 1 => {
                Missed::Shared { program: attachment, hits }
            }
            Some(n) => Missed::Counted(n),
        };
        Counts {
            probe: live.name.clone(),
            hits: admitted + filtered,
            filtered,
            limited,
            delivered,
            lost,
            waiting: if waits { admitted.saturating_sub(limited + delivered + lost) } else { 0 },
            missed,
            lost_by_cpu: by_cpu(counter::LOST),
        }
    }
}

/// Detaches many at once: a kprobe can take a tenth of a second.
fn detach(mut links: Vec<Link>) {
    while !links.is_empty() {
        let some = links.split_off(links.len().saturating_sub(AT_ONCE));
        std::thread::scope(|scope| {
            for link in some {
                // Without a thread to be had, the link was dropped, which detaches it as well.
                let _ = std::thread::Builder::new().spawn_scoped(scope, move || link.detach());
            }
        });
    }
}

/// The slots of a program, as they were at one moment.
struct Read<'a> {
    loaded: &'a Loaded,
    bytes: Vec<u8>,
}

impl<'a> Read<'a> {
    fn of(loaded: &'a Loaded) -> Result<Self, Error> {
        let mut bytes = vec![0; loaded.slots.value_bytes()];
        loaded.slots.lookup(&0u32.to_ne_bytes(), &mut bytes)?;
        Ok(Self { loaded, bytes })
    }

    /// A counter of one of the program's probes, for each CPU.
    fn by_cpu(&self, index: usize, counter: i16) -> Vec<u64> {
        let Loaded { slot_size, counters, cpus, .. } = *self.loaded;
        let counter = usize::from(counter.unsigned_abs());
        let at = |cpu: usize| match counters {
            None => cpu * slot_size + counter,
            Some((start, size)) => start as usize + cpu * size as usize + index * COUNTERS as usize + counter,
        };
        let word = |at: usize| self.bytes.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes);
        (0..cpus).map(|cpu| word(at(cpu)).unwrap_or(0)).collect()
    }
}

impl Attachment {
    /// A kprobe's misses are its link's to count, a trampoline's are the program's.
    fn missed(&self) -> Option<u64> {
        let by_program = |loaded: &Loaded| loaded.program.info().ok().and_then(|i| i.recursion_misses);
        let by_programs = self.programs.iter().map(by_program).sum::<Option<u64>>();
        match self.way {
            Way::Fentry | Way::Fexit | Way::TpBtf | Way::RawTracepoint => by_programs,
            Way::Kprobe | Way::KprobeMulti | Way::Kretprobe => {
                let by_links =
                    if self.links.is_empty() { self.missed_before } else { self.missed_by_links() };
                by_links.map(|n| n + by_programs.unwrap_or(0))
            }
        }
    }

    fn missed_by_links(&self) -> Option<u64> {
        self.links.iter().map(|link| link.missed().ok().flatten()).sum()
    }
}
