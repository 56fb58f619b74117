//! Plugins before their first use in a run: each function is loaded alone, with memory of exactly its section, so that the
//! verifier proves that it stays there. A composed program has more memory on both sides, and the verifier would not mind.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::AsRawFd,
};

use tracer_compose::{
    AloneShape, Attach, Build, Catalog, Fragment, From, Image, ImageMap, Linked, Target, compose_alone,
    kernel_types,
};
use tracer_kernel::{Map, MapSpec, Program, ProgramKind, Symbols, map};

use super::{
    Loader, Part,
    program::{Point, Refusal, load_image},
};
use crate::{error::Error, plan::PlannedProbe, request::Request, types::Types};

/// Values of a collector's options that are numbers.
pub(crate) type Constants = BTreeMap<String, u64>;

/// Those of a request, and the defaults of the others.
pub(crate) fn constants(fragment: &Fragment, request: Option<&Request>) -> Constants {
    let options = fragment.manifest.options.iter().filter_map(|option| Some((option, option.number?)));
    let values = options.map(|(option, number)| {
        let name = tracer_compose::option_name(&fragment.manifest.name, option);
        let given = request.and_then(|request| request.numbers.get(&name)).copied();
        (option.name.clone(), u64::from(given.unwrap_or(number.default)))
    });
    values.collect()
}

/// Judges all plugins of a catalog; gives those that are refused, with the reasons.
pub(crate) fn refused(
    catalog: &Catalog,
    request: &Request,
    types: &mut Types,
    symbols: &Symbols,
) -> Result<BTreeMap<String, String>, Error> {
    let mut refused = BTreeMap::new();
    for fragment in catalog.iter().filter(|fragment| fragment.is_plugin() && fragment.has_object()) {
        match verify(fragment, &constants(fragment, Some(request)), types, symbols) {
            Ok(()) => {}
            Err(Refusal::Fatal(error)) => return Err(error),
            Err(Refusal::Way(reason) | Refusal::Place(reason)) => {
                refused.insert(fragment.manifest.name.clone(), reason);
            }
        }
    }
    Ok(refused)
}

/// Shows each function of a fragment to the verifier, with probe reads and arguments that may be anything.
pub(crate) fn verify(
    fragment: &Fragment,
    constants: &Constants,
    types: &mut Types,
    symbols: &Symbols,
) -> Result<(), Refusal> {
    programs(fragment, constants, types, symbols).map(drop)
}

/// The same; gives the programs, each with its function and the memory that this has.
pub(crate) fn programs(
    fragment: &Fragment,
    constants: &Constants,
    types: &mut Types,
    symbols: &Symbols,
) -> Result<Vec<(String, Option<u32>, Program)>, Refusal> {
    let way = |error: &dyn std::fmt::Display| Refusal::Way(error.to_string());
    let linked = linked(fragment, Build::Probe, types)?;
    let mut programs = Vec::new();
    for judged in fragment.judged(|option| Some(u32::try_from(*constants.get(option)?).unwrap_or(u32::MAX))) {
        let image = compose_alone(&AloneShape {
            attach: Attach::RawTracepoint,
            arguments: None,
            fragment: &linked,
            function: judged.function,
            wants: judged.wants,
            memory: judged.memory,
            constants: constants.clone(),
            symbols: addresses(fragment, symbols),
        });
        let program = load(&Point::Kind(ProgramKind::RawTracepoint), &image.map_err(|e| way(&e))?)?;
        programs.push((judged.function.to_owned(), judged.memory, program));
    }
    Ok(programs)
}

/// One build of a fragment, by the types of this kernel.
pub(crate) fn linked(fragment: &Fragment, build: Build, types: &mut Types) -> Result<Linked, Refusal> {
    let names = kernel_types(fragment);
    types.see(names.iter().map(|(kind, name)| (*kind, name.as_str())));
    let way = |error: &dyn std::fmt::Display| Refusal::Way(error.to_string());
    let slice = types.slice(names.into_iter().collect::<BTreeSet<_>>()).map_err(|e| way(&e))?;
    let target = Target::new(&slice, tracer_kernel::features::btf()).map_err(|e| way(&e))?;
    Linked::new(fragment, build, &target).map_err(|e| way(&e))
}

/// The addresses of the kernel symbols that a fragment asks for.
pub(crate) fn addresses(fragment: &Fragment, symbols: &Symbols) -> BTreeMap<String, u64> {
    let wants = fragment.judged(|_| None).into_iter().flat_map(|judged| &judged.wants.members);
    let names = wants.filter_map(|want| match &want.from {
        From::Symbol(name) => Some(name.clone()),
        _ => None,
    });
    names.filter_map(|name| Some((name.clone(), symbols.address(&name)?))).collect()
}

impl Loader<'_> {
    /// Judges the plugins' functions that may run at a probe with direct loads, for which the verifier must know the arguments'
    /// types: each function once for each way of attaching. With probe reads they were judged before there was a plan.
    pub(super) fn judge_alone(
        &mut self,
        probe: &PlannedProbe<'_>,
        part: Part,
        point: &Point<'_>,
    ) -> Result<(), Refusal> {
        if part.build != Build::Direct {
            return Ok(());
        }
        let attach = part.way.attach();
        for (index, fragment) in self.plan.collectors.iter().enumerate().filter(|(_, f)| f.is_plugin()) {
            let of_it = self.plan.constants.iter().filter(|((collector, _), _)| *collector == index);
            let constants: Constants = of_it.map(|((_, name), value)| (name.clone(), *value)).collect();
            let option = |name: &str| Some(u32::try_from(*constants.get(name)?).unwrap_or(u32::MAX));
            for judged in fragment.judged(option).iter().filter(|j| j.wants.met_by(&probe.arguments)) {
                let key = (index, attach, judged.function.to_owned());
                if !self.alone.contains_key(&key) {
                    let shape = AloneShape {
                        attach,
                        arguments: Some(&probe.arguments),
                        fragment: &self.linked[&(index, Build::Direct)],
                        function: judged.function,
                        wants: judged.wants,
                        memory: judged.memory,
                        constants: constants.clone(),
                        symbols: self.addresses.clone(),
                    };
                    let composed = compose_alone(&shape).map_err(|error| Refusal::Way(error.to_string()));
                    let verdict = match composed.and_then(|image| load(point, &image)) {
                        Err(Refusal::Fatal(error)) => return Err(Refusal::Fatal(error)),
                        Err(Refusal::Way(reason) | Refusal::Place(reason)) => Err(reason),
                        Ok(_) => Ok(()),
                    };
                    self.alone.insert(key.clone(), verdict);
                }
                if let Err(reason) = &self.alone[&key] {
                    return Err(Refusal::Way(format!("alone: {reason}")));
                }
            }
        }
        Ok(())
    }
}

/// Loads an image with maps that are nobody else's.
pub(crate) fn load(point: &Point<'_>, image: &Image) -> Result<Program, Refusal> {
    let mut maps: Vec<Option<Map>> = Vec::new();
    for map in &image.maps {
        maps.push(match map {
            ImageMap::Slots { size } => Some(Map::create(&spec("tracer_alone", map::ARRAY, 4, *size, 1, 0))?),
            ImageMap::Fragment(fragment) => {
                // What a hash has room for, the verifier does not look at; of an array it does.
                let array = matches!(fragment.kind, map::ARRAY | PERCPU_ARRAY);
                let entries = if array { fragment.max_entries } else { fragment.max_entries.min(1) };
                let (key, value) = (fragment.key_size, fragment.value_size);
                Some(Map::create(&spec(&fragment.name, fragment.kind, key, value, entries, fragment.flags))?)
            }
            ImageMap::Rings | ImageMap::Calls { .. } => None,
        });
    }
    let descriptor = |index: usize| maps.get(index)?.as_ref().map(|map| map.fd().as_raw_fd());
    load_image(point, image, &descriptor)
}

/// `BPF_MAP_TYPE_PERCPU_ARRAY`: include/uapi/linux/bpf.h.
const PERCPU_ARRAY: u32 = 6;

fn spec(name: &str, kind: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32) -> MapSpec<'_> {
    MapSpec { name, kind, key_size, value_size, max_entries, flags, inner: None }
}
