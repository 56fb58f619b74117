//! Comparisons of fields. What a value may be compared with follows from its schema, and is settled before any event is
//! read; an event is then looked at by names, since another part of a trace may have other layouts.

use std::borrow::Cow;

use tracer_dsl::Diagnostic;
use tracer_dsl::filter::Filter;
use tracer_dsl::filter::tree::{Comparison, Literal, LiteralKind, Order};
use tracer_event::{Event, Field, Kind, Session, Show, Tag, Value};

use super::glob::is_like;

/// A comparison, checked.
#[derive(Debug, Clone)]
pub(super) struct FieldTest {
    source: Source,
    mask: Option<u64>,
    order: Order,
    operands: Vec<Operand>,
}

#[derive(Debug, Clone)]
enum Source {
    Header(HeaderField),
    Section { section: String, field: String },
}

/// What every event has.
#[derive(Debug, Clone, Copy)]
enum HeaderField {
    Time,
    Cpu,
    Probe,
    Type,
    Way,
    Comm,
    Pid,
    Tgid,
}

const HEADER: [(&str, HeaderField); 9] = [
    ("event.time", HeaderField::Time),
    ("event.cpu", HeaderField::Cpu),
    ("event.probe", HeaderField::Probe),
    ("probe.name", HeaderField::Probe),
    ("probe.type", HeaderField::Type),
    ("probe.way", HeaderField::Way),
    ("task.comm", HeaderField::Comm),
    ("task.pid", HeaderField::Pid),
    ("task.tgid", HeaderField::Tgid),
];

#[derive(Debug, Clone)]
enum Operand {
    Number(i128),
    Text(String),
    Bytes(Vec<u8>),
}

/// What the values of a field are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Class {
    /// Numbers from the one to the other.
    Number(i128, i128),
    Text,
    Enum(Vec<String>),
    Ipv4,
    Ipv6,
    Mac,
    /// What cannot be compared: bytes that mean nothing by themselves, a packet.
    Opaque,
}

impl FieldTest {
    pub(super) fn new(
        filter: &Filter,
        comparison: &Comparison,
        session: &Session,
    ) -> Result<FieldTest, Box<Diagnostic>> {
        let Comparison { path, mask, order, values } = comparison;
        let place = filter.at(path.span.clone());
        let (source, class) = match path.field() {
            None => return Err(kernel(filter, comparison)),
            Some((section, field)) => resolve(section, field, session).map_err(|found| match found {
                Unresolved::Kernel => kernel(filter, comparison),
                Unresolved::Unknown(found) => Box::new(found.at(place.clone())),
            })?,
        };
        let text = place.fragment();
        if class == Class::Opaque {
            let found = Diagnostic::error(format!("`{text}` cannot be compared")).at(place);
            return Err(found
                .because("it is packet data or plain bytes")
                .hint("packets are asked as in pcap-filter(7): `tcp port 80`, `ip[8] < 5`")
                .into());
        }
        if mask.is_some() && !matches!(class, Class::Number(..) | Class::Enum(_)) {
            let found = Diagnostic::error(format!("`{text}` takes no mask")).at(place);
            return Err(found.because(format!("it is {}", class.noun())).into());
        }
        let operands = values.iter().map(|value| {
            class.operand(value, *order, mask.is_some()).map_err(|found| {
                let found = found.at(filter.at(value.span.clone()));
                Box::new(found.because(format!(
                    "`{text}` is {}, compared with `{}`",
                    class.noun(),
                    order.sign()
                )))
            })
        });
        let operands = operands.collect::<Result<Vec<Operand>, _>>()?;
        Ok(FieldTest { source, mask: *mask, order: *order, operands })
    }

    /// False where the field is absent.
    pub(super) fn holds(&self, event: &Event<'_>) -> bool {
        let value = match &self.source {
            Source::Header(field) => field.value(event),
            Source::Section { section, field } => {
                event.record.section_named(section).and_then(|section| section.field(field))
            }
        };
        let Some(value) = value else { return false };
        match self.order {
            Order::Unequal => !self.operands.iter().any(|operand| self.equal(&value, operand)),
            Order::Equal | Order::In => self.operands.iter().any(|operand| self.equal(&value, operand)),
            order => self.operands.iter().any(|operand| self.compares(&value, order, operand)),
        }
    }

    fn equal(&self, value: &Value<'_>, operand: &Operand) -> bool {
        match (operand, value) {
            (Operand::Number(wanted), value) => self.number(value) == Some(*wanted),
            (Operand::Text(wanted), value) => text(value) == Some(wanted),
            (Operand::Bytes(wanted), Value::Bytes(bytes)) => wanted == bytes,
            // An IPv4 address may be a number, in host order by now.
            (Operand::Bytes(wanted), Value::Uint(number)) => <[u8; 4]>::try_from(&wanted[..])
                .is_ok_and(|wanted| u64::from(u32::from_be_bytes(wanted)) == *number),
            (Operand::Bytes(_), _) => false,
        }
    }

    fn compares(&self, value: &Value<'_>, order: Order, operand: &Operand) -> bool {
        match (order, operand) {
            (Order::Like, Operand::Text(pattern)) => text(value).is_some_and(|text| is_like(text, pattern)),
            (_, Operand::Number(wanted)) => self.number(value).is_some_and(|number| match order {
                Order::Less => number < *wanted,
                Order::LessOrEqual => number <= *wanted,
                Order::Greater => number > *wanted,
                _ => number >= *wanted,
            }),
            _ => false,
        }
    }

    fn number(&self, value: &Value<'_>) -> Option<i128> {
        let (bits, number) = match value {
            Value::Uint(number) => (*number, i128::from(*number)),
            Value::Int(number) | Value::Enum { value: number, .. } => {
                (number.cast_unsigned(), i128::from(*number))
            }
            Value::Bytes(_) | Value::Str(_) => return None,
        };
        Some(self.mask.map_or(number, |mask| i128::from(bits & mask)))
    }
}

fn text<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    match value {
        Value::Str(text) => Some(text),
        Value::Enum { name, .. } => *name,
        _ => None,
    }
}

impl HeaderField {
    fn class(self) -> Class {
        match self {
            HeaderField::Time => Class::Number(0, u64::MAX.into()),
            HeaderField::Cpu => Class::Number(0, u16::MAX.into()),
            HeaderField::Pid | HeaderField::Tgid => Class::Number(0, u32::MAX.into()),
            HeaderField::Probe | HeaderField::Type | HeaderField::Way | HeaderField::Comm => Class::Text,
        }
    }

    fn value<'e>(self, event: &'e Event<'_>) -> Option<Value<'e>> {
        let header = event.record.header();
        Some(match self {
            HeaderField::Time => Value::Uint(header.time),
            HeaderField::Cpu => Value::Uint(header.cpu.into()),
            HeaderField::Pid => Value::Uint(header.pid.into()),
            HeaderField::Tgid => Value::Uint(header.tgid.into()),
            HeaderField::Probe => Value::Str(Cow::Borrowed(&event.probe.name)),
            HeaderField::Way => Value::Str(Cow::Borrowed(&event.probe.way)),
            HeaderField::Comm => Value::Str(header.comm()),
            HeaderField::Type => Value::Str(Cow::Borrowed(match event.probe.tag {
                Tag::Kprobe => "kprobe",
                Tag::Kretprobe => "kretprobe",
                Tag::RawTracepoint => "raw_tracepoint",
                Tag::Fentry => "fentry",
                Tag::Fexit => "fexit",
            })),
        })
    }
}

enum Unresolved {
    Kernel,
    Unknown(Box<Diagnostic>),
}

impl From<Diagnostic> for Unresolved {
    fn from(found: Diagnostic) -> Unresolved {
        Unresolved::Unknown(Box::new(found))
    }
}

/// Structures that a path through the kernel's memory begins with.
const KERNEL: [&str; 8] =
    ["sk_buff", "net_device", "net", "sock", "nft_pktinfo", "nft_traceinfo", "nf_conn", "task_struct"];

fn resolve(section: &str, field: &str, session: &Session) -> Result<(Source, Class), Unresolved> {
    let name = format!("{section}.{field}");
    if let Some((_, header)) = HEADER.iter().find(|(known, _)| *known == name) {
        return Ok((Source::Header(*header), header.class()));
    }
    let schemas =
        || session.probes.iter().flat_map(|probe| probe.layout.sections()).map(|placed| &placed.schema);
    let of_section: Vec<&Field> =
        schemas().filter(|schema| schema.section() == section).flat_map(|schema| schema.fields()).collect();
    let mut classes = of_section.iter().filter(|known| known.name == field).map(|known| Class::of(known));
    if let Some(first) = classes.next() {
        // Layouts may know different names of one enum.
        let class = classes.fold(first, Class::join);
        return Ok((Source::Section { section: section.into(), field: field.into() }, class));
    }
    let sorted = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let in_header: Vec<&str> =
        HEADER.iter().map(|(known, _)| *known).filter(|k| k.split('.').next() == Some(section)).collect();
    if !in_header.is_empty() && of_section.is_empty() {
        return Err(Diagnostic::unknown("field", &name, in_header).into());
    }
    if schemas().any(|schema| schema.section() == section) {
        let known = sorted(of_section.iter().map(|field| field.name.as_str()).collect());
        let found = Diagnostic::unknown(
            &format!("field of section `{section}`"),
            field,
            known.iter().map(String::as_str),
        );
        return Err(found.into());
    }
    if KERNEL.contains(&section) {
        return Err(Unresolved::Kernel);
    }
    let known = sorted(schemas().map(|schema| schema.section()).chain(["event", "probe", "task"]).collect());
    Err(Diagnostic::unknown("section", section, known.iter().map(String::as_str)).into())
}

fn kernel(filter: &Filter, comparison: &Comparison) -> Box<Diagnostic> {
    let found = Diagnostic::error("the kernel's memory cannot be asked of a stored trace");
    let found = found.at(filter.at(comparison.path.span.clone()));
    let found = found.because("a trace has the sections that were collected, and nothing else");
    found.hint("`tracer schema FILE` lists its fields: `dev.name`, `skb.orig_len`, ...").into()
}

impl Class {
    fn of(field: &Field) -> Class {
        match (&field.kind, field.show) {
            (_, Show::Packet | Show::Strings) | (Kind::Tail, _) => Class::Opaque,
            (_, Show::Ipv4) => Class::Ipv4,
            (_, Show::Ipv6) => Class::Ipv6,
            (_, Show::Mac) => Class::Mac,
            (Kind::Bytes(_), _) => Class::Opaque,
            (Kind::Str(_) | Kind::Text, _) => Class::Text,
            (Kind::Uint(width), _) => Class::Number(0, (1 << (8 * u32::from(*width))) - 1),
            (Kind::Int(width), _) => {
                let half = 1 << (8 * u32::from(*width) - 1);
                Class::Number(-half, half - 1)
            }
            (Kind::Enum { names, .. }, _) => {
                Class::Enum(names.iter().map(|(_, name)| name.clone()).collect())
            }
        }
    }

    fn join(self, other: Class) -> Class {
        match (self, other) {
            (Class::Enum(mut names), Class::Enum(more)) => {
                names.extend(more);
                Class::Enum(names)
            }
            (Class::Number(a, b), Class::Number(c, d)) => Class::Number(a.min(c), b.max(d)),
            (this, _) => this,
        }
    }

    fn noun(&self) -> &'static str {
        match self {
            Class::Number(..) => "a number",
            Class::Text => "a text",
            Class::Enum(_) => "a number with names",
            Class::Ipv4 => "an IPv4 address",
            Class::Ipv6 => "an IPv6 address",
            Class::Mac => "an Ethernet address",
            Class::Opaque => "plain bytes",
        }
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
                if names.contains(name) {
                    return Ok(Operand::Text(name.clone()));
                }
                let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
                names.sort_unstable();
                names.dedup();
                Err(Diagnostic::unknown("name of a value", name, names).into())
            }
            (Class::Text, LiteralKind::Name(text)) if equality || order == Order::Like => {
                Ok(Operand::Text(text.clone()))
            }
            (Class::Ipv4, LiteralKind::Ipv4(address)) if equality => {
                Ok(Operand::Bytes(address.octets().to_vec()))
            }
            (Class::Ipv6, LiteralKind::Ipv6(address)) if equality => {
                Ok(Operand::Bytes(address.octets().to_vec()))
            }
            (Class::Mac, LiteralKind::Mac(address)) if equality => Ok(Operand::Bytes(address.to_vec())),
            (class, _) => Err(Box::new(Diagnostic::error("this comparison does not fit its field").hint(match class {
                Class::Number(..) => "numbers take `==`, `!=`, `<`, `<=`, `>`, `>=`, `in` and a number",
                Class::Text => "texts take `==`, `!=`, `in` and `=~` and a text, in quotes where it looks like anything else",
                Class::Enum(_) => "its names take `==`, `!=`, `in` and `=~`; its numbers take `<` and the like too",
                _ => "addresses take `==`, `!=` and `in`, and an address of the same kind",
            }))),
        }
    }
}
