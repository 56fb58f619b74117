//! What a run is asked to do: the merged settings of profiles and command line, typed.

use std::{collections::BTreeMap, path::PathBuf};

use tracer_dsl::{
    Diagnostics,
    filter::{Expr, Filter, in_namespaces, on_devices},
    option::{Located, OptionTable, Settings},
    probe::ProbeSpec,
};

use crate::netns;

/// The arguments of `collect`.
#[derive(Debug, Clone)]
pub struct Request {
    /// Collectors by name; none means all that have something to read.
    pub collectors: Vec<Located<String>>,
    /// Where to trace.
    pub probes: Vec<ProbeSpec>,
    /// Conditions that collectors' options express.
    pub conditions: Vec<Expr>,
    /// What must hold of an event at any probe; all of them.
    pub filters: Vec<Located<Filter>>,
    /// Whether packets that passed the filter once are wanted at whatever probe they are seen afterwards; `None` where a
    /// collector can tell.
    pub follow: Option<bool>,
    /// Run this by the shell, and stop when it ends.
    pub cmd: Option<String>,
    /// Stop after this many events.
    pub stop_after: Option<u64>,
    /// Consent to changes of the system.
    pub allow_system_changes: bool,
    /// Created once everything is attached.
    pub ready_file: Option<PathBuf>,
    /// The only way of attaching, when one is forced, for the places where it is one.
    pub attach: Option<Way>,
    /// Whether a probe that is refused ends the run, instead of being left out.
    pub strict: bool,
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
    /// Values of options that are texts, by their names on the command line.
    pub texts: BTreeMap<String, String>,
}

/// A way of attaching to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// A BPF trampoline at a function's entry: misses no hit. Needs BTF of the function; 5.5, and 5.11 in modules.
    Fentry,
    /// BPF trampolines at a function's entry and return.
    Fexit,
    /// One program at many functions' entries: attached and detached at once, misses hits that nest in other kprobes.
    /// Needs CONFIG_FPROBE; 5.18.
    KprobeMulti,
    /// A kprobe as a perf event: works nearly everywhere, misses hits that nest in other kprobes.
    Kprobe,
    /// A kprobe and a kretprobe as perf events.
    Kretprobe,
    /// A tracepoint with typed arguments; 5.5, and 5.11 in modules.
    TpBtf,
    /// A tracepoint by its name.
    RawTracepoint,
}

impl Way {
    /// The way that `--attach` calls so.
    fn named(word: &str) -> Option<Self> {
        match word {
            "fentry" => Some(Self::Fentry),
            "kprobe-multi" => Some(Self::KprobeMulti),
            "kprobe" => Some(Self::Kprobe),
            "tp-btf" => Some(Self::TpBtf),
            "raw-tracepoint" => Some(Self::RawTracepoint),
            _ => None,
        }
    }
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fentry => "fentry",
            Self::Fexit => "fexit",
            Self::KprobeMulti => "kprobe.multi",
            Self::Kprobe => "kprobe",
            Self::Kretprobe => "kretprobe",
            Self::TpBtf => "tp_btf",
            Self::RawTracepoint => "raw_tracepoint",
        })
    }
}

impl Request {
    /// Reads the settings by the names that the option table gives them.
    ///
    /// # Errors
    /// Devices and namespaces that cannot be, with their places on the command line.
    pub fn new(settings: &Settings, table: &OptionTable) -> Result<Self, Diagnostics> {
        let mut found = Diagnostics::new();
        let mut filters = settings.filters("filter").to_vec();
        filters.extend(found.take(on_devices(settings.words("interface"))).flatten());
        let namespaces = found.take(netns::inums(settings.words("netns")));
        filters.extend(namespaces.and_then(|inums| found.take(in_namespaces(inums))).flatten());
        found.or_value(())?;
        Ok(Self {
            collectors: settings.words("collectors").to_vec(),
            probes: settings.probe_specs("probe").to_vec(),
            conditions: settings.conditions(table),
            filters,
            follow: match settings.text("follow") {
                Some("yes") => Some(true),
                Some("no") => Some(false),
                _ => None,
            },
            cmd: settings.text("cmd").map(str::to_owned),
            // The table admits 1 to i64::MAX only.
            stop_after: settings.integer("stop-after").map(i64::unsigned_abs),
            allow_system_changes: settings.flag("allow-system-changes"),
            link_header: settings.flag("link-header"),
            utc: settings.flag("utc"),
            btf: settings.paths("btf").to_vec(),
            new_files: settings.text("out-rotate").is_some(),
            ready_file: settings.path("ready-file").map(PathBuf::from),
            attach: settings.text("attach").and_then(Way::named),
            strict: settings.flag("strict"),
            // The table admits what a ring can be: 32 bits.
            rate: settings.integer("rate").and_then(|n| u32::try_from(n).ok()),
            numbers: settings
                .iter()
                .filter_map(|(name, _)| Some((name.clone(), u32::try_from(settings.integer(name)?).ok()?)))
                .collect(),
            texts: settings
                .iter()
                .filter_map(|(name, _)| Some((name.clone(), settings.text(name)?.to_owned())))
                .collect(),
            ring_size: settings.size("ring-size").and_then(|n| u32::try_from(n).ok()),
        })
    }
}
