//! `tracer profile`, `completion` and `man`, and how `-p` and `-P` take profiles, from the outside.

mod folder;

use std::process::{Command, Output};

use folder::Folder;

const MINE: &str = "version = 1\nname = 'mine'\nabout = 'Mine'\n[collect]\nprobes = ['k:ip_rcv']\n";

/// Runs tracer in the folder, which is also the one of the user's configuration.
fn tracer(folder: &Folder, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tracer"))
        .args(line.split_whitespace())
        .current_dir(&folder.0)
        .env("XDG_CONFIG_HOME", &folder.0)
        .env("NO_COLOR", "1")
        .output()
        .expect("cargo has built tracer")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("tracer writes UTF-8")
}

/// What a command that is refused says.
fn refused(folder: &Folder, line: &str) -> String {
    let ran = tracer(folder, line);
    assert_eq!((ran.status.code(), text(&ran.stdout).as_str()), (Some(2), ""), "{line}");
    text(&ran.stderr)
}

#[test]
fn list_marks_what_is_hidden_and_what_is_broken() {
    let folder = Folder::new("list");
    folder.write("tracer/profiles/mine.toml", MINE);
    folder.write("near/nft-dropmon.toml", "version = 1\nwhat = 1\n");
    folder.write("near/orphan.toml", "version = 1\nname = 'orphan'\nextends = 'nobody'\n");
    // The escape is a real one in a basic string.
    folder.write("near/mine.toml", &MINE.replace("'Mine'", "\"Nearer \\u001b[2J\""));
    for line in ["profile list --profile-dir near", "--profile-dir near profile list"] {
        let ran = tracer(&folder, line);
        assert_eq!(ran.status.code(), Some(0));
        let out = text(&ran.stdout);
        let rows: Vec<Vec<&str>> = out
            .lines()
            .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
            .collect();
        let of = |name: &str| -> Vec<_> { rows.iter().filter(|row| row[0] == name).collect() };
        let mine = of("mine");
        assert_eq!(mine[0][1..], ["near/mine.toml", "Nearer \u{fffd}[2J"]);
        let user = folder.0.join("tracer/profiles/mine.toml");
        assert_eq!(mine[1][1..], [user.to_str().unwrap(), "(hidden by the one above)"]);
        let broken = of("nft-dropmon");
        assert_eq!(broken[0][2], "broken: `name` is missing (tracer profile check nft-dropmon)");
        assert_eq!(broken[1][1..], ["built in", "(hidden by the one above)"]);
        assert_eq!(of("orphan")[0][2], "broken: unknown profile `nobody` (tracer profile check orphan)");
    }
}

#[test]
fn show_prints_the_text_and_says_where_it_is_from() {
    let folder = Folder::new("show");
    folder.write("x/mine.toml", MINE);
    let ran = tracer(&folder, "profile show nft-dropmon");
    assert_eq!(text(&ran.stderr), "# nft-dropmon: built in\n");
    let built_in = tracer_profiles::builtin().iter().find(|profile| profile.name == "nft-dropmon").unwrap();
    assert_eq!(text(&ran.stdout), built_in.text);
    for name in ["x/mine", "./x/mine.toml", "--profile-dir x mine"] {
        let ran = tracer(&folder, &format!("profile show {name}"));
        assert_eq!(text(&ran.stdout), MINE, "{name}");
        assert!(text(&ran.stderr).contains("x/mine.toml"), "{name}");
    }
    let said = refused(&folder, "profile show nft-dropmn");
    assert!(said.contains("did you mean `nft-dropmon`?"), "{said}");
}

#[test]
fn check_says_all_that_is_wrong_with_each() {
    let folder = Folder::new("check");
    folder.write("good.toml", MINE);
    folder.write("bad.toml", "version = 1\nname = 'bad'\n[collect]\ncollectors = ['nfc']\nrate = 1\n");
    folder
        .write("odd", "version = 1\nname = 'odd'\nextends = ['./good.toml', './bad.toml', './torn.toml']\n");
    folder.write("torn.toml", "version = 1\nname = 'torn'\n[collect]\nrate = 2\n");
    let ran = tracer(&folder, "profile check bad.toml good.toml odd");
    assert_eq!(ran.status.code(), Some(2));
    assert_eq!(text(&ran.stdout), "good.toml: ok\n");
    let said = text(&ran.stderr);
    for part in [
        "unknown collector `nfc`",
        "did you mean `nft`?",
        "bad.toml:4:16",
        "`bad` and profile `torn` differ on `rate`",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(refused(&folder, "profile check gone.toml").contains("cannot read gone.toml"));
    let shipped = tracer(&folder, "profile check nft-dropmon ifdump");
    assert_eq!(text(&shipped.stdout), "nft-dropmon: ok\nifdump: ok\n");
}

#[test]
fn a_profile_in_the_place_of_a_probe_gets_the_right_line() {
    let folder = Folder::new("probe");
    folder.write(
        "tracer/profiles/mine.toml",
        "version = 1\nname = 'mine'\n[collect]\nprobes = ['ifdump', 'k:dropmon']\n",
    );
    for (word, function) in [("nft-dropmon", false), ("dropmon", true), ("./x.toml", false)] {
        let said = refused(&folder, &format!("collect -P {word}"));
        assert!(said.contains(&format!("error: `{word}` is a profile, not a probe")), "{said}");
        assert!(said.contains(&format!("help: write `-p {word}`")), "{said}");
        assert_eq!(said.contains(&format!("`kprobe:{word}`")), function, "{said}");
    }
    // What is wrong beside it is said too.
    let said = refused(&folder, "collect -P nft-dropmon -P k:f/stak");
    assert!(said.contains("write `-p nft-dropmon`") && said.contains("did you mean `stack`?"), "{said}");
    assert!(!said.contains("unexpected `-`"), "{said}");
    let said = refused(&folder, "-p mine collect");
    assert!(said.contains("write `extends = \"ifdump\"` at the top"), "{said}");
    assert!(!said.contains("`dropmon` is a profile"), "{said}");
}

#[test]
fn what_traces_nothing_takes_no_profile() {
    let folder = Folder::new("none");
    let said = refused(&folder, "-p ifdump profile list");
    assert!(
        said.contains("`profile` takes no profile") && said.contains("tracer profile show ifdump"),
        "{said}"
    );
    assert!(refused(&folder, "-p ifdump man").contains("`man` takes no profile"));
}

/// A stored trace may be another machine's: conditions are not asked, and a trace that is missing is what stops it.
#[test]
fn several_profiles_by_name_and_by_path_are_put_together() {
    let folder = Folder::new("several");
    folder.write(
        "dir/x.toml",
        "version = 1\nname = 'x'\nwhen = 'kernel < 1'\nextends = './y.toml'\n[stats]\ntop = 3\n",
    );
    folder.write("dir/y.toml", "version = 1\nname = 'y'\n[stats]\ntop = 4\nby = 'bytes'\n");
    folder.write("z.toml", "version = 1\nname = 'z'\n[stats]\ntop = 5\n");
    let said = refused(&folder, "-p dir/x -p ./z.toml stats");
    assert!(said.contains("profile `x` and profile `z` differ on `top`"), "{said}");
    for line in ["-p dir/x stats", "-p ./z.toml stats -p dir/x --top 1", "-p ./dir/y.toml -p dir/x stats"] {
        let ran = tracer(&folder, line);
        assert_eq!(ran.status.code(), Some(1), "{line}: {}", text(&ran.stderr));
        assert!(text(&ran.stderr).contains("tracer.data"), "{line}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_profile_for_another_machine_is_noted() {
    let folder = Folder::new("when");
    folder.write("old.toml", "version = 1\nname = 'old'\nwhen = \"kernel < 1 and not symbol no_such_thing\"\n[collect]\nrate = 1\n");
    folder.write("new.toml", "version = 1\nname = 'new'\nwhen = 'kernel >= 2'\n[collect]\nrate = 2\n");
    // A wrong option ends the run before anything is attached.
    let ran = tracer(&folder, "-p ./old.toml -p ./new.toml collect --format json -o x.pcapng --out-rotate x");
    assert_eq!(ran.status.code(), Some(2));
    let said = text(&ran.stderr);
    let note = "tracer: profile `old` is left out: on this machine `kernel < 1 and not symbol no_such_thing` does not hold\n";
    assert!(said.starts_with(note), "{said}");
    assert!(!said.contains("`new`"), "{said}");
}

#[test]
fn completions_know_every_option() {
    let folder = Folder::new("completion");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = tracer(&folder, &format!("completion {shell}"));
        assert_eq!(ran.status.code(), Some(0));
        let script = text(&ran.stdout);
        for part in ["nft-verdicts", "ring-size", "profile-dir", "check", "collect"] {
            assert!(script.contains(part), "{shell}: {part}");
        }
    }
    assert!(refused(&folder, "completion tcsh").contains("bash"));
}

#[test]
fn the_manual_has_a_page_for_each_sub_command() {
    let folder = Folder::new("man");
    let page = text(&tracer(&folder, "man").stdout);
    assert!(page.contains(".TH tracer 1") && page.contains("tracer\\-collect(1)"), "{page}");
    assert_eq!(tracer(&folder, "man a/b").status.code(), Some(0));
    for name in ["tracer", "tracer-collect", "tracer-pcap", "tracer-profile", "tracer-profile-check"] {
        let page = std::fs::read_to_string(folder.0.join(format!("a/b/{name}.1"))).unwrap();
        assert!(page.contains(&format!(".TH {name} 1")), "{name}");
    }
    let collect = std::fs::read_to_string(folder.0.join("a/b/tracer-collect.1")).unwrap();
    assert!(collect.contains("nft\\-verdicts"), "{collect}");
    folder.write("file", "");
    let ran = tracer(&folder, "man file/x");
    assert_eq!(ran.status.code(), Some(1));
    assert!(text(&ran.stderr).contains("cannot write manual pages to file/x"));
}
