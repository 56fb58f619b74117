//! The options that `tracer` itself has. Those of collectors come from their manifests.

use super::{OptionDef, SubCommand, ValueType};

/// One page, the least a BPF ring can be.
const RING_MIN: u64 = 4 << 10;

/// A ring's size is a power of two in a `u32` (`max_entries`), so this is the greatest there is.
const RING_MAX: u64 = 2 << 30;

/// The option that says where to trace.
pub(crate) const PROBE: &str = "probe";

/// The option that says which events.
pub(crate) const FILTER: &str = "filter";

/// With less for sorting, temporary files are all there is.
const MEMORY_MIN: u64 = 1 << 20;

/// More than any machine has.
const MEMORY_MAX: u64 = 1 << 44;

/// The options that are there without any collector.
pub fn builtin() -> Vec<OptionDef> {
    global().into_iter().chain(collect()).chain(trace()).collect()
}

fn global() -> [OptionDef; 5] {
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
        OptionDef::new(
            "plugin",
            "Take this collector too: a folder with collector.toml and NAME.bpf.o, NAME.so, or both",
            ValueType::Paths,
        )
        .value_name("FOLDER")
        .adding()
        .command_line_only(),
        OptionDef::new("plugin-dir", "Look for folders of collectors here first", ValueType::Paths)
            .value_name("DIR")
            .adding()
            .command_line_only(),
        OptionDef::new("no-plugins", "Take no collectors but those that are built in", ValueType::Flag)
            .command_line_only(),
    ]
}

fn collect() -> [OptionDef; 16] {
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
            PROBE,
            "Where to trace, [TYPE:]TARGET[/OPTION...]; may be given several times",
            ValueType::Probes,
        )
        .short('P')
        .key("probes")
        .adding()
        .on(collect),
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
        OptionDef::new("out", "Write events to this file instead of printing them", ValueType::Path)
            .short('o')
            .value_name("FILE")
            .bare(TRACE)
            .command_line_only()
            .on(collect),
        OptionDef::new(
            "format",
            "What is written; by default the file's ending says it: .json, .txt, .pcapng, else a trace",
            ValueType::choice(["text", "json", "trace", "pcapng"]),
        )
        .on(collect),
        OptionDef::new(
            "print",
            "Print events too, when they are written to a file or given to a sink",
            ValueType::Flag,
        )
        .on(collect),
        OptionDef::new(
            "out-rotate",
            "Begin another file of the trace at this size or age, and keep so many: 64M, 1h, 64M,10",
            ValueType::String,
        )
        .value_name("SIZE|TIME[,KEEP]")
        .on(collect),
        OptionDef::new("ready-file", "Create this file once all probes are attached", ValueType::Path)
            .command_line_only()
            .on(collect),
        OptionDef::new(
            "attach",
            "Attach in this way only, where it is one, instead of the best",
            ValueType::choice(["auto", "fentry", "kprobe-multi", "kprobe", "tp-btf", "raw-tracepoint"]),
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
        OptionDef::new(
            "strict",
            "Fail if one of the probes cannot be attached, instead of leaving it out",
            ValueType::Flag,
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

/// The file that a trace is written to and read from when none is named.
pub const TRACE: &str = "tracer.data";

/// The options of the sub-commands that read a trace, and those that they share with `collect`.
fn trace() -> Vec<OptionDef> {
    use SubCommand::{Collect, Pcap, Print, Schema, Sort, Stats};
    vec![
        OptionDef::new("link-header", "Show the link-layer header of packets too", ValueType::Flag)
            .short('e')
            .on([Collect, Print, Sort]),
        OptionDef::new(
            "utc",
            "Show the date and time of events (UTC) instead of the kernel's nanoseconds",
            ValueType::Flag,
        )
        .on([Collect, Print, Sort, Stats]),
        OptionDef::new(
            "sink",
            "Give events to the sink of this plugin instead of printing them; may be given several times",
            ValueType::List,
        )
        .value_name("NAME")
        .key("sinks")
        .adding()
        .on([Collect, Print, Sort]),
        OptionDef::new("file", "The trace", ValueType::Path)
            .value_name("FILE")
            .default(TRACE)
            .positional()
            .on([Print, Sort, Pcap, Stats, Schema]),
        OptionDef::new(
            PROBE,
            "Write the packets seen at this probe, [TYPE:]TARGET; by default at all",
            ValueType::Probes,
        )
        .short('P')
        .key("probes")
        .adding()
        .on([Pcap]),
        OptionDef::new("out", "Write here; `-` is standard output", ValueType::Path)
            .short('o')
            .value_name("FILE")
            .command_line_only()
            .on([Pcap]),
        OptionDef::new("out", "Write to this file instead of printing", ValueType::Path)
            .short('o')
            .value_name("FILE")
            .command_line_only()
            .on([Sort]),
        OptionDef::new(
            "format",
            "What is written; by default the file's ending says it: .json, .txt, .pcapng, else a trace",
            ValueType::choice(["text", "json", "trace", "pcapng"]),
        )
        .on([Sort]),
        OptionDef::new(
            "memory",
            "Memory for sorting in bytes (K, M, G); what does not fit goes to temporary files",
            ValueType::Size { min: MEMORY_MIN, max: MEMORY_MAX },
        )
        .default("256M")
        .on([Sort]),
        OptionDef::new("format", "What is printed", ValueType::choice(["text", "json"]))
            .default("text")
            .on([Print]),
        OptionDef::new("format", "What is printed", ValueType::choice(["table", "json"]))
            .default("table")
            .on([Stats]),
        OptionDef::new(
            FILTER,
            "Only events for which this holds, such as `tcp port 443`; of several, all must hold",
            ValueType::Filters,
        )
        .short('f')
        .key("filters")
        .adding()
        .on([Collect, Print, Sort, Pcap, Stats]),
        OptionDef::new(
            "follow",
            "Keep what passed the filter once wherever it is seen afterwards; auto: where a collector can, as skb-tracking",
            ValueType::choice(["auto", "yes", "no"]),
        )
        .value_name("WHEN")
        .bare("yes")
        .default("auto")
        .on([Collect]),
        OptionDef::new(
            "interface",
            "Only packets at this network device; * stands for any characters; may be given several times",
            ValueType::List,
        )
        .short('i')
        .value_name("DEV")
        .adding()
        .command_line_only()
        .on([Collect, Print, Sort, Pcap, Stats]),
        OptionDef::new(
            "netns",
            "Only packets in this network namespace: a name of `ip netns`, a process, or a file",
            ValueType::List,
        )
        .value_name("NAME|PID|PATH")
        .adding()
        .command_line_only()
        .on([Collect]),
        OptionDef::new("no-pager", "Do not show long output page by page", ValueType::Flag)
            .on([Print, Sort, Stats]),
        OptionDef::new("top", "Rows of each table", ValueType::Integer { min: 1, max: 1_000_000 })
            .default("10")
            .on([Stats]),
        OptionDef::new(
            "by",
            "What rows are sorted by",
            ValueType::choice(["events", "bytes", "first", "last"]),
        )
        .default("events")
        .on([Stats]),
        OptionDef::new("table", "Only these tables: probe, flow, and sections such as nft", ValueType::List)
            .on([Stats]),
    ]
}
