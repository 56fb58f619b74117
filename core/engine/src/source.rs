//! Where records come from. The ring of the programs in the kernel is the first such place; a
//! stored trace and the kernel's own nftrace messages are others.

use std::{io, os::fd::BorrowedFd, sync::Arc};

use tracer_event::Probes;
use tracer_kernel::{Map, MapError, MapSpec, Ring, map};

use crate::error::Error;

/// Gives records, oldest first as far as the place knows. It moves to the thread that drains it.
pub trait Source: Send {
    /// What the records are of.
    fn probes(&self) -> Arc<Probes>;
    /// Descriptors that are readable when there is something to drain; none for a source that can
    /// always be drained. They need not wake who waits: it looks again after a while.
    fn wakeups(&self) -> Vec<BorrowedFd<'_>>;
    /// Hands over up to `max` records and returns their number; fewer than `max` means that there
    /// are no more for now.
    fn drain(&mut self, max: usize, each: &mut dyn FnMut(&[u8])) -> usize;
}

/// The ring that the programs in the kernel write to.
pub struct Rings {
    probes: Arc<Probes>,
    ring: Ring,
}

impl Rings {
    /// Reads records of these probes.
    pub fn new(probes: Arc<Probes>, ring: Ring) -> Self {
        Self { probes, ring }
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
}

/// The least that a ring is halved to when memory is short.
const RING_MIN: u32 = 64 << 10;

/// Creates the ring and the array in which programs find it. `bytes` is a wish: where the machine
/// is short of memory it is half, and half again.
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
            Err(error) if no_memory(&error) && bytes > RING_MIN => bytes /= 2,
            Err(error) => return Err(error.into()),
        }
    };
    let rings = Map::create(&spec("tracer_rings", map::ARRAY_OF_MAPS, 4, 4, 1, Some(ring.fd())))?;
    rings.update_map(0, &ring)?;
    let ring = Ring::new(ring)
        .map_err(|e| Error::System { what: "cannot map the event ring", error: io::Error::other(e) })?;
    Ok((ring, rings))
}

fn no_memory(error: &MapError) -> bool {
    error.errno().is_some_and(|e| e.kind() == io::ErrorKind::OutOfMemory)
}
