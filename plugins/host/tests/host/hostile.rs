//! Compiles `hostile.c`.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

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
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let source = here.join("tests/hostile.c");
        let known = std::fs::read_to_string(&source).unwrap();
        assert!(mode.is_empty() || known.contains(&format!("MODE_{mode}")), "there is no mode {mode}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hostile.so");
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-pthread", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused"]);
        command.args(["-Wno-infinite-recursion", &format!("-DAT={function}"), &format!("-DMODE_{mode}")]);
        command.arg("-I").arg(here.join("../abi/include")).arg("-o").arg(&path).arg(source);
        let output = command.output().unwrap();
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
