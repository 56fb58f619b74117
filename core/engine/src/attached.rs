//! The programs that are in the kernel, from attaching to the last look at their counters.

use std::sync::Arc;

use tracer_compose::counter;
use tracer_event::Probes;
use tracer_kernel::{Map, map::wait_for_running_programs};
use tracer_trace::Account;

use crate::{error::Error, load::Live, request::Way};

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
    /// The kernel did not run the program; `None` where this kernel does not count that.
    pub missed: Option<u64>,
    /// `lost` by CPU.
    pub lost_by_cpu: Vec<u64>,
}

impl Counts {
    /// The same as outputs take it.
    pub(crate) fn account(&self) -> Account {
        let Self { hits, filtered, limited, delivered, lost, missed, .. } = *self;
        Account { hits, filtered, limited, delivered, lost, missed }
    }
}

/// The attached probes of a run.
pub struct Attached {
    live: Vec<Live>,
    probes: Arc<Probes>,
    /// Programs keep the rings alive; this keeps the array, for as long as they run.
    _rings: Map,
}

impl Attached {
    /// Takes over what was attached.
    pub fn new(live: Vec<Live>, rings: Map) -> Self {
        let probes = Arc::new(Probes::new(live.iter().map(|l| l.info.clone()).collect()));
        Self { live, probes, _rings: rings }
    }

    /// What decoding the probes' records takes.
    pub fn probes(&self) -> Arc<Probes> {
        Arc::clone(&self.probes)
    }

    /// The probes.
    pub fn live(&self) -> &[Live] {
        &self.live
    }

    /// Detaches everything. Afterwards no program runs, and the counters stand still.
    pub fn stop(&mut self) -> Result<(), Error> {
        // Detaching a kprobe can take a tenth of a second: all at once.
        std::thread::scope(|scope| {
            for live in &mut self.live {
                if let Some(link) = live.link.take() {
                    // A kprobe's count of misses goes with its link.
                    live.missed_before = link.missed().ok().flatten();
                    scope.spawn(move || link.detach());
                }
            }
        });
        // A program that was running while its link was closed still delivers.
        Ok(wait_for_running_programs()?)
    }

    /// What became of each probe's hits so far.
    pub fn counts(&self) -> Result<Vec<Counts>, Error> {
        self.live.iter().map(Live::counts).collect()
    }
}

impl Live {
    fn counts(&self) -> Result<Counts, Error> {
        let mut slots = vec![0; self.slots.value_bytes()];
        self.slots.lookup(&0u32.to_ne_bytes(), &mut slots)?;
        let by_cpu = |offset: i16| -> Vec<u64> {
            let at = usize::from(offset.unsigned_abs());
            let words = slots.chunks_exact(self.slot_size).take(self.cpus);
            words.filter_map(|slot| slot.get(at..at + 8)?.try_into().ok()).map(u64::from_ne_bytes).collect()
        };
        let sum = |offset| by_cpu(offset).iter().sum();
        Ok(Counts {
            probe: self.name.clone(),
            hits: sum(counter::ADMITTED) + sum(counter::FILTERED),
            filtered: sum(counter::FILTERED),
            limited: sum(counter::LIMITED),
            delivered: sum(counter::DELIVERED),
            lost: sum(counter::LOST),
            missed: self.missed(),
            lost_by_cpu: by_cpu(counter::LOST),
        })
    }

    /// A kprobe's misses are its link's to count, a trampoline's are the program's.
    fn missed(&self) -> Option<u64> {
        let by_program = self.program.info().ok().and_then(|i| i.recursion_misses);
        match self.way {
            Way::Fentry => by_program,
            Way::Kprobe => {
                let by_link = match &self.link {
                    Some(link) => link.missed().ok().flatten(),
                    None => self.missed_before,
                };
                by_link.map(|n| n + by_program.unwrap_or(0))
            }
        }
    }
}
