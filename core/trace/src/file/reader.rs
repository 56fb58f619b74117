//! Opening a trace: that it is one, what session it is of, and which files belong to it. A rotated trace is read as one,
//! by the name of its newest file.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracer_event::Session;

use super::block::{self, FILE_HEADER, HEADER, Header, JSON, Kind};
use super::damage::{Damage, Flaw};
use super::meta::Meta;
use super::notes::End;
use super::replay::ReplayError;
use super::rotate;
use super::scan::{Found, Scanner};
use super::state::{News, State};

/// A trace, in one file or in several.
#[derive(Debug)]
pub struct Trace {
    parts: Vec<PartFile>,
    session: Arc<Session>,
    bytes: u64,
}

/// One file of a trace.
#[derive(Debug)]
pub(super) struct PartFile {
    path: PathBuf,
    meta: Meta,
    gap: u64,
}

/// What a trace says at its end that there is in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events that were stored.
    pub events: u64,
    /// Events that were lost before they could be.
    pub lost: u64,
}

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be opened or read.
    #[error("cannot read {}: {error}", file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Pipes and devices have no end and no neighbours.
    #[error("{} is no regular file; a trace is read from one", .0.display())]
    NotAFile(PathBuf),
    /// There is nothing in it.
    #[error("{} is empty: its tracer was ended before it wrote anything", .0.display())]
    Empty(PathBuf),
    /// The file begins like no trace.
    #[error("{} is not a trace: traces are what `tracer collect -o FILE` writes", .0.display())]
    NotATrace(PathBuf),
    /// The first bytes are those of a trace, and those behind them are damaged or not there.
    #[error("{} begins like a trace, but its first {FILE_HEADER} bytes are cut or damaged", .0.display())]
    Header(PathBuf),
    /// A newer tracer wrote it.
    #[error("{} has version {version} of the trace format; this tracer ({}) reads up to {}: use a newer one", file.display(), env!("CARGO_PKG_VERSION"), block::VERSION)]
    Version {
        /// Which file.
        file: PathBuf,
        /// Its version.
        version: u32,
    },
    /// It says not what its events are, or not any more.
    #[error("{} has no readable description of its probes, so that its events cannot be read{}", file.display(), flaw.as_ref().map(|flaw| format!(": {flaw}")).unwrap_or_default())]
    NoSession {
        /// Which file.
        file: PathBuf,
        /// The first thing that is wrong with it.
        flaw: Option<Flaw>,
    },
    /// The description cannot be understood.
    #[error(transparent)]
    Probes(ReplayError),
}

impl OpenError {
    /// The file, if it is just not there.
    pub fn missing(&self) -> Option<&Path> {
        match self {
            OpenError::Read { file, error } if error.kind() == io::ErrorKind::NotFound => Some(file),
            _ => None,
        }
    }
}

impl Trace {
    /// Opens the trace at `path`, and finds the older files of the same run, if it was rotated. A file that was set
    /// aside by rotation can be read by its own name; it is then read alone.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, is not a trace, or says not or not understandably what its events are.
    pub fn open(path: &Path) -> Result<Trace, OpenError> {
        let read = |error| OpenError::Read { file: path.to_owned(), error };
        // The older files stand beside the file, not beside a link to it.
        let path = fs::canonicalize(path).map_err(read)?;
        let (state, session) = begin(&path)?;
        let newest = PartFile { path: path.clone(), meta: state.meta().clone(), gap: 0 };
        let mut parts = older(&path, &newest.meta).map_err(read)?;
        parts.push(newest);
        for i in 1..parts.len() {
            let (before, this) = (parts[i - 1].meta.part.number, parts[i].meta.part.number);
            parts[i].gap = this.saturating_sub(before).saturating_sub(1);
        }
        let bytes =
            parts.iter().filter_map(|part| fs::metadata(&part.path).ok()).map(|file| file.len()).sum();
        Ok(Trace { parts, session, bytes })
    }

    /// The session that the newest file begins with.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The files, oldest first.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.parts.iter().map(PartFile::path)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What the files' ends say is in them; `None` where one has no end, or none that can be read.
    pub fn totals(&self) -> Option<Totals> {
        self.parts.iter().try_fold(Totals::default(), |totals, part| {
            let end = end(&part.path)?;
            Some(Totals {
                events: totals.events.saturating_add(end.events),
                lost: totals.lost.saturating_add(end.lost),
            })
        })
    }

    pub(super) fn parts(&self) -> &[PartFile] {
        &self.parts
    }
}

impl PartFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The files that are missing before this one.
    pub(super) fn gap(&self) -> Option<Flaw> {
        (self.gap > 0).then_some(Flaw::Gap { parts: self.gap })
    }

    /// The file's blocks.
    pub(super) fn scanner(&self) -> io::Result<Scanner<File>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(FILE_HEADER as u64))?;
        Ok(Scanner::new(file, FILE_HEADER as u64))
    }
}

/// A file's blocks, if it is a trace of a version that can be read.
fn open(path: &Path) -> Result<Scanner<File>, OpenError> {
    let read = |error| OpenError::Read { file: path.to_owned(), error };
    // Before it is opened: opening a pipe waits for its other end.
    if !fs::metadata(path).map_err(read)?.is_file() {
        return Err(OpenError::NotAFile(path.to_owned()));
    }
    let mut file = File::open(path).map_err(read)?;
    let mut header = Vec::new();
    (&mut file).take(FILE_HEADER as u64).read_to_end(&mut header).map_err(read)?;
    match header.first_chunk::<FILE_HEADER>() {
        _ if header.is_empty() => Err(OpenError::Empty(path.to_owned())),
        _ if !block::is_trace(&header) => Err(OpenError::NotATrace(path.to_owned())),
        None => Err(OpenError::Header(path.to_owned())),
        Some(header) => match block::version(header) {
            None => Err(OpenError::Header(path.to_owned())),
            Some(version) if !block::VERSIONS.contains(&version) => {
                Err(OpenError::Version { file: path.to_owned(), version })
            }
            Some(_) => Ok(Scanner::new(file, FILE_HEADER as u64)),
        },
    }
}

/// Reads a file up to its first session.
fn begin(path: &Path) -> Result<(State, Arc<Session>), OpenError> {
    let mut scanner = open(path)?;
    let (mut state, mut flaw) = (State::default(), None);
    while let Some(found) =
        scanner.next().map_err(|error| OpenError::Read { file: path.to_owned(), error })?
    {
        match found {
            Found::Flaw(found) => {
                flaw.get_or_insert(found);
            }
            Found::Block(block) => {
                let kind = Kind::of(block.header.kind);
                if let Some(kind @ (Kind::Session | Kind::Probes)) = kind {
                    let mut report = |damage: Damage| {
                        flaw.get_or_insert(damage.flaw);
                    };
                    let news = state.apply(kind, block, path, &mut report).map_err(OpenError::Probes)?;
                    if let News::Session(session) | News::Another(session, _) = news {
                        return Ok((state, session));
                    }
                }
            }
        }
    }
    Err(OpenError::NoSession { file: path.to_owned(), flaw })
}

/// The session block that a file begins with, if it is a trace.
pub(super) fn meta(path: &Path) -> Option<Meta> {
    let mut scanner = open(path).ok()?;
    match scanner.next() {
        Ok(Some(Found::Block(block))) if Kind::of(block.header.kind) == Some(Kind::Session) => {
            let payload = block.header.payload(block.stored).ok().filter(|payload| payload.len() <= JSON)?;
            serde_json::from_slice(&payload).ok()
        }
        _ => None,
    }
}

/// The files that rotation set aside in the run that the file at `path` is of, oldest first.
fn older(path: &Path, newest: &Meta) -> io::Result<Vec<PartFile>> {
    let run = &newest.part.run;
    if newest.part.number == 0 || run.is_empty() {
        return Ok(Vec::new());
    }
    let parts = rotate::numbered(path)?.into_iter().filter_map(|(_, path)| {
        let meta = meta(&path)?;
        let belongs = meta.part.run == *run && meta.part.number < newest.part.number;
        belongs.then_some(PartFile { path, meta, gap: 0 })
    });
    let mut parts: Vec<PartFile> = parts.collect();
    parts.sort_by_key(|part| part.meta.part.number);
    parts.dedup_by_key(|part| part.meta.part.number);
    Ok(parts)
}

/// A file's end block, found from its last bytes.
fn end(path: &Path) -> Option<End> {
    let mut file = File::open(path).ok()?;
    let len = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(len.checked_sub(8)?)).ok()?;
    let mut offset = [0; 8];
    file.read_exact(&mut offset).ok()?;
    let offset = u64::from_le_bytes(offset);
    let size = len.checked_sub(offset).and_then(|size| usize::try_from(size).ok())?;
    if size > HEADER + JSON {
        return None;
    }
    file.seek(SeekFrom::Start(offset)).ok()?;
    let mut bytes = Vec::new();
    file.take(size as u64).read_to_end(&mut bytes).ok()?;
    let header = Header::read(bytes.first_chunk()?)?;
    let stored = bytes.split_off(HEADER);
    if Kind::of(header.kind) != Some(Kind::End) || !header.matches(&stored) {
        return None;
    }
    let payload = header.payload(stored).ok()?;
    serde_json::from_slice(payload.get(..payload.len().checked_sub(8)?)?).ok()
}
