//! A trace turned into text by several threads. Blocks of events need nothing of each other, so each is decompressed,
//! unpacked and rendered by whichever worker is free, and the texts are written in the order of the blocks.
//!
//! Memory is bounded: there are twice as many blocks under way as workers, and a worker whose text is not being written yet
//! waits when it has 6 MiB of it.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver as Pieces, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tracer_event::{Clock, ClockSample, Context, Event, Follow, Session};

use crate::{Account, Loss, Shortfall};

use super::damage::Damage;
use super::reader::Trace;
use super::replay::{Progress, Receiver, ReplayError, Replayed, Show, walk};
use super::state::{Decoded, Entry, Events, State};

/// What turns a trace into text, in several threads at once.
pub trait Render: Sync {
    /// What a thread renders the events of a session with.
    fn worker(&self) -> Box<dyn Worker>;

    /// Adds what stands before all else of a session. The clock has the samples that were taken at its begin.
    fn begin(&self, session: &Session, clock: &Clock, out: &mut String) {
        let _ = (session, clock, out);
    }

    /// Adds what is said of a later look at the clocks.
    fn clock(&self, sample: ClockSample, out: &mut String) {
        let _ = (sample, out);
    }

    /// Adds what a collector's events do not tell.
    fn shortfall(&self, shortfall: &Shortfall, out: &mut String) {
        let _ = (shortfall, out);
    }

    /// Adds what is said of the account.
    fn account(&self, session: &Session, accounts: &[Account], out: &mut String) {
        let _ = (session, accounts, out);
    }
}

/// One thread's part of a [`Render`], for one session.
pub trait Worker {
    /// Adds an event.
    fn event(&mut self, event: &Event<'_>, out: &mut String);

    /// Adds an event of a packet that others were seen of.
    fn follower(&mut self, event: &Event<'_>, follow: Follow, out: &mut String) {
        let _ = follow;
        self.event(event, out);
    }

    /// Adds a loss.
    fn loss(&mut self, loss: &Loss<'_>, context: &Context<'_>, out: &mut String);
}

/// How a trace is rendered.
#[derive(Clone, Copy)]
pub struct Rendering<'a> {
    /// How many blocks are worked on at once.
    pub threads: NonZeroUsize,
    /// How events are shown.
    pub show: Show,
    /// Which events are.
    pub select: Select<'a>,
}

/// Which events are wanted.
pub type Select<'a> = &'a (dyn Fn(&Event<'_>) -> bool + Sync);

impl Trace {
    /// Renders all that is in the trace, and writes it to `out`, which needs no buffer of its own.
    /// It is not flushed.
    ///
    /// # Errors
    ///
    /// As [`Trace::replay`], with those of `out` for those of the sink.
    ///
    /// # Panics
    ///
    /// Where `render` does.
    pub fn render(
        &self,
        render: &dyn Render,
        rendering: Rendering<'_>,
        out: &mut dyn Write,
        report: &mut dyn FnMut(Damage),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Replayed, ReplayError> {
        let Rendering { threads, show, select } = rendering;
        let (jobs, queue) = channel::<Job>();
        let queue = Queue(Mutex::new(Some(queue)));
        let mut damages = 0;
        let mut report = |damage| {
            damages += 1;
            report(damage);
        };
        let replayed = thread::scope(|scope| {
            for _ in 0..threads.get() {
                scope.spawn(|| {
                    let _guard = CloseOnPanic(&queue);
                    let mut worker: Option<(u64, Box<dyn Worker>)> = None;
                    while let Some(job) = queue.next() {
                        // What is known of one session need not be so in another.
                        let of_session = worker.take().filter(|(session, _)| *session == job.session);
                        let (session, mut own) = of_session.unwrap_or_else(|| (job.session, render.worker()));
                        job.work(show, select, own.as_mut());
                        worker = Some((session, own));
                    }
                });
            }
            let under_way = VecDeque::new();
            let mut merge = Merge {
                jobs,
                render,
                out,
                under_way,
                most: threads.get() * 2,
                session: None,
                begun: None,
                sessions: 0,
                replayed: Replayed::default(),
            };
            walk(self, &mut merge, &mut report, progress)?;
            merge.front().map_err(ReplayError::Sink)?;
            // Drops the queue's other end, so that the workers end.
            Ok(merge.replayed)
        })?;
        Ok(Replayed { damages, ..replayed })
    }
}

/// The jobs that no worker has taken yet.
struct Queue(Mutex<Option<Pieces<Job>>>);

impl Queue {
    /// Waits for a job; `None` when there will be none.
    fn next(&self) -> Option<Job> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.recv().ok()
    }
}

/// A worker that panics takes the queue with it, so that nobody waits for jobs that nobody will do.
struct CloseOnPanic<'a>(&'a Queue);

impl Drop for CloseOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

/// A block of events to be rendered.
struct Job {
    /// The session's number.
    session: u64,
    state: Arc<State>,
    events: Events,
    pieces: SyncSender<Piece>,
}

/// What comes of a block, bit by bit.
enum Piece {
    Text {
        text: String,
        selected: u64,
    },
    /// The last.
    End(Decoded),
}

impl Job {
    /// Bytes of text after which it is handed over.
    const FULL: usize = 256 << 10;
    /// Bytes beyond that which hardly any event's text takes.
    const SPARE: usize = 8 << 10;
    /// Pieces that wait to be written: the text of most blocks.
    const PIECES: usize = 24;

    fn work(self, show: Show, select: Select<'_>, worker: &mut dyn Worker) {
        let Job { state, events, pieces, .. } = self;
        let new = || String::with_capacity(Job::FULL + Job::SPARE);
        let (mut text, mut selected) = (new(), 0);
        let decoded = state.decode(events, show, |entry| {
            match entry {
                Entry::Event(event, follow) if select(event) => {
                    match follow {
                        Some(follow) => worker.follower(event, follow, &mut text),
                        None => worker.event(event, &mut text),
                    }
                    selected += 1;
                }
                Entry::Event(..) => {}
                Entry::Loss(loss, context) => worker.loss(loss, context, &mut text),
            }
            if text.len() < Job::FULL {
                return Ok(());
            }
            let piece = Piece::Text {
                text: std::mem::replace(&mut text, new()),
                selected: std::mem::take(&mut selected),
            };
            pieces.send(piece).map_err(io::Error::other)
        });
        // Before the last piece: whoever has that may want to change the state.
        drop(state);
        // An error says that nobody wants the text any more, as one here would.
        if let Ok(decoded) = decoded {
            let _ = pieces.send(Piece::Text { text, selected });
            let _ = pieces.send(Piece::End(decoded));
        }
    }
}

/// Gives blocks to the workers and writes what comes back, in order.
struct Merge<'a> {
    jobs: Sender<Job>,
    render: &'a dyn Render,
    out: &'a mut dyn Write,
    under_way: VecDeque<(PathBuf, Pieces<Piece>)>,
    most: usize,
    /// The session, once its front is written.
    session: Option<Session>,
    /// A session whose front is not written yet: the looks at the clocks that belong there come after it.
    begun: Option<(Session, Clock)>,
    sessions: u64,
    replayed: Replayed,
}

impl Merge<'_> {
    /// Writes the oldest block that is under way.
    fn write_one(&mut self, report: &mut dyn FnMut(Damage)) -> Result<(), ReplayError> {
        let Some((file, pieces)) = self.under_way.pop_front() else { return Ok(()) };
        for piece in pieces {
            match piece {
                Piece::Text { text, selected } => {
                    self.out.write_all(text.as_bytes()).map_err(ReplayError::Sink)?;
                    self.replayed.selected += selected;
                }
                Piece::End(decoded) => {
                    self.replayed.events += decoded.events;
                    self.replayed.lost = self.replayed.lost.saturating_add(decoded.lost);
                    decoded.flaws.into_iter().for_each(|flaw| report(Damage::new(&file, flaw)));
                }
            }
        }
        Ok(())
    }

    /// Writes the front of a session that has begun.
    fn front(&mut self) -> io::Result<()> {
        let Some((session, clock)) = self.begun.take() else { return Ok(()) };
        let mut text = String::new();
        self.render.begin(&session, &clock, &mut text);
        self.session = Some(session);
        self.write(&text)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() { Ok(()) } else { self.out.write_all(text.as_bytes()) }
    }
}

impl Receiver for Merge<'_> {
    fn settle(&mut self, report: &mut dyn FnMut(Damage)) -> Result<(), ReplayError> {
        while !self.under_way.is_empty() {
            self.write_one(report)?;
        }
        Ok(())
    }

    fn begin(&mut self, session: &Session) -> io::Result<()> {
        self.front()?;
        self.sessions += 1;
        self.begun = Some((session.clone(), Clock::default()));
        Ok(())
    }

    fn clock(&mut self, sample: ClockSample) -> io::Result<()> {
        if let Some((_, clock)) = &mut self.begun {
            clock.add(sample);
            return Ok(());
        }
        let mut text = String::new();
        self.render.clock(sample, &mut text);
        self.write(&text)
    }

    fn shortfall(&mut self, shortfall: &Shortfall) -> io::Result<()> {
        self.front()?;
        let mut text = String::new();
        self.render.shortfall(shortfall, &mut text);
        self.write(&text)
    }

    fn account(&mut self, accounts: &[Account]) -> io::Result<()> {
        self.front()?;
        let mut text = String::new();
        if let Some(session) = &self.session {
            self.render.account(session, accounts, &mut text);
        }
        self.write(&text)
    }

    fn events(
        &mut self,
        state: &Arc<State>,
        events: Events,
        file: &Path,
        report: &mut dyn FnMut(Damage),
    ) -> Result<(), ReplayError> {
        self.front().map_err(ReplayError::Sink)?;
        let (pieces, receiver) = sync_channel(Job::PIECES);
        // Fails when every worker panicked, which the scope passes on at its end.
        let session = self.sessions;
        let _ = self.jobs.send(Job { session, state: Arc::clone(state), events, pieces });
        self.under_way.push_back((file.to_owned(), receiver));
        if self.under_way.len() >= self.most { self.write_one(report) } else { Ok(()) }
    }
}
