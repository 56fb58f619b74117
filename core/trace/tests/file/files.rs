//! What a trace may take the place of.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;

use tracer_trace::file::{CreateError, OutFile};

use crate::common::{Folder, trace};

#[test]
fn a_new_file_is_its_owners() {
    let folder = Folder::new();
    let path = folder.path("t");
    let _file = OutFile::trace(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_trace_is_replaced_and_nothing_else() {
    let folder = Folder::new();
    let (bytes, _) = trace(1);
    let old = folder.file("old", &bytes);
    OutFile::trace(&old).unwrap().write_all(b"new").unwrap();
    assert_eq!(fs::read(&old).unwrap(), b"new");
    let error = OutFile::trace(&old).unwrap_err();
    assert!(matches!(error, CreateError::Other { .. }));
    assert!(
        error
            .to_string()
            .ends_with("is not a trace and is not overwritten; name another file, or remove it first")
    );
    assert_eq!(fs::read(&old).unwrap(), b"new", "it is as it was");
    assert!(OutFile::trace(&folder.file("cut", &bytes[..5])).is_ok(), "cut in its first bytes");
    assert!(OutFile::trace(&folder.file("empty", b"")).is_ok());
    assert!(matches!(OutFile::trace(&folder.path("")), Err(CreateError::Open { .. })));
    assert!(OutFile::trace(&folder.path("nix/t")).unwrap_err().to_string().starts_with("cannot write"));
}

#[test]
fn links_are_followed() {
    let folder = Folder::new();
    let precious = folder.file("precious", b"precious");
    symlink(&precious, folder.path("link")).unwrap();
    assert!(matches!(OutFile::trace(&folder.path("link")), Err(CreateError::Other { .. })));
    symlink(folder.path("target"), folder.path("dangling")).unwrap();
    OutFile::trace(&folder.path("dangling")).unwrap().write_all(b"x").unwrap();
    assert_eq!(fs::read(folder.path("target")).unwrap(), b"x");
}

#[test]
fn devices_are_written_to() {
    OutFile::trace("/dev/null".as_ref()).unwrap().write_all(b"x").unwrap();
}

/// Runs itself in a process of its own: the environment is the whole process's.
#[test]
fn a_new_file_belongs_to_the_user_behind_sudo() {
    const PATH: &str = "TRACER_TEST_CREATE";
    if let Some(path) = std::env::var_os(PATH) {
        drop(OutFile::trace(path.as_ref()).unwrap().write_all(b"x"));
        return;
    }
    let folder = Folder::new();
    let create = |name: &str| {
        let path = folder.path(name);
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "files::a_new_file_belongs_to_the_user_behind_sudo"])
            .envs([("SUDO_UID", "1234"), ("SUDO_GID", "2345")])
            .env(PATH, &path)
            .output()
            .unwrap();
        assert!(status.status.success(), "{status:?}");
        let file = fs::metadata(path).unwrap();
        (file.uid(), file.gid())
    };
    let ours = fs::metadata(folder.path("")).unwrap();
    let ours = (ours.uid(), ours.gid());
    // Whoever is not root cannot give files away, and makes his own.
    assert_eq!(create("new"), if ours.0 == 0 { (1234, 2345) } else { ours });
    let (bytes, _) = trace(1);
    folder.file("old", &bytes);
    assert_eq!(create("old"), ours, "what was there stays its owner's");
}
