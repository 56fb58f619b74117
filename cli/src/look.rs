//! `tracer profile explain` and `tracer inspect`: what would be traced here, and what could be. Nothing is attached.

use std::ffi::OsString;

use clap::{Arg, ArgMatches, Command};
use tracer_compose::Catalog;
use tracer_dsl::option::OptionTable;
use tracer_engine::{Inspected, Request, explain, inspect};

use crate::{
    collect::failed,
    command::{complain_of, printed, settings_of},
    exit::Exit,
};

/// The sub-command `inspect`.
pub(crate) fn command() -> Command {
    Command::new("inspect")
        .about("List what can be probed here, with the arguments that some collector knows")
        .arg(
            Arg::new("pattern")
                .value_name("PATTERN")
                .help("Names of functions or tracepoints, with * for any characters; by default all with a known argument"),
        )
}

/// What the words behind `inspect` ask for.
pub(crate) fn asked(name: &str, matches: &ArgMatches) -> Option<Option<String>> {
    (name == "inspect").then(|| matches.get_one::<String>("pattern").cloned())
}

/// Lists what can be probed.
pub(crate) fn run(pattern: Option<&str>, catalog: &Catalog) -> Exit {
    let found = match inspect(pattern, catalog) {
        Ok(found) => found,
        Err(error) => return failed(&error),
    };
    if found.is_empty() {
        let pattern = pattern.unwrap_or("*");
        let text = format!(
            "error: nothing that can be probed here is called `{pattern}`\n  = help: `*` stands for any characters; a \
             module's functions are there only while it is loaded"
        );
        return crate::command::complain(&text, Exit::Host);
    }
    printed(&found.iter().map(line).collect::<String>())
}

fn line(found: &Inspected) -> String {
    let Inspected { probe, known, module } = found;
    let known = if known.is_empty() { String::new() } else { format!("  {}", known.join(", ")) };
    let module = module.as_ref().map_or(String::new(), |module| format!("  [{module}]"));
    format!("{probe}{known}{module}\n")
}

/// Says what `collect` with these profiles would do.
pub(crate) fn explained(profiles: &[String], catalog: &Catalog, table: &OptionTable) -> Exit {
    let mut words = vec![OsString::from("tracer")];
    words.extend(profiles.iter().flat_map(|name| ["-p".into(), OsString::from(name)]));
    words.push("collect".into());
    let settings = match settings_of(table, words) {
        Ok(settings) => settings,
        Err(diagnostics) => return complain_of(&diagnostics),
    };
    let request = match Request::new(&settings, table) {
        Ok(request) => request,
        Err(diagnostics) => return complain_of(&diagnostics),
    };
    match explain(&request, catalog) {
        Ok(explanation) => printed(&explanation.to_string()),
        Err(error) => failed(&error),
    }
}
