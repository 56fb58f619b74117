//! The options that `tracer` itself has. Those of collectors come from their manifests.

use super::{OptionDef, SubCommand, ValueType};

/// One page, the least a BPF ring can be.
const RING_MIN: u64 = 4 << 10;

/// A ring's size is a power of two in a `u32` (`max_entries`), so this is the greatest there is.
const RING_MAX: u64 = 2 << 30;

/// The options that are there without any collector.
pub fn builtin() -> Vec<OptionDef> {
    global().into_iter().chain(collect()).collect()
}

fn global() -> [OptionDef; 2] {
    [
        OptionDef::new("profile", "Take arguments from these profiles", ValueType::List)
            .short('p')
            .value_name("NAME")
            .adding()
            .command_line_only(),
        OptionDef::new("profile-dir", "Look for profiles here first", ValueType::Paths)
            .value_name("DIR")
            .adding()
            .command_line_only(),
    ]
}

fn collect() -> [OptionDef; 13] {
    let collect = [SubCommand::Collect];
    [
        OptionDef::new(
            "collectors",
            "What to read at the probes; by default whatever can be read there, and `none` reads nothing",
            ValueType::List,
        )
        .short('c')
        .adding()
        .on(collect),
        OptionDef::new(
            "probe",
            "Where to trace, [TYPE:]TARGET[/OPTION...]; may be given several times",
            ValueType::Probes,
        )
        .short('P')
        .key("probes")
        .adding()
        .on([SubCommand::Collect, SubCommand::Pcap]),
        OptionDef::new("cmd", "Run this command and stop when it ends", ValueType::String)
            .value_name("CMD")
            .command_line_only()
            .on(collect),
        OptionDef::new(
            "stop-after",
            "Stop after this many events",
            ValueType::Integer { min: 1, max: i64::MAX },
        )
        .on(collect),
        OptionDef::new(
            "allow-system-changes",
            "Consent to changes on this system that the collectors need; all are undone at the end",
            ValueType::Flag,
        )
        .command_line_only()
        .on(collect),
        OptionDef::new(
            "btf",
            "Take the types of a kernel module from a file, where the kernel (before 5.11) has none",
            ValueType::Paths,
        )
        .value_name("MODULE=PATH")
        .adding()
        .command_line_only()
        .on(collect),
        OptionDef::new("link-header", "Show the link-layer header of packets too", ValueType::Flag)
            .short('e')
            .on(collect),
        OptionDef::new(
            "utc",
            "Show the date and time of events (UTC) instead of the kernel's nanoseconds",
            ValueType::Flag,
        )
        .on(collect),
        OptionDef::new("ready-file", "Create this file once all probes are attached", ValueType::Path)
            .command_line_only()
            .on(collect),
        OptionDef::new(
            "attach",
            "Attach function probes in this way only, instead of the best one",
            ValueType::choice(["auto", "fentry", "kprobe"]),
        )
        .value_name("WAY")
        .default("auto")
        .on(collect),
        OptionDef::new(
            "rate",
            "Report at most this many events per second and probe; the rest is counted",
            ValueType::Integer { min: 1, max: 1_000_000_000 },
        )
        .on(collect),
        OptionDef::new("fail-on-loss", "End with status 4 if events were lost", ValueType::Flag).on(collect),
        OptionDef::new(
            "ring-size",
            "Size of the event ring in bytes (K, M, G); by default it follows from the memory",
            ValueType::Size { min: RING_MIN, max: RING_MAX },
        )
        .on(collect),
    ]
}
