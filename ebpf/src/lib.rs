//! The fragment ABI and the build of fragments.
//!
//! `include/` is what a collector's C code is written against. A crate that embeds collectors
//! calls [`build`] from its build script for each of them. It uses no other crate of this
//! workspace: it runs before they exist.

#![forbid(unsafe_code)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The first clang that writes all the BTF that fragments need: declaration tags on members.
const CLANG_MIN: u32 = 16;
/// Compilers that are tried, in this order, when `CLANG` does not name one.
const CLANGS: [&str; 7] = ["clang", "clang-22", "clang-21", "clang-20", "clang-19", "clang-18", "clang-17"];

/// The fragment ABI's headers: their paths in an include folder, and their texts. A tracer that stands alone on a machine has
/// them with it.
pub const HEADERS: [(&str, &str); 3] = [
    ("tracer/fragment.h", include_str!("../include/tracer/fragment.h")),
    ("tracer/kernel.h", include_str!("../include/tracer/kernel.h")),
    ("tracer/packet.h", include_str!("../include/tracer/packet.h")),
];

/// Where a fragment's objects were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objects {
    /// Compiled with probe reads.
    pub probe: PathBuf,
    /// Compiled with direct loads.
    pub direct: PathBuf,
}

/// Why a fragment could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No compiler.
    #[error(
        "no clang of version {CLANG_MIN} or later (tried {0}): run `cargo xtask setup`, or set CLANG to a path"
    )]
    NoClang(String),
    /// The compiler could not be started.
    #[error("{0}: {1}")]
    Start(String, std::io::Error),
    /// The compiler refused the source; it has said why.
    #[error("{compiler} could not compile {source_file}:\n{message}")]
    Compile {
        /// The compiler.
        compiler: String,
        /// The fragment's source.
        source_file: String,
        /// What the compiler said.
        message: String,
    },
    /// The output folder cannot be written.
    #[error("{0}: {1}")]
    Write(String, std::io::Error),
}

/// The folder with the fragment ABI's headers, in this crate's sources.
pub fn include_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
}

/// Compiles `DIR/NAME.bpf.c`, where `NAME` is the folder's name, to `OUT/NAME.bpf.o` and
/// `OUT/NAME.direct.bpf.o`. Made for build scripts: it prints what cargo has to watch.
pub fn build(dir: &Path, out: &Path) -> Result<Objects, BuildError> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let source = dir.join(format!("{name}.bpf.c"));
    println!("cargo::rerun-if-changed={}", dir.display());
    println!("cargo::rerun-if-changed={}", include_dir().display());
    println!("cargo::rerun-if-env-changed=CLANG");
    fs::create_dir_all(out).map_err(|e| BuildError::Write(out.display().to_string(), e))?;
    let clang = clang()?;
    let probe = out.join(format!("{name}.bpf.o"));
    let direct = out.join(format!("{name}.direct.bpf.o"));
    compile(&clang, &source, &probe, &[])?;
    compile(&clang, &source, &direct, &["-DTRACER_DIRECT"])?;
    Ok(Objects { probe, direct })
}

fn compile(clang: &str, source: &Path, object: &Path, defines: &[&str]) -> Result<(), BuildError> {
    // Line information names the source as it is given here, so without the path of this machine;
    // clang copies the lines from the file that it finds by that name.
    let parent = source.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    let name = source.strip_prefix(parent).unwrap_or(source);
    let mut command = Command::new(clang);
    command
        .current_dir(parent)
        .arg("-fdebug-compilation-dir=.")
        .args(["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Werror"])
        // A fragment does not use every helper that the header declares.
        .arg("-Wno-unused-variable")
        .arg(format!("-ffile-prefix-map={}/=", include_dir().display()))
        .arg("-I")
        .arg(include_dir())
        .args(defines)
        .arg("-c")
        .arg(name)
        .arg("-o")
        .arg(object);
    let output = command.output().map_err(|e| BuildError::Start(clang.to_owned(), e))?;
    if !output.status.success() {
        return Err(BuildError::Compile {
            compiler: clang.to_owned(),
            source_file: source.display().to_string(),
            message: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    // DWARF is of no use in the object, and ten times its size; BTF stays.
    let strip = clang.replace("clang", "llvm-strip");
    let _ = Command::new(strip).arg("--strip-debug").arg(object).output();
    Ok(())
}

fn clang() -> Result<String, BuildError> {
    if let Ok(clang) = env::var("CLANG") {
        return Ok(clang);
    }
    let usable = |clang: &&&str| version(clang).is_some_and(|v| v >= CLANG_MIN);
    let found = CLANGS.iter().find(usable);
    found.map(|c| (*c).to_owned()).ok_or_else(|| BuildError::NoClang(CLANGS.join(", ")))
}

/// The major version, from `clang version 19.1.7 ...`.
fn version(clang: &str) -> Option<u32> {
    let output = Command::new(clang).arg("--version").output().ok()?;
    major(&String::from_utf8_lossy(&output.stdout))
}

fn major(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("version ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_headers_are_with_it() {
        let mut there: Vec<String> = fs::read_dir(include_dir().join("tracer"))
            .unwrap()
            .map(|entry| format!("tracer/{}", entry.unwrap().file_name().to_string_lossy()))
            .collect();
        there.sort();
        assert_eq!(there, HEADERS.map(|(path, _)| path));
    }

    #[test]
    fn versions() {
        assert_eq!(major("Debian clang version 19.1.7 (3~deb12u1)\n"), Some(19));
        assert_eq!(major("gcc 12"), None);
    }

    #[test]
    fn an_error_shows_what_the_compiler_said() {
        let dir = env::temp_dir().join(format!("tracer-ebpf-{}", std::process::id())).join("bad");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("bad.bpf.c"), "int x = nonsense;\n").unwrap();
        let error = build(&dir, &dir).unwrap_err().to_string();
        fs::remove_dir_all(dir.parent().unwrap()).unwrap();
        assert!(error.contains("bad.bpf.c") && error.contains("nonsense"), "{error}");
    }
}
