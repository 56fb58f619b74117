//! From the words of the command line to one of the sub-commands.

use std::{
    ffi::OsString,
    io::{self, IsTerminal, Write},
};

use tracer_compose::Catalog;
use tracer_dsl::{
    Diagnostic, Diagnostics, SourceRef,
    diagnostic::Colour,
    option::{OptionTable, Settings, SubCommand},
    profile::Note,
};
use tracer_profiles::SearchPath;

use crate::{exit::Exit, filter, manual, profile, settings::settings, sort, stored};

/// What the command line comes to.
enum Asked {
    /// A sub-command with its settings, and the profiles that have no part in them.
    Run(SubCommand, Box<Settings>, Vec<Note>),
    /// `profile`, with where profiles are looked for.
    Profile(profile::Asked, SearchPath),
    /// `inspect`, with its pattern.
    #[cfg(target_os = "linux")]
    Inspect(Option<String>),
    /// `plugin`.
    #[cfg(target_os = "linux")]
    Plugin(crate::plugin::Asked),
    /// `filter test`, with the filter and the file.
    Filter(filter::Asked),
    /// `filter explain`.
    #[cfg(target_os = "linux")]
    Explain(crate::explain::Asked),
    /// `completion` or `man`.
    Manual(manual::Asked),
    /// Clap has the last word: help, version, or a mistake.
    Clap(clap::Error),
}

/// Runs what the process's arguments say.
pub(crate) fn main() -> Exit {
    let (known, table) = match Known::of(&std::env::args_os().collect::<Vec<_>>()) {
        Ok(both) => both,
        Err(message) => return complain(&format!("error: {message}"), Exit::Failed),
    };
    let asked = ask(&table, std::env::args_os());
    #[cfg(target_os = "linux")]
    if let Ok(Asked::Plugin(asked)) = &asked {
        return crate::plugin::run(asked, &known);
    }
    // Whoever names a plugin does not want to go on without it.
    #[cfg(target_os = "linux")]
    if let Some(exit) = known.plugins_refused(&asked) {
        return exit;
    }
    let Known { catalog, .. } = known;
    match asked {
        Ok(Asked::Run(command, settings, notes)) => {
            for note in notes {
                let _ = writeln!(io::stderr().lock(), "tracer: {note}");
            }
            run(command, &settings, &catalog, &table)
        }
        Ok(Asked::Profile(asked, path)) => profile::run(&asked, &path, &catalog, &table),
        #[cfg(target_os = "linux")]
        Ok(Asked::Inspect(pattern)) => crate::look::run(pattern.as_deref(), &catalog),
        // It was done before.
        #[cfg(target_os = "linux")]
        Ok(Asked::Plugin(_)) => Exit::Ok,
        Ok(Asked::Filter(asked)) => filter::run(&asked),
        #[cfg(target_os = "linux")]
        Ok(Asked::Explain(asked)) => crate::explain::run(&asked, &catalog, &table),
        Ok(Asked::Manual(asked)) => manual::run(asked, whole(&table)),
        Ok(Asked::Clap(error)) => {
            // Clap knows the stream; a closed one is no news.
            let _ = error.print();
            if error.kind() == clap::error::ErrorKind::UnknownArgument {
                let _ = writeln!(io::stderr().lock(), "{}", options_known(&table, std::env::args_os()));
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
            let _ = table;
            return complain("error: this system cannot be traced: `collect` is for Linux", Exit::Host);
        }
        SubCommand::Print => stored::print(settings, catalog),
        SubCommand::Sort => sort::sort(settings, catalog),
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
    let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    let (_, table) = Known::of(&arguments)?;
    match ask(&table, arguments.into_iter()) {
        #[cfg(target_os = "linux")]
        Ok(Asked::Plugin(_)) => Ok(()),
        Ok(Asked::Run(command, settings, _)) => stored::check(command, &settings),
        #[cfg(target_os = "linux")]
        Ok(Asked::Inspect(_)) => Ok(()),
        #[cfg(target_os = "linux")]
        Ok(Asked::Explain(asked)) => crate::explain::check(&asked, &table),
        Ok(Asked::Filter(asked)) => {
            asked.filter().map(|_| ()).map_err(|diagnostics| diagnostics.render(Colour::Never))
        }
        Ok(Asked::Profile(..) | Asked::Manual(_)) => Ok(()),
        Ok(Asked::Clap(error)) if !error.use_stderr() => Ok(()),
        Ok(Asked::Clap(error)) => Err(error.to_string()),
        Err(diagnostics) => Err(diagnostics.render(Colour::Never)),
    }
}

/// All options of the sub-command, for somebody who gave another; without one, those of all.
fn options_known(table: &OptionTable, mut arguments: impl Iterator<Item = OsString>) -> String {
    let given = arguments.find_map(|word| SubCommand::from_name(word.to_str()?));
    let commands = SubCommand::ALL.into_iter().filter(|command| given.is_none_or(|given| given == *command));
    let lines = commands.map(|command| {
        let names: Vec<String> =
            table.of(command).filter(|o| !o.positional).map(|o| format!("--{}", o.name)).collect();
        format!("Options of {}: {}", command.name(), names.join(", "))
    });
    lines.collect::<Vec<String>>().join("\n")
}

/// What is known before the command line is read.
pub(crate) struct Known {
    /// The collectors that can be used.
    pub(crate) catalog: Catalog,
    /// Those that were found in folders, and those that were refused.
    #[cfg(target_os = "linux")]
    pub(crate) plugins: Vec<tracer_plugins::Found>,
}

impl Known {
    /// Collectors, and the options that they bring: which plugins there are, these words say.
    fn of(words: &[OsString]) -> Result<(Self, OptionTable), String> {
        let mut catalog = Catalog::new().map_err(|e| e.to_string())?;
        #[cfg(target_os = "linux")]
        let plugins = crate::plugin::places(words)
            .map_or(Vec::new(), |places| tracer_plugins::find(&places, &mut catalog));
        #[cfg(not(target_os = "linux"))]
        let _ = words;
        let table = catalog.options().map_err(|e| e.to_string())?;
        let known = Self {
            catalog,
            #[cfg(target_os = "linux")]
            plugins,
        };
        Ok((known, table))
    }

    /// Says which plugins are refused, to a command that would use them; the end, if one was named by the user.
    #[cfg(target_os = "linux")]
    fn plugins_refused(&self, asked: &Result<Asked, Diagnostics>) -> Option<Exit> {
        use tracer_plugins::From;

        let refused: Vec<_> = self.plugins.iter().filter(|found| found.state.is_err()).collect();
        let named = refused.iter().filter(|found| found.from == From::Named);
        let messages: Vec<String> = named.map(|found| format!("error: {found}")).collect();
        if !messages.is_empty() {
            return Some(complain(&messages.join("\n"), Exit::Usage));
        }
        let uses = match asked {
            // A sink may be one of them.
            Ok(Asked::Run(command, settings, _)) => {
                *command == SubCommand::Collect || !settings.words("sink").is_empty()
            }
            Ok(Asked::Inspect(_) | Asked::Explain(_) | Asked::Clap(_)) => true,
            _ => false,
        };
        for found in refused.into_iter().filter(|_| uses) {
            let _ = writeln!(io::stderr().lock(), "tracer: {found}");
        }
        None
    }
}

/// The whole command line: what takes its arguments from profiles too, and what does not.
fn whole(table: &OptionTable) -> clap::Command {
    let command = table
        .command(&SubCommand::ALL)
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand(profile::command(table))
        .subcommand(filter::command());
    #[cfg(target_os = "linux")]
    let command = command.subcommand(crate::plugin::command(table));
    #[cfg(target_os = "linux")]
    let command = command.subcommand(crate::look::command());
    command.subcommands(manual::commands())
}

fn ask(table: &OptionTable, arguments: impl Iterator<Item = OsString>) -> Result<Asked, Diagnostics> {
    let matches = match whole(table).try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return Ok(Asked::Clap(error)),
    };
    // Clap requires a sub-command, and knows only these.
    let (name, sub_matches) = matches.subcommand().unwrap_or(("collect", &matches));
    if let Some(command) = SubCommand::from_name(name) {
        let (settings, notes) = settings(table, command, &matches, sub_matches)?;
        return Ok(Asked::Run(command, Box::new(settings), notes));
    }
    #[cfg(target_os = "linux")]
    if let Some(asked) = crate::plugin::asked(name, sub_matches) {
        return Ok(Asked::Plugin(asked));
    }
    if let Some(first) = matches.get_many::<String>("profile").into_iter().flatten().next() {
        let found = Diagnostic::error(format!("`{name}` takes no profile"))
            .at(SourceRef::command_line("profile", first))
            .because("nothing is traced or read");
        let found = match name {
            "profile" => found.hint(format!("to see it: `tracer profile show {first}`")),
            _ => found.hint("leave it out"),
        };
        return Err(found.into());
    }
    #[cfg(target_os = "linux")]
    if let Some(pattern) = crate::look::asked(name, sub_matches) {
        return Ok(Asked::Inspect(pattern));
    }
    #[cfg(target_os = "linux")]
    if let Some(("explain", own)) = sub_matches.subcommand().filter(|_| name == "filter")
        && let Some(asked) = crate::explain::asked(own)
    {
        return Ok(Asked::Explain(asked));
    }
    if let Some(asked) = filter::asked(name, sub_matches) {
        return Ok(Asked::Filter(asked));
    }
    Ok(match manual::asked(name, sub_matches) {
        Some(asked) => Asked::Manual(asked),
        None => {
            let (asked, path) = profile::asked(&matches, sub_matches);
            Asked::Profile(asked, path)
        }
    })
}

/// Writes to standard output. That nobody reads any more is an end like others.
pub(crate) fn printed(text: &str) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("error: cannot write: {error}"), Exit::Failed)
        }
        _ => Exit::Ok,
    }
}

/// The settings that a command line of `collect` comes to.
#[cfg(target_os = "linux")]
pub(crate) fn settings_of(table: &OptionTable, arguments: Vec<OsString>) -> Result<Settings, Diagnostics> {
    match ask(table, arguments.into_iter())? {
        Asked::Run(_, settings, _) => Ok(*settings),
        Asked::Clap(error) => Err(Diagnostic::error(error.to_string()).into()),
        // It is one of `collect`.
        _ => Ok(Settings::default()),
    }
}

/// Tells the user what is wrong with what was written.
pub(crate) fn complain_of(diagnostics: &Diagnostics) -> Exit {
    warn_of(diagnostics);
    Exit::Usage
}

/// Tells the user what may be wrong with what was written.
pub(crate) fn warn_of(diagnostics: &Diagnostics) {
    let terminal = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    complain(&diagnostics.render(if terminal { Colour::Always } else { Colour::Never }), Exit::Usage);
}

/// Tells the user in one write, so that nobody else's words are in between.
pub(crate) fn complain(text: &str, exit: Exit) -> Exit {
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
    exit
}
