//! What a plugin's process is told when it begins, and what it says of its library.

use std::{collections::BTreeMap, os::fd::OwnedFd};

use serde::{Deserialize, Serialize};
use tracer_event::{Field, Kind};
use tracer_plugin_host::{DeclaredField, DeclaredSection, Description, Failure, LoadError};

/// What a plugin is used for; one that is used for both is in two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    /// It adds its section to events.
    Enrich,
    /// It takes events.
    Sink,
}

/// What a plugin did, by which it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It returned an error, or what means nothing.
    Error = 1,
    /// It panicked.
    Panic,
    /// It wrote beyond its room.
    Overrun,
    /// It said that something is larger than its room, or elsewhere.
    Sizes,
    /// It asked the host when it must not.
    WrongTime,
    /// It said that it cannot be used, before it was given anything, and why.
    Declined,
    /// The same, without a reason.
    Start,
    /// It failed to stop.
    Stop,
}

impl Fault {
    const ALL: [Fault; 8] = [
        Fault::Error,
        Fault::Panic,
        Fault::Overrun,
        Fault::Sizes,
        Fault::WrongTime,
        Fault::Declined,
        Fault::Start,
        Fault::Stop,
    ];

    /// What its number says.
    pub(super) fn of(number: u8) -> Option<Fault> {
        Fault::ALL.into_iter().find(|fault| *fault as u8 == number)
    }
}

impl From<&Failure> for Fault {
    fn from(failure: &Failure) -> Fault {
        match failure {
            Failure::Panicked { .. } => Fault::Panic,
            Failure::Overrun { .. } => Fault::Overrun,
            Failure::Sizes { .. } | Failure::Text { .. } => Fault::Sizes,
            Failure::WrongTime { .. } => Fault::WrongTime,
            Failure::Returned { function: "start", why: Some(_), .. } => Fault::Declined,
            Failure::Returned { function: "start", .. } | Failure::NoStatus { function: "start", .. } => {
                Fault::Start
            }
            Failure::Returned { function: "stop", .. } | Failure::NoStatus { function: "stop", .. } => {
                Fault::Stop
            }
            Failure::Returned { .. } | Failure::NoStatus { .. } | Failure::Over { .. } => Fault::Error,
        }
    }
}

/// Why a library is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The file is no library that can be loaded.
    File = 1,
    /// It is for another machine.
    Architecture,
    /// It was built for another version of the interface.
    Interface,
    /// What it says of itself cannot be, or is not what collector.toml says.
    Declaration,
}

impl Refusal {
    /// What its number says.
    pub(super) fn of(number: u8) -> Option<Refusal> {
        let all = [Refusal::File, Refusal::Architecture, Refusal::Interface, Refusal::Declaration];
        all.into_iter().find(|refusal| *refusal as u8 == number)
    }
}

impl From<&LoadError> for Refusal {
    fn from(error: &LoadError) -> Refusal {
        use LoadError as E;
        match error {
            E::Read(_)
            | E::NotElf
            | E::NoLibrary(_)
            | E::CutShort { .. }
            | E::Headers(_)
            | E::NoEntry
            | E::Loader(_) => Refusal::File,
            E::Foreign { .. } => Refusal::Architecture,
            E::Magic(_) | E::Major { .. } => Refusal::Interface,
            E::NoDescriptor
            | E::Size { .. }
            | E::NoFunctions
            | E::NoText(_)
            | E::LongText { .. }
            | E::TextEncoding { .. }
            | E::Name { .. }
            | E::Count { .. }
            | E::NoArray(_)
            | E::SectionWithoutEnrich(_)
            | E::EnrichWithoutSection
            | E::NothingToDo
            | E::Twice { .. }
            | E::TextsWithoutField { .. }
            | E::Field { .. } => Refusal::Declaration,
        }
    }
}

/// Begins.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) role: Role,
    pub(super) options: Options,
    /// Whether events come as they happen.
    pub(super) live: bool,
    /// Whether times are shown by the wall clock.
    pub(super) utc: bool,
    pub(super) link_header: bool,
    /// Where its process prints to, if not to tracer's standard error.
    #[serde(skip)]
    pub(super) printed: Option<OwnedFd>,
}

/// A plugin's options, by their names.
pub type Options = BTreeMap<String, OptionValue>;

/// The value of a plugin's option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OptionValue {
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
}

/// What a library says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) release: String,
    pub(super) licence: String,
    pub(super) section: Option<SectionForm>,
    pub(super) is_sink: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SectionForm {
    pub(super) name: String,
    pub(super) size: u32,
    pub(super) texts: u32,
    fields: Vec<FieldForm>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FieldForm {
    name: String,
    show: String,
    kind: u32,
    offset: u32,
    size: u32,
    names: Vec<(i64, String)>,
}

impl From<&Description> for Described {
    fn from(description: &Description) -> Described {
        Described {
            name: description.name.clone(),
            release: description.release.clone(),
            licence: description.licence.clone(),
            section: description.section.as_ref().map(SectionForm::from),
            is_sink: description.functions.event,
        }
    }
}

impl From<&DeclaredSection> for SectionForm {
    fn from(section: &DeclaredSection) -> SectionForm {
        let form = |field: &DeclaredField| FieldForm {
            name: field.name.clone(),
            show: field.show.clone(),
            kind: field.kind,
            offset: field.offset,
            size: field.size,
            names: field.names.clone(),
        };
        SectionForm {
            name: section.name.clone(),
            size: section.size,
            texts: section.texts,
            fields: section.fields.iter().map(form).collect(),
        }
    }
}

impl SectionForm {
    /// The fields, as events have them.
    ///
    /// # Errors
    /// A field that cannot be.
    pub(super) fn fields(&self) -> Result<Vec<Field>, String> {
        self.fields.iter().map(FieldForm::field).collect()
    }
}

impl FieldForm {
    fn field(&self) -> Result<Field, String> {
        use tracer_plugin_abi::c;

        let wrong = |what: &str| format!("field `{}`: {what}", self.name);
        let width = || u8::try_from(self.size).map_err(|_| wrong("a number has 1, 2, 4 or 8 bytes"));
        let kind = match self.kind {
            c::KIND_UINT | c::KIND_INT if !self.names.is_empty() => {
                Kind::Enum { width: width()?, signed: self.kind == c::KIND_INT, names: self.names.clone() }
            }
            c::KIND_UINT => Kind::Uint(width()?),
            c::KIND_INT => Kind::Int(width()?),
            c::KIND_STRING => Kind::Str(self.size),
            c::KIND_BYTES => Kind::Bytes(self.size),
            c::KIND_TEXT if self.size == 4 => Kind::Text,
            c::KIND_TEXT => return Err(wrong("a text is 4 bytes, which say where it is")),
            other => return Err(wrong(&format!("a kind {other} is not known"))),
        };
        let show = if self.show.is_empty() { "plain" } else { &self.show };
        let show = show.parse().map_err(|_| {
            wrong(&format!("`{show}` is no way to show it: plain, hex, be16, be32, ipv4, ipv6, mac, netns"))
        })?;
        Ok(Field { name: self.name.clone(), offset: self.offset, kind, show })
    }
}

/// How a field of an event is described to a plugin.
pub(super) fn declared(schema: &tracer_event::Schema) -> DeclaredSection {
    use tracer_plugin_abi::c;

    let field = |field: &Field| {
        let (kind, names) = match &field.kind {
            Kind::Uint(_) => (c::KIND_UINT, Vec::new()),
            Kind::Int(_) => (c::KIND_INT, Vec::new()),
            Kind::Enum { signed, names, .. } => {
                (if *signed { c::KIND_INT } else { c::KIND_UINT }, names.clone())
            }
            Kind::Str(_) => (c::KIND_STRING, Vec::new()),
            Kind::Bytes(_) | Kind::Tail => (c::KIND_BYTES, Vec::new()),
            Kind::Text => (c::KIND_TEXT, Vec::new()),
        };
        DeclaredField {
            name: field.name.clone(),
            show: field.show.to_string(),
            kind,
            offset: field.offset,
            size: field.kind.size().unwrap_or(0),
            names,
        }
    };
    DeclaredSection {
        name: schema.section().to_owned(),
        size: schema.size(),
        texts: schema.tail().map_or(0, |tail| tail.max),
        fields: schema.fields().iter().map(field).collect(),
    }
}
