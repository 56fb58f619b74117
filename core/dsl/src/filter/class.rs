//! What the values of a field are, and what they may be compared with: settled before anything is read, the same for a
//! section's field, one of the header, and one in the kernel's memory.

use tracer_event::{Field, Kind, Show};

use super::read::Filter;
use super::tree::{Comparison, Literal, LiteralKind, Order};
use crate::diagnostic::Diagnostic;

/// What a field is compared with, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// A number.
    Number(i128),
    /// A text, a pattern, or the name of a value.
    Text(String),
    /// An address, in network order, or other bytes. Of more bytes than these, the first are compared.
    Bytes(Vec<u8>),
}

/// What the values of a field are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// Numbers from the one to the other.
    Number(i128, i128),
    /// Text.
    Text,
    /// Numbers, of which some have names.
    Enum(Vec<(i64, String)>),
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An Ethernet address.
    Mac,
    /// A number of 32 bits in network order, which may be an IPv4 address as well.
    Be32,
    /// Bytes: that many, or `None` where only what they are compared with says how many.
    Bytes(Option<u32>),
    /// What cannot be compared: a packet, a list of texts.
    Opaque,
}

impl Class {
    /// That of a section's field.
    pub fn of(field: &Field) -> Class {
        match (&field.kind, field.show) {
            (_, Show::Packet | Show::Strings) | (Kind::Tail, _) => Class::Opaque,
            (_, Show::Ipv4) => Class::Ipv4,
            (_, Show::Ipv6) => Class::Ipv6,
            (_, Show::Mac) => Class::Mac,
            (Kind::Bytes(len), _) => Class::Bytes(Some(*len)),
            (Kind::Str(_) | Kind::Text, _) => Class::Text,
            (Kind::Uint(width), _) => Class::Number(0, (1 << (8 * u32::from(*width))) - 1),
            (Kind::Int(width), _) => {
                let half = 1 << (8 * u32::from(*width) - 1);
                Class::Number(-half, half - 1)
            }
            (Kind::Enum { names, .. }, _) => Class::Enum(names.clone()),
        }
    }

    /// That of a field which has different ones in different places, such as an enum of which each kernel has its own names.
    #[must_use]
    pub fn join(self, other: Class) -> Class {
        match (self, other) {
            (Class::Enum(mut names), Class::Enum(more)) => {
                names.extend(more);
                Class::Enum(names)
            }
            (Class::Number(a, b), Class::Number(c, d)) => Class::Number(a.min(c), b.max(d)),
            (this, _) => this,
        }
    }

    /// For a message: "a number".
    pub fn noun(&self) -> &'static str {
        match self {
            Class::Number(..) => "a number",
            Class::Text => "a text",
            Class::Enum(_) => "a number with names",
            Class::Ipv4 => "an IPv4 address",
            Class::Ipv6 => "an IPv6 address",
            Class::Mac => "an Ethernet address",
            Class::Be32 => "a number in network order",
            Class::Bytes(_) | Class::Opaque => "plain bytes",
        }
    }

    /// What a comparison compares such a field with.
    ///
    /// # Errors
    /// A comparison, a mask or a value that does not fit, with its place in the filter's text.
    pub fn operands(
        &self,
        filter: &Filter,
        comparison: &Comparison,
    ) -> Result<Vec<Operand>, Box<Diagnostic>> {
        let Comparison { path, mask, order, values } = comparison;
        let place = filter.at(path.span.clone());
        let text = place.fragment().to_owned();
        if *self == Class::Opaque {
            let found = Diagnostic::error(format!("`{text}` cannot be compared")).at(place);
            return Err(found
                .because("it is packet data")
                .hint("packets are asked as in pcap-filter(7): `tcp port 80`, `ip[8] < 5`")
                .into());
        }
        if mask.is_some() && !matches!(self, Class::Number(..) | Class::Enum(_) | Class::Be32) {
            let found = Diagnostic::error(format!("`{text}` takes no mask")).at(place);
            return Err(found.because(format!("it is {}", self.noun())).into());
        }
        let operands = values.iter().map(|value| {
            self.operand(value, *order, mask.is_some()).map_err(|found| {
                let found = found.at(filter.at(value.span.clone()));
                let reason = format!("`{text}` is {}, compared with `{}`", self.noun(), order.sign());
                Box::new(found.because(reason))
            })
        });
        operands.collect()
    }

    fn operand(&self, literal: &Literal, order: Order, masked: bool) -> Result<Operand, Box<Diagnostic>> {
        let equality = matches!(order, Order::Equal | Order::Unequal | Order::In);
        match (self, &literal.kind) {
            (Class::Number(least, most), LiteralKind::Number(number)) if order != Order::Like => {
                if !masked && !(least..=most).contains(&number) {
                    let found = Diagnostic::error(format!("{number} is no value of this field"));
                    return Err(found.hint(format!("its values are {least} to {most}")).into());
                }
                Ok(Operand::Number(*number))
            }
            (Class::Enum(_), LiteralKind::Number(number)) if order != Order::Like => Ok(Operand::Number(*number)),
            (Class::Enum(_), LiteralKind::Name(pattern)) if order == Order::Like && !masked => {
                Ok(Operand::Text(pattern.clone()))
            }
            (Class::Enum(names), LiteralKind::Name(name)) if equality && !masked => {
                if names.iter().any(|(_, known)| known == name) {
                    return Ok(Operand::Text(name.clone()));
                }
                let mut names: Vec<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
                names.sort_unstable();
                names.dedup();
                Err(Diagnostic::unknown("name of a value", name, names).into())
            }
            (Class::Text, LiteralKind::Name(text)) if equality || order == Order::Like => {
                Ok(Operand::Text(text.clone()))
            }
            (Class::Be32, LiteralKind::Number(number)) if order != Order::Like => {
                Class::Number(0, u32::MAX.into()).operand(literal, order, masked)?;
                Ok(Operand::Number(*number))
            }
            (Class::Ipv4 | Class::Be32, LiteralKind::Ipv4(address)) if equality => {
                Ok(Operand::Bytes(address.octets().to_vec()))
            }
            (Class::Ipv6, LiteralKind::Ipv6(address)) if equality => {
                Ok(Operand::Bytes(address.octets().to_vec()))
            }
            // `10:20:30:40:50:60:70:80` is an address as well.
            (Class::Ipv6, LiteralKind::Bytes(groups)) if equality && groups.len() == 8 => {
                Ok(Operand::Bytes(groups.iter().flat_map(|group| [0, *group]).collect()))
            }
            (Class::Bytes(len), literal) if equality => bytes(*len, literal),
            (Class::Mac, LiteralKind::Mac(address)) if equality => Ok(Operand::Bytes(address.to_vec())),
            (Class::Number(..), LiteralKind::Ipv4(address)) if equality => {
                let found = Diagnostic::error("an address is compared with a number whose byte order is not known");
                let number = u32::from(*address);
                Err(found.hint(format!("in the host's order the number is `{number:#010x}`, in network order `{:#010x}`", number.swap_bytes())).into())
            }
            (class, _) => Err(Box::new(Diagnostic::error("this comparison does not fit its field").hint(match class {
                Class::Number(..) => "numbers take `==`, `!=`, `<`, `<=`, `>`, `>=`, `in` and a number",
                Class::Text => "texts take `==`, `!=`, `in` and `=~` and a text, in quotes where it looks like anything else",
                Class::Enum(_) => "its names take `==`, `!=`, `in` and `=~`; its numbers take `<` and the like too",
                Class::Be32 => "it takes a number with `==`, `<` and the like, and an IPv4 address with `==`, `!=`, `in`",
                Class::Bytes(_) => BYTES,
                _ => "addresses take `==`, `!=` and `in`, and an address of the same kind",
            }))),
        }
    }
}

const BYTES: &str = "bytes take `==`, `!=` and `in`, and bytes (`de:ad:be:ef`) or an address of that length";

/// Bytes for a field of so many.
fn bytes(len: Option<u32>, literal: &LiteralKind) -> Result<Operand, Box<Diagnostic>> {
    let (bytes, other) = match literal {
        LiteralKind::Bytes(bytes) => (bytes.clone(), None),
        LiteralKind::Ipv4(address) => (address.octets().to_vec(), None),
        LiteralKind::Ipv6(address) => (address.octets().to_vec(), None),
        // The kernel has link addresses in arrays of `MAX_ADDR_LEN`.
        LiteralKind::Mac(address) => (address.to_vec(), Some(32)),
        LiteralKind::Number(_) | LiteralKind::Name(_) => {
            return Err(Diagnostic::error("this comparison does not fit its field").hint(BYTES).into());
        }
    };
    match len {
        Some(len) if usize::try_from(len) != Ok(bytes.len()) && Some(len) != other => {
            let found = Diagnostic::error(format!("the field has {len} bytes, not {}", bytes.len()));
            Err(found.hint(BYTES).into())
        }
        _ => Ok(Operand::Bytes(bytes)),
    }
}
