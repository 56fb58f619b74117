//! The consumer's side of a BPF ring buffer. Our own rather than aya's for one reason: the consumer position
//! is published once per some dozen records instead of once per record. A consumer that publishes each record
//! is always "caught up", and then the kernel sends a wakeup with every single event; measured, that costs
//! the traced CPU more than the rest of the program.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};

use crate::map::{self, Map};

/// A ring that is being consumed. 5.8.
#[derive(Debug)]
pub struct Ring {
    map: Map,
    /// The page with our position; the kernel reads it.
    consumer: Mapping,
    /// The page with the kernel's position, then the data, twice in a row so that no record is broken at the
    /// end.
    producer: Mapping,
    page: usize,
    size: usize,
    /// Up to where records have been handed out; runs ahead of the published position.
    position: usize,
}

impl Ring {
    /// Maps a ring for reading. One consumer per ring: two would take each other's records.
    ///
    /// # Errors
    ///
    /// [`RingError::NotARing`] for other kinds of maps, [`RingError::Map`] with mmap(2)'s answer.
    pub fn new(map: Map) -> Result<Ring, RingError> {
        if map.kind() != map::RINGBUF {
            return Err(RingError::NotARing { name: map.name().to_owned(), kind: map.kind() });
        }
        let page = rustix::param::page_size();
        let size = map.max_entries() as usize;
        let failed = |errno| RingError::Map { name: map.name().to_owned(), bytes: size, errno };
        let consumer = Mapping::new(map.fd(), 0, page, libc::PROT_READ | libc::PROT_WRITE).map_err(failed)?;
        // The kernel lets nobody write these pages (ringbuf_map_mmap_kern() in kernel/bpf/ringbuf.c).
        let producer = Mapping::new(map.fd(), page, page + 2 * size, libc::PROT_READ).map_err(failed)?;
        let mut ring = Ring { map, consumer, producer, page, size, position: 0 };
        ring.position = ring.consumer_position().load(Ordering::Acquire);
        Ok(ring)
    }

    /// The descriptor to wait on: readable when there are records. Also with edge-triggered polling nothing
    /// is missed, as long as one waits only after [`Ring::drain`] has returned less than its `max`.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.map.fd()
    }

    /// The map, for programs and for the array of rings.
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// Bytes that wait to be consumed, headers included.
    pub fn pending(&self) -> usize {
        self.producer_position().load(Ordering::Acquire).wrapping_sub(self.position)
    }

    /// Hands up to `max` records to `each`, oldest first, and returns how many. Less than `max` means that
    /// the ring was empty (or that its next record is still being written, which ends in a wakeup).
    ///
    /// The bytes are the ring's own memory, 8-byte aligned and as long as what the program put in; they are
    /// valid during the call only.
    pub fn drain(&mut self, max: usize, mut each: impl FnMut(&[u8])) -> usize {
        // An eighth of the ring keeps the producer from running into a full ring while we hold space back.
        let stride = self.size / 8;
        let mut published = self.position;
        let mut taken = 0;
        while taken < max {
            let Some(record) = self.next() else {
                if published == self.position {
                    break;
                }
                // The kernel sends a wakeup only to a consumer that has caught up. So: publish, and look once
                // more.
                published = self.publish();
                continue;
            };
            if let Record::Data { start, len } = record {
                each(self.bytes(start, len));
                taken += 1;
            }
            self.position = self.position.wrapping_add(record.footprint());
            if self.position.wrapping_sub(published) >= stride {
                published = self.publish();
            }
        }
        if published != self.position {
            self.publish();
        }
        taken
    }

    /// The committed record at our position, if there is one.
    fn next(&self) -> Option<Record> {
        if self.pending() == 0 {
            return None;
        }
        let start = self.position & (self.size - 1);
        // The kernel commits with a full barrier, so what stands behind a header without the busy bit is
        // complete.
        let header = self.header(start).load(Ordering::Acquire);
        if header & BUSY != 0 {
            return None;
        }
        let len = (header & !(BUSY | DISCARD)) as usize;
        let start = start + HEADER;
        Some(if header & DISCARD != 0 { Record::Discarded { len } } else { Record::Data { start, len } })
    }

    fn publish(&self) -> usize {
        // Release: the kernel reuses the memory, so all our reads of it come first.
        self.consumer_position().store(self.position, Ordering::Release);
        // Every later look at the kernel's position comes after that store. Without the fence a record
        // committed in between could go unseen by us and, as the kernel saw the old position, unannounced.
        fence(Ordering::SeqCst);
        self.position
    }

    fn consumer_position(&self) -> &AtomicUsize {
        // SAFETY: the mapping is at least a page, page-aligned, and lives as long as `self`; the kernel
        // accesses the position as one word (`unsigned long consumer_pos`), and so do we.
        unsafe { self.consumer.at(0).cast::<AtomicUsize>().as_ref() }
    }

    fn producer_position(&self) -> &AtomicUsize {
        // SAFETY: as above, `unsigned long producer_pos`; the memory is read-only here and only loaded from.
        unsafe { self.producer.at(0).cast::<AtomicUsize>().as_ref() }
    }

    fn header(&self, start: usize) -> &AtomicU32 {
        // SAFETY: `start` is below `size` and a multiple of 8, as positions are; two copies of `size` bytes
        // follow the first page. The memory is only loaded from.
        unsafe { self.producer.at(self.page + start).cast::<AtomicU32>().as_ref() }
    }

    fn bytes(&self, start: usize, len: usize) -> &[u8] {
        assert!(start + len <= 2 * self.size, "the kernel reserves no record larger than its ring");
        // SAFETY: within the mapping, by the assertion. The record is committed and our published position
        // has not passed it, so the kernel writes none of these bytes until `publish`, which needs this
        // borrow to have ended.
        unsafe { std::slice::from_raw_parts(self.producer.at(self.page + start).as_ptr(), len) }
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

/// Why a ring cannot be consumed.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The map is of another kind.
    #[error("map {name} is of type {kind}, not a ring buffer")]
    NotARing {
        /// The map's name.
        name: String,
        /// `BPF_MAP_TYPE_*`.
        kind: u32,
    },
    /// The ring was not mapped.
    #[error("cannot map ring {name} ({bytes} bytes): {errno}")]
    Map {
        /// The map's name.
        name: String,
        /// The ring's size.
        bytes: usize,
        /// mmap(2)'s answer.
        errno: io::Error,
    },
}

/// `BPF_RINGBUF_BUSY_BIT`, `BPF_RINGBUF_DISCARD_BIT` and `BPF_RINGBUF_HDR_SZ` (include/uapi/linux/bpf.h).
const BUSY: u32 = 1 << 31;
const DISCARD: u32 = 1 << 30;
const HEADER: usize = 8;

enum Record {
    Data { start: usize, len: usize },
    Discarded { len: usize },
}

impl Record {
    fn footprint(&self) -> usize {
        let (Record::Data { len, .. } | Record::Discarded { len }) = self;
        (HEADER + len).next_multiple_of(8)
    }
}

/// A shared mapping, unmapped when dropped.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread; `Ring` hands out its bytes only through `&mut
// self`.
unsafe impl Send for Mapping {}
// SAFETY: through `&Mapping` nothing but addresses can be had.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, offset: usize, len: usize, protection: i32) -> io::Result<Mapping> {
        let offset =
            libc::off_t::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))?;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, fd.as_raw_fd(), offset)
        };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => Ok(Mapping { start, len }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < self.len, "an offset is within its mapping");
        // SAFETY: within the mapping.
        unsafe { self.start.add(offset) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the mapping made in `new`, and nobody else unmaps it; no borrow of it outlives
        // `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_take_multiples_of_eight_bytes() {
        assert_eq!(Record::Data { start: 8, len: 1 }.footprint(), 16);
        assert_eq!(Record::Discarded { len: 8 }.footprint(), 16);
        assert_eq!(Record::Data { start: 8, len: 9 }.footprint(), 24);
    }
}
