//! What is said of the golden trace today must be said of it tomorrow.

use std::fs;

use serde_json::Value;

use crate::run::{Folder, golden, printed, trace, tracer};

/// Compares with what is kept, or keeps it.
pub fn compare(name: &str, found: &[u8]) {
    if std::env::var_os("TRACER_WRITE_GOLDEN").is_some() {
        fs::write(golden(name), found).unwrap();
    }
    let expected = fs::read(golden(name)).unwrap();
    if expected != found {
        let place = std::env::temp_dir().join(name);
        fs::write(&place, found).unwrap();
        panic!("{name} became different: compare {} and {}", golden(name).display(), place.display());
    }
}

/// One test, because the trace is to be there before anything is said of it.
#[test]
fn the_golden_trace_reads_as_ever() {
    if std::env::var_os("TRACER_WRITE_GOLDEN").is_some() {
        crate::dropmon::write(&golden("dropmon.trace"));
    }
    let trace = trace();
    for (name, arguments) in [
        ("dropmon.txt", &["print"][..]),
        ("dropmon.link.txt", &["print", "-e"]),
        ("dropmon.utc.txt", &["print", "--utc"]),
        ("dropmon.json", &["print", "--format", "json"]),
        ("dropmon.stats.txt", &["stats"]),
        ("dropmon.stats.json", &["stats", "--utc", "--format", "json"]),
        ("dropmon.schema.json", &["schema"]),
    ] {
        compare(name, printed(&[arguments, &[&trace]].concat()).as_bytes());
    }
    let folder = Folder::new();
    let packets = folder.name("dropmon.pcapng");
    let run = tracer(&["pcap", &trace, "-o", &packets]).output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(said, format!("tracer: 28 packets written to {packets}\n"));
    compare("dropmon.pcapng", &fs::read(packets).unwrap());
}

#[test]
fn the_trace_is_what_is_written_today() {
    let folder = Folder::new();
    let written = folder.name("t");
    crate::dropmon::write(written.as_ref());
    // The session has a number of its own, so the files are not the same.
    for arguments in [&["print"][..], &["print", "--format", "json"], &["schema"], &["stats"]] {
        let [old, new] = [trace(), written.clone()].map(|file| printed(&[arguments, &[&file]].concat()));
        assert!(old == new, "{arguments:?} says something else of a trace that is written today");
    }
}

#[test]
fn json_is_as_its_schema_says() {
    let schema: Value = serde_json::from_str(&printed(&["schema", &trace()])).unwrap();
    let strict = tracer_event::sample::strict(schema.clone());
    let [schema, strict] = [schema, strict].map(|schema| jsonschema::validator_for(&schema).unwrap());
    let mut kinds = std::collections::BTreeMap::new();
    for arguments in [&["print", "--format", "json"][..], &["print", "--format", "json", "--utc"]] {
        for line in printed(&[arguments, &[&trace()]].concat()).lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            for validator in [&schema, &strict] {
                let errors: Vec<String> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
                assert!(errors.is_empty(), "{errors:?}\n{line}");
            }
            *kinds.entry(value["type"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
    }
    let kinds: Vec<(&str, i32)> = kinds.iter().map(|(kind, lines)| (kind.as_str(), *lines)).collect();
    assert_eq!(kinds, [("account", 2), ("clock", 2), ("event", 56), ("loss", 4), ("meta", 2)]);
}
