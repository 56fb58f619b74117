//! Everything that docs/plugins.md shows is so: its files are written, compiled and checked, and each of its commands is run, from
//! nothing to the first event, as far as this machine permits.

#![cfg(target_os = "linux")]

mod examples;
mod folder;

use std::{fs, path::Path, process::Command};

use examples::{blocks, file_name, write_all};
use folder::Folder;

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plugins.md"))
        .expect("the page is there")
}

/// The file of C or Rust that a block is: its first line names it.
fn source_of(text: &str) -> Option<&str> {
    let name = text.lines().next()?.strip_prefix("// ")?;
    (name.ends_with(".c") || name.ends_with(".rs")).then_some(name)
}

/// Runs a command of the page: its exit status, and what it printed.
fn run(folder: &Folder, words: &[&str]) -> (Option<i32>, String) {
    let program = if words[0] == "tracer" { env!("CARGO_BIN_EXE_tracer") } else { words[0] };
    let ran = Command::new(program)
        .args(&words[1..])
        .current_dir(&folder.0)
        .env("XDG_CONFIG_HOME", &folder.0)
        .env("NO_COLOR", "1")
        .output()
        .unwrap_or_else(|error| panic!("{words:?}: {error}"));
    (ran.status.code(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
}

#[test]
fn every_command_works() {
    let page = page();
    let folder = Folder::new("plugins-page");
    fs::write(
        folder.0.join("nothing.pcap"),
        [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0],
    )
    .expect("the folder is there");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/dropmon.trace");
    fs::copy(golden, folder.0.join("dropmon.trace")).expect("it is there");
    let (mut commands, mut files) = (0, 0);
    for (language, text) in blocks(&page) {
        // What `plugin new` made is replaced.
        if let Some(name) = source_of(&text) {
            folder.write(name, &text);
            files += 1;
        }
        if language == "toml" && file_name(&text).is_some() {
            // This one only: folders of others are not made yet.
            write_all(&folder, &format!("```toml\n{text}```\n"));
            files += 1;
        }
        if language != "console" {
            continue;
        }
        let mut expected = String::new();
        let mut last: Option<Vec<&str>> = None;
        for line in text.lines().chain(["$ "]) {
            let Some(command) = line.strip_prefix("$ ") else {
                expected += &format!("{line}\n");
                continue;
            };
            if let Some(words) = last.take() {
                ran(&folder, &words, &expected);
                commands += 1;
            }
            expected.clear();
            let command = command.strip_prefix("sudo ").unwrap_or(command);
            let words: Vec<&str> = command.split_whitespace().map(|word| word.trim_matches('\'')).collect();
            last = (!words.is_empty()).then_some(words);
        }
    }
    assert!(
        commands >= 15 && files == 4,
        "{commands} commands, {files} files: does this test still read the page?"
    );
}

fn ran(folder: &Folder, words: &[&str], expected: &str) {
    // It would wait for events: this ends it when it is attached, or says that this machine does not permit it.
    let mut words = words.to_vec();
    let collects = words.get(1) == Some(&"collect");
    if collects {
        words.extend(["--cmd", "true"]);
    }
    let (status, printed) = run(folder, &words);
    if collects {
        let no_usage = status == Some(0) || (status == Some(3) && !printed.contains("is refused"));
        assert!(no_usage, "{words:?}: {status:?}: {printed}");
        return;
    }
    assert_eq!(status, Some(0), "{words:?}: {printed}");
    if !expected.is_empty() {
        assert_eq!(printed, expected, "{words:?}");
    }
}

#[test]
fn lists_are_complete() {
    let page = page();
    let helpers = page.split("<!-- helpers -->").nth(1).expect("it has the list");
    for (_, helper) in tracer_compose::allowed_helpers() {
        assert!(helpers.contains(&format!("`{helper}`")), "{helper} is missing");
    }
    let checks = page.split("<!-- checks -->").nth(1).expect("it has the list");
    let trials = tracer_engine::TRIALS.iter();
    let native = tracer_plugins::suite::NATIVE_CHECKS.iter();
    for check in tracer_plugins::suite::CHECKS.iter().chain(native).map(|(name, _)| name).chain(trials) {
        assert!(checks.contains(check), "{check} is missing");
    }
    let (major, minor) = tracer_compose::ABI;
    let header = tracer_ebpf::HEADERS[0].1;
    for (name, number) in [("MAJOR", major), ("MINOR", minor)] {
        assert!(
            header.contains(&format!("#define TRACER_ABI_{name} {number}\n")),
            "fragment.h has another {name}"
        );
    }
    // Every tag and macro that the header documents for fragments is told of.
    for word in [
        "HEX",
        "BE16",
        "BE32",
        "IPV4",
        "IPV6",
        "MAC",
        "NETNS",
        "DEVICE",
        "PACKET_ID",
        "KERNEL_ENUM",
        "TEXT",
        "STRINGS",
        "AT_MOST",
        "REQUIRED",
        "OPTION",
        "SYMBOL",
        "PARAMETER",
        "RETURNED",
        "READER",
        "ACCESSOR",
        "HOOK",
        "FOLLOW",
        "FOLLOWED",
        "LOAD",
        "READ",
        "PEEK",
        "LOAD_BITS",
        "COPY_STRING",
        "APPEND_TEXT",
        "HAS_FIELD",
        "OFFSET",
        "USED",
        "PRESENT",
        "ABSENT",
    ] {
        assert!(header.contains(&format!("#define {word}")), "{word} is not in the header");
        assert!(
            page.contains(&format!("`{word}")) || page.contains(&format!("{word}(")),
            "{word} is missing"
        );
    }
}

/// All that crosses into a library is told of: what tracer calls, what may be asked, and what comes back.
#[test]
fn the_interface_of_libraries_is_complete() {
    let page = page();
    let page = page.split("## Native halves").nth(1).expect("it has the section");
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/abi/include/tracer/plugin.h");
    let header = fs::read_to_string(header).expect("it is there");
    let functions = header.lines().filter_map(|line| line.split_once("(*")?.1.split_once(')'));
    let functions: Vec<&str> =
        functions.map(|(name, _)| name).filter(|name| *name != "TRACER_EXPORT").collect();
    assert!(functions.len() >= 18, "{functions:?}");
    let statuses = header.split("struct tracer_text {").next().expect("it begins with numbers");
    let statuses = statuses.lines().filter_map(|line| line.strip_prefix("#define TRACER_")?.split_once(' '));
    let statuses: Vec<&str> = statuses
        .map(|(name, _)| name)
        .filter(|name| {
            ["OK", "ABSENT", "FAILED", "PANICKED", "WRONG", "BAD"].iter().any(|word| name.starts_with(word))
        })
        .collect();
    assert_eq!(statuses.len(), 6, "{statuses:?}");
    for name in functions
        .iter()
        .map(|name| format!("`{name}`"))
        .chain(statuses.iter().map(|s| format!("`TRACER_{s}`")))
    {
        assert!(page.contains(&name), "{name} is missing");
    }
}
