//! A field's bytes turned into a value. What the value is depends on the field's kind and byte order only, so that a
//! filter, JSON and text all see the same one; how it looks is `show.rs`'s.

use std::borrow::Cow;

use crate::{Field, Kind, header::lossy};

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// An unsigned number, in host order also where the field is in network order.
    Uint(u64),
    /// A signed number.
    Int(i64),
    /// Bytes as they came.
    Bytes(&'a [u8]),
    /// A string, what is not UTF-8 replaced. It may be hostile: print it [escaped](crate::Escaped).
    Str(Cow<'a, str>),
    /// A number that may have a name. Unsigned ones beyond `i64::MAX` have none and come as [`Value::Uint`].
    Enum {
        /// The number.
        value: i64,
        /// The enumerator, where the schema knows it.
        name: Option<&'a str>,
    },
}

impl Value<'_> {
    /// Whether the value says something: a number other than 0, a text, a byte other than 0.
    pub fn is_set(&self) -> bool {
        match self {
            Value::Uint(number) => *number != 0,
            Value::Int(number) | Value::Enum { value: number, .. } => *number != 0,
            Value::Bytes(bytes) => bytes.iter().any(|byte| *byte != 0),
            Value::Str(text) => !text.is_empty(),
        }
    }
}

/// The value of `field` in its section's bytes; `None` where they are too few, which a checked record excludes.
pub(crate) fn decode<'a>(field: &'a Field, section: &'a [u8]) -> Option<Value<'a>> {
    let rest = section.get(field.offset as usize..)?;
    let bytes = match field.kind.size() {
        None => rest,
        Some(len) => rest.get(..len as usize)?,
    };
    Some(match &field.kind {
        Kind::Uint(_) if field.show.is_big_endian() => Value::Uint(big_endian(bytes)),
        Kind::Uint(_) => Value::Uint(little_endian(bytes)),
        Kind::Int(width) => Value::Int(sign_extended(bytes, *width)),
        Kind::Bytes(_) | Kind::Tail => Value::Bytes(bytes),
        Kind::Str(_) => Value::Str(text(bytes)),
        Kind::Text => Value::Str(lossy(referred(bytes, section)?)),
        Kind::Enum { width, signed: true, names } => named(sign_extended(bytes, *width), names),
        Kind::Enum { names, .. } => {
            let number = little_endian(bytes);
            i64::try_from(number).map_or(Value::Uint(number), |value| named(value, names))
        }
    })
}

/// A string up to its NUL. One without had no room for all of it, and says so.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match bytes.iter().position(|byte| *byte == 0) {
        Some(end) => lossy(&bytes[..end]),
        None if bytes.is_empty() => Cow::Borrowed(""),
        None => Cow::Owned(format!("{}…", lossy(bytes))),
    }
}

/// The bytes that a [`Kind::Text`] field refers to; `None` where they are not in the section.
fn referred<'a>(field: &[u8], section: &'a [u8]) -> Option<&'a [u8]> {
    let number = little_endian(field);
    let (start, len) = (number & 0xffff, number >> 16);
    section.get(start as usize..(start + len) as usize)
}

fn named(value: i64, names: &[(i64, String)]) -> Value<'_> {
    let name = names.iter().find(|(number, _)| *number == value).map(|(_, name)| name.as_str());
    Value::Enum { value, name }
}

fn big_endian(bytes: &[u8]) -> u64 {
    match *bytes {
        [a, b] => u64::from(u16::from_be_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_be_bytes([a, b, c, d])),
        _ => bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    match *bytes {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)),
    }
}

/// `width` is one of 1, 2, 4, 8: the schema was checked.
fn sign_extended(bytes: &[u8], width: u8) -> i64 {
    let unused = 64 - u32::from(width) * 8;
    (little_endian(bytes) << unused).cast_signed() >> unused
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Show;

    fn value(kind: Kind, show: Show, bytes: &[u8]) -> String {
        let field = Field { name: "f".into(), offset: 1, kind, show };
        let section = [&[0xee], bytes].concat();
        format!("{:?}", decode(&field, &section).unwrap())
    }

    #[test]
    fn numbers() {
        assert_eq!(value(Kind::Uint(2), Show::Plain, &[1, 2, 3]), "Uint(513)");
        assert_eq!(value(Kind::Uint(2), Show::Be16, &[1, 2, 3]), "Uint(258)");
        assert_eq!(value(Kind::Uint(4), Show::Ipv4, &[10, 0, 0, 1]), format!("Uint({})", 0x0a00_0001));
        assert_eq!(value(Kind::Uint(8), Show::Plain, &[0xff; 8]), format!("Uint({})", u64::MAX));
        assert_eq!(value(Kind::Int(1), Show::Plain, &[0xfe]), "Int(-2)");
        assert_eq!(value(Kind::Int(4), Show::Plain, &[0, 0, 0, 0x80]), format!("Int({})", i32::MIN));
        assert_eq!(value(Kind::Int(8), Show::Plain, &[0xff; 8]), "Int(-1)");
    }

    #[test]
    fn enums() {
        let kind = |width, signed| Kind::Enum {
            width,
            signed,
            names: vec![(-1, "minus".into()), (2, "two".into())],
        };
        assert_eq!(
            value(kind(4, true), Show::Plain, &[0xff; 4]),
            "Enum { value: -1, name: Some(\"minus\") }"
        );
        assert_eq!(value(kind(1, false), Show::Plain, &[2]), "Enum { value: 2, name: Some(\"two\") }");
        assert_eq!(value(kind(1, false), Show::Plain, &[3]), "Enum { value: 3, name: None }");
        assert_eq!(value(kind(8, false), Show::Plain, &[0xff; 8]), format!("Uint({})", u64::MAX));
    }

    #[test]
    fn a_string_without_an_end_was_cut() {
        assert_eq!(value(Kind::Str(4), Show::Plain, b"abc\0"), "Str(\"abc\")");
        assert_eq!(value(Kind::Str(4), Show::Plain, b"abcd"), "Str(\"abcd…\")");
    }

    #[test]
    fn a_text_is_where_the_field_says() {
        let field = Field { name: "f".into(), offset: 0, kind: Kind::Text, show: Show::Plain };
        let section =
            |place: u16, len: u16| [&place.to_le_bytes(), &len.to_le_bytes(), &b"onetwo"[..]].concat();
        assert_eq!(decode(&field, &section(7, 3)), Some(Value::Str("two".into())));
        assert_eq!(decode(&field, &section(0, 0)), Some(Value::Str("".into())));
        assert_eq!(decode(&field, &section(7, 4)), None, "beyond the section");
        assert_eq!(decode(&field, &section(u16::MAX, u16::MAX)), None);
    }

    #[test]
    fn short_sections_have_no_value() {
        let field = Field { name: "f".into(), offset: 4, kind: Kind::Uint(4), show: Show::Plain };
        assert_eq!(decode(&field, &[0; 7]), None);
        assert_eq!(decode(&field, &[0; 3]), None);
    }

    #[test]
    fn set_means_something_is_there() {
        assert!(!Value::Uint(0).is_set() && Value::Uint(1).is_set());
        assert!(!Value::Str("".into()).is_set() && Value::Str("0".into()).is_set());
        assert!(!Value::Bytes(&[0, 0]).is_set() && Value::Bytes(&[0, 1]).is_set());
        assert!(!Value::Bytes(&[]).is_set());
    }
}
