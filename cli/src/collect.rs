//! `tracer collect`: events to standard output, everything else to standard error.

use std::{
    ffi::OsString,
    io::{self, IsTerminal, Write},
};

use tracer_collectors as _;
use tracer_dsl::{
    diagnostic::Colour,
    option::{OptionTable, SubCommand},
};
use tracer_engine::{Catalog, Class, Counts, Ended, Error, Outcome, Request, collect};
use tracer_trace::TextSink;

use crate::{exit::Exit, live::Live, settings::settings};

/// What the command line comes to.
enum Asked {
    /// A run of `collect`.
    Collect(Box<Request>, bool),
    /// Clap has the last word: help, version, or a mistake.
    Clap(clap::Error),
}

pub(crate) fn main() -> Exit {
    let run = || {
        let (catalog, table) = catalog_and_options()?;
        match ask(&table, std::env::args_os())? {
            Asked::Collect(request, fail_on_loss) => run(&request, &catalog, fail_on_loss),
            Asked::Clap(error) => {
                // Clap knows the stream; a closed one is no news.
                let _ = error.print();
                if error.kind() == clap::error::ErrorKind::UnknownArgument {
                    let _ = writeln!(io::stderr().lock(), "Known options: {}", known(&table));
                }
                Ok(if error.use_stderr() { Exit::Usage } else { Exit::Ok })
            }
        }
    };
    run().unwrap_or_else(|error| complain(&error))
}

/// Whether a command line would be accepted, without running anything.
pub(crate) fn check(arguments: &[&str]) -> Result<(), String> {
    let asked =
        catalog_and_options().and_then(|(_, table)| ask(&table, arguments.iter().map(OsString::from)));
    match asked {
        Ok(Asked::Collect(..)) => Ok(()),
        Ok(Asked::Clap(error)) if !error.use_stderr() => Ok(()),
        Ok(Asked::Clap(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// All options of `collect`, for somebody who gave another.
fn known(table: &OptionTable) -> String {
    let names: Vec<String> = table.of(SubCommand::Collect).map(|o| format!("--{}", o.name)).collect();
    names.join(", ")
}

fn catalog_and_options() -> Result<(Catalog, OptionTable), Error> {
    let catalog = Catalog::new()?;
    let table = catalog.options()?;
    Ok((catalog, table))
}

fn ask(table: &OptionTable, arguments: impl Iterator<Item = OsString>) -> Result<Asked, Error> {
    let command = table.command(&[SubCommand::Collect]).version(env!("CARGO_PKG_VERSION"));
    let matches = match command.try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return Ok(Asked::Clap(error)),
    };
    // Clap requires a sub-command, and `collect` is the only one.
    let sub_matches = matches.subcommand().map_or(&matches, |(_, sub)| sub);
    let settings = settings(table, SubCommand::Collect, &matches, sub_matches)?;
    Ok(Asked::Collect(Box::new(Request::new(&settings, table)), settings.flag("fail-on-loss")))
}

fn run(request: &Request, catalog: &Catalog, fail_on_loss: bool) -> Result<Exit, Error> {
    let mut live = Live::new();
    let sink = Box::new(TextSink::new(live.output()).utc(request.utc));
    let outcome = collect(request, catalog, sink, &mut |notice| live.tell(&notice))?;
    summarize(&outcome, &live);
    Ok(match outcome {
        Outcome { malformed: 1.., .. } | Outcome { ended: Ended::OutputFailed(_), .. } => Exit::Failed,
        _ if fail_on_loss && outcome.lost() > 0 => Exit::Lost,
        _ => Exit::Ok,
    })
}

fn complain(error: &Error) -> Exit {
    let text = match error {
        Error::Diagnostics(diagnostics) => {
            let terminal = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            diagnostics.render(if terminal { Colour::Always } else { Colour::Never })
        }
        Error::Interrupted => format!("tracer: {error}"),
        other => format!("error: {other}"),
    };
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
    match error.class() {
        Class::Ended => Exit::Ok,
        Class::Failed => Exit::Failed,
        Class::Usage => Exit::Usage,
        Class::Host => Exit::Host,
    }
}

/// What was seen and what was not.
fn summarize(outcome: &Outcome, live: &Live) {
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
        n => format!(", {n} not printed"),
    };
    live.say(&format!("{ended}: {} printed{left}, {} lost", events(outcome.events), outcome.lost()));
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
