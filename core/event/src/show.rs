//! A field as text: its value, by its `Show`. Also whether it is worth showing at all, which a template's groups ask.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::packet::{Mac, Packet};
use crate::{Context, Escaped, Field, Kind, Section, Show, Value, append, value};

/// Appends a field of `section`.
pub(crate) fn push(out: &mut String, section: &Section<'_>, field: &Field, context: &Context<'_>) {
    if field.show == Show::Packet {
        if let Some(capture) = section.capture() {
            Packet::decode(&capture).show(context.link_header).push(out);
        }
    } else if let Some(value) = value::decode(field, section.bytes()) {
        push_value(out, field, &value);
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
    // No word has anything in it that is shown differently.
    if let Kind::Enum { .. } = field.kind
        && let Some(Value::Enum { name: Some(name), .. }) = value::decode(field, section.bytes())
    {
        return name == word;
    }
    let mut text = String::new();
    push(&mut text, section, field, context);
    text == word
}

fn push_value(out: &mut String, field: &Field, value: &Value<'_>) {
    match (field.show, value) {
        (Show::Hex, Value::Uint(number)) => append::hex(out, *number),
        (Show::PacketId, Value::Uint(number)) => {
            out.push('#');
            append::bare_hex(out, *number);
        }
        (Show::Hex, Value::Int(number)) => append::hex(out, within_width(*number, &field.kind)),
        (_, value) if push_address(out, field.show, value) => {}
        (_, Value::Uint(number)) => append::decimal(out, *number),
        (_, Value::Int(number) | Value::Enum { value: number, name: None }) => append::decimal(out, *number),
        (_, Value::Enum { name: Some(name), .. }) => Escaped(name).push(out),
        (_, Value::Str(text)) => Escaped(text).push(out),
        (_, Value::Bytes(bytes)) => append::hex_bytes(out, bytes),
    }
}

/// Appends a value that is to be shown as an address, and says whether it was one.
pub(crate) fn push_address(out: &mut String, show: Show, value: &Value<'_>) -> bool {
    match (show, value) {
        // The schema was checked: the number has 32 bits.
        (Show::Ipv4, Value::Uint(address)) => append::ipv4(out, Ipv4Addr::from_bits(*address as u32)),
        (Show::Ipv4, &Value::Bytes(&[a, b, c, d])) => append::ipv4(out, Ipv4Addr::new(a, b, c, d)),
        (Show::Mac, &Value::Bytes(&[a, b, c, d, e, f])) => Mac([a, b, c, d, e, f]).push(out),
        (Show::Ipv6, Value::Bytes(bytes)) => match bytes.first_chunk::<16>() {
            Some(address) => append::ipv6(out, Ipv6Addr::from(*address)),
            None => return false,
        },
        _ => return false,
    }
    true
}

/// The bits that the field has, without those of the sign's extension.
pub(crate) fn within_width(number: i64, kind: &Kind) -> u64 {
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
        push(&mut text, &section, &field, &CONTEXT);
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
