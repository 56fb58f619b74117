//! Sections that come from behind the kernel. The programs in the kernel write records of one layout and know of no other;
//! what a plugin's native half says of an event is added in user space, as sections behind those that are there. From
//! then on a record of the wider layout is one like any other: it is stored, shown and filtered the same.
//!
//! ```text
//! header | fixed parts: old, added | tails: old, added | stack
//! ```
//!
//! Added sections are a plugin's words, so their lengths, and where their texts are, are checked here as if a stranger had
//! sent them.

use std::sync::Arc;

use crate::header::{RECORD_SIZE, SECTIONS};
use crate::layout::{TailPlace, round_up};
use crate::{Kind, Layout, LayoutError, Placed, Record, Schema, value};

/// Adds sections to records, behind those that they have.
#[derive(Debug, Clone)]
pub struct Widen {
    narrow: Narrow,
    wide: Arc<Layout>,
}

/// What of the old layout decides where a record's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Narrow {
    sections: usize,
    fixed_end: u32,
    tails: Vec<TailPlace>,
}

impl Widen {
    /// For records of the layout `narrow`, to which these sections are added.
    ///
    /// # Errors
    ///
    /// More sections than a record can have, or two of one name.
    pub fn new(narrow: &Layout, added: Vec<Arc<Schema>>) -> Result<Widen, LayoutError> {
        let old = narrow.sections().iter().map(|placed| Arc::clone(&placed.schema));
        let wide = Arc::new(Layout::new(old.chain(added).collect())?);
        Ok(Widen { narrow: Narrow::of(narrow), wide })
    }

    /// The layout of the records that come out: the old sections, with the places and presence bits that they had, and
    /// behind them the added ones.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.wide
    }

    /// Writes the record with these sections to `out`, which is cleared first; after an error it is empty. Of each
    /// added section, in their order, there are its bytes, or `None` where the event does not have it. The bytes of a
    /// tail section are its struct, and behind it the part of its array that is used.
    ///
    /// # Errors
    ///
    /// A record of another layout, another number of sections than there are, and bytes that their schemas rule out.
    pub fn record(
        &self,
        narrow: &Record<'_>,
        sections: &[Option<&[u8]>],
        out: &mut Vec<u8>,
    ) -> Result<(), WidenError> {
        out.clear();
        let written = self.write(narrow, sections, out);
        if written.is_err() {
            out.clear();
        }
        written
    }

    fn write(
        &self,
        narrow: &Record<'_>,
        sections: &[Option<&[u8]>],
        out: &mut Vec<u8>,
    ) -> Result<(), WidenError> {
        if !self.narrow.is_of(narrow.layout()) {
            return Err(WidenError::Layout);
        }
        let added = self.added();
        if sections.len() != added.len() {
            return Err(WidenError::Number { given: sections.len(), wanted: added.len() });
        }
        let (old, stack) = (narrow.bytes(), narrow.stack_bytes());
        let (fixed, tails) = old.split_at(self.narrow.fixed_end as usize);
        out.extend_from_slice(fixed);
        out.resize(self.wide.fixed_end() as usize, 0);
        out.extend_from_slice(&tails[..tails.len() - stack.len()]);
        let mut present = narrow.header().sections;
        for (index, (placed, bytes)) in (self.narrow.sections..).zip(added.iter().zip(sections)) {
            let Some(bytes) = bytes else { continue };
            let len = check(&placed.schema, bytes)?;
            present |= 1 << index;
            let at = placed.offset as usize;
            if placed.schema.tail().is_some() {
                put(out, at, &len.to_le_bytes());
                out.extend_from_slice(bytes);
                out.resize(out.len() + (round_up(len) - len) as usize, 0);
            } else {
                put(out, at, bytes);
            }
        }
        out.extend_from_slice(stack);
        let size = u32::try_from(out.len()).map_err(|_| WidenError::Size { bytes: out.len() })?;
        put(out, RECORD_SIZE, &size.to_le_bytes());
        put(out, SECTIONS, &present.to_le_bytes());
        Ok(())
    }

    fn added(&self) -> &[Placed] {
        self.wide.sections().get(self.narrow.sections..).unwrap_or_default()
    }
}

impl Narrow {
    fn of(layout: &Layout) -> Narrow {
        let (sections, tails) = (layout.sections().len(), layout.tails().to_vec());
        Narrow { sections, fixed_end: layout.fixed_end(), tails }
    }

    /// Whether records of this layout have their bytes in the same places.
    fn is_of(&self, layout: &Layout) -> bool {
        self.sections == layout.sections().len()
            && self.fixed_end == layout.fixed_end()
            && self.tails == layout.tails()
    }
}

/// `at` and what comes there are inside the fixed area: the layout was made for it.
fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    out[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Whether these can be the section's bytes; says how many they are.
fn check(schema: &Schema, bytes: &[u8]) -> Result<u32, WidenError> {
    let section = || schema.section().to_owned();
    let least = schema.size();
    let most = least + schema.tail().map_or(0, |tail| tail.max);
    let len = match u32::try_from(bytes.len()) {
        Ok(len) if (least..=most).contains(&len) => len,
        _ => return Err(WidenError::Len { section: section(), len: bytes.len(), least, most }),
    };
    let outside = |field: &&crate::Field| field.kind == Kind::Text && value::decode(field, bytes).is_none();
    match schema.fields().iter().find(outside) {
        Some(field) => Err(WidenError::Text { section: section(), field: field.name.clone() }),
        None => Ok(len),
    }
}

/// Sections that cannot be added to a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WidenError {
    /// The record's sections are not those that there should be before.
    #[error("the record is of another layout than the one that is widened")]
    Layout,
    /// Not one for each section that is added.
    #[error("{given} sections are given, and {wanted} are added")]
    Number {
        /// How many were given.
        given: usize,
        /// How many there must be.
        wanted: usize,
    },
    /// Fewer bytes than the section's struct has, or more than it can have with its array.
    #[error("section '{section}' has {len} bytes; {least} to {most} are possible")]
    Len {
        /// The section.
        section: String,
        /// Its bytes.
        len: usize,
        /// The least.
        least: u32,
        /// The most.
        most: u32,
    },
    /// A text that would be outside of its section.
    #[error("section '{section}': the text of field '{field}' is not inside the section")]
    Text {
        /// The section.
        section: String,
        /// The field.
        field: String,
    },
    /// The size of a record is a 32-bit number.
    #[error("the record would have {bytes} bytes")]
    Size {
        /// What it would have.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::tests::Noise;
    use crate::{Field, Place, Show, Tail, Text, Value, header, sample};

    fn field(name: &str, offset: u32, kind: Kind) -> Field {
        Field { name: name.into(), offset, kind, show: Show::Plain }
    }

    fn text(template: &str) -> Option<Text> {
        Some(Text { template: template.parse().unwrap(), place: Place::Line })
    }

    /// A fixed section of 5 bytes.
    fn owner() -> Arc<Schema> {
        let fields = vec![field("pid", 0, Kind::Uint(4)), field("kind", 4, Kind::Uint(1))];
        Arc::new(Schema::new("owner", 5, None, fields, text("owner {pid}")).unwrap())
    }

    /// A text behind a struct of 4 bytes.
    fn unit() -> Arc<Schema> {
        let strings = Field { show: Show::Strings, ..field("texts", 4, Kind::Tail) };
        let fields = vec![field("name", 0, Kind::Text), strings];
        Arc::new(Schema::new("unit", 4, Some(Tail { max: 16 }), fields, text("unit {name}")).unwrap())
    }

    /// The bytes of `unit`, with the text.
    fn named(name: &[u8]) -> Vec<u8> {
        let len = u16::try_from(name.len()).unwrap();
        [&4_u16.to_le_bytes(), &len.to_le_bytes(), name].concat()
    }

    fn widen(narrow: &Layout) -> Widen {
        Widen::new(narrow, vec![owner(), unit()]).unwrap()
    }

    const OWNER: [u8; 5] = [7, 0, 0, 0, 3];

    #[test]
    fn what_was_there_stays_and_what_is_added_is_read() {
        let layout = sample::layout();
        let bytes = sample::record();
        let old = Record::parse(&bytes, &layout).unwrap();
        let widen = widen(&layout);
        let mut out = b"of the last record".to_vec();
        widen.record(&old, &[Some(&OWNER), Some(&named(b"sshd.service"))], &mut out).unwrap();
        let new = Record::parse(&out, widen.layout()).unwrap();
        for index in 0..layout.sections().len() {
            let bytes = |record: &Record<'_>| record.section(index).map(|section| section.bytes().to_vec());
            assert_eq!(bytes(&old), bytes(&new), "section {index}");
            assert_eq!(layout.sections()[index], widen.layout().sections()[index]);
        }
        assert_eq!(new.stack().collect::<Vec<_>>(), old.stack().collect::<Vec<_>>());
        let same = header::Header { size: 0, sections: 0, ..*old.header() };
        assert_eq!(header::Header { size: 0, sections: 0, ..*new.header() }, same);
        let owner = new.section_named("owner").unwrap();
        assert_eq!(owner.field("pid"), Some(Value::Uint(7)));
        assert_eq!(owner.field("kind"), Some(Value::Uint(3)));
        let unit = new.section_named("unit").unwrap();
        assert_eq!(unit.field("name"), Some(Value::Str("sshd.service".into())));
    }

    #[test]
    fn what_is_not_there_is_absent() {
        let layout = sample::layout();
        let bytes = sample::record();
        let old = Record::parse(&bytes, &layout).unwrap();
        let widen = widen(&layout);
        let mut out = Vec::new();
        widen.record(&old, &[None, None], &mut out).unwrap();
        let new = Record::parse(&out, widen.layout()).unwrap();
        assert_eq!(new.header().sections, old.header().sections);
        assert!(new.section_named("owner").is_none() && new.section_named("unit").is_none());
        widen.record(&old, &[None, Some(&named(b""))], &mut out).unwrap();
        let new = Record::parse(&out, widen.layout()).unwrap();
        assert!(new.section_named("owner").is_none());
        assert_eq!(new.section_named("unit").unwrap().field("name"), Some(Value::Str("".into())));
    }

    #[test]
    fn tails_stand_behind_tails_whichever_are_there() {
        let layout = sample::two_tails();
        let widen = widen(&layout);
        for (one, two) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut bytes = sample::Bytes::new(&layout);
            if one {
                bytes = bytes.tail(0, b"abcd1");
            }
            if two {
                bytes = bytes.tail(1, b"efgh23456");
            }
            let bytes = bytes.stack(&[9]).finish();
            let old = Record::parse(&bytes, &layout).unwrap();
            let mut out = Vec::new();
            widen.record(&old, &[Some(&OWNER), Some(&named(b"x"))], &mut out).unwrap();
            let new = Record::parse(&out, widen.layout()).unwrap();
            assert_eq!(new.section(0).map(|s| s.bytes()), one.then_some(&b"abcd1"[..]));
            assert_eq!(new.section(1).map(|s| s.bytes()), two.then_some(&b"efgh23456"[..]));
            assert_eq!(new.section(3).unwrap().field("name"), Some(Value::Str("x".into())));
            assert_eq!(new.stack().collect::<Vec<u64>>(), [9]);
        }
    }

    #[test]
    fn wider_twice_is_as_wide_as_at_once() {
        let layout = sample::layout();
        let bytes = sample::record();
        let old = Record::parse(&bytes, &layout).unwrap();
        let (mut first, mut second, mut once) = (Vec::new(), Vec::new(), Vec::new());
        let one = Widen::new(&layout, vec![owner()]).unwrap();
        one.record(&old, &[Some(&OWNER)], &mut first).unwrap();
        let two = Widen::new(one.layout(), vec![unit()]).unwrap();
        let between = Record::parse(&first, one.layout()).unwrap();
        two.record(&between, &[Some(&named(b"a"))], &mut second).unwrap();
        widen(&layout).record(&old, &[Some(&OWNER), Some(&named(b"a"))], &mut once).unwrap();
        assert_eq!(second, once);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let layout = sample::layout();
        let bytes = sample::record();
        let old = Record::parse(&bytes, &layout).unwrap();
        let widen = widen(&layout);
        let refused = |sections: &[Option<&[u8]>]| {
            let mut out = vec![1];
            let error = widen.record(&old, sections, &mut out).unwrap_err();
            assert!(out.is_empty());
            error
        };
        assert_eq!(refused(&[None]), WidenError::Number { given: 1, wanted: 2 });
        assert_eq!(refused(&[None, None, None]), WidenError::Number { given: 3, wanted: 2 });
        let len =
            |section: &str, len, least, most| WidenError::Len { section: section.into(), len, least, most };
        assert_eq!(refused(&[Some(&OWNER[..4]), None]), len("owner", 4, 5, 5));
        assert_eq!(refused(&[Some(&[0; 6]), None]), len("owner", 6, 5, 5));
        assert_eq!(refused(&[Some(&[]), None]), len("owner", 0, 5, 5));
        assert_eq!(refused(&[None, Some(&[0; 3])]), len("unit", 3, 4, 20));
        assert_eq!(refused(&[Some(&OWNER), Some(&[0; 21])]), len("unit", 21, 4, 20));
        let outside = WidenError::Text { section: "unit".into(), field: "name".into() };
        let mut beyond = named(b"abc");
        beyond[2] = 4;
        assert_eq!(refused(&[None, Some(&beyond)]), outside);
        assert_eq!(refused(&[None, Some(&[0xff; 20])]), outside);
        let other = sample::two_tails();
        let bytes = sample::Bytes::new(&other).finish();
        let other = Record::parse(&bytes, &other).unwrap();
        assert_eq!(widen.record(&other, &[None, None], &mut Vec::new()), Err(WidenError::Layout));
    }

    #[test]
    fn sections_that_make_no_layout() {
        let layout = sample::layout();
        let twice = Widen::new(&layout, vec![owner(), owner()]).map(|_| ());
        assert_eq!(twice, Err(LayoutError::Twice { section: "owner".into() }));
        let many = (0..60).map(|i| Arc::new(Schema::new(format!("s{i}"), 1, None, vec![], None).unwrap()));
        let many = Widen::new(&layout, many.collect()).map(|_| ());
        assert_eq!(many, Err(LayoutError::Many { sections: 65 }));
        let most = (0..59).map(|i| Arc::new(Schema::new(format!("s{i}"), 1, None, vec![], None).unwrap()));
        let most = Widen::new(&layout, most.collect()).unwrap();
        let bytes = sample::record();
        let old = Record::parse(&bytes, &layout).unwrap();
        let mut out = Vec::new();
        most.record(&old, &[Some(&[1][..]); 59], &mut out).unwrap();
        let new = Record::parse(&out, most.layout()).unwrap();
        assert_eq!(new.section(63).unwrap().bytes(), [1]);
    }

    #[test]
    fn noise_never_panics_and_what_comes_out_is_sound() {
        let layout = sample::two_tails();
        let widen = widen(&layout);
        let sound = sample::Bytes::new(&layout).tail(0, b"abcd1").stack(&[9]).finish();
        let mut noise = Noise::new();
        let (mut out, mut accepted, mut refused) = (Vec::new(), 0, 0);
        for _ in 0..50_000 {
            let mut bytes = sound.clone();
            for _ in 0..noise.below(3) {
                let at = noise.below(bytes.len());
                bytes[at] = noise.byte();
            }
            let Ok(old) = Record::parse(&bytes, &layout) else { continue };
            let mut section = |most: usize| -> Option<Vec<u8>> {
                let len = noise.below(most);
                (noise.below(4) > 0).then(|| (0..len).map(|_| noise.byte() % 24).collect())
            };
            let sections = [section(7), section(24)];
            let sections = sections.each_ref().map(Option::as_deref);
            match widen.record(&old, &sections, &mut out) {
                Ok(()) => {
                    let new = Record::parse(&out, widen.layout()).unwrap();
                    for section in (0..64).filter_map(|index| new.section(index)) {
                        assert!(section.schema().fields().iter().all(|field| section.value(field).is_some()));
                    }
                    accepted += 1;
                }
                Err(_) => refused += 1,
            }
        }
        assert!(accepted > 1000 && refused > 1000, "{accepted} {refused}");
    }
}
