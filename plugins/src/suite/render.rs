//! Sections are shown with bytes of every kind: what a template and a presentation make of them must be lines of text, and JSON.

use std::sync::Arc;

use tracer_compose::Fragment;
use tracer_event::{
    Clock, Context, Layout, NoSymbols, ProbeInfo, Probes, Schema, Tag, Trim, header, json, text,
};

/// Shows all sections of a collector; says what a section is without.
pub(super) fn all(fragment: &Fragment) -> Result<String, String> {
    let silent = |section: &str| {
        format!(
            "section `{section}` has no `[section.{section}]` with its text: it would not be seen but in JSON"
        )
    };
    for reader in &fragment.readers {
        let schema = &reader.schema;
        if schema.text().is_none() {
            return Err(silent(schema.section()));
        }
        for byte in [0x00, 0xff, 0x0a, 0x1b, 0x7f] {
            shown(schema, byte).map_err(|why| format!("section `{}`: {why}", schema.section()))?;
        }
    }
    // Which fields it has, only its library can tell.
    let native = fragment.native_section();
    if let Some(section) = native.filter(|section| !fragment.manifest.sections.contains_key(*section)) {
        return Err(silent(section));
    }
    Ok(format!("{} sections", fragment.readers.len() + usize::from(native.is_some())))
}

/// An event whose section is made of this byte.
fn shown(schema: &Arc<Schema>, byte: u8) -> Result<(), String> {
    let layout = Layout::new(vec![Arc::clone(schema)]).map_err(|error| error.to_string())?;
    let mut bytes = vec![0; layout.fixed_end() as usize];
    let at = layout.sections()[0].offset as usize;
    let len = schema.size() as usize;
    if schema.tail().is_some() {
        // In the fixed part is how long it is; it stands behind.
        bytes[at..at + 4].copy_from_slice(&schema.size().to_le_bytes());
        bytes.extend(std::iter::repeat_n(byte, len));
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    } else {
        bytes[at..at + len].fill(byte);
    }
    let size = u32::try_from(bytes.len()).map_err(|error| error.to_string())?;
    bytes[header::RECORD_SIZE..header::RECORD_SIZE + 4].copy_from_slice(&size.to_le_bytes());
    bytes[header::SECTIONS] = 1;
    let probes = Probes::new(vec![ProbeInfo {
        tag: Tag::Kprobe,
        name: "probe".to_owned(),
        way: String::new(),
        layout: Arc::new(layout),
        trim: Trim::Machinery,
    }]);
    let clock = Clock::default();
    let context =
        Context { own_netns: None, symbols: &NoSymbols, clock: &clock, utc: false, link_header: true };
    // A record that its own schema rules out is refused when it is read: no event comes of it.
    let Ok(event) = probes.event(&bytes, &context) else { return Ok(()) };
    let mut out = String::new();
    text::Renderer::new().event(&mut out, &event);
    if out.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(format!("its text has control characters with bytes {byte:#04x}"));
    }
    json::Renderer::new().event(&mut out, &event);
    Ok(())
}
