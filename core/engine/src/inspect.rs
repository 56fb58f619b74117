//! What can be probed here: functions and tracepoints, with the arguments that some collector knows.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tracer_compose::{ArgType, Arguments, Catalog, From};
use tracer_kernel::{Symbols, TraceFs};

use crate::{
    error::Error,
    types::{Place, PlaceKind, Types, is_machinery},
};

/// A place that can be probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// As it is written for `--probe`.
    pub probe: String,
    /// Types of its arguments that some collector knows.
    pub known: Vec<String>,
    /// The module that it is in.
    pub module: Option<String>,
}

/// Lists what can be probed and matches; without a pattern, what has an argument that some collector knows. The
/// pattern stands for the name of a function or tracepoint.
///
/// # Errors
///
/// A kernel without types.
pub fn inspect(pattern: Option<&str>, catalog: &Catalog) -> Result<Vec<Inspected>, Error> {
    let wanted: BTreeSet<ArgType> = catalog.iter().flat_map(wanted).collect();
    let mut types = Types::new()?;
    let symbols = Symbols::open();
    let symbols = symbols.map_err(|error| Error::System { what: "cannot open /proc/kallsyms", error })?;
    let target = pattern.map(|pattern| match pattern.contains('*') {
        true => tracer_dsl::probe::Target::Pattern(pattern.to_owned()),
        false => tracer_dsl::probe::Target::Exact(pattern.to_owned()),
    });
    let matches = |name: &str| target.as_ref().is_none_or(|target| target.matches(name));
    let tracefs = TraceFs::open().ok();
    let mut found = Vec::new();
    let about_machinery = pattern.is_some_and(is_machinery);
    let wanted_function = |name: &str| matches(name) && (about_machinery || !is_machinery(name));
    let functions = types.matching(PlaceKind::Function, &wanted_function)?;
    let traceable: HashSet<String> =
        match tracefs.as_ref().and_then(|tracefs| tracefs.traceable_functions().ok()) {
            Some(names) => names.into_iter().collect(),
            None => {
                let names = functions.iter().map(|(name, _)| name.as_str()).collect();
                symbols.addresses_of(&names).into_keys().collect()
            }
        };
    for (name, place) in functions {
        if traceable.contains(&name) {
            found.extend(inspected(format!("kprobe:{name}"), &place, &wanted, pattern.is_some()));
        }
    }
    let groups = tracefs.as_ref().map(groups).unwrap_or_default();
    let with_group = |name: &str| match groups.get(name) {
        Some(group) => format!("{group}:{name}"),
        None => format!("?:{name}"),
    };
    for (name, place) in
        types.matching(PlaceKind::Tracepoint, &|name| matches(name) || matches(&with_group(name)))?
    {
        found.extend(inspected(format!("tp:{}", with_group(&name)), &place, &wanted, pattern.is_some()));
    }
    Ok(found)
}

fn inspected(probe: String, place: &Place, wanted: &BTreeSet<ArgType>, all: bool) -> Option<Inspected> {
    let arguments = Arguments::of_function(&place.btf, place.prototype, place.skip, &[]);
    let known: Vec<String> =
        arguments.iter().filter(|argument| wanted.contains(&argument.ty)).map(|a| a.ty.to_string()).collect();
    (all || !known.is_empty()).then(|| Inspected { probe, known, module: place.module.clone() })
}

/// The types that a collector's readers are given, or that these are derived from.
fn wanted(fragment: &tracer_compose::Fragment) -> Vec<ArgType> {
    let members = fragment.readers.iter().flat_map(|reader| &reader.wants.members);
    let direct = members.filter_map(|want| match &want.from {
        From::Argument(ty) => Some(ty.clone()),
        From::Option(_) | From::Symbol(_) | From::Parameter(_) | From::Returned => None,
    });
    let derived = fragment.manifest.derive.iter().filter_map(|rule| rule.split_once('.'));
    direct.chain(derived.map(|(owner, _)| ArgType::Struct(owner.to_owned()))).collect()
}

/// The group of each tracepoint.
fn groups(tracefs: &TraceFs) -> BTreeMap<String, String> {
    let groups = tracefs.groups().unwrap_or_default().into_iter();
    groups
        .flat_map(|group| {
            let names = tracefs.tracepoints(&group).unwrap_or_default();
            names.into_iter().map(move |name| (name, group.clone()))
        })
        .collect()
}
