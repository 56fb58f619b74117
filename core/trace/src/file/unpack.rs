//! The records of one block, unpacked: the other side of [`super::pack`]. A record is put together in place, from the one
//! before it in its slot, so that reading copies nothing but the bytes that differ.

use super::pack::{FIRST_SLOT, LOSS, PackedLoss, RECORD, SLOT, SLOT_BYTES, SLOTS};

/// A block of which the items are taken out one by one.
#[derive(Debug)]
pub(super) struct Unpacker<'a> {
    left: u32,
    codes: Input<'a>,
    masks: Input<'a>,
    bytes: Input<'a>,
    slots: Vec<Slot>,
    slot_bytes: usize,
}

/// A whole record; its first `body` bytes are all but the stack.
#[derive(Debug)]
struct Slot {
    record: Vec<u8>,
    body: usize,
}

/// What is in a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    Record(&'a [u8]),
    Loss(PackedLoss),
}

impl<'a> Unpacker<'a> {
    /// Bytes in front of the three parts.
    const HEADER: usize = 12;

    /// Of what [`super::pack::Packer::take`] wrote.
    ///
    /// # Errors
    ///
    /// Parts that are longer than the block.
    pub(super) fn new(payload: &'a [u8]) -> Result<Unpacker<'a>, Malformed> {
        let (header, parts) = payload.split_at_checked(Self::HEADER).ok_or(Malformed::Ends)?;
        let number =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (codes, rest) = parts.split_at_checked(number(4) as usize).ok_or(Malformed::Ends)?;
        let (masks, bytes) = rest.split_at_checked(number(8) as usize).ok_or(Malformed::Ends)?;
        Ok(Unpacker {
            left: number(0),
            codes: Input(codes),
            masks: Input(masks),
            bytes: Input(bytes),
            slots: Vec::new(),
            slot_bytes: 0,
        })
    }

    /// The next item; `None` after the last.
    ///
    /// # Errors
    ///
    /// Bytes that are no item. There is nothing to be had after that.
    pub(super) fn next(&mut self) -> Result<Option<Item<'_>>, Malformed> {
        loop {
            match self.left.checked_sub(1) {
                None => return Ok(None),
                Some(left) => self.left = left,
            }
            match self.codes.varint()? {
                LOSS => return self.loss().map(|loss| Some(Item::Loss(loss))),
                SLOT => self.open_slot()?,
                code => {
                    let slot = usize::try_from(code - FIRST_SLOT).map_err(|_| Malformed::Slot)?;
                    if slot >= self.slots.len() {
                        return Err(Malformed::Slot);
                    }
                    let slot = &mut self.slots[slot];
                    take_difference(&mut self.masks, &mut self.bytes, &mut slot.record[..slot.body])?;
                    return Ok(Some(Item::Record(&slot.record)));
                }
            }
        }
    }

    fn open_slot(&mut self) -> Result<(), Malformed> {
        let mut bytes = || {
            let words = self.codes.varint()?;
            let bytes = words.checked_mul(8).and_then(|bytes| usize::try_from(bytes).ok());
            bytes.filter(|bytes| *bytes <= RECORD).ok_or(Malformed::Bounds)
        };
        let (body, stack) = (bytes()?, bytes()?);
        self.slot_bytes += body + stack;
        if self.slots.len() >= SLOTS || body + stack > RECORD || self.slot_bytes > SLOT_BYTES {
            return Err(Malformed::Bounds);
        }
        let stack = self.bytes.take(stack)?;
        // A body of zeros takes no bytes in the file: a slot that nothing is ever put into must take no memory.
        if self.masks.0.len() < body.div_ceil(64) {
            return Err(Malformed::Ends);
        }
        let mut record = vec![0; body];
        record.extend(stack);
        self.slots.push(Slot { record, body });
        Ok(())
    }

    fn loss(&mut self) -> Result<PackedLoss, Malformed> {
        let mut number = || self.codes.varint();
        let (probe, cpu, events, known, time) = (number()?, number()?, number()?, number()?, number()?);
        let short = |number| u16::try_from(number).map_err(|_| Malformed::Bounds);
        Ok(PackedLoss {
            events,
            probe: short(probe)?,
            cpu: short(cpu)?,
            before: (known != 0).then_some(time),
        })
    }
}

/// A block that contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("it ends inside an item")]
    Ends,
    #[error("an item refers to a record that is not there")]
    Slot,
    #[error("a number is out of bounds")]
    Bounds,
}

/// Changes `body`, whole words, to the record that follows it.
fn take_difference(masks: &mut Input<'_>, bytes: &mut Input<'_>, body: &mut [u8]) -> Result<(), Malformed> {
    for group in body.chunks_mut(64) {
        let mut differ = masks.byte()?;
        let words = group.as_chunks_mut::<8>().0;
        while differ != 0 {
            let word = words.get_mut(differ.trailing_zeros() as usize).ok_or(Malformed::Bounds)?;
            differ &= differ - 1;
            let mut mask = masks.byte()?;
            for byte in bytes.take(mask.count_ones() as usize)? {
                word[mask.trailing_zeros() as usize & 7] = *byte;
                mask &= mask - 1;
            }
        }
    }
    Ok(())
}

/// Bytes that are taken from their front.
#[derive(Debug)]
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Malformed::Ends)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed::Ends)?;
        self.0 = rest;
        Ok(*first)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed::Bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::pack::Packer;

    /// What comes out of a block, and how it ends.
    fn unpacked(payload: &[u8]) -> (Vec<Vec<u8>>, Vec<PackedLoss>, Result<(), Malformed>) {
        let (mut records, mut losses) = (vec![], vec![]);
        let mut unpacker = match Unpacker::new(payload) {
            Ok(unpacker) => unpacker,
            Err(error) => return (records, losses, Err(error)),
        };
        loop {
            match unpacker.next() {
                Ok(Some(Item::Record(record))) => records.push(record.to_vec()),
                Ok(Some(Item::Loss(loss))) => losses.push(loss),
                Ok(None) => return (records, losses, Ok(())),
                Err(error) => return (records, losses, Err(error)),
            }
        }
    }

    fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
        let mut state = seed;
        move |bound| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 8) % bound
        }
    }

    /// Records of some sizes and stacks, with one loss among them.
    fn sample(seed: u64) -> (Vec<Vec<u8>>, PackedLoss, Vec<u8>) {
        let mut below = numbers(seed);
        let mut packer = Packer::default();
        let loss = PackedLoss { events: 1 << 40, probe: 3, cpu: 9, before: Some(u64::MAX) };
        let records: Vec<Vec<u8>> = (0..200)
            .map(|_| {
                let (words, stack) = (1 + below(20) as usize, below(4) as usize);
                let mut record: Vec<u8> = (0..words * 8).map(|_| below(3) as u8).collect();
                record.extend((0..stack * 8).map(|_| stack as u8));
                packer.record(&record, stack * 8).unwrap();
                record
            })
            .collect();
        packer.loss(loss);
        assert_eq!(packer.events(), 200);
        let mut payload = vec![];
        packer.take(&mut payload);
        assert!(packer.is_empty());
        (records, loss, payload)
    }

    #[test]
    fn records_and_losses_come_back() {
        let (records, loss, payload) = sample(7);
        assert_eq!(unpacked(&payload), (records, vec![loss], Ok(())));
    }

    #[test]
    fn equal_records_take_two_bytes_and_a_mask() {
        let mut packer = Packer::default();
        let record = [5; 400];
        assert_eq!(packer.record(&record, 160), Ok(true));
        let first = packer.len();
        assert_eq!(packer.record(&record, 160), Ok(false));
        assert_eq!(packer.len() - first, 1 + 240usize.div_ceil(64));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let mut packer = Packer::default();
        assert!(packer.record(&[0; 12], 0).is_err());
        assert!(packer.record(&[0; 16], 4).is_err());
        assert!(packer.record(&[0; 16], 24).is_err());
        assert!(packer.record(&vec![0; RECORD + 8], 0).is_err());
        assert!(packer.is_empty());
    }

    #[test]
    fn a_block_cut_anywhere_gives_what_is_before() {
        let (records, _, payload) = sample(9);
        for len in 0..payload.len() {
            let (some, _, end) = unpacked(&payload[..len]);
            assert!(end.is_err() && records.starts_with(&some), "at {len}");
        }
    }

    #[test]
    fn slots_take_no_more_memory_than_they_may() {
        let block = |items: u32, codes: &[u8], masks: usize| {
            let mut payload =
                [items, codes.len() as u32, masks as u32].map(u32::to_le_bytes).as_flattened().to_vec();
            payload.extend(codes);
            payload.extend(vec![0; masks]);
            payload
        };
        // 1 MiB of body each, of which a mask is 16 KiB.
        let mut slot = vec![1, 0x80, 0x80, 0x08, 0];
        let ok = block(1, &slot, 1 << 14);
        assert_eq!(unpacked(&ok).2, Ok(()));
        assert_eq!(unpacked(&block(1, &slot, 100)).2, Err(Malformed::Ends));
        assert_eq!(unpacked(&block(33, &slot.repeat(33), 1 << 14)).2, Err(Malformed::Bounds));
        slot[1..4].copy_from_slice(&[0xff, 0xff, 0x7f]);
        assert_eq!(unpacked(&block(1, &slot, 1 << 14)).2, Err(Malformed::Bounds));
        assert_eq!(unpacked(&block(u32::MAX, &[], 0)).2, Err(Malformed::Ends));
    }

    #[test]
    fn noise_never_panics() {
        let (_, _, payload) = sample(11);
        let mut below = numbers(13);
        for _ in 0..20_000 {
            let mut noisy = payload.clone();
            for _ in 0..1 + below(4) {
                let at = below(noisy.len() as u64) as usize;
                noisy[at] = below(256) as u8;
            }
            let _ = unpacked(&noisy);
        }
    }
}
