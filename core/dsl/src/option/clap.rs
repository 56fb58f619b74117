//! The command line, made from the option table by clap's builder. Clap finds the options and writes
//! the help; values are judged by the same reader as those of profiles.
//!
//! Global options stand on both sides of the sub-command. Clap's own `global` would let the ones after
//! it hide the ones before, so they are defined on both sides and put together here.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{
    Label, Located, OptionDef, OptionTable, Origin, Scope, Setting, SettingValue, Settings, SubCommand,
    ValueType, from_text, from_texts,
};
use crate::diagnostic::{Diagnostics, SourceRef};

impl OptionTable {
    /// The command `tracer` with these sub-commands; the caller adds those that take no arguments
    /// from profiles, the version, and what else belongs to the binary.
    pub fn command(&self, commands: &[SubCommand]) -> Command {
        let command = Command::new("tracer")
            .about("Trace packets through the kernel")
            .args(self.global_args())
            .subcommand_required(true)
            .arg_required_else_help(true);
        commands.iter().fold(command, |command, &sub| {
            command.subcommand(Command::new(sub.name()).about(sub.about()).args(self.of(sub).map(arg)))
        })
    }

    /// The arguments that every sub-command takes, for the caller's own ones.
    pub fn global_args(&self) -> impl Iterator<Item = Arg> {
        self.iter().filter(|option| option.scope == Scope::Global).map(arg)
    }
}

/// The argument of one option.
pub fn arg(option: &OptionDef) -> Arg {
    let mut arg = Arg::new(option.name.clone()).help(help(option));
    if !option.positional {
        arg = arg.long(option.name.clone());
    }
    if let Some(short) = option.short {
        arg = arg.short(short);
    }
    if let Some(heading) = &option.heading {
        arg = arg.help_heading(heading.clone());
    }
    if option.value == ValueType::Flag {
        return arg.action(ArgAction::SetTrue);
    }
    let action = if option.value.is_list() { ArgAction::Append } else { ArgAction::Set };
    let value_name = option.value_name.as_deref().unwrap_or(placeholder(&option.value));
    arg = arg.action(action).value_name(value_name.to_owned()).value_parser(match &option.value {
        ValueType::Path | ValueType::Paths => ValueParser::path_buf(),
        // Clap lists these in the help and in completions.
        ValueType::Choice(words) | ValueType::ListOf(words) => PossibleValuesParser::new(words).into(),
        _ => ValueParser::string(),
    });
    if matches!(option.value, ValueType::List | ValueType::ListOf(_)) {
        arg = arg.value_delimiter(',');
    }
    match &option.bare {
        Some(bare) => arg.num_args(0..=1).default_missing_value(bare.clone()),
        None => arg,
    }
}

/// Defaults are resolved after profiles, so clap does not know them and the help says them itself.
fn help(option: &OptionDef) -> String {
    match &option.default {
        Some(default) if !default.is_empty() => format!("{} [default: {default}]", option.about),
        _ => option.about.clone(),
    }
}

fn placeholder(value: &ValueType) -> &'static str {
    match value {
        ValueType::Flag => "",
        ValueType::String => "TEXT",
        ValueType::Path | ValueType::Paths => "PATH",
        ValueType::Integer { .. } => "N",
        ValueType::Size { .. } => "BYTES",
        ValueType::Duration => "TIME",
        ValueType::Choice(_) => "WORD",
        ValueType::List | ValueType::ListOf(_) => "LIST",
        ValueType::Probes => "PROBE",
        ValueType::Filters => "EXPR",
    }
}

/// The settings that the command line gives: `matches` of `tracer` and, of these, `sub_matches` of
/// `command`.
///
/// # Errors
/// All values that do not fit their options.
pub fn read(
    table: &OptionTable,
    command: SubCommand,
    matches: &ArgMatches,
    sub_matches: &ArgMatches,
) -> Result<Settings, Diagnostics> {
    let mut found = Diagnostics::new();
    let mut read = |matches: &ArgMatches, options: &mut dyn Iterator<Item = &OptionDef>| {
        let given =
            options.filter(|option| matches.value_source(&option.name) == Some(ValueSource::CommandLine));
        let settings: Settings = given
            .filter_map(|option| {
                let (value, source) = found.take(value(option, matches))?;
                let origin = Origin::CommandLine;
                let setting = Setting { value, merge: option.merge, origin, source: Some(source) };
                Some((option.name.clone(), setting))
            })
            .collect();
        settings
    };
    let before = read(matches, &mut table.iter().filter(|option| option.scope == Scope::Global));
    let after = read(sub_matches, &mut table.of(command));
    found.or_value(after.over(before))
}

fn value(option: &OptionDef, matches: &ArgMatches) -> Result<(SettingValue, SourceRef), Diagnostics> {
    let name = &option.name;
    let label = Label::Flag(name);
    let texts: Vec<String> = match &option.value {
        ValueType::Flag => {
            let source = SourceRef::new(SourceRef::COMMAND_LINE, format!("--{name}"), 0..name.len() + 2);
            return Ok((SettingValue::Flag(matches.get_flag(name)), source));
        }
        // A path need not be UTF-8, so it never becomes a text.
        ValueType::Path | ValueType::Paths => {
            let paths: Vec<PathBuf> = matches.get_many(name).into_iter().flatten().cloned().collect();
            let shown: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
            let source = SourceRef::command_line(name, &shown.join(" "));
            let mut paths = paths.into_iter();
            return Ok(match (&option.value, paths.len()) {
                (ValueType::Path, 1) => (SettingValue::Path(paths.next().unwrap_or_default()), source),
                _ => (SettingValue::Paths(paths.collect()), source),
            });
        }
        _ => matches.get_many(name).into_iter().flatten().cloned().collect(),
    };
    let source = SourceRef::command_line(name, &texts.join(","));
    let mut located =
        texts.into_iter().map(|text| Located { source: SourceRef::command_line(name, &text), value: text });
    let value = if option.value.is_list() {
        from_texts(option, label, located.collect())
    } else {
        let text = located.next();
        let text = text.unwrap_or_else(|| Located { value: String::new(), source: source.clone() });
        from_text(option, label, &text)
    };
    Ok((value?, source))
}

#[cfg(test)]
#[path = "clap_tests.rs"]
mod tests;
