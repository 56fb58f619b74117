//! Which fields of a probe's sections pcapng has a place for. It is found in the schemas, once per probe, by how fields
//! are shown, so packets of a collector that nobody here has heard of are exported like our own.

use std::borrow::Cow;
use std::sync::Arc;

use tracer_event::{Event, Layout, Section, Show, Value};

use super::block::PACKET_MAX;

/// The columns of one probe's events that pcapng has a place for.
#[derive(Debug)]
pub(super) struct Columns {
    layout: Arc<Layout>,
    packets: Vec<Column>,
    devices: Vec<Column>,
    netns: Vec<Column>,
}

/// A field of a section.
#[derive(Debug)]
struct Column {
    section: usize,
    field: String,
}

/// The packet of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    /// Its first bytes, as captured.
    pub(super) data: &'a [u8],
    /// The pcap LINKTYPE, not checked.
    pub(super) link: u64,
    /// A VLAN tag that belongs into the data, as it was on the wire.
    pub(super) tag: Option<[u8; 4]>,
    /// Bytes that the packet had, `tag` not counted.
    original: u64,
}

impl Columns {
    pub(super) fn new(layout: &Arc<Layout>) -> Columns {
        let shown = |show: Show| {
            let sections = layout.sections().iter().enumerate();
            let columns = sections.flat_map(move |(section, placed)| {
                let fields = placed.schema.fields().iter().filter(move |field| field.show == show);
                fields.map(move |field| Column { section, field: field.name.clone() })
            });
            columns.collect()
        };
        Columns {
            layout: Arc::clone(layout),
            packets: shown(Show::Packet),
            devices: shown(Show::Device),
            netns: shown(Show::Netns),
        }
    }

    /// Whether they are those of this layout.
    pub(super) fn are_of(&self, layout: &Arc<Layout>) -> bool {
        Arc::ptr_eq(&self.layout, layout)
    }

    /// The first packet that any byte was captured of.
    pub(super) fn packet<'a>(&self, event: &Event<'a>) -> Option<Packet<'a>> {
        first(&self.packets, event, |section, value| match value {
            Value::Bytes(data) if !data.is_empty() => Some(Packet::of(&section, data)),
            _ => None,
        })
    }

    /// The device's name.
    pub(super) fn device<'a>(&self, event: &Event<'a>) -> Option<Cow<'a, str>> {
        first(&self.devices, event, |_, value| match value {
            Value::Str(name) if !name.is_empty() => Some(name),
            _ => None,
        })
    }

    /// The inode number of the network namespace.
    pub(super) fn netns(&self, event: &Event<'_>) -> Option<u64> {
        first(&self.netns, event, |_, value| number(&value))
    }
}

/// The first of the columns that says something.
fn first<'a, T>(
    columns: &[Column],
    event: &Event<'a>,
    said: impl Fn(Section<'a>, Value<'a>) -> Option<T>,
) -> Option<T> {
    columns.iter().find_map(|Column { section, field }| {
        let section = event.record.section(*section)?;
        said(section, section.field(field)?)
    })
}

fn number(value: &Value<'_>) -> Option<u64> {
    match value {
        Value::Uint(number) if *number != 0 => Some(*number),
        _ => None,
    }
}

impl<'a> Packet<'a> {
    /// `data` and its siblings; the schema was checked to have them, but for those of the VLAN tag.
    fn of(section: &Section<'a>, data: &'a [u8]) -> Packet<'a> {
        let sibling = |name| match section.field(name) {
            Some(Value::Uint(number)) => number,
            _ => 0,
        };
        let half = |name| u16::try_from(sibling(name)).unwrap_or(0).to_be_bytes();
        let tag = match (half("vlan_proto"), half("vlan_tci")) {
            ([0, 0], _) => None,
            ([a, b], [c, d]) => Some([a, b, c, d]),
        };
        Packet { data, link: sibling("link"), tag, original: sibling("orig_len") }
    }

    /// The bytes to write, in pieces, and how many the packet had. A VLAN tag goes behind both addresses of an Ethernet
    /// frame, as libpcap puts it; with another link header there is no place for it.
    pub(super) fn on_the_wire(&'a self) -> ([&'a [u8]; 3], u32) {
        const ADDRESSES: usize = 12;
        let tag = self.tag.as_ref().filter(|_| self.link == u64::from(tracer_event::packet::ETHERNET));
        let tag_len = if tag.is_some() { 4 } else { 0 };
        let most = &self.data[..self.data.len().min(PACKET_MAX - tag_len)];
        let pieces: [&[u8]; 3] = match (tag, most.split_at_checked(ADDRESSES)) {
            (Some(tag), Some((addresses, rest))) => [addresses, tag, rest],
            // Not even both addresses were captured, so the tag was not either.
            _ => [most, &[], &[]],
        };
        // What was captured was there, whatever a stranger's record says.
        let original = self.original.max(self.data.len() as u64) + tag_len as u64;
        (pieces, u32::try_from(original).unwrap_or(u32::MAX))
    }
}
