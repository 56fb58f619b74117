//! The packet that a section holds. The data alone says nothing: its siblings tell what it starts with and how long the
//! packet was.

use crate::packet::{Capture, Tag};
use crate::{Section, Show, Value};

impl<'a> Section<'a> {
    /// The packet data of the section's field that is shown as a packet, with what its siblings say about it; `None`
    /// where there is no such field, or no packet.
    ///
    /// The schema was checked to have the siblings, but for those of a VLAN tag that is not in the data, `vlan_proto`
    /// and `vlan_tci`.
    pub fn capture(&self) -> Option<Capture<'a>> {
        let field = self.schema().fields().iter().find(|field| field.show == Show::Packet)?;
        let Some(Value::Bytes(bytes)) = self.value(field) else { return None };
        let sibling = |name| match self.field(name) {
            Some(Value::Uint(number)) => u32::try_from(number).unwrap_or(u32::MAX),
            _ => 0,
        };
        let original = sibling("orig_len");
        if bytes.is_empty() && original == 0 {
            return None;
        }
        let short = |name| u16::try_from(sibling(name)).unwrap_or(0);
        let tag = Tag { ethertype: short("vlan_proto"), control: short("vlan_tci") };
        let tag = (tag.ethertype != 0).then_some(tag);
        Some(Capture { bytes, link: sibling("link"), ethertype: short("protocol"), tag, original })
    }
}

#[cfg(test)]
mod tests {
    use crate::{Record, packet::ETHERNET, sample};

    #[test]
    fn a_packet_comes_with_its_siblings() {
        let layout = sample::layout();
        let bytes = sample::record();
        let record = Record::parse(&bytes, &layout).unwrap();
        let capture = record.section_named("skb").unwrap().capture().unwrap();
        assert_eq!((capture.bytes, capture.original), (&sample::SYN[..], 74));
        assert_eq!((capture.link, capture.ethertype, capture.tag), (ETHERNET, 0x0800, None));
        assert!(record.section_named("nft").unwrap().capture().is_none());
    }

    #[test]
    fn nothing_of_nothing_is_no_packet() {
        let layout = sample::layout();
        let record = |orig_len| {
            let mut skb = [0; 12];
            skb[0] = orig_len;
            sample::Bytes::new(&layout).tail(3, &skb).finish()
        };
        let captured = |bytes: &[u8]| {
            let record = Record::parse(bytes, &layout).unwrap();
            record.section(3).unwrap().capture().map(|capture| capture.original)
        };
        assert_eq!(captured(&record(0)), None);
        assert_eq!(captured(&record(60)), Some(60));
    }
}
