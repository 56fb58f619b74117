//! From a plan to programs in the kernel: compose, load, attach. A probe is tried by the ways of its
//! ladder until one is taken; what was refused is kept, for the message that says why.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, AsRawFd},
    sync::Arc,
};

use tracer_compose::{
    Attach, BoundReader, Build, Condition, Fragment, Guard, Image, ImageMap, Linked, MapSpec as FragmentMap,
    Reader, Shape, Target, compose, kernel_types,
};
use tracer_event::{ProbeInfo, Tag, Trim};
use tracer_kernel::{
    Link, LoadError, Map, MapSpec, Place, Program, ProgramKind, ProgramSpec, Symbols,
    attach::kprobes_present, btf, map, prog, prog::TracingPoint,
};

use crate::{
    error::Error,
    plan::{Plan, PlannedProbe},
    request::Way,
    types::Types,
};

/// A probe in the kernel.
pub struct Live {
    /// As it was asked for.
    pub name: String,
    /// What decoding its records takes.
    pub info: ProbeInfo,
    /// The way that was taken.
    pub way: Way,
    /// The module that the function is in.
    pub module: Option<String>,
    /// Ways that were refused before, with the reasons.
    pub refused: Vec<(String, String)>,
    pub(crate) link: Option<Link>,
    pub(crate) program: Program,
    /// The link's count of misses when it was closed.
    pub(crate) missed_before: Option<u64>,
    pub(crate) slots: Map,
    pub(crate) slot_size: usize,
    pub(crate) cpus: usize,
}

/// Loads and attaches all of a plan's probes.
pub struct Loader<'a> {
    plan: &'a Plan<'a>,
    target: Target,
    /// The number of CPUs that a program may run on, whether or not they are there now.
    cpus: u32,
    rate: Option<u32>,
    /// Addresses of the kernel symbols that fragments ask for.
    symbols: BTreeMap<String, u64>,
    linked: BTreeMap<(usize, Build), Linked>,
    /// Fragments' maps by name: programs share them.
    maps: BTreeMap<String, Map>,
    rings: &'a Map,
}

impl<'a> Loader<'a> {
    /// Prepares for a plan. `rings` is the array of rings that all programs write to.
    pub fn new(
        plan: &'a Plan<'a>,
        types: &Types,
        symbols: &Symbols,
        rings: &'a Map,
        cpus: u32,
        rate: Option<u32>,
    ) -> Result<Self, Error> {
        let names = plan.collectors.iter().flat_map(|f| kernel_types(f));
        let slice = types.slice(names.collect::<std::collections::BTreeSet<_>>())?;
        let target = Target::new(&slice, tracer_kernel::features::btf());
        let target = target.map_err(|error| Error::Link { collector: "all".to_owned(), error })?;
        // Asking kallsyms for an address reads all of it: not for nothing.
        let symbols =
            plan.symbols().into_iter().filter_map(|name| Some((name.to_owned(), symbols.address(name)?)));
        let symbols = symbols.collect();
        Ok(Self { plan, target, cpus, rate, symbols, linked: BTreeMap::new(), maps: BTreeMap::new(), rings })
    }

    /// Loads and attaches everything; what was attached before a failure is detached by dropping.
    pub fn load(mut self) -> Result<Vec<Live>, Error> {
        let plan = self.plan;
        plan.probes.iter().enumerate().map(|(number, probe)| self.probe(number, probe)).collect()
    }

    fn probe(&mut self, number: usize, probe: &PlannedProbe<'a>) -> Result<Live, Error> {
        let mut refused = Vec::new();
        for way in &probe.ways {
            let builds: &[Build] = match way {
                // A verifier that does not accept direct loads may still take probe reads.
                Way::Fentry => &[Build::Direct, Build::Probe],
                Way::Kprobe => &[Build::Probe],
            };
            for build in builds {
                let image = self.compose(number, probe, *way, *build)?;
                match self.attach(probe, *way, &image) {
                    Ok((program, link, slots)) => {
                        return Ok(Live {
                            name: probe.probe.to_string(),
                            info: info(probe, *way, &image),
                            way: *way,
                            module: probe.function.module.clone(),
                            refused,
                            link: Some(link),
                            program,
                            missed_before: None,
                            slots,
                            slot_size: image.slot_size as usize,
                            cpus: self.cpus as usize,
                        });
                    }
                    Err(Refusal::Fatal(error)) => return Err(error),
                    Err(Refusal::Way(reason)) => {
                        let name = format!("{way} ({build})");
                        // The same answer twice says nothing new.
                        if refused.last().is_none_or(|(_, last)| *last != reason) {
                            refused.push((name, reason));
                        }
                    }
                }
            }
        }
        let help = (!kprobes_present()).then_some(
            "functions can be traced on a kernel that has kprobes (CONFIG_KPROBE_EVENTS), or that permits fentry \
             programs",
        );
        Err(Error::Attach { probe: probe.probe.to_string(), help, tried: refused })
    }

    fn compose(
        &mut self,
        number: usize,
        probe: &PlannedProbe<'a>,
        way: Way,
        build: Build,
    ) -> Result<Image, Error> {
        let fragments: &[&Fragment] = &self.plan.collectors;
        for (index, fragment) in fragments.iter().enumerate() {
            if !self.linked.contains_key(&(index, build)) {
                let linked = Linked::new(fragment, build, &self.target);
                let linked = linked
                    .map_err(|error| Error::Link { collector: fragment.manifest.name.clone(), error })?;
                self.linked.insert((index, build), linked);
            }
        }
        let shape = Shape {
            attach: match way {
                Way::Fentry => Attach::Fentry,
                Way::Kprobe => Attach::Kprobe,
            },
            build,
            arguments: &probe.arguments,
            fragments: (0..fragments.len()).map(|i| &self.linked[&(i, build)]).collect(),
            readers: probe.readers.iter().map(|(fragment, reader)| self.bind(*fragment, reader)).collect(),
            conditions: probe
                .conditions
                .iter()
                .map(|c| Condition { fragment: c.collector, accessor: c.accessor, values: c.values.clone() })
                .collect(),
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
            // The plan's probes are far fewer than 65,536: a program each.
            probe: u16::try_from(number).unwrap_or(u16::MAX),
            rate: self.rate,
            cpus: self.cpus,
            constants: self.plan.constants.clone(),
            symbols: self.symbols.clone(),
        };
        compose(&shape).map_err(|error| Error::Compose { probe: probe.probe.to_string(), error })
    }

    fn bind<'r>(&self, fragment: usize, reader: &'r Reader) -> BoundReader<'r> {
        let option = |name: &str| {
            let value = self.plan.constants.get(&(fragment, name.to_owned()))?;
            u32::try_from(*value).ok()
        };
        BoundReader { fragment, reader, schema: reader.schema_with(option, &self.plan.kernel_enums) }
    }

    fn attach(
        &mut self,
        probe: &PlannedProbe<'_>,
        way: Way,
        image: &Image,
    ) -> Result<(Program, Link, Map), Refusal> {
        let target = probe.probe.target.as_str();
        let slots = self.maps(image)?;
        let mut insns = image.insns.clone();
        for insn in insns.iter_mut().filter(|i| i.is_ld_imm64() && matches!(i.src, 1 | 2)) {
            let index = usize::try_from(insn.imm).unwrap_or(usize::MAX);
            insn.imm = match image.maps.get(index) {
                Some(ImageMap::Slots { .. }) => slots.fd().as_raw_fd(),
                Some(ImageMap::Rings) => self.rings.fd().as_raw_fd(),
                Some(ImageMap::Fragment(spec)) => self.maps[&spec.name].fd().as_raw_fd(),
                // The composer lists every map that it refers to.
                None => -1,
            };
        }
        let insns: Vec<[u8; 8]> = insns.into_iter().map(tracer_bpf::Insn::bytes).collect();
        let types = prog::btf_load(&image.btf).map_err(|e| Refusal::Way(e.to_string()))?;
        let object = match (&probe.function.module, way) {
            (Some(module), Way::Fentry) => {
                let object = btf::module_object(module)
                    .map_err(|e| Refusal::Way(format!("types of module {module}: {e}")))?;
                let gone = || Refusal::Way(format!("module {module} has no types in the kernel"));
                Some(object.ok_or_else(gone)?)
            }
            _ => None,
        };
        let kind = match way {
            Way::Kprobe => ProgramKind::Kprobe,
            Way::Fentry => ProgramKind::Tracing {
                at: TracingPoint::Fentry,
                btf_id: probe.function.id,
                btf_object: object.as_ref().map(AsFd::as_fd),
            },
        };
        let program = Program::load(&ProgramSpec {
            name: "tracer",
            kind,
            insns: &insns,
            btf: Some(types.as_fd()),
            func_info: &image.func_info,
            line_info: &image.line_info,
            license: c"Dual MIT/GPL",
        });
        let program = program.map_err(|e| match e.errno.raw_os_error() {
            // The verifier gives way to a signal.
            Some(code) if code == rustix::io::Errno::AGAIN.raw_os_error() => {
                Refusal::Fatal(Error::Interrupted)
            }
            _ => Refusal::Way(explain(&e, image)),
        })?;
        let link = match way {
            Way::Kprobe => Link::kprobe(&program, &Place::function(target), false, None),
            Way::Fentry => Link::tracing(&program),
        };
        let link = link.map_err(|e| Refusal::Way(e.to_string()))?;
        Ok((program, link, slots))
    }

    /// Makes the maps that an image refers to and that are not there yet; returns its own slots.
    fn maps(&mut self, image: &Image) -> Result<Map, Refusal> {
        let mut slots = None;
        for map in &image.maps {
            match map {
                ImageMap::Rings => {}
                ImageMap::Slots { size } => {
                    let spec = MapSpec {
                        name: "tracer_slots",
                        kind: map::ARRAY,
                        key_size: 4,
                        value_size: *size,
                        max_entries: 1,
                        flags: 0,
                        inner: None,
                    };
                    slots = Some(Map::create(&spec).map_err(|e| Refusal::Fatal(e.into()))?);
                }
                ImageMap::Fragment(spec) if self.maps.contains_key(&spec.name) => {}
                ImageMap::Fragment(spec) => {
                    let map = fragment_map(spec).map_err(|e| Refusal::Fatal(e.into()))?;
                    self.maps.insert(spec.name.clone(), map);
                }
            }
        }
        // Every program counts, so every image has slots.
        slots.ok_or_else(|| Refusal::Way("the program has no slots".to_owned()))
    }
}

fn fragment_map(spec: &FragmentMap) -> Result<Map, tracer_kernel::MapError> {
    Map::create(&MapSpec {
        name: &spec.name,
        kind: spec.kind,
        key_size: spec.key_size,
        value_size: spec.value_size,
        max_entries: spec.max_entries,
        flags: spec.flags,
        inner: None,
    })
}

enum Refusal {
    /// This way of attaching does not work; another may.
    Way(String),
    /// No way will.
    Fatal(Error),
}

fn info(probe: &PlannedProbe<'_>, way: Way, image: &Image) -> ProbeInfo {
    use tracer_dsl::probe::ProbeKind;
    let name = probe.probe.target.as_str().to_owned();
    ProbeInfo {
        tag: match probe.probe.kind {
            ProbeKind::Kprobe => Tag::Kprobe,
            ProbeKind::Kretprobe => Tag::Kretprobe,
            ProbeKind::RawTracepoint => Tag::RawTracepoint,
            ProbeKind::Fentry => Tag::Fentry,
            ProbeKind::Fexit => Tag::Fexit,
        },
        trim: Trim::Entry(name.clone()),
        way: way.to_string(),
        name,
        layout: Arc::new(image.layout.clone()),
    }
}

/// A refusal in the words of whoever wrote the code: which fragment, which C line.
fn explain(error: &LoadError, image: &Image) -> String {
    let Some(insn) = last_instruction(&error.log) else {
        return match error.errno.raw_os_error() {
            // Loading fentry programs can be forbidden where kprobes are not, and the other way round.
            Some(code) if code == rustix::io::Errno::PERM.raw_os_error() => {
                "the kernel does not permit programs of this kind".to_owned()
            }
            _ => error.to_string(),
        };
    };
    let mut reason = error.reason().unwrap_or("no reason given").to_owned();
    // aya-obj, like libbpf, puts this number where a field or type does not exist: 0xbad2310.
    if reason.contains("195896080") {
        reason = "it uses a field or type that this kernel does not have, without testing for it".to_owned();
    }
    let Some(blame) = image.blame(insn) else { return format!("the verifier refused it: {reason}") };
    let who = blame.collector.map_or("tracer itself".to_owned(), |c| format!("collector {c}"));
    let line =
        blame.line.map(|(file, line, text)| format!("\n      at {file}:{line}: {text}")).unwrap_or_default();
    format!("the verifier refused {who}, in {}: {reason}{line}", blame.function)
}

/// The number of the instruction that the verifier looked at last: its log lines begin with it.
fn last_instruction(log: &str) -> Option<usize> {
    let number = |line: &str| line.split_once(": (").and_then(|(n, _)| n.trim().parse().ok());
    log.lines().rev().find_map(number)
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod kernel_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_instruction_of_a_log() {
        let log = "0: (bf) r6 = r1\n; int x = y;\n17: (85) call bpf_map_lookup_elem#1\nR1 type=scalar expected=map_ptr\n\
                   processed 18 insns (limit 1000000)\n";
        assert_eq!(last_instruction(log), Some(17));
        assert_eq!(last_instruction("nothing"), None);
    }
}
