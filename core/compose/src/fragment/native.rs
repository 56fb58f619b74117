//! The native half of a collector: a library that adds a section to events, or is given them, or both. What it adds, the
//! library itself declares; how that is shown, the manifest says, as of any section.

use std::{fs::File, sync::Arc};

use tracer_event::{Field, Kind, Schema, Show, Tail};

use super::{Fragment, SECTION_MAX};
use crate::{error::FragmentError, manifest::NativeNeed, schema};

/// Bytes of all texts behind a native section at most.
pub const TEXTS_MAX: u32 = 32_768;

/// The field behind a native section's struct, which holds its texts.
const TEXTS: &str = "texts";

/// What a collector's library does.
#[derive(Debug, Clone)]
pub struct NativeHalf {
    /// The section that it adds to events.
    pub section: Option<String>,
    /// The sections of which events must have one for that; empty where it adds its section at all probes.
    pub with: Vec<String>,
    /// Whether `--sink` gives it events.
    pub sink: bool,
    /// Whether its process may look into others: [`NativeNeed::Ptrace`](crate::NativeNeed).
    pub ptrace: bool,
    /// Its code.
    pub library: Library,
}

/// A native half's code.
#[derive(Debug, Clone)]
pub enum Library {
    /// A file that was judged and opened: whatever its name leads to by now, it is this one.
    File(Arc<File>),
    /// Linked into this binary: [`Catalog::linked`](crate::Catalog::linked) has its entry point.
    Linked,
}

impl NativeHalf {
    /// Whether it adds its section to the events of a probe, of whose sections `has` knows.
    pub fn adds_to(&self, has: impl Fn(&str) -> bool) -> bool {
        self.section.is_some() && (self.with.is_empty() || self.with.iter().any(|section| has(section)))
    }
}

impl Fragment {
    /// The section that its native half adds to events.
    pub fn native_section(&self) -> Option<&str> {
        self.native.as_ref()?.section.as_deref()
    }

    /// The native half that the manifest tells of; `None` if it tells of none.
    pub(super) fn native_half(&self, library: Library) -> Option<NativeHalf> {
        let told = self.manifest.native.as_ref()?;
        let mut with = told.with.clone();
        if with.is_empty() {
            with = self.readers.iter().map(|reader| reader.schema.section().to_owned()).collect();
        }
        let ptrace = told.needs.contains(&NativeNeed::Ptrace);
        Some(NativeHalf { section: told.section.clone(), with, sink: told.sink, ptrace, library })
    }

    /// The native section has a name of its own, and a text that can be read.
    pub(super) fn check_native(&self) -> Result<(), FragmentError> {
        let Some(section) = self.native_section() else { return Ok(()) };
        if self.schema(section).is_some() {
            let reason = "`[native]` adds it, and a reader reports one of that name".to_owned();
            return Err(FragmentError::Schema { section: section.to_owned(), reason });
        }
        // Its fields are not known before the library is asked.
        self.manifest.sections.get(section).map_or(Ok(()), |text| schema::place(section, text).map(drop))
    }

    /// The schema of the native half's section, from what the library declares: its fields, the bytes of its struct, and
    /// how many bytes its texts can take behind that, which become a last field `texts`.
    ///
    /// # Errors
    /// A declaration that no schema can be made of, or that the manifest's text does not fit.
    pub fn native_schema(&self, size: u32, texts: u32, fields: Vec<Field>) -> Result<Schema, FragmentError> {
        let Some(section) = self.native_section() else {
            let reason = "the library declares it, and `[native]` in collector.toml names no section: add \
                          `section = \"NAME\"`";
            let section = self.manifest.name.clone();
            return Err(FragmentError::Schema { section, reason: reason.to_owned() });
        };
        let refused =
            |reason: &str| FragmentError::Schema { section: section.to_owned(), reason: reason.to_owned() };
        let too_large = |what: &str, size, most| FragmentError::TooLarge {
            what: format!("{what} {section}"),
            size,
            most,
        };
        match (size, texts) {
            (0, _) => return Err(refused("its struct has no bytes")),
            (size, _) if size > SECTION_MAX => return Err(too_large("section", size, SECTION_MAX)),
            (_, texts) if texts > TEXTS_MAX => {
                return Err(too_large("the texts of section", texts, TEXTS_MAX));
            }
            _ => {}
        }
        if let Some((field, reason)) = fields.iter().find_map(|field| Some((field, problem(field, texts)?))) {
            let (section, field) = (section.to_owned(), field.name.clone());
            return Err(FragmentError::Field { section, field, reason });
        }
        let mut fields = fields;
        let tail = (texts > 0).then_some(Tail { max: texts });
        fields.extend(tail.map(|_| Field {
            name: TEXTS.to_owned(),
            offset: size,
            kind: Kind::Tail,
            show: Show::Strings,
        }));
        schema::with_text(section, size, tail, fields, self.manifest.sections.get(section))
    }
}

/// Why a library may not declare this field.
fn problem(field: &Field, texts: u32) -> Option<String> {
    match (&field.kind, field.show) {
        (Kind::Tail, _) => Some("only tracer adds the array behind a section's struct".to_owned()),
        (Kind::Text, _) if texts == 0 => {
            Some("it is a text, and the section says that its texts take no bytes".to_owned())
        }
        // What these mean to tracer, such as which events are of one packet, only what was there tells.
        (_, show @ (Show::Packet | Show::PacketId | Show::Device)) => {
            Some(format!("the section of a library has no field that is shown as `{show}`"))
        }
        _ if texts > 0 && field.name == TEXTS => {
            Some("the array of the section's texts has that name".to_owned())
        }
        _ => None,
    }
}
