//! Where a sub-command writes: which file, in which format, and how that file is made.

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use tracer_dsl::{
    Diagnostic,
    diagnostic::SourceRef,
    option::{Origin, Settings, SubCommand},
};
use tracer_event::json;
use tracer_trace::{
    JsonSink, PcapngSink, Sink, Tee, TextSink,
    file::{CreateError, OutFile, RotatingSink, Rotation, TraceSink},
    pcapng::Counts,
};

use crate::sinks::{Missed, Sinks};

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
    Trace,
    Pcapng,
}

impl Format {
    /// What `--format` says, else what the file's ending does.
    fn of(settings: &Settings, file: Option<&Path>) -> Format {
        let ending = file.and_then(Path::extension).and_then(|ending| ending.to_str());
        match (settings.text("format"), file, ending) {
            (Some("text"), ..) => Format::Text,
            (Some("json"), ..) => Format::Json,
            (Some("pcapng"), ..) => Format::Pcapng,
            (Some(_), ..) => Format::Trace,
            (None, None, _) => Format::Text,
            (None, _, Some("json" | "jsonl" | "ndjson")) => Format::Json,
            (None, _, Some("txt" | "text" | "log")) => Format::Text,
            (None, _, Some("pcapng" | "pcap")) => Format::Pcapng,
            (None, ..) => Format::Trace,
        }
    }

    /// Whether a terminal has no use for it.
    fn is_binary(self) -> bool {
        matches!(self, Format::Trace | Format::Pcapng)
    }
}

/// Why a file cannot be written to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// What was asked for does not fit together.
    #[error("{}", .0.message)]
    Usage(Box<Diagnostic>),
    /// The file.
    #[error(transparent)]
    Create(#[from] CreateError),
}

fn usage(message: impl Into<String>, name: &str, value: &str, hint: &str) -> OutputError {
    let at = SourceRef::command_line(name, value);
    OutputError::Usage(Box::new(Diagnostic::error(message).at(at).hint(hint)))
}

/// A sink, and what the user is told about it in the end.
pub(crate) struct Output {
    pub(crate) sink: Box<dyn Sink + Send>,
    /// The file that events are written to; `None`: they are printed.
    pub(crate) file: Option<PathBuf>,
    /// Whether they are printed too.
    pub(crate) prints: bool,
    /// What became of events in a capture file.
    pub(crate) packets: Option<Counts>,
    /// The plugins that are given events, in words; empty where there are none.
    pub(crate) given: String,
    /// What those did not take.
    pub(crate) missed: Missed,
}

impl Output {
    /// The same, given to plugins too.
    fn and(self, sinks: Sinks) -> Output {
        let (given, missed) = (sinks.names(), sinks.missed());
        Output { sink: sinks.behind(self.sink), given, missed, ..self }
    }

    fn new(sink: Box<dyn Sink + Send>, file: Option<&Path>, prints: bool, packets: Option<Counts>) -> Output {
        let (file, given, missed) = (file.map(Path::to_owned), String::new(), Missed::default());
        Output { sink, file, prints, packets, given, missed }
    }
}

/// The format, if it was asked for.
pub(crate) fn chosen_format(settings: &Settings) -> Option<&str> {
    let chosen = settings.setting("format").is_some_and(|setting| setting.origin != Origin::Default);
    settings.text("format").filter(|_| chosen)
}

/// Whether plugins are given events, and nothing is said of any other output.
fn only_plugins(settings: &Settings, sinks: &Sinks) -> bool {
    let asked = settings.flag("print") || chosen_format(settings).is_some() || settings.path("out").is_some();
    !asked && !sinks.is_empty()
}

/// Where `collect` writes: `-o`, `--format`, `--print`, `--out-rotate` and `--sink`. Printed is to what `terminal` gives.
pub(crate) fn of_collect<W: Write + Send + 'static>(
    settings: &Settings,
    terminal: impl Fn() -> W,
    sinks: Sinks,
) -> Result<Output, OutputError> {
    let utc = settings.flag("utc");
    let file = settings.path("out").filter(|path| *path != Path::new("-"));
    let format = Format::of(settings, file);
    let rotation = rotation(settings, format, file)?;
    let text = || Box::new(TextSink::new(terminal()).utc(utc));
    let Some(path) = file else {
        if only_plugins(settings, &sinks) {
            return Ok(Output::new(Box::new(Tee::none()), None, false, None).and(sinks));
        }
        refuse_terminal(settings, format)?;
        let (sink, packets): (Box<dyn Sink + Send>, _) = match format {
            Format::Text => (text(), None),
            _ => sink(format, terminal(), utc),
        };
        return Ok(Output::new(sink, None, true, packets).and(sinks));
    };
    let (mut sink, packets) = match rotation {
        Some(rotation) => (Box::new(RotatingSink::create(path, rotation)?) as Box<dyn Sink + Send>, None),
        None => sink(format, create(path, format)?, utc),
    };
    let prints = settings.flag("print");
    if prints {
        sink = Box::new(Tee::new(sink, text()));
    }
    Ok(Output::new(sink, Some(path), prints, packets).and(sinks))
}

/// Where `sort` writes: `-o` and `--format`. What is printed goes to what `terminal` gives.
pub(crate) fn of_sort<W: Write + Send + 'static>(
    settings: &Settings,
    terminal: impl FnOnce() -> W,
    sinks: Sinks,
) -> Result<Output, OutputError> {
    let utc = settings.flag("utc");
    let file = settings.path("out").filter(|path| *path != Path::new("-"));
    let format = Format::of(settings, file);
    if only_plugins(settings, &sinks) {
        return Ok(Output::new(Box::new(Tee::none()), None, false, None).and(sinks));
    }
    let (sink, packets) = match file {
        Some(path) => sink(format, create(path, format)?, utc),
        None => {
            refuse_terminal(settings, format)?;
            sink(format, terminal(), utc)
        }
    };
    let is_text = matches!(format, Format::Text | Format::Json);
    Ok(Output::new(sink, file, file.is_none() && is_text, packets).and(sinks))
}

/// That nobody is shown what only programs can read.
fn refuse_terminal(settings: &Settings, format: Format) -> Result<(), OutputError> {
    if !format.is_binary() || !io::stdout().is_terminal() {
        return Ok(());
    }
    let name = settings.text("format").unwrap_or_default();
    Err(usage(
        format!("a terminal cannot show {name}"),
        "format",
        name,
        "name a file with `-o FILE`, or send standard output to a file or a program",
    ))
}

/// The file that `pcap` writes.
pub(crate) fn where_to(settings: &Settings) -> Result<&Path, OutputError> {
    settings.path("out").ok_or_else(|| {
        let command = SubCommand::Pcap.name();
        let diagnostic = Diagnostic::error(format!("`{command}` needs to know where to write"));
        let hint = "write `-o FILE`, such as `-o drops.pcapng`; `-o -` is standard output";
        OutputError::Usage(Box::new(diagnostic.hint(hint)))
    })
}

/// Where `pcap` writes.
pub(crate) fn of_pcap(settings: &Settings) -> Result<(Box<dyn Sink + Send>, PathBuf, Counts), OutputError> {
    let path = where_to(settings)?;
    let to_stdout = path == Path::new("-");
    if to_stdout && io::stdout().is_terminal() {
        let hint = "name a file, or send standard output to a file or a program";
        return Err(usage("a terminal cannot show pcapng", "out", "-", hint));
    }
    let json = json::Renderer::new();
    let (sink, counts): (Box<dyn Sink + Send>, _) = if to_stdout {
        let sink = PcapngSink::new(io::stdout(), json);
        let counts = sink.counts();
        (Box::new(sink), counts)
    } else {
        let sink = PcapngSink::new(create(path, Format::Pcapng)?, json);
        let counts = sink.counts();
        (Box::new(sink), counts)
    };
    Ok((sink, path.to_owned(), counts))
}

fn create(path: &Path, format: Format) -> Result<OutFile, CreateError> {
    match format {
        Format::Trace => OutFile::trace(path),
        Format::Pcapng => OutFile::capture(path),
        Format::Text | Format::Json => OutFile::plain(path),
    }
}

fn sink<W: Write + Send + 'static>(
    format: Format,
    out: W,
    utc: bool,
) -> (Box<dyn Sink + Send>, Option<Counts>) {
    match format {
        Format::Text => (Box::new(TextSink::new(out).utc(utc)), None),
        Format::Json => (Box::new(JsonSink::new(out).utc(utc)), None),
        Format::Trace => (Box::new(TraceSink::new(out)), None),
        Format::Pcapng => {
            let sink = PcapngSink::new(out, json::Renderer::new());
            let counts = sink.counts();
            (Box::new(sink), Some(counts))
        }
    }
}

fn rotation(
    settings: &Settings,
    format: Format,
    file: Option<&Path>,
) -> Result<Option<Rotation>, OutputError> {
    let Some(given) = settings.text("out-rotate") else { return Ok(None) };
    let rotation = given.parse().map_err(|error: tracer_trace::file::RotationError| {
        usage(
            error.to_string(),
            "out-rotate",
            given,
            "write a size, a time span, and how many files to keep: 64M,10",
        )
    })?;
    if format != Format::Trace || file.is_none() {
        return Err(usage(
            "only a trace in a file can be rotated",
            "out-rotate",
            given,
            "write `-o FILE` too",
        ));
    }
    Ok(Some(rotation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_choose_the_format() {
        let of = |file: &str| Format::of(&Settings::default(), Some(Path::new(file)));
        assert_eq!(of("x.json"), Format::Json);
        assert_eq!(of("x.pcapng"), Format::Pcapng);
        assert_eq!(of("x.pcap"), Format::Pcapng);
        assert_eq!(of("x.txt"), Format::Text);
        assert_eq!(of("tracer.data"), Format::Trace);
        assert_eq!(of("x"), Format::Trace);
        assert_eq!(Format::of(&Settings::default(), None), Format::Text);
    }
}
