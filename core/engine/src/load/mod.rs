//! From a plan to programs in the kernel: compose, load, attach. A probe is tried by the ways of its
//! ladder until one is taken; what was refused is kept, for the message that says why.

pub(crate) mod alone;
mod explain;
mod group;
mod hooks;
mod program;

pub(crate) use hooks::LiveHook;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tracer_compose::filter::Condition;
use tracer_compose::{
    Attach, BoundReader, Build, Fragment, Guard, Image, Linked, Reader, ReturnValue, Role, Shape, Target,
    compose, kernel_types,
};
use tracer_dsl::filter::HeaderField;
use tracer_event::{ProbeInfo, Tag, Trim};
use tracer_kernel::{
    AttachError, Link, Map, Place as KernelPlace, Program, Symbols, attach::kprobes_present,
    host::KernelRelease,
};

use crate::{
    error::Error,
    plan::{Plan, PlannedProbe},
    request::Way,
    shortfall::Counter,
    types::Types,
};
pub(crate) use explain::{NOT_PERMITTED, REFUSED};
pub(crate) use program::{Point, Refusal};

/// A probe in the kernel.
pub struct Live {
    /// As it was asked for.
    pub name: String,
    /// The pattern that it was asked for by, if it was.
    pub pattern: Option<String>,
    /// What decoding its records takes.
    pub info: ProbeInfo,
    /// The way that was taken.
    pub way: Way,
    /// The module that the place is in.
    pub module: Option<String>,
    /// Ways that were refused before, with the reasons.
    pub refused: Vec<(String, String)>,
    /// Which of the attachments it is of, and its place among that one's probes.
    pub(crate) attachment: (usize, usize),
}

/// Programs that belong together, at one place or, sharing a program, at many.
pub(crate) struct Attachment {
    pub(crate) way: Way,
    /// How many probes it is of.
    pub(crate) probes: usize,
    /// One, or those of entry and return.
    pub(crate) programs: Vec<Loaded>,
    pub(crate) links: Vec<Link>,
    /// The links' counts of misses when they were closed.
    pub(crate) missed_before: Option<u64>,
}

/// A program with its counters.
pub(crate) struct Loaded {
    pub(crate) program: Program,
    pub(crate) slots: Map,
    pub(crate) slot_size: usize,
    /// See [`Image::counters`].
    pub(crate) counters: Option<(u32, u32)>,
    pub(crate) cpus: usize,
}

/// Everything that is attached.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) live: Vec<Live>,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) hooks: Vec<LiveHook>,
    /// What the collectors' programs count that should not be.
    pub(crate) counters: Vec<Counter>,
    /// What was left out, with the reasons.
    pub(crate) left_out: Vec<String>,
}

/// Loads and attaches all of a plan's probes.
pub(crate) struct Loader<'a> {
    plan: &'a Plan<'a>,
    target: Target,
    /// The number of CPUs that a program may run on, whether or not they are there now.
    cpus: u32,
    rate: Option<u32>,
    strict: bool,
    symbols: &'a Symbols,
    /// Addresses of the kernel symbols that fragments ask for.
    addresses: BTreeMap<String, u64>,
    linked: BTreeMap<(usize, Build), Linked>,
    /// Fragments' maps by name: programs share them.
    maps: BTreeMap<String, Map>,
    rings: &'a Map,
    /// Addresses of functions that are attached by them.
    functions: HashMap<String, u64>,
    /// What the verifier said of plugins' functions alone, with direct loads: by collector, way of attaching and function.
    alone: HashMap<(usize, Attach, String), Result<(), String>>,
    /// Why the last probe that was left out was refused.
    left_out: Option<Error>,
    done: Outcome,
}

/// What a refusal begins with that came before the kernel was asked.
const COMPOSING: &str = "it cannot be put together";

/// Ways of attaching that were refused, with the reasons.
pub(crate) type Refused = Vec<(String, String)>;

/// Which program of a probe is composed.
#[derive(Clone, Copy)]
struct Part {
    way: Way,
    build: Build,
    role: Role,
    /// The first probe's number, and how many there are.
    first: usize,
    count: usize,
}

impl<'a> Loader<'a> {
    /// Prepares for a plan. `rings` is the array of rings that all programs write to.
    pub(crate) fn new(
        plan: &'a Plan<'a>,
        types: &Types,
        symbols: &'a Symbols,
        rings: &'a Map,
        cpus: u32,
        rate: Option<u32>,
    ) -> Result<Self, Error> {
        let names = plan.collectors.iter().flat_map(|f| kernel_types(f));
        let slice = types.slice(names.collect::<std::collections::BTreeSet<_>>())?;
        let target = Target::new(&slice, tracer_kernel::features::btf());
        let target = target.map_err(|error| Error::Link { collector: "all".to_owned(), error })?;
        // Asking kallsyms for an address reads all of it: not for nothing.
        let addresses =
            plan.symbols().into_iter().filter_map(|name| Some((name.to_owned(), symbols.address(name)?)));
        let addresses = addresses.collect();
        let (linked, maps, done) = (BTreeMap::new(), BTreeMap::new(), Outcome::default());
        Ok(Self {
            plan,
            target,
            cpus,
            rate,
            strict: false,
            symbols,
            addresses,
            linked,
            maps,
            rings,
            functions: HashMap::new(),
            alone: HashMap::new(),
            left_out: None,
            done,
        })
    }

    /// The same, for which a probe that is refused is an error even if there are others.
    pub(crate) fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Loads and attaches everything; what was attached before a failure is detached by dropping.
    pub(crate) fn load(mut self) -> Result<Outcome, Error> {
        let plan = self.plan;
        self.hooks()?;
        for group in group::groups(&plan.probes) {
            if group.len() > 1 && self.group(&group)? {
                continue;
            }
            for probe in group {
                self.one_of_many(probe)?;
            }
        }
        self.counters();
        match self.left_out {
            Some(error) if self.done.live.is_empty() => Err(error),
            _ => Ok(self.done),
        }
    }

    /// Takes over the maps in which the collectors' programs count what should not be, as far as a program has them.
    fn counters(&mut self) {
        for fragment in &self.plan.collectors {
            for loss in &fragment.manifest.losses {
                let Some(map) = self.maps.get(&loss.map).and_then(|map| map.try_clone().ok()) else {
                    continue;
                };
                self.done.counters.push(Counter {
                    collector: fragment.manifest.name.clone(),
                    what: loss.what.clone(),
                    help: loss.help.clone(),
                    map,
                    index: loss.index,
                    known: 0,
                });
            }
        }
    }

    /// Attaches a probe, or leaves it out: the others are a trace nevertheless.
    fn one_of_many(&mut self, probe: &PlannedProbe<'a>) -> Result<(), Error> {
        match self.probe(probe) {
            Err(error @ Error::Attach { .. }) if !self.strict && self.plan.probes.len() > 1 => {
                self.done.left_out.push(error.to_string());
                self.left_out = Some(error);
                Ok(())
            }
            other => other,
        }
    }

    /// The number that the next probe gets.
    fn number(&self) -> usize {
        self.done.live.len()
    }

    fn probe(&mut self, probe: &PlannedProbe<'a>) -> Result<(), Error> {
        let (mut refused, mut code_refused) = (Refused::new(), false);
        for way in &probe.ways {
            for build in way.builds() {
                match self.by(&[probe], *way, *build) {
                    Ok(info) => {
                        let attachment = self.done.attachments.len() - 1;
                        self.done
                            .live
                            .extend(info.map(|info| probe.live(info, *way, refused, (attachment, 0))));
                        return Ok(());
                    }
                    Err(Refusal::Fatal(error)) => return Err(error),
                    Err(Refusal::Way(reason) | Refusal::Place(reason)) => {
                        code_refused |= reason.starts_with(explain::REFUSED) || reason.starts_with(COMPOSING);
                        let name = format!("{way} ({build})");
                        // The same answer twice says nothing new.
                        if refused.last().is_none_or(|(_, last)| *last != reason) {
                            refused.push((name, reason));
                        }
                    }
                }
            }
        }
        if code_refused && let Some(error) = self.plugin_at_fault(probe, &refused) {
            return Err(error);
        }
        let help = (!kprobes_present()).then_some(
            "functions can be traced on a kernel that has kprobes (CONFIG_KPROBE_EVENTS), or that permits fentry \
             programs",
        );
        Err(Error::Attach { probe: probe.probe.to_string(), help, tried: refused })
    }

    /// The way by which a probe could be attached, as far as the verifier has a say; what was refused, with the reasons.
    pub(crate) fn try_ways(&mut self, probe: &PlannedProbe<'a>) -> Result<(Option<Way>, Refused), Error> {
        let mut refused = Refused::new();
        for way in &probe.ways {
            let by_kprobe = matches!(way, Way::Kprobe | Way::KprobeMulti | Way::Kretprobe);
            if by_kprobe && !kprobes_present() {
                refused.push((way.to_string(), "this kernel has no kprobes".to_owned()));
                continue;
            }
            for build in way.builds() {
                match self.programs(&[probe], *way, *build) {
                    Ok(_) => return Ok((Some(*way), refused)),
                    Err(Refusal::Fatal(error)) => return Err(error),
                    Err(Refusal::Way(reason) | Refusal::Place(reason)) => {
                        refused.push((format!("{way} ({build})"), reason));
                    }
                }
            }
        }
        Ok((None, refused))
    }

    /// The way by which a probe could be attached, and the instructions of its filter then.
    pub(crate) fn filter_listing(
        &mut self,
        probe: &PlannedProbe<'a>,
    ) -> Result<Option<(Way, String)>, Error> {
        let (Some(way), _) = self.try_ways(probe)? else { return Ok(None) };
        let roles = match way {
            Way::Fexit | Way::Kretprobe => vec![Role::Entry, Role::Return(ReturnValue { parameters: 0 })],
            _ => vec![Role::Event],
        };
        let mut text = String::new();
        for role in roles {
            let build = way.builds().first().copied().unwrap_or(Build::Probe);
            let part = Part { way, build, role, first: 0, count: 1 };
            if let Ok(image) = self.compose(probe, part) {
                text += &image.filter_listing();
            }
        }
        Ok(Some((way, text)))
    }

    /// Loads and attaches what some probes of one shape need, one way: the attachment is the last one then. Gives what
    /// decoding the records of the first one takes.
    fn by(
        &mut self,
        probes: &[&PlannedProbe<'a>],
        way: Way,
        build: Build,
    ) -> Result<Option<ProbeInfo>, Refusal> {
        let (programs, info) = self.programs(probes, way, build)?;
        let mut links = Vec::new();
        // The return first: an entry whose return nobody sees would wait for good.
        for (number, loaded) in programs.iter().enumerate().rev() {
            links.push(self.link(probes, way, number, &loaded.program)?);
        }
        let probes = probes.len();
        self.done.attachments.push(Attachment { way, probes, programs, links, missed_before: None });
        Ok(info)
    }

    /// Loads the programs that some probes of one shape need: one, or those of entry and return.
    fn programs(
        &mut self,
        probes: &[&PlannedProbe<'a>],
        way: Way,
        build: Build,
    ) -> Result<(Vec<Loaded>, Option<ProbeInfo>), Refusal> {
        let Some(probe) = probes.first() else { return Ok((Vec::new(), None)) };
        let roles = match way {
            Way::Fexit | Way::Kretprobe => {
                let parameters = probe.place.as_ref().map_or(0, crate::types::Place::arity);
                let parameters = u8::try_from(parameters).unwrap_or(u8::MAX);
                vec![Role::Entry, Role::Return(ReturnValue { parameters })]
            }
            _ => vec![Role::Event],
        };
        let mut calls = None;
        let (mut programs, mut info) = (Vec::new(), None);
        for role in roles {
            let part = Part { way, build, role, first: self.number(), count: probes.len() };
            let image = self.compose(probe, part)?;
            info.get_or_insert_with(|| probe.info(way, &image));
            programs.push(self.load_program(probe, part, &image, &mut calls)?);
        }
        Ok((programs, info))
    }

    fn compose(&mut self, probe: &PlannedProbe<'a>, part: Part) -> Result<Image, Refusal> {
        let Part { way, build, role, first, count } = part;
        let fragments: &[&Fragment] = &self.plan.collectors;
        self.link_all(build)?;
        let known = |field| (field == HeaderField::Way).then(|| way.to_string());
        let number = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        let shape = Shape {
            attach: way.attach(),
            build,
            arguments: &probe.arguments,
            fragments: (0..fragments.len()).map(|i| &self.linked[&(i, build)]).collect(),
            readers: probe.readers.iter().map(|(fragment, reader)| self.bind(*fragment, reader)).collect(),
            filter: Condition::All(probe.filter.clone()).with_header(&known).conjuncts(),
            packet: probe.packet,
            follow: probe.follow,
            guards: probe
                .guards
                .iter()
                .map(|g| Guard {
                    fragment: g.collector,
                    accessor: g.accessor,
                    withhold: g.withhold.clone(),
                    when: g.when.clone(),
                })
                .collect(),
            stack: probe.probe.stack,
            reentered: way.is_reentered(&KernelRelease::running()),
            role,
            returns: probe.returns.clone(),
            // The plan's probes are far fewer than 65,536.
            first: number(first),
            count: number(count),
            rate: self.rate,
            cpus: self.cpus,
            constants: self.plan.constants.clone(),
            symbols: self.addresses.clone(),
        };
        let composed = compose(&shape);
        composed.map_err(|error| Refusal::Way(format!("{COMPOSING}: {error}")))
    }

    /// The plugin without which a program may be accepted that was refused for its code: the one that is named, or else the
    /// last. Its functions passed alone, and still all of them together may be more than the verifier follows.
    fn plugin_at_fault(&self, probe: &PlannedProbe<'_>, refused: &Refused) -> Option<Error> {
        let plugins = probe.readers.iter().map(|(index, _)| self.plan.collectors[*index]);
        let plugins: Vec<&Fragment> = plugins.filter(|fragment| fragment.is_plugin()).collect();
        let is_named = |fragment: &&&Fragment| {
            let name = format!("collector {},", fragment.manifest.name);
            refused.iter().any(|(_, reason)| reason.contains(&name))
        };
        let fragment = plugins.iter().find(is_named).or(plugins.last())?;
        let reason = refused
            .iter()
            .map(|(way, reason)| format!("\n  at {probe} by {way}: {reason}", probe = probe.probe));
        Some(Error::Plugin { collector: fragment.manifest.name.clone(), reason: reason.collect() })
    }

    /// Links one build of all fragments that are not linked yet.
    fn link_all(&mut self, build: Build) -> Result<(), Refusal> {
        for (index, fragment) in self.plan.collectors.iter().enumerate() {
            if !self.linked.contains_key(&(index, build)) {
                let linked = Linked::new(fragment, build, &self.target);
                let linked = linked.map_err(|error| {
                    if fragment.is_plugin() {
                        let (collector, reason) =
                            (fragment.manifest.name.clone(), format!("{build}: {error}"));
                        return Refusal::Fatal(Error::Plugin { collector, reason });
                    }
                    Refusal::Fatal(Error::Link { collector: fragment.manifest.name.clone(), error })
                })?;
                self.linked.insert((index, build), linked);
            }
        }
        Ok(())
    }

    fn bind<'r>(&self, fragment: usize, reader: &'r Reader) -> BoundReader<'r> {
        let option = |name: &str| {
            let value = self.plan.constants.get(&(fragment, name.to_owned()))?;
            u32::try_from(*value).ok()
        };
        BoundReader { fragment, reader, schema: reader.schema_with(option, &self.plan.kernel_enums) }
    }

    /// Attaches one of the programs of some probes: the first is that of the entry.
    fn link(
        &self,
        probes: &[&PlannedProbe<'_>],
        way: Way,
        number: usize,
        program: &Program,
    ) -> Result<Link, Refusal> {
        let name = probes.first().map_or("", |probe| probe.name());
        let link = match way {
            Way::Fentry | Way::Fexit | Way::TpBtf => Link::tracing(program),
            Way::Kprobe => Link::kprobe(program, &KernelPlace::function(name), false, None),
            Way::Kretprobe => Link::kprobe(program, &KernelPlace::function(name), number > 0, None),
            Way::RawTracepoint => {
                let short = name.split_once(':').map_or(name, |(_, short)| short);
                Link::raw_tracepoint(program, short)
            }
            Way::KprobeMulti => {
                let places = self.addresses_of(probes)?;
                Link::kprobe_multi(program, &places, false)
            }
        };
        link.map_err(|e| match e {
            AttachError::NotFound { .. } => Refusal::Place(e.to_string()),
            other => Refusal::Way(other.to_string()),
        })
    }
}

impl Way {
    /// The builds that are tried. A verifier that does not accept direct loads may still take probe reads.
    fn builds(self) -> &'static [Build] {
        match self {
            Self::Fentry | Self::Fexit | Self::TpBtf => &[Build::Direct, Build::Probe],
            Self::Kprobe | Self::KprobeMulti | Self::Kretprobe | Self::RawTracepoint => &[Build::Probe],
        }
    }

    /// Whether the kernel may start a program that runs already on the CPU. Those of kprobes it never did; since 5.12 not
    /// those of trampolines either (ca06f55b9002), and since 6.2 not those of tracepoints (05b24ff9b2cf).
    fn is_reentered(self, kernel: &KernelRelease) -> bool {
        match self {
            Self::Fentry | Self::Fexit => kernel.is_before(5, 12),
            Self::TpBtf | Self::RawTracepoint => kernel.is_before(6, 2),
            Self::Kprobe | Self::KprobeMulti | Self::Kretprobe => false,
        }
    }

    fn attach(self) -> Attach {
        match self {
            Self::Fentry | Self::Fexit => Attach::Fentry,
            Self::Kprobe | Self::KprobeMulti | Self::Kretprobe => Attach::Kprobe,
            Self::TpBtf => Attach::TpBtf,
            Self::RawTracepoint => Attach::RawTracepoint,
        }
    }
}

impl PlannedProbe<'_> {
    /// The function, or the tracepoint with its group.
    pub(crate) fn name(&self) -> &str {
        self.probe.target.as_str()
    }

    fn module(&self) -> Option<&String> {
        self.place.as_ref()?.module.as_ref()
    }

    fn live(
        &self,
        info: ProbeInfo,
        way: Way,
        refused: Vec<(String, String)>,
        attachment: (usize, usize),
    ) -> Live {
        let pattern = self.pattern.as_ref().map(ToString::to_string);
        Live {
            name: self.probe.to_string(),
            pattern,
            info,
            way,
            module: self.module().cloned(),
            refused,
            attachment,
        }
    }

    fn info(&self, way: Way, image: &Image) -> ProbeInfo {
        use tracer_dsl::probe::ProbeKind;
        let name = self.name().to_owned();
        let (tag, trim) = match self.probe.kind {
            ProbeKind::Kprobe => (Tag::Kprobe, Trim::Entry(name.clone())),
            ProbeKind::Fentry => (Tag::Fentry, Trim::Entry(name.clone())),
            // The stack is that of the call: it is walked at the entry.
            ProbeKind::Kretprobe => (Tag::Kretprobe, Trim::Entry(name.clone())),
            ProbeKind::Fexit => (Tag::Fexit, Trim::Entry(name.clone())),
            ProbeKind::RawTracepoint => (Tag::RawTracepoint, Trim::Machinery),
        };
        ProbeInfo { tag, trim, way: way.to_string(), name, layout: Arc::new(image.layout.clone()) }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod kernel_tests;
