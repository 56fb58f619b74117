//! The one option table. An option is defined once, as a value, and from that definition come its
//! command-line argument, its profile key, its help text and its typed setting. A collector's manifest
//! adds definitions like these, so its options are treated as ours are.

mod builtin;
mod clap;
mod definition_error;
mod settings;
mod table;
mod text;
mod value;

pub use self::clap::{arg, read};
pub use builtin::{TRACE, builtin};
pub use definition_error::{DefinitionError, Owner};
pub use settings::{Origin, Setting, Settings};
pub use table::OptionTable;
pub use value::{Located, SettingValue};

pub(crate) use builtin::{FILTER, PROBE};
pub(crate) use text::{
    Label, check_integer, check_size, from_text, from_texts, located_filter, located_probe,
};

use crate::filter::FieldPath;

/// One option of `tracer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionDef {
    /// The long flag without `--`, such as `nft-verdicts`; the name of the setting too.
    pub name: String,
    /// The short flag.
    pub short: Option<char>,
    /// What it does, in one sentence without a full stop.
    pub about: String,
    /// What it takes.
    pub value: ValueType,
    /// What stands for the value in help and usage; by default it follows from `value`.
    pub value_name: Option<String>,
    /// What happens where several places give it.
    pub merge: Merge,
    /// How a profile spells it.
    pub key: Key,
    /// The sub-commands that take it.
    pub scope: Scope,
    /// The group in the help; a collector's options stand under its name.
    pub heading: Option<String>,
    /// The value where nobody gives one, as it would be written on the command line.
    pub default: Option<String>,
    /// The value where the option is given on the command line without one; `None` if it needs one.
    pub bare: Option<String>,
    /// Whether it stands for itself on the command line, without its name in front.
    pub positional: bool,
    /// The event field that the option selects by: `nft_verdicts = ["drop"]` selects by `nft.verdict`.
    pub selects: Option<FieldPath>,
}

impl OptionDef {
    /// A replacing option of all sub-commands that profiles may give under its own name.
    pub fn new(name: impl Into<String>, about: impl Into<String>, value: ValueType) -> Self {
        Self {
            name: name.into(),
            short: None,
            about: about.into(),
            value,
            value_name: None,
            merge: Merge::Replacing,
            key: Key::Name,
            scope: Scope::Global,
            heading: None,
            default: None,
            bare: None,
            positional: false,
            selects: None,
        }
    }

    /// The same with a short flag.
    #[must_use]
    pub fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    /// The same with another name for its value.
    #[must_use]
    pub fn value_name(mut self, name: impl Into<String>) -> Self {
        self.value_name = Some(name.into());
        self
    }

    /// The same, with the values of all places put together.
    #[must_use]
    pub fn adding(mut self) -> Self {
        self.merge = Merge::Adding;
        self
    }

    /// The same, spelled `key` in profiles.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Key::Other(key.into());
        self
    }

    /// The same, refused in profiles.
    #[must_use]
    pub fn command_line_only(mut self) -> Self {
        self.key = Key::CommandLineOnly;
        self
    }

    /// The same, for these sub-commands only.
    #[must_use]
    pub fn on(mut self, commands: impl Into<Vec<SubCommand>>) -> Self {
        self.scope = Scope::Commands(commands.into());
        self
    }

    /// The same, under a heading in the help.
    #[must_use]
    pub fn heading(mut self, heading: impl Into<String>) -> Self {
        self.heading = Some(heading.into());
        self
    }

    /// The same, with a value for when nobody gives one.
    #[must_use]
    pub fn default(mut self, value: impl Into<String>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// The same, with a value for when the option stands alone.
    #[must_use]
    pub fn bare(mut self, value: impl Into<String>) -> Self {
        self.bare = Some(value.into());
        self
    }

    /// The same, standing for itself on the command line; a profile never gives it.
    #[must_use]
    pub fn positional(mut self) -> Self {
        self.positional = true;
        self.command_line_only()
    }

    /// The same, selecting events by a field.
    #[must_use]
    pub fn selects(mut self, field: FieldPath) -> Self {
        self.selects = Some(field);
        self
    }

    /// How a profile spells it, whether or not it may: the name with `_`, unless it has its own key.
    pub fn profile_key(&self) -> String {
        match &self.key {
            Key::Other(key) => key.clone(),
            Key::Name | Key::CommandLineOnly => self.name.replace('-', "_"),
        }
    }

    /// Whether some sub-command takes both.
    pub fn meets(&self, other: &Self) -> bool {
        SubCommand::ALL.into_iter().any(|command| self.is_on(command) && other.is_on(command))
    }

    /// Whether `command` takes it.
    pub fn is_on(&self, command: SubCommand) -> bool {
        match &self.scope {
            Scope::Global => true,
            Scope::Commands(commands) => commands.contains(&command),
        }
    }
}

/// What an option takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueType {
    /// Nothing on the command line, a boolean in a profile.
    Flag,
    /// Any text.
    String,
    /// A file or folder.
    Path,
    /// Files or folders, one each time the option is given.
    Paths,
    /// A whole number within bounds, both included.
    Integer {
        /// The least allowed.
        min: i64,
        /// The greatest allowed.
        max: i64,
    },
    /// A number of bytes within bounds, both included; `K`, `M` and `G` are powers of 1024.
    Size {
        /// The least allowed, in bytes.
        min: u64,
        /// The greatest allowed, in bytes.
        max: u64,
    },
    /// A time span with its unit: `500ms`, `10s`, `2m`, `1h`.
    Duration,
    /// One of these words.
    Choice(Vec<String>),
    /// Any words, separated by commas on the command line.
    List,
    /// Some of these words, separated by commas on the command line.
    ListOf(Vec<String>),
    /// Probes, one each time the option is given.
    Probes,
    /// Filters, one each time the option is given; all must hold.
    Filters,
}

impl ValueType {
    /// [`ValueType::Choice`] of `words`.
    pub fn choice<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Self::Choice(words.into_iter().map(Into::into).collect())
    }

    /// [`ValueType::ListOf`] `words`.
    pub fn list_of<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Self::ListOf(words.into_iter().map(Into::into).collect())
    }

    /// Whether it holds any number of values, which is what an adding option needs.
    pub fn is_list(&self) -> bool {
        matches!(self, Self::Paths | Self::List | Self::ListOf(_) | Self::Probes | Self::Filters)
    }

    /// What it takes, as messages say it.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Flag => "true or false",
            Self::String => "a text",
            Self::Path => "a path",
            Self::Paths => "a list of paths",
            Self::Integer { .. } => "a whole number",
            Self::Size { .. } => "a number of bytes",
            Self::Duration => "a time span",
            Self::Choice(_) => "a word",
            Self::List | Self::ListOf(_) => "a list of words",
            Self::Probes => "a list of probes",
            Self::Filters => "a list of filters",
        }
    }
}

/// What happens where several places (profiles, the command line) give an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// All values count, each once, in the order parent, child, command line.
    Adding,
    /// The nearest place counts: command line, then child, then parent.
    Replacing,
}

/// How a profile spells an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// As its name, with `_`.
    Name,
    /// By a key of its own: `--probe` is `probes`, as a list's key is a plural.
    Other(String),
    /// Not at all: consent, and what belongs to one run, is given on the command line.
    CommandLineOnly,
}

/// The sub-commands that take an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All, and it may stand before the sub-command as well.
    Global,
    /// These.
    Commands(Vec<SubCommand>),
}

/// A sub-command that takes its arguments from profiles too; its name is the name of the TOML table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubCommand {
    /// Traces packets on this machine.
    Collect,
    /// Prints a stored trace.
    Print,
    /// Puts a stored trace in the order of packets.
    Sort,
    /// Writes stored packets as a pcapng file.
    Pcap,
    /// Counts the events of a stored trace.
    Stats,
    /// Describes the JSON of a stored trace.
    Schema,
}

impl SubCommand {
    /// All of them, in the order the help lists them.
    pub const ALL: [Self; 6] =
        [Self::Collect, Self::Print, Self::Sort, Self::Pcap, Self::Stats, Self::Schema];

    /// The word on the command line and the table's name in a profile.
    pub fn name(self) -> &'static str {
        match self {
            Self::Collect => "collect",
            Self::Print => "print",
            Self::Sort => "sort",
            Self::Pcap => "pcap",
            Self::Stats => "stats",
            Self::Schema => "schema",
        }
    }

    /// What it does, for the help.
    pub fn about(self) -> &'static str {
        match self {
            Self::Collect => "Trace packets on this machine",
            Self::Print => "Print the events of a trace, as text or JSON",
            Self::Sort => "Put the events of each packet of a trace together",
            Self::Pcap => "Write the packets of a trace as a pcapng file, for Wireshark",
            Self::Stats => "Count the events of a trace: by probe, by rule, by flow",
            Self::Schema => "Print the JSON Schema of a trace's JSON output",
        }
    }

    /// The sub-command called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.name() == name)
    }
}
