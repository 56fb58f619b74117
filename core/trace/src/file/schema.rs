//! The probes block: probes, the layouts of their records, and the schemas that these are made of, each once. It is JSON
//! with every word spelled out, so that a newer tracer can add words: a presentation or a place that this version does
//! not know is replaced by the plainest one, with a note. What the bytes of a field *are* must be known, and so a kind
//! that is not is an error.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracer_event::{
    Field, Kind, Layout, LayoutError, Place, ProbeInfo, Probes, Schema, SchemaError, Show, Tag, Tail,
    TemplateError, Text, Trim,
};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ProbesForm {
    schemas: Vec<SchemaForm>,
    /// Indices of schemas.
    layouts: Vec<Vec<usize>>,
    probes: Vec<ProbeForm>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ProbeForm {
    tag: String,
    name: String,
    #[serde(default)]
    way: String,
    /// Index of a layout.
    layout: usize,
    /// `entry`, `return` or `machinery`.
    trim: String,
    /// What an entry or a return is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    function: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SchemaForm {
    section: String,
    size: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tail: Option<u32>,
    fields: Vec<FieldForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<TextForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    key: Vec<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TextForm {
    template: String,
    /// `head`, `packet` or `line`.
    place: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<u8>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FieldForm {
    name: String,
    offset: u32,
    kind: String,
    /// Bytes, of all kinds but `text` and `tail`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    len: Option<u32>,
    /// Of an enum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signed: Option<bool>,
    /// Of an enum.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    names: Vec<(i64, String)>,
    show: String,
}

const TAGS: [Tag; 5] = [Tag::Kprobe, Tag::Kretprobe, Tag::RawTracepoint, Tag::Fentry, Tag::Fexit];

/// The most fields of a section that are read: names are compared each with each.
const FIELDS: usize = 4096;

/// What a newer tracer spelled, and what is taken for it.
pub(super) type Note = (String, &'static str);

/// Probes that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProbesError {
    #[error("{0}")]
    Json(String),
    #[error("section '{section}', field '{field}': a kind '{kind}' is not known to this version", section = section.escape_debug(), field = field.escape_debug(), kind = kind.escape_debug())]
    Kind { section: String, field: String, kind: String },
    #[error("a probe's tag '{}' is not known to this version", .0.escape_debug())]
    Tag(String),
    #[error("section '{section}': {error}", section = section.escape_debug())]
    Template { section: String, error: TemplateError },
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error("schema or layout {0} is referred to and not there")]
    Reference(usize),
    #[error("section '{section}' has {fields} fields; {FIELDS} are read", section = section.escape_debug())]
    Fields { section: String, fields: usize },
}

/// Probes as a block's payload.
pub(super) fn write(probes: &Probes) -> serde_json::Result<Vec<u8>> {
    let mut form = ProbesForm { schemas: Vec::new(), layouts: Vec::new(), probes: Vec::new() };
    let mut layouts: Vec<Arc<Layout>> = Vec::new();
    for probe in probes.iter() {
        let known =
            layouts.iter().position(|layout| Arc::ptr_eq(layout, &probe.layout) || *layout == probe.layout);
        let layout = known.unwrap_or_else(|| {
            let sections =
                probe.layout.sections().iter().map(|placed| add_schema(&mut form.schemas, &placed.schema));
            let sections = sections.collect();
            form.layouts.push(sections);
            layouts.push(Arc::clone(&probe.layout));
            layouts.len() - 1
        });
        let (trim, function) = match &probe.trim {
            Trim::Entry(function) => ("entry", Some(function.clone())),
            Trim::Return(function) => ("return", Some(function.clone())),
            Trim::Machinery => ("machinery", None),
        };
        form.probes.push(ProbeForm {
            tag: probe.tag.to_string(),
            name: probe.name.clone(),
            way: probe.way.clone(),
            layout,
            trim: trim.to_owned(),
            function,
        });
    }
    serde_json::to_vec(&form)
}

fn add_schema(schemas: &mut Vec<SchemaForm>, schema: &Schema) -> usize {
    let form = SchemaForm {
        section: schema.section().to_owned(),
        size: schema.size(),
        tail: schema.tail().map(|tail| tail.max),
        fields: schema.fields().iter().map(field_form).collect(),
        text: schema.text().map(text_form),
        key: schema.key().map(str::to_owned).collect(),
    };
    schemas.iter().position(|known| *known == form).unwrap_or_else(|| {
        schemas.push(form);
        schemas.len() - 1
    })
}

fn text_form(text: &Text) -> TextForm {
    let (place, order) = match text.place {
        Place::Head => ("head", None),
        Place::Packet(order) => ("packet", Some(order)),
        Place::Line => ("line", None),
    };
    TextForm { template: text.template.as_str().to_owned(), place: place.to_owned(), order }
}

fn field_form(field: &Field) -> FieldForm {
    let (kind, len, signed, names) = match &field.kind {
        Kind::Uint(width) => ("uint", Some(u32::from(*width)), None, vec![]),
        Kind::Int(width) => ("int", Some(u32::from(*width)), None, vec![]),
        Kind::Bytes(len) => ("bytes", Some(*len), None, vec![]),
        Kind::Str(len) => ("str", Some(*len), None, vec![]),
        Kind::Enum { width, signed, names } => {
            ("enum", Some(u32::from(*width)), Some(*signed), names.clone())
        }
        Kind::Text => ("text", None, None, vec![]),
        Kind::Tail => ("tail", None, None, vec![]),
    };
    FieldForm {
        name: field.name.clone(),
        offset: field.offset,
        kind: kind.to_owned(),
        len,
        signed,
        names,
        show: field.show.to_string(),
    }
}

/// Probes out of a block's payload, with what had to be replaced.
///
/// # Errors
///
/// What is no such JSON, contradicts itself, or cannot be understood by this version.
pub(super) fn read(payload: &[u8]) -> Result<(Probes, Vec<Note>), ProbesError> {
    let form: ProbesForm =
        serde_json::from_slice(payload).map_err(|error| ProbesError::Json(error.to_string()))?;
    let mut notes = Vec::new();
    let schemas: Vec<Arc<Schema>> = form
        .schemas
        .into_iter()
        .map(|form| schema(form, &mut notes).map(Arc::new))
        .collect::<Result<_, _>>()?;
    let layout = |indices: Vec<usize>| {
        let all = indices.into_iter().map(|i| schemas.get(i).cloned().ok_or(ProbesError::Reference(i)));
        Ok::<_, ProbesError>(Arc::new(Layout::new(all.collect::<Result<_, _>>()?)?))
    };
    let layouts: Vec<Arc<Layout>> = form.layouts.into_iter().map(layout).collect::<Result<_, _>>()?;
    let probe = |form: ProbeForm| probe(form, &layouts, &mut notes);
    let probes = form.probes.into_iter().map(probe).collect::<Result<_, _>>()?;
    Ok((Probes::new(probes), notes))
}

fn probe(form: ProbeForm, layouts: &[Arc<Layout>], notes: &mut Vec<Note>) -> Result<ProbeInfo, ProbesError> {
    let tag = TAGS.into_iter().find(|tag| tag.to_string() == form.tag).ok_or(ProbesError::Tag(form.tag))?;
    let layout = layouts.get(form.layout).cloned().ok_or(ProbesError::Reference(form.layout))?;
    let trim = match (form.trim.as_str(), form.function) {
        ("entry", Some(function)) => Trim::Entry(function),
        ("return", Some(function)) => Trim::Return(function),
        ("machinery", _) => Trim::Machinery,
        (other, _) => {
            note(
                notes,
                format!("where stacks begin ('{}')", other.escape_debug()),
                "they are shown from the first frame that is no machinery",
            );
            Trim::Machinery
        }
    };
    Ok(ProbeInfo { tag, name: form.name, way: form.way, layout, trim })
}

fn schema(form: SchemaForm, notes: &mut Vec<Note>) -> Result<Schema, ProbesError> {
    let section = form.section;
    if form.fields.len() > FIELDS {
        return Err(ProbesError::Fields { section, fields: form.fields.len() });
    }
    let fields: Vec<Field> =
        form.fields.into_iter().map(|form| field(form, &section, notes)).collect::<Result<_, _>>()?;
    let text = match form.text {
        None => None,
        Some(TextForm { template, place, order }) => {
            let template = template
                .parse()
                .map_err(|error| ProbesError::Template { section: section.clone(), error })?;
            let place = match place.as_str() {
                "head" => Place::Head,
                "packet" => Place::Packet(order.unwrap_or(u8::MAX)),
                "line" => Place::Line,
                other => {
                    let what = format!(
                        "the place '{}' of section '{}'",
                        other.escape_debug(),
                        section.escape_debug()
                    );
                    note(notes, what, "it has a line of its own");
                    Place::Line
                }
            };
            Some(Text { template, place })
        }
    };
    let tail = form.tail.map(|max| Tail { max });
    Ok(Schema::new(section, form.size, tail, fields, text)?.with_key(form.key)?)
}

fn field(form: FieldForm, section: &str, notes: &mut Vec<Note>) -> Result<Field, ProbesError> {
    let FieldForm { name, offset, kind, len, signed, names, show } = form;
    let len = len.unwrap_or(0);
    // A width out of bounds is out of `Schema`'s bounds as well.
    let width = u8::try_from(len).unwrap_or(u8::MAX);
    let kind = match kind.as_str() {
        "uint" => Kind::Uint(width),
        "int" => Kind::Int(width),
        "bytes" => Kind::Bytes(len),
        "str" => Kind::Str(len),
        "enum" => Kind::Enum { width, signed: signed.unwrap_or(false), names },
        "text" => Kind::Text,
        "tail" => Kind::Tail,
        _ => return Err(ProbesError::Kind { section: section.to_owned(), field: name, kind }),
    };
    let show = show.parse().unwrap_or_else(|unknown: tracer_event::UnknownShow| {
        let what = format!(
            "how to show {}.{} ('{}')",
            section.escape_debug(),
            name.escape_debug(),
            unknown.0.escape_debug()
        );
        note(notes, what, "it is shown plainly");
        Show::Plain
    });
    Ok(Field { name, offset, kind, show })
}

/// Takes the note, unless there are many already: a file can have any number of unknown words.
fn note(notes: &mut Vec<Note>, what: String, instead: &'static str) {
    const MOST: usize = 32;
    if notes.len() < MOST {
        notes.push((what, instead));
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
