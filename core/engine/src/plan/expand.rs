//! Which places a probe means: one, all that match a pattern, or none, and then why.

use std::collections::HashSet;

use tracer_dsl::probe::{Probe, ProbeKind, Target};
use tracer_kernel::{Symbols, TraceFs};

use crate::{
    error::Error,
    types::{Place, PlaceKind, Types, is_machinery},
};

/// More places than this are no longer a question about the kernel, but a mistake in a pattern.
const PLACES_MAX: usize = 2048;

/// What a probe comes to.
pub(super) enum Found {
    /// Places, by name, in order.
    Places {
        /// With what the kernel's types say of them.
        places: Vec<(String, Option<Place>)>,
        /// What the user should know about them.
        notes: Vec<String>,
    },
    /// None.
    Nothing {
        /// Why.
        reason: String,
        /// What to do.
        hint: String,
    },
}

/// Looks places up.
pub(super) struct Expander<'a> {
    types: &'a mut Types,
    symbols: &'a Symbols,
    tracefs: Option<std::io::Result<TraceFs>>,
    traceable: Option<Option<HashSet<String>>>,
}

impl<'a> Expander<'a> {
    pub(super) fn new(types: &'a mut Types, symbols: &'a Symbols) -> Self {
        Self { types, symbols, tracefs: None, traceable: None }
    }

    pub(super) fn expand(&mut self, probe: &Probe) -> Result<Found, Error> {
        match (&probe.target, probe.kind) {
            (Target::Exact(name), ProbeKind::RawTracepoint) => self.tracepoint(name),
            (Target::Exact(name), _) => self.function(name, probe.kind),
            (Target::Pattern(pattern), ProbeKind::RawTracepoint) => self.tracepoints(&probe.target, pattern),
            (Target::Pattern(pattern), _) => self.functions(&probe.target, pattern),
        }
    }

    fn function(&mut self, name: &str, kind: ProbeKind) -> Result<Found, Error> {
        if let Some(place) = self.types.find(PlaceKind::Function, name)? {
            return Ok(Found::Places { places: vec![(name.to_owned(), Some(place))], notes: vec![] });
        }
        let by_name = matches!(kind, ProbeKind::Kprobe | ProbeKind::Kretprobe);
        if by_name && self.symbols.contains(name) {
            let note = format!("{name} is in no BTF: its arguments are not known, and nothing is read there");
            return Ok(Found::Places { places: vec![(name.to_owned(), None)], notes: vec![note] });
        }
        // Compilers append to the names of copies that they make.
        let copies: Vec<&str> = self
            .symbols
            .functions()
            .map(|symbol| symbol.name)
            .filter(|symbol| symbol.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
            .take(3)
            .collect();
        let reason = match copies[..] {
            [] => format!("this kernel and its loaded modules have no function `{name}`"),
            _ => format!("the compiler made this function into another one: {}", copies.join(", ")),
        };
        let hint = match copies[..] {
            [] => "a module's functions are there only while it is loaded; a static function may be inlined"
                .to_owned(),
            [copy, ..] => format!("`kprobe:{copy}` can be attached, though its arguments are not known"),
        };
        Ok(Found::Nothing { reason, hint })
    }

    fn functions(&mut self, target: &Target, pattern: &str) -> Result<Found, Error> {
        let matches = |name: &str| target.matches(name) && (!is_machinery(name) || is_machinery(pattern));
        let mut found = self.types.matching(PlaceKind::Function, &matches)?;
        let all = found.len();
        let mut notes = Vec::new();
        if all > 0 {
            match self.traceable() {
                Some(traceable) => found.retain(|(name, _)| traceable.contains(name)),
                None => {
                    let names = found.iter().map(|(name, _)| name.as_str()).collect();
                    let known = self.symbols.addresses_of(&names);
                    found.retain(|(name, _)| known.contains_key(name));
                }
            }
            let not = all - found.len();
            if not > 0 {
                notes.push(format!(
                    "{pattern}: {not} more functions match that the kernel does not allow to trace"
                ));
            }
        }
        Ok(Self::some_of(found, pattern, "function", notes))
    }

    fn tracepoint(&mut self, name: &str) -> Result<Found, Error> {
        let (group, short) = name.split_once(':').unwrap_or(("", name));
        if let Some(place) = self.types.find(PlaceKind::Tracepoint, short)? {
            return Ok(Found::Places { places: vec![(name.to_owned(), Some(place))], notes: vec![] });
        }
        // Without BTF of its module, it is still known by the function that calls programs.
        if self.symbols.contains(&format!("__bpf_trace_{short}"))
            || self.symbols.contains(&format!("__tracepoint_{short}"))
        {
            let note = format!("{name} is in no BTF: its arguments are not known, and nothing is read there");
            return Ok(Found::Places { places: vec![(name.to_owned(), None)], notes: vec![note] });
        }
        let near = self.types.matching(PlaceKind::Tracepoint, &|_| true)?;
        let near = tracer_dsl::diagnostic::suggest(short, near.iter().map(|(name, _)| name.as_str()));
        let hint = match near {
            Some(near) => format!("did you mean `{group}:{near}`?"),
            None => "a module's tracepoints are there only while it is loaded".to_owned(),
        };
        let reason = format!("this kernel and its loaded modules have no tracepoint `{short}`");
        Ok(Found::Nothing { reason, hint })
    }

    /// Types know no groups: tracefs does.
    fn tracepoints(&mut self, target: &Target, pattern: &str) -> Result<Found, Error> {
        let (group, _) = pattern.split_once(':').unwrap_or(("*", pattern));
        let tracefs = self.tracefs.get_or_insert_with(TraceFs::open);
        let names = tracefs.as_ref().map_err(std::string::ToString::to_string).and_then(|tracefs| {
            let groups = if group.contains('*') { tracefs.groups() } else { Ok(vec![group.to_owned()]) };
            let groups = groups.map_err(|e| e.to_string())?;
            let all = groups.into_iter().flat_map(|group| {
                let names = tracefs.tracepoints(&group).unwrap_or_default();
                names.into_iter().map(move |name| format!("{group}:{name}"))
            });
            Ok(all.filter(|name| target.matches(name)).collect::<Vec<_>>())
        });
        let names = match names {
            Ok(names) => names,
            Err(error) => {
                return Ok(Found::Nothing {
                    reason: format!("the list of tracepoints cannot be read: tracefs: {error}"),
                    hint: "name each tracepoint".to_owned(),
                });
            }
        };
        let mut found = Vec::new();
        for name in names {
            let short = name.split_once(':').map_or(name.as_str(), |(_, short)| short);
            if let Some(place) = self.types.find(PlaceKind::Tracepoint, short)? {
                found.push((name, place));
            }
        }
        Ok(Self::some_of(found, pattern, "tracepoint", Vec::new()))
    }

    fn some_of(found: Vec<(String, Place)>, pattern: &str, what: &str, notes: Vec<String>) -> Found {
        match found.len() {
            0 => Found::Nothing {
                reason: format!(
                    "no {what} of this kernel and its loaded modules that can be traced matches `{pattern}`"
                ),
                hint: "`*` stands for any characters; a module's functions are there only while it is loaded"
                    .to_owned(),
            },
            n if n > PLACES_MAX => Found::Nothing {
                reason: format!("{n} {what}s match `{pattern}`; {PLACES_MAX} can be traced at once"),
                hint: "write a narrower pattern".to_owned(),
            },
            _ => {
                let places = found.into_iter().map(|(name, place)| (name, Some(place))).collect();
                Found::Places { places, notes }
            }
        }
    }

    /// The functions that the kernel can trace, where it tells.
    fn traceable(&mut self) -> Option<&HashSet<String>> {
        let tracefs = self.tracefs.get_or_insert_with(TraceFs::open);
        let read = || {
            let names = tracefs.as_ref().ok()?.traceable_functions().ok()?;
            Some(names.into_iter().collect())
        };
        self.traceable.get_or_insert_with(read).as_ref()
    }
}
