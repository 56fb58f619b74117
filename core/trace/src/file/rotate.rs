//! The sink that writes a trace to several files. The file named is always the newest; when it is large or old enough it is
//! set aside as FILE.1, FILE.2 and so on, higher numbers being newer. So a file is renamed once, and what follows the
//! newest need not know of any other. Each file can be read alone.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tracer_event::{ClockSample, Event, Follow, Session};

use crate::{Account, Loss, Shortfall, Sink};

use super::create::CreateError;
use super::meta::Part;
use super::out::OutFile;
use super::reader;
use super::rotation::Rotation;
use super::writer::{TraceSink, new_run};

/// Writes a trace that goes on in a new file now and then.
#[derive(Debug)]
pub struct RotatingSink {
    path: PathBuf,
    rotation: Rotation,
    part: Part,
    sink: Box<TraceSink<OutFile>>,
    opened: Instant,
    session: Session,
    clock: Option<ClockSample>,
    /// The number that the next file is set aside by.
    next: u64,
    /// What was set aside in this run and not deleted yet, oldest first; empty where all is kept.
    aside: VecDeque<PathBuf>,
    /// What an earlier run set aside, and what goes when this one begins.
    replaced: Vec<PathBuf>,
}

impl RotatingSink {
    /// Writes to `path`, as [`OutFile::trace`] does. The files that an earlier run set aside are deleted together with
    /// the trace that they belong to, once this one begins; all others are left alone, and their numbers are not given
    /// again.
    ///
    /// # Errors
    ///
    /// Those of [`OutFile::trace`], and what is no regular file.
    pub fn create(path: &Path, rotation: Rotation) -> Result<RotatingSink, CreateError> {
        let open = |error| CreateError::Open { file: path.to_owned(), error };
        if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(CreateError::NotAFile(path.to_owned()));
        }
        let replaced = reader::meta(path).map(|meta| meta.part.run).filter(|run| !run.is_empty());
        let file = OutFile::trace(path)?;
        // Files are set aside beside the file, not beside a link to it.
        let path = fs::canonicalize(path).map_err(open)?;
        let (mut next, mut goes) = (1, Vec::new());
        for (number, file) in numbered(&path).map_err(open)? {
            let is_replaced = replaced.is_some() && reader::meta(&file).map(|meta| meta.part.run) == replaced;
            if is_replaced {
                goes.push(file);
            } else {
                next = next.max(number.saturating_add(1));
            }
        }
        let part = Part { run: new_run(), number: 0 };
        let sink = Box::new(TraceSink::part(file, part.clone()));
        let (opened, session, clock, aside) = (Instant::now(), Session::default(), None, VecDeque::new());
        Ok(RotatingSink { path, rotation, part, sink, opened, session, clock, next, aside, replaced: goes })
    }

    /// Begins a new file if it is time to.
    fn rotate_if_due(&mut self) -> io::Result<()> {
        let Rotation { size, age, keep: _ } = self.rotation;
        // What has no events is not worth a file. A size below that of what stands before the events would else be a
        // file for each event, so there is a block of them at least.
        let is_due = (size.is_some_and(|size| self.sink.written() >= size) && self.sink.stored() > 0)
            || (age.is_some_and(|age| self.opened.elapsed() >= age) && self.sink.events() > 0);
        if is_due { self.rotate() } else { Ok(()) }
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.sink.end()?;
        let aside = with_number(&self.path, self.next);
        fs::rename(&self.path, &aside)?;
        self.next += 1;
        self.part.number += 1;
        let file = OutFile::trace(&self.path).map_err(io::Error::other)?;
        *self.sink = TraceSink::part(file, self.part.clone());
        self.opened = Instant::now();
        self.sink.begin(&self.session)?;
        if let Some(sample) = self.clock {
            self.sink.clock(sample)?;
        }
        if let Some(keep) = self.rotation.keep {
            self.aside.push_back(aside);
            while self.aside.len() >= keep {
                let Some(oldest) = self.aside.pop_front() else { break };
                match fs::remove_file(&oldest) {
                    // Whoever moved it away has it now.
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

impl Sink for RotatingSink {
    fn begin(&mut self, session: &Session) -> io::Result<()> {
        for file in self.replaced.drain(..) {
            // Whatever cannot be deleted is of another run, and is not read as part of this one.
            if fs::remove_file(&file).is_err() && file.exists() {
                self.next = self.next.max(number_of(&self.path, &file).saturating_add(1));
            }
        }
        self.session = session.clone();
        self.clock = None;
        self.sink.begin(session)
    }

    fn clock(&mut self, sample: ClockSample) -> io::Result<()> {
        self.clock = Some(sample);
        self.sink.clock(sample)
    }

    fn follow(&mut self, follow: Follow) -> io::Result<()> {
        self.sink.follow(follow)
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        // Before the event, so that no file is begun for none.
        if self.rotation.size.is_some_and(|size| self.sink.written() >= size) {
            self.rotate_if_due()?;
        }
        self.sink.event(event)
    }

    fn loss(&mut self, loss: &Loss<'_>) -> io::Result<()> {
        self.sink.loss(loss)
    }

    fn shortfall(&mut self, shortfall: &Shortfall) -> io::Result<()> {
        self.sink.shortfall(shortfall)
    }

    fn account(&mut self, accounts: &[Account]) -> io::Result<()> {
        self.sink.account(accounts)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()?;
        if self.rotation.age.is_some() { self.rotate_if_due() } else { Ok(()) }
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.sink.finish()
    }
}

/// The number that a file beside `path` is called by.
fn number_of(path: &Path, file: &Path) -> u64 {
    let all = numbered(path).unwrap_or_default();
    all.into_iter().find(|(_, known)| known == file).map_or(0, |(number, _)| number)
}

/// The files beside `path` that are called as it and a number, with their numbers, in ascending order.
pub(super) fn numbered(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(Vec::new()) };
    let mut start = name.as_encoded_bytes().to_vec();
    start.push(b'.');
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.as_encoded_bytes().strip_prefix(&*start).and_then(number);
        found.extend(number.map(|number| (number, entry.path())));
    }
    found.sort();
    Ok(found)
}

/// Digits, as `with_number` writes them.
fn number(digits: &[u8]) -> Option<u64> {
    let plain = digits.iter().all(u8::is_ascii_digit) && digits.first() != Some(&b'0');
    plain.then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

fn with_number(path: &Path, number: u64) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    PathBuf::from(name)
}
