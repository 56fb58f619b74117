//! A file that is written to, of whatever format: opened before anything else happens, so that what is wrong with it is
//! said at once, and emptied only when something is written, so that a run that fails to begin costs nobody an older file.

use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use super::block::{self, MAGIC};
use super::create::{self, CreateError};

/// The first bytes of a pcapng file: the type of a section header block.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// A file to write to from its start.
#[derive(Debug)]
pub struct OutFile {
    file: File,
    /// Whether something was written; before, a file that was there is as it was.
    begun: bool,
    /// A file that was made, for nothing if nothing comes to be written.
    fresh: Option<PathBuf>,
}

impl OutFile {
    /// Opens a file for a trace. A new one has mode 0600 and belongs to the user behind sudo; one that is there is
    /// replaced if it is a trace or empty, and keeps its owner and mode. Links are followed; pipes and devices are
    /// opened as they are.
    ///
    /// # Errors
    ///
    /// A file that is something else than a trace, and whatever keeps a file from being opened.
    pub fn trace(path: &Path) -> Result<OutFile, CreateError> {
        // One that was cut inside the magic is a trace that could not be begun.
        OutFile::open(path, &|start| block::is_trace(start) || MAGIC.starts_with(start), "a trace")
    }

    /// Opens a file for packets, in the same way.
    ///
    /// # Errors
    ///
    /// A file that is something else than pcapng, and whatever keeps a file from being opened.
    pub fn capture(path: &Path) -> Result<OutFile, CreateError> {
        OutFile::open(path, &|start| start.starts_with(&PCAPNG) || start.is_empty(), "a pcapng file")
    }

    /// Opens a file for text: what was in it is replaced, as a shell would.
    ///
    /// # Errors
    ///
    /// Whatever keeps a file from being opened.
    pub fn plain(path: &Path) -> Result<OutFile, CreateError> {
        OutFile::open(path, &|_| true, "text")
    }

    fn open(
        path: &Path,
        is_replaced: &dyn Fn(&[u8]) -> bool,
        wanted: &'static str,
    ) -> Result<OutFile, CreateError> {
        let (file, is_fresh) = create::open(path, is_replaced, wanted)?;
        Ok(OutFile { file, begun: false, fresh: is_fresh.then(|| path.to_owned()) })
    }

    fn begin(&mut self) -> io::Result<()> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
            self.file.rewind()?;
        }
        Ok(())
    }
}

impl Write for OutFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begin()?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for OutFile {
    fn drop(&mut self) {
        if let Some(path) = self.fresh.take().filter(|_| !self.begun) {
            // It may be gone already, and then it is as it should be.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_emptied_when_something_is_written() {
        let path = std::env::temp_dir().join(format!("tracer-out-{}", std::process::id()));
        drop(OutFile::plain(&path).unwrap());
        assert!(!path.exists(), "made for nothing");
        fs::write(&path, "before, and longer").unwrap();
        drop(OutFile::plain(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "before, and longer");
        let error = OutFile::capture(&path).unwrap_err().to_string();
        assert!(error.contains("is not a pcapng file"), "{error}");
        let error = OutFile::trace(&path).unwrap_err().to_string();
        assert!(error.contains("is not a trace"), "{error}");
        let mut file = OutFile::plain(&path).unwrap();
        file.write_all(b"after").unwrap();
        file.write_all(b"!").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "after!");
        fs::remove_file(path).unwrap();
    }
}
