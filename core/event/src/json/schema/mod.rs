//! The JSON Schema of the lines: for programs that check what they read, and for whoever writes one and wants to know
//! what comes. It is made of the same schemas as the lines are, so it knows the sections of a plugin too.

mod packet;
mod types;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::object::is_reserved;
use super::{FORMAT, type_of};
use crate::{Field, Kind, Schema, Show, Tag};
use types::{Object, array, bytes, hex, integer, number, reference, signed, text, unsigned, utc};

/// The JSON Schema (draft 2020-12) of one line, with the sections given.
///
/// It permits what readers must permit: members and types of lines that it does not know, because a later minor version
/// of the format has more of them. To find what is *not* described, forbid both: set `additionalProperties` to false in
/// each object that has `properties`, and take out the last alternative of the top `anyOf`.
pub fn schema<'a>(sections: impl IntoIterator<Item = &'a Schema>) -> Value {
    let mut known: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for schema in sections {
        let described = section(schema);
        let of_name = known.entry(name(schema)).or_default();
        if !of_name.contains(&described) {
            of_name.push(described);
        }
    }
    let lines = ["meta", "event", "loss", "shortfall", "clock", "account"];
    let later = json!({
        "description": "A line of a later minor version of the format.",
        "type": "object",
        "required": ["type"],
        "properties": { "type": { "type": "string", "not": { "enum": lines } } },
    });
    let mut alternatives: Vec<Value> = lines.iter().map(|line| reference(line)).collect();
    alternatives.push(later);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("A line of tracer's JSON, format {}.{}", FORMAT.major, FORMAT.minor),
        "description": "Members that are not described here may be there: skip them.",
        "anyOf": alternatives,
        "$defs": {
            "meta": meta(),
            "event": event(&known),
            "loss": loss(),
            "shortfall": shortfall(),
            "clock": line("clock").with("monotonic", time()).with("realtime", realtime()).value(),
            "account": account(),
            "probe": probe().value(),
            "frame": frame(),
            "packet": packet::packet(),
            "headers": packet::headers().value(),
        },
    })
}

fn line(type_: &str) -> Object {
    Object::new().with("type", json!({ "const": type_ }))
}

fn meta() -> Value {
    let format = Object::new().with("major", json!({ "const": FORMAT.major })).with("minor", unsigned(4));
    let sample = Object::new().with("monotonic", time()).with("realtime", realtime());
    line("meta")
        .with("format", format.value())
        .with("tracer", text("The version of tracer that saw the events."))
        .with("host", text("The host's name."))
        .with("kernel", text("The kernel's release."))
        .with("machine", text("The machine's architecture."))
        .with("command", array(text("A word of the command line.")))
        .maybe("own_netns", number(8, "The inode number of the tracer's own network namespace."))
        .with("probes", array(probe().with("sections", array(text("A section's name."))).value()))
        .with("clock", array(sample.value()))
        .value()
}

fn event(sections: &BTreeMap<String, Vec<Value>>) -> Value {
    let task = Object::new()
        .with("comm", text("The task's name."))
        .with("pid", number(4, "What user space calls the thread id."))
        .with("tgid", number(4, "What user space calls the process id."));
    let follows =
        Object::new().with("since", number(8, "Nanoseconds since the packet's first event.")).maybe(
            "lost",
            number(8, "Events, of any packet, that were lost since this packet's event before this."),
        );
    let mut event = line("event")
        .with("time", time())
        .maybe("utc", utc())
        .maybe("follows", follows.value())
        .with("probe", reference("probe"))
        .with("cpu", unsigned(2))
        .with("task", task.value())
        .maybe("stack", array(reference("frame")));
    for (name, described) in sections {
        let section = match described.as_slice() {
            [one] => one.clone(),
            several => json!({ "anyOf": several }),
        };
        event = event.maybe(name, section);
    }
    event.value()
}

fn loss() -> Value {
    line("loss")
        .with("probe", reference("probe"))
        .with("cpu", unsigned(2))
        .with("events", number(8, "How many were lost."))
        .maybe(
            "before",
            number(8, "The time of the event before which they were lost; without it, after the last."),
        )
        .maybe("utc", utc())
        .value()
}

fn shortfall() -> Value {
    line("shortfall")
        .with("collector", text("The collector that counted it."))
        .with("what", text("What there are so many of."))
        .with("count", number(8, "How many, since the last such line of the same collector."))
        .with("time", time())
        .value()
}

fn account() -> Value {
    let missed = json!({
        "description": "Hits for which the kernel did not run the program; null where it does not count them.",
        "anyOf": [unsigned(8), { "type": "null" }],
    });
    let of_probe = Object::new()
        .with("probe", reference("probe"))
        .with("hits", number(8, "Times that the program ran: filtered + limited + delivered + lost."))
        .with("filtered", number(8, "A filter was not met."))
        .with("limited", number(8, "Suppressed by the rate limit."))
        .with("delivered", number(8, "It became an event."))
        .with("lost", number(8, "There was no room for its event."))
        .with("missed", missed);
    line("account").with("probes", array(of_probe.value())).value()
}

fn probe() -> Object {
    let types = [Tag::Kprobe, Tag::Kretprobe, Tag::RawTracepoint, Tag::Fentry, Tag::Fexit].map(type_of);
    Object::new()
        .with("type", json!({ "enum": types, "description": "The way it was asked for." }))
        .with("name", text("Its target."))
        .maybe("way", text("The way that was taken to attach it."))
}

fn frame() -> Value {
    Object::new()
        .maybe("symbol", text("The function."))
        .maybe("offset", number(8, "Bytes from its start."))
        .maybe("address", json!({ "type": "string", "pattern": "^0x[0-9a-f]{16}$" }))
        .value()
}

fn time() -> Value {
    number(8, "CLOCK_MONOTONIC, nanoseconds.")
}

fn realtime() -> Value {
    integer(i64::MIN, i64::MAX, "CLOCK_REALTIME, nanoseconds since 1970-01-01 00:00 UTC.")
}

/// What the section is called in an event.
fn name(schema: &Schema) -> String {
    let section = schema.section();
    if is_reserved(section) { format!("{section}_") } else { section.to_owned() }
}

fn section(schema: &Schema) -> Value {
    let mut object = Object::new();
    for field in schema.fields() {
        object = match field.show {
            Show::Strings => object,
            // Left out where not a byte of one is there.
            Show::Packet => object.maybe(&field.name, reference("packet")),
            _ => object.with(&field.name, value(field)),
        };
    }
    object.value()
}

/// What a field's value can be.
fn value(field: &Field) -> Value {
    match (field.show, &field.kind) {
        (Show::Hex, Kind::Uint(_) | Kind::Int(_)) => hex("A number."),
        (Show::PacketId, _) => {
            json!({ "type": "string", "pattern": "^[0-9a-f]{1,16}$", "description": "A packet's tracking id." })
        }
        (Show::Ipv4, _) => json!({ "type": "string", "format": "ipv4" }),
        (Show::Ipv6, _) => json!({ "type": "string", "format": "ipv6" }),
        (Show::Mac, _) => types::mac(),
        (Show::Netns, Kind::Uint(width)) => number(*width, "The inode number of a network namespace."),
        (_, Kind::Uint(width)) => unsigned(*width),
        (_, Kind::Int(width)) => signed(*width),
        (_, Kind::Enum { width, signed: is_signed, names }) => {
            let names: Vec<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
            let number = if *is_signed { signed(*width) } else { unsigned(*width) };
            // An empty `enum` is no schema.
            if names.is_empty() { number } else { json!({ "anyOf": [{ "enum": unique(names) }, number] }) }
        }
        (Show::Device, _) => text("The name of a network device."),
        (_, Kind::Str(_) | Kind::Text) => json!({ "type": "string" }),
        (_, Kind::Bytes(len)) => bytes(Some(*len)),
        (_, Kind::Tail) => bytes(None),
    }
}

/// Two numbers may have one name; an `enum` may not.
fn unique(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names.dedup();
    names
}
