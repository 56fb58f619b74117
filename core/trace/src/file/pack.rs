//! The records of one block, packed. Neighbouring records of a probe are nearly alike, so each is stored as the bytes in
//! which it differs from an earlier one of the same size and with the same stack: the stack takes no bytes at all, and a
//! compressor has a tenth to work on. Nothing here knows what is in a record, but for the length of its stack.
//!
//! docs/trace-format.md, "Events", is the specification. A block refers to no other block's records, so that one that is
//! damaged harms no other and workers can unpack several at a time.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Slots of a block. More would be no use: by then a block is full of first records.
pub(super) const SLOTS: usize = 4096;
/// Bytes of a record at most.
pub(super) const RECORD: usize = 8 << 20;
/// Bytes of all slots of a block together at most.
pub(super) const SLOT_BYTES: usize = 32 << 20;

/// Codes of the items; a slot's number plus `FIRST_SLOT` is a record.
pub(super) const LOSS: u64 = 0;
pub(super) const SLOT: u64 = 1;
pub(super) const FIRST_SLOT: u64 = 2;

/// A loss, by its probe's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PackedLoss {
    pub(super) events: u64,
    pub(super) probe: u16,
    pub(super) cpu: u16,
    pub(super) before: Option<u64>,
}

/// A block in the making.
#[derive(Debug, Default)]
pub(super) struct Packer {
    items: u32,
    events: u32,
    /// Codes and what belongs to them, other than differences.
    codes: Vec<u8>,
    /// Which bytes differ.
    masks: Vec<u8>,
    /// The bytes that differ.
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    slot_bytes: usize,
    by_hash: HashMap<u64, usize, BuildHasherDefault<AsIs>>,
    record_bytes: usize,
}

/// The last record with a certain size and stack.
#[derive(Debug)]
struct Slot {
    body: Vec<[u8; 8]>,
    stack: Vec<[u8; 8]>,
}

impl Packer {
    /// Takes a record, of which the last `stack` bytes are its stack. Returns whether the stack is new to this block.
    ///
    /// # Errors
    ///
    /// A record that is not made of whole words, or too large to be read back.
    pub(super) fn record(&mut self, record: &[u8], stack: usize) -> Result<bool, Unpackable> {
        let (words, rest) = record.as_chunks::<8>();
        if !rest.is_empty() || record.len() > RECORD || !stack.is_multiple_of(8) || stack > record.len() {
            return Err(Unpackable { bytes: record.len() });
        }
        let (body, stack) = words.split_at(words.len() - stack / 8);
        let (slot, new) = self.slot(body, stack);
        put_varint(&mut self.codes, FIRST_SLOT + slot as u64);
        put_difference(&mut self.masks, &mut self.bytes, &mut self.slots[slot].body, body);
        self.items += 1;
        self.events += 1;
        self.record_bytes += record.len();
        Ok(new)
    }

    /// Takes a loss.
    pub(super) fn loss(&mut self, loss: PackedLoss) {
        let PackedLoss { events, probe, cpu, before } = loss;
        put_varint(&mut self.codes, LOSS);
        put_varint(&mut self.codes, u64::from(probe));
        put_varint(&mut self.codes, u64::from(cpu));
        put_varint(&mut self.codes, events);
        put_varint(&mut self.codes, u64::from(before.is_some()));
        put_varint(&mut self.codes, before.unwrap_or(0));
        self.items += 1;
    }

    /// Bytes of the block so far.
    pub(super) fn len(&self) -> usize {
        self.codes.len() + self.masks.len() + self.bytes.len()
    }

    /// Bytes of the records in it, before packing.
    pub(super) fn record_bytes(&self) -> usize {
        self.record_bytes
    }

    /// Records in it.
    pub(super) fn events(&self) -> u32 {
        self.events
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Whether another record might not fit.
    pub(super) fn is_full(&self) -> bool {
        self.slots.len() >= SLOTS || self.slot_bytes > SLOT_BYTES - RECORD
    }

    /// Puts the block's bytes behind what is in `out`, and is empty.
    pub(super) fn take(&mut self, out: &mut Vec<u8>) {
        let len = |part: &Vec<u8>| u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes();
        out.extend(self.items.to_le_bytes());
        out.extend(len(&self.codes));
        out.extend(len(&self.masks));
        for part in [&mut self.codes, &mut self.masks, &mut self.bytes] {
            out.append(part);
        }
        (self.items, self.events, self.record_bytes, self.slot_bytes) = (0, 0, 0, 0);
        self.slots.clear();
        self.by_hash.clear();
    }

    /// The slot for records like this one.
    fn slot(&mut self, body: &[[u8; 8]], stack: &[[u8; 8]]) -> (usize, bool) {
        let hash = hash(body.len(), stack);
        if let Some(number) = self.by_hash.get(&hash) {
            let slot = &self.slots[*number];
            if slot.body.len() == body.len() && slot.stack == stack {
                return (*number, false);
            }
        }
        put_varint(&mut self.codes, SLOT);
        put_varint(&mut self.codes, body.len() as u64);
        put_varint(&mut self.codes, stack.len() as u64);
        self.bytes.extend(stack.as_flattened());
        self.items += 1;
        self.slot_bytes += 8 * (body.len() + stack.len());
        let number = self.slots.len();
        self.slots.push(Slot { body: vec![[0; 8]; body.len()], stack: stack.to_vec() });
        self.by_hash.insert(hash, number);
        (number, true)
    }
}

/// A record that cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record of {bytes} bytes cannot be stored: records are whole words, {RECORD} bytes at most")]
pub(super) struct Unpackable {
    bytes: usize,
}

/// Writes in what `new` differs from `old`, and makes them the same. Of each eight words a byte says which differ, and of
/// each of those a byte says which bytes do.
fn put_difference(masks: &mut Vec<u8>, bytes: &mut Vec<u8>, old: &mut [[u8; 8]], new: &[[u8; 8]]) {
    for (old, new) in old.chunks_mut(8).zip(new.chunks(8)) {
        let group = masks.len();
        masks.push(0);
        let mut differ = 0;
        for (bit, (old, new)) in old.iter_mut().zip(new).enumerate() {
            let difference = u64::from_le_bytes(*old) ^ u64::from_le_bytes(*new);
            if difference == 0 {
                continue;
            }
            differ |= 1 << bit;
            let mask = nonzero_bytes(difference);
            masks.push(mask);
            // Eight bytes are copied and the unused cut off: a copy of fixed length takes less than a loop.
            let len = bytes.len();
            let word = u64::from_le_bytes(*new);
            if mask == 0xff {
                bytes.extend(new);
            } else {
                let mut picked = 0u64;
                let (mut left, mut shift) = (mask, 0);
                while left != 0 {
                    let at = left.trailing_zeros() * 8;
                    picked |= (word >> at & 0xff) << shift;
                    shift += 8;
                    left &= left - 1;
                }
                bytes.extend(picked.to_le_bytes());
                bytes.truncate(len + mask.count_ones() as usize);
            }
            *old = *new;
        }
        masks[group] = differ;
    }
}

/// Bit *i* says that byte *i* is not 0.
fn nonzero_bytes(word: u64) -> u8 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // The high bit of each byte: whether any of its bits is set.
    let high = (((word & LOW) + LOW) | word) & !LOW;
    // Gathers the eight bits in the highest byte; no two products meet in one bit.
    ((high >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

/// Of a body's length and a stack. Words of a stack are addresses: only their low halves differ.
fn hash(body: usize, stack: &[[u8; 8]]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let start = (body as u64).wrapping_mul(FACTOR);
    let hash = stack
        .iter()
        .fold(start, |hash, word| (hash.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR));
    hash ^ hash >> 32
}

/// Hashes a hash.
#[derive(Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Seven bits a byte, the lowest first; the eighth says that there are more (LEB128).
pub(super) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
