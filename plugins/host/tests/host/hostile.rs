//! Compiles `hostile.c`.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile.c");

fn compiler(mode: &str, function: &str) -> Command {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../abi/include");
    let mut command = Command::new("cc");
    command.args(["-fPIC", "-pthread", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused"]);
    command.args(["-Wno-infinite-recursion", &format!("-DAT={function}"), &format!("-DMODE_{mode}")]);
    command.arg("-I").arg(include).arg(SOURCE);
    command
}

/// All modes that the source asks about.
fn modes() -> BTreeSet<String> {
    let source = fs::read_to_string(SOURCE).unwrap();
    let mode =
        |rest: &str| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap().to_owned();
    source.split("MODE_").skip(1).map(mode).filter(|mode| !mode.is_empty()).collect()
}

/// Others use the catalogue too: each mode is in its table of contents, and can be compiled.
#[test]
fn the_catalogue_is_whole() {
    let source = fs::read_to_string(SOURCE).unwrap();
    let in_comments: String = source.lines().filter(|line| line.starts_with(" *")).collect();
    let listed = |mode: &String| {
        in_comments.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == mode)
    };
    let modes = modes();
    assert!(modes.len() > 80, "{modes:?}");
    for mode in &modes {
        assert!(listed(mode), "{mode} is not listed");
        let output = compiler(mode, "ENRICH").arg("-fsyntax-only").output().unwrap();
        assert!(output.status.success(), "{mode}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A library, in a folder of its own.
pub struct Hostile {
    _folder: TempDir,
    pub path: PathBuf,
}

impl Hostile {
    /// The library with a mode; without one (`""`) it behaves.
    pub fn new(mode: &str) -> Hostile {
        Hostile::at(mode, "ENRICH")
    }

    /// The library with a mode that is about one of its functions.
    pub fn at(mode: &str, function: &str) -> Hostile {
        assert!(mode.is_empty() || modes().contains(mode), "there is no mode {mode}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hostile.so");
        let output = compiler(mode, function).arg("-shared").arg("-o").arg(&path).output().unwrap();
        assert!(output.status.success(), "{mode}: {}", String::from_utf8_lossy(&output.stderr));
        Hostile { _folder: folder, path }
    }

    pub fn file(&self) -> File {
        File::open(&self.path).unwrap()
    }

    /// What the host answered when the library asked at a wrong time; `None` if it has not asked.
    pub fn status(&self) -> Option<i32> {
        // The file is the same, so the loader gives the library that was loaded by its descriptor.
        // SAFETY: it is our own source; its constructors have run before.
        let status = unsafe {
            let library = libloading::Library::new(&self.path).unwrap();
            library.get::<extern "C" fn() -> i32>("hostile_status").unwrap()()
        };
        (status != 1000).then_some(status)
    }
}
