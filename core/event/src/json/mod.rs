//! Events as JSON, for programs: one object a line. `type` says what a line is about, and whatever is in it comes out of
//! the schemas, so a section that nobody here has heard of has its object like our own.
//!
//! | `type` | a line about |
//! |---|---|
//! | `meta` | what is true of all lines to come: host, kernel, command, probes, and `format`, the version of all this |
//! | `event` | one hit of a probe |
//! | `loss` | events that were lost there, of one probe and CPU |
//! | `shortfall` | what a collector's events do not tell, by its own count |
//! | `clock` | both clocks at one moment; those before the first event are in `meta` |
//! | `account` | what became of all hits of each probe; the last line of a run that ended in order |
//!
//! Within a `format.major` only additions are made: further types, further members, further enumerators. So readers skip
//! what they do not know. [`schema()`] describes it all for the sections of given probes.
//!
//! - Numbers are whole, and those of 64 bits are written in full: times (nanoseconds), handles and counters may be above
//!   2⁵³, where programs that take every number for a `double` begin to round.
//! - Addresses, bytes, and whatever is shown in hex, cookies tagged so among them, are strings.
//! - An enumerator is its name; a number that has none is a number.
//! - Text is what the kernel said, with what is not UTF-8 replaced by U+FFFD, and invisible characters escaped.
//! - What is absent is left out. `null` stands for what cannot be known.
//! - A section stands in the event under its name. One that is called like something else there (`time`, `task`, ...)
//!   has a `_` behind it.
//!
//! A field of packet data is an object with the headers, as far as they could be decoded, and the data as `raw`; a
//! tunnel's packet is one more such object, `inner`.

mod fields;
mod object;
mod packet;
mod schema;
mod string;

#[cfg(test)]
mod packet_tests;
#[cfg(test)]
mod tests;

pub use schema::schema;

use crate::stack::Frame;
use crate::stacks::Stacks;
use crate::{
    Account, Clock, ClockSample, Context, Event, Follow, Loss, ProbeInfo, Probes, Session, Shortfall, Tag,
    utc,
};

use object::{Array, Object};

/// The version of the format: readers of one major version can read all its minor ones.
pub const FORMAT: Format = Format { major: 1, minor: 0 };

/// A version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Counts changes that readers have to know of.
    pub major: u32,
    /// Counts additions.
    pub minor: u32,
}

/// Writes the lines of one session. It remembers the stacks that it has written, in at most 8 MiB, so it must not
/// outlive what their symbols say: whoever begins with another session takes another renderer.
///
/// Each function appends one object and a newline.
#[derive(Debug)]
pub struct Renderer {
    stacks: Stacks,
}

impl Renderer {
    /// Knows no stack yet.
    pub fn new() -> Renderer {
        Renderer { stacks: Stacks::new() }
    }

    /// Appends what is true of all lines to come. `clock` has the samples so far.
    pub fn meta(&mut self, out: &mut String, session: &Session, clock: &Clock) {
        let Session { tracer, host, kernel, machine, command, own_netns, probes } = session;
        let mut line = Object::line(out, "meta");
        line.object("format", |format| {
            format.number("major", FORMAT.major);
            format.number("minor", FORMAT.minor);
        });
        line.string("tracer", tracer);
        line.string("host", host);
        line.string("kernel", kernel);
        line.string("machine", machine);
        line.array("command", |words| command.iter().for_each(|word| words.string(word)));
        if let Some(inum) = own_netns {
            line.number("own_netns", *inum);
        }
        line.array("probes", |array| probes.iter().for_each(|probe| push_probe_with_sections(array, probe)));
        line.array("clock", |samples| {
            for sample in clock.samples() {
                samples.object(|object| push_sample(object, *sample));
            }
        });
        line.end();
    }

    /// Appends what both clocks said.
    pub fn clock(&mut self, out: &mut String, sample: ClockSample) {
        let mut line = Object::line(out, "clock");
        push_sample(&mut line, sample);
        line.end();
    }

    /// Appends an event.
    pub fn event(&mut self, out: &mut String, event: &Event<'_>) {
        self.push_event(out, event, None);
    }

    /// Appends an event of a packet that others were seen of: the same with `follows`.
    pub fn follower(&mut self, out: &mut String, event: &Event<'_>, follow: Follow) {
        self.push_event(out, event, Some(follow));
    }

    fn push_event(&mut self, out: &mut String, event: &Event<'_>, follow: Option<Follow>) {
        let header = event.record.header();
        let mut line = Object::line(out, "event");
        push_time(&mut line, "time", header.time, event.context);
        if let Some(Follow { since, lost }) = follow {
            line.object("follows", |follows| {
                follows.number("since", since);
                if lost > 0 {
                    follows.number("lost", lost);
                }
            });
        }
        line.object("probe", |object| push_probe(object, event.probe));
        line.number("cpu", header.cpu);
        line.object("task", |task| {
            task.string("comm", &header.comm());
            task.number("pid", header.pid);
            task.number("tgid", header.tgid);
        });
        if !event.record.stack_bytes().is_empty() {
            self.stacks.push(line.value("stack"), event, push_stack);
        }
        for (index, placed) in event.record.layout().sections().iter().enumerate() {
            if let Some(section) = event.record.section(index) {
                line.section(placed.schema.section(), |object| fields::push(object, &section));
            }
        }
        line.end();
    }

    /// Appends a line about a loss, in its place among the events.
    pub fn loss(&mut self, out: &mut String, loss: &Loss<'_>, context: &Context<'_>) {
        let Loss { events, probe, cpu, before } = *loss;
        let mut line = Object::line(out, "loss");
        line.object("probe", |object| push_probe(object, probe));
        line.number("cpu", cpu);
        line.number("events", events);
        if let Some(time) = before {
            push_time(&mut line, "before", time, context);
        }
        line.end();
    }

    /// Appends a line about what a collector's events do not tell.
    pub fn shortfall(&mut self, out: &mut String, shortfall: &Shortfall) {
        let mut line = Object::line(out, "shortfall");
        line.string("collector", &shortfall.collector);
        line.string("what", &shortfall.what);
        line.number("count", shortfall.count);
        line.number("time", shortfall.time);
        line.end();
    }

    /// Appends what became of all hits; `accounts` are by the probes' numbers.
    pub fn account(&mut self, out: &mut String, probes: &Probes, accounts: &[Account]) {
        let mut line = Object::line(out, "account");
        line.array("probes", |array| {
            for (probe, account) in probes.iter().zip(accounts) {
                array.object(|object| {
                    object.object("probe", |object| push_probe(object, probe));
                    push_account(object, account);
                });
            }
        });
        line.end();
    }
}

impl Default for Renderer {
    fn default() -> Renderer {
        Renderer::new()
    }
}

/// The time, and behind it the wall clock's, where that is wanted and known.
fn push_time(line: &mut Object<'_>, name: &str, time: u64, context: &Context<'_>) {
    line.number(name, time);
    if let Some(realtime) = utc::realtime(time, context) {
        let out = line.value("utc");
        out.push('"');
        utc::push(out, realtime);
        out.push('"');
    }
}

fn push_probe(object: &mut Object<'_>, probe: &ProbeInfo) {
    object.string("type", type_of(probe.tag));
    object.string("name", &probe.name);
    if !probe.way.is_empty() {
        object.string("way", &probe.way);
    }
}

fn push_probe_with_sections(array: &mut Array<'_>, probe: &ProbeInfo) {
    array.object(|object| {
        push_probe(object, probe);
        object.array("sections", |names| {
            for placed in probe.layout.sections() {
                names.string(placed.schema.section());
            }
        });
    });
}

/// The type as it is written before a probe's target.
fn type_of(tag: Tag) -> &'static str {
    match tag {
        Tag::Kprobe => "kprobe",
        Tag::Kretprobe => "kretprobe",
        Tag::RawTracepoint => "raw_tracepoint",
        Tag::Fentry => "fentry",
        Tag::Fexit => "fexit",
    }
}

fn push_sample(object: &mut Object<'_>, sample: ClockSample) {
    object.number("monotonic", sample.monotonic);
    object.number("realtime", sample.realtime);
}

fn push_account(object: &mut Object<'_>, account: &Account) {
    let Account { hits, filtered, limited, delivered, lost, missed } = *account;
    object.number("hits", hits);
    object.number("filtered", filtered);
    object.number("limited", limited);
    object.number("delivered", delivered);
    object.number("lost", lost);
    match missed {
        Some(missed) => object.number("missed", missed),
        None => object.value("missed").push_str("null"),
    }
}

fn push_stack(out: &mut String, frames: &[Frame<'_>]) {
    let mut array = Array::begin(out);
    for Frame { address, symbol } in frames {
        array.object(|object| {
            if let Some(symbol) = symbol {
                object.string("symbol", &symbol.name);
                object.number("offset", symbol.offset);
            }
            if let Some(address) = address {
                object.hex("address", *address, 16);
            }
        });
    }
    array.end();
}
