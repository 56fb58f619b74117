//! The command of `--cmd`: a shell in a process group of its own, so that all of it can be ended.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use crate::error::Error;

/// How long a command that outlives the run has to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// A command that runs.
pub(crate) struct RunningCommand {
    text: String,
    child: Child,
}

impl RunningCommand {
    /// Starts it.
    pub(crate) fn start(text: &str) -> Result<Self, Error> {
        let failed = |error| Error::Command { command: text.to_owned(), error };
        // Standard output is for events; what the command says goes where our messages go.
        let stderr = rustix::io::dup(rustix::stdio::stderr()).map_err(|e| failed(e.into()))?;
        let child = Command::new("/bin/sh")
            .args(["-c", text])
            .stdin(Stdio::null())
            .stdout(Stdio::from(stderr))
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        Ok(Self { text: text.to_owned(), child })
    }

    /// Waits for it.
    pub(crate) async fn ended(&mut self) -> Result<ExitStatus, Error> {
        let status = self.child.wait().await;
        status.map_err(|error| Error::Command { command: self.text.clone(), error })
    }

    /// Ends what is left of it.
    pub(crate) async fn end(mut self) {
        // Without an id it has been waited for already.
        let Some(group) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) else { return };
        // Errors here mean that it has ended meanwhile.
        let _ = kill_process_group(group, Signal::TERM);
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            let _ = kill_process_group(group, Signal::KILL);
            let _ = self.child.wait().await;
        }
    }
}
