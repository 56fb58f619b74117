//! What a trace may take the place of.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};

use tracer_trace::file::{CreateError, create};

use crate::common::{Folder, trace};

#[test]
fn a_new_file_is_its_owners() {
    let folder = Folder::new();
    let path = folder.path("t");
    create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_trace_is_replaced_and_nothing_else() {
    let folder = Folder::new();
    let (bytes, _) = trace(1);
    let old = folder.file("old", &bytes);
    create(&old).unwrap().write_all(b"new").unwrap();
    assert_eq!(fs::read(&old).unwrap(), b"new");
    let error = create(&old).unwrap_err();
    assert!(matches!(error, CreateError::NotATrace(_)));
    assert!(
        error
            .to_string()
            .ends_with("is not a trace and is not overwritten; name another file, or remove it first")
    );
    assert_eq!(fs::read(&old).unwrap(), b"new", "it is as it was");
    assert!(create(&folder.file("cut", &bytes[..5])).is_ok(), "cut in its first bytes");
    assert!(create(&folder.file("empty", b"")).is_ok());
    assert!(matches!(create(&folder.path("")), Err(CreateError::Open { .. })));
    assert!(create(&folder.path("nix/t")).unwrap_err().to_string().starts_with("cannot write"));
}

#[test]
fn links_are_followed() {
    let folder = Folder::new();
    let precious = folder.file("precious", b"precious");
    symlink(&precious, folder.path("link")).unwrap();
    assert!(matches!(create(&folder.path("link")), Err(CreateError::NotATrace(_))));
    symlink(folder.path("target"), folder.path("dangling")).unwrap();
    create(&folder.path("dangling")).unwrap().write_all(b"x").unwrap();
    assert_eq!(fs::read(folder.path("target")).unwrap(), b"x");
}

#[test]
fn devices_are_written_to() {
    create("/dev/null".as_ref()).unwrap().write_all(b"x").unwrap();
}
