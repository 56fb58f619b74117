//! A plugin's process, from its own side: tracer once more, with another task. It gives up what it does not need, loads one library,
//! and does what it is told over the socket that it was started with, until that closes.

use std::{
    cell::RefCell,
    ffi::OsString,
    fs::File,
    io::{self, Read},
    os::{fd::AsFd as _, unix::net::UnixStream},
    path::Path,
    process::ExitCode,
    rc::Rc,
};

use rustix::process::{Pid, Signal};
use tracer_compose::Entry;
use tracer_event::{Clock, Event, Loss, Probes, Session};
use tracer_kernel::{Capability, caps::keep_only, process::ignore_requests_to_end};
use tracer_plugin_host::{Failure, Instance, Library, LossParts};
use tracer_trace::{
    Sink,
    file::{Show, replay_stream},
};

use super::{
    form::{Described, Fault, Role, Start},
    frame::{self, Channel, Kind},
    services::{Shared, clocks, parts},
};

/// What a plugin's process may still do: look into other processes and files, whoever's they are, and see the kernel's addresses. It
/// can change nothing for which root's rights are needed.
const CAPABILITIES: [Capability; 3] = [Capability::DacReadSearch, Capability::SysPtrace, Capability::Syslog];

/// Descriptors below this are the standard ones.
const FIRST: i32 = 10;

/// Runs a plugin, if these are the words (with the program's name in front) that tracer starts one
/// with; `linked` finds a library that is linked into this binary.
pub fn serve(words: &[OsString], linked: impl FnOnce(&str) -> Option<Entry>) -> Option<ExitCode> {
    let [_, word, name, parent, file @ ..] = words else { return None };
    if word != super::process::WORD {
        return None;
    }
    let served = begin(parent).and_then(|channel| {
        let channel = Rc::new(RefCell::new(channel));
        let library = match file {
            [] => Loaded::Linked(linked(&name.to_string_lossy())),
            [number, ..] => Loaded::File(inherited(number)?),
        };
        run(&channel, &library)
    });
    Some(match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tracer: this is how tracer starts a plugin's process, and no command: {error}");
            ExitCode::FAILURE
        }
    })
}

enum Loaded {
    File(File),
    Linked(Option<Entry>),
}

/// Takes the socket from standard input, and lets go of everything else.
fn begin(parent: &OsString) -> io::Result<Channel> {
    let stdin = io::stdin();
    let socket = rustix::io::fcntl_dupfd_cloexec(stdin.as_fd(), FIRST)?;
    if !rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&socket)?.st_mode).is_socket() {
        return Err(io::Error::other("standard input is no socket"));
    }
    let nothing = File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    // What a plugin prints must not be among the events.
    rustix::stdio::dup2_stdout(io::stderr())?;
    ignore_requests_to_end()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let parent = parent.to_str().and_then(|parent| parent.parse().ok()).and_then(Pid::from_raw);
    if rustix::process::getppid() != parent {
        return Err(io::Error::other("whoever started it is gone"));
    }
    // If memory is short, this goes first.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    rustix::thread::set_no_new_privs(true)?;
    // Without any there is nothing to drop.
    let _ = keep_only(&CAPABILITIES);
    Ok(Channel::new(UnixStream::from(socket)))
}

/// The file that the parent has opened.
fn inherited(number: &OsString) -> io::Result<File> {
    File::open(Path::new("/proc/self/fd").join(number))
}

fn run(channel: &Rc<RefCell<Channel>>, library: &Loaded) -> io::Result<()> {
    let mut payload = Vec::new();
    let received = channel.borrow_mut().receive(&mut payload, None)?;
    if received != Some(Kind::Start) {
        return Err(io::Error::other("it was not told to start"));
    }
    let start: Start = serde_json::from_slice(&payload)?;
    let loaded = match library {
        Loaded::File(file) => Library::open(file),
        Loaded::Linked(Some(entry)) => Library::linked(*entry),
        Loaded::Linked(None) => {
            let why = b"this binary has no such library";
            return channel.borrow_mut().send(Kind::Refused, &[why], None);
        }
    };
    let library = match loaded {
        Ok(library) => library,
        Err(error) => {
            return channel.borrow_mut().send(Kind::Refused, &[error.to_string().as_bytes()], None);
        }
    };
    let described = serde_json::to_vec(&Described::from(library.description()))?;
    channel.borrow_mut().send(Kind::Described, &[&described], None)?;
    let role = start.role;
    let shared = Shared::new(Rc::clone(channel), start);
    let player =
        Player { channel: Rc::clone(channel), library, shared, instance: None, stack: Vec::new(), taken: 0 };
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
    /// Events that it has taken.
    taken: u64,
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
        Ok(instance.tick(&mut self.shared.asked(None), clocks().monotonic)?)
    }

    fn stop(&mut self) -> Result<(), Failed> {
        let Some(instance) = self.instance.take() else { return Ok(()) };
        Ok(instance.stop(&mut self.shared.asked(None))?)
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
        clock.add(clocks());
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
                    clock.add(clocks());
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
    let stopped = playing.player.stop();
    let result = match (playing.failed.take(), played) {
        (Some(why), _) => Err(why),
        // Where nothing came, there is nothing to read.
        (None, Err(error)) if playing.player.taken > 0 => Err(Failed::error(error.to_string())),
        (None, _) => stopped,
    };
    let taken = playing.player.taken.to_le_bytes();
    playing.player.send(Kind::Taken, &[&taken])?;
    playing.player.answer(result).map(|_| ())
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
        let Player { shared, instance, stack, taken, .. } = &mut playing.player;
        let Some(instance) = instance else { return Ok(()) };
        let parts = parts(event, stack);
        let result = instance.event(&mut shared.asked(Some(event)), &parts).map_err(Failed::from);
        *taken += u64::from(result.is_ok());
        playing.check(result)
    }

    fn loss(&mut self, loss: &Loss<'_>) -> io::Result<()> {
        let playing = &mut *self.0.borrow_mut();
        let Player { shared, instance, .. } = &mut playing.player;
        let Some(instance) = instance else { return Ok(()) };
        let probe = number(&shared.session().probes, loss);
        let parts = LossParts { probe, cpu: loss.cpu, events: loss.events, before: loss.before.unwrap_or(0) };
        let result = instance.loss(&mut shared.asked(None), &parts).map_err(Failed::from);
        playing.check(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let playing = &mut *self.0.borrow_mut();
        let Player { shared, instance, .. } = &mut playing.player;
        let Some(instance) = instance else { return Ok(()) };
        let result = instance.flush(&mut shared.asked(None)).map_err(Failed::from);
        playing.check(result)?;
        let taken = playing.player.taken.to_le_bytes();
        playing.player.send(Kind::Taken, &[&taken])
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
