//! A collector on trial: what `tracer plugin check` asks the running kernel. Its functions are shown to the verifier alone, run on
//! arguments that are not there, and attached and detached again; nothing is reported and nothing is changed.

use std::collections::{BTreeMap, BTreeSet};

use tracer_compose::{AloneShape, Attach, Build, Fragment, KernelEnums, compose_alone};
use tracer_dsl::probe;
use tracer_kernel::{
    Capabilities, Capability, Symbols, host::PossibleCpus, limits::raise_limits, prog::TracingPoint,
};

use crate::{
    error::Error,
    load::{Loader, NOT_PERMITTED, Point, REFUSED, Refusal, alone},
    plan::{Plan, PlannedProbe},
    request::Way,
    source::rings,
    types::{PlaceKind, Types},
};

/// What became of one trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// What was tried.
    pub what: &'static str,
    /// How it ended: on what, or why it failed.
    pub outcome: Result<String, String>,
}

/// Names of the trials, in their order.
pub const TRIALS: [&str; 6] = [
    "verifier-alone",
    "verifier-options",
    "verifier-direct",
    "absent-arguments",
    "wild-arguments",
    "start-and-stop",
];

/// Places that are tried for direct loads, of those that have the arguments.
const PLACES: usize = 12;
/// How often it is attached.
const TIMES: usize = 5;
/// Arguments of a raw tracepoint.
const WORDS: usize = 12;

/// Puts a collector to all trials. Needs `CAP_BPF` and `CAP_PERFMON`.
///
/// # Errors
/// Not the collector's: the host does not permit trials.
pub fn trials(fragment: &Fragment) -> Result<Vec<Trial>, Error> {
    let own = Capabilities::of_this_thread()
        .map_err(|error| Error::System { what: "cannot read this process's capabilities", error })?;
    let missing = own.missing(&[Capability::Bpf, Capability::Perfmon]);
    if !missing.is_empty() {
        let missing = missing.iter().map(|c| c.name()).collect::<Vec<_>>().join(", ");
        return Err(Error::Privileges { missing });
    }
    let symbols = Symbols::open();
    let symbols = symbols.map_err(|error| Error::System { what: "cannot open /proc/kallsyms", error })?;
    raise_limits();
    let mut court = Court { fragment, types: Types::new()?, symbols };
    let tried = [
        court.alone()?,
        court.options()?,
        court.direct()?,
        court.arguments(0)?,
        court.wild()?,
        court.start_and_stop()?,
    ];
    let trials = TRIALS.into_iter().zip(tried).map(|(what, outcome)| Trial { what, outcome });
    Ok(trials.collect())
}

type Outcome = Result<String, String>;

struct Court<'a> {
    fragment: &'a Fragment,
    types: Types,
    symbols: Symbols,
}

/// A refusal is the collector's; what is fatal is not.
fn judged<T>(result: Result<T, Refusal>) -> Result<Result<T, String>, Error> {
    match result {
        Ok(found) => Ok(Ok(found)),
        Err(Refusal::Fatal(error)) => Err(error),
        Err(Refusal::Way(reason) | Refusal::Place(reason)) => Ok(Err(reason)),
    }
}

impl<'a> Court<'a> {
    fn verify(&mut self, constants: &alone::Constants) -> Result<Result<(), String>, Error> {
        judged(alone::verify(self.fragment, constants, &mut self.types, &self.symbols))
    }

    fn alone(&mut self) -> Result<Outcome, Error> {
        let verdict = self.verify(&alone::constants(self.fragment, None))?;
        Ok(verdict.map(|()| format!("{} functions", self.fragment.judged(|_| None).len())))
    }

    /// With each number at either of its ends, the others at their defaults.
    fn options(&mut self) -> Result<Outcome, Error> {
        let numbers: Vec<_> =
            self.fragment.manifest.numbers().map(|(name, number)| (name.to_owned(), number)).collect();
        for (name, number) in &numbers {
            for value in [number.min, number.max] {
                let mut constants = alone::constants(self.fragment, None);
                constants.insert(name.clone(), u64::from(value));
                if let Err(reason) = self.verify(&constants)? {
                    return Ok(Err(format!("with {name} = {value}: {reason}")));
                }
            }
        }
        Ok(Ok(format!("{} numbers at both ends", numbers.len())))
    }

    /// With direct loads, where the kernel has a tracepoint or function with the arguments.
    fn direct(&mut self) -> Result<Outcome, Error> {
        if !self.fragment.has_direct() {
            return Ok(Ok("there is no such build".to_owned()));
        }
        let linked = match judged(alone::linked(self.fragment, Build::Direct, &mut self.types))? {
            Ok(linked) => linked,
            Err(reason) => return Ok(Err(reason)),
        };
        let constants = alone::constants(self.fragment, None);
        let option = |name: &str| Some(u32::try_from(*constants.get(name)?).unwrap_or(u32::MAX));
        let (mut tried, mut nowhere) = (0, 0);
        for function in self.fragment.judged(option) {
            let offering = |kind, attach, at| {
                let derive = &self.fragment.manifest.derive;
                let places = self.types.offering(kind, derive, PLACES, &|all| function.wants.met_by(all));
                places.into_iter().map(move |place| (attach, at, place))
            };
            let tracepoints = offering(PlaceKind::Tracepoint, Attach::TpBtf, TracingPoint::TpBtf);
            // There are fifty times as many functions: they are looked at where no tracepoint has the arguments.
            let functions = std::iter::once(())
                .flat_map(|()| offering(PlaceKind::Function, Attach::Fentry, TracingPoint::Fentry));
            let (mut last, mut accepted) = (None, false);
            for (attach, at, (name, place, arguments)) in tracepoints.chain(functions) {
                let image = compose_alone(&AloneShape {
                    attach,
                    arguments: Some(&arguments),
                    fragment: &linked,
                    function: function.function,
                    wants: function.wants,
                    memory: function.memory,
                    constants: constants.clone(),
                    symbols: alone::addresses(self.fragment, &self.symbols),
                });
                let image = image.map_err(|error| Refusal::Way(error.to_string()));
                let point = Point::Tracing { at, place: &place };
                match judged(image.and_then(|image| alone::load(&point, &image)))? {
                    Ok(_) => {
                        accepted = true;
                        break;
                    }
                    // Some hosts permit programs at tracepoints only: that says nothing about the code.
                    Err(reason) if reason.starts_with(REFUSED) => last = Some(format!("at {name}: {reason}")),
                    Err(_) => {}
                }
            }
            match last {
                Some(reason) if !accepted => return Ok(Err(reason)),
                None if !accepted => nowhere += 1,
                _ => tried += 1,
            }
        }
        let nowhere = if nowhere == 0 { String::new() } else { format!("; nothing to try {nowhere} at") };
        Ok(Ok(format!("{tried} functions{nowhere}")))
    }

    /// Each function, with every argument this number: it must come back, and not say that it used more than it was given.
    fn arguments(&mut self, value: u64) -> Result<Outcome, Error> {
        let constants = alone::constants(self.fragment, None);
        let programs =
            match judged(alone::programs(self.fragment, &constants, &mut self.types, &self.symbols))? {
                Ok(programs) => programs,
                Err(reason) => return Ok(Err(reason)),
            };
        for (function, memory, program) in &programs {
            let used = match program.test_run(&[value; WORDS]) {
                Ok(used) => used,
                // Raw tracepoints can be run so since 5.10.
                Err(error) => {
                    return Ok(Ok(format!("this kernel does not run programs for a test: {error}")));
                }
            };
            if used > memory.unwrap_or(1).max(1) {
                let most = memory.unwrap_or(1);
                return Ok(Err(format!(
                    "{function} says that it used {used} bytes, and it was given {most}"
                )));
            }
        }
        Ok(Ok(format!("{} functions came back", programs.len())))
    }

    /// Addresses that are none, of several kinds.
    fn wild(&mut self) -> Result<Outcome, Error> {
        let mut outcome = Ok(String::new());
        for value in [1, 0x1000, 0xffff_8000_0000_0000, 0xdead_beef_dead_beef, u64::MAX] {
            outcome = self.arguments(value)?;
            if outcome.is_err() {
                break;
            }
        }
        Ok(outcome)
    }

    /// Attached and detached, again and again.
    fn start_and_stop(&mut self) -> Result<Outcome, Error> {
        let fragment = self.fragment;
        let wanted = |all: &tracer_compose::Arguments| fragment.readers.iter().any(|r| r.wants.met_by(all));
        let mut places = self
            .types
            .offering(PlaceKind::Tracepoint, &fragment.manifest.derive, PLACES, &wanted)
            .into_iter();
        let Some((name, place, arguments)) = places.next() else {
            return Ok(Ok("no tracepoint of this kernel has its arguments".to_owned()));
        };
        let readers = fragment.readers.iter().filter(|r| r.wants.met_by(&arguments)).map(|r| (0, r));
        let planned = PlannedProbe {
            probe: probe::parse(&format!("raw_tracepoint:any:{name}"))?,
            pattern: None,
            place: Some(place),
            returns: None,
            readers: readers.collect(),
            arguments,
            asked: Default::default(),
            filter: Vec::new(),
            packet: None,
            follow: None,
            guards: Vec::new(),
            ways: vec![Way::TpBtf, Way::RawTracepoint],
        };
        let constants: BTreeMap<(usize, String), u64> =
            alone::constants(fragment, None).into_iter().map(|(name, value)| ((0, name), value)).collect();
        let mut plan = Plan {
            collectors: vec![fragment],
            reporting: 1,
            probes: vec![planned],
            hooks: Vec::new(),
            sizes: BTreeMap::new(),
            needs: BTreeSet::new(),
            notes: Vec::new(),
            constants,
            kernel_enums: KernelEnums::default(),
            casts: Vec::new(),
        };
        if let Err(error) = plan.add_hooks(true, &mut self.types) {
            return Ok(Err(error.to_string()));
        }
        let (_ring, rings) = rings(64 << 10)?;
        let cpus = PossibleCpus::read();
        let cpus = cpus.map_err(|error| Error::System { what: "cannot read the number of CPUs", error })?;
        let cpus = u32::try_from(cpus.slots).unwrap_or(u32::MAX);
        for _ in 0..TIMES {
            let loader = Loader::new(&plan, &self.types, &self.symbols, &rings, cpus, None)?;
            match loader.strict(true).load() {
                Ok(outcome) => drop(outcome),
                Err(error @ (Error::Interrupted | Error::Map(_))) => return Err(error),
                Err(Error::Attach { tried, .. })
                    if tried.iter().all(|(_, why)| !why.starts_with(REFUSED)) =>
                {
                    let why = tried.last().map_or(String::new(), |(_, why)| why.clone());
                    return Ok(Ok(format!("this host does not permit it: {why}")));
                }
                Err(Error::Collector { reason, .. }) if reason.contains(NOT_PERMITTED) => {
                    return Ok(Ok(format!("this host does not permit it: {reason}")));
                }
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
        Ok(Ok(format!("{TIMES} times at the tracepoint {name}")))
    }
}
