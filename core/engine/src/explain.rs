//! What a run would do on this machine, without doing it: programs are composed and shown to the verifier, nothing is
//! attached and nothing is changed.

use std::fmt;

use tracer_compose::{Catalog, Fragment, Need, filter::Stage};
use tracer_kernel::{
    Capabilities, Capability, Symbols, attach::kprobes_present, host::PossibleCpus, limits::raise_limits,
    nft::trace_enabled,
};

use crate::{
    error::Error,
    ledger::Ledger,
    load::{Loader, alone},
    plan::{Plan, PlannedProbe},
    request::{Request, Way},
    source::rings,
    types::Types,
};

/// The plan of a run, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The kernel's release.
    pub kernel: String,
    /// Every probe that the kernel has; of a pattern's many, the first ones only.
    pub probes: Vec<ExplainedProbe>,
    /// What keeps the collectors' maps.
    pub hooks: Vec<ExplainedHook>,
    /// What is absent, and what else there is to know.
    pub notes: Vec<String>,
    /// What would be changed on the system, with consent.
    pub changes: Vec<String>,
    /// Whether the verifier was asked, which takes privileges.
    pub verified: bool,
}

/// A hook of a collector's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedHook {
    /// The collector.
    pub collector: String,
    /// Where it stands.
    pub at: String,
    /// Why it cannot stand there.
    pub refused: Option<String>,
    /// What the collector cannot do without it; `None` for one that it cannot do without at all.
    pub without: Option<String>,
}

/// One probe of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedProbe {
    /// As it was asked for.
    pub probe: String,
    /// The module that it is in.
    pub module: Option<String>,
    /// How it would be attached; without privileges, what would be tried, best first.
    pub ways: Vec<String>,
    /// Ways that are refused here, with the reasons.
    pub refused: Vec<(String, String)>,
    /// The sections that its events would have.
    pub sections: Vec<String>,
    /// Those that native halves of collectors would add.
    pub added: Vec<String>,
    /// Collectors that would read nothing there.
    pub idle: Vec<String>,
    /// What must hold for an event.
    pub conditions: Vec<String>,
    /// How many more places of the same pattern there are.
    pub more: usize,
}

/// Places of a pattern that are explained.
const SHOWN: usize = 3;

/// Explains what a run would do.
///
/// # Errors
///
/// What the run itself would end with, as far as it can be known.
pub fn explain(request: &Request, catalog: &Catalog) -> Result<Explanation, Error> {
    let collectors = crate::plan::collectors(request, catalog)?;
    let symbols = Symbols::open();
    let symbols = symbols.map_err(|error| Error::System { what: "cannot open /proc/kallsyms", error })?;
    raise_limits();
    let mut types = Types::new()?;
    types.add_files(&request.btf)?;
    Ledger::new(false).prepare(&collectors, &request.probes, &mut types, &mut |_| {})?;
    let (usable, refused) = usable(request, catalog, &mut types, &symbols)?;
    let mut plan = Plan::new(request, &usable, &mut types, &symbols)?;
    plan.notes.splice(0..0, refused);
    let own = Capabilities::of_this_thread()
        .map_err(|error| Error::System { what: "cannot read this process's capabilities", error })?;
    let verified = own.missing(&[Capability::Bpf, Capability::Perfmon]).is_empty();
    let probes = shown(&mut plan);
    let mut explained: Vec<ExplainedProbe> =
        plan.probes.iter().zip(probes).map(|(probe, more)| words(&plan, probe, more)).collect();
    let hooks = plan.hooks.iter().map(|hook| ExplainedHook {
        collector: plan.collectors[hook.collector].manifest.name.clone(),
        at: hook.at.to_string(),
        refused: None,
        without: hook.without.map(str::to_owned),
    });
    let mut hooks: Vec<ExplainedHook> = hooks.collect();
    if verified {
        let cpus = PossibleCpus::read();
        let cpus = cpus.map_err(|error| Error::System { what: "cannot read the number of CPUs", error })?;
        let (_ring, rings) = rings(64 << 10)?;
        let cpus = u32::try_from(cpus.slots).unwrap_or(u32::MAX);
        let mut loader = Loader::new(&plan, &types, &symbols, &rings, cpus, request.rate)?;
        for (hook, refused) in hooks.iter_mut().zip(loader.try_hooks()?) {
            hook.refused = refused;
        }
        for (probe, explained) in plan.probes.iter().zip(&mut explained) {
            let (way, refused) = loader.try_ways(probe)?;
            explained.ways = way.map(|way| way.to_string()).into_iter().collect();
            explained.refused = refused;
        }
    }
    let mut changes = Vec::new();
    if plan.needs.contains(&Need::NftTrace) {
        let is_on = trace_enabled(&symbols).is_ok_and(|on| on == Some(true));
        changes.push(if is_on {
            "nothing: a rule with `meta nftrace set` is there already".to_owned()
        } else {
            "an nftables table of tracer's own, with a rule that sees no packet, while it runs".to_owned()
        });
    }
    let kernel = tracer_kernel::host::KernelRelease::running().text;
    Ok(Explanation { kernel, probes: explained, hooks, notes: plan.notes.clone(), changes, verified })
}

/// The collectors without the plugins that the verifier refuses, and what to say of those; without privileges, all.
fn usable(
    request: &Request,
    catalog: &Catalog,
    types: &mut Types,
    symbols: &Symbols,
) -> Result<(Catalog, Vec<String>), Error> {
    let own = Capabilities::of_this_thread()
        .map_err(|error| Error::System { what: "cannot read this process's capabilities", error })?;
    if !own.missing(&[Capability::Bpf, Capability::Perfmon]).is_empty() {
        return Ok((catalog.clone(), Vec::new()));
    }
    let refused = alone::refused(catalog, request, types, symbols)?;
    let told = refused.iter().map(|(name, reason)| format!("plugin {name} is left out: {reason}"));
    Ok((catalog.without(&refused), told.collect()))
}

/// What becomes of the filters of a request at one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterAtProbe {
    /// As it was asked for.
    pub probe: String,
    /// How it would be attached; `None` where nothing is known of that without privileges.
    pub way: Option<String>,
    /// When each condition is decided, and what it is about.
    pub stages: Vec<(String, String)>,
    /// The filter's instructions; empty without privileges.
    pub listing: String,
    /// How many more places of the same pattern there are.
    pub more: usize,
}

/// Explains what becomes of a request's filters: where each part is decided, and the instructions that do it.
///
/// # Errors
///
/// What the run itself would end with, as far as it can be known.
pub fn explain_filter(
    request: &Request,
    catalog: &Catalog,
) -> Result<(Vec<FilterAtProbe>, Vec<String>), Error> {
    let symbols = Symbols::open();
    let symbols = symbols.map_err(|error| Error::System { what: "cannot open /proc/kallsyms", error })?;
    raise_limits();
    let mut types = Types::new()?;
    types.add_files(&request.btf)?;
    let collectors = crate::plan::collectors(request, catalog)?;
    Ledger::new(false).prepare(&collectors, &request.probes, &mut types, &mut |_| {})?;
    let (usable, refused) = usable(request, catalog, &mut types, &symbols)?;
    let mut plan = Plan::new(request, &usable, &mut types, &symbols)?;
    plan.notes.splice(0..0, refused);
    let more = shown(&mut plan);
    let mut found: Vec<FilterAtProbe> = Vec::new();
    for (probe, more) in plan.probes.iter().zip(more) {
        let stages =
            probe.filter.iter().map(|condition| (stage(probe, condition.stage()), condition.subject()));
        let (stages, listing) = (stages.collect(), String::new());
        found.push(FilterAtProbe { probe: probe.probe.to_string(), way: None, stages, listing, more });
    }
    let own = Capabilities::of_this_thread()
        .map_err(|error| Error::System { what: "cannot read this process's capabilities", error })?;
    if own.missing(&[Capability::Bpf, Capability::Perfmon]).is_empty() {
        let (_ring, rings) = rings(64 << 10)?;
        let mut loader = Loader::new(&plan, &types, &symbols, &rings, 1, request.rate)?;
        for (probe, found) in plan.probes.iter().zip(&mut found) {
            if let Some((way, listing)) = loader.filter_listing(probe)? {
                found.way = Some(way.to_string());
                found.listing = listing;
            }
        }
    }
    Ok((found, plan.notes.clone()))
}

fn stage(probe: &PlannedProbe<'_>, stage: Stage) -> String {
    match stage {
        Stage::Early => "before anything is read".to_owned(),
        Stage::Return => "when the function returns".to_owned(),
        Stage::Reader(reader) => {
            let section = probe.readers.get(reader).map_or("", |(_, reader)| reader.schema.section());
            format!("behind the reader of {section}")
        }
    }
}

/// Leaves the first few of each pattern's places in the plan; says of each probe how many were left out behind it.
fn shown(plan: &mut Plan<'_>) -> Vec<usize> {
    let mut more: Vec<usize> = Vec::new();
    let mut kept: Vec<PlannedProbe<'_>> = Vec::new();
    for probe in plan.probes.drain(..) {
        let same = |known: &PlannedProbe<'_>| probe.pattern.is_some() && known.pattern == probe.pattern;
        if kept.iter().filter(|known| same(known)).count() < SHOWN {
            kept.push(probe);
            more.push(0);
        } else if let Some(last) = kept.iter().rposition(same) {
            more[last] += 1;
        }
    }
    plan.probes = kept;
    more
}

fn words(plan: &Plan<'_>, probe: &PlannedProbe<'_>, more: usize) -> ExplainedProbe {
    let readers = probe.readers.iter().map(|(_, reader)| reader.schema.section().to_owned());
    let returns = probe.returns.iter().map(|schema| schema.section().to_owned());
    let reporting = &plan.collectors[..plan.reporting];
    let adds = |fragment: &&&Fragment| {
        fragment.native.as_ref().is_some_and(|native| native.adds_to(|section| probe.reads(section)))
    };
    let added = reporting.iter().filter(adds).filter_map(|f| f.native_section()).map(str::to_owned);
    let idle = reporting.iter().enumerate().filter(|(index, fragment)| {
        !adds(fragment) && probe.readers.iter().all(|(reader, _)| reader != index)
    });
    let ways = if kprobes_present() {
        probe.ways.iter().map(ToString::to_string).collect()
    } else {
        let there = |way: &&Way| !matches!(way, Way::Kprobe | Way::KprobeMulti | Way::Kretprobe);
        probe.ways.iter().filter(there).map(ToString::to_string).collect()
    };
    ExplainedProbe {
        probe: probe.probe.to_string(),
        module: probe.place.as_ref().and_then(|place| place.module.clone()),
        ways,
        refused: Vec::new(),
        sections: readers.chain(returns).collect(),
        added: added.collect(),
        idle: idle.map(|(_, fragment)| fragment.manifest.name.clone()).collect(),
        conditions: probe.asked.words(),
        more,
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "On Linux {}:", self.kernel)?;
        for probe in &self.probes {
            let ExplainedProbe {
                probe: name,
                module,
                ways,
                refused,
                sections,
                added,
                idle,
                conditions,
                more,
            } = probe;
            let module = module.as_ref().map_or(String::new(), |module| format!(", in module {module}"));
            writeln!(f, "\n{name}{module}")?;
            match (&ways[..], self.verified) {
                ([], _) => writeln!(f, "    cannot be attached")?,
                ([way, ..], true) => writeln!(f, "    attached by {way}")?,
                (ways, false) => {
                    writeln!(f, "    attached by the first of {} that is permitted", ways.join(", "))?;
                }
            }
            for (way, reason) in refused {
                writeln!(f, "    not by {way}: {reason}")?;
            }
            match sections[..] {
                [] if !added.is_empty() => {}
                [] => writeln!(f, "    reads nothing: its events say only that it was hit")?,
                _ => writeln!(f, "    reads {}", sections.join(", "))?,
            }
            if !added.is_empty() {
                writeln!(f, "    is told {} by native halves of plugins", added.join(", "))?;
            }
            if !idle.is_empty() {
                writeln!(f, "    has nothing for {}", idle.join(", "))?;
            }
            for condition in conditions {
                writeln!(f, "    only if {condition}")?;
            }
            if *more > 0 {
                writeln!(f, "and {more} more places of the same pattern")?;
            }
        }
        for (index, hook) in self.hooks.iter().enumerate() {
            let ExplainedHook { collector, at, refused, without } = hook;
            if index == 0 || self.hooks[index - 1].collector != *collector {
                writeln!(f, "\nhooks of {collector}, which cost something whether or not a probe is hit")?;
            }
            match refused {
                None => writeln!(f, "    {at}")?,
                Some(reason) => {
                    let instead = without.as_deref().unwrap_or("the collector cannot be used");
                    writeln!(f, "    not {at}: {reason}\n        so {instead}")?;
                }
            }
        }
        if !self.notes.is_empty() {
            writeln!(f)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))?;
        match self.changes[..] {
            [] => writeln!(f, "\nNothing is changed on this system."),
            _ => writeln!(f, "\nWith --allow-system-changes it adds: {}.", self.changes.join(", ")),
        }
    }
}
