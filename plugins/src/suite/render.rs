//! Sections are shown with bytes of every kind: what a template and a presentation make of them must be lines of text, and JSON.

use tracer_compose::{Fragment, shown};

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
        shown(schema).map_err(|why| format!("section `{}`: {why}", schema.section()))?;
    }
    // Which fields it has, only its library can tell.
    let native = fragment.native_section();
    if let Some(section) = native.filter(|section| !fragment.manifest.sections.contains_key(*section)) {
        return Err(silent(section));
    }
    Ok(format!("{} sections", fragment.readers.len() + usize::from(native.is_some())))
}
