//! The same with a person in front: a pseudo terminal is what the binary's streams are.

use std::{
    fs::File,
    io::Read,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    thread,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::run::{Folder, printed, trace, tracer};

/// Runs it at a terminal, and gives what can be read there, with the exit code.
fn at_terminal(mut command: Command, stderr_too: bool) -> (String, Option<i32>) {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let path = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
    let terminal = File::options().read(true).write(true).open(path).unwrap();
    let reader = thread::spawn(move || {
        let (mut screen, mut shown) = (File::from(screen), Vec::new());
        // It ends with an error once nobody has the terminal any more.
        let _ = screen.read_to_end(&mut shown);
        shown
    });
    command.stdin(terminal.try_clone().unwrap()).stdout(terminal.try_clone().unwrap());
    command.stderr(if stderr_too { Stdio::from(terminal) } else { Stdio::null() });
    let status = command.status().unwrap();
    // Its copies of the terminal.
    drop(command);
    let shown = String::from_utf8(reader.join().unwrap()).unwrap();
    (shown.replace("\r\n", "\n"), status.code())
}

/// A pager that says so before it shows anything.
fn pager(folder: &Folder) -> String {
    let path = folder.file("pager", b"#!/bin/sh\necho PAGED\nexec cat\n");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn long_output_is_shown_by_a_pager_on_a_terminal() {
    let folder = Folder::new();
    let pager = pager(&folder);
    let plain = printed(&["print", &trace()]);
    let with = |name: &str, value: &str, arguments: &[&str]| {
        let mut command = tracer(&[arguments, &[&trace()]].concat());
        command.env(name, value);
        at_terminal(command, true)
    };
    assert_eq!(with("PAGER", &pager, &["print"]), (format!("PAGED\n{plain}"), Some(0)));
    assert_eq!(with("TRACER_PAGER", &pager, &["print"]).0, format!("PAGED\n{plain}"));
    assert!(with("PAGER", &pager, &["stats"]).0.starts_with("PAGED\n1 session, 28 events"));
    let sorted = printed(&["sort", &trace()]);
    assert_eq!(with("PAGER", &pager, &["sort"]), (format!("PAGED\n{sorted}"), Some(0)));
    assert_eq!(with("PAGER", &pager, &["sort", "--no-pager"]), (sorted, Some(0)));
    assert_eq!(with("PAGER", "true", &["sort"]), (String::new(), Some(0)));
    assert_eq!(with("PAGER", &pager, &["print", "--no-pager"]), (plain.clone(), Some(0)));
    assert_eq!(with("PAGER", "", &["print"]).0, plain);
    assert_eq!(with("PAGER", "cat", &["print"]).0, plain);
    // One that is left early, and one that is not there: the events are not lost.
    assert_eq!(with("PAGER", "true", &["print"]), (String::new(), Some(0)));
    let (shown, code) = with("PAGER", "no-such-pager", &["print"]);
    assert!(shown.contains("no-such-pager") && shown.ends_with(&plain), "{shown}");
    assert_eq!(code, Some(0));
}

#[test]
fn a_pipe_has_no_pager_and_no_bar() {
    let folder = Folder::new();
    let mut command = tracer(&["print", &trace()]);
    command.env("PAGER", pager(&folder));
    let run = command.output().unwrap();
    assert_eq!(String::from_utf8(run.stdout).unwrap(), printed(&["print", &trace()]));
    assert_eq!(run.stderr, b"");
}

#[test]
fn a_terminal_shows_no_packets_file() {
    let (shown, code) = at_terminal(tracer(&["pcap", &trace(), "-o", "-"]), true);
    assert_eq!(code, Some(2));
    assert!(shown.contains("a terminal cannot show pcapng"), "{shown}");
    let (shown, code) = at_terminal(tracer(&["sort", &trace(), "--format", "trace"]), true);
    assert!(code == Some(2) && shown.contains("a terminal cannot show trace"), "{shown}");
}

#[test]
fn messages_are_coloured_on_a_terminal_only() {
    let wrong = ["print", "--format", "xml", &trace()];
    let (shown, code) = at_terminal(tracer(&wrong), true);
    assert!(code == Some(2) && shown.contains("\x1b["), "{shown:?}");
    let mut plain = tracer(&wrong);
    plain.env("NO_COLOR", "1");
    let (shown, _) = at_terminal(plain, true);
    assert!(!shown.contains('\x1b'), "{shown:?}");
}
