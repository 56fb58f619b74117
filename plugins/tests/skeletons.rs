//! Whoever begins a plugin gets something that compiles, without a warning, and without a net.

#![cfg(target_os = "linux")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use tracer_plugins::skeleton::{Kind, make};

/// Runs make in a folder, with warnings as errors.
fn makes(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("make");
    // What cargo gives its own children, and what others would be told by it.
    for name in ["MAKEFLAGS", "MFLAGS", "CARGO_MAKEFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    command.env("RUSTFLAGS", "-D warnings").env("CFLAGS", "-Werror").arg("-C").arg(folder).args(arguments);
    let made = command.output().expect("there is make");
    assert!(made.status.success(), "{}{}", String::from_utf8_lossy(&made.stdout), text(&made.stderr));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Makes a plugin of this kind, and compiles it to these files.
fn compiled(kind: Kind, name: &str, files: &[&str]) {
    let dir = tempfile::tempdir().expect("there is a temporary folder");
    let folder = dir.path().join(name);
    make(&folder, kind).expect("the folder can be made");
    makes(&folder, &[]);
    for file in files {
        let bytes = fs::read(folder.join(file)).expect("it was made");
        assert!(bytes.starts_with(b"\x7fELF"), "{file}");
        let mode = fs::metadata(folder.join(file)).expect("it was made").permissions().mode();
        assert_eq!(mode & 0o022, 0, "{file}: what others may write is not loaded");
        let symbol = b"\0tracer_plugin\0";
        let exports = bytes.windows(symbol.len()).any(|window| window == symbol);
        assert_eq!(exports, file.ends_with(".so"), "{file}");
    }
    // A second time there is nothing to do, and it can be undone.
    makes(&folder, &["--question"]);
    if kind == Kind::Rust {
        let mut command = Command::new(env!("CARGO"));
        command.args(["test", "--offline", "--target-dir", "target"]).current_dir(&folder);
        let tested = command.output().expect("there is cargo");
        assert!(tested.status.success(), "{}{}", text(&tested.stdout), text(&tested.stderr));
    }
    makes(&folder, &["clean"]);
    assert!(files.iter().all(|file| !folder.join(file).exists()));
}

#[test]
fn a_fragment() {
    compiled(Kind::Bpf, "mine", &["mine.bpf.o", "mine.direct.bpf.o"]);
}

#[test]
fn a_native_half_in_rust() {
    // A word of Rust's own is a name like any other.
    compiled(Kind::Rust, "match", &["match.so"]);
}

#[test]
fn a_native_half_in_c() {
    compiled(Kind::C, "see", &["see.so"]);
}

/// The example in C has tests of its own.
#[test]
fn syslog() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/syslog");
    let dir = tempfile::tempdir().expect("there is a temporary folder");
    let folder = dir.path().join("syslog");
    fs::create_dir(&folder).expect("the folder can be made");
    for file in ["syslog.c", "test.c", "Makefile"] {
        fs::copy(source.join(file), folder.join(file)).expect("the example is there");
    }
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("abi/include");
    makes(&folder, &["all", "test", &format!("INCLUDE={}", include.display())]);
    assert!(folder.join("syslog.so").exists());
}
