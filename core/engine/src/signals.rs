//! The signals that end a run.

use std::{io, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Catches them from its creation on: before, they end the process as usual.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next one, by its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }

    /// Whether one has come already.
    pub(crate) async fn has_come(&mut self) -> bool {
        // Long enough for the runtime to look at what the handler left for it.
        tokio::time::timeout(Duration::from_millis(5), self.next()).await.is_ok()
    }
}
