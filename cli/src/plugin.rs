//! `tracer plugin`: which plugins there are and why some are not used, whether one is sound, and a new one to begin with.
//!
//! Where plugins are looked for must be known before the command line is read, since they bring options of their own: so the
//! words that say where are looked for in a first pass.

mod check;
mod list;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{Arg, ArgMatches, Command, builder::PossibleValue, value_parser};
use tracer_compose::Catalog;
use tracer_dsl::option::OptionTable;
use tracer_plugins::{
    Places,
    skeleton::{self, Kind},
};

use crate::{
    command::{Known, complain, printed},
    exit::Exit,
};

/// Runs a plugin, if that is what this process was started for.
pub(crate) fn serve() -> Option<ExitCode> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let linked = |name: &str| Catalog::new().ok()?.linked(name);
    tracer_engine::native::serve(&words, linked)
}

/// What was asked for.
pub(crate) enum Asked {
    /// All plugins.
    List,
    /// Whether the collectors in these folders are sound.
    Check(Vec<PathBuf>),
    /// A new one in this folder, of this kind.
    New(PathBuf, Kind),
    /// Where the headers are, or to write them into this folder.
    IncludeDir(Option<PathBuf>),
}

/// Where the words of a command line say that plugins are; `None` where there are to be none.
pub(crate) fn places(words: &[OsString]) -> Option<Places> {
    let (mut plugins, mut dirs) = (Vec::new(), Vec::new());
    let mut rest = words.iter().skip(1);
    while let Some(word) = rest.next() {
        let Some(text) = word.to_str() else { continue };
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let mut folder = || value.map(PathBuf::from).or_else(|| rest.next().map(PathBuf::from));
        match name {
            // What is behind it are no options.
            "--" => break,
            "--no-plugins" => return None,
            "--plugin" => plugins.extend(folder()),
            "--plugin-dir" => dirs.extend(folder()),
            _ => {}
        }
    }
    Some(Places::new(plugins, dirs))
}

/// The options that say where plugins are.
const PLACES: [&str; 3] = ["plugin", "plugin-dir", "no-plugins"];

/// The sub-command.
pub(crate) fn command(table: &OptionTable) -> Command {
    let places = || table.global_args().filter(|arg| PLACES.contains(&arg.get_id().as_str()));
    let sub = |name: &'static str, about: &'static str| Command::new(name).about(about);
    let path = |name: &'static str, value: &'static str| {
        Arg::new(name).value_name(value).value_parser(value_parser!(PathBuf))
    };
    let write =
        path("write", "DIR").long("write").help("Write the headers into this folder, and print its name");
    Command::new("plugin")
        .about("List, check and begin plugins: collectors in folders")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            sub("list", "List all collectors, with where they come from, and why some are not used").args(places()),
        )
        .subcommand(
            sub("check", "Put a collector to all tests that there are, as root also to this kernel's; exit with 2 if one fails")
                .arg(path("folder", "FOLDER").num_args(1..).required(true).help("The collector's folder")),
        )
        .subcommand(
            sub("new", "Make a folder with a plugin to begin with: `make` compiles it")
                .arg(path("name", "NAME").required(true).help("The plugin's name, and the folder's"))
                .arg(kind()),
        )
        .subcommand(
            sub("include-dir", "Print the folder with the headers that plugins are compiled with").arg(write),
        )
}

/// What a new plugin may be.
fn kind() -> Arg {
    let kinds = [
        PossibleValue::new("bpf").help("A collector that reads the kernel's memory, in C compiled to BPF"),
        PossibleValue::new("rust").help("A collector that adds to events what user space knows, in Rust"),
        PossibleValue::new("c").help("A sink that is given all events, in C"),
    ];
    let about = "What it is to be";
    Arg::new("kind").long("kind").value_name("KIND").value_parser(kinds).default_value("bpf").help(about)
}

/// What the words behind `plugin` ask for; `None` if it is another's.
pub(crate) fn asked(name: &str, matches: &ArgMatches) -> Option<Asked> {
    let (name, own) = matches.subcommand().filter(|_| name == "plugin")?;
    Some(match name {
        "check" => Asked::Check(own.get_many("folder").into_iter().flatten().cloned().collect()),
        "new" => {
            let kind = match own.get_one::<String>("kind").map(String::as_str) {
                Some("rust") => Kind::Rust,
                Some("c") => Kind::C,
                _ => Kind::Bpf,
            };
            Asked::New(own.get_one::<PathBuf>("name").cloned().unwrap_or_default(), kind)
        }
        "include-dir" => Asked::IncludeDir(own.get_one("write").cloned()),
        _ => Asked::List,
    })
}

/// Does it.
pub(crate) fn run(asked: &Asked, known: &Known) -> Exit {
    match asked {
        Asked::List => list::run(known),
        Asked::Check(folders) => check::run(folders, known),
        Asked::New(folder, kind) => match skeleton::make(folder, *kind) {
            Ok(name) => {
                let shown = folder.display();
                let (what, used) = match kind {
                    Kind::C => ("does", "--sink"),
                    Kind::Bpf | Kind::Rust => ("reports", "-c"),
                };
                printed(&format!(
                    "{shown} is there. Compile it, check it, and see what it {what}:\n    make -C {shown}\n    \
                     tracer plugin check {shown}\n    tracer collect --plugin {shown} {used} {name}\n"
                ))
            }
            Err(error) => complain(&format!("error: {error}"), Exit::Usage),
        },
        Asked::IncludeDir(Some(folder)) => match skeleton::write_headers(folder) {
            Ok(()) => printed(&format!("{}\n", folder.display())),
            Err(error) => complain(&format!("error: {error}"), Exit::Failed),
        },
        Asked::IncludeDir(None) => {
            let program = std::env::current_exe().ok();
            let folders = skeleton::include_dirs(program.as_deref());
            match skeleton::installed(&folders) {
                Some(folder) => printed(&format!("{}\n", folder.display())),
                None => {
                    let folders: Vec<String> =
                        folders.iter().map(|folder| folder.display().to_string()).collect();
                    let text = format!(
                        "error: the headers of this version are not installed (looked in {})\n  = help: they are with \
                         tracer: `tracer plugin include-dir --write DIR` writes them",
                        folders.join(", ")
                    );
                    complain(&text, Exit::Failed)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(words: &[&str]) -> Option<(Vec<PathBuf>, Vec<PathBuf>)> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        places(&words).map(|places| (places.plugins, places.dirs))
    }

    #[test]
    fn places_are_found_wherever_they_stand() {
        let paths = |words: &[&str]| words.iter().map(PathBuf::from).collect::<Vec<_>>();
        let all = found(&["tracer", "--plugin", "a", "collect", "--plugin-dir=b=c", "--plugin=d", "-c", "x"]);
        assert_eq!(all, Some((paths(&["a", "d"]), paths(&["b=c"]))));
        assert_eq!(found(&["tracer", "collect", "--plugin"]), Some((vec![], vec![])));
        assert_eq!(found(&["tracer", "print", "--", "--plugin", "a"]), Some((vec![], vec![])));
        assert_eq!(found(&["tracer", "--plugin", "a", "--no-plugins", "collect"]), None);
    }
}
