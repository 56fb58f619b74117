//! The sub-commands that read a trace: `print`, `pcap`, `stats`, `schema`.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
};

use tracer_compose::Catalog;
use tracer_dsl::{
    Diagnostic, Diagnostics,
    filter::on_devices,
    option::{Located, Settings, SubCommand, TRACE},
    probe::{Probe, ProbeKind, ProbeSpec},
};
use tracer_event::{ProbeInfo, Schema, Tag, json};
use tracer_trace::{
    JsonRender, JsonSink, Sink, StatsSink, Tee, TextRender, TextSink,
    file::{Damage, OpenError, Render, Rendering, Replay, ReplayError, Show, Trace},
    filter::EventFilter,
    stats::{ReportOptions, UnknownTable},
};

use crate::{
    command::warn_of,
    exit::Exit,
    output::{self, OutputError},
    pager::Pager,
    progress::Bar,
    sinks::{SinkError, Sinks},
};

/// Why a command did not do what it was to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Something that the user wrote.
    #[error("{0}")]
    Usage(Diagnostics),
    /// The trace.
    #[error("{error}{}", hint(error))]
    Open {
        /// Why it cannot be read.
        error: OpenError,
    },
    /// The file that is written.
    #[error(transparent)]
    Create(tracer_trace::file::CreateError),
    /// On the way.
    #[error(transparent)]
    Replay(ReplayError),
    /// A plugin that was to take events.
    #[error("{0}")]
    Sink(String),
    /// Writing the rest.
    #[error("cannot write: {0}")]
    Write(io::Error),
}

impl Error {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Error::Usage(_) => Exit::Usage,
            Error::Sink(_) => Exit::Host,
            _ => Exit::Failed,
        }
    }

    /// What the user wrote wrongly, if that is it.
    pub(crate) fn diagnostics(&self) -> Option<&Diagnostics> {
        match self {
            Error::Usage(diagnostics) => Some(diagnostics),
            _ => None,
        }
    }
}

/// What to do about a trace that is not there.
fn hint(error: &OpenError) -> String {
    match error.missing() {
        Some(path) if path == Path::new(TRACE) => {
            "\n  = help: `tracer collect -o` writes it; another trace is named behind the sub-command"
                .to_owned()
        }
        _ => String::new(),
    }
}

impl From<OutputError> for Error {
    fn from(error: OutputError) -> Error {
        match error {
            OutputError::Usage(diagnostic) => Error::Usage((*diagnostic).into()),
            OutputError::Create(error) => Error::Create(error),
        }
    }
}

/// Whether a command line says all that its command needs.
pub(crate) fn check(command: SubCommand, settings: &Settings) -> Result<(), String> {
    match (command, settings.path("out")) {
        (SubCommand::Pcap, None) => Err("`pcap` needs `-o FILE`".to_owned()),
        _ => Ok(()),
    }
}

/// `tracer print`
pub(crate) fn print(settings: &Settings, catalog: &Catalog) -> Result<Exit, Error> {
    let trace = open(settings)?;
    let filters = filters(&trace, settings)?;
    let sinks = sinks(settings, catalog)?;
    if !sinks.is_empty() {
        return give(&trace, &filters, settings, sinks);
    }
    let render: &dyn Render = match settings.text("format") {
        Some("json") => &JsonRender,
        _ => &TextRender,
    };
    let mut pager = Pager::start(!settings.flag("no-pager"));
    let (mut damages, mut bar) = (Damages::default(), Bar::new(true));
    let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let mut out = pager.out();
    let rendering = Rendering {
        threads,
        show: show(settings),
        select: &|event| filters.iter().all(|filter| filter.matches(event)),
    };
    let mut report = |damage| damages.take(&damage);
    let rendered =
        trace.render(render, rendering, &mut *out, &mut report, &mut |progress| bar.tell(progress));
    let flushed = out.flush();
    drop(out);
    bar.end();
    pager.end();
    damages.tell();
    match rendered {
        Err(ReplayError::Sink(error)) => written(Err(error))?,
        Err(error) => return Err(Error::Replay(error)),
        Ok(_) => written(flushed)?,
    }
    Ok(damages.exit())
}

/// `tracer print --sink`: plugins are given events, and printed is what a format was asked for.
fn give(trace: &Trace, filters: &[EventFilter], settings: &Settings, sinks: Sinks) -> Result<Exit, Error> {
    let missed = sinks.missed();
    let first: Box<dyn Sink + Send> = match output::chosen_format(settings) {
        None => Box::new(Tee::none()),
        Some("json") => Box::new(JsonSink::new(io::stdout()).utc(settings.flag("utc"))),
        Some(_) => Box::new(TextSink::new(io::stdout()).utc(settings.flag("utc"))),
    };
    let mut sink = sinks.behind(first);
    let (mut damages, mut bar) = (Damages::default(), Bar::new(false));
    let replayed = trace.replay_with(
        &mut *sink,
        Replay {
            show: show(settings),
            select: &mut |event| filters.iter().all(|filter| filter.matches(event)),
            report: &mut |damage| damages.take(&damage),
            progress: &mut |progress| bar.tell(progress),
        },
    );
    bar.end();
    let finished = sink.finish();
    damages.tell();
    match replayed {
        Err(ReplayError::Sink(error)) => written(Err(error))?,
        Err(error) => return Err(Error::Replay(error)),
        Ok(_) => written(finished)?,
    }
    Ok(if missed.any() { Exit::Failed } else { damages.exit() })
}

/// The plugins that `--sink` names.
pub(crate) fn sinks(settings: &Settings, catalog: &Catalog) -> Result<Sinks, Error> {
    Sinks::start(settings, catalog, false, || Box::new(|text| say(&text))).map_err(|error| match error {
        SinkError::Unknown(diagnostics) => Error::Usage(diagnostics),
        SinkError::Refused(why) => Error::Sink(why),
    })
}

/// `tracer pcap`
pub(crate) fn pcap(settings: &Settings) -> Result<Exit, Error> {
    output::where_to(settings)?;
    let trace = open(settings)?;
    let probes = settings.probe_specs("probe");
    for probe in probes {
        known(&trace, probe)?;
    }
    let filters = filters(&trace, settings)?;
    let (mut sink, path, counts) = output::of_pcap(settings)?;
    let (mut damages, mut bar) = (Damages::default(), Bar::new(false));
    let replayed = trace.replay_with(
        &mut *sink,
        Replay {
            show: show(settings),
            select: &mut |event| {
                (probes.is_empty() || probes.iter().any(|probe| is_one_of(probe, event.probe)))
                    && filters.iter().all(|filter| filter.matches(event))
            },
            report: &mut |damage| damages.take(&damage),
            progress: &mut |progress| bar.tell(progress),
        },
    );
    bar.end();
    damages.tell();
    match replayed {
        Err(ReplayError::Sink(error)) => written(Err(error))?,
        Err(error) => return Err(Error::Replay(error)),
        Ok(_) => written(sink.finish())?,
    }
    let to_stdout = path == Path::new("-");
    let place = if to_stdout { String::new() } else { format!(" to {}", path.display()) };
    say(&format!("{}{place}", packets(&counts)));
    Ok(damages.exit())
}

/// What became of the events of a capture file.
pub(crate) fn packets(counts: &tracer_trace::pcapng::Counts) -> String {
    let skipped = counts.skipped();
    let mut text = match counts.packets() {
        1 => "1 packet written".to_owned(),
        n => format!("{n} packets written"),
    };
    let mut add = |n: u64, what: &str| {
        if n > 0 {
            text += &format!(", {n} {what}");
        }
    };
    add(skipped.without_packet, "events left out because they have no packet");
    add(skipped.other_link, "left out because a capture file has no name for their link layer");
    add(skipped.cut_text, "comments cut");
    add(skipped.long_json, "without their JSON, which is too long");
    text
}

/// `tracer stats`
pub(crate) fn stats(settings: &Settings) -> Result<Exit, Error> {
    let trace = open(settings)?;
    let filters = filters(&trace, settings)?;
    let (mut damages, mut bar) = (Damages::default(), Bar::new(false));
    let mut sink = StatsSink::new();
    let replayed = trace.replay_with(
        &mut sink,
        Replay {
            show: show(settings),
            select: &mut |event| filters.iter().all(|filter| filter.matches(event)),
            report: &mut |damage| damages.take(&damage),
            progress: &mut |progress| bar.tell(progress),
        },
    );
    bar.end();
    damages.tell();
    replayed.map_err(Error::Replay)?;
    let options = ReportOptions {
        top: settings.integer("top").and_then(|n| usize::try_from(n).ok()).unwrap_or(10),
        // The option table admits these words only.
        order: settings.text("by").and_then(|by| by.parse().ok()).unwrap_or_default(),
        tables: settings.words("table").iter().map(|word| word.value.clone()).collect(),
    };
    let report = sink.report(&options).map_err(|error| unknown(&error, settings))?;
    let text = match settings.text("format") {
        Some("json") => report.to_json() + "\n",
        _ => report.to_string(),
    };
    show_text(settings, &text)?;
    Ok(damages.exit())
}

/// `tracer schema`
pub(crate) fn schema(settings: &Settings) -> Result<Exit, Error> {
    let trace = open(settings)?;
    let mut names = BTreeSet::new();
    let probes = &trace.session().probes;
    let schemas: Vec<&Schema> = probes
        .iter()
        .flat_map(|probe| probe.layout.sections())
        .map(|placed| &*placed.schema)
        .filter(|schema| names.insert(schema.section()))
        .collect();
    let text = serde_json::to_string_pretty(&json::schema(schemas)).map_err(|e| Error::Write(e.into()))?;
    written(io::stdout().lock().write_all(format!("{text}\n").as_bytes()))?;
    Ok(Exit::Ok)
}

pub(crate) fn open(settings: &Settings) -> Result<Trace, Error> {
    let path: PathBuf = settings.path("file").map_or_else(|| TRACE.into(), Path::to_owned);
    Trace::open(&path).map_err(|error| Error::Open { error })
}

/// The filters that were given, checked against what the trace has. All must hold.
pub(crate) fn filters(trace: &Trace, settings: &Settings) -> Result<Vec<EventFilter>, Error> {
    let mut found = Diagnostics::new();
    let mut filters = Vec::new();
    let devices = found.take(on_devices(settings.words("interface"))).flatten();
    for Located { value, source } in settings.filters("filter").iter().chain(&devices) {
        if !value.warnings.is_empty() {
            warn_of(&value.warnings.clone().rebase(source));
        }
        let compiled = EventFilter::new(value, trace.session()).map_err(|wrong| wrong.rebase(source));
        filters.extend(found.take(compiled));
    }
    found.or_value(filters).map_err(Error::Usage)
}

pub(crate) fn show(settings: &Settings) -> Show {
    Show { utc: settings.flag("utc"), link_header: settings.flag("link-header") }
}

fn show_text(settings: &Settings, text: &str) -> Result<(), Error> {
    let mut pager = Pager::start(!settings.flag("no-pager"));
    let result = pager.out().write_all(text.as_bytes());
    pager.end();
    written(result)
}

/// That nobody reads any more is an end like others.
pub(crate) fn written(result: io::Result<()>) -> Result<(), Error> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Write(error)),
        _ => Ok(()),
    }
}

pub(crate) fn say(message: &str) {
    let _ = io::stderr().lock().write_all(format!("tracer: {message}\n").as_bytes());
}

/// That a probe is in the trace, if it must be.
fn known(trace: &Trace, probe: &ProbeSpec) -> Result<(), Error> {
    let probes = &trace.session().probes;
    if probe.optional || probes.iter().any(|info| is_one_of(probe, info)) {
        return Ok(());
    }
    let there: Vec<String> =
        probes.iter().map(|info| format!("{}:{}", kind_of(info.tag).name(), info.name)).collect();
    let asked: Vec<String> = probe.alternatives.iter().map(|one| one.value.to_string()).collect();
    let mut found = Diagnostic::error(format!("the trace has no events of {}", asked.join(" or ")));
    found.source = probe.alternatives.first().map(|one| one.source.clone());
    Err(Error::Usage(found.hint(format!("it was collected with {}", there.join(", "))).into()))
}

/// Whether a probe of a trace is one of the places that were asked for.
fn is_one_of(probe: &ProbeSpec, info: &ProbeInfo) -> bool {
    probe.alternatives.iter().any(|one| is_of(&one.value, info))
}

/// A table that there is not, with its place in what was written.
fn unknown(error: &UnknownTable, settings: &Settings) -> Error {
    let found = Diagnostic::error(format!("the trace has no table `{}`", error.name.escape_debug()))
        .hint(format!("there are {}", error.known.join(", ")));
    let written = settings.words("table").iter().find(|word| word.value.replace('-', "_") == error.name);
    Error::Usage(match written {
        Some(word) => found.at(word.source.clone()).into(),
        None => found.into(),
    })
}

/// Whether a probe of a trace is one that was asked for.
fn is_of(probe: &Probe, info: &ProbeInfo) -> bool {
    kind_of(info.tag) == probe.kind && probe.target.matches(&info.name)
}

fn kind_of(tag: Tag) -> ProbeKind {
    match tag {
        Tag::Kprobe => ProbeKind::Kprobe,
        Tag::Kretprobe => ProbeKind::Kretprobe,
        Tag::RawTracepoint => ProbeKind::RawTracepoint,
        Tag::Fentry => ProbeKind::Fentry,
        Tag::Fexit => ProbeKind::Fexit,
    }
}

/// What could not be read, told once the output is complete: in the middle of it nobody would see it.
#[derive(Default)]
pub(crate) struct Damages {
    told: Vec<String>,
    more: usize,
    incomplete: bool,
}

impl Damages {
    /// More than this many are counted only.
    const MAX: usize = 20;

    pub(crate) fn take(&mut self, damage: &Damage) {
        self.incomplete |= damage.loses_events();
        if self.told.len() < Damages::MAX { self.told.push(damage.to_string()) } else { self.more += 1 }
    }

    pub(crate) fn tell(&self) {
        self.told.iter().for_each(|damage| say(damage));
        if self.more > 0 {
            say(&format!("and {} more places that could not be read", self.more));
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        if self.incomplete { Exit::Failed } else { Exit::Ok }
    }
}
