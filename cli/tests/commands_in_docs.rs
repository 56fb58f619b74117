//! Every command line of tracer in README and docs is one that tracer accepts.

mod examples;
mod folder;

use std::{fs, path::Path};

use folder::Folder;

/// Lines of code blocks that call tracer, without prompts and `sudo`.
fn commands(text: &str) -> Vec<String> {
    let mut code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            code = !code;
            continue;
        }
        let line = line.trim_start_matches(['#', '$', ' ']);
        let line = line.strip_prefix("sudo ").unwrap_or(line);
        let line = line.strip_prefix("target/release/").unwrap_or(line);
        if code && line.starts_with("tracer ") {
            found.push(line.to_owned());
        }
    }
    found
}

/// Splits as a shell does, as far as docs need it: spaces, single quotes. A comment, a pipe, or a redirection ends it.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    for (i, part) in line.split('\'').enumerate() {
        if i % 2 == 0 {
            for word in part.split_whitespace() {
                if matches!(word, "|" | "#" | ">" | "&&") {
                    return words;
                }
                words.push(word.to_owned());
            }
        } else {
            words.push(part.to_owned());
        }
    }
    words
}

#[test]
fn are_accepted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = vec![root.join("README.md")];
    files.extend(fs::read_dir(root.join("docs")).unwrap().map(|e| e.unwrap().path()));
    // Its commands need folders that others of them make: plugins_page.rs runs them all.
    files.retain(|file| !file.ends_with("plugins.md"));
    let mut seen = 0;
    // Commands may name files that stand in the same page.
    let folder = Folder::new("commands");
    std::env::set_current_dir(&folder.0).unwrap();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        examples::write_all(&folder, &text);
        for command in commands(&text) {
            let words = words(&command);
            let arguments: Vec<&str> = words.iter().map(String::as_str).collect();
            if let Err(why) = tracer::check(&arguments) {
                panic!("{}: `{command}`:\n{why}", file.display());
            }
            seen += 1;
        }
    }
    assert!(seen >= 12, "only {seen} commands found: does this test still read the docs?");
}

#[test]
fn a_wrong_one_is_refused() {
    let why = tracer::check(&["tracer", "-p", "nft-dropmn", "collect"]).unwrap_err();
    assert!(why.contains("did you mean `nft-dropmon`?"), "{why}");
    let why = tracer::check(&["tracer", "collect", "-P", "kprobe:x/stakc"]).unwrap_err();
    assert!(why.contains("`stack`"), "{why}");
    let why = tracer::check(&["tracer", "collect", "--nft-verdicts", "dorp"]).unwrap_err();
    assert!(why.contains("drop"), "{why}");
}
