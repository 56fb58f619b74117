//! Everything that docs/profiles.md shows is so: its profiles are read, its commands print what it says.

mod examples;
mod folder;

use std::{fs, path::Path, process::Command};

use examples::{blocks, file_name, write_all};
use folder::Folder;
use tracer_compose::Catalog;
use tracer_dsl::{OptionTable, Profile};

use tracer_collectors as _;

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/profiles.md"))
        .expect("the page is there")
}

fn table() -> OptionTable {
    Catalog::new().and_then(|catalog| catalog.options()).expect("the built-in collectors are sound")
}

/// A profile of which the page shows a part only.
fn completed(text: &str) -> String {
    let line = |start: &str| text.lines().any(|line| line.starts_with(start));
    let mut head = String::new();
    if !line("version") {
        head += "version = 1\n";
    }
    if !line("name") {
        head += "name = \"part\"\n";
    }
    if !line("[") && !line("extends") && !line("when") {
        head += "[collect]\n";
    }
    head + text
}

#[test]
fn every_profile_is_read_or_is_one_that_the_page_calls_wrong() {
    let page = page();
    let checked_wrong = |name: &str| {
        blocks(&page).iter().any(|(_, text)| {
            let mut lines = text.lines();
            lines.next() == Some(&format!("$ tracer profile check {name}"))
                && lines.next().is_some_and(|line| line.starts_with("error"))
        })
    };
    let (mut right, mut wrong) = (0, 0);
    for (language, text) in blocks(&page) {
        if language != "toml" {
            continue;
        }
        let name = file_name(&text).unwrap_or("part.toml");
        // What is wrong with these, the commands of the page say.
        if checked_wrong(name) {
            wrong += 1;
            continue;
        }
        if let Err(found) = Profile::parse(name, &completed(&text), &table()) {
            panic!("{found}");
        }
        right += 1;
    }
    assert!(right >= 6 && wrong >= 1, "{right} right, {wrong} wrong: does this test still read the page?");
}

#[test]
fn every_command_prints_what_the_page_says() {
    let page = page();
    let folder = Folder::new("page");
    write_all(&folder, &page);
    let mut seen = 0;
    for (language, text) in blocks(&page) {
        let Some((command, expected)) = text.split_once('\n') else { continue };
        let Some(command) = command.strip_prefix("$ tracer profile ") else { continue };
        assert_eq!(language, "console");
        let ran = Command::new(env!("CARGO_BIN_EXE_tracer"))
            .arg("profile")
            .args(command.split(' '))
            .current_dir(&folder.0)
            .env("XDG_CONFIG_HOME", &folder.0)
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        let printed = [ran.stdout, ran.stderr].concat();
        assert_eq!(String::from_utf8(printed).unwrap(), expected, "tracer profile {command}");
        let wrong = expected.starts_with("error");
        assert_eq!(ran.status.code(), Some(if wrong { 2 } else { 0 }), "tracer profile {command}");
        seen += 1;
    }
    assert!(seen >= 3, "only {seen} commands found");
}

/// What the page lists is what there is.
#[test]
fn every_shipped_profile_and_every_key_is_listed() {
    let page = page();
    for builtin in tracer_profiles::builtin() {
        assert!(page.contains(&format!("`{}`", builtin.name)), "{} is missing", builtin.name);
    }
    for key in ["version", "name", "about", "extends", "when", "probe", "any", "filter", "optional"] {
        assert!(page.contains(&format!("| `{key}`")), "{key} is missing");
    }
    for key in tracer_dsl::profile::COMMAND_LINE_ONLY {
        assert!(page.contains(&format!("`{key}`")), "{key} is missing");
    }
}
