//! Where a trace is written to. It holds other people's packets, so a new file is for its owner's eyes only; and it takes
//! the place of nothing but a trace.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use super::block::MAGIC;

/// Why a trace cannot be written to a place.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// It is somebody's file.
    #[error("{} is not {wanted} and is not overwritten; name another file, or remove it first", file.display())]
    Other {
        /// Which.
        file: PathBuf,
        /// What it would have to be.
        wanted: &'static str,
    },
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

/// Opens a file to write to, and says whether it was made. A new one has mode 0600 and belongs to the user behind sudo.
/// One that is there is to be replaced if its first bytes are those that `is_replaced` takes, and keeps its owner
/// and mode; it is not emptied. Links are followed; pipes and devices are opened as they are.
pub(super) fn open(
    path: &Path,
    is_replaced: &dyn Fn(&[u8]) -> bool,
    wanted: &'static str,
) -> Result<(File, bool), CreateError> {
    let failed = |error| CreateError::Open { file: path.to_owned(), error };
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            give(&file, path)?;
            return Ok((file, true));
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    match fs::metadata(path) {
        Ok(there) if !there.is_file() => return options.open(path).map(|file| (file, false)).map_err(failed),
        Ok(_) => {}
        // A link to nothing yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = options.create(true).open(path).map_err(failed)?;
            give(&file, path)?;
            return Ok((file, true));
        }
        Err(error) => return Err(failed(error)),
    }
    let mut file = options.read(true).open(path).map_err(failed)?;
    let mut start = Vec::new();
    (&mut file).take(MAGIC.len() as u64).read_to_end(&mut start).map_err(failed)?;
    if !is_replaced(&start) {
        return Err(CreateError::Other { file: path.to_owned(), wanted });
    }
    Ok((file, false))
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
