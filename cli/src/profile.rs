//! `tracer profile`: which profiles there are, what they say, and whether they are right. Nothing is traced.

use std::{
    io::{self, Write},
    path::Path,
};

use clap::{Arg, ArgMatches, Command};
use tracer_compose::Catalog;
use tracer_dsl::{
    Diagnostic, Diagnostics, SourceRef,
    option::{Located, OptionTable, Settings, SubCommand},
    profile::{Family, Profile},
    when::When,
};
use tracer_profiles::{Known, Origin, SearchPath, find};

use crate::{
    command::{complain_of, printed},
    exit::Exit,
    settings::search_path,
};

/// What was asked for.
pub(crate) enum Asked {
    /// All profiles.
    List,
    /// The text of one.
    Show(String),
    /// What is wrong with these.
    Check(Vec<String>),
    /// What these would do here.
    #[cfg(target_os = "linux")]
    Explain(Vec<String>),
}

/// The sub-command.
pub(crate) fn command(table: &OptionTable) -> Command {
    let dir = || table.global_args().filter(|arg| arg.get_id() == "profile-dir");
    let sub = |name: &'static str, about: &'static str| Command::new(name).about(about).args(dir());
    let command = Command::new("profile")
        .about("List, show, check and explain profiles")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(sub("list", "List all profiles, with what they are for and where they come from"))
        .subcommand(
            sub("show", "Print the text of a profile")
                .arg(Arg::new("name").value_name("NAME").required(true).help("The profile")),
        )
        .subcommand(
            sub("check", "Say all that is wrong with profiles; exit with 2 if anything is").arg(
                Arg::new("file")
                    .value_name("FILE")
                    .num_args(1..)
                    .required(true)
                    .help("Files, or names of profiles"),
            ),
        );
    #[cfg(target_os = "linux")]
    let command = command.subcommand(
        sub(
            "explain",
            "Say what `collect` would do with a profile on this machine; nothing is attached or changed",
        )
        .arg(Arg::new("name").value_name("NAME").num_args(1..).required(true).help("Profiles")),
    );
    command
}

/// What the words behind `profile` ask for, and where profiles are looked for.
pub(crate) fn asked(matches: &ArgMatches, sub_matches: &ArgMatches) -> (Asked, SearchPath) {
    // Clap requires one of these, with its arguments.
    let (name, own) = sub_matches.subcommand().unwrap_or(("list", sub_matches));
    let asked = match name {
        "show" => Asked::Show(own.get_one("name").cloned().unwrap_or_default()),
        #[cfg(target_os = "linux")]
        "explain" => Asked::Explain(own.get_many("name").into_iter().flatten().cloned().collect()),
        "check" => Asked::Check(own.get_many("file").into_iter().flatten().cloned().collect()),
        _ => Asked::List,
    };
    (asked, search_path(&[matches, own]))
}

/// Does it.
pub(crate) fn run(asked: &Asked, path: &SearchPath, catalog: &Catalog, table: &OptionTable) -> Exit {
    match asked {
        Asked::List => printed(&list(path, table)),
        Asked::Show(name) => show(name, path),
        Asked::Check(names) => check(names, path, catalog, table),
        #[cfg(target_os = "linux")]
        Asked::Explain(names) => crate::look::explained(names, catalog, table),
    }
}

/// A line for each profile, aligned.
fn list(path: &SearchPath, table: &OptionTable) -> String {
    let mut rows = vec![["NAME".to_owned(), "FROM".to_owned(), "ABOUT".to_owned()]];
    let mut nearest: Option<Known> = None;
    for known in path.all() {
        let hidden = nearest.as_ref().is_some_and(|nearer| nearer.name == known.name);
        let about = if hidden { "(hidden by the one above)".to_owned() } else { about(&known, path, table) };
        rows.push([known.name.clone(), known.origin.to_string(), about].map(|text| harmless(&text)));
        nearest = Some(known);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (names, origins) = (width(0), width(1));
    rows.iter().map(|[name, from, about]| format!("{name:names$}  {from:origins$}  {about}\n")).collect()
}

/// What a profile is for, or the first thing that is wrong with it.
fn about(known: &Known, path: &SearchPath, table: &OptionTable) -> String {
    match Family::load(&[as_given(&known.name, "profile list")], path, table) {
        // The last is the one that was asked for.
        Ok(family) => family.profiles().last().and_then(|profile| profile.about.clone()).unwrap_or_default(),
        Err(found) => {
            let first = found.iter().next().map(|first| first.message.clone()).unwrap_or_default();
            format!("broken: {first} (tracer profile check {})", known.name)
        }
    }
}

fn show(name: &str, path: &SearchPath) -> Exit {
    match find(name, path) {
        Ok(loaded) => {
            let from = match &loaded.origin {
                Origin::BuiltIn => "built in".to_owned(),
                Origin::File(file) => file.display().to_string(),
            };
            let _ = writeln!(io::stderr().lock(), "# {}: {}", harmless(&loaded.name), harmless(&from));
            printed(&loaded.text)
        }
        Err(error) => {
            let place = as_given(name, "profile show").source;
            complain_of(&Diagnostic::from(error).at(place).into())
        }
    }
}

fn check(names: &[String], path: &SearchPath, catalog: &Catalog, table: &OptionTable) -> Exit {
    let mut exit = Exit::Ok;
    for name in names {
        let mut name = as_given(name, "profile check");
        // What lies here is meant, whatever it is called.
        if !name.value.contains('/') && !name.value.ends_with(".toml") && Path::new(&name.value).is_file() {
            name.value = format!("./{}", name.value);
        }
        match found_in(&name, path, catalog, table) {
            found if found.is_empty() => {
                let shown = harmless(name.source.fragment());
                exit = match printed(&format!("{shown}: ok\n")) {
                    Exit::Ok => exit,
                    failed => failed,
                };
            }
            found => exit = complain_of(&found),
        }
    }
    exit
}

/// All that is wrong with a profile and those that it extends.
fn found_in(
    name: &Located<String>,
    path: &SearchPath,
    catalog: &Catalog,
    table: &OptionTable,
) -> Diagnostics {
    let family = match Family::load(std::slice::from_ref(name), path, table) {
        Ok(family) => family,
        Err(found) => return found,
    };
    let mut found = Diagnostics::new();
    for profile in family.profiles() {
        found.extend(unknown_collectors(profile, catalog));
    }
    // Parents may differ where not more than one of them applies on a machine, which only a run knows.
    let conditions = family.profiles().filter(|profile| profile.when.is_some()).count();
    let all_apply = |_: &When| conditions <= 1;
    for command in SubCommand::ALL {
        let none = Settings::default;
        let _ = found.take(family.resolve(command, none(), none(), &all_apply));
    }
    found
}

fn unknown_collectors(profile: &Profile, catalog: &Catalog) -> Vec<Diagnostic> {
    let settings = profile.settings(SubCommand::Collect);
    let words = settings.words("collectors").iter().filter(|word| word.value != "none");
    words.filter_map(|word| catalog.collector(word).err()).map(|found| *found).collect()
}

/// A word of the command line behind `command`.
fn as_given(word: &str, command: &str) -> Located<String> {
    let text = format!("tracer {command} {word}");
    let span = text.len() - word.len()..text.len();
    Located { value: word.to_owned(), source: SourceRef::new(SourceRef::COMMAND_LINE, text, span) }
}

/// The text without what would move a terminal's cursor.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
