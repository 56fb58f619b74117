//! What is true of all events, as C sees it. It is never freed: a plugin may have threads that look at it whenever they like.

use tracer_plugin_abi::c::{self, Text};

use crate::{DeclaredField, DeclaredSection};

/// What is true of all events.
#[derive(Debug, Clone, Default)]
pub struct SessionInfo {
    /// Whether events come as they happen, and not from a trace.
    pub live: bool,
    /// The version of tracer that saw the events.
    pub tracer: String,
    /// The host on which they happened.
    pub host: String,
    /// Its kernel's release.
    pub kernel: String,
    /// Its architecture.
    pub machine: String,
    /// The inode number of tracer's own network namespace, where it is known.
    pub own_netns: Option<u64>,
    /// The probes' names and tags.
    pub probes: Vec<(String, String)>,
    /// All sections that events may have, each once.
    pub sections: Vec<DeclaredSection>,
}

/// The struct that `start` is given, which lives for good.
pub(crate) fn leak(session: &SessionInfo) -> *const c::Session {
    let session: &'static SessionInfo = Box::leak(Box::new(session.clone()));
    let probe = |(name, tag): &(String, String)| c::Probe { name: Text::of(name), tag: Text::of(tag) };
    let (probes, probes_len) = array(session.probes.iter().map(probe).collect());
    let (sections, sections_len) = array(session.sections.iter().map(section).collect());
    Box::leak(Box::new(c::Session {
        struct_size: size::<c::Session>(),
        live: session.live.into(),
        probe_size: size::<c::Probe>(),
        reserved: 0,
        tracer: Text::of(&session.tracer),
        host: Text::of(&session.host),
        kernel: Text::of(&session.kernel),
        machine: Text::of(&session.machine),
        own_netns: session.own_netns.unwrap_or(0),
        probes,
        probes_len,
        sections,
        sections_len,
    }))
}

fn section(section: &'static DeclaredSection) -> c::Section {
    let (fields, fields_len) = array(section.fields.iter().map(field).collect());
    c::Section {
        struct_size: size::<c::Section>(),
        field_size: size::<c::Field>(),
        name: Text::of(&section.name),
        size: section.size,
        texts: section.texts,
        fields,
        fields_len,
    }
}

fn field(field: &'static DeclaredField) -> c::Field {
    let name = |(value, name): &(i64, String)| c::Name { value: *value, name: Text::of(name) };
    let (names, names_len) = array(field.names.iter().map(name).collect());
    c::Field {
        name: Text::of(&field.name),
        show: Text::of(&field.show),
        kind: field.kind,
        offset: field.offset,
        size: field.size,
        reserved: 0,
        names,
        names_len,
    }
}

/// Where an array is, which lives for good, and how long it is.
fn array<T>(items: Vec<T>) -> (*const T, u64) {
    let items = items.leak();
    if items.is_empty() { (std::ptr::null(), 0) } else { (items.as_ptr(), items.len() as u64) }
}

pub(crate) const fn size<T>() -> u32 {
    // The interface's structs are small.
    size_of::<T>() as u32
}
