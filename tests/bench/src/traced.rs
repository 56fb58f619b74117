//! The real tracer, started as a user would start it, and its program found by name among those in the kernel.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::Path,
    process::{Child, Command},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tracer_kernel::{Program, prog};

/// The name that the engine loads its programs with.
const PROGRAM: &str = "tracer";
/// And those of collectors' hooks.
const HOOK: &str = "tracer_hook";
/// How long the tracer may take to start and to end: the emulation is slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// Its files, in the guest's memory.
const READY: &str = "/tmp/bench-ready";
const STDOUT: &str = "/tmp/bench-stdout";
const STDERR: &str = "/tmp/bench-stderr";

/// A tracer that traces.
pub(crate) struct Tracer {
    process: Child,
}

impl Tracer {
    /// Starts it with these words and waits until its probes are attached.
    pub(crate) fn start(words: &str) -> Result<Tracer> {
        if let Err(error) = fs::remove_file(READY)
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error).context(READY);
        }
        let process = Command::new("tracer")
            .args(words.split_whitespace())
            .args(["--ready-file", READY])
            .stdout(File::create(STDOUT)?)
            .stderr(File::create(STDERR)?)
            .spawn()
            .context("cannot start `tracer`")?;
        let mut tracer = Tracer { process };
        let end = Instant::now() + PATIENCE;
        while !Path::new(READY).exists() {
            if let Some(status) = tracer.process.try_wait()? {
                bail!("`tracer {words}` ended ({status}) before it traced: {}", said());
            }
            ensure!(Instant::now() < end, "`tracer {words}` was not ready in time: {}", said());
            sleep(Duration::from_millis(20));
        }
        Ok(tracer)
    }

    /// Its program; there is one for each probe, and all of ours have one probe.
    pub(crate) fn program(&self) -> Result<Program> {
        let mut all = prog::loaded().context("cannot list the kernel's programs")?;
        all.retain(|program| program.name() == PROGRAM);
        ensure!(all.len() == 1, "{} programs are called {PROGRAM}, instead of one", all.len());
        all.pop().context("the one program")
    }

    /// The programs of its collectors' hooks.
    pub(crate) fn hooks(&self) -> Result<Vec<Program>> {
        let mut all = prog::loaded().context("cannot list the kernel's programs")?;
        all.retain(|program| program.name() == HOOK);
        Ok(all)
    }

    /// Ends it as ^C does; returns what it said.
    pub(crate) fn stop(mut self) -> Result<String> {
        let pid =
            i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).context("a process has an id")?;
        kill_process(pid, Signal::INT).context("cannot stop the tracer")?;
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait()? {
                ensure!(status.success(), "the tracer failed ({status}): {}", said());
                return Ok(said());
            }
            ensure!(Instant::now() < end, "the tracer did not end in time: {}", said());
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // After `stop` there is nothing to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn said() -> String {
    fs::read_to_string(STDERR).unwrap_or_default()
}
