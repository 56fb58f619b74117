//! What a new plugin looks like: one that does something at once, and is all there is to change, of each kind.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tracer_ebpf::HEADERS;

/// What a new plugin is written in, and so what it can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A fragment: it reads the kernel's memory at a probe.
    Bpf,
    /// A native half in Rust: it adds a section to each event.
    Rust,
    /// A native half in C: a sink.
    C,
}

/// The header of native halves: its path in an include folder, and its text.
const NATIVE: (&str, &str) = ("tracer/plugin.h", include_str!("../abi/include/tracer/plugin.h"));

/// The interface of native halves in Rust, for a folder that cannot get it anywhere else.
const ABI: [(&str, &str); 7] = [
    ("c.rs", include_str!("../abi/src/c.rs")),
    ("export.rs", include_str!("../abi/src/export.rs")),
    ("host.rs", include_str!("../abi/src/host.rs")),
    ("lib.rs", include_str!("../abi/src/lib.rs")),
    ("native.rs", include_str!("../abi/src/native.rs")),
    ("section.rs", include_str!("../abi/src/section.rs")),
    ("view.rs", include_str!("../abi/src/view.rs")),
];
/// Its manifest, without the workspace that it has here.
const ABI_MANIFEST: &str = include_str!("../skeleton/rust/abi.toml");

/// What stands for the name in all that follows, in names of files too.
const NAME: &str = "NAME";

/// A folder's files, by their names.
type Files = &'static [(&'static str, &'static str)];

const BPF: Files = &[
    ("collector.toml", include_str!("../skeleton/bpf/collector.toml")),
    ("NAME.bpf.c", include_str!("../skeleton/bpf/NAME.bpf.c")),
    ("Makefile", include_str!("../skeleton/bpf/Makefile")),
    (".gitignore", "*.o\n"),
];
const RUST: Files = &[
    ("collector.toml", include_str!("../skeleton/rust/collector.toml")),
    // Under its own name, it would be taken for a package of this workspace.
    ("Cargo.toml", include_str!("../skeleton/rust/package.toml")),
    ("src/lib.rs", include_str!("../skeleton/rust/lib.rs")),
    ("Makefile", include_str!("../skeleton/rust/Makefile")),
    (".gitignore", "/target\n*.so\n"),
];
const C: Files = &[
    ("collector.toml", include_str!("../skeleton/c/collector.toml")),
    ("NAME.c", include_str!("../skeleton/c/NAME.c")),
    ("Makefile", include_str!("../skeleton/c/Makefile")),
    (".gitignore", "*.so\n"),
];

/// Why there is no skeleton.
#[derive(Debug, thiserror::Error)]
pub enum SkeletonError {
    /// A name that no collector can have.
    #[error("`{0}` cannot name a collector: use small letters, digits and `_`, and begin with a letter")]
    Name(String),
    /// Something is there already.
    #[error("{} is there already", .0.display())]
    There(PathBuf),
    /// The system refuses.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
}

/// Makes a folder for a new collector, named as this path ends, with all that it takes to compile it. Returns the name.
///
/// # Errors
/// See [`SkeletonError`].
pub fn make(folder: &Path, kind: Kind) -> Result<String, SkeletonError> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let word = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !word || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err(SkeletonError::Name(name));
    }
    if fs::symlink_metadata(folder).is_ok() {
        return Err(SkeletonError::There(folder.to_owned()));
    }
    make_folder(folder)?;
    let files = match kind {
        Kind::Bpf => BPF,
        Kind::Rust => RUST,
        Kind::C => C,
    };
    for (file, text) in files {
        write(folder, &file.replace(NAME, &name), &text.replace(NAME, &name))?;
    }
    match kind {
        Kind::Bpf => write_all(&folder.join("include"), &HEADERS)?,
        Kind::Rust => write_abi(&folder.join("abi"))?,
        Kind::C => write_all(&folder.join("include"), &[NATIVE])?,
    }
    Ok(name)
}

/// Writes the headers of both interfaces, of fragments and of native halves, into a folder, which is made if it is missing.
///
/// # Errors
/// The system refuses.
pub fn write_headers(folder: &Path) -> Result<(), SkeletonError> {
    make_folder(folder)?;
    write_all(folder, &HEADERS)?;
    write_all(folder, &[NATIVE])
}

/// Writes the crate that native halves in Rust use. It needs no other.
fn write_abi(folder: &Path) -> Result<(), SkeletonError> {
    make_folder(folder)?;
    let manifest = ABI_MANIFEST.replace("VERSION", env!("CARGO_PKG_VERSION"));
    write(folder, "Cargo.toml", &manifest.replace("RUST", env!("CARGO_PKG_RUST_VERSION")))?;
    ABI.iter().try_for_each(|(file, text)| write(folder, &format!("src/{file}"), text))
}

/// The folders where packages put the headers, for a program in `bin`, nearest first.
pub fn include_dirs(program: Option<&Path>) -> Vec<PathBuf> {
    const INSTALLED: &str = "share/tracer/include";
    let prefix = program.and_then(Path::parent).and_then(Path::parent);
    let prefixes = prefix.into_iter().chain([Path::new("/usr/local"), Path::new("/usr")]);
    prefixes.map(|prefix| prefix.join(INSTALLED)).collect()
}

/// The first of these folders with the headers of this very version.
pub fn installed(folders: &[PathBuf]) -> Option<&PathBuf> {
    let same = |folder: &Path, path: &str, text: &str| {
        fs::read(folder.join(path)).is_ok_and(|is| is == text.as_bytes())
    };
    let all = || HEADERS.iter().chain([&NATIVE]);
    folders.iter().find(|folder| all().all(|(path, text)| same(folder, path, text)))
}

fn make_folder(path: &Path) -> Result<(), SkeletonError> {
    let failed = |error| SkeletonError::Write { path: path.to_owned(), error };
    fs::create_dir_all(path).map_err(failed)?;
    // Whatever this user's files are like otherwise: what others may write is not loaded.
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(failed)
}

fn write_all(folder: &Path, files: &[(&str, &str)]) -> Result<(), SkeletonError> {
    files.iter().try_for_each(|(file, text)| write(folder, file, text))
}

/// Writes a file at a path below a folder.
fn write(folder: &Path, file: &str, text: &str) -> Result<(), SkeletonError> {
    let path = folder.join(file);
    if let Some(parent) = path.parent().filter(|parent| *parent != folder) {
        make_folder(parent)?;
    }
    let failed = |error| SkeletonError::Write { path: path.clone(), error };
    fs::write(&path, text).map_err(failed)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_folder_has_all_that_it_takes() {
        let dir = tempfile::tempdir().unwrap();
        for (kind, name, file, words, there) in [
            (Kind::Bpf, "mine", "mine.bpf.c", "READER(mine,", "include/tracer/kernel.h"),
            (Kind::Rust, "rusty", "src/lib.rs", "name: \"rusty\"", "abi/src/lib.rs"),
            (Kind::C, "see", "see.c", "TRACER_TEXT(\"see\")", "include/tracer/plugin.h"),
        ] {
            let folder = dir.path().join(name);
            assert_eq!(make(&folder, kind).unwrap(), name);
            let source = fs::read_to_string(folder.join(file)).unwrap();
            assert!(source.contains(words) && !source.contains(NAME), "{source}");
            let manifest = fs::read_to_string(folder.join("collector.toml")).unwrap();
            assert!(
                manifest.contains(&format!("name = \"{name}\"")) && !manifest.contains(NAME),
                "{manifest}"
            );
            assert!(folder.join(there).is_file() && folder.join("Makefile").is_file());
            assert!(matches!(make(&folder, kind), Err(SkeletonError::There(_))));
            for name in ["Mine", "my-own", "9x", ".."] {
                assert!(matches!(make(&dir.path().join(name), kind), Err(SkeletonError::Name(_))), "{name}");
            }
        }
    }

    #[test]
    fn what_others_may_write_is_not_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("mine");
        make(&folder, Kind::Rust).unwrap();
        for path in ["", "Cargo.toml", "src", "src/lib.rs", "abi", "abi/src", "abi/src/c.rs"] {
            let mode = fs::metadata(folder.join(path)).unwrap().permissions().mode();
            assert_eq!(mode & 0o022, 0, "{path}");
        }
    }

    #[test]
    fn the_interface_is_whole() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("abi/src");
        let mut files: Vec<String> = fs::read_dir(sources)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        files.sort();
        assert_eq!(files, ABI.map(|(file, _)| file));
    }

    #[test]
    fn headers_of_another_version_are_not_the_ones() {
        let dir = tempfile::tempdir().unwrap();
        let include = dir.path().join("include");
        write_headers(&include).unwrap();
        assert_eq!(installed(&[dir.path().to_owned(), include.clone()]), Some(&include));
        for file in ["tracer/kernel.h", "tracer/plugin.h"] {
            let now = fs::read(include.join(file)).unwrap();
            fs::write(include.join(file), "older").unwrap();
            assert_eq!(installed(std::slice::from_ref(&include)), None);
            fs::write(include.join(file), now).unwrap();
        }
    }
}
