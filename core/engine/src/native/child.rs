//! The process itself: how it ends, and that nothing of it is left. It is the first of a session and a process group of its own,
//! so whatever it forks is found, unless that hides on purpose.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::ExitStatus,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::serve::LOST;

/// How long a process that was killed is waited for: longer than that takes only what hangs in the kernel.
const KILLED: Duration = Duration::from_secs(2);

/// A process of a plugin. Dropped, it and all that it forked are killed.
#[derive(Debug)]
pub(super) struct Child {
    child: std::process::Child,
    ended: Option<ExitStatus>,
}

impl Child {
    pub(super) fn new(child: std::process::Child) -> Child {
        Child { child, ended: None }
    }

    /// Waits so long for its end; `None` if it has not come. What it forked is ended then.
    pub(super) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_micros(200);
        while self.ended.is_none() && !self.is_over() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            sleep(pause.min(left));
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        if self.ended.is_none() {
            self.kill_group();
            self.ended = self.child.wait().ok();
        }
        self.ended
    }

    /// Whether it has ended. It is not reaped by that: as long as it is not, its number is nobody else's.
    fn is_over(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // An error is that there is no such child, so there is nothing to wait for.
        self.pid().is_none_or(|pid| !matches!(waitid(WaitId::Pid(pid), options), Ok(None)))
    }

    /// Its number, which is nobody else's before [`Child::wait`] has seen its end.
    pub(super) fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()).ok()?)
    }

    fn kill_group(&self) {
        if let Some(pid) = self.pid() {
            // One that has not come to make its group has forked nothing.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill_group();
            let _ = self.child.kill();
            let _ = self.wait(KILLED);
        }
    }
}

/// How a process has ended, in words.
pub(super) fn how(status: ExitStatus) -> String {
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
        (None, Some(code)) if code == i32::from(LOST) => {
            "its connection to tracer does not work any more; did it close a file descriptor that is not its own?"
                .to_owned()
        }
        (None, code) => format!("exit code {}", code.unwrap_or(-1)),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read as _,
        os::unix::process::CommandExt as _,
        process::{Command, Stdio},
    };

    use super::*;

    /// A shell in a group of its own.
    fn shell(script: &str) -> std::process::Child {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).process_group(0).stdout(Stdio::piped());
        command.spawn().unwrap()
    }

    #[test]
    fn the_end_is_told() {
        let mut child = Child::new(shell("exit 7"));
        assert_eq!(how(child.wait(KILLED).unwrap()), "exit code 7");
        assert_eq!(how(child.wait(Duration::ZERO).unwrap()), "exit code 7", "again");
        let mut child = Child::new(shell("kill -SEGV $$"));
        assert!(how(child.wait(KILLED).unwrap()).starts_with("SIGSEGV"));
        let mut child = Child::new(shell("exec sleep 100"));
        assert_eq!(child.wait(Duration::from_millis(20)), None);
    }

    /// Whoever has a pipe's other end is alive.
    #[test]
    fn nothing_of_it_is_left() {
        for ends in [true, false] {
            let mut shell = shell(if ends { "sleep 100 & exit 0" } else { "sleep 100 & exec sleep 100" });
            let mut pipe = shell.stdout.take().unwrap();
            let mut child = Child::new(shell);
            assert_eq!(child.wait(if ends { KILLED } else { Duration::from_millis(100) }).is_some(), ends);
            drop(child);
            assert_eq!(pipe.read(&mut [0]).unwrap(), 0);
        }
    }
}
