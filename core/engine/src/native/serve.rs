//! A plugin's process, from its own side: tracer once more, with another task. It loads one library, and does what it is told over the
//! socket that it was started with, until that closes.

use std::{
    cell::RefCell,
    ffi::OsString,
    io::{self, Read},
    path::Path,
    process::ExitCode,
    rc::Rc,
    time::{Duration, Instant},
};

use tracer_compose::Entry;
use tracer_event::{Clock, Event, Loss, Probes, Session};
use tracer_plugin_host::{Failure, Instance, Library, LossParts};
use tracer_trace::{
    Sink,
    file::{Show, replay_stream},
};

use super::{
    cell::{Words, end_all, enter},
    form::{Described, Fault, Refusal, Role, Start},
    frame::{self, Channel, Kind},
    services::{Shared, parts},
};
use crate::clock;

/// The exit code of a process whose connection to tracer does not work any more.
pub(super) const LOST: u8 = 117;

/// How often tracer is told how many events a sink has taken, which is how it knows that the sink goes on.
const TOLD: Duration = Duration::from_millis(500);

/// Runs a plugin, if these are the words (with the program's name in front) that tracer starts one
/// with; `linked` finds a library that is linked into this binary.
pub fn serve(words: &[OsString], linked: impl FnOnce(&str) -> Option<Entry>) -> Option<ExitCode> {
    let words = Words::of(words)?;
    let (channel, file) = match enter(&words) {
        Ok(entered) => entered,
        Err(error) => {
            eprintln!("tracer: this is how tracer starts a plugin's process, and no command: {error}");
            return Some(ExitCode::FAILURE);
        }
    };
    let channel = Rc::new(RefCell::new(channel));
    let load = || match file {
        Some(file) => Library::open(&file).map_err(|error| (Refusal::from(&error), error.to_string())),
        None => match linked(&words.name) {
            Some(entry) => Library::linked(entry).map_err(|e| (Refusal::from(&e), e.to_string())),
            None => Err((Refusal::File, "this binary has no such library".to_owned())),
        },
    };
    let served = run(&channel, load);
    if channel.borrow().is_closed() {
        // Now, for who waits for it may not get to it before this process has ended.
        end_all();
    }
    // The plugin may have closed it, and that cannot be done twice.
    std::mem::forget(channel);
    // Tracer, if it is there, tells the user.
    Some(served.map_or(ExitCode::from(LOST), |()| ExitCode::SUCCESS))
}

fn run(
    channel: &Rc<RefCell<Channel>>,
    load: impl FnOnce() -> Result<Library, (Refusal, String)>,
) -> io::Result<()> {
    let mut payload = Vec::new();
    let received = channel.borrow_mut().receive(&mut payload, None)?;
    if received != Some(Kind::Start) {
        return Err(io::Error::other("it was not told to start"));
    }
    let start: Start = serde_json::from_slice(&payload)?;
    let library = match load() {
        Ok(library) => library,
        Err((refusal, why)) => {
            return channel.borrow_mut().send(Kind::Refused, &[&[refusal as u8], why.as_bytes()], None);
        }
    };
    let described = serde_json::to_vec(&Described::from(library.description()))?;
    channel.borrow_mut().send(Kind::Described, &[&described], None)?;
    let role = start.role;
    let shared = Shared::new(Rc::clone(channel), start);
    let player = Player {
        channel: Rc::clone(channel),
        library,
        shared,
        instance: None,
        stack: Vec::new(),
        taken: 0,
        flushed: 0,
        told: Instant::now(),
    };
    match role {
        Role::Enrich => player.enrich(),
        Role::Sink => play(player),
    }
}

/// A plugin, and what its functions are called with.
struct Player {
    channel: Rc<RefCell<Channel>>,
    library: Library,
    shared: Shared,
    instance: Option<Instance>,
    stack: Vec<u64>,
    /// Events that it has taken, those of them that were there when it passed on what it kept, and when tracer was told of them.
    taken: u64,
    flushed: u64,
    told: Instant,
}

/// Why a plugin is called no more.
struct Failed {
    fault: Fault,
    why: String,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Failed {
        Failed { fault: Fault::from(&failure), why: failure.to_string() }
    }
}

impl Failed {
    fn error(why: impl Into<String>) -> Failed {
        Failed { fault: Fault::Error, why: why.into() }
    }
}

impl Player {
    fn send(&self, kind: Kind, parts: &[&[u8]]) -> io::Result<()> {
        self.channel.borrow_mut().send(kind, parts, None)
    }

    fn start(&mut self, session: &Session) -> Result<(), Failed> {
        self.stop()?;
        let info = self.shared.begin(session);
        let library = self.library.clone();
        let started = library.start(&mut self.shared.asked(None), &info)?;
        self.instance = Some(started);
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Failed> {
        let Some(instance) = &mut self.instance else { return Ok(()) };
        Ok(instance.tick(&mut self.shared.asked(None), clock::monotonic())?)
    }

    fn stop(&mut self) -> Result<(), Failed> {
        let Some(instance) = self.instance.take() else { return Ok(()) };
        Ok(instance.stop(&mut self.shared.asked(None))?)
    }

    /// Tells tracer how many events the plugin has taken.
    fn tell_taken(&mut self) -> io::Result<()> {
        self.told = Instant::now();
        self.send(Kind::Taken, &[&self.taken.to_le_bytes()])
    }

    /// Answers a request: done, or why not.
    fn answer(&self, result: Result<(), Failed>) -> io::Result<bool> {
        match result {
            Ok(()) => self.send(Kind::Done, &[]).map(|()| true),
            Err(Failed { fault, why }) => {
                self.send(Kind::Failed, &[&[fault as u8], why.as_bytes()]).map(|()| false)
            }
        }
    }

    /// Adds sections to events, until there are no more.
    fn enrich(mut self) -> io::Result<()> {
        let (mut payload, mut out) = (Vec::new(), Vec::new());
        let mut clock = Clock::default();
        clock.add(clock::sample());
        loop {
            let received = self.channel.borrow_mut().receive(&mut payload, None)?;
            let goes_on = match received {
                Some(Kind::Session) => {
                    let started = session(&payload)
                        .map_err(|e| Failed::error(e.to_string()))
                        .and_then(|s| self.start(&s));
                    self.answer(started)?
                }
                Some(Kind::Batch) => {
                    out.clear();
                    let failed = self.batch(&payload, &clock, &mut out);
                    self.send(Kind::Sections, &[&out])?;
                    match failed {
                        Ok(()) => true,
                        Err(why) => self.answer(Err(why))?,
                    }
                }
                Some(Kind::Tick) => {
                    clock.add(clock::sample());
                    let ticked = self.tick();
                    self.answer(ticked)?
                }
                Some(Kind::Stop) => {
                    let stopped = self.stop();
                    self.answer(stopped)?;
                    return Ok(());
                }
                // Tracer is gone, or does not speak to this any more.
                _ => return Ok(()),
            };
            if !goes_on {
                let _ = self.stop();
                return Ok(());
            }
        }
    }

    /// A section for each record, up to the one with which it fails.
    fn batch(&mut self, mut records: &[u8], clock: &Clock, out: &mut Vec<u8>) -> Result<(), Failed> {
        let probes = std::sync::Arc::clone(&self.shared.session().probes);
        let mut section = Vec::new();
        while let Some(Some(bytes)) = frame::take(&mut records) {
            let context = self.shared.context(clock);
            // Of what this cannot read, there is no section.
            let Ok(event) = probes.event(bytes, &context) else {
                frame::put_none(out);
                continue;
            };
            let Some(instance) = &mut self.instance else { return Err(Failed::error("it was not started")) };
            let parts = parts(&event, &mut self.stack);
            let there = instance.enrich(&mut self.shared.asked(Some(&event)), &parts, &mut section);
            self.channel.borrow().check_owner();
            match there? {
                true => frame::put(out, &section),
                false => frame::put_none(out),
            }
        }
        Ok(())
    }
}

/// The session that a trace begins with.
fn session(trace: &[u8]) -> Result<Session, tracer_trace::file::ReplayError> {
    #[derive(Default)]
    struct First(Option<Session>);

    impl Sink for First {
        fn begin(&mut self, session: &Session) -> io::Result<()> {
            self.0.get_or_insert_with(|| session.clone());
            Ok(())
        }

        fn event(&mut self, _: &Event<'_>) -> io::Result<()> {
            Ok(())
        }

        fn loss(&mut self, _: &Loss<'_>) -> io::Result<()> {
            Ok(())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn finish(self: Box<Self>) -> io::Result<()> {
            Ok(())
        }
    }

    let mut first = First::default();
    // It is only a trace's begin: that it has no end is no damage.
    replay_stream(trace, Path::new("tracer"), &mut first, Show::default(), &mut |_| {})?;
    Ok(first.0.unwrap_or_default())
}

/// Plays a trace to a plugin, as it comes.
fn play(player: Player) -> io::Result<()> {
    let show = player.shared.show();
    let channel = Rc::clone(&player.channel);
    let player = Rc::new(RefCell::new(Playing { player, failed: None, is_over: false }));
    let stream = Stream { channel, player: Rc::clone(&player), payload: Vec::new(), used: 0 };
    let mut sink = ToPlugin(Rc::clone(&player));
    let played = replay_stream(stream, Path::new("tracer"), &mut sink, show, &mut |_| {});
    let mut playing = player.borrow_mut();
    let failed = match (playing.failed.take(), played) {
        (Some(why), _) => Some(why),
        // Where nothing came, there is nothing to read.
        (None, Err(error)) if playing.player.taken > 0 => Some(Failed::error(error.to_string())),
        (None, _) => None,
    };
    playing.player.tell_taken()?;
    if let Some(why) = failed {
        // First, for `stop` may take its time, or never return.
        playing.player.answer(Err(why))?;
        let _ = playing.player.stop();
        return Ok(());
    }
    let stopped = playing.player.stop();
    playing.player.answer(stopped).map(drop)
}

struct Playing {
    player: Player,
    failed: Option<Failed>,
    is_over: bool,
}

impl Playing {
    /// Remembers a failure, with which reading ends.
    fn check(&mut self, result: Result<(), Failed>) -> io::Result<()> {
        result.map_err(|why| {
            self.failed.get_or_insert(why);
            io::Error::other("the plugin failed")
        })
    }
}

/// The bytes of the trace, out of frames. What else comes is done in between.
struct Stream {
    channel: Rc<RefCell<Channel>>,
    player: Rc<RefCell<Playing>>,
    payload: Vec<u8>,
    used: usize,
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.used == self.payload.len() {
            self.used = 0;
            let received = self.channel.borrow_mut().receive(&mut self.payload, None)?;
            match received {
                Some(Kind::Trace) => {}
                Some(Kind::Tick) => {
                    self.payload.clear();
                    let mut player = self.player.borrow_mut();
                    let ticked = player.player.tick();
                    player.check(ticked)?;
                }
                _ => {
                    self.payload.clear();
                    self.player.borrow_mut().is_over = true;
                    return Ok(0);
                }
            }
        }
        let some = bytes.len().min(self.payload.len() - self.used);
        bytes[..some].copy_from_slice(&self.payload[self.used..self.used + some]);
        self.used += some;
        Ok(some)
    }
}

/// A sink that gives events to the plugin.
struct ToPlugin(Rc<RefCell<Playing>>);

impl Sink for ToPlugin {
    fn begin(&mut self, session: &Session) -> io::Result<()> {
        let mut playing = self.0.borrow_mut();
        let started = playing.player.start(session);
        playing.check(started)?;
        playing.player.send(Kind::Started, &[])
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let playing = &mut *self.0.borrow_mut();
        let Player { channel, shared, instance, stack, taken, .. } = &mut playing.player;
        let Some(instance) = instance else { return Ok(()) };
        let parts = parts(event, stack);
        let result = instance.event(&mut shared.asked(Some(event)), &parts).map_err(Failed::from);
        channel.borrow().check_owner();
        *taken += u64::from(result.is_ok());
        playing.check(result)?;
        if playing.player.told.elapsed() < TOLD { Ok(()) } else { playing.player.tell_taken() }
    }

    fn loss(&mut self, loss: &Loss<'_>) -> io::Result<()> {
        let playing = &mut *self.0.borrow_mut();
        let Player { shared, instance, .. } = &mut playing.player;
        let Some(instance) = instance else { return Ok(()) };
        let probe = number(&shared.session().probes, loss);
        let parts = LossParts { probe, cpu: loss.cpu, events: loss.events, before: loss.before.unwrap_or(0) };
        let result = instance.loss(&mut shared.asked(None), &parts).map_err(Failed::from);
        playing.player.channel.borrow().check_owner();
        playing.check(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let playing = &mut *self.0.borrow_mut();
        let Player { shared, instance, .. } = &mut playing.player;
        let Some(instance) = instance else { return Ok(()) };
        let result = instance.flush(&mut shared.asked(None)).map_err(Failed::from);
        match result {
            Ok(()) => playing.player.flushed = playing.player.taken,
            // What became of those, only it knows.
            Err(_) => playing.player.taken = playing.player.flushed,
        }
        playing.check(result)?;
        playing.player.tell_taken()
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

/// The number of the probe of a loss.
fn number(probes: &Probes, loss: &Loss<'_>) -> u16 {
    let place = probes.iter().position(|probe| std::ptr::eq(probe, loss.probe) || probe == loss.probe);
    place.and_then(|place| u16::try_from(place).ok()).unwrap_or(u16::MAX)
}
