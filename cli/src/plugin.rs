//! `tracer plugin`: which plugins there are and why some are not used, whether one is sound, and a new one to begin with.
//!
//! Where plugins are looked for must be known before the command line is read, since they bring options of their own: so the
//! words that say where are looked for in a first pass.

mod list;

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgMatches, Command};
use tracer_dsl::option::OptionTable;
use tracer_plugins::Places;

use crate::{command::Known, exit::Exit};

/// What was asked for.
pub(crate) enum Asked {
    /// All plugins.
    List,
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

/// The sub-command.
pub(crate) fn command(table: &OptionTable) -> Command {
    let places = || {
        table.global_args().filter(|arg| ["plugin", "plugin-dir", "no-plugins"].contains(&arg.get_id().as_str()))
    };
    let sub = |name: &'static str, about: &'static str| Command::new(name).about(about);
    Command::new("plugin")
        .about("List, check and begin plugins: collectors in folders")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .args(places())
        .subcommand(
            sub("list", "List all collectors, with where they come from, and why some are not used").args(places()),
        )
}

/// What the words behind `plugin` ask for; `None` if it is another's.
pub(crate) fn asked(name: &str, matches: &ArgMatches) -> Option<Asked> {
    if name != "plugin" {
        return None;
    }
    let (_name, _own) = matches.subcommand()?;
    Some(Asked::List)
}

/// Does it.
pub(crate) fn run(asked: &Asked, known: &Known) -> Exit {
    match asked {
        Asked::List => list::run(known),
    }
}
