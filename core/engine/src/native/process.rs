//! A plugin's process, from tracer's side. Whatever the plugin does, this side gets an answer or knows within a time that there is
//! none; then the process is killed, and the plugin is used no more: it is *quarantined*.

use std::{
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tracer_compose::{Library, NativeHalf};
use tracer_event::Escaped;

use super::{
    cell,
    child::{self, Child},
    form::{Described, Fault, Refusal, Start},
    frame::{Channel, Kind, Outgoing, Sent},
    said::Said,
};

/// The word that makes tracer a plugin's process.
pub const WORD: &str = "native-host";

/// How long a library may take to be loaded, and to start.
pub(super) const START: Duration = Duration::from_secs(10);
/// How long a plugin may take for a batch of events, or for a tick.
pub(super) const BATCH: Duration = Duration::from_secs(5);
/// How long it may take to stop, and its process to end then.
pub(super) const STOP: Duration = Duration::from_secs(5);

/// Why a plugin cannot be used any more, or at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Quarantine {
    /// Its library was not taken.
    #[error("{why}")]
    Refused {
        /// What is wrong with it.
        refusal: Refusal,
        /// The same in words.
        why: String,
    },
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
    #[error("what comes from its process makes no sense: {0}")]
    Nonsense(String),
    /// Events cannot be put into words for it.
    #[error("events cannot be written for it: {0}")]
    Unsent(String),
    /// The process cannot be had.
    #[error("no process can be started for it: {0}")]
    Start(String),
}

impl Quarantine {
    /// What the library declares is not what collector.toml says, or cannot be. The reason may have the library's own words in it.
    pub(super) fn declares(why: impl AsRef<str>) -> Quarantine {
        Quarantine::Refused { refusal: Refusal::Declaration, why: harmless(why.as_ref()) }
    }

    fn start(error: impl Into<io::Error>) -> Quarantine {
        Quarantine::Start(error.into().to_string())
    }
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
    pub(super) fn start(name: &str, half: &NativeHalf, start: &Start) -> Result<Process, Quarantine> {
        Process::start_within(START, name, half, start)
    }

    /// The same, where loading may take so long.
    pub(super) fn start_within(
        limit: Duration,
        name: &str,
        half: &NativeHalf,
        start: &Start,
    ) -> Result<Process, Quarantine> {
        let (mine, its) = UnixStream::pair().map_err(Quarantine::start)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("tracer").arg(WORD).arg(name).arg(std::process::id().to_string());
        command.arg(if half.ptrace { cell::PTRACE } else { "-" });
        // It is inherited by number; that it lives until the process is there is all that matters.
        let _inherited: Option<OwnedFd> = match &half.library {
            Library::Linked => None,
            Library::File(file) => {
                tracer_plugin_host::inspect(file).map_err(|error| Quarantine::Refused {
                    refusal: Refusal::from(&error),
                    why: error.to_string(),
                })?;
                let file = rustix::io::dup(file).map_err(Quarantine::start)?;
                command.arg(file.as_raw_fd().to_string());
                Some(file)
            }
        };
        command.stdin(Stdio::from(OwnedFd::from(its))).stdout(Stdio::null());
        if let Some(printed) = &start.printed {
            command.stderr(Stdio::from(printed.try_clone().map_err(Quarantine::start)?));
        }
        let child = Child::new(command.spawn().map_err(Quarantine::start)?);
        // Only now is it sure that it holds the other end alone.
        drop(command);
        let mut process = Process::of(child, Channel::new(mine).map_err(Quarantine::start)?);
        let form = serde_json::to_vec(start).map_err(Quarantine::start)?;
        process.send(Kind::Start, &[&form], "load", limit)?;
        process.expect(Kind::Described, "load", limit)?;
        let described = serde_json::from_slice(&process.payload);
        process.described = described.map_err(|error| Quarantine::Nonsense(error.to_string()))?;
        Ok(process)
    }

    /// A process that has said nothing yet.
    pub(super) fn of(child: Child, channel: Channel) -> Process {
        let described = Described {
            name: String::new(),
            release: String::new(),
            licence: String::new(),
            section: None,
            is_sink: false,
        };
        let channel = channel.to(child.pid());
        Process { child, channel, described, said: Said::default(), taken: 0, payload: Vec::new() }
    }

    pub(super) fn described(&self) -> &Described {
        &self.described
    }

    /// Takes the payload of what was received, and gives other memory for the next.
    pub(super) fn swap_payload(&mut self, payload: &mut Vec<u8>) {
        std::mem::swap(&mut self.payload, payload);
    }

    /// What it means that this came, with what is in the payload, and nothing else was to come.
    fn unexpected(&self, kind: Kind) -> Quarantine {
        let (first, rest) = self.payload.split_first().unwrap_or((&0, &[]));
        let why = harmless(&String::from_utf8_lossy(rest));
        match kind {
            Kind::Failed => Quarantine::Failed { fault: Fault::of(*first).unwrap_or(Fault::Error), why },
            Kind::Refused => {
                Quarantine::Refused { refusal: Refusal::of(*first).unwrap_or(Refusal::File), why }
            }
            other => Quarantine::Nonsense(format!("a frame {other:?}")),
        }
    }

    /// What the plugin wants the user to be told since this was asked last.
    pub(super) fn said(&mut self) -> Vec<String> {
        self.said.take()
    }

    /// The same, where nothing more is to come.
    pub(super) fn said_at_last(&mut self) -> Vec<String> {
        self.said.rest()
    }

    /// Sends something that belongs to what it is asked, `what`. It may take as long as the limit without doing anything.
    pub(super) fn send(
        &mut self,
        kind: Kind,
        parts: &[&[u8]],
        what: &'static str,
        limit: Duration,
    ) -> Result<(), Quarantine> {
        let nonsense = |error: io::Error| Quarantine::Nonsense(error.to_string());
        let mut frame = Outgoing::new(kind, parts).map_err(nonsense)?;
        let mut deadline = Instant::now() + limit;
        loop {
            match self.channel.send_some(&mut frame, deadline) {
                Ok(Sent::All) => return Ok(()),
                // It may take no more before it has said something itself.
                Ok(Sent::Incoming) => {
                    if let Some(kind) = self.next(what, limit, &mut deadline)? {
                        return Err(self.unexpected(kind));
                    }
                }
                Err(error) => {
                    return Err(match error.kind() {
                        // Why it does not listen any more, it may have said before.
                        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                            match self.receive(what, limit) {
                                Ok(kind) => self.unexpected(kind),
                                Err(why) => why,
                            }
                        }
                        io::ErrorKind::TimedOut => Quarantine::Blocked { what, limit },
                        _ => nonsense(error),
                    });
                }
            }
        }
    }

    /// Receives the next frame that is not said to the user. It may take as long as the limit without doing anything.
    pub(super) fn receive(&mut self, what: &'static str, limit: Duration) -> Result<Kind, Quarantine> {
        let mut deadline = Instant::now() + limit;
        loop {
            if let Some(kind) = self.next(what, limit, &mut deadline)? {
                return Ok(kind);
            }
        }
    }

    /// Receives a frame; `None` if it was one that comes unasked. The news that events were taken is a sign of life, others are not.
    fn next(
        &mut self,
        what: &'static str,
        limit: Duration,
        deadline: &mut Instant,
    ) -> Result<Option<Kind>, Quarantine> {
        match self.channel.receive(&mut self.payload, Some(*deadline)) {
            Ok(Some(Kind::Log)) => self.said.add(&self.payload),
            Ok(Some(Kind::Taken)) => {
                if self.note_taken() {
                    *deadline = Instant::now() + limit;
                }
            }
            Ok(Some(kind)) => return Ok(Some(kind)),
            Ok(None) => return Err(self.ended(what)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(Quarantine::Blocked { what, limit });
            }
            Err(error) => return Err(Quarantine::Nonsense(error.to_string())),
        }
        // Whoever talks on and on must end too.
        if Instant::now() > *deadline { Err(Quarantine::Blocked { what, limit }) } else { Ok(None) }
    }

    /// Takes what has come without being asked for.
    pub(super) fn look(&mut self, what: &'static str) -> Result<(), Quarantine> {
        let mut deadline = Instant::now() + BATCH;
        while self.channel.is_ready() {
            if let Some(kind) = self.next(what, BATCH, &mut deadline)? {
                return Err(self.unexpected(kind));
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
        let kind = self.receive(what, limit)?;
        if kind == wanted { Ok(()) } else { Err(self.unexpected(kind)) }
    }

    /// Waits until it says that it is done.
    pub(super) fn done(&mut self, what: &'static str, limit: Duration) -> Result<(), Quarantine> {
        self.expect(Kind::Done, what, limit)
    }

    /// Notes how many events it says to have taken; whether those are more than before.
    fn note_taken(&mut self) -> bool {
        let Some(taken) = self.payload.first_chunk() else { return false };
        let before = std::mem::replace(&mut self.taken, u64::from_le_bytes(*taken));
        self.taken > before
    }

    /// How the process has ended, which has closed its end.
    fn ended(&mut self, what: &'static str) -> Quarantine {
        let how = match self.child.wait(Duration::from_secs(1)) {
            Some(status) => child::how(status),
            None => "it has closed the connection".to_owned(),
        };
        Quarantine::Ended { what, how }
    }

    /// Waits until the process, which was told to stop or has failed, has ended by itself.
    pub(super) fn finish(mut self) -> Result<(), Quarantine> {
        match self.child.wait(STOP) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(Quarantine::Ended { what: "stop", how: child::how(status) }),
            None => Err(Quarantine::Blocked { what: "exit", limit: STOP }),
        }
    }

    /// Lets go of it: where it has failed in a way that it is called once more for, `stop`, it has its time for that, and nobody
    /// waits for it.
    pub(super) fn leave(self, why: &Quarantine) {
        if matches!(why, Quarantine::Failed { .. }) {
            // Where no thread is to be had, it has no time.
            let _ = std::thread::Builder::new().name("tracer-plugin".to_owned()).spawn(|| self.finish());
        }
    }
}

/// A text of a plugin's as the user may see it. One that has nothing but `\` to be spelled out stays as it is: it may be spelled out already.
pub(super) fn harmless(text: &str) -> String {
    let escaped = Escaped(text).to_string();
    if escaped == text.replace('\\', "\\\\") { text.to_owned() } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_plugin_says_repaints_or_turns_around() {
        assert_eq!(harmless("`\\u{1b}` is no name: C:\\x \u{e4}"), "`\\u{1b}` is no name: C:\\x \u{e4}");
        assert_eq!(harmless("a\x1b[2J"), "a\\x1b[2J");
        assert_eq!(harmless("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(Quarantine::declares("a\x1b\u{202e}"), Quarantine::declares("a\\x1b\\u{202e}"));
    }
}
