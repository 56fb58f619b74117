//! Collectors' hooks, resolved against this kernel: where each stands, and what is lost where the kernel has no such place.
//! A collector that cannot do without one is refused.

use std::collections::BTreeMap;

use tracer_compose::{
    ArgType, Arguments, Exception, Fragment, From, Hook, HookKind, HookPlace, ManifestHook,
};
use tracer_dsl::{
    probe::{Probe, ProbeKind},
    when,
};

use crate::{
    error::Error,
    host::Machine,
    plan::Plan,
    types::{Place, PlaceKind, Types},
};

/// A hook at a place that this kernel has.
pub struct PlannedHook<'a> {
    /// The collector's number in [`Plan::collectors`].
    pub collector: usize,
    /// The function that stands there.
    pub hook: &'a Hook,
    /// Where.
    pub at: HookPlace,
    /// What the kernel's types say of the place.
    pub place: Place,
    /// The place's arguments by type.
    pub arguments: Arguments,
    /// The place's parameters by name.
    pub parameters: BTreeMap<String, u8>,
    /// At a return: behind how many parameters the returned value is.
    pub returned: Option<u8>,
    /// What the collector cannot do without it; `None` for one that it cannot do without at all.
    pub without: Option<&'a str>,
}

impl<'a> Plan<'a> {
    /// Adds the hooks of all collectors that read something. `named` is as for [`Plan::refuse`].
    pub(crate) fn add_hooks(&mut self, named: bool, types: &mut Types) -> Result<(), Error> {
        for index in 0..self.reporting {
            let reads = self.probes.iter().any(|p| p.readers.iter().any(|(reader, _)| *reader == index));
            let fragment = self.collectors[index];
            if !reads {
                continue;
            }
            for entry in &fragment.manifest.hooks {
                // The manifest was checked: both are there and can be read.
                let applies = entry.when.as_deref().map(when::parse).transpose()?;
                let Some(hook) = fragment.hook(&entry.name) else { continue };
                if applies.is_some_and(|when| !when.holds(&Machine::default())) {
                    continue;
                }
                if let Err(reason) = self.add_hook(index, hook, entry, types)? {
                    self.refuse(named, index, &reason)?;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Adds a hook at its places; says what is missing where the collector cannot do without it.
    fn add_hook(
        &mut self,
        collector: usize,
        hook: &'a Hook,
        entry: &'a ManifestHook,
        types: &mut Types,
    ) -> Result<Result<(), String>, Error> {
        let without = entry.without.as_deref();
        let mut absent: Vec<String> = Vec::new();
        for at in entry.at.iter().chain(&entry.any) {
            match found(collector, hook, at, without, types)? {
                Ok(planned) => {
                    self.hooks.push(planned);
                    if !entry.any.is_empty() {
                        return Ok(Ok(()));
                    }
                }
                Err(reason) => absent.push(reason),
            }
        }
        if absent.is_empty() {
            return Ok(Ok(()));
        }
        let absent = absent.join("; ");
        let Some(without) = without else { return Ok(Err(absent)) };
        let name = &self.collectors[collector].manifest.name;
        self.notes.push(format!("collector {name}: {without}: {absent}"));
        Ok(Ok(()))
    }

    /// Goes on without a collector, or not at all if the collectors were `named`.
    pub(crate) fn refuse(&mut self, named: bool, collector: usize, reason: &str) -> Result<(), Error> {
        let name = self.collectors[collector].manifest.name.clone();
        if named {
            return Err(Error::Collector { collector: name, number: collector, reason: reason.to_owned() });
        }
        self.notes.push(format!("collector {name} is left out: {reason}"));
        self.hooks.retain(|hook| hook.collector != collector);
        self.probes.iter_mut().for_each(|probe| probe.readers.retain(|(reader, _)| *reader != collector));
        Ok(())
    }
}

/// What a collector says of a place where it reads nothing.
pub(super) fn exception<'a>(fragment: &'a Fragment, probe: &Probe) -> Option<&'a Exception> {
    // A tracepoint's name is the kernel's only one; its group is for people.
    let short = |name: &str| name.rsplit(':').next().unwrap_or_default().to_owned();
    let name = short(probe.target.as_str());
    fragment.manifest.exceptions.iter().find(|exception| {
        let of_its_kind = match probe.kind {
            ProbeKind::RawTracepoint => &exception.tracepoints,
            _ => &exception.functions,
        };
        of_its_kind.iter().any(|target| short(target) == name)
    })
}

/// A hook at one place; or why it cannot stand there.
fn found<'a>(
    collector: usize,
    hook: &'a Hook,
    at: &HookPlace,
    without: Option<&'a str>,
    types: &mut Types,
) -> Result<Result<PlannedHook<'a>, String>, Error> {
    let (kind, name, what) = match at.kind {
        HookKind::Fentry | HookKind::Fexit => (PlaceKind::Function, at.target.as_str(), "function"),
        HookKind::Tracepoint => {
            let short = at.target.split_once(':').map_or(at.target.as_str(), |(_, short)| short);
            (PlaceKind::Tracepoint, short, "tracepoint")
        }
    };
    // What is known out of a file only, no trampoline can be made for.
    let Some(place) = types.find(kind, name)?.filter(|place| !place.from_file) else {
        return Ok(Err(format!("this kernel has no {what} `{}` that is in its type information", at.target)));
    };
    let arguments = Arguments::of_function(&place.btf, place.prototype, place.skip, &[]);
    let parameters = Arguments::names(&place.btf, place.prototype, place.skip);
    let in_order = Arguments::are_in_order(&place.btf, place.prototype);
    let returned = (at.kind == HookKind::Fexit && in_order && place.returns().is_some())
        .then(|| u8::try_from(place.arity()).ok())
        .flatten();
    let missing = hook.wants.members.iter().filter(|want| want.required).find_map(|want| match &want.from {
        From::Argument(ty) if arguments.index(ty).is_none() => Some(named(ty)),
        From::Parameter(name) if !parameters.contains_key(name) => Some(format!("parameter `{name}`")),
        From::Returned if returned.is_none() => Some("returned value".to_owned()),
        _ => None,
    });
    if let Some(missing) = missing {
        return Ok(Err(format!("`{}` has no {missing} on this kernel", at.target)));
    }
    let at = at.clone();
    Ok(Ok(PlannedHook { collector, hook, at, place, arguments, parameters, returned, without }))
}

fn named(ty: &ArgType) -> String {
    format!("`{ty}`")
}
