//! A run of `collect`: plan, attach, change what was consented to, pass events on until something
//! ends it, then everything backwards. This is the only place with an asynchronous runtime.

use std::{
    io,
    os::fd::OwnedFd,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    process::{Child, Command},
    signal::unix::{Signal, SignalKind, signal},
};
use tracer_dsl::Diagnostics;
use tracer_event::{Context, Symbol};
use tracer_kernel::{
    Capabilities, Capability, Symbols, host::PossibleCpus, limits::raise_limits, netns::NetNs,
};
use tracer_trace::Sink;

use crate::{
    catalog::Catalog,
    error::Error,
    ledger::Ledger,
    load::Loader,
    notice::Notice,
    plan::{self, Plan},
    request::Request,
    source::{Counts, Rings, Source, rings},
    types::Types,
};

/// Records that are taken out of the ring before the sink is flushed and signals are looked at.
const BATCH: usize = 4096;
/// How long a command that outlives the run has to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// How a run ended and what it saw.
#[derive(Debug)]
pub struct Outcome {
    /// Events that the sink took.
    pub events: u64,
    /// Records that could not be decoded; always 0 but for a mistake in tracer.
    pub malformed: u64,
    /// What ended the run.
    pub ended: Ended,
    /// What became of each probe's hits.
    pub counts: Vec<Counts>,
    /// The likely reason, where nothing was seen at all.
    pub diagnosis: Option<String>,
}

impl Outcome {
    /// Hits that should have become events and did not, because the ring had no room.
    pub fn lost(&self) -> u64 {
        self.counts.iter().map(|c| c.lost).sum()
    }
}

/// What ended a run.
#[derive(Debug)]
pub enum Ended {
    /// A signal, by its name.
    Signal(&'static str),
    /// `--stop-after`.
    Count,
    /// The command of `--cmd` ended.
    Command(ExitStatus),
    /// Nobody reads the output any more.
    OutputClosed,
}

/// Runs `collect`.
pub fn collect(
    request: &Request,
    catalog: &Catalog,
    sink: Box<dyn Sink>,
    notify: &mut dyn FnMut(Notice),
) -> Result<Outcome, Error> {
    // What the user wrote is judged before what the host lacks.
    let collectors = plan::collectors(request, catalog)?;
    if request.probes.is_empty() {
        return Err(Diagnostics::from(plan::nothing_to_trace()).into());
    }
    privileges(request)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::System { what: "cannot start", error })?;
    runtime.block_on(async {
        // From here on a signal ends the run in order, wherever it has got to.
        let signals =
            Signals::new().map_err(|error| Error::System { what: "cannot catch signals", error })?;
        let symbols = Symbols::open();
        let symbols = symbols.map_err(|error| Error::System { what: "cannot open /proc/kallsyms", error })?;
        raise_limits();
        let mut types = Types::new()?;
        let mut ledger = Ledger::new(request.allow_system_changes);
        ledger.prepare(&collectors, &mut types, notify)?;
        let plan = Plan::new(request, catalog, &mut types)?;
        plan.notes.iter().for_each(|note| notify(Notice::Note(note.clone())));
        let mut source = attach(request, &plan, &types, &symbols)?;
        drop(types);
        for live in source.live() {
            notify(Notice::Attached {
                probe: live.name.clone(),
                way: live.way,
                module: live.module.clone(),
                sections: live.info.layout.sections().iter().map(|s| s.schema.section().to_owned()).collect(),
                refused: live.refused.clone(),
            });
        }
        ledger.arm(&plan.needs, &symbols, notify)?;
        let flow = Flow {
            request,
            symbols: Names(symbols),
            own_netns: NetNs::of_this_thread().ok().map(|ns| u64::from(ns.inum)),
            sink,
            events: 0,
            malformed: 0,
        };
        flow.run(&mut source, ledger, signals, notify).await
    })
}

fn privileges(request: &Request) -> Result<(), Error> {
    let own = Capabilities::of_this_thread();
    let own =
        own.map_err(|error| Error::System { what: "cannot read this process's capabilities", error })?;
    let mut needed = vec![Capability::Bpf, Capability::Perfmon];
    if request.allow_system_changes {
        needed.push(Capability::NetAdmin);
    }
    let missing = own.missing(&needed);
    if !missing.is_empty() {
        let missing = missing.iter().map(|c| c.name()).collect::<Vec<_>>().join(", ");
        return Err(Error::Privileges { missing });
    }
    if own.in_initial_user_namespace() { Ok(()) } else { Err(Error::UserNamespace) }
}

fn attach(request: &Request, plan: &Plan<'_>, types: &Types, symbols: &Symbols) -> Result<Rings, Error> {
    let cpus = PossibleCpus::read();
    let cpus = cpus.map_err(|error| Error::System { what: "cannot read the number of CPUs", error })?;
    // Ids of CPUs may have gaps; a slot is needed up to the highest.
    let cpus = u32::try_from(cpus.slots).unwrap_or(u32::MAX);
    let (ring, rings) = rings(request.ring_size.unwrap_or_else(default_ring_size))?;
    let live = Loader::new(plan, types, symbols, &rings, cpus)?.load()?;
    Ok(Rings::new(live, ring, rings))
}

/// A 512th of the memory, between 4 and 64 MiB: some ten thousand events at least.
fn default_ring_size() -> u32 {
    let info = rustix::system::sysinfo();
    let memory = info.totalram as u64 * u64::from(info.mem_unit);
    u32::try_from((memory / 512).clamp(4 << 20, 64 << 20)).unwrap_or(64 << 20).next_power_of_two()
}

/// The running part.
struct Flow<'a> {
    request: &'a Request,
    symbols: Names,
    own_netns: Option<u64>,
    sink: Box<dyn Sink>,
    events: u64,
    malformed: u64,
}

impl Flow<'_> {
    async fn run(
        mut self,
        source: &mut Rings,
        mut ledger: Ledger,
        mut signals: Signals,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<Outcome, Error> {
        if let Some(path) = &self.request.ready_file {
            std::fs::write(path, "").map_err(|error| Error::ReadyFile { path: path.clone(), error })?;
        }
        let mut command = match &self.request.cmd {
            Some(command) => Some(RunningCommand::start(command)?),
            None => None,
        };
        let ends = match (&command, self.request.stop_after) {
            (Some(_), _) => "it ends when the command does, or with Ctrl-C".to_owned(),
            (None, Some(n)) => format!("it ends after {n} events, or with Ctrl-C"),
            (None, None) => "Ctrl-C ends it".to_owned(),
        };
        notify(Notice::Running { ends });
        let ended = self.until_end(source, &mut signals, &mut command).await;

        // Backwards, whatever ended it. The switch first: it makes the kernel work for us.
        let undone = ledger.undo();
        let stopped = source.stop();
        if let Some(command) = command {
            command.end().await;
        }
        let ended = ended?;
        undone?;
        stopped?;
        // What was on its way when the probes were detached.
        let rest =
            if matches!(ended, Ended::OutputClosed) { Ok(false) } else { self.drain(source).map(|_| true) };
        let finished = rest.and_then(|go_on| if go_on { self.sink.finish() } else { Ok(()) });
        match finished {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(Error::Output(error)),
            _ => {}
        }
        let counts = source.counts()?;
        let diagnosis = (self.events == 0).then(|| diagnose(&counts, ledger.tracing_is_off()));
        Ok(Outcome { events: self.events, malformed: self.malformed, ended, counts, diagnosis })
    }

    /// Passes events on until something ends the run.
    async fn until_end(
        &mut self,
        source: &mut Rings,
        signals: &mut Signals,
        command: &mut Option<RunningCommand>,
    ) -> Result<Ended, Error> {
        let system = |error| Error::System { what: "cannot wait for events", error };
        let wakeups = source
            .wakeups()
            .first()
            .map(std::os::fd::BorrowedFd::try_clone_to_owned)
            .transpose()
            .map_err(system)?;
        let wakeups = wakeups.map(watch).transpose().map_err(system)?;
        loop {
            let readable = async {
                match &wakeups {
                    Some(fd) => fd.readable().await.map(Some),
                    None => Ok(None),
                }
            };
            tokio::select! {
                biased;
                name = signals.next() => return Ok(Ended::Signal(name)),
                readable = readable => {
                    let mut guard = readable.map_err(system)?;
                    match self.drain_batch(source) {
                        Ok(drained) => {
                            if self.is_enough() {
                                return Ok(Ended::Count);
                            }
                            // Readiness that came after the drain is kept: the guard knows which it saw.
                            if let (true, Some(guard)) = (drained < BATCH, &mut guard) {
                                guard.clear_ready();
                            }
                        }
                        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Ended::OutputClosed),
                        Err(error) => return Err(Error::Output(error)),
                    }
                }
                status = ended(command) => return status.map(Ended::Command),
            }
        }
    }

    fn is_enough(&self) -> bool {
        self.request.stop_after.is_some_and(|n| self.events >= n)
    }

    /// Everything that is there now.
    fn drain(&mut self, source: &mut dyn Source) -> io::Result<()> {
        while !self.is_enough() && self.drain_batch(source)? == BATCH {}
        Ok(())
    }

    fn drain_batch(&mut self, source: &mut dyn Source) -> io::Result<usize> {
        let left = self.request.stop_after.map_or(u64::MAX, |n| n - self.events);
        let max = usize::try_from(left).unwrap_or(usize::MAX).min(BATCH);
        let probes = source.probes();
        let context = Context { own_netns: self.own_netns, symbols: &self.symbols };
        let (sink, mut events, mut malformed, mut result) = (&mut self.sink, 0, 0, Ok(()));
        let drained = source.drain(max, &mut |bytes| {
            if result.is_err() {
                return;
            }
            match probes.event(bytes, &context) {
                Ok(event) => match sink.event(&event) {
                    Ok(()) => events += 1,
                    Err(error) => result = Err(error),
                },
                Err(_) => malformed += 1,
            }
        });
        self.events += events;
        self.malformed += malformed;
        result.and_then(|()| self.sink.flush())?;
        Ok(drained)
    }
}

/// Why a run may have seen nothing: the likeliest reason that the counts allow.
fn diagnose(counts: &[Counts], tracing_is_off: bool) -> String {
    let sum = |of: fn(&Counts) -> u64| counts.iter().map(of).sum::<u64>();
    let (hits, filtered, lost) = (sum(|c| c.hits), sum(|c| c.filtered), sum(|c| c.lost));
    if lost > 0 {
        return format!("{lost} were lost because the ring was full: try a larger --ring-size");
    }
    if hits > 0 && hits == filtered {
        return format!("the probes were hit {hits} times, and no hit passed the filter");
    }
    if tracing_is_off {
        return "no rule with `meta nftrace set` was there when the run began (see --allow-system-changes)"
            .to_owned();
    }
    // One line per table of legacy iptables in this namespace.
    let legacy = ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"];
    if legacy.iter().any(|path| std::fs::read_to_string(path).is_ok_and(|names| !names.is_empty())) {
        return "the probes were never hit; this host also has legacy iptables tables, whose drops nftables does \
                not see"
            .to_owned();
    }
    "the probes were never hit: nothing passed there in the meantime".to_owned()
}

/// Waits for a descriptor to become readable.
#[expect(deprecated, reason = "its successor is unsafe for types that may close early; an OwnedFd does not")]
fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

/// The kernel's names, in the form in which events ask for them.
struct Names(Symbols);

impl tracer_event::Symbols for Names {
    fn resolve(&self, address: u64) -> Option<Symbol<'_>> {
        self.0.resolve(address).map(|s| Symbol { name: s.name.into(), offset: s.offset })
    }
}

/// The signals that end a run.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}

/// The command of `--cmd`, in a process group of its own, so that all of it can be ended.
struct RunningCommand {
    text: String,
    child: Child,
}

impl RunningCommand {
    fn start(text: &str) -> Result<Self, Error> {
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

    /// Ends what is left of it.
    async fn end(mut self) {
        let group = self.child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
        let Some(group) = group else { return };
        // Errors here mean that it has ended already.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::TERM);
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = self.child.wait().await;
        }
    }
}

/// Ends when the command does; never, without one.
async fn ended(command: &mut Option<RunningCommand>) -> Result<ExitStatus, Error> {
    match command {
        Some(running) => {
            let status = running.child.wait().await;
            status.map_err(|error| Error::Command { command: running.text.clone(), error })
        }
        None => std::future::pending().await,
    }
}
