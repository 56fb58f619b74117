//! Comparisons of fields. What a value may be compared with follows from its schema, and is settled before any event is
//! read; an event is then looked at by names, since another part of a trace may have other layouts.

use std::borrow::Cow;

use tracer_dsl::Diagnostic;
use tracer_dsl::filter::tree::{Comparison, Order};
use tracer_dsl::filter::{Class, Filter, HeaderField, Operand, is_like};
use tracer_event::{Event, Field, Session, Tag, Value};

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

impl FieldTest {
    pub(super) fn new(
        filter: &Filter,
        comparison: &Comparison,
        session: &Session,
    ) -> Result<FieldTest, Box<Diagnostic>> {
        let place = filter.at(comparison.path.span.clone());
        let (source, class) = match comparison.path.field() {
            None => return Err(kernel(filter, comparison)),
            Some((section, field)) => resolve(section, field, session).map_err(|found| match found {
                Unresolved::Kernel => kernel(filter, comparison),
                Unresolved::Unknown(found) => Box::new(found.at(place)),
            })?,
        };
        let operands = class.operands(filter, comparison)?;
        Ok(FieldTest { source, mask: comparison.mask, order: comparison.order, operands })
    }

    /// False where the field is absent.
    pub(super) fn holds(&self, event: &Event<'_>) -> bool {
        let value = match &self.source {
            Source::Header(field) => header(*field, event),
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
            (Operand::Bytes(wanted), Value::Bytes(bytes)) => bytes.starts_with(wanted),
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

fn header<'e>(field: HeaderField, event: &'e Event<'_>) -> Option<Value<'e>> {
    let header = event.record.header();
    Some(match field {
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
    if let Some(header) = HeaderField::named(section, field) {
        return Ok((Source::Header(header), header.class()));
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
    let in_header = HeaderField::names_of(section);
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
    let known = sorted(schemas().map(|schema| schema.section()).chain(HeaderField::SECTIONS).collect());
    Err(Diagnostic::unknown("section", section, known.iter().map(String::as_str)).into())
}

fn kernel(filter: &Filter, comparison: &Comparison) -> Box<Diagnostic> {
    let found = Diagnostic::error("the kernel's memory cannot be asked of a stored trace");
    let found = found.at(filter.at(comparison.path.span.clone()));
    let found = found.because("a trace has the sections that were collected, and nothing else");
    found.hint("`tracer schema FILE` lists its fields: `dev.name`, `skb.orig_len`, ...").into()
}
