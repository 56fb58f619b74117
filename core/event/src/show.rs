//! A field as text: its value, by its `Show`. Also whether it is worth showing at all, which a template's groups ask.

use std::fmt::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::packet::{Capture, Mac, Packet, Tag};
use crate::{Context, Escaped, Field, Kind, Section, Show, Value, value};

/// Prints a field of `section`.
pub(crate) fn write(
    out: &mut dyn Write,
    section: &Section<'_>,
    field: &Field,
    context: &Context<'_>,
) -> fmt::Result {
    let Some(value) = value::decode(field, section.bytes()) else { return Ok(()) };
    match (field.show, &value) {
        (Show::Packet, Value::Bytes(data)) => write_packet(out, section, data, context),
        // The schema was checked: the number has 32 bits.
        (Show::Ipv4, Value::Uint(address)) => write!(out, "{}", Ipv4Addr::from_bits(*address as u32)),
        (Show::Ipv4, &Value::Bytes(&[a, b, c, d])) => write!(out, "{}", Ipv4Addr::new(a, b, c, d)),
        (Show::Mac, &Value::Bytes(&[a, b, c, d, e, f])) => write!(out, "{}", Mac([a, b, c, d, e, f])),
        (Show::Ipv6, Value::Bytes(bytes)) if bytes.len() == 16 => {
            write!(out, "{}", Ipv6Addr::from(bytes.first_chunk().copied().unwrap_or_default()))
        }
        (Show::Hex, Value::Uint(number)) => write!(out, "{number:#x}"),
        (Show::PacketId, Value::Uint(number)) => write!(out, "#{number:x}"),
        (Show::Hex, Value::Int(number)) => write!(out, "{:#x}", within_width(*number, &field.kind)),
        _ => write_plain(out, &value),
    }
}

/// Whether a field of `section` says something: not 0, not empty, not the tracer's own namespace.
pub(crate) fn is_set(section: &Section<'_>, field: &Field, context: &Context<'_>) -> bool {
    match value::decode(field, section.bytes()) {
        Some(Value::Uint(inum)) if field.show == Show::Netns => inum != 0 && context.own_netns != Some(inum),
        // A packet of zeros is a packet.
        Some(Value::Bytes(data)) if field.show == Show::Packet => !data.is_empty(),
        value => value.is_some_and(|value| value.is_set()),
    }
}

/// Whether a field of `section` is shown as this word.
pub(crate) fn is(section: &Section<'_>, field: &Field, word: &str, context: &Context<'_>) -> bool {
    let mut text = String::new();
    write(&mut text, section, field, context).is_ok() && text == word
}

fn write_plain(out: &mut dyn Write, value: &Value<'_>) -> fmt::Result {
    match value {
        Value::Uint(number) => write!(out, "{number}"),
        Value::Int(number) | Value::Enum { value: number, name: None } => write!(out, "{number}"),
        Value::Enum { name: Some(name), .. } => write!(out, "{}", Escaped(name)),
        Value::Str(text) => write!(out, "{}", Escaped(text)),
        Value::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}")),
    }
}

/// The siblings say what the data is; the schema was checked to have them, but for those of a VLAN tag that is not in
/// the data, `vlan_proto` and `vlan_tci`.
fn write_packet(
    out: &mut dyn Write,
    section: &Section<'_>,
    data: &[u8],
    context: &Context<'_>,
) -> fmt::Result {
    let sibling = |name| match section.field(name) {
        Some(Value::Uint(number)) => u32::try_from(number).unwrap_or(u32::MAX),
        _ => 0,
    };
    let original = sibling("orig_len");
    if data.is_empty() && original == 0 {
        return Ok(());
    }
    let short = |name| u16::try_from(sibling(name)).unwrap_or(0);
    let tag = Tag { ethertype: short("vlan_proto"), control: short("vlan_tci") };
    let tag = (tag.ethertype != 0).then_some(tag);
    let capture = Capture { bytes: data, link: sibling("link"), ethertype: short("protocol"), tag, original };
    write!(out, "{}", Packet::decode(&capture).show(context.link_header))
}

/// The bits that the field has, without those of the sign's extension.
fn within_width(number: i64, kind: &Kind) -> u64 {
    let unused = 64 - kind.size().unwrap_or(8).min(8) * 8;
    (number.cast_unsigned() << unused) >> unused
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, Record, Schema, sample};
    use std::sync::Arc;

    const CONTEXT: Context<'_> = Context { own_netns: Some(7), ..sample::CONTEXT };

    /// The text of a field with these bytes, and whether it is set.
    fn shown(kind: Kind, show: Show, bytes: &[u8]) -> (String, bool) {
        let field = Field { name: "f".into(), offset: 0, kind, show };
        let size = u32::try_from(bytes.len()).unwrap();
        let schema = Arc::new(Schema::new("s", size, None, vec![field.clone()], None).unwrap());
        let layout = Layout::new(vec![schema]).unwrap();
        let record = sample::Bytes::new(&layout).fixed(0, bytes).finish();
        let section = Record::parse(&record, &layout).unwrap().section(0).unwrap();
        let mut text = String::new();
        write(&mut text, &section, &field, &CONTEXT).unwrap();
        (text, is_set(&section, &field, &CONTEXT))
    }

    #[test]
    fn numbers() {
        let text = |kind, show, bytes: &[u8]| shown(kind, show, bytes).0;
        assert_eq!(text(Kind::Uint(4), Show::Plain, &[1, 2, 0, 0]), "513");
        assert_eq!(text(Kind::Int(2), Show::Plain, &[0xff, 0xff]), "-1");
        assert_eq!(text(Kind::Uint(2), Show::Hex, &[0x10, 0xa0]), "0xa010");
        assert_eq!(text(Kind::Int(2), Show::Hex, &[0xfe, 0xff]), "0xfffe");
        assert_eq!(text(Kind::Int(8), Show::Hex, &[0xff; 8]), "0xffffffffffffffff");
        assert_eq!(text(Kind::Uint(2), Show::Be16, &[0x01, 0xbb]), "443");
        assert_eq!(text(Kind::Uint(4), Show::Be32, &[0, 0, 1, 0xbb]), "443");
    }

    #[test]
    fn addresses() {
        let text = |kind, show, bytes: &[u8]| shown(kind, show, bytes).0;
        assert_eq!(text(Kind::Uint(4), Show::Ipv4, &[10, 0, 0, 1]), "10.0.0.1");
        assert_eq!(text(Kind::Bytes(4), Show::Ipv4, &[10, 0, 0, 1]), "10.0.0.1");
        let mut address = [0; 16];
        address[15] = 1;
        assert_eq!(text(Kind::Bytes(16), Show::Ipv6, &address), "::1");
        assert_eq!(text(Kind::Bytes(6), Show::Mac, &[2, 0, 0xab, 0, 0, 1]), "02:00:ab:00:00:01");
    }

    #[test]
    fn texts_and_bytes() {
        let text = |kind, show, bytes: &[u8]| shown(kind, show, bytes).0;
        assert_eq!(text(Kind::Str(8), Show::Plain, b"a\x1b[m\0xyz"), "a\\x1b[m");
        assert_eq!(text(Kind::Bytes(3), Show::Plain, &[0, 0xab, 1]), "00ab01");
        let names = vec![(1, "one\n".into())];
        let kind = Kind::Enum { width: 1, signed: false, names };
        assert_eq!(text(kind.clone(), Show::Plain, &[1]), "one\\n");
        assert_eq!(text(kind, Show::Plain, &[9]), "9");
    }

    #[test]
    fn packet_ids() {
        let shown = |bytes: [u8; 8]| shown(Kind::Uint(8), Show::PacketId, &bytes);
        assert_eq!(shown([0x2a, 0x01, 0, 0, 0, 0, 0, 0]), ("#12a".into(), true));
        assert_eq!(shown([0xff; 8]), ("#ffffffffffffffff".into(), true));
        assert!(!shown([0; 8]).1, "nothing follows the packet");
    }

    #[test]
    fn the_own_namespace_is_not_set() {
        let set = |inum| shown(Kind::Uint(4), Show::Netns, &[inum, 0, 0, 0]).1;
        assert!(!set(0) && !set(7) && set(8));
        assert!(shown(Kind::Uint(4), Show::Plain, &[7, 0, 0, 0]).1);
    }
}
