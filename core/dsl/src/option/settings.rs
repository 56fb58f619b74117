//! Settings are what all sources of arguments come down to: per option one typed value, and where it
//! came from. The rule by which profiles and the command line are put together stands here.

use std::collections::BTreeMap;
use std::collections::btree_map::{self, Entry};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Located, Merge, OptionTable, SettingValue};
use crate::diagnostic::{Diagnostic, Diagnostics, SourceRef};
use crate::filter::{self, Expr, Filter};
use crate::probe::{Probe, ProbeSpec};

/// Typed values by option name, from one place or merged from several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, Setting>);

/// The value of one option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The value, of the option's type.
    pub value: SettingValue,
    /// The option's rule for several places.
    pub merge: Merge,
    /// Where it came from; where values were added, the nearest of these places.
    pub origin: Origin,
    /// The text that gave it; `None` for defaults.
    pub source: Option<SourceRef>,
}

/// Who gave a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The option's default.
    Default,
    /// The profile of this name.
    Profile(String),
    /// The command line.
    CommandLine,
}

impl Settings {
    /// What a run uses: the command line over all profiles, and defaults where neither says anything.
    ///
    /// `profiles` are unrelated to each other, in the order they were given; one that extends another
    /// has been put [over](Self::over) it before.
    ///
    /// # Errors
    /// Each replacing option that two profiles give different values and the command line does not
    /// decide.
    pub fn resolve(
        command_line: Self,
        profiles: impl IntoIterator<Item = Self>,
        defaults: Self,
    ) -> Result<Self, Diagnostics> {
        Self::resolve_related(command_line, profiles.into_iter().collect(), &|_, _| false, defaults)
    }

    /// The same with profiles that may be related, parents before their children: `outranks(a, b)` says
    /// whether the profile at `a` descends from the one at `b`, and so replaces what that says.
    pub(crate) fn resolve_related(
        command_line: Self,
        profiles: Vec<Self>,
        outranks: &dyn Fn(usize, usize) -> bool,
        defaults: Self,
    ) -> Result<Self, Diagnostics> {
        let mut given: BTreeMap<String, Vec<(usize, Setting)>> = BTreeMap::new();
        for (index, profile) in profiles.into_iter().enumerate() {
            for (name, setting) in profile.0 {
                given.entry(name).or_default().push((index, setting));
            }
        }
        let mut found = Diagnostics::new();
        let mut merged = Self::default();
        for (name, mut settings) in given {
            let replacing = settings.iter().any(|(_, setting)| setting.merge == Merge::Replacing);
            if replacing {
                let givers: Vec<usize> = settings.iter().map(|(index, _)| *index).collect();
                settings.retain(|(index, _)| !givers.iter().any(|giver| outranks(*giver, *index)));
                let differing =
                    settings.iter().skip(1).filter(|(_, setting)| setting.value != settings[0].1.value);
                if !command_line.0.contains_key(&name) {
                    found.extend(differing.map(|(_, setting)| conflict(&name, &settings[0].1, setting)));
                }
                settings.truncate(1);
            }
            let together = settings.into_iter().map(|(_, setting)| setting).reduce(|mut all, nearer| {
                all.cover_with(nearer);
                all
            });
            merged.0.extend(together.map(|setting| (name, setting)));
        }
        let mut settings = command_line.over(merged);
        for (name, setting) in defaults.0 {
            settings.0.entry(name).or_insert(setting);
        }
        found.or_value(settings)
    }

    /// These over those `below`: a child profile over its parent, the command line over profiles.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        let mut merged = below;
        for (name, setting) in self.0 {
            match merged.0.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(setting);
                }
                Entry::Occupied(mut place) => place.get_mut().cover_with(setting),
            }
        }
        merged
    }

    /// The conditions that options with a field to select by express, in the order of the table.
    ///
    /// Each binds only where its field's section is reported; see [`filter`].
    pub fn conditions(&self, table: &OptionTable) -> Vec<Expr> {
        let selecting = table.iter().filter_map(|option| {
            let setting = self.0.get(&option.name)?;
            let field = option.selects.clone()?;
            Some(filter::selection(field, setting.words(), setting.source.clone()))
        });
        selecting.collect()
    }

    /// Everything known about the option `name`; `None` if nobody gave it.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.0.get(name)
    }

    /// All, by name.
    pub fn iter(&self) -> btree_map::Iter<'_, String, Setting> {
        self.0.iter()
    }

    /// Sets one, replacing what was there.
    pub fn insert(&mut self, name: impl Into<String>, setting: Setting) {
        self.0.insert(name.into(), setting);
    }

    /// Whether the flag `name` is set.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.value(name), Some(SettingValue::Flag(true)))
    }

    /// The text of `name`, or its word if it is a choice.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value(name)? {
            SettingValue::String(text) | SettingValue::Choice(text) => Some(text),
            _ => None,
        }
    }

    /// The path of `name`.
    pub fn path(&self, name: &str) -> Option<&Path> {
        match self.value(name)? {
            SettingValue::Path(path) => Some(path),
            _ => None,
        }
    }

    /// The paths of `name`; none if it is not given.
    pub fn paths(&self, name: &str) -> &[PathBuf] {
        match self.value(name) {
            Some(SettingValue::Paths(paths)) => paths,
            _ => &[],
        }
    }

    /// The number of `name`.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.value(name)? {
            SettingValue::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The size of `name`, in bytes.
    pub fn size(&self, name: &str) -> Option<u64> {
        match self.value(name)? {
            SettingValue::Size(bytes) => Some(*bytes),
            _ => None,
        }
    }

    /// The time span of `name`.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        match self.value(name)? {
            SettingValue::Duration(span) => Some(*span),
            _ => None,
        }
    }

    /// The words of `name`; none if it is not given.
    pub fn words(&self, name: &str) -> &[Located<String>] {
        self.0.get(name).map(Setting::words).unwrap_or_default()
    }

    /// Moves filters to the probes of `collect`: each probe is there once for each of `filters`, all of which must hold then
    /// beside its own. Of no filter at all, nothing is left to be asked of its events.
    pub(crate) fn bind_filters(&mut self, filters: &[Vec<Located<Filter>>]) {
        self.0.remove(super::FILTER);
        let Some(SettingValue::Probes(probes)) = self.0.get_mut(super::PROBE).map(|one| &mut one.value)
        else {
            return;
        };
        let bound = probes.iter().flat_map(|probe| {
            filters.iter().map(|filters| {
                let mut probe = probe.clone();
                let new = filters
                    .iter()
                    .filter(|new| probe.filter.iter().all(|known| known.value.text() != new.value.text()));
                let new: Vec<_> = new.cloned().collect();
                probe.filter.extend(new);
                probe
            })
        });
        let mut all: Vec<ProbeSpec> = Vec::new();
        for probe in bound {
            if !all.iter().any(|known| known.same_place(&probe)) {
                all.push(probe);
            }
        }
        *probes = all;
    }

    /// The probes of `name` with their alternatives and conditions; none if it is not given.
    pub fn probe_specs(&self, name: &str) -> &[ProbeSpec] {
        match self.value(name) {
            Some(SettingValue::Probes(probes)) => probes,
            _ => &[],
        }
    }

    /// The first choice of each probe of `name`, whatever its conditions; none if it is not given.
    pub fn probes(&self, name: &str) -> Vec<Located<Probe>> {
        let specs = self.probe_specs(name).iter();
        specs.filter_map(|spec| spec.alternatives.first().cloned()).collect()
    }

    /// The filters of `name`, all of which must hold; none if it is not given.
    pub fn filters(&self, name: &str) -> &[Located<Filter>] {
        match self.value(name) {
            Some(SettingValue::Filters(filters)) => filters,
            _ => &[],
        }
    }

    fn value(&self, name: &str) -> Option<&SettingValue> {
        self.0.get(name).map(|setting| &setting.value)
    }
}

impl Setting {
    fn words(&self) -> &[Located<String>] {
        match &self.value {
            SettingValue::Words(words) => words,
            _ => &[],
        }
    }

    fn cover_with(&mut self, nearer: Self) {
        match self.merge {
            Merge::Replacing => *self = nearer,
            Merge::Adding => {
                self.value.join(nearer.value);
                self.origin = nearer.origin;
                self.source = nearer.source;
            }
        }
    }
}

fn conflict(name: &str, first: &Setting, second: &Setting) -> Diagnostic {
    let (Setting { value: a, origin: of_a, .. }, Setting { value: b, origin: of_b, .. }) = (first, second);
    let mut found = Diagnostic::error(format!("{of_a} and {of_b} differ on `{name}`"))
        .because(format!("{b} here, {a} in {of_a}"))
        .hint(format!("decide it on the command line: `--{name}`"));
    found.source = second.source.clone();
    found
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::Profile(name) => write!(f, "profile `{name}`"),
            Self::CommandLine => f.write_str("the command line"),
        }
    }
}

impl FromIterator<(String, Setting)> for Settings {
    fn from_iter<I: IntoIterator<Item = (String, Setting)>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
