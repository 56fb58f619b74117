//! A request, resolved against the catalog and this kernel: which place each probe is, what its
//! arguments are, which readers run there. Nothing is loaded or changed to find that out. A plan
//! that exists can be composed; only the verifier and the host's policy can still refuse.

mod expand;
mod filters;
mod hooks;
mod returns;

pub use hooks::PlannedHook;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tracer_bpf::Btf;
use tracer_compose::filter::{Condition, Source};
use tracer_compose::{
    Accessor, ArgType, Arguments, Catalog, Follow, Fragment, From, KernelEnums, NativeHalf, Need, Reader,
    option_name,
};
use tracer_dsl::{
    Diagnostic, Diagnostics,
    probe::{Probe, ProbeKind, ProbeSpec},
};
use tracer_event::Schema;
use tracer_kernel::Symbols;

use crate::{
    error::Error,
    host::Machine,
    plan::expand::{Expander, Found},
    plan::filters::{Asked, Here, excepted},
    request::{Request, Way},
    types::{Place, Types},
};

/// What will be attached, and what will run there.
pub struct Plan<'a> {
    /// The collectors, in the order in which their sections stand in records; behind them those
    /// that only guard a probe.
    pub collectors: Vec<&'a Fragment>,
    /// How many of them report.
    pub(crate) reporting: usize,
    /// One for each probe that exists.
    pub probes: Vec<PlannedProbe<'a>>,
    /// What keeps the collectors' maps.
    pub hooks: Vec<PlannedHook<'a>>,
    /// Maps of the collectors that an option sizes, with their numbers of entries.
    pub sizes: BTreeMap<String, u32>,
    /// What the collectors need of the system.
    pub needs: BTreeSet<Need>,
    /// What the user should know about what was asked and cannot be had.
    pub notes: Vec<String>,
    /// The collectors' options that are numbers: collector's number and option to value.
    pub constants: BTreeMap<(usize, String), u64>,
    /// The kernel's names for values of the collectors' fields.
    pub kernel_enums: KernelEnums,
    /// The types that filters take pointers as.
    pub(crate) casts: Vec<Arc<Btf>>,
}

impl Plan<'_> {
    /// The kernel symbols whose addresses the fragments ask for.
    pub fn symbols(&self) -> BTreeSet<&str> {
        let wants = self.probes.iter().flat_map(|p| {
            let readers = p.readers.iter().map(|(_, r)| &r.wants);
            let asked = p.filter.iter().flat_map(Condition::leaves).filter_map(|leaf| match leaf {
                Condition::Value(Source::Accessor { accessor, .. }, _) => Some(&accessor.wants),
                Condition::Followed { follow, .. } => Some(&follow.asked.wants),
                _ => None,
            });
            let note = p.follow.iter().map(|(_, follow)| &follow.note.wants);
            let packet = p.packet.iter().map(|(_, reader)| &reader.wants);
            readers.chain(asked).chain(note).chain(packet).chain(p.guards.iter().map(|g| &g.accessor.wants))
        });
        let wants = wants.chain(self.hooks.iter().map(|hook| &hook.hook.wants));
        let symbols = wants.flat_map(|w| &w.members).filter_map(|w| match &w.from {
            From::Symbol(name) => Some(name.as_str()),
            _ => None,
        });
        symbols.collect()
    }
}

/// A probe that this kernel has.
pub struct PlannedProbe<'a> {
    /// As it was asked for, but of exactly this place.
    pub probe: Probe,
    /// The pattern that it matches, if it was asked for by one.
    pub pattern: Option<Probe>,
    /// What the kernel's types say of the place; nothing, for a function that has only a name.
    pub place: Option<Place>,
    /// What the place's arguments are.
    pub arguments: Arguments,
    /// For a return: the section of the returned value, where there is one.
    pub returns: Option<Arc<Schema>>,
    /// The readers that run there; the number is the collector's in [`Plan::collectors`].
    pub readers: Vec<(usize, &'a Reader)>,
    /// What was asked of its hits.
    pub(crate) asked: Asked<'a>,
    /// What must hold for an event to be reported, in the order in which it is asked.
    pub filter: Vec<Condition<'a>>,
    /// What notes that a packet has passed the filter, where packets are followed; the number is the collector's.
    pub follow: Option<(usize, &'a Follow)>,
    /// What reads the packets that the filter asks about; the number is the collector's.
    pub packet: Option<(usize, &'a Reader)>,
    /// What holds there for all readers.
    pub guards: Vec<PlannedGuard<'a>>,
    /// The ways of attaching, best first.
    pub ways: Vec<Way>,
}

impl PlannedProbe<'_> {
    /// Whether some reader fills a section of this name there.
    pub(crate) fn reads(&self, section: &str) -> bool {
        self.readers.iter().any(|(_, reader)| reader.schema.section() == section)
    }
}

/// A guard, which binds whether or not its collector was asked for.
pub struct PlannedGuard<'a> {
    /// The collector's number in [`Plan::collectors`].
    pub collector: usize,
    /// What gives the value.
    pub accessor: &'a Accessor,
    /// The argument that is withheld.
    pub withhold: Option<ArgType>,
    /// The values with which it is.
    pub when: Vec<i64>,
}

impl<'a> Plan<'a> {
    /// Resolves a request.
    pub fn new(
        request: &Request,
        catalog: &'a Catalog,
        types: &mut Types,
        symbols: &Symbols,
    ) -> Result<Self, Error> {
        let collectors = collectors(request, catalog)?;
        let mut found = Diagnostics::new();
        let reporting = collectors.len();
        let readers = collectors.iter().flat_map(|f| &f.readers);
        let enums: BTreeSet<&str> =
            readers.flat_map(|r| &r.kernel_enums).flat_map(|f| &f.enums).map(String::as_str).collect();
        let kernel_enums = types.kernel_enums(enums);
        let filters = request.filters.iter().chain(request.probes.iter().flat_map(|probe| &probe.filter));
        let casts: BTreeSet<&str> = filters.flat_map(|filter| filter.value.casts()).collect();
        let casts = casts.into_iter().filter_map(|name| types.structure(name)).collect();
        let mut plan = Self {
            collectors,
            reporting,
            probes: Vec::new(),
            hooks: Vec::new(),
            sizes: BTreeMap::new(),
            needs: BTreeSet::new(),
            notes: Vec::new(),
            constants: BTreeMap::new(),
            kernel_enums,
            casts,
        };
        let mut expander = Expander::new(types, symbols);
        for spec in &merged(&request.probes) {
            match plan.wanted(spec, request, catalog, &mut expander) {
                Ok(()) => {}
                Err(Error::Diagnostics(diagnostics)) => {
                    // What is wrong at every probe is said once.
                    let new = diagnostics.iter().filter(|d| !found.iter().any(|known| known == *d));
                    for diagnostic in new.cloned().collect::<Vec<_>>() {
                        found.push(diagnostic);
                    }
                }
                Err(other) => return Err(other),
            }
        }
        found.or_value(())?;
        plan.settle(request, catalog)?;
        // Guards and filters may have brought collectors of their own.
        plan.constants = constants(request, &plan.collectors);
        plan.sizes = sizes(&plan.constants, &plan.collectors);
        if plan.probes.is_empty() {
            return Err(Error::Missing {
                message: "nothing to trace: this kernel has none of the probes".to_owned(),
                help: plan.notes.join("\n  = help: "),
            });
        }
        plan.note_idle(request, types);
        plan.add_hooks(!request.collectors.is_empty(), types)?;
        Ok(plan)
    }

    /// Adds all places that a probe means: the first of its alternatives that there is.
    fn wanted(
        &mut self,
        spec: &ProbeSpec,
        request: &Request,
        catalog: &'a Catalog,
        expander: &mut Expander<'_>,
    ) -> Result<(), Error> {
        if let Some(when) = spec.when.as_ref().filter(|when| !when.value.holds(&Machine::default())) {
            self.notes.push(format!("{} is for other machines: {}", spec.names(), when.value));
            return Ok(());
        }
        let mut absent = Vec::new();
        for alternative in &spec.alternatives {
            let probe = &alternative.value;
            match expander.expand(probe)? {
                Found::Places { places, notes } => {
                    self.notes.extend(notes);
                    let pattern = probe.is_pattern().then(|| probe.clone());
                    let mut unread = 0;
                    for (name, place) in places {
                        // It is there: that it might not have been says nothing any more.
                        let at = Probe { optional: false, ..probe.at(&name) };
                        unread +=
                            usize::from(!self.add(at, pattern.as_ref(), place, spec, request, catalog)?);
                    }
                    self.note_unread(probe, unread);
                    return Ok(());
                }
                Found::Nothing { reason, hint } => absent.push((alternative, reason, hint)),
            }
        }
        if spec.optional {
            let reasons: Vec<String> = absent.into_iter().map(|(_, reason, _)| reason).collect();
            self.notes.push(format!("{} is left out: {}", spec.names(), reasons.join("; ")));
            return Ok(());
        }
        let found = absent.into_iter().map(|(probe, reason, hint)| {
            let found = Diagnostic::error(format!("{} cannot be attached", probe.value));
            found.at(probe.source.clone()).because(reason).hint(hint)
        });
        Err(found.collect::<Diagnostics>().into())
    }

    /// Adds a probe at one place; says whether something is read there.
    fn add(
        &mut self,
        probe: Probe,
        pattern: Option<&Probe>,
        place: Option<Place>,
        spec: &ProbeSpec,
        request: &Request,
        catalog: &'a Catalog,
    ) -> Result<bool, Error> {
        let derive: Vec<String> = catalog.iter().flat_map(|f| f.manifest.derive.iter().cloned()).collect();
        let arguments = place.as_ref().map_or_else(Arguments::default, |place| {
            Arguments::of_function(&place.btf, place.prototype, place.skip, &derive)
        });
        let mut readers = Vec::new();
        for (index, fragment) in self.collectors[..self.reporting].iter().enumerate() {
            let fragment: &'a Fragment = fragment;
            let here = fragment.readers.iter().filter(|r| r.wants.met_by(&arguments));
            let exception = hooks::exception(fragment, &probe);
            if let Some(exception) = exception.filter(|_| here.clone().next().is_some()) {
                let name = &fragment.manifest.name;
                self.notes.push(format!("collector {name} reads nothing at {probe}: {}", exception.why));
                continue;
            }
            let before = readers.len();
            readers.extend(here.map(|r| (index, r)));
            if readers.len() > before {
                self.needs.extend(fragment.manifest.needs.iter().copied());
            }
        }
        // What native halves say of events has no readers, and needs no argument.
        let readers_here = |section: &str| readers.iter().any(|(_, r)| r.schema.section() == section);
        let adding = self.collectors[..self.reporting]
            .iter()
            .filter(|fragment| fragment.native.as_ref().is_some_and(|native| native.adds_to(readers_here)));
        let mut reads = !readers.is_empty() || self.reading().next().is_none();
        for fragment in adding {
            self.needs.extend(fragment.manifest.needs.iter().copied());
            reads = true;
        }
        let returns = match probe.kind {
            ProbeKind::Kretprobe | ProbeKind::Fexit => place.as_ref().and_then(returns::schema),
            _ => None,
        };
        let casts = self.casts.clone();
        let here = Here {
            catalog,
            readers: &readers,
            excepted: excepted(catalog, &probe),
            arguments: &arguments,
            types: place
                .iter()
                .flat_map(|place| [&place.btf].into_iter().chain(&casts))
                .map(|btf| &**btf)
                .collect(),
            returns: returns.as_deref(),
        };
        let wish = self.wish(&request.conditions, &spec.filter, &here)?;
        // Asked for twice, it is one probe, with what both want: an event that either wants.
        if let Some(known) = self.probes.iter_mut().find(|known| known.probe.same_place(&probe)) {
            known.probe.join(&probe);
            known.asked.wanted.push(wish);
            return Ok(true);
        }
        let always: Result<Vec<_>, Diagnostics> =
            request.filters.iter().map(|filter| self.of_filter(filter, &here)).collect();
        let asked = Asked { wanted: vec![wish], always: always? };
        let guards = self.guards(catalog, &arguments);
        let ways = ways(request.attach, probe.kind, place.as_ref());
        self.probes.push(PlannedProbe {
            probe,
            pattern: pattern.cloned(),
            place,
            arguments,
            returns,
            readers,
            asked,
            filter: Vec::new(),
            follow: None,
            packet: None,
            guards,
            ways,
        });
        Ok(reads)
    }

    /// The collectors that report and have readers; the others have a native half only.
    pub(crate) fn reading(&self) -> impl Iterator<Item = &'a Fragment> {
        self.collectors[..self.reporting].iter().copied().filter(|fragment| !fragment.readers.is_empty())
    }

    /// Says of how many of a probe's places no collector knows anything.
    fn note_unread(&mut self, probe: &Probe, unread: usize) {
        let names: Vec<&str> = self.reading().map(|f| f.manifest.name.as_str()).collect();
        let names = names.join(", ");
        match unread {
            0 => {}
            1 if !probe.is_pattern() => self.notes.push(format!(
                "{probe}: no argument of the function is known to {names}; its events say only that it was called"
            )),
            n => self.notes.push(format!(
                "{probe}: {n} of the functions have no argument that is known to {names}; their events say only that \
                 they were called"
            )),
        }
    }

    /// The guards of all collectors that there are at a probe with these arguments.
    fn guards(&mut self, catalog: &'a Catalog, arguments: &Arguments) -> Vec<PlannedGuard<'a>> {
        let mut guards = Vec::new();
        for fragment in catalog.iter() {
            let Some((accessor, withhold, when)) = fragment.guard() else { continue };
            if !accessor.wants.met_by(arguments) {
                continue;
            }
            let known = self.collectors.iter().position(|c| c.manifest.name == fragment.manifest.name);
            let collector = known.unwrap_or_else(|| {
                self.collectors.push(fragment);
                self.collectors.len() - 1
            });
            guards.push(PlannedGuard { collector, accessor, withhold, when });
        }
        guards
    }

    /// A collector that was asked for by name and reads nothing anywhere should not be silent.
    fn note_idle(&mut self, request: &Request, types: &Types) {
        for (index, fragment) in self.collectors[..self.reporting].iter().enumerate() {
            if request.collectors.is_empty() {
                continue;
            }
            if let Some(native) = fragment.native.as_ref().filter(|_| fragment.readers.is_empty()) {
                // It reads nothing, and may still have nothing to add to.
                let has = |section: &str| self.probes.iter().any(|p| p.reads(section));
                if !native.adds_to(has) {
                    self.notes.push(idle_native(fragment, native));
                }
                continue;
            }
            let reads = self.probes.iter().any(|p| p.readers.iter().any(|(i, _)| *i == index));
            if !reads {
                self.notes.push(idle(fragment, |ty| types.has(ty)));
            }
        }
    }
}

/// The ways of attaching to a place, best first.
fn ways(forced: Option<Way>, kind: ProbeKind, place: Option<&Place>) -> Vec<Way> {
    // Types out of a file are not the kernel's, and what has no types cannot be named by them.
    let by_types = place.is_some_and(|place| !place.from_file);
    let all: &[Way] = match kind {
        ProbeKind::Kprobe if by_types => &[Way::Fentry, Way::KprobeMulti, Way::Kprobe],
        ProbeKind::Kprobe => &[Way::KprobeMulti, Way::Kprobe],
        ProbeKind::Fentry => &[Way::Fentry],
        ProbeKind::Kretprobe if by_types => &[Way::Fexit, Way::Kretprobe],
        ProbeKind::Kretprobe => &[Way::Kretprobe],
        ProbeKind::Fexit => &[Way::Fexit],
        ProbeKind::RawTracepoint if by_types => &[Way::TpBtf, Way::RawTracepoint],
        ProbeKind::RawTracepoint => &[Way::RawTracepoint],
    };
    let of_returns = matches!(kind, ProbeKind::Kretprobe | ProbeKind::Fexit);
    let forced = match forced {
        Some(Way::Fentry) if of_returns => Some(Way::Fexit),
        Some(Way::Kprobe) if of_returns => Some(Way::Kretprobe),
        forced => forced,
    };
    match forced {
        Some(way) if all.contains(&way) => vec![way],
        // One program for many is worth it for many only: the loader puts it first then.
        _ => all.iter().copied().filter(|way| *way != Way::KprobeMulti).collect(),
    }
}

/// Why a collector reads nothing: because this kernel has nothing for it, or because the probes have not.
pub(crate) fn idle(fragment: &Fragment, has: impl Fn(&ArgType) -> bool) -> String {
    let name = &fragment.manifest.name;
    let needs = fragment.needs_argument();
    if let Some(without) = &fragment.manifest.without
        && !needs.iter().any(|ty| has(ty))
    {
        return format!("collector {name}: {without}");
    }
    let needs: Vec<String> = needs.iter().map(|ty| format!("`{ty}`")).collect();
    format!(
        "collector {name} finds nothing to read at these probes: it reads where a function is given {}",
        needs.join(" or ")
    )
}

/// Why a collector with nothing but a native half adds nothing to events.
fn idle_native(fragment: &Fragment, native: &NativeHalf) -> String {
    let sections: Vec<String> = native.with.iter().map(|section| format!("`{section}`")).collect();
    format!(
        "collector {} adds nothing at these probes: it does so to events that have section {}, and none has (`-c` takes the \
         collector that reads it)",
        fragment.manifest.name,
        sections.join(" or ")
    )
}

/// What to say to a request without probes.
pub(crate) fn nothing_to_trace() -> Diagnostic {
    Diagnostic::error("nothing to trace: no probe was given")
        .hint("take a profile, such as `-p nft-dropmon`, or a probe, such as `-P kprobe:FUNCTION`")
}

/// What is written in place of collectors when nothing is to be read: events then say that a probe was hit, and where.
const NO_COLLECTOR: &str = "none";

/// The collectors that were asked for; all of them where nobody asked, but for those that want to be asked for.
pub(crate) fn collectors<'a>(
    request: &Request,
    catalog: &'a Catalog,
) -> Result<Vec<&'a Fragment>, Diagnostics> {
    if request.collectors.is_empty() {
        let usual = |fragment: &&Fragment| fragment.manifest.default && fragment.is_collector();
        return Ok(catalog.iter().filter(usual).collect());
    }
    if let Some(none) = request.collectors.iter().find(|name| name.value == NO_COLLECTOR) {
        return match request.collectors.iter().find(|name| name.value != NO_COLLECTOR) {
            None => Ok(Vec::new()),
            Some(other) => {
                let message = format!("`{NO_COLLECTOR}` and `{}` cannot both be read", other.value);
                Err(Diagnostic::error(message).at(none.source.clone()).hint("leave one of them out").into())
            }
        };
    }
    let mut found = Diagnostics::new();
    let mut collectors: Vec<&Fragment> = Vec::new();
    for name in &request.collectors {
        match catalog.collector(name) {
            Ok(f) if collectors.iter().any(|c| c.manifest.name == f.manifest.name) => {}
            Ok(f) => collectors.push(f),
            Err(diagnostic) => found.push(*diagnostic),
        }
    }
    found.or_value(collectors)
}

/// The values of the collectors' options that are numbers.
fn constants(request: &Request, collectors: &[&Fragment]) -> BTreeMap<(usize, String), u64> {
    let mut constants = BTreeMap::new();
    for (index, fragment) in collectors.iter().enumerate() {
        for option in &fragment.manifest.options {
            let Some(number) = option.number else { continue };
            let given = request.numbers.get(&option_name(&fragment.manifest.name, option));
            let value = given.copied().unwrap_or(number.default);
            constants.insert((index, option.name.clone()), u64::from(value));
        }
    }
    constants
}

/// The maps that options size.
fn sizes(constants: &BTreeMap<(usize, String), u64>, collectors: &[&Fragment]) -> BTreeMap<String, u32> {
    let options = collectors
        .iter()
        .enumerate()
        .flat_map(|(index, fragment)| fragment.manifest.options.iter().map(move |option| (index, option)));
    let sized = options.filter_map(|(index, option)| {
        let entries = constants.get(&(index, option.name.clone()))?;
        Some((option.sizes.clone()?, u32::try_from(*entries).unwrap_or(u32::MAX)))
    });
    sized.collect()
}

/// The same places asked for twice under the same conditions are one probe with the options of both.
fn merged(probes: &[ProbeSpec]) -> Vec<ProbeSpec> {
    let mut merged: Vec<ProbeSpec> = Vec::new();
    for probe in probes {
        match merged.iter_mut().find(|p| p.same_place(probe)) {
            Some(known) => known.join(probe),
            None => merged.push(probe.clone()),
        }
    }
    merged
}

#[cfg(test)]
#[path = "native_tests.rs"]
mod native_tests;
