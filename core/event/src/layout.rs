//! Where the sections of one probe's records lie. The composer writes by it and the decoder reads by it, so there is
//! one computation of offsets, here.
//!
//! ```text
//! header (64) | fixed parts, each from a multiple of 8 | tails, each padded to 8 | stack (u64 addresses)
//! ```
//!
//! The fixed area is always there in full, whichever sections are present. In it a tail section takes 8 bytes: `u32`
//! bytes used in the tail area (its struct, then the used part of its array), `u32` zero.

use std::sync::Arc;

use crate::{Place, Schema, Show, header};

/// The sections of one probe's records, with their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    sections: Vec<Placed>,
    fixed_end: u32,
    tails_max: u32,
    tails: Vec<TailPlace>,
    lines: Lines,
    packet_ids: Vec<FieldPlace>,
}

/// A field, by the indices of its section and of itself there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FieldPlace {
    pub(crate) section: usize,
    pub(crate) field: usize,
}

/// A tail section: what a record's bytes are checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TailPlace {
    /// Its section, and presence bit.
    pub(crate) index: usize,
    /// Bytes from the start of the record to the number of its bytes.
    pub(crate) offset: usize,
    /// Bytes of its struct.
    pub(crate) least: u32,
    /// The same with all of its array.
    pub(crate) most: u32,
}

/// The indices of the sections with a text, by its place and in the order in which they are printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    pub(crate) head: Vec<usize>,
    pub(crate) packet: Vec<usize>,
    pub(crate) own: Vec<usize>,
}

/// A section in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// What the section holds.
    pub schema: Arc<Schema>,
    /// Bytes from the start of the record to the section's fixed part, a multiple of 8.
    pub offset: u32,
}

impl Layout {
    /// The most sections: a record has 64 presence bits.
    pub const MAX_SECTIONS: usize = 64;

    /// Places the sections in the order given.
    ///
    /// # Errors
    ///
    /// More than [`Layout::MAX_SECTIONS`] sections, or two of one name.
    pub fn new(schemas: Vec<Arc<Schema>>) -> Result<Layout, LayoutError> {
        if schemas.len() > Layout::MAX_SECTIONS {
            return Err(LayoutError::Many { sections: schemas.len() });
        }
        // No sum here can overflow: `Schema` bounds sizes to 64 KiB and tails to 1 MiB, and there are at most 64.
        let mut end = header::SIZE as u32;
        let mut tails_max = 0;
        let mut sections: Vec<Placed> = Vec::with_capacity(schemas.len());
        for schema in schemas {
            if sections.iter().any(|placed| placed.schema.section() == schema.section()) {
                return Err(LayoutError::Twice { section: schema.section().to_owned() });
            }
            let fixed = match schema.tail() {
                None => schema.size(),
                Some(tail) => {
                    tails_max += round_up(schema.size() + tail.max);
                    8
                }
            };
            sections.push(Placed { schema, offset: end });
            end = round_up(end + fixed);
        }
        let (tails, packet_ids) = (tails(&sections), packet_ids(&sections));
        let lines = Lines::new(&sections, &packet_ids);
        Ok(Layout { sections, fixed_end: end, tails_max, tails, lines, packet_ids })
    }

    /// The sections; their index is their presence bit.
    pub fn sections(&self) -> &[Placed] {
        &self.sections
    }

    /// Where the fixed area ends and the tail area begins; a multiple of 8.
    pub fn fixed_end(&self) -> u32 {
        self.fixed_end
    }

    /// The bytes of the largest record whose stack takes `stack_bytes`.
    pub fn max_size(&self, stack_bytes: u32) -> u32 {
        (self.fixed_end + self.tails_max).saturating_add(stack_bytes)
    }

    /// The tail sections, in the order of their tails.
    pub(crate) fn tails(&self) -> &[TailPlace] {
        &self.tails
    }

    /// The fields that say which packet an event is of.
    pub(crate) fn packet_ids(&self) -> &[FieldPlace] {
        &self.packet_ids
    }

    /// Where the sections' texts stand.
    pub(crate) fn lines(&self) -> &Lines {
        &self.lines
    }
}

fn tails(sections: &[Placed]) -> Vec<TailPlace> {
    let place = |(index, placed): (usize, &Placed)| {
        let least = placed.schema.size();
        let most = least + placed.schema.tail()?.max;
        Some(TailPlace { index, offset: placed.offset as usize, least, most })
    };
    sections.iter().enumerate().filter_map(place).collect()
}

fn packet_ids(sections: &[Placed]) -> Vec<FieldPlace> {
    let of_section = |(section, placed): (usize, &Placed)| {
        let fields = placed.schema.fields().iter().enumerate();
        let ids = fields.filter(|(_, field)| field.show == Show::PacketId);
        ids.map(move |(field, _)| FieldPlace { section, field }).collect::<Vec<_>>()
    };
    sections.iter().enumerate().flat_map(of_section).collect()
}

impl Lines {
    fn new(sections: &[Placed], packet_ids: &[FieldPlace]) -> Lines {
        let mut lines = Lines::default();
        let mut packet = Vec::new();
        for (index, placed) in sections.iter().enumerate() {
            match placed.schema.text().map(|text| text.place) {
                Some(Place::Head) => lines.head.push(index),
                Some(Place::Packet(order)) => packet.push((order, index)),
                Some(Place::Line) => lines.own.push(index),
                None => {}
            }
        }
        // Whose event it is comes before what it says, whatever collectors were asked for first. The sort is stable.
        lines.head.sort_by_key(|index| !packet_ids.iter().any(|id| id.section == *index));
        packet.sort_unstable();
        lines.packet = packet.into_iter().map(|(_, index)| index).collect();
        lines
    }
}

/// The next multiple of 8. Only for lengths well below `u32::MAX`.
pub(crate) fn round_up(bytes: u32) -> u32 {
    bytes.next_multiple_of(8)
}

/// Sections that make no layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// More than there are presence bits.
    #[error("{sections} sections; a record holds at most {}", Layout::MAX_SECTIONS)]
    Many {
        /// How many were given.
        sections: usize,
    },
    /// Sections are found by name.
    #[error("two sections are called '{section}'")]
    Twice {
        /// The name.
        section: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Field, Kind, Tail, Text};

    fn plain(name: &str, size: u32) -> Arc<Schema> {
        Arc::new(Schema::new(name, size, None, vec![], None).unwrap())
    }

    fn tail(name: &str, size: u32, max: u32) -> Arc<Schema> {
        let data = Field { name: "data".into(), offset: size, kind: Kind::Tail, show: Show::Plain };
        Arc::new(Schema::new(name, size, Some(Tail { max }), vec![data], None).unwrap())
    }

    #[test]
    fn sections_start_at_multiples_of_eight() {
        let layout =
            Layout::new(vec![plain("a", 5), tail("b", 12, 100), plain("c", 16), plain("d", 1)]).unwrap();
        let offsets: Vec<u32> = layout.sections().iter().map(|placed| placed.offset).collect();
        assert_eq!(offsets, [64, 72, 80, 96]);
        assert_eq!(layout.fixed_end(), 104);
        assert_eq!(layout.max_size(0), 104 + 112);
        assert_eq!(layout.max_size(80), 104 + 112 + 80);
        assert_eq!(layout.max_size(u32::MAX), u32::MAX);
    }

    #[test]
    fn an_empty_layout_is_a_header() {
        let layout = Layout::new(vec![]).unwrap();
        assert_eq!((layout.fixed_end(), layout.max_size(8)), (64, 72));
    }

    #[test]
    fn the_largest_layout_does_not_overflow() {
        let all = (0..64).map(|i| tail(&format!("s{i}"), Schema::MAX_SIZE, Schema::MAX_TAIL)).collect();
        let layout = Layout::new(all).unwrap();
        assert_eq!(layout.max_size(0), 64 + 64 * 8 + 64 * (Schema::MAX_SIZE + Schema::MAX_TAIL));
    }

    #[test]
    fn too_many_and_twice_are_errors() {
        let many = (0..65).map(|i| plain(&format!("s{i}"), 8)).collect();
        assert_eq!(Layout::new(many), Err(LayoutError::Many { sections: 65 }));
        let twice = Layout::new(vec![plain("a", 8), plain("a", 4)]);
        assert_eq!(twice, Err(LayoutError::Twice { section: "a".into() }));
    }

    #[test]
    fn the_packet_line_is_in_order() {
        let placed = |name: &str, place| {
            let text = Text { template: "x".parse().unwrap(), place };
            Arc::new(Schema::new(name, 8, None, vec![], Some(text)).unwrap())
        };
        let sections = vec![
            placed("skb", Place::Packet(20)),
            placed("nft", Place::Line),
            placed("ns", Place::Packet(0)),
            placed("dev", Place::Packet(10)),
            placed("dev2", Place::Packet(10)),
        ];
        assert_eq!(Layout::new(sections).unwrap().lines().packet, [2, 3, 4, 0]);
    }
}
