//! A plugin's process, from tracer's side. Whatever the plugin does, this side gets an answer or knows within a time that there is
//! none; then the process is killed, and the plugin is used no more: it is *quarantined*.

use std::{
    fmt, io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _, process::ExitStatusExt as _},
    },
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tracer_compose::Library;
use tracer_plugin_abi::c;

use super::{
    form::{Described, Fault, Start},
    frame::{Channel, Kind},
};

/// The word that makes tracer a plugin's process.
pub const WORD: &str = "native-host";

/// How long a library may take to be loaded, and to start.
pub(super) const START: Duration = Duration::from_secs(10);
/// How long a plugin may take for a batch of events, or for a tick.
pub(super) const BATCH: Duration = Duration::from_secs(5);
/// How long it may take to stop.
pub(super) const STOP: Duration = Duration::from_secs(5);

/// Lines that a plugin may tell the user in a second.
const LINES: u32 = 10;
/// Characters of such a line.
const LINE: usize = 400;

/// Why a plugin cannot be used any more, or at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Quarantine {
    /// Its library was not taken.
    #[error("{0}")]
    Refused(String),
    /// It has said so itself, or done what it must not.
    #[error("{why}")]
    Failed {
        /// What it did.
        fault: Fault,
        /// The same in words.
        why: String,
    },
    /// It did not return.
    #[error("it did not return from `{what}` within {} s", limit.as_secs())]
    Blocked {
        /// What it was asked.
        what: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// Its process has ended.
    #[error("it ended its process in `{what}`: {how}")]
    Ended {
        /// What it was asked.
        what: &'static str,
        /// By which signal, or with which code.
        how: String,
    },
    /// What it sent makes no sense.
    #[error("what its process answered makes no sense: {0}")]
    Nonsense(String),
    /// The process cannot be had.
    #[error("no process can be started for it: {0}")]
    Start(String),
}

/// A plugin in its process.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    channel: Channel,
    described: Described,
    said: Said,
    /// Events that it has said to have taken.
    pub(super) taken: u64,
    /// The last frame's payload.
    payload: Vec<u8>,
}

impl Process {
    /// Starts a process for a plugin, and has it load the library.
    pub(super) fn start(name: &str, library: &Library, start: &Start) -> Result<Process, Quarantine> {
        let (mine, its) = UnixStream::pair().map_err(|e| Quarantine::Start(e.to_string()))?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("tracer").arg(WORD).arg(name).arg(std::process::id().to_string());
        // It is inherited by number; that it lives until the process is there is all that matters.
        let _inherited: Option<OwnedFd> = match library {
            Library::Linked => None,
            Library::File(file) => {
                tracer_plugin_host::inspect(file).map_err(|error| Quarantine::Refused(error.to_string()))?;
                let file = rustix::io::dup(file).map_err(|e| Quarantine::Start(e.to_string()))?;
                command.arg(file.as_raw_fd().to_string());
                Some(file)
            }
        };
        command.stdin(Stdio::from(OwnedFd::from(its))).stdout(Stdio::null());
        let child = command.spawn().map_err(|e| Quarantine::Start(e.to_string()))?;
        // Only now is it sure that it holds the other end alone.
        drop(command);
        let mut process = Process {
            child,
            channel: Channel::new(mine),
            described: Described {
                name: String::new(),
                release: String::new(),
                licence: String::new(),
                section: None,
                is_sink: false,
            },
            said: Said::default(),
            taken: 0,
            payload: Vec::new(),
        };
        let form = serde_json::to_vec(start).map_err(|e| Quarantine::Start(e.to_string()))?;
        process.send(Kind::Start, &[&form], "load", START)?;
        process.expect(Kind::Described, "load", START)?;
        let described = serde_json::from_slice(&process.payload);
        process.described = described.map_err(|error| Quarantine::Nonsense(error.to_string()))?;
        Ok(process)
    }

    pub(super) fn described(&self) -> &Described {
        &self.described
    }

    /// Takes the payload of what was received, and gives other memory for the next.
    pub(super) fn swap_payload(&mut self, payload: &mut Vec<u8>) {
        std::mem::swap(&mut self.payload, payload);
    }

    fn failed(&self) -> Quarantine {
        let (fault, why) = self.payload.split_first().unwrap_or((&0, &[]));
        let fault = Fault::of(*fault).unwrap_or(Fault::Error);
        Quarantine::Failed { fault, why: String::from_utf8_lossy(why).into_owned() }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// What the plugin wants the user to be told since this was asked last.
    pub(super) fn said(&mut self) -> Vec<String> {
        self.said.take()
    }

    /// Sends something that belongs to what it is asked, `what`.
    pub(super) fn send(
        &mut self,
        kind: Kind,
        parts: &[&[u8]],
        what: &'static str,
        limit: Duration,
    ) -> Result<(), Quarantine> {
        let sent = self.channel.send(kind, parts, Some(Instant::now() + limit));
        sent.map_err(|error| match error.kind() {
            // Why it does not listen any more, it may have said before.
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => match self.receive(what, limit) {
                Ok(Kind::Failed) => self.failed(),
                Ok(Kind::Refused) => Quarantine::Refused(self.text()),
                Ok(other) => Quarantine::Nonsense(format!("a frame {other:?}")),
                Err(why) => why,
            },
            io::ErrorKind::TimedOut => Quarantine::Blocked { what, limit },
            _ => Quarantine::Nonsense(error.to_string()),
        })
    }

    /// Receives the next frame that is not said to the user.
    pub(super) fn receive(&mut self, what: &'static str, limit: Duration) -> Result<Kind, Quarantine> {
        let deadline = Instant::now() + limit;
        loop {
            match self.channel.receive(&mut self.payload, Some(deadline)) {
                Ok(Some(Kind::Log)) => self.said.add(&self.payload),
                Ok(Some(Kind::Taken)) => self.note_taken(),
                Ok(Some(kind)) => return Ok(kind),
                Ok(None) => return Err(self.ended(what)),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(Quarantine::Blocked { what, limit });
                }
                Err(error) => return Err(Quarantine::Nonsense(error.to_string())),
            }
        }
    }

    /// Takes what has come without being asked for.
    pub(super) fn look(&mut self, what: &'static str) -> Result<(), Quarantine> {
        while self.channel.is_ready() {
            match self.channel.receive(&mut self.payload, Some(Instant::now() + BATCH)) {
                Ok(Some(Kind::Log)) => self.said.add(&self.payload),
                Ok(Some(Kind::Taken)) => self.note_taken(),
                Ok(Some(Kind::Failed)) => return Err(self.failed()),
                Ok(Some(other)) => return Err(Quarantine::Nonsense(format!("a frame {other:?}"))),
                Ok(None) => return Err(self.ended(what)),
                Err(error) => return Err(Quarantine::Nonsense(error.to_string())),
            }
        }
        Ok(())
    }

    /// Waits for such a frame.
    pub(super) fn expect(
        &mut self,
        wanted: Kind,
        what: &'static str,
        limit: Duration,
    ) -> Result<(), Quarantine> {
        match self.receive(what, limit)? {
            kind if kind == wanted => Ok(()),
            Kind::Failed => Err(self.failed()),
            Kind::Refused => Err(Quarantine::Refused(self.text())),
            other => Err(Quarantine::Nonsense(format!("a frame {other:?}"))),
        }
    }

    /// Waits until it says that it is done.
    pub(super) fn done(&mut self, what: &'static str, limit: Duration) -> Result<(), Quarantine> {
        self.expect(Kind::Done, what, limit)
    }

    fn note_taken(&mut self) {
        if let Some(taken) = self.payload.first_chunk() {
            self.taken = u64::from_le_bytes(*taken);
        }
    }

    /// How the process has ended, which has closed its end.
    fn ended(&mut self, what: &'static str) -> Quarantine {
        let mut tries = 100;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Quarantine::Ended { what, how: how(status) },
                Ok(None) if tries > 0 => {
                    tries -= 1;
                    std::thread::sleep(Duration::from_millis(10));
                }
                _ => return Quarantine::Ended { what, how: "it has closed the connection".to_owned() },
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that was told to stop has ended, and this says no more to it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a process has ended.
fn how(status: ExitStatus) -> String {
    const SIGNALS: [(i32, &str); 9] = [
        (4, "SIGILL, an instruction that there is not"),
        (5, "SIGTRAP"),
        (6, "SIGABRT, it has given up"),
        (7, "SIGBUS, memory that is not there"),
        (8, "SIGFPE, arithmetic that has no result"),
        (9, "SIGKILL, by somebody else"),
        (11, "SIGSEGV, memory that it must not touch"),
        (24, "SIGXCPU"),
        (31, "SIGSYS"),
    ];
    match (status.signal(), status.code()) {
        (Some(signal), _) => {
            let name = SIGNALS.iter().find(|(number, _)| *number == signal).map(|(_, name)| *name);
            name.map_or(format!("signal {signal}"), str::to_owned)
        }
        (None, code) => format!("exit code {}", code.unwrap_or(-1)),
    }
}

/// What a plugin wants the user to be told: so many lines in a second, and the number of the others.
#[derive(Debug, Default)]
struct Said {
    lines: Vec<String>,
    since: Option<Instant>,
    in_second: u32,
    left_out: u64,
}

impl Said {
    fn add(&mut self, payload: &[u8]) {
        let Some((level, text)) = payload.split_first() else { return };
        if self.since.is_none_or(|since| since.elapsed() >= Duration::from_secs(1)) {
            (self.since, self.in_second) = (Some(Instant::now()), 0);
        }
        if self.in_second >= LINES {
            self.left_out += 1;
            return;
        }
        self.in_second += 1;
        let text = String::from_utf8_lossy(text);
        let text: String = text.trim_end().chars().take(LINE).collect();
        let level = match u32::from(*level) {
            c::LOG_WARNING => "warning: ",
            c::LOG_DEBUG => "debug: ",
            _ => "",
        };
        self.lines.push(format!("{level}{}", tracer_event::Escaped(&text)));
    }

    fn take(&mut self) -> Vec<String> {
        let mut lines = std::mem::take(&mut self.lines);
        // They are told of when the second is over.
        if self.left_out > 0 && self.since.is_none_or(|since| since.elapsed() >= Duration::from_secs(1)) {
            lines.push(format!("{} more lines were left out", std::mem::take(&mut self.left_out)));
        }
        lines
    }
}

impl fmt::Display for super::form::Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enrich => "collector",
            Self::Sink => "sink",
        })
    }
}
