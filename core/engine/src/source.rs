//! Where records come from. The rings of the programs in the kernel are the first such place; a
//! stored trace and the kernel's own nftrace messages are others.

use std::{os::fd::BorrowedFd, sync::Arc};

use tracer_event::Probes;
use tracer_kernel::{Map, MapError, MapSpec, Ring, map, map::wait_for_running_programs};

use crate::{error::Error, load::Live, request::Way};

/// Gives records, oldest first as far as the place knows.
pub trait Source {
    /// What the records are of.
    fn probes(&self) -> Arc<Probes>;
    /// Descriptors that become readable when there is something to drain; none for a source that
    /// can always be drained.
    fn wakeups(&self) -> Vec<BorrowedFd<'_>>;
    /// Hands over up to `max` records and returns their number; fewer than `max` means that there
    /// are no more for now.
    fn drain(&mut self, max: usize, each: &mut dyn FnMut(&[u8])) -> usize;
    /// Ends the flow: afterwards only what is there already is drained.
    fn stop(&mut self) -> Result<(), Error>;
    /// What became of the hits of each probe so far.
    fn counts(&self) -> Result<Vec<Counts>, Error>;
}

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
    /// Suppressed by a rate limit.
    pub limited: u64,
    /// A record went into the ring.
    pub delivered: u64,
    /// The ring had no room.
    pub lost: u64,
    /// The kernel did not run the program; `None` where this kernel does not count that.
    pub missed: Option<u64>,
}

/// Programs in the kernel, and the ring that they write to.
pub struct Rings {
    probes: Arc<Probes>,
    live: Vec<Live>,
    ring: Ring,
    _rings: Map,
}

/// Creates the ring and the array that programs find it in. `bytes` is a wish: a machine that is
/// short of memory gets half, and half again.
pub fn rings(bytes: u32) -> Result<(Ring, Map), Error> {
    let mut bytes = bytes.next_power_of_two();
    let spec = |name, kind, key_size, value_size, max_entries, inner| MapSpec {
        name,
        kind,
        key_size,
        value_size,
        max_entries,
        flags: 0,
        inner,
    };
    let ring = loop {
        match Map::create(&spec("tracer_ring", map::RINGBUF, 0, 0, bytes, None)) {
            Ok(ring) => break ring,
            Err(error) if no_memory(&error) && bytes > 64 << 10 => bytes /= 2,
            Err(error) => return Err(error.into()),
        }
    };
    let rings = Map::create(&spec("tracer_rings", map::ARRAY_OF_MAPS, 4, 4, 1, Some(ring.fd())))?;
    rings.update_map(0, &ring)?;
    let ring = Ring::new(ring)
        .map_err(|e| Error::System { what: "cannot map the event ring", error: std::io::Error::other(e) })?;
    Ok((ring, rings))
}

fn no_memory(error: &MapError) -> bool {
    error.errno().is_some_and(|e| e.kind() == std::io::ErrorKind::OutOfMemory)
}

impl Rings {
    /// Takes over what was attached.
    pub fn new(live: Vec<Live>, ring: Ring, rings: Map) -> Self {
        let probes = Arc::new(Probes::new(live.iter().map(|l| l.info.clone()).collect()));
        Self { probes, live, ring, _rings: rings }
    }

    /// The attached probes.
    pub fn live(&self) -> &[Live] {
        &self.live
    }
}

impl Source for Rings {
    fn probes(&self) -> Arc<Probes> {
        Arc::clone(&self.probes)
    }

    fn wakeups(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.ring.fd()]
    }

    fn drain(&mut self, max: usize, each: &mut dyn FnMut(&[u8])) -> usize {
        self.ring.drain(max, each)
    }

    fn stop(&mut self) -> Result<(), Error> {
        for live in &mut self.live {
            // A kprobe's count of misses goes with its link.
            if let Some(link) = live.link.take() {
                link.detach();
            }
        }
        // A program that is running while its link is closed still delivers.
        Ok(wait_for_running_programs()?)
    }

    fn counts(&self) -> Result<Vec<Counts>, Error> {
        self.live.iter().map(Live::counts).collect()
    }
}

impl Live {
    fn counts(&self) -> Result<Counts, Error> {
        use tracer_compose::counter;
        let mut slots = vec![0; self.slots.value_bytes()];
        self.slots.lookup(&0u32.to_ne_bytes(), &mut slots)?;
        let sum = |offset: i16| -> u64 {
            let at = usize::from(offset.unsigned_abs());
            let words =
                slots.chunks_exact(self.slot_size).filter_map(|slot| slot.get(at..at + 8)?.try_into().ok());
            words.map(u64::from_ne_bytes).sum()
        };
        let by_program = self.program.info().ok().and_then(|i| i.recursion_misses);
        let by_link = self.link.as_ref().and_then(|l| l.missed().ok().flatten());
        // A kprobe's misses are the link's to count; a trampoline's are the program's.
        let missed = match self.way {
            Way::Fentry => by_program,
            Way::Kprobe => by_link.map(|n| n + by_program.unwrap_or(0)),
        };
        Ok(Counts {
            probe: self.name.clone(),
            hits: sum(counter::HITS),
            filtered: sum(counter::FILTERED),
            limited: sum(counter::LIMITED),
            delivered: sum(counter::DELIVERED),
            lost: sum(counter::LOST),
            missed,
        })
    }
}
