//! A plugin's native half is put to the test: in its process, as in a run, with sessions and events that are made up. What it does
//! wrong, tracer would bear; here it is told to whoever wrote it.

mod changed;
pub(super) mod made_up;
mod printed;

use std::{fs::File, os::fd::OwnedFd};

use tracer_compose::{Fragment, Library, shown};
use tracer_event::{Clock, ClockSample, Context, Event, Loss, NoSymbols, Session, Shortfall, json, text};
use tracer_trace::Sink as _;

use super::{
    enrich::{Enriching, Loaded},
    form::{Fault, OptionValue, Options, Refusal, Role, Start},
    options,
    process::Quarantine,
    sink::NativeSink,
};
use made_up::{Records, another, session};
use printed::Printed;

/// Why none of the checks is made of a collector that runs in the kernel only.
pub const NO_HALF: &str = "it has no native half";

/// Names of the checks of a native half, in their order.
pub const NATIVE_CHECKS: [&str; 14] = [
    "library-file",
    "library-architecture",
    "library-interface",
    "library-declares",
    "native-starts",
    "native-no-panic",
    "native-no-error",
    "native-stays-in-room",
    "native-sizes",
    "native-asks-in-time",
    "native-returns",
    "native-lives",
    "native-stops",
    "hostile-library",
];

const FILE: &str = NATIVE_CHECKS[0];
const ARCHITECTURE: &str = NATIVE_CHECKS[1];
const INTERFACE: &str = NATIVE_CHECKS[2];
const DECLARES: &str = NATIVE_CHECKS[3];
const STARTS: &str = NATIVE_CHECKS[4];
const NO_ERROR: &str = NATIVE_CHECKS[6];
const HOSTILE: &str = NATIVE_CHECKS[13];

/// Events that a native half is given: to add its section to, or, if it is a sink, to take; and with an option at one of its ends.
const ENRICHED: usize = 3000;
const TAKEN: usize = 300;
const AT_ENDS: usize = 100;
/// The first events, and one of so many of the others, are shown in all ways.
const KINDS: usize = 22;
const SHOWN: usize = 10;
/// Events between two looks at the clock.
const BETWEEN_TICKS: usize = 700;

/// How a check of a native half ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Passed; on what, where that says something.
    Passed(String),
    /// Failed, and why.
    Failed(String),
    /// Not made, and why.
    Skipped(String),
}

/// Puts a collector's native half to all checks. Its code runs, in processes of its own, and what it does to others, it does.
pub fn exercise(fragment: &Fragment) -> Vec<(&'static str, Outcome)> {
    let mut checks = Checks(Vec::new());
    match &fragment.native {
        None => checks.skip_rest(NO_HALF),
        Some(half) => match Printed::new() {
            Err(error) => checks.skip_rest(&format!("no pipe can be had: {error}")),
            Ok(printed) => {
                let ran = run(fragment, &half.library, &printed, &mut checks);
                checks.settle(ran, printed);
                checks.record(HOSTILE, hostile(fragment, &half.library));
            }
        },
    }
    checks.skip_rest("it was not reached");
    checks.in_order()
}

/// What was checked.
struct Checks(Vec<(&'static str, Outcome)>);

impl Checks {
    fn record(&mut self, name: &'static str, outcome: Outcome) {
        if !self.0.iter().any(|(known, _)| *known == name) {
            self.0.push((name, outcome));
        }
    }

    fn pass(&mut self, name: &'static str, on: impl Into<String>) {
        self.record(name, Outcome::Passed(on.into()));
    }

    fn skip_rest(&mut self, why: &str) {
        for name in NATIVE_CHECKS {
            self.record(name, Outcome::Skipped(why.to_owned()));
        }
    }

    /// Takes the end of it all: what ended it fails one check, and says nothing of those that were not reached.
    fn settle(&mut self, ran: Result<String, Ended>, printed: Printed) {
        let but_hostile = NATIVE_CHECKS.iter().filter(|name| **name != HOSTILE);
        match ran {
            Ok(on) => {
                self.pass(NO_ERROR, on);
                but_hostile.for_each(|name| self.pass(name, ""));
            }
            Err(Ended { why, when }) => {
                let text = format!("{when}{why}");
                let rest = match check_of(&why) {
                    Some(failed) => {
                        self.0.retain(|(name, _)| *name != failed);
                        let last = printed.last();
                        let last = if last.is_empty() {
                            String::new()
                        } else {
                            "\nlast, it printed".to_owned() + &indented(&last)
                        };
                        self.record(failed, Outcome::Failed(text + &last));
                        format!("it ended with {failed}")
                    }
                    None if matches!(why, Quarantine::Failed { .. }) => {
                        let why = format!("it says that it cannot be used here: {text}");
                        self.record(STARTS, Outcome::Skipped(why));
                        "it does not start here".to_owned()
                    }
                    None => text,
                };
                but_hostile.for_each(|name| self.record(name, Outcome::Skipped(rest.clone())));
            }
        }
    }

    fn in_order(mut self) -> Vec<(&'static str, Outcome)> {
        let place = |name: &str| NATIVE_CHECKS.iter().position(|known| *known == name);
        self.0.sort_by_key(|(name, _)| place(name));
        self.0
    }
}

/// The check that a plugin fails by this; `None` where that is not for it to say, or is no failure.
fn check_of(why: &Quarantine) -> Option<&'static str> {
    Some(match why {
        Quarantine::Refused { refusal: Refusal::File, .. } => FILE,
        Quarantine::Refused { refusal: Refusal::Architecture, .. } => ARCHITECTURE,
        Quarantine::Refused { refusal: Refusal::Interface, .. } => INTERFACE,
        Quarantine::Refused { refusal: Refusal::Declaration, .. } => DECLARES,
        Quarantine::Failed { fault, .. } => match fault {
            // It takes more than a plugin to be used: a daemon, a device, a right.
            Fault::Declined => return None,
            Fault::Start => STARTS,
            Fault::Panic => "native-no-panic",
            Fault::Error => NO_ERROR,
            Fault::Overrun => "native-stays-in-room",
            Fault::Sizes => "native-sizes",
            Fault::WrongTime => "native-asks-in-time",
            Fault::Stop => "native-stops",
        },
        Quarantine::Blocked { what: "stop" | "exit", .. } => "native-stops",
        Quarantine::Blocked { .. } => "native-returns",
        Quarantine::Ended { .. } => "native-lives",
        // It wrote where it was given nothing: to memory, or to a file that is not its own.
        Quarantine::Nonsense(_) => "native-stays-in-room",
        Quarantine::Unsent(_) | Quarantine::Start(_) => return None,
    })
}

/// What ended it, and with which options if that matters.
struct Ended {
    why: Quarantine,
    when: String,
}

impl From<Quarantine> for Ended {
    fn from(why: Quarantine) -> Ended {
        Ended { why, when: String::new() }
    }
}

/// All but the changed library. Says what it passed on.
fn run(
    fragment: &Fragment,
    library: &Library,
    printed: &Printed,
    checks: &mut Checks,
) -> Result<String, Ended> {
    match library {
        Library::Linked => {
            checks.pass(FILE, "it is linked into this binary");
            checks.pass(ARCHITECTURE, "");
        }
        Library::File(file) => {
            let inspected = tracer_plugin_host::inspect(file);
            inspected.map_err(|error| Quarantine::Refused {
                refusal: Refusal::from(&error),
                why: error.to_string(),
            })?;
            checks.pass(ARCHITECTURE, "");
        }
    }
    let roles = roles(fragment);
    let defaults = options(fragment, |_| None, |_| None);
    for role in &roles {
        Subject::load(*role, fragment, &defaults, printed)?;
    }
    for name in [FILE, INTERFACE, DECLARES] {
        checks.pass(name, "");
    }
    let mut passed = Vec::new();
    for role in &roles {
        let loaded = Subject::load(*role, fragment, &defaults, printed)?;
        passed.push(loaded.exercise(fragment, true)?);
    }
    let ends = ends(fragment);
    for role in &roles {
        for (name, value) in &ends {
            let when = |why| {
                let why = match why {
                    // Whatever it takes is there: with the defaults it did start.
                    Quarantine::Failed { fault: Fault::Declined, why } => {
                        Quarantine::Failed { fault: Fault::Start, why }
                    }
                    why => why,
                };
                Ended { why, when: format!("with {name} = {value}: ") }
            };
            let mut changed = defaults.clone();
            changed.insert(name.clone(), OptionValue::Number(*value));
            let loaded = Subject::load(*role, fragment, &changed, printed).map_err(when)?;
            loaded.exercise(fragment, false).map_err(when)?;
        }
    }
    checks.pass(STARTS, format!("{} numbers at both ends", ends.len() / 2));
    Ok(passed.join("; "))
}

/// What it is used for.
fn roles(fragment: &Fragment) -> Vec<Role> {
    let half = fragment.native.as_ref();
    let enriches = half.is_some_and(|half| half.section.is_some()).then_some(Role::Enrich);
    let sink = half.is_some_and(|half| half.sink).then_some(Role::Sink);
    enriches.into_iter().chain(sink).collect()
}

/// Each number, at either end.
fn ends(fragment: &Fragment) -> Vec<(String, u64)> {
    let numbers = fragment.manifest.numbers();
    numbers
        .flat_map(|(name, number)| [number.min, number.max].map(|value| (name.to_owned(), u64::from(value))))
        .collect()
}

/// A native half in its process.
enum Subject {
    Enriches(Box<Loaded>),
    Takes(Box<NativeSink>),
}

impl Subject {
    fn load(
        role: Role,
        fragment: &Fragment,
        options: &Options,
        printed: &Printed,
    ) -> Result<Subject, Quarantine> {
        let printed = printed.writer().map_err(|error| Quarantine::Start(error.to_string()))?;
        let start = start(role, options.clone(), printed);
        match role {
            Role::Enrich => {
                let loaded = Loaded::start(fragment, &start)?;
                let schema = loaded.schema();
                shown(schema).map_err(|why| {
                    Quarantine::declares(format!("section `{}` cannot be shown: {why}", schema.section()))
                })?;
                Ok(Subject::Enriches(Box::new(loaded)))
            }
            Role::Sink => {
                let sink = NativeSink::start_as(fragment, &start, Box::new(drop))?;
                Ok(Subject::Takes(Box::new(sink)))
            }
        }
    }

    /// Gives it events: many of all kinds, or some. Says how many.
    fn exercise(self, fragment: &Fragment, many: bool) -> Result<String, Quarantine> {
        let session = session(fragment);
        match self {
            Subject::Enriches(loaded) => enrich(*loaded, &session, if many { ENRICHED } else { AT_ENDS }),
            Subject::Takes(sink) => take(sink, &session, if many { TAKEN } else { AT_ENDS }),
        }
    }
}

/// Has it add its section to events.
fn enrich(loaded: Loaded, session: &Session, wanted: usize) -> Result<String, Quarantine> {
    let section = loaded.schema().section().to_owned();
    let mut refused = None;
    let mut enriching = Enriching::start(vec![loaded], session, &mut |_, why| refused = Some(why.clone()));
    if let Some(why) = refused {
        return Err(why);
    }
    let probes = enriching.probes();
    let mut records = Records::of(session);
    let all = [records.kinds(), records.some(wanted)].concat();
    let (clock, mut out, mut with, mut number) = (Clock::default(), String::new(), 0, 0_usize);
    let context = context(session, &clock);
    let (mut text, mut json) = (text::Renderer::new(), json::Renderer::new());
    let mut each = |bytes: &[u8]| {
        let event = probes.event(bytes, &context).map_err(|error| Quarantine::Unsent(error.to_string()))?;
        with += usize::from(event.record.section_named(&section).is_some());
        if number < KINDS || number.is_multiple_of(SHOWN) {
            out.clear();
            text.event(&mut out, &event);
            json.event(&mut out, &event);
        }
        number += 1;
        Ok(())
    };
    for some in all.chunks(BETWEEN_TICKS) {
        for record in some {
            if enriching.take(record) {
                enriching.pass(&mut each)?;
            }
        }
        enriching.pass(&mut each)?;
        enriching.tick_now();
        if enriching.why().is_some() {
            break;
        }
    }
    enriching.stop();
    match enriching.why() {
        Some(why) => Err(why.clone()),
        None => Ok(format!("{} events, {with} of which got section `{section}`", all.len())),
    }
}

/// Gives it events, news of losses among them, and then those of another session.
fn take(mut sink: Box<NativeSink>, first: &Session, number: usize) -> Result<String, Quarantine> {
    let mut given = 0;
    for session in [first.clone(), another(first)] {
        let begun = sink.begin(&session);
        let mut records = Records::of(&session);
        let all = [records.kinds(), records.some(number / 2)].concat();
        let clock = Clock::default();
        let context = context(&session, &clock);
        if begun.is_err() || sink.why().is_some() {
            break;
        }
        given += give(&mut sink, &session, &context, &all);
    }
    let loss = "news of losses";
    sink.end().map(|()| format!("{given} events of two sessions, with {loss}, given as to a sink"))
}

/// Gives a session's events to a sink. Says how many: fewer than all if it fails.
fn give(sink: &mut NativeSink, session: &Session, context: &Context<'_>, all: &[Vec<u8>]) -> usize {
    let mut given = 0;
    for (number, bytes) in all.iter().enumerate() {
        // What a sink cannot be given, its process is at its end for: it says so itself.
        let Ok(event) = session.probes.event(bytes, context) else { continue };
        let _ = sink.event(&event);
        given += 1;
        if number % 50 == 0 {
            let _ = sink.loss(&loss(&event, number));
        }
        // Writes what there is, as a second does.
        if number % 40 == 0 {
            let sample = ClockSample { monotonic: number as u64 + 1, realtime: i64::MAX };
            let _ = sink.clock(sample).and_then(|()| sink.flush());
        }
        if number % BETWEEN_TICKS == BETWEEN_TICKS / 5 {
            sink.tick_now();
        }
        if sink.why().is_some() {
            return given;
        }
    }
    let told = Shortfall {
        collector: "made_up".to_owned(),
        what: "events that were not there".to_owned(),
        count: u64::MAX,
        time: 0,
    };
    let _ = sink.shortfall(&told).and_then(|()| sink.flush());
    sink.tick_now();
    given
}

fn loss<'a>(event: &Event<'a>, number: usize) -> Loss<'a> {
    let header = event.record.header();
    let (events, before) = if number == 0 { (u64::MAX, None) } else { (1, Some(header.time)) };
    Loss { events, probe: event.probe, cpu: header.cpu, before }
}

fn context<'a>(session: &Session, clock: &'a Clock) -> Context<'a> {
    Context { own_netns: session.own_netns, symbols: &NoSymbols, clock, utc: false, link_header: false }
}

fn start(role: Role, options: Options, printed: OwnedFd) -> Start {
    Start { role, options, live: true, utc: false, link_header: false, printed: Some(printed) }
}

/// Lines below a message.
fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n    {line}")).collect()
}

/// The library, cut and changed.
fn hostile(fragment: &Fragment, library: &Library) -> Outcome {
    let Library::File(file) = library else {
        return Outcome::Skipped("it is linked into this binary".to_owned());
    };
    if let Err(error) = tracer_plugin_host::inspect(file) {
        return Outcome::Skipped(format!("it is refused as it is: {error}"));
    }
    let role = roles(fragment).first().copied().unwrap_or(Role::Enrich);
    let Ok(nowhere) = File::options().write(true).open("/dev/null") else {
        return Outcome::Skipped("there is no /dev/null".to_owned());
    };
    let start = start(role, options(fragment, |_| None, |_| None), nowhere.into());
    match changed::all(file, &fragment.manifest.name, &start) {
        Ok(Ok(on)) => Outcome::Passed(on),
        Ok(Err(why)) => Outcome::Failed(why),
        Err(error) => Outcome::Skipped(format!("it cannot be tried: {error}")),
    }
}
