//! A trace given back to a sink, as if it were happening: sessions, clocks, events, losses and the account, in the order in
//! which they were written.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracer_event::{ClockSample, Event, Session};

use crate::{Account, Shortfall, Sink};

use super::block::{self, FILE_HEADER, Kind};
use super::damage::{Damage, Flaw};
use super::reader::Trace;
use super::scan::{Found, Scanner};
use super::series::SeriesForm;
use super::state::{Entry, Events, News, State};

/// How events are shown, where a sink shows them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Show {
    /// Times by the wall clock (UTC), not as nanoseconds of the monotonic clock.
    pub utc: bool,
    /// Link headers: Ethernet addresses and types, and all of VLAN tags.
    pub link_header: bool,
}

/// What a replay can be told, and whom it tells.
pub struct Replay<'a> {
    /// How events are shown.
    pub show: Show,
    /// Which events the sink gets. Losses and all else it gets in any case.
    pub select: &'a mut dyn FnMut(&Event<'_>) -> bool,
    /// Gets what could not be read.
    pub report: &'a mut dyn FnMut(Damage),
    /// Is told after each block how far it is.
    pub progress: &'a mut dyn FnMut(Progress),
}

/// How much of a trace was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of all files so far.
    pub read: u64,
    /// Bytes that all files had when the trace was opened.
    pub total: u64,
}

/// What was in a trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Events that were read.
    pub events: u64,
    /// Of these, those that the sink was given.
    pub selected: u64,
    /// Events that the trace says were lost when it was recorded.
    pub lost: u64,
    /// How many damages were reported.
    pub damages: u64,
}

/// Why a replay ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Events that did not fit in memory could not be kept elsewhere.
    #[error("cannot keep events in a temporary file in {}: {error}; set TMPDIR to a folder with more room", folder.display())]
    Spill {
        /// Where.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A trace that is read twice was not the same.
    #[error(
        "the trace was written over or rotated while it was sorted, so that what was written of it is incomplete: sort it again when its tracer has ended"
    )]
    Changed,
    /// The output failed.
    #[error("cannot write what was read: {0}")]
    Sink(io::Error),
    /// What is in a file cannot be understood, so that none of its events can be read.
    #[error("{}, written by tracer {tracer}, cannot be understood by this version ({}): {reason}", file.display(), env!("CARGO_PKG_VERSION"), tracer = if tracer.is_empty() { "of an unknown version" } else { tracer.as_str() })]
    Probes {
        /// Which file.
        file: PathBuf,
        /// The version of tracer that wrote it; empty where that could not be read.
        tracer: String,
        /// What is not understood.
        reason: String,
    },
}

impl Trace {
    /// Gives all that is in the trace to `sink`, flushing it after each block of events. It is not finished: that is left
    /// to whoever made it.
    ///
    /// # Errors
    ///
    /// Those of the files and of the sink, and probes that cannot be understood. Damage is no error; it is reported.
    pub fn replay(
        &self,
        sink: &mut dyn Sink,
        show: Show,
        report: &mut dyn FnMut(Damage),
    ) -> Result<Replayed, ReplayError> {
        self.replay_with(sink, Replay { show, select: &mut |_| true, report, progress: &mut |_| {} })
    }

    /// The same for a selection of the events, and with news of how far it is.
    ///
    /// # Errors
    ///
    /// As [`Trace::replay`].
    pub fn replay_with(&self, sink: &mut dyn Sink, replay: Replay<'_>) -> Result<Replayed, ReplayError> {
        let Replay { show, select, report, progress } = replay;
        let mut to = ToSink { sink, show, select, replayed: Replayed::default() };
        let mut damages = 0;
        let mut report = |damage| {
            damages += 1;
            report(damage);
        };
        walk(self, &mut to, &mut report, progress)?;
        let replayed = to.replayed;
        Ok(Replayed { damages, ..replayed })
    }
}

/// Takes what a trace holds.
pub(super) trait Receiver {
    /// The state is about to change: whoever has a copy is to let go of it.
    fn settle(&mut self, _: &mut dyn FnMut(Damage)) -> Result<(), ReplayError> {
        Ok(())
    }

    /// A session that differs from the one before.
    fn begin(&mut self, session: &Session) -> io::Result<()>;

    fn clock(&mut self, sample: ClockSample) -> io::Result<()>;

    fn account(&mut self, accounts: &[Account]) -> io::Result<()>;

    /// All of a session came; this is what is known of it at its end.
    fn end(&mut self, _: &State) -> Result<(), ReplayError> {
        Ok(())
    }
    fn shortfall(&mut self, shortfall: &Shortfall) -> io::Result<()>;

    fn events(
        &mut self,
        state: &Arc<State>,
        events: Events,
        file: &Path,
        report: &mut dyn FnMut(Damage),
    ) -> Result<(), ReplayError>;
}

/// Reads a trace from its start to its end.
pub(super) fn walk(
    trace: &Trace,
    to: &mut dyn Receiver,
    report: &mut dyn FnMut(Damage),
    progress: &mut dyn FnMut(Progress),
) -> Result<(), ReplayError> {
    let (mut walk, mut before) = (Walk::default(), 0);
    for part in trace.parts() {
        let file = part.path();
        let read = |error| ReplayError::Read { file: file.to_owned(), error };
        if let Some(gap) = part.gap() {
            report(Damage::new(file, gap));
        }
        let mut scanner = part.scanner().map_err(read)?;
        while let Some(found) = scanner.next().map_err(read)? {
            walk.step(found, file, to, report)?;
            progress(Progress { read: before + scanner.offset(), total: trace.bytes() });
        }
        before += scanner.offset();
    }
    walk.end(to, report)
}

/// What is known on the way through a trace.
#[derive(Default)]
struct Walk {
    state: Arc<State>,
    series: Option<SeriesForm>,
}

impl Walk {
    fn step(
        &mut self,
        found: Found,
        file: &Path,
        to: &mut dyn Receiver,
        report: &mut dyn FnMut(Damage),
    ) -> Result<(), ReplayError> {
        let block = match found {
            Found::Flaw(flaw) => {
                // It may have been the block that a series block was about.
                self.series = None;
                report(Damage::new(file, flaw));
                return Ok(());
            }
            Found::Block(block) => block,
        };
        match Kind::of(block.header.kind) {
            None => Ok(()),
            Some(Kind::Events) => {
                to.events(&self.state, Events { block, series: self.series.take() }, file, report)
            }
            Some(Kind::Series) => {
                let (offset, kind) = (block.offset, block.header.kind);
                self.series = SeriesForm::read(block)
                    .map_err(|problem| report(Damage::new(file, Flaw::Block { offset, kind, problem })))
                    .ok();
                Ok(())
            }
            Some(kind) => {
                to.settle(report)?;
                let known = self.state.session().map(Arc::as_ptr);
                match Arc::make_mut(&mut self.state).apply(kind, block, file, report)? {
                    News::Session(session) if known == Some(Arc::as_ptr(&session)) => Ok(()),
                    News::Session(session) => to.begin(&session).map_err(ReplayError::Sink),
                    News::Another(session, before) => {
                        to.end(&before)?;
                        to.begin(&session).map_err(ReplayError::Sink)
                    }
                    News::Clock(sample) => to.clock(sample).map_err(ReplayError::Sink),
                    News::Account(accounts) => to.account(&accounts).map_err(ReplayError::Sink),
                    News::Shortfall(shortfall) => to.shortfall(&shortfall).map_err(ReplayError::Sink),
                    News::None => Ok(()),
                }
            }
        }
    }

    fn end(&self, to: &mut dyn Receiver, report: &mut dyn FnMut(Damage)) -> Result<(), ReplayError> {
        to.settle(report)?;
        if self.state.session().is_some() { to.end(&self.state) } else { Ok(()) }
    }
}

/// Gives a trace that comes out of a stream, as it is being written, to `sink`; `name` is what the stream is called in messages.
///
/// # Errors
///
/// As [`Trace::replay`], and a stream that is no trace of a known version.
pub fn replay_stream(
    mut input: impl Read,
    name: &Path,
    sink: &mut dyn Sink,
    show: Show,
    report: &mut dyn FnMut(Damage),
) -> Result<Replayed, ReplayError> {
    let read = |error| ReplayError::Read { file: name.to_owned(), error };
    let mut header = [0; FILE_HEADER];
    input.read_exact(&mut header).map_err(read)?;
    if !block::is_trace(&header) || block::version(&header).is_none_or(|v| !block::VERSIONS.contains(&v)) {
        return Err(read(io::Error::new(io::ErrorKind::InvalidData, "it is no trace of a known version")));
    }
    let mut to = ToSink { sink, show, select: &mut |_| true, replayed: Replayed::default() };
    let mut damages = 0;
    let mut report = |damage| {
        damages += 1;
        report(damage);
    };
    let mut scanner = Scanner::new(input, FILE_HEADER as u64);
    let mut walk = Walk::default();
    while let Some(found) = scanner.next().map_err(read)? {
        walk.step(found, name, &mut to, &mut report)?;
    }
    walk.end(&mut to, &mut report)?;
    let replayed = to.replayed;
    Ok(Replayed { damages, ..replayed })
}

struct ToSink<'a> {
    sink: &'a mut dyn Sink,
    show: Show,
    select: &'a mut dyn FnMut(&Event<'_>) -> bool,
    replayed: Replayed,
}

impl Receiver for ToSink<'_> {
    fn begin(&mut self, session: &Session) -> io::Result<()> {
        self.sink.begin(session)
    }

    fn clock(&mut self, sample: ClockSample) -> io::Result<()> {
        self.sink.clock(sample)
    }

    fn account(&mut self, accounts: &[Account]) -> io::Result<()> {
        self.sink.account(accounts)
    }

    fn shortfall(&mut self, shortfall: &Shortfall) -> io::Result<()> {
        self.sink.shortfall(shortfall)
    }

    fn events(
        &mut self,
        state: &Arc<State>,
        events: Events,
        file: &Path,
        report: &mut dyn FnMut(Damage),
    ) -> Result<(), ReplayError> {
        let ToSink { sink, show, select, replayed } = self;
        let decoded = state.decode(events, *show, |entry| match entry {
            Entry::Event(event, follow) if select(event) => {
                replayed.selected += 1;
                follow.map_or(Ok(()), |follow| sink.follow(follow))?;
                sink.event(event)
            }
            Entry::Event(..) => Ok(()),
            Entry::Loss(loss, _) => sink.loss(loss),
        });
        let decoded =
            decoded.and_then(|decoded| sink.flush().map(|()| decoded)).map_err(ReplayError::Sink)?;
        replayed.events += decoded.events;
        replayed.lost = replayed.lost.saturating_add(decoded.lost);
        decoded.flaws.into_iter().for_each(|flaw| report(Damage::new(file, flaw)));
        Ok(())
    }
}
