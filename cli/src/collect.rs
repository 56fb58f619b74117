//! `tracer collect`: events to standard output or a file, everything else to standard error.

use tracer_compose::Catalog;
use tracer_dsl::{
    Diagnostics,
    option::{OptionTable, Settings},
};
use tracer_engine::{Class, Counts, Ended, Error, Outcome, Request, collect};

use crate::{
    command::{complain, complain_of},
    exit::Exit,
    live::Live,
    output::{self, Output, OutputError},
    stored,
};

/// Runs it.
pub(crate) fn run(settings: &Settings, catalog: &Catalog, table: &OptionTable) -> Exit {
    let mut live = Live::new();
    let output = match output::of_collect(settings, || live.output()) {
        Ok(output) => output,
        Err(OutputError::Usage(diagnostic)) => return complain_of(&Diagnostics::from(*diagnostic)),
        Err(error @ OutputError::Create(_)) => return complain(&format!("error: {error}"), Exit::Failed),
    };
    let Output { sink, file, prints, packets } = output;
    let request = Request::new(settings, table);
    let outcome = match collect(&request, catalog, sink, &mut |notice| live.tell(&notice)) {
        Ok(outcome) => outcome,
        Err(error) => return failed(&error),
    };
    let verb = match (&file, prints) {
        (None, _) => "printed".to_owned(),
        (Some(file), false) => format!("written to {}", file.display()),
        (Some(file), true) => format!("printed and written to {}", file.display()),
    };
    summarize(&outcome, &verb, &live);
    if let Some(packets) = packets {
        live.say(&stored::packets(&packets));
    }
    match outcome {
        Outcome { malformed: 1.., .. } | Outcome { ended: Ended::OutputFailed(_), .. } => Exit::Failed,
        _ if settings.flag("fail-on-loss") && outcome.lost() > 0 => Exit::Lost,
        _ => Exit::Ok,
    }
}

fn failed(error: &Error) -> Exit {
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
        n => format!(", {n} not {verb}"),
    };
    live.say(&format!("{ended}: {} {verb}{left}, {} lost", events(outcome.events), outcome.lost()));
    outcome.counts.iter().for_each(|counts| live.say(&line(counts)));
    if let Some(diagnosis) = &outcome.diagnosis {
        live.say(&format!("no event: {diagnosis}"));
    }
    if outcome.malformed != 0 {
        live.say(&format!("{} records could not be decoded: please report this", outcome.malformed));
    }
}

fn events(n: u64) -> String {
    if n == 1 { "1 event".to_owned() } else { format!("{n} events") }
}

/// The account of a probe: hits = filtered + over the rate limit + delivered + lost.
fn line(counts: &Counts) -> String {
    let Counts { probe, hits, filtered, limited, delivered, lost, missed, .. } = counts;
    let limited = match limited {
        0 => String::new(),
        n => format!(" + {n} over the rate limit"),
    };
    let missed = match missed {
        Some(n) => format!("{n} more missed by the kernel"),
        None => "this kernel does not count the hits that it misses".to_owned(),
    };
    format!(
        "{probe}: {hits} hits = {filtered} filtered{limited} + {delivered} delivered + {lost} lost; {missed}"
    )
}
