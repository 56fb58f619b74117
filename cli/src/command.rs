//! From the words of the command line to one of the sub-commands.

use std::{
    ffi::OsString,
    io::{self, IsTerminal, Write},
};

use tracer_compose::Catalog;
use tracer_dsl::{
    Diagnostics,
    diagnostic::Colour,
    option::{OptionTable, Settings, SubCommand},
};

use crate::{exit::Exit, settings::settings, stored};

/// What the command line comes to.
enum Asked {
    /// A sub-command with its settings.
    Run(SubCommand, Box<Settings>),
    /// Clap has the last word: help, version, or a mistake.
    Clap(clap::Error),
}

/// Runs what the process's arguments say.
pub(crate) fn main() -> Exit {
    let (catalog, table) = match catalog_and_options() {
        Ok(both) => both,
        Err(message) => return complain(&format!("error: {message}"), Exit::Failed),
    };
    match ask(&table, std::env::args_os()) {
        Ok(Asked::Run(command, settings)) => run(command, &settings, &catalog, &table),
        Ok(Asked::Clap(error)) => {
            // Clap knows the stream; a closed one is no news.
            let _ = error.print();
            if error.kind() == clap::error::ErrorKind::UnknownArgument {
                let _ = writeln!(io::stderr().lock(), "{}", known(&table, std::env::args_os()));
            }
            if error.use_stderr() { Exit::Usage } else { Exit::Ok }
        }
        Err(diagnostics) => complain_of(&diagnostics),
    }
}

fn run(command: SubCommand, settings: &Settings, catalog: &Catalog, table: &OptionTable) -> Exit {
    let ended = match command {
        #[cfg(target_os = "linux")]
        SubCommand::Collect => return crate::collect::run(settings, catalog, table),
        #[cfg(not(target_os = "linux"))]
        SubCommand::Collect => {
            let _ = (catalog, table);
            return complain("error: this system cannot be traced: `collect` is for Linux", Exit::Host);
        }
        SubCommand::Print => stored::print(settings),
        SubCommand::Pcap => stored::pcap(settings),
        SubCommand::Stats => stored::stats(settings),
        SubCommand::Schema => stored::schema(settings),
    };
    ended.unwrap_or_else(|error| match error.diagnostics() {
        Some(diagnostics) => complain_of(diagnostics),
        None => complain(&format!("error: {error}"), error.exit()),
    })
}

/// Whether a command line would be accepted, without running anything.
pub(crate) fn check(arguments: &[&str]) -> Result<(), String> {
    let (_, table) = catalog_and_options()?;
    match ask(&table, arguments.iter().map(OsString::from)) {
        Ok(Asked::Run(command, settings)) => stored::check(command, &settings),
        Ok(Asked::Clap(error)) if !error.use_stderr() => Ok(()),
        Ok(Asked::Clap(error)) => Err(error.to_string()),
        Err(diagnostics) => Err(diagnostics.render(Colour::Never)),
    }
}

/// All options of the sub-command, for somebody who gave another; without one, those of all.
fn known(table: &OptionTable, mut arguments: impl Iterator<Item = OsString>) -> String {
    let given = arguments.find_map(|word| SubCommand::from_name(word.to_str()?));
    let commands = SubCommand::ALL.into_iter().filter(|command| given.is_none_or(|given| given == *command));
    let lines = commands.map(|command| {
        let names: Vec<String> =
            table.of(command).filter(|o| !o.positional).map(|o| format!("--{}", o.name)).collect();
        format!("Options of {}: {}", command.name(), names.join(", "))
    });
    lines.collect::<Vec<String>>().join("\n")
}

fn catalog_and_options() -> Result<(Catalog, OptionTable), String> {
    let catalog = Catalog::new().map_err(|e| e.to_string())?;
    let table = catalog.options().map_err(|e| e.to_string())?;
    Ok((catalog, table))
}

fn ask(table: &OptionTable, arguments: impl Iterator<Item = OsString>) -> Result<Asked, Diagnostics> {
    let command = table.command(&SubCommand::ALL).version(env!("CARGO_PKG_VERSION"));
    let matches = match command.try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return Ok(Asked::Clap(error)),
    };
    // Clap requires a sub-command, and knows only these.
    let given = matches.subcommand().and_then(|(name, sub)| Some((SubCommand::from_name(name)?, sub)));
    let (command, sub_matches) = given.unwrap_or((SubCommand::Collect, &matches));
    Ok(Asked::Run(command, Box::new(settings(table, command, &matches, sub_matches)?)))
}

/// Tells the user what is wrong with what was written.
pub(crate) fn complain_of(diagnostics: &Diagnostics) -> Exit {
    let terminal = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    complain(&diagnostics.render(if terminal { Colour::Always } else { Colour::Never }), Exit::Usage)
}

/// Tells the user in one write, so that nobody else's words are in between.
pub(crate) fn complain(text: &str, exit: Exit) -> Exit {
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
    exit
}
