//! The bytes of one probe hit, checked against a layout. They come from a ring, but also from files that anybody may
//! have written, so everything is checked once, here, and a record that exists can be read without further questions.

use crate::layout::{TailPlace, round_up};
use crate::packet::{Capture, Tag};
use crate::{Header, Layout, Schema, Value, header, value};

/// A record whose bytes agree with its layout.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    bytes: &'a [u8],
    layout: &'a Layout,
    header: Header,
    stack: usize,
}

/// One section of a record.
#[derive(Debug, Clone, Copy)]
pub struct Section<'a> {
    schema: &'a Schema,
    bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// Checks `bytes`, which must be exactly one record.
    ///
    /// # Errors
    ///
    /// Whatever in the bytes contradicts the layout or the bytes themselves; see [`RecordError`].
    pub fn parse(bytes: &'a [u8], layout: &'a Layout) -> Result<Record<'a>, RecordError> {
        let header = Header::read(bytes).ok_or(RecordError::NoHeader { bytes: bytes.len() })?;
        let size = header.size as usize;
        if size != bytes.len() {
            return Err(RecordError::Size { size, bytes: bytes.len() });
        }
        let fixed = layout.fixed_end() as usize;
        if size < fixed {
            return Err(RecordError::Fixed { size, fixed });
        }
        let sections = layout.sections().len();
        if header.sections.checked_shr(sections as u32).unwrap_or(0) != 0 {
            return Err(RecordError::Sections { bits: header.sections, sections });
        }
        let mut record = Record { bytes, layout, header, stack: 0 };
        record.stack = record.check_tails()?;
        if header.stack % 8 != 0 {
            return Err(RecordError::Stack { stack: header.stack });
        }
        match record.stack.checked_add(header.stack as usize) {
            Some(end) if end == size => Ok(record),
            _ => Err(RecordError::End { tails: record.stack, stack: header.stack, size }),
        }
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The layout that the record was checked against.
    pub fn layout(&self) -> &'a Layout {
        self.layout
    }

    /// The whole record.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The layout's section `index`, if it is present.
    pub fn section(&self, index: usize) -> Option<Section<'a>> {
        let placed = self.layout.sections().get(index)?;
        if !self.has(index) {
            return None;
        }
        let schema = &*placed.schema;
        let bytes = match schema.tail() {
            None => self.bytes.get(placed.offset as usize..)?.get(..schema.size() as usize)?,
            Some(_) => self.tail(index)?,
        };
        Some(Section { schema, bytes })
    }

    /// The section of that name, if it is present.
    pub fn section_named(&self, name: &str) -> Option<Section<'a>> {
        let index = self.layout.sections().iter().position(|placed| placed.schema.section() == name)?;
        self.section(index)
    }

    /// The number that all events of a packet have in common, if the packet was followed: the first that is not 0 of the
    /// fields that are shown as [`Show::PacketId`](crate::Show::PacketId).
    pub fn packet_id(&self) -> Option<u64> {
        self.layout.packet_ids().iter().find_map(|place| {
            let section = self.section(place.section)?;
            match section.value(section.schema().fields().get(place.field)?) {
                Some(Value::Uint(id)) if id != 0 => Some(id),
                _ => None,
            }
        })
    }

    /// The kernel stack, innermost frame first; addresses.
    pub fn stack(&self) -> impl Iterator<Item = u64> + use<'a> {
        let (words, _) = self.stack_bytes().as_chunks::<8>();
        words.iter().map(|word| u64::from_le_bytes(*word))
    }

    /// The same as it came.
    pub(crate) fn stack_bytes(&self) -> &'a [u8] {
        self.bytes.get(self.stack..).unwrap_or_default()
    }

    fn has(&self, index: usize) -> bool {
        self.header.sections & (1 << index) != 0
    }

    /// Checks the tails and says where they end.
    fn check_tails(&self) -> Result<usize, RecordError> {
        let mut end = self.layout.fixed_end() as usize;
        for place in self.layout.tails().iter().filter(|place| self.has(place.index)) {
            let len = self.tail_len(place).unwrap_or(0);
            let rest = self.bytes.len() - end;
            if !(place.least..=place.most).contains(&len) || round_up(len) as usize > rest {
                return Err(self.tail_error(place, len, rest));
            }
            end += round_up(len) as usize;
        }
        Ok(end)
    }

    fn tail_error(&self, place: &TailPlace, len: u32, rest: usize) -> RecordError {
        let TailPlace { index, least, most, .. } = *place;
        let section = self.layout.sections().get(index);
        let section = section.map_or_else(String::new, |placed| placed.schema.section().to_owned());
        if (least..=most).contains(&len) {
            RecordError::Tail { section, len, rest }
        } else {
            RecordError::TailLen { section, len, least, most }
        }
    }

    /// The bytes of the tail section `index`: they start behind those of the tail sections before it.
    fn tail(&self, index: usize) -> Option<&'a [u8]> {
        let mut start = self.layout.fixed_end() as usize;
        for place in self.layout.tails().iter().filter(|place| self.has(place.index)) {
            let len = self.tail_len(place)?;
            if place.index == index {
                return self.bytes.get(start..start.checked_add(len as usize)?);
            }
            start += round_up(len) as usize;
        }
        None
    }

    fn tail_len(&self, place: &TailPlace) -> Option<u32> {
        header::at(self.bytes, place.offset).map(u32::from_le_bytes)
    }
}

impl<'a> Section<'a> {
    /// What the section holds.
    pub fn schema(&self) -> &'a Schema {
        self.schema
    }

    /// The value of a field of the section's schema, for those who know the field already.
    pub fn value(&self, field: &'a crate::Field) -> Option<Value<'a>> {
        value::decode(field, self.bytes)
    }

    /// The struct's bytes, and for a tail section the used part of its array behind them.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The value of the field of that name; `None` where the schema has none.
    pub fn field(&self, name: &str) -> Option<Value<'a>> {
        value::decode(self.schema.field(name)?, self.bytes)
    }

    /// The packet in the section, as far as it was captured; `None` where there is no byte of one.
    pub fn capture(&self) -> Option<Capture<'a>> {
        let fields = self.schema.packet()?;
        let value = |index: usize| value::decode(self.schema.fields().get(index)?, self.bytes);
        let Value::Bytes(bytes) = value(fields.data)? else { return None };
        let number = |index| match value(index) {
            Some(Value::Uint(number)) => u32::try_from(number).unwrap_or(u32::MAX),
            _ => 0,
        };
        let short = |index| u16::try_from(number(index)).unwrap_or(0);
        let original = number(fields.orig_len);
        if bytes.is_empty() && original == 0 {
            return None;
        }
        let tag = fields.tag.map(|(ethertype, control)| (short(ethertype), short(control)));
        let tag = tag.filter(|(ethertype, _)| *ethertype != 0);
        Some(Capture {
            bytes,
            link: number(fields.link),
            ethertype: short(fields.protocol),
            tag: tag.map(|(ethertype, control)| Tag { ethertype, control }),
            original,
        })
    }
}

/// Bytes that are not a record of their layout. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RecordError {
    #[error("a record of {bytes} bytes has no header of {}", header::SIZE)]
    NoHeader { bytes: usize },
    #[error("the record says it has {size} bytes; it has {bytes}")]
    Size { size: usize, bytes: usize },
    #[error("the record has {size} bytes; the fixed area of its probe has {fixed}")]
    Fixed { size: usize, fixed: usize },
    #[error("the record's sections are {bits:#x}; its probe has {sections}")]
    Sections { bits: u64, sections: usize },
    #[error("section '{section}' has {len} bytes; {least} to {most} are possible")]
    TailLen { section: String, len: u32, least: u32, most: u32 },
    #[error("section '{section}' has {len} bytes; {rest} are left in the record")]
    Tail { section: String, len: u32, rest: usize },
    #[error("a stack of {stack} bytes is not one of whole addresses")]
    Stack { stack: u32 },
    #[error("sections end at {tails}, the stack has {stack} bytes, but the record has {size}")]
    End { tails: usize, stack: u32, size: usize },
    #[error("the record is of probe {probe}; there are {probes}")]
    Probe { probe: u16, probes: usize },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{packet::tests::Noise, sample};

    #[test]
    fn the_sample_reads_back() {
        let layout = sample::layout();
        let bytes = sample::record();
        let record = Record::parse(&bytes, &layout).unwrap();
        assert_eq!(record.header().time, 3_443_313_082_998);
        assert_eq!(record.header().comm(), "swapper/0");
        assert_eq!(record.stack().collect::<Vec<u64>>(), [0xffff_ffff_c001_0001, 0xffff_ffff_c002_03ef]);
        let nft = record.section_named("nft").unwrap();
        assert_eq!(nft.field("rule"), Some(Value::Uint(215)));
        assert_eq!(nft.field("verdict"), Some(Value::Enum { value: 0, name: Some("drop") }));
        assert_eq!(nft.field("chain"), Some(Value::Str("filter_IN_FedoraServer".into())));
        assert_eq!(nft.field("nix"), None);
        let skb = record.section_named("skb").unwrap();
        assert_eq!(skb.field("protocol"), Some(Value::Uint(0x0800)));
        assert_eq!(skb.field("data"), Some(Value::Bytes(&sample::SYN)));
        assert!(record.section_named("nix").is_none());
        assert!(record.section(99).is_none());
    }

    #[test]
    fn absent_sections_are_absent_and_take_no_tail() {
        let layout = sample::layout();
        let bytes = sample::Bytes::new(&layout).stack(&[7]).finish();
        let record = Record::parse(&bytes, &layout).unwrap();
        assert!((0..64).all(|index| record.section(index).is_none()));
        assert_eq!(record.stack().collect::<Vec<u64>>(), [7]);
    }

    #[test]
    fn several_tails_follow_each_other() {
        let layout = sample::two_tails();
        let bytes = sample::Bytes::new(&layout).tail(0, b"abcd1").tail(1, b"efgh").stack(&[9]).finish();
        let record = Record::parse(&bytes, &layout).unwrap();
        assert_eq!(record.section(0).unwrap().field("data"), Some(Value::Bytes(b"1")));
        assert_eq!(record.section(1).unwrap().field("data"), Some(Value::Bytes(b"")));
        assert_eq!(record.section(1).unwrap().bytes(), b"efgh");
        assert_eq!(record.stack().collect::<Vec<u64>>(), [9]);
        let bytes = sample::Bytes::new(&layout).tail(1, b"efgh2").finish();
        let record = Record::parse(&bytes, &layout).unwrap();
        assert_eq!(record.section(1).unwrap().field("data"), Some(Value::Bytes(b"2")));
    }

    #[test]
    fn contradictions_are_errors() {
        let layout = sample::two_tails();
        let sound = sample::Bytes::new(&layout).tail(0, b"abcd1").stack(&[9]).finish();
        let error = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = sound.clone();
            change(&mut bytes);
            Record::parse(&bytes, &layout).unwrap_err()
        };
        let size = sound.len();
        assert_eq!(error(&|b| b.truncate(10)), RecordError::NoHeader { bytes: 10 });
        assert_eq!(error(&|b| b.push(0)), RecordError::Size { size, bytes: size + 1 });
        assert_eq!(error(&|b| b[header::SECTIONS] |= 4), RecordError::Sections { bits: 5, sections: 2 });
        assert_eq!(error(&|b| b[header::STACK] = 7), RecordError::Stack { stack: 7 });
        assert_eq!(error(&|b| b[header::STACK] = 16), RecordError::End { tails: size - 8, stack: 16, size });
        assert_eq!(error(&|b| b[header::STACK] = 0), RecordError::End { tails: size - 8, stack: 0, size });
        let len = |len| RecordError::TailLen { section: "one".into(), len, least: 4, most: 36 };
        assert_eq!(error(&|b| b[64] = 3), len(3));
        assert_eq!(error(&|b| b[67] = 0xff), len(0xff00_0005));
        assert_eq!(error(&|b| b[64] = 36), RecordError::Tail { section: "one".into(), len: 36, rest: 16 });
        let short = |b: &mut Vec<u8>| {
            b.truncate(72);
            b[0] = 72;
        };
        assert_eq!(error(&short), RecordError::Fixed { size: 72, fixed: 80 });
    }

    #[test]
    fn no_bytes_panic() {
        let layout = sample::layout();
        let sound = sample::record();
        let mut noise = Noise::new();
        for _ in 0..50_000 {
            let mut bytes = sound.clone();
            for _ in 0..1 + noise.below(4) {
                let at = noise.below(bytes.len());
                bytes[at] = noise.byte();
            }
            if let Ok(record) = Record::parse(&bytes, &layout) {
                for section in (0..64).filter_map(|index| record.section(index)) {
                    for field in section.schema().fields() {
                        assert!(section.field(&field.name).is_some());
                    }
                }
            }
        }
    }
}
