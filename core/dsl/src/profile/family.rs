//! A run may name several profiles, and each may extend others. Here they are found, read once each, and
//! put together: command line over child over parent; profiles that are not related and differ on a
//! replacing option are an error. Where profiles are kept is a [`Library`]'s knowledge.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use super::Profile;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::filter::Filter;
use crate::option::{Located, OptionTable, Settings, SubCommand};
use crate::when::When;

/// Longer lines of descent are nobody's design, and would cost stack.
const DEPTH_MAX: usize = 32;

/// Where profiles are found by what the user calls them.
pub trait Library {
    /// The text of the profile called `name`: in `from`, if that profile extends it, else by the user.
    ///
    /// # Errors
    /// There is none, or it cannot be read; the place of the word is the caller's knowledge.
    fn source(&self, name: &str, from: Option<&Source>) -> Result<Source, Diagnostics>;
}

/// The text of a profile, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What diagnostics call it.
    pub file: String,
    /// Its file; `None` for what is built in. The same file always has the same path.
    pub path: Option<PathBuf>,
    /// The TOML text.
    pub text: String,
}

impl Source {
    fn is(&self, other: &Self) -> bool {
        match (&self.path, &other.path) {
            (Some(a), Some(b)) => a == b,
            (None, None) => self.file == other.file,
            _ => false,
        }
    }
}

/// The profiles of a run with all that they extend, read and checked.
#[derive(Debug, Clone)]
pub struct Family {
    /// Parents stand before their children.
    members: Vec<Member>,
    /// Those that the user named.
    named: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Member {
    source: Source,
    profile: Profile,
    parents: Vec<usize>,
    /// Parents, their parents, and so on.
    ancestors: BTreeSet<usize>,
}

impl Family {
    /// Finds and reads the profiles called `names`, and all that they extend.
    ///
    /// # Errors
    /// All that is wrong in any of them, each with its place: texts, unknown names, and profiles that
    /// extend themselves.
    pub fn load(
        names: &[Located<String>],
        library: &dyn Library,
        table: &OptionTable,
    ) -> Result<Self, Diagnostics> {
        let mut loading = Loading {
            library,
            table,
            members: Vec::new(),
            broken: Vec::new(),
            line: Vec::new(),
            found: Diagnostics::new(),
        };
        let named = names.iter().filter_map(|name| loading.member(name)).collect();
        let Loading { members, found, .. } = loading;
        found.or_value(Self { members, named })
    }

    /// All of them, parents before their children.
    pub fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.members.iter().map(|member| &member.profile)
    }

    /// What `command` uses: the command line over the profiles that apply, and defaults where neither says
    /// anything; and which profiles do not apply.
    ///
    /// `holds` answers a profile's `when`. A profile that does not apply contributes nothing, and neither
    /// does what only it extends.
    ///
    /// # Errors
    /// Each replacing option that two unrelated profiles give different values and the command line does
    /// not decide.
    pub fn resolve(
        &self,
        command: SubCommand,
        command_line: Settings,
        defaults: Settings,
        holds: &dyn Fn(&When) -> bool,
    ) -> Result<(Settings, Vec<Note>), Diagnostics> {
        let (mut applying, mut notes) = (BTreeSet::new(), Vec::new());
        let (mut open, mut seen) = (self.named.clone(), BTreeSet::new());
        while let Some(index) = open.pop() {
            if !seen.insert(index) {
                continue;
            }
            let Member { profile, parents, .. } = &self.members[index];
            match &profile.when {
                Some(when) if !holds(&when.value) => {
                    notes.push(Note { profile: profile.name.clone(), when: when.clone() });
                }
                _ => {
                    applying.insert(index);
                    open.extend(parents);
                }
            }
        }
        let applying: Vec<usize> = applying.into_iter().collect();
        let mut settings: Vec<Settings> =
            applying.iter().map(|&index| self.members[index].profile.settings(command)).collect();
        if command == SubCommand::Collect {
            self.bind_filters(&applying, &mut settings);
        }
        let outranks = |a: usize, b: usize| self.members[applying[a]].ancestors.contains(&applying[b]);
        let settings = Settings::resolve_related(command_line, settings, &outranks, defaults)?;
        Ok((settings, notes))
    }

    /// A profile's filters are about its own probes. With all that it extends it is one profile: what it inherits is its own.
    fn bind_filters(&self, applying: &[usize], settings: &mut [Settings]) {
        let descends = |a: usize, b: usize| self.members[a].ancestors.contains(&b);
        let youngest: Vec<usize> =
            applying.iter().copied().filter(|b| !applying.iter().any(|a| descends(*a, *b))).collect();
        let belongs = |member: usize, whole: usize| member == whole || descends(whole, member);
        let filters = |whole: usize| -> Vec<Located<Filter>> {
            let members = applying.iter().zip(settings.iter()).filter(|(member, _)| belongs(**member, whole));
            members.flat_map(|(_, settings)| settings.filters(crate::option::FILTER)).cloned().collect()
        };
        let filters: Vec<(usize, Vec<Located<Filter>>)> =
            youngest.into_iter().map(|whole| (whole, filters(whole))).collect();
        for (member, settings) in applying.iter().zip(settings) {
            let bound = filters.iter().filter(|(whole, _)| belongs(*member, *whole));
            settings.bind_filters(&bound.map(|(_, filters)| filters.clone()).collect::<Vec<_>>());
        }
    }
}

/// That a profile contributes nothing to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The profile.
    pub profile: String,
    /// The condition that does not hold.
    pub when: Located<When>,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { profile, when } = self;
        write!(f, "profile `{profile}` is left out: on this machine `{}` does not hold", when.value)
    }
}

struct Loading<'a> {
    library: &'a dyn Library,
    table: &'a OptionTable,
    members: Vec<Member>,
    /// What has been told about already.
    broken: Vec<Source>,
    /// The profiles whose parents are being read, from the one that the user named, as they were called.
    line: Vec<(String, Source)>,
    found: Diagnostics,
}

impl Loading<'_> {
    /// The index of the profile called `name`, or `None` after having said what is wrong.
    fn member(&mut self, name: &Located<String>) -> Option<usize> {
        let from = self.line.last().map(|(_, source)| source);
        let source = match self.library.source(&name.value, from) {
            Ok(source) => source,
            Err(found) => {
                let descent = (!self.line.is_empty()).then(|| self.descent(&name.value));
                let placed = found.into_iter().map(|one| {
                    let one = one.at(name.source.clone());
                    match &descent {
                        Some(descent) => one.because(descent.as_str()),
                        None => one,
                    }
                });
                self.found.extend(placed);
                return None;
            }
        };
        let refused = if self.line.iter().any(|(_, above)| above.is(&source)) {
            Some(
                Diagnostic::error(format!("profile `{}` extends itself", name.value))
                    .hint("take one of these `extends` away"),
            )
        } else if self.line.len() >= DEPTH_MAX {
            Some(Diagnostic::error(format!("more than {DEPTH_MAX} profiles extend each other")))
        } else {
            None
        };
        if let Some(refused) = refused {
            self.found.push(refused.because(self.descent(&name.value)).at(name.source.clone()));
            return None;
        }
        if let Some(index) = self.members.iter().position(|member| member.source.is(&source)) {
            return Some(index);
        }
        if self.broken.iter().any(|broken| broken.is(&source)) {
            return None;
        }
        let parsed = Profile::parse(&source.file, &source.text, self.table);
        let Some(profile) = self.found.take(parsed) else {
            self.broken.push(source);
            return None;
        };
        self.line.push((name.value.clone(), source));
        let parents: Vec<_> = profile.extends.iter().map(|parent| self.member(parent)).collect();
        let (_, source) = self.line.pop()?;
        let Some(parents) = parents.into_iter().collect::<Option<Vec<usize>>>() else {
            self.broken.push(source);
            return None;
        };
        let above = parents.iter().flat_map(|&parent| self.members[parent].ancestors.iter().copied());
        let ancestors = above.chain(parents.iter().copied()).collect();
        self.members.push(Member { source, profile, parents, ancestors });
        Some(self.members.len() - 1)
    }

    /// How the profile `last` came to be read.
    fn descent(&self, last: &str) -> String {
        let mut names = self.line.iter().map(|(name, _)| name.as_str()).chain([last]);
        let mut text = format!("`{}`", names.next().unwrap_or_default());
        for (i, name) in names.enumerate() {
            text += if i == 0 { " extends " } else { ", which extends " };
            text += &format!("`{name}`");
        }
        text
    }
}

#[cfg(test)]
#[path = "family_tests.rs"]
mod tests;
