//! What a thing is called that is counted: a key of typed cells. While events come in, a key is bytes, put together in
//! one buffer that is used again and again, so that counting a thing that is known allocates nothing. The bytes sort as
//! the cells do, number by number and text by text, and say what they are by themselves, so that a report can be made
//! of them when the schema they came from is long gone.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Serialize, Serializer};
use tracer_event::packet::Mac;
use tracer_event::{Escaped, Field, Kind, Show, Value};

/// One part of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// There is nothing to say, such as a port where there are none.
    Absent,
    /// A number.
    Uint(u64),
    /// A number below 0 or an enumerator without a name.
    Int(i64),
    /// A number that is shown in hex.
    Hex(u64),
    /// An IP address.
    Ip(IpAddr),
    /// An Ethernet address.
    Mac(Mac),
    /// A name. It may be hostile; the text of the cell is escaped.
    Text(String),
    /// Bytes that are no text.
    Bytes(Vec<u8>),
}

/// As text: what cannot be seen is spelled out, an absent cell is empty.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Absent => Ok(()),
            Cell::Uint(number) => write!(f, "{number}"),
            Cell::Int(number) => write!(f, "{number}"),
            Cell::Hex(number) => write!(f, "{number:#x}"),
            Cell::Ip(address) => write!(f, "{address}"),
            Cell::Mac(address) => write!(f, "{address}"),
            Cell::Text(text) => write!(f, "{}", Escaped(text)),
            Cell::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// Numbers are numbers, but for those shown in hex; all else is a string, a name as it came.
impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::Absent => serializer.serialize_none(),
            Cell::Uint(number) => serializer.serialize_u64(*number),
            Cell::Int(number) => serializer.serialize_i64(*number),
            Cell::Text(text) => serializer.serialize_str(text),
            Cell::Hex(_) | Cell::Ip(_) | Cell::Mac(_) | Cell::Bytes(_) => serializer.collect_str(self),
        }
    }
}

const ABSENT: u8 = 0;
const UINT: u8 = 1;
const INT: u8 = 2;
const HEX: u8 = 3;
const IPV4: u8 = 4;
const IPV6: u8 = 5;
const MAC: u8 = 6;
const TEXT: u8 = 7;
const BYTES: u8 = 8;

/// A key in the making, in a buffer that is used again.
#[derive(Debug, Default)]
pub(super) struct Key(Vec<u8>);

impl Key {
    pub(super) fn clear(&mut self) -> &mut Key {
        self.0.clear();
        self
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn absent(&mut self) {
        self.0.push(ABSENT);
    }

    pub(super) fn uint(&mut self, number: u64) {
        self.0.push(UINT);
        self.0.extend(number.to_be_bytes());
    }

    pub(super) fn ip(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.plain(IPV4, &address.octets()),
            IpAddr::V6(address) => self.plain(IPV6, &address.octets()),
        }
    }

    pub(super) fn mac(&mut self, address: Mac) {
        self.plain(MAC, &address.0);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.ended(TEXT, text.as_bytes());
    }

    /// A field's value, the way it is shown.
    pub(super) fn value(&mut self, field: &Field, value: &Value<'_>) {
        match (field.show, value) {
            // The schema was checked: the number has 32 bits.
            (Show::Ipv4, Value::Uint(address)) => self.plain(IPV4, &(*address as u32).to_be_bytes()),
            (Show::Ipv4, Value::Bytes(address)) if address.len() == 4 => self.plain(IPV4, address),
            (Show::Ipv6, Value::Bytes(address)) if address.len() == 16 => self.plain(IPV6, address),
            (Show::Mac, Value::Bytes(address)) if address.len() == 6 => self.plain(MAC, address),
            (Show::Hex, Value::Uint(number)) => self.plain(HEX, &number.to_be_bytes()),
            (Show::Hex, Value::Int(number)) => {
                self.plain(HEX, &within_width(*number, &field.kind).to_be_bytes());
            }
            (_, Value::Uint(number)) => self.uint(*number),
            (_, Value::Int(number) | Value::Enum { value: number, name: None }) => {
                // With the sign turned around, the bytes sort as the numbers do.
                self.plain(INT, &(number.cast_unsigned() ^ 1 << 63).to_be_bytes());
            }
            (_, Value::Enum { name: Some(name), .. }) => self.text(name),
            (_, Value::Str(text)) => self.text(text),
            (_, Value::Bytes(bytes)) => self.ended(BYTES, bytes),
        }
    }

    fn plain(&mut self, tag: u8, bytes: &[u8]) {
        self.0.push(tag);
        self.0.extend_from_slice(bytes);
    }

    /// Bytes of any number: 0 is written as 0 1, the end is 0 0, so that a text sorts before a longer one.
    fn ended(&mut self, tag: u8, bytes: &[u8]) {
        self.0.push(tag);
        if bytes.contains(&0) {
            for byte in bytes {
                self.0.push(*byte);
                if *byte == 0 {
                    self.0.push(1);
                }
            }
        } else {
            self.0.extend_from_slice(bytes);
        }
        self.0.extend([0, 0]);
    }
}

/// The bits that the field has, without those of the sign's extension.
fn within_width(number: i64, kind: &Kind) -> u64 {
    let unused = 64 - kind.size().unwrap_or(8).clamp(1, 8) * 8;
    (number.cast_unsigned() << unused) >> unused
}

/// The cells of a key that [`Key`] wrote.
pub(super) fn cells(mut key: &[u8]) -> Vec<Cell> {
    let mut cells = Vec::new();
    // All keys are whole, so this ends where the bytes do.
    while let Some(cell) = next(&mut key) {
        cells.push(cell);
    }
    cells
}

fn next(key: &mut &[u8]) -> Option<Cell> {
    let [tag] = take(key)?;
    Some(match tag {
        UINT => Cell::Uint(u64::from_be_bytes(take(key)?)),
        INT => Cell::Int((u64::from_be_bytes(take(key)?) ^ 1 << 63).cast_signed()),
        HEX => Cell::Hex(u64::from_be_bytes(take(key)?)),
        IPV4 => Cell::Ip(Ipv4Addr::from(take::<4>(key)?).into()),
        IPV6 => Cell::Ip(Ipv6Addr::from(take::<16>(key)?).into()),
        MAC => Cell::Mac(Mac(take(key)?)),
        TEXT => Cell::Text(String::from_utf8_lossy(&until_end(key)?).into_owned()),
        BYTES => Cell::Bytes(until_end(key)?),
        _ => Cell::Absent,
    })
}

fn take<const N: usize>(key: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = key.split_first_chunk()?;
    *key = rest;
    Some(*taken)
}

fn until_end(key: &mut &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        match take(key)? {
            [0] => match take(key)? {
                [0] => return Some(bytes),
                [_] => bytes.push(0),
            },
            [byte] => bytes.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: Kind, show: Show) -> Field {
        Field { name: "f".into(), offset: 0, kind, show }
    }

    fn key(kind: Kind, show: Show, value: &Value<'_>) -> Vec<u8> {
        let mut key = Key::default();
        key.value(&field(kind, show), value);
        key.0
    }

    fn shown(kind: Kind, show: Show, value: &Value<'_>) -> String {
        let cells = cells(&key(kind, show, value));
        assert_eq!(cells.len(), 1);
        format!("{} {}", cells[0], serde_json::to_string(&cells[0]).unwrap())
    }

    #[test]
    fn values_read_back() {
        let named = |name| Value::Enum { value: -1, name };
        let kind = Kind::Enum { width: 4, signed: true, names: vec![] };
        assert_eq!(shown(Kind::Uint(8), Show::Plain, &Value::Uint(u64::MAX)), format!("{0} {0}", u64::MAX));
        assert_eq!(shown(Kind::Int(2), Show::Plain, &Value::Int(-3)), "-3 -3");
        assert_eq!(shown(Kind::Int(2), Show::Hex, &Value::Int(-2)), "0xfffe \"0xfffe\"");
        assert_eq!(shown(Kind::Uint(4), Show::Hex, &Value::Uint(42)), "0x2a \"0x2a\"");
        assert_eq!(shown(kind.clone(), Show::Plain, &named(Some("drop"))), "drop \"drop\"");
        assert_eq!(shown(kind, Show::Plain, &named(None)), "-1 -1");
        assert_eq!(shown(Kind::Uint(4), Show::Ipv4, &Value::Uint(0x0a00_0001)), "10.0.0.1 \"10.0.0.1\"");
        assert_eq!(shown(Kind::Bytes(4), Show::Ipv4, &Value::Bytes(&[10, 0, 0, 1])), "10.0.0.1 \"10.0.0.1\"");
        assert_eq!(shown(Kind::Bytes(16), Show::Ipv6, &Value::Bytes(&[0; 16])), ":: \"::\"");
        let mac = Value::Bytes(&[2, 0, 0, 0, 0, 1]);
        assert_eq!(shown(Kind::Bytes(6), Show::Mac, &mac), "02:00:00:00:00:01 \"02:00:00:00:00:01\"");
        assert_eq!(shown(Kind::Bytes(3), Show::Plain, &Value::Bytes(&[0, 0, 1])), "000001 \"000001\"");
        assert_eq!(shown(Kind::Str(8), Show::Plain, &Value::Str("a\n中".into())), "a\\n中 \"a\\n中\"");
        assert_eq!(
            shown(Kind::Text, Show::Plain, &Value::Str("a\0\u{1}b".into())),
            "a\\x00\\x01b \"a\\u0000\\u0001b\""
        );
    }

    #[test]
    fn keys_sort_as_their_cells_do() {
        let int = |number| key(Kind::Int(8), Show::Plain, &Value::Int(number));
        assert!(int(i64::MIN) < int(-1) && int(-1) < int(0) && int(0) < int(1) && int(1) < int(i64::MAX));
        let uint = |number| key(Kind::Uint(8), Show::Plain, &Value::Uint(number));
        assert!(uint(2) < uint(10) && uint(10) < uint(256));
        let text = |text: &'static str| key(Kind::Text, Show::Plain, &Value::Str(text.into()));
        assert!(text("") < text("\0") && text("\0") < text("\0\0") && text("\0\0") < text("\0a"));
        assert!(text("a") < text("a\0") && text("a\0") < text("aa") && text("aa") < text("b"));
    }

    #[test]
    fn cells_do_not_run_into_each_other() {
        let mut one = Key::default();
        one.text("a");
        one.text("bc");
        let mut other = Key::default();
        other.text("ab");
        other.text("c");
        assert_ne!(one.bytes(), other.bytes());
        one.absent();
        assert_eq!(cells(one.bytes()), [Cell::Text("a".into()), Cell::Text("bc".into()), Cell::Absent]);
        assert_eq!(one.clear().bytes(), b"");
    }
}
