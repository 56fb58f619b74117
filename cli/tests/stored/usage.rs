//! What is written on the command line, rightly and wrongly.

use std::fs;

use crate::run::{Folder, Ran, printed, ran, trace, tracer};

#[test]
fn the_trace_that_is_not_named_is_tracer_data() {
    let folder = Folder::new();
    let here = |command: &str| Ran::from(tracer(&[command]).current_dir(folder.path()).output().unwrap());
    for command in ["print", "stats", "schema"] {
        let run = here(command);
        assert_eq!((run.code, &*run.out), (Some(1), ""));
        assert!(run.err.starts_with("error: cannot read tracer.data: No such file"), "{}", run.err);
        assert!(run.err.contains("help: `tracer collect -o` writes it"), "{}", run.err);
    }
    folder.file("tracer.data", &fs::read(trace()).unwrap());
    for command in ["print", "stats", "schema"] {
        assert_eq!(here(command).out, printed(&[command, &trace()]));
    }
    let run = ran(&["print", &folder.name("nix")]);
    assert!(run.code == Some(1) && !run.err.contains("help"), "{run:?}");
}

#[test]
fn a_profile_may_stand_on_either_side() {
    let plain = printed(&["print", &trace()]);
    assert_eq!(printed(&["-p", "nft-dropmon", "print", &trace()]), plain);
    assert_eq!(printed(&["print", "-p", "nft-dropmon", &trace()]), plain);
    assert_eq!(printed(&["print", &trace(), "--profile=nft-dropmon"]), plain);
    let folder = Folder::new();
    folder.file("mine.toml", b"version = 1\nname = \"mine\"\nabout = \"JSON\"\n[print]\nformat = \"json\"\n");
    let dir = folder.path().to_str().unwrap();
    let json = printed(&["--profile-dir", dir, "-p", "mine", "print", &trace()]);
    assert_eq!(json, printed(&["print", "--format", "json", &trace()]));
    assert_eq!(printed(&["--profile-dir", dir, "-p", "mine", "print", "--format", "text", &trace()]), plain);
}

#[test]
fn mistakes_are_pointed_at() {
    let file = &*trace();
    let cases: [(&[&str], &[&str]); 9] = [
        (&["print", "--formt", "json", file], &["--formt", "--format", "\nOptions of print: --profile"]),
        (&["print", "--format", "xml", file], &["xml", "text", "json"]),
        (&["stats", "--format", "text", file], &["text", "table", "json"]),
        (&["stats", "--by", "size", file], &["size", "events", "bytes"]),
        (&["stats", "--top", "0", file], &["0", "^"]),
        (&["stats", "--top", "many", file], &["many", "^^^^"]),
        (&["stats", "--table", "nft,flwo", file], &["flwo", "^^^^", "there are probe, nft, flow"]),
        (&["pcap", "-o", "x.pcapng", "-P", "kprobe:", file], &["kprobe:", "^"]),
        (&["-p", "nft-dropmn", "print", file], &["nft-dropmn", "did you mean `nft-dropmon`?", "^^^^"]),
    ];
    for (arguments, parts) in cases {
        let run = ran(arguments);
        assert_eq!((run.code, &*run.out), (Some(2), ""), "{arguments:?}: {}", run.err);
        for part in parts {
            assert!(run.err.contains(part), "{arguments:?}: no {part:?} in\n{}", run.err);
        }
    }
    for arguments in [&["print", file, file][..], &["prnt", file], &["stats", "--no-such"], &[]] {
        assert_eq!(ran(arguments).code, Some(2), "{arguments:?}");
    }
}

#[test]
fn statistics_are_as_asked_for() {
    let file = &*trace();
    let stats = |arguments: &[&str]| printed(&[&["stats", file], arguments].concat());
    let flows = stats(&["--table", "flow", "--top", "3"]);
    assert!(flows.contains("\nflow: 3 of "), "{flows}");
    assert!(!flows.contains("probe: ") && !flows.contains("nft: "), "{flows}");
    assert_eq!(flows.lines().count(), 3 + 1 + 3, "{flows}");
    let rules = stats(&["--table", "nft,probe", "--by", "last"]);
    let rows: Vec<&str> = rules.lines().skip_while(|line| !line.starts_with("nft: ")).skip(2).collect();
    assert!(rules.contains("nft: 6, by last") && rows.len() == 6, "{rules}");
    assert!(rows[0].contains("OUTPUT"), "the last event is of this rule: {rules}");
    let json: serde_json::Value =
        serde_json::from_str(&stats(&["--format", "json", "--by", "bytes"])).unwrap();
    assert_eq!((&json["order"], &json["events"], &json["lost"]), (&"bytes".into(), &28.into(), &20.into()));
}
