//! `tracer plugin list`: a line for each collector, those that are built in included.

use tracer_compose::Fragment;

use crate::{
    command::{Known, printed},
    exit::Exit,
};

pub(crate) fn run(known: &Known) -> Exit {
    let mut rows = vec![["NAME", "VERSION", "KIND", "STATE", "FROM"].map(str::to_owned)];
    rows.extend(known.catalog.iter().map(|fragment| {
        let from = fragment.folder.as_ref().map_or("built in".to_owned(), |f| f.display().to_string());
        let name = fragment.manifest.name.clone();
        [name, version(fragment), kind(fragment).to_owned(), "ok".to_owned(), from]
    }));
    let mut reasons = String::new();
    for found in &known.plugins {
        if let Err(reason) = &found.state {
            let name = found.folder.file_name().map_or("?".into(), |name| name.to_string_lossy());
            let folder = found.folder.display().to_string();
            rows.push([name.into_owned(), "-".into(), "-".into(), "refused".into(), folder]);
            reasons += &format!("\n{}: {reason}\n", harmless(&found.folder.display().to_string()));
        }
    }
    let rows: Vec<_> = rows.into_iter().map(|row| row.map(|text| harmless(&text))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (a, b, c, d) = (width(0), width(1), width(2), width(3));
    let lines = rows.iter().map(|[name, version, kind, state, from]| {
        format!("{name:a$}  {version:b$}  {kind:c$}  {state:d$}  {from}\n")
    });
    printed(&(lines.collect::<String>() + &reasons))
}

/// What it has: code for the kernel, a native half, or both. What is only a sink says nothing of events.
fn kind(fragment: &Fragment) -> &'static str {
    match (fragment.has_object(), &fragment.native) {
        (true, None) => "bpf",
        (true, Some(_)) => "bpf+native",
        (false, _) if fragment.is_collector() => "native",
        (false, _) => "sink",
    }
}

fn version(fragment: &Fragment) -> String {
    match &fragment.manifest.release {
        Some(release) => release.clone(),
        None if fragment.is_plugin() => "-".to_owned(),
        None => env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The text without what would move a terminal's cursor.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
