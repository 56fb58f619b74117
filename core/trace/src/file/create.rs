//! Where a trace is written to. It holds other people's packets, so a new file is for its owner's eyes only; and it takes
//! the place of nothing but a trace.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use super::block::{self, MAGIC};

/// Why a trace cannot be written to a place.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// It is somebody's file.
    #[error("{} is not a trace and is not overwritten; name another file, or remove it first", .0.display())]
    NotATrace(PathBuf),
    /// The file cannot be made or opened.
    #[error("cannot write {}: {error}", file.display())]
    Open {
        /// Which.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It was made, and cannot be given to the user behind sudo.
    #[error("cannot give {} to the user {user}: {error}", file.display())]
    Owner {
        /// Which.
        file: PathBuf,
        /// The user's number.
        user: u32,
        /// Why.
        error: io::Error,
    },
    /// Only files can be rotated.
    #[error("{} is no regular file, so that it cannot be rotated", .0.display())]
    NotAFile(PathBuf),
}

/// Opens a file to write a trace to. A new one has mode 0600 and belongs to the user behind sudo. One that is there is
/// replaced if it is a trace or empty, and keeps its owner and mode. Links are followed; pipes and devices are
/// opened as they are.
///
/// # Errors
///
/// A file that is something else than a trace, which is left as it is, and whatever keeps a file from being opened.
pub fn create(path: &Path) -> Result<File, CreateError> {
    let open = |error| CreateError::Open { file: path.to_owned(), error };
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            give(&file, path)?;
            return Ok(file);
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(open(error)),
    }
    match fs::metadata(path) {
        Ok(there) if !there.is_file() => return options.open(path).map_err(open),
        Ok(_) => {}
        // A link to nothing yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = options.create(true).open(path).map_err(open)?;
            give(&file, path)?;
            return Ok(file);
        }
        Err(error) => return Err(open(error)),
    }
    let mut file = options.read(true).open(path).map_err(open)?;
    let mut start = Vec::new();
    (&mut file).take(MAGIC.len() as u64).read_to_end(&mut start).map_err(open)?;
    // One that was cut inside the magic is a trace that could not be begun.
    if !block::is_trace(&start) && !MAGIC.starts_with(&start) {
        return Err(CreateError::NotATrace(path.to_owned()));
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(open)?;
    Ok(file)
}

/// Gives a new file to the user who called sudo.
fn give(file: &File, path: &Path) -> Result<(), CreateError> {
    let number = |name| std::env::var(name).ok()?.parse().ok();
    let Some(user) = number("SUDO_UID") else { return Ok(()) };
    match fchown(file, Some(user), number("SUDO_GID")) {
        // Whoever is not root gave the file its owner by making it.
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
            Err(CreateError::Owner { file: path.to_owned(), user, error })
        }
        _ => Ok(()),
    }
}
