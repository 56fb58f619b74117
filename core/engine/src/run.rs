//! A run of `collect`: plan, attach, change what was consented to, let events flow until something
//! ends it, then everything backwards.

use std::{
    collections::BTreeMap,
    io,
    process::ExitStatus,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tracer_compose::Catalog;
use tracer_dsl::Diagnostics;
use tracer_event::{Probes, Session, Symbol};
use tracer_kernel::{
    Capabilities, Capability, Ring, Symbols, caps::keep_only, host::PossibleCpus, limits::raise_limits,
    netns::NetNs,
};
use tracer_trace::Sink;

use crate::{
    attached::{Attached, Counts},
    command::RunningCommand,
    error::Error,
    ledger::Ledger,
    load::{Live, Loader, alone},
    native::{self, enrich::Enriching},
    notice::Notice,
    plan::{self, Plan},
    pump::{Parts, Pump, Show, Word},
    request::Request,
    signals::Signals,
    source::{Rings, rings},
    types::Types,
};

/// How often progress is told.
const PROGRESS: Duration = Duration::from_millis(500);
/// How long the output may take for the rest before the user is told that it blocks.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often loading is tried again after a signal that does not end the run.
const TRIES: usize = 5;

/// How a run ended and what it saw.
#[derive(Debug)]
pub struct Outcome {
    /// Events that the sink took.
    pub events: u64,
    /// Events that were in the ring and that the sink did not take: it was closed, it blocked, or
    /// enough had been seen.
    pub left: u64,
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
    /// The output failed in another way: a full disk, for example.
    OutputFailed(io::Error),
}

impl Ended {
    /// That nobody reads any more is an end like others.
    fn of_output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::OutputClosed } else { Self::OutputFailed(error) }
    }
}

/// Runs `collect`.
pub fn collect(
    request: &Request,
    catalog: &Catalog,
    sink: Box<dyn Sink + Send>,
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
        let mut signals =
            Signals::new().map_err(|error| Error::System { what: "cannot catch signals", error })?;
        let symbols = Symbols::open();
        let symbols = symbols.map_err(|error| Error::System { what: "cannot open /proc/kallsyms", error })?;
        raise_limits();
        let mut types = Types::new()?;
        types.add_files(&request.btf)?;
        let mut ledger = Ledger::new(request.allow_system_changes);
        ledger.prepare(&collectors, &request.probes, &mut types, notify)?;
        // Plugins that the verifier refuses are left out, and the others are a trace nevertheless.
        let mut refused = BTreeMap::new();
        for (name, reason) in alone::refused(catalog, request, &mut types, &symbols)? {
            leave_out(&mut refused, request, name, reason, notify)?;
        }
        let natives = load_natives(request, catalog, notify)?;
        let (attached, ring, left_out, needs) = loop {
            let usable = catalog.without(&refused);
            let mut plan = Plan::new(request, &usable, &mut types, &symbols)?;
            match attach(request, &mut plan, &types, &symbols, &mut signals).await {
                Err(Error::Plugin { collector, reason }) if !refused.contains_key(&collector) => {
                    leave_out(&mut refused, request, collector, reason, notify)?;
                }
                attached => {
                    plan.notes.iter().for_each(|note| notify(Notice::Note(note.clone())));
                    let (attached, ring, left_out) = attached?;
                    break (attached, ring, left_out, plan.needs);
                }
            }
        };
        drop(types);
        left_out.into_iter().for_each(|why| notify(Notice::Note(why)));
        tell_hooks(&attached, notify);
        tell_attached(attached.live(), notify);
        // They may take their time, and nothing is to be missed meanwhile that tracing was switched on for.
        let enriching = start_natives(natives, &attached, notify);
        ledger.arm(&needs, &symbols, notify)?;
        // Programs and trampolines have names of their own now, which stacks go through.
        let mut symbols = symbols;
        symbols.forget();
        if request.probes.iter().flat_map(|spec| &spec.alternatives).any(|probe| probe.value.stack) {
            // Now, not when the first event waits for it.
            let _ = symbols.resolve(0);
        }
        let flow = Flow::start(request, attached, ring, ledger, symbols, sink, enriching)?;
        flow.run(signals, notify).await
    })
}

/// Goes on without a plugin, or not at all if it was asked for by name.
fn leave_out(
    refused: &mut BTreeMap<String, String>,
    request: &Request,
    collector: String,
    reason: String,
    notify: &mut dyn FnMut(Notice),
) -> Result<(), Error> {
    if request.collectors.iter().any(|named| named.value.replace('-', "_") == collector) {
        return Err(Error::Plugin { collector, reason });
    }
    notify(Notice::Note(format!("plugin {collector} is left out: {reason}")));
    refused.insert(collector, reason);
    Ok(())
}

/// Loads the native halves of the collectors that were asked for, or of all that are taken where none was. One that is refused is
/// left out.
fn load_natives(
    request: &Request,
    catalog: &Catalog,
    notify: &mut dyn FnMut(Notice),
) -> Result<Vec<native::enrich::Loaded>, Error> {
    let mut loaded = Vec::new();
    for fragment in plan::collectors(request, catalog)? {
        if fragment.native.as_ref().is_none_or(|half| half.section.is_none()) {
            continue;
        }
        let number = |name: &str| request.numbers.get(name).copied().map(u64::from);
        let text = |name: &str| request.texts.get(name).cloned();
        let options = native::options(fragment, number, text);
        match native::enrich::Loaded::new(fragment, options, request.utc, request.link_header) {
            Ok(one) => loaded.push(one),
            Err(why) => {
                let name = &fragment.manifest.name;
                if request.collectors.iter().any(|named| named.value.replace('-', "_") == *name) {
                    return Err(Error::Plugin { collector: name.clone(), reason: why.to_string() });
                }
                notify(Notice::Plugin(format!("plugin {name} goes on without its native half: {why}")));
            }
        }
    }
    Ok(loaded)
}

/// Tells them the session. From here on, one that fails is left alone.
fn start_natives(
    natives: Vec<native::enrich::Loaded>,
    attached: &Attached,
    notify: &mut dyn FnMut(Notice),
) -> Option<Enriching> {
    if natives.is_empty() {
        return None;
    }
    let mut refuse = |name: &str, why: &native::Quarantine| {
        notify(Notice::Plugin(format!("plugin {name} goes on without its native half: {why}")));
    };
    let mut enriching = Enriching::start(natives, &session(attached.probes()), &mut refuse);
    for said in enriching.said() {
        notify(Notice::Plugin(said));
    }
    for (plugin, section) in enriching.sections() {
        notify(Notice::Note(format!(
            "plugin {plugin} adds section {section} to events, in a process of its own"
        )));
    }
    Some(enriching)
}

/// Says how many hooks each collector has.
fn tell_hooks(attached: &Attached, notify: &mut dyn FnMut(Notice)) {
    let mut collectors: BTreeMap<&str, usize> = BTreeMap::new();
    attached.hooks().for_each(|(collector, ..)| *collectors.entry(collector).or_default() += 1);
    for (collector, hooks) in collectors {
        notify(Notice::Hooked { collector: collector.to_owned(), hooks });
    }
}

/// Says which hooks the kernel did not run for every hit.
fn tell_missed(attached: &Attached, notify: &mut dyn FnMut(Notice)) {
    for (collector, at, missed) in attached.hooks() {
        if let Some(missed) = missed.filter(|missed| *missed > 0) {
            notify(Notice::Note(format!(
                "collector {collector}: its hook at {at} was not run for {missed} hits, which came while it ran"
            )));
        }
    }
}

/// Says of each probe how it is attached; of a pattern's many, how many in which way.
fn tell_attached(live: &[Live], notify: &mut dyn FnMut(Notice)) {
    let sections = |live: &Live| -> Vec<String> {
        live.info.layout.sections().iter().map(|s| s.schema.section().to_owned()).collect()
    };
    let mut patterns: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for live in live {
        match &live.pattern {
            Some(pattern) => *patterns.entry((pattern, live.way.to_string())).or_default() += 1,
            None => notify(Notice::Attached {
                probe: live.name.clone(),
                way: live.way,
                module: live.module.clone(),
                sections: sections(live),
                refused: live.refused.clone(),
            }),
        }
    }
    for ((pattern, way), probes) in patterns {
        notify(Notice::AttachedMany { pattern: pattern.to_owned(), way, probes });
    }
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

async fn attach(
    request: &Request,
    plan: &mut Plan<'_>,
    types: &Types,
    symbols: &Symbols,
    signals: &mut Signals,
) -> Result<(Attached, Ring, Vec<String>), Error> {
    let cpus = PossibleCpus::read();
    let cpus = cpus.map_err(|error| Error::System { what: "cannot read the number of CPUs", error })?;
    // Ids of CPUs may have gaps; a slot is needed up to the highest.
    let cpus = u32::try_from(cpus.slots).unwrap_or(u32::MAX);
    let (ring, rings) = rings(request.ring_size.unwrap_or_else(default_ring_size))?;
    let mut tries = TRIES;
    loop {
        let loader = Loader::new(plan, types, symbols, &rings, cpus, request.rate)?;
        match loader.strict(request.strict).load() {
            Ok(mut outcome) => {
                let left_out = std::mem::take(&mut outcome.left_out);
                return Ok((Attached::new(outcome, rings), ring, left_out));
            }
            // The verifier stopped for a signal: perhaps one that does not concern this run.
            Err(Error::Collector { number, reason, .. }) => {
                plan.refuse(!request.collectors.is_empty(), number, &reason)?;
            }
            Err(Error::Interrupted) if tries > 0 && !signals.has_come().await => tries -= 1,
            Err(error) => return Err(error),
        }
    }
}

/// A thirty-second of the memory, at most 32 MiB: a burst of some 40,000 events with stacks.
fn default_ring_size() -> u32 {
    let info = rustix::system::sysinfo();
    let memory = info.totalram as u64 * u64::from(info.mem_unit);
    u32::try_from((memory / 32).clamp(1 << 20, 32 << 20)).unwrap_or(32 << 20).next_power_of_two()
}

/// What is true of all events of this run.
fn session(probes: Arc<Probes>) -> Session {
    let uname = rustix::system::uname();
    Session {
        tracer: env!("CARGO_PKG_VERSION").to_owned(),
        host: uname.nodename().to_string_lossy().into_owned(),
        kernel: uname.release().to_string_lossy().into_owned(),
        machine: uname.machine().to_string_lossy().into_owned(),
        command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        own_netns: NetNs::of_this_thread().ok().map(|ns| u64::from(ns.inum)),
        probes,
    }
}

/// The running part: what is attached, and what it changed.
struct Flow<'a> {
    request: &'a Request,
    attached: Attached,
    ledger: Ledger,
    pump: Pump,
    words: UnboundedReceiver<Word>,
    command: Option<RunningCommand>,
}

impl<'a> Flow<'a> {
    fn start(
        request: &'a Request,
        attached: Attached,
        ring: Ring,
        ledger: Ledger,
        symbols: Symbols,
        sink: Box<dyn Sink + Send>,
        enriching: Option<Enriching>,
    ) -> Result<Self, Error> {
        let (sender, words) = unbounded_channel();
        let probes = enriching.as_ref().map_or_else(|| attached.probes(), Enriching::probes);
        let parts = Parts {
            source: Box::new(Rings::new(attached.probes(), ring)),
            sink,
            symbols: Names(symbols),
            session: session(probes),
            enriching,
            show: Show { link_header: request.link_header, utc: request.utc },
            stop_after: request.stop_after,
            keep: if request.new_files { &[Capability::DacOverride, Capability::Chown] } else { &[] },
            stacks: request.probes.iter().flat_map(|spec| &spec.alternatives).any(|p| p.value.stack),
        };
        let pump = Pump::start(parts, sender);
        let pump = pump.map_err(|error| Error::System { what: "cannot start a thread", error })?;
        // Everything is attached, and the command must not run before; so it starts before the
        // privileges go, which it is to have as the user has them.
        if let Some(path) = &request.ready_file {
            std::fs::write(path, "").map_err(|error| Error::ReadyFile { path: path.clone(), error })?;
        }
        let command = request.cmd.as_deref().map(RunningCommand::start).transpose()?;
        // What is left to do: read counters, detach, remove the table.
        let _ =
            keep_only(&[Capability::Bpf, Capability::Perfmon, Capability::NetAdmin, Capability::SysAdmin]);
        Ok(Self { request, attached, ledger, pump, words, command })
    }

    async fn run(mut self, mut signals: Signals, notify: &mut dyn FnMut(Notice)) -> Result<Outcome, Error> {
        notify(Notice::Running { ends: self.ends() });
        let ended = self.until_end(&mut signals, notify).await;

        // Backwards, whatever ended it. The switch first: it makes the kernel work for us.
        let undone = self.ledger.undo();
        let stopped = self.attached.stop();
        if let Some(command) = self.command.take() {
            command.end().await;
        }
        let counts = self.attached.counts()?;
        self.tell_shortfalls();
        self.attached.shortfalls_in_all().into_iter().for_each(|told| notify(Notice::Note(told)));
        tell_missed(&self.attached, notify);
        let mut ended = ended?;
        if !matches!(ended, Ended::OutputClosed | Ended::OutputFailed(_))
            && let Some(error) = self.rest(&counts, &mut signals, notify).await?
        {
            ended = Ended::of_output(error);
        }
        undone?;
        stopped?;
        let (events, malformed) = self.seen();
        let delivered: u64 = counts.iter().map(|c| c.delivered).sum();
        let left = delivered.saturating_sub(events + malformed);
        let diagnosis = (events == 0).then(|| diagnose(&counts, left, self.ledger.tracing_is_off()));
        Ok(Outcome { events, left, malformed, ended, counts, diagnosis })
    }

    fn tell_shortfalls(&mut self) {
        let shortfalls = self.attached.shortfalls();
        if !shortfalls.is_empty() {
            self.pump.tell(shortfalls);
        }
    }

    fn ends(&self) -> String {
        match (&self.command, self.request.stop_after) {
            (Some(_), _) => "it ends when the command does, or with Ctrl-C".to_owned(),
            (None, Some(1)) => "it ends after an event, or with Ctrl-C".to_owned(),
            (None, Some(n)) => format!("it ends after {n} events, or with Ctrl-C"),
            (None, None) => "Ctrl-C ends it".to_owned(),
        }
    }

    fn seen(&self) -> (u64, u64) {
        let progress = &self.pump.progress;
        (progress.events.load(Ordering::Relaxed), progress.malformed.load(Ordering::Relaxed))
    }

    async fn until_end(
        &mut self,
        signals: &mut Signals,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<Ended, Error> {
        let mut tick = tokio::time::interval(PROGRESS);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tick.tick().await;
        let (mut since, mut before) = (Instant::now(), 0);
        loop {
            let command = async {
                match &mut self.command {
                    Some(command) => command.ended().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                name = signals.next() => return Ok(Ended::Signal(name)),
                word = self.words.recv() => match word {
                    Some(Word::Said(text)) => notify(Notice::Plugin(text)),
                    Some(Word::Enough) => return Ok(Ended::Count),
                    Some(Word::Failed(error)) => return Ok(Ended::of_output(error)),
                    // It finishes only when it is told to; a thread that is gone has panicked.
                    Some(Word::Finished) | None => {
                        return Err(Error::Output(io::Error::other("the output thread ended")));
                    }
                },
                status = command => return status.map(Ended::Command),
                _ = tick.tick() => {
                    let (events, elapsed) = (self.seen().0, since.elapsed().as_millis().max(1));
                    let rate = u128::from(events - before) * 1000 / elapsed;
                    (since, before) = (Instant::now(), events);
                    self.tell_shortfalls();
                    if let Ok(counts) = self.attached.counts() {
                        let sum = |of: fn(&Counts) -> u64| counts.iter().map(of).sum();
                        notify(Notice::Progress {
                            events,
                            rate: u64::try_from(rate).unwrap_or(u64::MAX),
                            lost: sum(|c| c.lost),
                            limited: sum(|c| c.limited),
                        });
                    }
                }
            }
        }
    }

    /// Has the sink take what was on its way when the probes were detached. A sink that blocks is
    /// waited for until the user does not want to wait. Returns the error of a sink that failed.
    async fn rest(
        &mut self,
        counts: &[Counts],
        signals: &mut Signals,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<Option<io::Error>, Error> {
        let finish = self.pump.finish(counts.to_vec());
        finish.map_err(|error| Error::System { what: "cannot wake the output thread", error })?;
        let delivered: u64 = counts.iter().map(|c| c.delivered).sum();
        let mut told = false;
        loop {
            tokio::select! {
                word = self.words.recv() => match word {
                    Some(Word::Said(text)) => notify(Notice::Plugin(text)),
                    Some(Word::Enough) => {}
                    Some(Word::Failed(error)) => return Ok(Some(error)),
                    Some(Word::Finished) | None => return Ok(None),
                },
                _ = signals.next() => return Ok(None),
                () = tokio::time::sleep(PATIENCE), if !told => {
                    told = true;
                    let (events, malformed) = self.seen();
                    notify(Notice::Waiting { left: delivered.saturating_sub(events + malformed) });
                }
            }
        }
    }
}

/// Why a run may have seen nothing: the likeliest reason that the counts allow.
fn diagnose(counts: &[Counts], left: u64, tracing_is_off: bool) -> String {
    let sum = |of: fn(&Counts) -> u64| counts.iter().map(of).sum::<u64>();
    let (hits, filtered, lost) = (sum(|c| c.hits), sum(|c| c.filtered), sum(|c| c.lost));
    if left > 0 {
        return format!("{left} waited when the output was closed");
    }
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

/// The kernel's names, in the form in which events ask for them.
struct Names(Symbols);

impl tracer_event::Symbols for Names {
    fn resolve(&self, address: u64) -> Option<Symbol<'_>> {
        self.0.resolve(address).map(|s| Symbol { name: s.name.into(), offset: s.offset })
    }
}
