//! The walk through a profile's tables. `toml`'s own tree is used, not serde: it has the span of every
//! key and value, so an unknown key is shown where it stands, and all mistakes are found in one walk.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::{COMMAND_LINE_ONLY, Profile, VERSION, probe_table, value};
use crate::diagnostic::{Diagnostic, Diagnostics, SourceRef};
use crate::option::{Key, Located, OptionDef, OptionTable, Origin, Setting, Settings, SubCommand};
use crate::when::When;

/// The keys beside the tables of sub-commands.
const TOP_KEYS: [&str; 5] = ["version", "name", "about", "extends", "when"];

pub(super) fn profile(file: &str, text: &str, table: &OptionTable) -> Result<Profile, Diagnostics> {
    let mut reader = Reader { text: Text { file, text: text.into() }, table, found: Diagnostics::new() };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or_default();
        let found = Diagnostic::error(error.message()).at(reader.text.at(span));
        reader.found.push(found.because("not TOML"));
    }
    // After an error of syntax the tree holds guesses, about which nothing should be said.
    if !reader.found.is_empty() {
        return Err(reader.found);
    }
    let profile = reader.document(document.get_ref());
    reader.found.sort_by_place();
    match profile {
        Some(profile) => reader.found.or_value(profile),
        None => Err(reader.found),
    }
}

/// The text of a profile, to point into.
pub(super) struct Text<'a> {
    file: &'a str,
    text: Arc<str>,
}

impl Text<'_> {
    pub(super) fn at(&self, span: Range<usize>) -> SourceRef {
        SourceRef::new(self.file, self.text.clone(), span)
    }
}

struct Reader<'a> {
    text: Text<'a>,
    table: &'a OptionTable,
    found: Diagnostics,
}

impl<'a> Reader<'a> {
    /// The profile, or `None` after having said what is missing or wrong at the top.
    fn document(&mut self, document: &DeTable<'_>) -> Option<Profile> {
        let version = self.version(document);
        // Another version has other keys.
        if version.is_some_and(|version| version != VERSION) {
            return None;
        }
        let name = self.top_string(document, "name").map(|name| name.value);
        let about = self.top_string(document, "about").map(|about| about.value);
        let extends = self.extends(document);
        let when = self.when(document);
        if !document.contains_key("name") {
            self.missing("name", "name = \"my-profile\"");
        }
        let origin = Origin::Profile(name.clone().unwrap_or_default());
        let mut settings = BTreeMap::new();
        for (key, value) in document {
            if TOP_KEYS.contains(&key.get_ref().as_ref()) {
                continue;
            }
            let command = SubCommand::from_name(key.get_ref());
            match (command, value.get_ref()) {
                (Some(command), DeValue::Table(table)) => {
                    settings.insert(command, self.command(command, table, &origin));
                }
                (Some(command), _) => {
                    let name = command.name();
                    let found = Diagnostic::error(format!("`{name}` is a table"))
                        .at(self.text.at(value.span()))
                        .hint(format!("write `[{name}]` on a line of its own, its keys below"));
                    self.found.push(found);
                }
                (None, _) => self.unknown_top_key(key),
            }
        }
        version?;
        Some(Profile { name: name?, about, extends, when, settings })
    }

    fn version(&mut self, document: &DeTable<'_>) -> Option<i64> {
        let Some(value) = document.get("version") else {
            self.missing("version", &format!("version = {VERSION}"));
            return None;
        };
        let at = self.text.at(value.span());
        let found = match value::integer(value.get_ref()) {
            Some(VERSION) => return Some(VERSION),
            Some(other) => {
                let found = Diagnostic::error(format!("profile version {other} is not supported"));
                self.found.push(found.at(at).because(format!("this tracer reads version {VERSION}")));
                return Some(other);
            }
            None => Diagnostic::error("`version` takes a whole number"),
        };
        self.found.push(found.at(at).hint(format!("write `version = {VERSION}`")));
        None
    }

    fn top_string(&mut self, document: &DeTable<'_>, key: &str) -> Option<Located<String>> {
        self.string(key, document.get(key)?)
    }

    fn string(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<Located<String>> {
        match value.get_ref() {
            DeValue::String(text) if !text.trim().is_empty() => {
                return Some(value::located(text, &self.text.at(value.span())));
            }
            DeValue::String(_) => {
                let found = Diagnostic::error(format!("`{key}` is empty"));
                self.found.push(found.at(self.text.at(value.span())));
            }
            other => {
                let kind = value::kind(other);
                let found = Diagnostic::error(format!("`{key}` takes a text, not {kind}"));
                self.found.push(found.at(self.text.at(value.span())));
            }
        }
        None
    }

    /// The names of parents, of one string or a list of them.
    fn extends(&mut self, document: &DeTable<'_>) -> Vec<Located<String>> {
        let Some(value) = document.get("extends") else { return Vec::new() };
        match value.get_ref() {
            DeValue::Array(names) => names.iter().filter_map(|name| self.string("extends", name)).collect(),
            _ => self.string("extends", value).into_iter().collect(),
        }
    }

    fn when(&mut self, document: &DeTable<'_>) -> Option<Located<When>> {
        let text = self.top_string(document, "when")?;
        self.found.take(probe_table::when(&text))
    }

    fn command(&mut self, command: SubCommand, table: &DeTable<'_>, origin: &Origin) -> Settings {
        let mut settings = Settings::default();
        for (key, value) in table {
            let Some(option) = self.option(command, key) else { continue };
            let read = value::setting(&self.text, command, option, key.get_ref(), value);
            if let Some(value_read) = self.found.take(read) {
                let source = Some(self.text.at(value.span()));
                let (origin, merge) = (origin.clone(), option.merge);
                settings.insert(&option.name, Setting { value: value_read, merge, origin, source });
            }
        }
        settings
    }

    /// The option that `key` stands for in the table of `command`, or `None` after having said why
    /// there is none.
    fn option(&mut self, command: SubCommand, key: &Spanned<DeString<'_>>) -> Option<&'a OptionDef> {
        let (word, at) = (key.get_ref().as_ref(), self.text.at(key.span()));
        let name = command.name();
        let here = self.table.with_key(word).find(|option| option.is_on(command));
        let option = here.or_else(|| self.table.with_key(word).next());
        let command_line_only = option.is_some_and(|option| option.key == Key::CommandLineOnly);
        if command_line_only || COMMAND_LINE_ONLY.contains(&word) {
            self.found.push(never(word, at));
            return None;
        }
        let found = match option {
            Some(option) if option.is_on(command) => return Some(option),
            Some(_) => Diagnostic::error(format!("`{name}` has no option `{word}`"))
                .because(format!("it belongs to {}", self.tables_of(word)))
                .at(at),
            None if TOP_KEYS.contains(&word) => {
                Diagnostic::error(format!("`{word}` does not stand in `[{name}]`"))
                    .because("it is about the whole profile")
                    .hint("move it to the top, above the first table")
                    .at(at)
            }
            None => {
                let keys: Vec<_> = self
                    .table
                    .of(command)
                    .filter(|option| option.key != Key::CommandLineOnly)
                    .map(OptionDef::profile_key)
                    .collect();
                let keys = keys.iter().map(String::as_str);
                let mut found = Diagnostic::unknown("key", word, keys).at(at);
                found.message += &format!(" in `[{name}]`");
                found
            }
        };
        self.found.push(found);
        None
    }

    fn unknown_top_key(&mut self, key: &Spanned<DeString<'_>>) {
        let (word, at) = (key.get_ref().as_ref(), self.text.at(key.span()));
        let tables = SubCommand::ALL.map(SubCommand::name);
        let found = match self.table.with_key(word).next() {
            _ if COMMAND_LINE_ONLY.contains(&word) => never(word, at),
            Some(option) if option.key == Key::CommandLineOnly => never(word, at),
            Some(_) => Diagnostic::error(format!("`{word}` does not stand in a table"))
                .because("options stand in the table of a sub-command")
                .hint(format!("move it below {}", self.tables_of(word)))
                .at(at),
            None => {
                let known = TOP_KEYS.into_iter().chain(tables);
                Diagnostic::unknown("key", word, known).at(at)
            }
        };
        self.found.push(found);
    }

    /// The tables that a key may stand in.
    fn tables_of(&self, key: &str) -> String {
        let takes = |command: &SubCommand| self.table.with_key(key).any(|option| option.is_on(*command));
        let tables = SubCommand::ALL.into_iter().filter(takes);
        let tables: Vec<_> = tables.map(|command| format!("`[{}]`", command.name())).collect();
        tables.join(" or ")
    }

    fn missing(&mut self, key: &str, example: &str) {
        // Nothing in the text is at fault, so the caret stands at its start.
        let found = Diagnostic::error(format!("`{key}` is missing"))
            .at(self.text.at(0..0))
            .because("every profile has it")
            .hint(format!("write `{example}` at the top"));
        self.found.push(found);
    }
}

fn never(word: &str, at: SourceRef) -> Diagnostic {
    let flag = word.replace('_', "-");
    Diagnostic::error(format!("`{word}` cannot be given by a profile"))
        .because("it is given on the command line only")
        .hint(format!("leave it out here and write `--{flag}` when you start tracer"))
        .at(at)
}
