//! `tracer sort`: the events of each packet together, printed or written to a file.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use tracer_compose::Catalog;
use tracer_dsl::{Diagnostic, SourceRef, option::Settings};
use tracer_trace::file::{ReplayError, Sorting, Trace};

use crate::{
    exit::Exit,
    output::{self, Output},
    pager::Pager,
    progress::Bar,
    stored::{Damages, Error, filters, open, packets, say, show, sinks, written},
};

/// Where large temporary files belong, since the other place may be memory.
const TEMPORARY: &str = "/var/tmp";

/// `tracer sort`
pub(crate) fn sort(settings: &Settings, catalog: &Catalog) -> Result<Exit, Error> {
    let trace = open(settings)?;
    let filters = filters(&trace, settings)?;
    if let Some(path) = settings.path("out") {
        refuse_own(&trace, path)?;
    }
    let paged = !settings.flag("no-pager");
    let sinks = sinks(settings, catalog)?;
    let Output { mut sink, file, prints, packets: counts, given: _, missed } =
        output::of_sort(settings, || Paged { wanted: paged, pager: None }, sinks)?;
    let (mut damages, mut bar) = (Damages::default(), Bar::new(prints));
    let folder = folder(file.as_deref());
    let sorting = Sorting {
        show: show(settings),
        select: &mut |event| filters.iter().all(|filter| filter.matches(event)),
        // The option has a default.
        memory: settings.size("memory").and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX),
        folder: &folder,
        report: &mut |damage| damages.take(&damage),
        progress: &mut |progress| bar.tell(progress),
    };
    let sorted = trace.sort(&mut *sink, sorting);
    bar.end();
    // What waits for a pager waits here.
    let sorted = sorted.and_then(|_| sink.finish().map_err(ReplayError::Sink));
    damages.tell();
    match sorted {
        Err(ReplayError::Sink(error)) => written(Err(error))?,
        Err(error) => return Err(Error::Replay(error)),
        Ok(()) => {}
    }
    if let (Some(counts), Some(path)) = (counts, file) {
        say(&format!("{} to {}", packets(&counts), path.display()));
    }
    Ok(if missed.any() { Exit::Failed } else { damages.exit() })
}

/// That a trace is not written over while it is read.
fn refuse_own(trace: &Trace, out: &Path) -> Result<(), Error> {
    let identity = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    let own = identity(out);
    if own.is_none() || !trace.files().any(|file| identity(file) == own) {
        return Ok(());
    }
    let found = Diagnostic::error("the trace would be written over while it is read")
        .at(SourceRef::command_line("out", &out.display().to_string()))
        .hint("name another file");
    Err(Error::Usage(found.into()))
}

/// Where temporary files are made: where the user says; beside what is written, which needs the room there anyway; or
/// where large ones belong.
fn folder(out: Option<&Path>) -> PathBuf {
    if let Some(named) = std::env::var_os("TMPDIR").filter(|named| !named.is_empty()) {
        return named.into();
    }
    let beside = out.filter(|out| fs::metadata(out).is_ok_and(|file| file.is_file())).and_then(Path::parent);
    match beside {
        Some(folder) if folder.as_os_str().is_empty() => ".".into(),
        Some(folder) => folder.to_owned(),
        None if Path::new(TEMPORARY).is_dir() => TEMPORARY.into(),
        None => std::env::temp_dir(),
    }
}

/// Standard output, with a pager in front of it once there is something to show: until then Ctrl-C ends the work.
struct Paged {
    wanted: bool,
    pager: Option<Pager>,
}

impl Write for Paged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let wanted = self.wanted;
        self.pager.get_or_insert_with(|| Pager::start(wanted)).out().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pager.as_mut().map_or(Ok(()), |pager| pager.out().flush())
    }
}

impl Drop for Paged {
    fn drop(&mut self) {
        if let Some(pager) = self.pager.take() {
            pager.end();
        }
    }
}
