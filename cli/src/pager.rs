//! Standard output of commands that print a lot: on a terminal through a pager, as people know it of git and systemd.

use std::{
    io::{self, IsTerminal, Write},
    process::{Child, Command, Stdio},
};

/// Ctrl-C is for the pager, and the shell in front of it stays.
const WAIT: &str = "trap : INT QUIT\n";
/// What a pager that cannot be run (of which the shell tells) would have shown is shown without.
const OR_CAT: &str = "\nstatus=$?\ncase $status in 126|127) exec cat;; esac\nexit $status";

/// Standard output, or a pager in front of it.
pub(crate) struct Pager {
    child: Option<Child>,
}

impl Pager {
    /// Starts a pager if standard output is a terminal and one is wanted and to be had: `TRACER_PAGER`, `PAGER`, or less.
    pub(crate) fn start(wanted: bool) -> Pager {
        if !wanted || !io::stdout().is_terminal() {
            return Pager { child: None };
        }
        let named = |name| std::env::var(name).ok();
        let command = named("TRACER_PAGER").or_else(|| named("PAGER"));
        let script = match command.as_deref() {
            Some("" | "cat") => return Pager { child: None },
            Some(command) => format!("{WAIT}{command}{OR_CAT}"),
            // Small machines have none, which is no news to anybody.
            None => "command -v less >/dev/null || exec cat\nexec less".to_owned(),
        };
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).stdin(Stdio::piped());
        // Less: end at once if all fits a screen, show colours, leave the text on the screen.
        if std::env::var_os("LESS").is_none() {
            shell.env("LESS", "FRX");
        }
        let child = shell.spawn().ok();
        if child.is_some() {
            // Ctrl-C is the pager's: it ends a search there. Whoever quits the pager ends this process too.
            let _ = ctrlc::set_handler(|| {});
        }
        Pager { child }
    }

    /// What to write to.
    pub(crate) fn out(&mut self) -> Box<dyn Write + '_> {
        match self.child.as_mut().and_then(|child| child.stdin.as_mut()) {
            Some(stdin) => Box::new(stdin),
            None => Box::new(io::stdout()),
        }
    }

    /// Waits until it was read.
    pub(crate) fn end(mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}
