//! What a new plugin looks like: a collector that reports something at once, and is all there is to change.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tracer_ebpf::HEADERS;

const MANIFEST: &str = include_str!("../skeleton/collector.toml");
const SOURCE: &str = include_str!("../skeleton/NAME.bpf.c");
const MAKEFILE: &str = include_str!("../skeleton/Makefile");
/// What stands for the name in those.
const NAME: &str = "NAME";

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

/// Makes a folder for a new collector, named as this path ends, with all that it takes to compile it.
///
/// # Errors
/// See [`SkeletonError`].
pub fn make(folder: &Path) -> Result<String, SkeletonError> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let word = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !word || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err(SkeletonError::Name(name));
    }
    if fs::symlink_metadata(folder).is_ok() {
        return Err(SkeletonError::There(folder.to_owned()));
    }
    let files = [
        ("collector.toml".to_owned(), MANIFEST),
        (format!("{name}.bpf.c"), SOURCE),
        ("Makefile".to_owned(), MAKEFILE),
        (".gitignore".to_owned(), "*.o\n"),
    ];
    make_folder(folder)?;
    for (file, text) in files {
        write(&folder.join(file), &text.replace(NAME, &name))?;
    }
    write_headers(&folder.join("include"))?;
    Ok(name)
}

/// Writes the fragment ABI's headers into a folder, which is made if it is missing.
///
/// # Errors
/// The system refuses.
pub fn write_headers(folder: &Path) -> Result<(), SkeletonError> {
    make_folder(&folder.join("tracer"))?;
    HEADERS.iter().try_for_each(|(path, text)| write(&folder.join(path), text))
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
    folders.iter().find(|folder| HEADERS.iter().all(|(path, text)| same(folder, path, text)))
}

fn make_folder(path: &Path) -> Result<(), SkeletonError> {
    let failed = |error| SkeletonError::Write { path: path.to_owned(), error };
    fs::create_dir_all(path).map_err(failed)?;
    // Whatever this user's files are like otherwise: what others may write is not loaded.
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(failed)
}

fn write(path: &Path, text: &str) -> Result<(), SkeletonError> {
    let failed = |error| SkeletonError::Write { path: path.to_owned(), error };
    fs::write(path, text).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_folder_has_all_that_it_takes() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("mine");
        assert_eq!(make(&folder).unwrap(), "mine");
        let source = fs::read_to_string(folder.join("mine.bpf.c")).unwrap();
        assert!(source.contains("READER(mine,") && !source.contains(NAME));
        assert!(fs::read_to_string(folder.join("collector.toml")).unwrap().contains("name = \"mine\""));
        assert_eq!(
            installed(&[dir.path().to_owned(), folder.join("include")]),
            Some(&folder.join("include"))
        );
        assert!(matches!(make(&folder), Err(SkeletonError::There(_))));
        for name in ["Mine", "my-own", "9x", ".."] {
            assert!(matches!(make(&dir.path().join(name)), Err(SkeletonError::Name(_))), "{name}");
        }
        // Headers of another version are not the ones.
        fs::write(folder.join("include/tracer/kernel.h"), "older").unwrap();
        assert_eq!(installed(&[folder.join("include")]), None);
    }
}
