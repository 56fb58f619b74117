//! `tracer collect`: events to standard output, everything else to standard error.

use std::io::{self, IsTerminal, Write};

use tracer_collectors as _;
use tracer_dsl::{
    diagnostic::Colour,
    option::{OptionTable, SubCommand},
};
use tracer_engine::{Catalog, Class, Ended, Error, Outcome, Request, collect};
use tracer_trace::TextSink;

use crate::{exit::Exit, settings::settings};

pub(crate) fn main() -> Exit {
    match catalog_and_options() {
        Ok((catalog, table)) => run(&catalog, &table).unwrap_or_else(|error| complain(&error)),
        Err(error) => complain(&error),
    }
}

fn catalog_and_options() -> Result<(Catalog, OptionTable), Error> {
    let catalog = Catalog::new()?;
    let table = catalog.options()?;
    Ok((catalog, table))
}

fn run(catalog: &Catalog, table: &OptionTable) -> Result<Exit, Error> {
    let command = table.command(&[SubCommand::Collect]).version(env!("CARGO_PKG_VERSION"));
    let matches = match command.try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are not mistakes; clap knows the stream. A closed one is no news.
            let _ = error.print();
            return Ok(if error.use_stderr() { Exit::Usage } else { Exit::Ok });
        }
    };
    let Some((name, sub_matches)) = matches.subcommand() else { return Ok(Exit::Usage) };
    let Some(command) = SubCommand::from_name(name) else { return Ok(Exit::Usage) };
    let settings = settings(table, command, &matches, sub_matches)?;
    let request = Request::new(&settings, table);
    let sink = Box::new(TextSink::new(io::stdout().lock()));
    let outcome = collect(&request, catalog, sink, &mut |notice| say(&notice.to_string()))?;
    summarize(&outcome);
    Ok(if outcome.malformed == 0 { Exit::Ok } else { Exit::Failed })
}

/// A message on standard error. That nobody reads it any more is no reason to stop tracing.
fn say(message: &str) {
    let _ = writeln!(io::stderr().lock(), "tracer: {message}");
}

fn complain(error: &Error) -> Exit {
    let text = match error {
        Error::Diagnostics(diagnostics) => {
            let terminal = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            diagnostics.render(if terminal { Colour::Always } else { Colour::Never })
        }
        other => format!("error: {other}"),
    };
    let _ = writeln!(io::stderr().lock(), "{text}");
    match error.class() {
        Class::Failed => Exit::Failed,
        Class::Usage => Exit::Usage,
        Class::Host => Exit::Host,
    }
}

/// What was seen and what was not.
fn summarize(outcome: &Outcome) {
    let ended = match &outcome.ended {
        Ended::Signal(name) => format!("ended by {name}"),
        Ended::Count => "ended by --stop-after".to_owned(),
        Ended::Command(status) if status.success() => "the command ended".to_owned(),
        Ended::Command(status) => format!("the command ended with {status}"),
        Ended::OutputClosed => "the output was closed".to_owned(),
    };
    say(&format!("{ended}: {} events printed, {} lost", outcome.events, outcome.lost()));
    for counts in &outcome.counts {
        let missed = match counts.missed {
            Some(n) => format!("{n} missed by the kernel"),
            None => "this kernel does not count what it misses".to_owned(),
        };
        say(&format!(
            "{}: {} hits, {} filtered, {} delivered, {} lost; {missed}",
            counts.probe, counts.hits, counts.filtered, counts.delivered, counts.lost
        ));
    }
    if let Some(diagnosis) = &outcome.diagnosis {
        say(&format!("no event: {diagnosis}"));
    }
    if outcome.malformed != 0 {
        say(&format!("{} records could not be decoded: please report this", outcome.malformed));
    }
}
