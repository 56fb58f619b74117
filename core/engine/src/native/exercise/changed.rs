//! The library cut short, and with bytes of its headers changed: it is refused, or its process says so, or that ends. Tracer goes on.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::fs::{MemfdFlags, memfd_create};
use tracer_compose::{Library, NativeHalf};

use super::{
    super::{
        form::Start,
        process::{Process, Quarantine},
    },
    made_up::Noise,
};

/// Cuts, and changes, of each so many.
const TIMES: usize = 20;
/// Those that reach a process at most, and how long each may take there.
const PROCESSES: usize = 8;
const LIMIT: Duration = Duration::from_secs(5);
/// Bytes of an ELF file that are its header, and begin its table of segments.
const HEADERS: usize = 64 + 56 * 8;

/// Tries all of them. The error is why they could not be tried.
pub(super) fn all(library: &File, name: &str, start: &Start) -> io::Result<Result<String, String>> {
    let len = usize::try_from(library.metadata()?.len()).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    library.read_exact_at(&mut bytes, 0)?;
    let mut tried = Tried { name, start, refused: 0, processes: 0, ended: 0, since: Instant::now() };
    let copy = copy(&bytes)?;
    // From the longest on, so that it is one file.
    for number in (0..TIMES).rev() {
        copy.set_len((len * number / TIMES) as u64)?;
        tried.one(&copy)?;
    }
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for _ in 0..TIMES {
        let copy = self::copy(&bytes)?;
        for _ in 0..4 {
            let at = noise.below(HEADERS.min(len));
            let value = noise.next().to_le_bytes()[0];
            copy.write_all_at(&[value], at as u64)?;
        }
        tried.one(&copy)?;
    }
    Ok(tried.verdict())
}

fn copy(bytes: &[u8]) -> io::Result<File> {
    let file = File::from(memfd_create("tracer-plugin", MemfdFlags::CLOEXEC)?);
    file.write_all_at(bytes, 0)?;
    Ok(file)
}

struct Tried<'a> {
    name: &'a str,
    start: &'a Start,
    refused: usize,
    processes: usize,
    ended: usize,
    since: Instant,
}

impl Tried<'_> {
    fn one(&mut self, file: &File) -> io::Result<()> {
        if tracer_plugin_host::inspect(file).is_err() {
            self.refused += 1;
            return Ok(());
        }
        if self.processes == PROCESSES {
            return Ok(());
        }
        self.processes += 1;
        let library = Library::File(Arc::new(file.try_clone()?));
        // It needs no right for what it does here.
        let half = NativeHalf { section: None, with: Vec::new(), sink: false, ptrace: false, library };
        match Process::start_within(LIMIT, self.name, &half, self.start) {
            Err(Quarantine::Start(why)) => return Err(io::Error::other(why)),
            Err(Quarantine::Ended { .. } | Quarantine::Blocked { .. }) => self.ended += 1,
            // It was loaded all the same, or refused.
            Ok(_) | Err(_) => {}
        }
        Ok(())
    }

    fn verdict(&self) -> Result<String, String> {
        let most = LIMIT * u32::try_from(PROCESSES + 1).unwrap_or(u32::MAX);
        if self.since.elapsed() > most {
            return Err(format!("it took {} s: please report this", self.since.elapsed().as_secs()));
        }
        let Tried { refused, processes, ended, .. } = self;
        Ok(format!(
            "{refused} of {} refused at once; {processes} given to a process, {ended} of which ended",
            2 * TIMES
        ))
    }
}
