//! A profile is a TOML file with the arguments of a run: one table per sub-command, whose keys are the
//! options' names with `_`. What comes out of a profile are the same settings that the command line
//! gives. A profile may extend others, and may be for some machines only; a [`Family`] is all that a run
//! names, put together.

mod family;
mod probe_table;
mod read;
mod value;

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostics;
use crate::option::{Located, OptionTable, Settings, SubCommand};
use crate::when::When;

pub use family::{Family, Library, Note, Source};

/// The version of the profile format that this tracer reads.
pub const VERSION: i64 = 1;

/// Keys that are refused in every profile, whether or not the option exists in this build: consent and
/// what runs code or names files is given on the command line only.
pub const COMMAND_LINE_ONLY: [&str; 8] =
    ["allow_system_changes", "cmd", "out", "plugin", "plugin_dir", "no_plugins", "btf", "ready_file"];

/// A profile, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The name it gives itself; diagnostics call it so.
    pub name: String,
    /// What it is for, in one line.
    pub about: Option<String>,
    /// The profiles that it stands over, as it names them.
    pub extends: Vec<Located<String>>,
    /// The machines that it is for; `None` for all.
    pub when: Option<Located<When>>,
    settings: BTreeMap<SubCommand, Settings>,
}

impl Profile {
    /// Reads the text of a profile. `file` is what diagnostics call it.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of the text: first TOML's syntax, and where that holds,
    /// unknown keys, missing keys, wrong types and values.
    pub fn parse(file: &str, text: &str, table: &OptionTable) -> Result<Self, Diagnostics> {
        read::profile(file, text, table)
    }

    /// What it says for `command`; nothing if it has no such table.
    pub fn settings(&self, command: SubCommand) -> Settings {
        self.settings.get(&command).cloned().unwrap_or_default()
    }

    /// The sub-commands that it has a table for.
    pub fn commands(&self) -> impl Iterator<Item = SubCommand> {
        self.settings.keys().copied()
    }
}

#[cfg(test)]
mod tests;
