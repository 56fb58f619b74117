//! Standard error of a run: messages, and on a terminal one line at the bottom that says how it
//! goes. Events may go to the same terminal, so whoever writes them takes that line away first.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex},
};

use tracer_engine::Notice;

/// Takes the current line away: to its begin, and clear to its end.
const CLEAR: &[u8] = b"\r\x1b[K";

/// Standard error, shared by the run and the output.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    terminal: bool,
    /// Whether the line is there now. Held while events are written, which may block: nobody may
    /// wait for it.
    shown: Arc<Mutex<bool>>,
    /// Whether losses were told of already, where there is no line.
    losing: bool,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), shown: Arc::default(), losing: false }
    }

    /// The standard output that clears the line before it writes.
    pub(crate) fn output(&self) -> Output {
        Output { live: self.clone(), out: io::stdout() }
    }

    /// Tells the user.
    pub(crate) fn tell(&mut self, notice: &Notice) {
        match notice {
            Notice::Progress { lost, .. } if !self.terminal => {
                if *lost > 0 && !self.losing {
                    self.losing = true;
                    self.say("losing events: the event ring is full (see --ring-size, --rate and filters)");
                }
            }
            Notice::Progress { .. } => self.draw(&notice.to_string()),
            other => self.say(&other.to_string()),
        }
    }

    /// A message, on a line of its own. That nobody reads it is no reason to stop tracing.
    pub(crate) fn say(&self, message: &str) {
        self.clear();
        // One write, so that a command of `--cmd`, which has the same standard error, is not in between.
        let _ = io::stderr().lock().write_all(format!("tracer: {message}\n").as_bytes());
    }

    fn draw(&self, line: &str) {
        if let Ok(mut shown) = self.shown.try_lock() {
            let mut err = io::stderr().lock();
            let _ = err.write_all(&[CLEAR, line.as_bytes()].concat()).and_then(|()| err.flush());
            *shown = true;
        }
    }

    fn clear(&self) {
        if let Ok(mut shown) = self.shown.try_lock()
            && std::mem::take(&mut *shown)
        {
            let _ = io::stderr().lock().write_all(CLEAR);
        }
    }
}

/// See [`Live::output`].
#[derive(Debug)]
pub(crate) struct Output {
    live: Live,
    out: io::Stdout,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut shown = self.live.shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if std::mem::take(&mut *shown) {
            let _ = io::stderr().lock().write_all(CLEAR);
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
