//! Whom a plugin is taken from. Its code runs in the kernel, with what root may read, so its files must be root's and nobody
//! else's to write: or of the user behind `sudo`, who named the folder and could have run anything else as well.
//!
//! A file is opened once; what is judged and what is read is that descriptor, whatever its name leads to meanwhile.

use std::{
    ffi::CStr,
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, openat};

/// Bits of a mode that let others than the owner write. An access list's entries show in those of the group.
const OTHERS_WRITE: u32 = 0o022;

/// Who may own what is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    owners: Vec<u32>,
}

/// Why a file or folder is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Somebody else owns it.
    #[error("{0} belongs to user {owner}: only what root owns is loaded (`chown root:root {0}`)", path.display())]
    Owner {
        /// The file or folder.
        path: PathBuf,
        /// The owner's number.
        owner: u32,
    },
    /// Others may write to it.
    #[error("{0} can be written by others than its owner, with mode {mode:04o} (`chmod go-w {0}`)", path.display())]
    Writable {
        /// The file or folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

impl Trust {
    /// For what is found on the search path: root's, or of the user that runs this process.
    pub fn usual() -> Self {
        Self::of(rustix::process::geteuid().as_raw(), None)
    }

    /// For what the user named: also that of the user behind `sudo`.
    pub fn named() -> Self {
        let sudo = std::env::var("SUDO_UID").ok().and_then(|user| user.parse().ok());
        Self::of(rustix::process::geteuid().as_raw(), sudo)
    }

    fn of(own: u32, sudo: Option<u32>) -> Self {
        let mut owners = vec![0, own];
        // Who is not root got nothing from sudo.
        owners.extend(sudo.filter(|_| own == 0));
        Self { owners }
    }

    fn judge(&self, path: &Path, stat: &Stat) -> Result<(), Distrust> {
        if !self.owners.contains(&stat.st_uid) {
            return Err(Distrust::Owner { path: path.to_owned(), owner: stat.st_uid });
        }
        let mode = stat.st_mode & 0o7777;
        if mode & OTHERS_WRITE != 0 {
            return Err(Distrust::Writable { path: path.to_owned(), mode });
        }
        Ok(())
    }
}

/// Why a folder or a file in it cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system refuses.
    #[error("cannot open {}: {error}", path.display())]
    System {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// It is something else: a pipe, a device, a folder.
    #[error("{} is no {wanted}", path.display())]
    Kind {
        /// What was opened.
        path: PathBuf,
        /// What it should be.
        wanted: &'static str,
    },
    /// A file that is larger than any sound one.
    #[error("{} is larger than {most} bytes", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// The limit.
        most: u64,
    },
    /// It is not trusted.
    #[error(transparent)]
    Distrust(#[from] Distrust),
}

impl OpenError {
    /// Whether there is nothing of that name.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::System { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }
}

/// A folder that is trusted.
#[derive(Debug)]
pub struct Opened {
    path: PathBuf,
    folder: OwnedFd,
}

impl Opened {
    /// Opens a folder.
    ///
    /// # Errors
    /// It is not there, is no folder, or is not trusted.
    pub fn folder(path: &Path, trust: &Trust) -> Result<Self, OpenError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let failed =
            |error: rustix::io::Errno| OpenError::System { path: path.to_owned(), error: error.into() };
        let folder = openat(CWD, path, flags, Mode::empty()).map_err(failed)?;
        let stat = fstat(&folder).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Err(OpenError::Kind { path: path.to_owned(), wanted: "folder" });
        }
        trust.judge(path, &stat)?;
        Ok(Self { path: path.to_owned(), folder })
    }

    /// The names of what is in it, in their order.
    ///
    /// # Errors
    /// It cannot be listed.
    pub fn names(&self) -> Result<Vec<String>, OpenError> {
        let failed =
            |error: rustix::io::Errno| OpenError::System { path: self.path.clone(), error: error.into() };
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = CStr::to_string_lossy(entry.file_name()).into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Opens a file in it, of at most so many bytes, for reading.
    ///
    /// # Errors
    /// It is not there, is no file, is not trusted, or is larger.
    pub fn open(&self, name: &str, most: u64, trust: &Trust) -> Result<File, OpenError> {
        let path = self.path.join(name);
        let failed = |error: rustix::io::Errno| OpenError::System { path: path.clone(), error: error.into() };
        // Without NONBLOCK, opening a pipe would wait for somebody to write.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = openat(self.folder.as_fd(), name, flags, Mode::empty()).map_err(failed)?;
        let stat = fstat(&file).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(OpenError::Kind { path, wanted: "file" });
        }
        trust.judge(&path, &stat)?;
        if u64::try_from(stat.st_size).is_ok_and(|size| size > most) {
            return Err(OpenError::Size { path, most });
        }
        Ok(file.into())
    }

    /// Reads a file in it, of at most so many bytes.
    ///
    /// # Errors
    /// As [`Opened::open`]; or reading fails.
    pub fn read(&self, name: &str, most: u64, trust: &Trust) -> Result<Vec<u8>, OpenError> {
        let file = self.open(name, most, trust)?;
        let path = self.path.join(name);
        let mut bytes = Vec::new();
        // It may have grown meanwhile.
        let read = file.take(most + 1).read_to_end(&mut bytes);
        let read = read.map_err(|error| OpenError::System { path: path.clone(), error })?;
        if read as u64 > most {
            return Err(OpenError::Size { path, most });
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_others_may_write_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), "text").unwrap();
        let (trust, file) = (Trust::usual(), dir.path().join("f"));
        let read =
            |most| Opened::folder(dir.path(), &trust).and_then(|folder| folder.read("f", most, &trust));
        mode(dir.path(), 0o755);
        mode(&file, 0o644);
        assert_eq!(read(4).unwrap(), b"text");
        assert!(matches!(read(3), Err(OpenError::Size { most: 3, .. })));
        for bad in [0o664, 0o646, 0o666] {
            mode(&file, bad);
            let told = read(4).unwrap_err().to_string();
            assert!(told.contains(&format!("mode {bad:04o}")) && told.contains("chmod go-w"), "{told}");
        }
        mode(&file, 0o644);
        mode(dir.path(), 0o775);
        assert!(matches!(read(4), Err(OpenError::Distrust(Distrust::Writable { .. }))));
        mode(dir.path(), 0o755);
        assert!(Opened::folder(&file, &trust).is_err(), "a file is no folder");
        assert!(matches!(
            Opened::folder(dir.path(), &trust).unwrap().read("..", 4, &trust),
            Err(OpenError::Kind { .. })
        ));
    }

    #[test]
    fn a_pipe_does_not_make_it_wait() {
        let dir = tempfile::tempdir().unwrap();
        rustix::fs::mknodat(CWD, dir.path().join("p"), FileType::Fifo, Mode::from(0o600), 0).unwrap();
        mode(dir.path(), 0o755);
        let trust = Trust::usual();
        let told = Opened::folder(dir.path(), &trust).unwrap().read("p", 4, &trust).unwrap_err();
        assert!(matches!(told, OpenError::Kind { wanted: "file", .. }), "{told}");
    }

    #[test]
    fn owners() {
        let mut stat = fstat(std::io::stdin()).unwrap();
        stat.st_mode = 0o644;
        let mut by = |trust: &Trust, owner| {
            stat.st_uid = owner;
            trust.judge(Path::new("x"), &stat)
        };
        let root = Trust::of(0, None);
        assert_eq!(by(&root, 0), Ok(()));
        let told = by(&root, 1000).unwrap_err().to_string();
        assert_eq!(told, "x belongs to user 1000: only what root owns is loaded (`chown root:root x`)");
        let sudo = Trust::of(0, Some(1000));
        assert_eq!((by(&sudo, 1000), by(&sudo, 0)), (Ok(()), Ok(())));
        assert!(by(&sudo, 1001).is_err());
        // The variable means nothing to who is not root.
        let user = Trust::of(1001, Some(1000));
        assert!(by(&user, 1000).is_err() && by(&user, 1001).is_ok());
    }
}
