//! `tracer filter explain`: how a filter is read, where each of its parts is decided at the probes that `collect` would trace,
//! and the instructions that do it. Nothing is attached.

use std::{ffi::OsString, fmt::Write};

use clap::{Arg, ArgAction, ArgMatches, Command};
use tracer_compose::Catalog;
use tracer_dsl::{Diagnostics, SourceRef, filter::Filter, option::OptionTable};
use tracer_engine::{FilterAtProbe, Request, explain_filter};

use crate::{
    collect::failed,
    command::{complain_of, printed, settings_of, warn_of},
    exit::Exit,
};

/// What the words behind `filter explain` say.
pub(crate) struct Asked {
    text: String,
    /// Options of `collect`, with their values.
    options: Vec<OsString>,
}

/// Options of `collect` that say where a filter is asked, as clap calls them.
const OPTIONS: [(&str, char, &str, &str); 3] = [
    ("profile", 'p', "NAME", "Of these profiles' probes"),
    ("probe", 'P', "PROBE", "At these probes; by default at those that `collect` traces"),
    ("collectors", 'c', "COLLECTORS", "With these collectors"),
];

pub(crate) fn command() -> Command {
    let options = OPTIONS.map(|(name, short, value, help)| {
        Arg::new(name).long(name).short(short).value_name(value).help(help).action(ArgAction::Append)
    });
    Command::new("explain")
        .about("Show how a filter is read, where its parts are decided, and the instructions that do it")
        .arg(Arg::new("expr").value_name("EXPR").required(true).help("The filter"))
        .args(options)
}

pub(crate) fn asked(matches: &ArgMatches) -> Option<Asked> {
    let mut options = Vec::new();
    for (name, ..) in OPTIONS {
        for value in matches.get_many::<String>(name).into_iter().flatten() {
            options.extend([format!("--{name}").into(), value.into()]);
        }
    }
    Some(Asked { text: matches.get_one::<String>("expr")?.clone(), options })
}

/// Whether the words would be accepted.
pub(crate) fn check(asked: &Asked, table: &OptionTable) -> Result<(), String> {
    let settings = settings_of(table, asked.words());
    settings.map(|_| ()).map_err(|found| found.render(tracer_dsl::diagnostic::Colour::Never))
}

impl Asked {
    /// Those of the `collect` that would ask the filter.
    fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["tracer".into(), "collect".into()];
        words.extend(self.options.iter().cloned());
        words.extend(["--filter".into(), self.text.clone().into()]);
        words
    }
}

pub(crate) fn run(asked: &Asked, catalog: &Catalog, table: &OptionTable) -> Exit {
    let place = SourceRef::new(SourceRef::COMMAND_LINE, asked.text.clone(), 0..asked.text.len());
    let filter: Filter = match asked.text.parse() {
        Ok(filter) => filter,
        Err(found) => return complain_of(&Diagnostics::rebase(found, &place)),
    };
    if !filter.warnings.is_empty() {
        warn_of(&filter.warnings.clone().rebase(&place));
    }
    let request = settings_of(table, asked.words()).and_then(|settings| Request::new(&settings, table));
    let request = match request {
        Ok(request) => request,
        Err(found) => return complain_of(&found),
    };
    match explain_filter(&request, catalog) {
        Ok((probes, notes)) => printed(&text(&filter, &probes, &notes)),
        Err(error) => failed(&error),
    }
}

fn text(filter: &Filter, probes: &[FilterAtProbe], notes: &[String]) -> String {
    let mut text = format!("reads as: {}\n", filter.reading());
    for probe in probes {
        let FilterAtProbe { probe: name, way, stages, listing, more } = probe;
        let by = way.as_ref().map_or(String::new(), |way| format!(", by {way}"));
        let _ = writeln!(text, "\n{name}{by}");
        let widest = stages.iter().map(|(when, _)| when.len()).max().unwrap_or(0);
        for (when, what) in stages {
            let _ = writeln!(text, "    {when:widest$}  {what}");
        }
        if *more > 0 {
            let _ = writeln!(text, "and {more} more places of the same pattern");
        }
        if listing.is_empty() {
            text += "    the instructions depend on how it can be attached, which takes root to find out\n";
        } else {
            let _ = writeln!(text, "\n{listing}");
        }
    }
    for note in notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}
