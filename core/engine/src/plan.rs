//! A request, resolved against the catalog and this kernel: which function each probe is, what its
//! arguments are, which readers run there. Nothing is loaded or changed to find that out. A plan
//! that exists can be composed; only the verifier and the host's policy can still refuse.

use std::collections::{BTreeMap, BTreeSet};

use tracer_compose::{
    Accessor, ArgType, Arguments, Catalog, Fragment, From, KernelEnums, Need, Reader, option_name,
};
use tracer_dsl::{
    Diagnostic, Diagnostics,
    filter::{Expr, Value},
    option::Located,
    probe::{Probe, ProbeKind, Target},
};
use tracer_event::Kind;

use crate::{
    error::Error,
    names,
    request::{Request, Way},
    types::{Function, Types},
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
    /// What the collectors need of the system.
    pub needs: BTreeSet<Need>,
    /// What the user should know about what was asked and cannot be had.
    pub notes: Vec<String>,
    /// The collectors' options that are numbers: collector's number and option to value.
    pub constants: BTreeMap<(usize, String), u64>,
    /// The kernel's names for values of the collectors' fields.
    pub kernel_enums: KernelEnums,
}

impl Plan<'_> {
    /// The kernel symbols whose addresses the fragments ask for.
    pub fn symbols(&self) -> BTreeSet<&str> {
        let wants = self.probes.iter().flat_map(|p| {
            let readers = p.readers.iter().map(|(_, r)| &r.wants);
            let early = p.conditions.iter().map(|c| c.accessor).chain(p.guards.iter().map(|g| g.accessor));
            readers.chain(early.map(|accessor| &accessor.wants))
        });
        let symbols = wants.flat_map(|w| &w.members).filter_map(|w| match &w.from {
            From::Symbol(name) => Some(name.as_str()),
            _ => None,
        });
        symbols.collect()
    }
}

/// A probe that this kernel has.
pub struct PlannedProbe<'a> {
    /// As it was asked for.
    pub probe: Probe,
    /// The function.
    pub function: Function,
    /// What the function's arguments are.
    pub arguments: Arguments,
    /// The readers that run there; the number is the collector's in [`Plan::collectors`].
    pub readers: Vec<(usize, &'a Reader)>,
    /// What must hold for an event to be reported.
    pub conditions: Vec<PlannedCondition<'a>>,
    /// What holds there for all readers.
    pub guards: Vec<PlannedGuard<'a>>,
    /// The ways of attaching, best first.
    pub ways: Vec<Way>,
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

/// A condition that is decided by an accessor.
pub struct PlannedCondition<'a> {
    /// The collector's number in [`Plan::collectors`].
    pub collector: usize,
    /// What gives the value.
    pub accessor: &'a Accessor,
    /// The values that pass.
    pub values: Vec<i64>,
}

impl<'a> Plan<'a> {
    /// Resolves a request.
    pub fn new(request: &Request, catalog: &'a Catalog, types: &mut Types) -> Result<Self, Error> {
        let collectors = collectors(request, catalog)?;
        let mut found = Diagnostics::new();
        let reporting = collectors.len();
        let readers = collectors.iter().flat_map(|f| &f.readers);
        let enums: BTreeSet<&str> =
            readers.flat_map(|r| &r.kernel_enums).flat_map(|f| &f.enums).map(String::as_str).collect();
        let kernel_enums = types.kernel_enums(enums);
        let mut plan = Self {
            collectors,
            reporting,
            probes: Vec::new(),
            needs: BTreeSet::new(),
            notes: Vec::new(),
            constants: BTreeMap::new(),
            kernel_enums,
        };
        for probe in &merged(&request.probes) {
            match plan.probe(probe, request, catalog, types) {
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
        // Guards may have brought collectors of their own.
        plan.constants = constants(request, &plan.collectors);
        if plan.probes.is_empty() {
            return Err(Error::Missing {
                message: "nothing to trace: this kernel has none of the probes".to_owned(),
                help: plan.notes.join("\n  = help: "),
            });
        }
        plan.note_idle(request, types);
        Ok(plan)
    }

    fn probe(
        &mut self,
        located: &Located<Probe>,
        request: &Request,
        catalog: &'a Catalog,
        types: &mut Types,
    ) -> Result<(), Error> {
        let probe = &located.value;
        let refuse = |message: String, hint: &str| {
            Error::from(Diagnostics::from(Diagnostic::error(message).at(located.source.clone()).hint(hint)))
        };
        if !matches!(probe.kind, ProbeKind::Kprobe | ProbeKind::Fentry) {
            let message = format!("this version of tracer cannot attach a {} probe", probe.kind.name());
            return Err(refuse(message, "it attaches `kprobe:FUNCTION` and `fentry:FUNCTION`"));
        }
        let Target::Exact(name) = &probe.target else {
            let message =
                format!("this version of tracer cannot attach the pattern `{}`", probe.target.as_str());
            return Err(refuse(message, "name each function"));
        };
        let Some(function) = types.function(name)? else {
            let reason = format!("this kernel and its loaded modules have no function `{name}` in their BTF");
            if probe.optional {
                self.notes.push(format!("{probe} is left out: {reason}"));
                return Ok(());
            }
            let absent = Diagnostic::error(format!("{probe} cannot be attached"))
                .at(located.source.clone())
                .because(reason)
                .hint("a module's functions are there only while it is loaded; a static function may be inlined");
            return Err(Diagnostics::from(absent).into());
        };
        let derive: Vec<String> = catalog.iter().flat_map(|f| f.manifest.derive.iter().cloned()).collect();
        let prototype = function.btf.prototype(function.id).unwrap_or(0);
        let arguments = Arguments::of_function(&function.btf, prototype, 0, &derive);
        let mut readers = Vec::new();
        for (index, fragment) in self.collectors[..self.reporting].iter().enumerate() {
            let fragment: &'a Fragment = fragment;
            let here = fragment.readers.iter().filter(|r| r.wants.met_by(&arguments));
            let before = readers.len();
            readers.extend(here.map(|r| (index, r)));
            if readers.len() > before {
                self.needs.extend(fragment.manifest.needs.iter().copied());
            }
        }
        if readers.is_empty() && self.reporting > 0 {
            let names: Vec<&str> =
                self.collectors[..self.reporting].iter().map(|f| f.manifest.name.as_str()).collect();
            self.notes.push(format!(
                "{probe}: no argument of the function is known to {}; its events say only that it was called",
                names.join(", ")
            ));
        }
        let conditions = self.conditions(&request.conditions, &readers)?;
        let guards = self.guards(catalog, &arguments);
        let ways = match (request.attach, probe.kind) {
            (Some(way), _) => vec![way],
            (None, ProbeKind::Fentry) => vec![Way::Fentry],
            (None, _) if function.from_file => vec![Way::Kprobe],
            (None, _) => vec![Way::Fentry, Way::Kprobe],
        };
        let probe = probe.clone();
        self.probes.push(PlannedProbe { probe, function, arguments, readers, conditions, guards, ways });
        Ok(())
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

    /// The conditions that bind at a probe with these readers: those on sections reported there.
    fn conditions(
        &self,
        conditions: &[Expr],
        readers: &[(usize, &'a Reader)],
    ) -> Result<Vec<PlannedCondition<'a>>, Error> {
        let mut bound = Vec::new();
        for condition in conditions {
            let Expr::In { field, values, span } = condition;
            let reported = readers.iter().find(|(_, r)| r.schema.section() == field.section);
            let Some((collector, reader)) = reported else { continue };
            let failed = |message: String| {
                let d = Diagnostic::error(message);
                Error::from(Diagnostics::from(match span {
                    Some(source) => d.at(source.clone()),
                    None => d,
                }))
            };
            let fragment: &'a Fragment = self.collectors[*collector];
            let accessor = fragment.accessor(&field.section, &field.field);
            let accessor =
                accessor.ok_or_else(|| failed(format!("`{field}` cannot be filtered by in the kernel")))?;
            let schema = reader.schema_with(|_| None, &self.kernel_enums);
            let kind = schema.field(&field.field).map(|f| &f.kind);
            let number = |value: &Value| match (value, kind) {
                (Value::Number(n), _) => Ok(*n),
                (Value::Name(name), Some(Kind::Enum { names, .. })) => {
                    let known = names.iter().find(|(_, n)| n == name).map(|(n, _)| *n);
                    known.ok_or_else(|| {
                        let never = names::never(&field.to_string(), name, names);
                        Error::from(Diagnostics::from(match span {
                            Some(source) => never.at(source.clone()),
                            None => never,
                        }))
                    })
                }
                (Value::Name(name), _) => Err(failed(format!("`{field}` is a number, not `{name}`"))),
            };
            let values = values.iter().map(number).collect::<Result<_, _>>()?;
            bound.push(PlannedCondition { collector: *collector, accessor, values });
        }
        Ok(bound)
    }

    /// A collector that was asked for by name and reads nothing anywhere should not be silent.
    fn note_idle(&mut self, request: &Request, types: &Types) {
        for (index, fragment) in self.collectors[..self.reporting].iter().enumerate() {
            let reads = self.probes.iter().any(|p| p.readers.iter().any(|(i, _)| *i == index));
            if !reads && !request.collectors.is_empty() {
                self.notes.push(idle(fragment, |ty| types.has(ty)));
            }
        }
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

/// What to say to a request without probes.
pub(crate) fn nothing_to_trace() -> Diagnostic {
    Diagnostic::error("nothing to trace: no probe was given")
        .hint("take a profile, such as `-p nft-dropmon`, or a probe, such as `-P kprobe:FUNCTION`")
}

/// What is written in place of collectors when nothing is to be read: events then say that a probe was hit, and where.
const NO_COLLECTOR: &str = "none";

/// The collectors that were asked for; all of them where nobody asked.
pub(crate) fn collectors<'a>(
    request: &Request,
    catalog: &'a Catalog,
) -> Result<Vec<&'a Fragment>, Diagnostics> {
    if request.collectors.is_empty() {
        return Ok(catalog.iter().collect());
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
        match catalog.find(&name.value) {
            Some(f) if collectors.iter().any(|c| c.manifest.name == f.manifest.name) => {}
            Some(f) => collectors.push(f),
            None => found
                .push(Diagnostic::unknown("collector", &name.value, catalog.names()).at(name.source.clone())),
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

/// The same place asked for twice is one probe with the options of both.
fn merged(probes: &[Located<Probe>]) -> Vec<Located<Probe>> {
    let mut merged: Vec<Located<Probe>> = Vec::new();
    for probe in probes {
        match merged.iter_mut().find(|p| p.value.same_place(&probe.value)) {
            Some(known) => known.value.join(&probe.value),
            None => merged.push(probe.clone()),
        }
    }
    merged
}
