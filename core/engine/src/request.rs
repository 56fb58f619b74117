//! What a run is asked to do: the merged settings of profiles and command line, typed.

use std::{collections::BTreeMap, path::PathBuf};

use tracer_dsl::{
    filter::Expr,
    option::{Located, OptionTable, Settings},
    probe::Probe,
};

/// The arguments of `collect`.
#[derive(Debug, Clone)]
pub struct Request {
    /// Collectors by name; none means all that have something to read.
    pub collectors: Vec<Located<String>>,
    /// Where to trace.
    pub probes: Vec<Located<Probe>>,
    /// Conditions that collectors' options express.
    pub conditions: Vec<Expr>,
    /// Run this by the shell, and stop when it ends.
    pub cmd: Option<String>,
    /// Stop after this many events.
    pub stop_after: Option<u64>,
    /// Consent to changes of the system.
    pub allow_system_changes: bool,
    /// Created once everything is attached.
    pub ready_file: Option<PathBuf>,
    /// The only way of attaching, when one is forced.
    pub attach: Option<Way>,
    /// Whether the output makes files while the run goes on.
    pub new_files: bool,
    /// Bytes of the event ring.
    pub ring_size: Option<u32>,
    /// Events per second and probe at most.
    pub rate: Option<u32>,
    /// Show link-layer headers.
    pub link_header: bool,
    /// Show times by the wall clock.
    pub utc: bool,
    /// Types of modules out of files, each `MODULE=PATH`.
    pub btf: Vec<PathBuf>,
    /// Values of collectors' options that are numbers, by the option's name on the command line.
    pub numbers: BTreeMap<String, u32>,
}

/// A way of attaching to a function's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// A BPF trampoline: misses no hit. Needs BTF of the function; 5.5, and 5.11 in modules.
    Fentry,
    /// A kprobe as a perf event: works nearly everywhere, misses hits that nest in other kprobes.
    Kprobe,
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
        })
    }
}

impl Request {
    /// Reads the settings by the names that the option table gives them.
    pub fn new(settings: &Settings, table: &OptionTable) -> Self {
        Self {
            collectors: settings.words("collectors").to_vec(),
            probes: settings.probes("probe").to_vec(),
            conditions: settings.conditions(table),
            cmd: settings.text("cmd").map(str::to_owned),
            // The table admits 1 to i64::MAX only.
            stop_after: settings.integer("stop-after").map(i64::unsigned_abs),
            allow_system_changes: settings.flag("allow-system-changes"),
            link_header: settings.flag("link-header"),
            utc: settings.flag("utc"),
            btf: settings.paths("btf").to_vec(),
            new_files: settings.text("out-rotate").is_some(),
            ready_file: settings.path("ready-file").map(PathBuf::from),
            attach: match settings.text("attach") {
                Some("fentry") => Some(Way::Fentry),
                Some("kprobe") => Some(Way::Kprobe),
                _ => None,
            },
            // The table admits what a ring can be: 32 bits.
            rate: settings.integer("rate").and_then(|n| u32::try_from(n).ok()),
            numbers: settings
                .iter()
                .filter_map(|(name, _)| Some((name.clone(), u32::try_from(settings.integer(name)?).ok()?)))
                .collect(),
            ring_size: settings.size("ring-size").and_then(|n| u32::try_from(n).ok()),
        }
    }
}
