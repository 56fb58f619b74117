//! Standard output of commands that print a lot: on a terminal through a pager, as people know it of git and systemd.

use std::{
    io::{self, IsTerminal, Write},
    process::{Child, Command, Stdio},
};

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
        let command = named("TRACER_PAGER").or_else(|| named("PAGER")).unwrap_or_else(|| "less".to_owned());
        if command.is_empty() || command == "cat" {
            return Pager { child: None };
        }
        let mut shell = Command::new("sh");
        // `exec`, so that a pager that is not there fails as itself; less: end at once if all fits a screen, show colours,
        // leave the text on the screen.
        shell.args(["-c", &format!("exec {command}")]).stdin(Stdio::piped());
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
