//! The table itself: a set of definitions that fit together. What is in it has been checked, so the
//! command line and the profile reader need not ask again whether a name is unique or a default fits.

use super::{
    DefinitionError, Label, Located, Merge, OptionDef, Origin, Owner, Setting, SettingValue, Settings,
    SubCommand, ValueType, builtin, from_text, from_texts,
};
use crate::diagnostic::{Diagnostics, SourceRef};

/// Options whose names, keys and short flags differ, as far as one sub-command takes them, and whose defaults are
/// values they take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionTable {
    options: Vec<OptionDef>,
}

impl OptionTable {
    /// `tracer`'s own options and these.
    ///
    /// # Errors
    /// The first definition that does not fit.
    pub fn new(more: impl IntoIterator<Item = OptionDef>) -> Result<Self, DefinitionError> {
        let mut table = Self { options: Vec::new() };
        for option in builtin().into_iter().chain(more) {
            table.add(option)?;
        }
        Ok(table)
    }

    /// Adds one more.
    ///
    /// # Errors
    /// The reason why it does not fit; the table is as before.
    pub fn add(&mut self, option: OptionDef) -> Result<(), DefinitionError> {
        self.check(&option)?;
        self.options.push(option);
        Ok(())
    }

    /// All, in the order they were added.
    pub fn iter(&self) -> std::slice::Iter<'_, OptionDef> {
        self.options.iter()
    }

    /// Those that `command` takes.
    pub fn of(&self, command: SubCommand) -> impl Iterator<Item = &OptionDef> + Clone {
        self.options.iter().filter(move |option| option.is_on(command))
    }

    /// The option of `command` with this name.
    pub fn find(&self, command: SubCommand, name: &str) -> Option<&OptionDef> {
        self.of(command).find(|option| option.name == name)
    }

    /// The options that a profile spells `key`, whether or not a profile may give them: at most one for each sub-command.
    pub fn with_key(&self, key: &str) -> impl Iterator<Item = &OptionDef> {
        self.options.iter().filter(move |option| option.profile_key() == key)
    }

    /// The defaults of the options that `command` takes.
    pub fn defaults(&self, command: SubCommand) -> Settings {
        self.of(command)
            .filter_map(|option| {
                // The table refuses a default that does not parse.
                let value = default_value(option)?.ok()?;
                let setting = Setting { value, merge: option.merge, origin: Origin::Default, source: None };
                Some((option.name.clone(), setting))
            })
            .collect()
    }

    fn check(&self, option: &OptionDef) -> Result<(), DefinitionError> {
        use DefinitionError as E;

        let name = || option.name.clone();
        let key = option.profile_key();
        if !is_name(&option.name, '-') {
            return Err(E::BadName { name: name() });
        }
        if !is_name(&key, '_') {
            return Err(E::BadName { name: key });
        }
        // clap adds these two itself.
        if ["help", "version"].contains(&option.name.as_str()) {
            return Err(E::NameTaken { name: name(), by: Owner::Tracer });
        }
        let meeting = || self.options.iter().filter(|other| other.meets(option));
        for other in meeting() {
            if other.name == option.name {
                return Err(E::NameTaken { name: name(), by: owner(other) });
            }
            if other.profile_key() == key {
                return Err(E::NameTaken { name: key, by: owner(other) });
            }
        }
        if let Some(short) = option.short {
            let holder = meeting().find(|other| other.short == Some(short));
            let by = match holder {
                Some(other) => Some(owner(other)),
                None => ['h', 'V'].contains(&short).then_some(Owner::Tracer),
            };
            if let Some(by) = by {
                return Err(E::ShortTaken { name: name(), short, by });
            }
        }
        if option.merge == Merge::Adding && !option.value.is_list() {
            return Err(E::AddingOneValue { name: name() });
        }
        let words = matches!(option.value, ValueType::List | ValueType::ListOf(_));
        if option.selects.is_some() && !words {
            return Err(E::SelectingWithoutWords { name: name() });
        }
        match default_value(option) {
            Some(Err(why)) => Err(E::BadDefault { name: name(), why }),
            Some(Ok(_)) | None => Ok(()),
        }
    }
}

fn owner(option: &OptionDef) -> Owner {
    match &option.heading {
        Some(heading) => Owner::Heading(heading.clone()),
        None => Owner::Tracer,
    }
}

/// Lower-case words of letters and digits, joined by single `joint`s, beginning with a letter.
fn is_name(name: &str, joint: char) -> bool {
    let word = |word: &str| {
        let mut bytes = word.bytes();
        !word.is_empty() && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.split(joint).all(word)
}

fn default_value(option: &OptionDef) -> Option<Result<SettingValue, Diagnostics>> {
    let text = option.default.as_deref()?;
    let label = Label::Flag(&option.name);
    let located =
        |text: &str| Located { value: text.to_owned(), source: SourceRef::command_line(&option.name, text) };
    Some(if option.value.is_list() {
        from_texts(option, label, text.split(',').map(located).collect())
    } else {
        from_text(option, label, &located(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::FieldPath;

    fn table() -> OptionTable {
        OptionTable::new([]).unwrap()
    }

    fn refused(option: OptionDef) -> DefinitionError {
        table().add(option).unwrap_err()
    }

    #[test]
    fn options_are_found_by_name_and_by_key() {
        let table = table();
        let collect = |name| table.find(SubCommand::Collect, name);
        assert_eq!(collect("probe"), table.with_key("probes").next());
        assert_eq!(collect("ring-size"), table.with_key("ring_size").next());
        assert!(collect("probes").is_none());
        assert!(table.with_key("ring-size").next().is_none());
    }

    #[test]
    fn sub_commands_have_options_of_one_name_each_with_its_own_values() {
        let table = table();
        assert_ne!(table.find(SubCommand::Collect, "format"), table.find(SubCommand::Stats, "format"));
        let global = OptionDef::new("format", "", ValueType::Flag);
        assert!(matches!(refused(global), DefinitionError::NameTaken { .. }));
    }

    #[test]
    fn a_sub_command_takes_its_own_options_and_the_global_ones() {
        let table = table();
        let pcap: Vec<_> = table.of(SubCommand::Pcap).map(|o| o.name.as_str()).collect();
        assert_eq!(
            pcap,
            [
                "profile",
                "profile-dir",
                "plugin",
                "plugin-dir",
                "no-plugins",
                "file",
                "probe",
                "out",
                "filter",
                "interface"
            ]
        );
    }

    #[test]
    fn defaults_are_typed() {
        let defaults = table().defaults(SubCommand::Collect);
        let value = &defaults.setting("attach").unwrap().value;
        assert_eq!(*value, SettingValue::Choice("auto".into()));
        assert!(table().defaults(SubCommand::Pcap).setting("attach").is_none());
    }

    #[test]
    fn a_taken_name_is_refused() {
        let mut table = table();
        let ours = |name: &str| OptionDef::new(name, "", ValueType::Flag).heading("nft");
        table.add(ours("nft-verdicts")).unwrap();
        let by = Owner::Heading("nft".into());
        assert_eq!(
            table.add(ours("nft-verdicts")),
            Err(DefinitionError::NameTaken { name: "nft-verdicts".into(), by })
        );
        for name in ["probe", "help"] {
            let by = Owner::Tracer;
            let taken = DefinitionError::NameTaken { name: name.into(), by };
            assert_eq!(refused(ours(name)), taken);
        }
        // `probes` is free as a flag, but it is how profiles spell `--probe`.
        let by = Owner::Tracer;
        let taken = DefinitionError::NameTaken { name: "probes".into(), by };
        assert_eq!(refused(ours("probes")), taken);
    }

    #[test]
    fn a_taken_short_flag_is_refused() {
        for short in ['p', 'h'] {
            let option = OptionDef::new("x", "", ValueType::Flag).short(short);
            let by = Owner::Tracer;
            let taken = DefinitionError::ShortTaken { name: "x".into(), short, by };
            assert_eq!(refused(option), taken);
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for name in ["", "Nft", "nft_verdicts", "-x", "x-", "a--b", "9x", "x y"] {
            let bad = DefinitionError::BadName { name: name.into() };
            assert_eq!(refused(OptionDef::new(name, "", ValueType::Flag)), bad);
        }
        assert_eq!(
            refused(OptionDef::new("x", "", ValueType::String).adding()),
            DefinitionError::AddingOneValue { name: "x".into() }
        );
        let field: FieldPath = "nft.verdict".parse().unwrap();
        assert_eq!(
            refused(OptionDef::new("x", "", ValueType::Flag).selects(field)),
            DefinitionError::SelectingWithoutWords { name: "x".into() }
        );
        let wrong = OptionDef::new("x", "", ValueType::Duration).default("soon");
        assert!(matches!(refused(wrong), DefinitionError::BadDefault { .. }));
    }
}
