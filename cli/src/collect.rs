//! `tracer collect`: events to standard output or a file, everything else to standard error.

use std::collections::BTreeMap;

use tracer_compose::Catalog;
use tracer_dsl::{
    Diagnostics,
    option::{OptionTable, Settings},
};
use tracer_engine::{Class, Counts, Ended, Error, Missed, Outcome, Request, collect};

use crate::{
    command::{complain, complain_of, warn_of},
    exit::Exit,
    live::Live,
    output::{self, Output, OutputError},
    sinks::{SinkError, Sinks},
    stored,
};

/// Runs it.
pub(crate) fn run(settings: &Settings, catalog: &Catalog, table: &OptionTable) -> Exit {
    let request = match Request::new(settings, table) {
        Ok(request) => request,
        Err(diagnostics) => return complain_of(&diagnostics),
    };
    let of_probes = settings.probe_specs("probe").iter().flat_map(|probe| &probe.filter);
    let mut warned: Vec<&str> = Vec::new();
    for filter in settings.filters("filter").iter().chain(of_probes) {
        // A profile's filter stands beside each of its probes.
        if !filter.value.warnings.is_empty() && !warned.contains(&filter.value.text()) {
            warned.push(filter.value.text());
            warn_of(&filter.value.warnings.clone().rebase(&filter.source));
        }
    }
    let mut live = Live::new();
    let tell = || -> Box<dyn FnMut(String) + Send> {
        let live = live.clone();
        Box::new(move |text| live.say(&text))
    };
    let sinks = match Sinks::start(settings, catalog, true, tell) {
        Ok(sinks) => sinks,
        Err(SinkError::Unknown(diagnostics)) => return complain_of(&diagnostics),
        Err(SinkError::Refused(why)) => return complain(&format!("error: {why}"), Exit::Host),
    };
    let output = match output::of_collect(settings, || live.output(), sinks) {
        Ok(output) => output,
        Err(OutputError::Usage(diagnostic)) => return complain_of(&Diagnostics::from(*diagnostic)),
        Err(error @ OutputError::Create(_)) => return complain(&format!("error: {error}"), Exit::Failed),
    };
    let Output { sink, file, prints, packets, given, missed } = output;
    let outcome = match collect(&request, catalog, sink, &mut |notice| live.tell(&notice)) {
        Ok(outcome) => outcome,
        Err(error) => return failed(&error),
    };
    let failed = matches!(outcome.ended, Ended::OutputFailed(_));
    let verb = match (&file, prints) {
        (None, true) => "printed".to_owned(),
        // The plugins' own words are said for them.
        (None, false) => format!("for sink {given}"),
        // Of the last ones, some are not in the file.
        (Some(file), _) if failed => format!("taken for {}", file.display()),
        (Some(file), false) => format!("written to {}", file.display()),
        (Some(file), true) => format!("printed and written to {}", file.display()),
    };
    summarize(&outcome, &verb, &live);
    let is_whole = !matches!(outcome.ended, Ended::OutputClosed | Ended::OutputFailed(_));
    if let Some(packets) = packets.filter(|_| is_whole) {
        live.say(&stored::packets(&packets));
    }
    match outcome {
        Outcome { malformed: 1.., .. } | Outcome { ended: Ended::OutputFailed(_), .. } => Exit::Failed,
        _ if missed.any() => Exit::Failed,
        _ if settings.flag("fail-on-loss") && outcome.lost() > 0 => Exit::Lost,
        _ => Exit::Ok,
    }
}

pub(crate) fn failed(error: &Error) -> Exit {
    let exit = match error.class() {
        Class::Ended => Exit::Ok,
        Class::Failed => Exit::Failed,
        Class::Usage => Exit::Usage,
        Class::Host => Exit::Host,
    };
    match error {
        Error::Diagnostics(diagnostics) => complain_of(diagnostics),
        Error::Interrupted => complain(&format!("tracer: {error}"), exit),
        other => complain(&format!("error: {other}"), exit),
    }
}

/// What was seen and what was not.
fn summarize(outcome: &Outcome, verb: &str, live: &Live) {
    let ended = match &outcome.ended {
        Ended::Signal(name) => format!("ended by {name}"),
        Ended::Count => "ended by --stop-after".to_owned(),
        Ended::Command(status) if status.success() => "the command ended".to_owned(),
        Ended::Command(status) => format!("the command ended ({status})"),
        Ended::OutputClosed => "the output was closed".to_owned(),
        Ended::OutputFailed(error) => format!("error: cannot write events: {error}"),
    };
    let left = match outcome.left {
        0 => String::new(),
        n if verb == "printed" => format!(", {n} not {verb}"),
        n => format!(", {n} not"),
    };
    live.say(&format!("{ended}: {} {verb}{left}, {} lost", events(outcome.events), outcome.lost()));
    tell_accounts(&outcome.counts, live);
    if let Some(diagnosis) = &outcome.diagnosis {
        live.say(&format!("no event: {diagnosis}"));
    }
    if outcome.malformed != 0 {
        live.say(&format!("{} records could not be decoded: please report this", outcome.malformed));
    }
}

/// More probes than this are said to have had no hits by their number only.
const LINES: usize = 16;

fn tell_accounts(counts: &[Counts], live: &Live) {
    let many = counts.len() > LINES;
    let told: Vec<&Counts> = counts.iter().filter(|counts| !many || counts.hits > 0).collect();
    told.iter().for_each(|counts| live.say(&line(counts)));
    if told.len() < counts.len() {
        live.say(&format!("{} more probes were not hit", counts.len() - told.len()));
    }
    // Each of a program's probes has the program's number of misses.
    let shared = counts.iter().filter_map(|counts| match counts.missed {
        Missed::Shared { program, hits } => Some((program, hits)),
        _ => None,
    });
    let shared: BTreeMap<usize, u64> = shared.collect();
    if !shared.is_empty() {
        let missed: u64 = shared.values().sum();
        live.say(&format!("probes that share a program: {missed} more hits missed by the kernel"));
    }
}

fn events(n: u64) -> String {
    if n == 1 { "1 event".to_owned() } else { format!("{n} events") }
}

/// The account of a probe: hits = filtered + over the rate limit + delivered + lost, and for returns those that wait.
fn line(counts: &Counts) -> String {
    let Counts { probe, hits, filtered, limited, delivered, lost, waiting, missed, .. } = counts;
    let some = |n: &u64, what: &str| if *n == 0 { String::new() } else { format!(" + {n} {what}") };
    let (limited, waiting) = (some(limited, "over the rate limit"), some(waiting, "not returned yet"));
    let missed = match missed {
        Missed::Counted(n) => format!("; {n} more missed by the kernel"),
        Missed::Unknown => "; this kernel does not count the hits that it misses".to_owned(),
        // Of all that share the program: said once, below.
        Missed::Shared { .. } => String::new(),
    };
    format!(
        "{probe}: {hits} hits = {filtered} filtered{limited} + {delivered} delivered + {lost} lost{waiting}{missed}"
    )
}
