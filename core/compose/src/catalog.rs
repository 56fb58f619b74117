//! The collectors that there are, and the options that they bring.

use std::{collections::BTreeMap, sync::Arc};

use tracer_dsl::{
    Diagnostic,
    filter::FieldPath,
    option::{DefinitionError, Located, OptionDef, OptionTable, SubCommand, ValueType},
};

use crate::{ArgType, Embedded, Entry, Fragment, FragmentError, Library, ManifestOption};

/// All collectors known to this binary, by name.
#[derive(Debug, Clone)]
pub struct Catalog {
    fragments: Vec<Arc<Fragment>>,
    /// Native halves that are linked into the binary, by the names of their collectors.
    linked: BTreeMap<String, Entry>,
}

/// Why a further collector does not go with those that are there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Taken {
    /// There is one of its name.
    #[error("a collector `{name}` is there already: {by}")]
    Name {
        /// The name.
        name: String,
        /// Where the other comes from.
        by: String,
    },
    /// One of its sections is called as another's, or as something that filters and outputs know.
    #[error("its section `{section}` has the name of {by}")]
    Section {
        /// The section.
        section: String,
        /// What has the name.
        by: String,
    },
    /// One of its maps is called as another's: they would be one map.
    #[error("its map `{map}` has the name of one of collector {by}")]
    Map {
        /// The map.
        map: String,
        /// The other collector.
        by: String,
    },
    /// One of its options does not fit the table.
    #[error("{0}")]
    Option(#[from] DefinitionError),
}

/// What filters and outputs have for themselves: the groups of the header's fields, the members of JSON events, and the word
/// for no collector.
const RESERVED: [&str; 14] = [
    "event", "task", "type", "time", "utc", "follows", "probe", "cpu", "stack", "none", "packet", "way",
    "ret", "kernel",
];

/// Why the collectors do not make a catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A collector's folder.
    #[error("collector {name}: {error}")]
    Fragment {
        /// The collector, as far as its manifest says.
        name: String,
        /// What is wrong with it.
        error: FragmentError,
    },
    /// Two collectors of one name.
    #[error("two collectors are called `{0}`")]
    Twice(String),
    /// An option that does not fit the table.
    #[error("collector {name}: {error}")]
    Option {
        /// The collector.
        name: String,
        /// What is wrong with the option.
        error: DefinitionError,
    },
}

impl Catalog {
    /// The collectors that are linked into the binary.
    pub fn new() -> Result<Self, CatalogError> {
        let mut fragments: Vec<Arc<Fragment>> = Vec::new();
        let mut linked = BTreeMap::new();
        for embedded in inventory::iter::<Embedded> {
            let fragment = embedded.parse().map_err(|error| CatalogError::Fragment {
                name: named(embedded.manifest).to_owned(),
                error,
            })?;
            if fragments.iter().any(|f| f.manifest.name == fragment.manifest.name) {
                return Err(CatalogError::Twice(fragment.manifest.name));
            }
            linked.extend(embedded.native.map(|entry| (fragment.manifest.name.clone(), entry)));
            fragments.push(Arc::new(fragment));
        }
        // The order in which linked crates register is unspecified.
        fragments.sort_by(|a, b| a.manifest.name.cmp(&b.manifest.name));
        Ok(Self { fragments, linked })
    }

    /// Adds a collector that was found in a folder.
    ///
    /// # Errors
    /// What of it is taken; the catalog is as before.
    pub fn add(&mut self, fragment: Fragment) -> Result<(), Taken> {
        self.check(&fragment)?;
        let at = self.fragments.partition_point(|known| known.manifest.name < fragment.manifest.name);
        self.fragments.insert(at, Arc::new(fragment));
        Ok(())
    }

    fn check(&self, fragment: &Fragment) -> Result<(), Taken> {
        let name = &fragment.manifest.name;
        if RESERVED.contains(&name.as_str()) {
            let by = "it is a word of tracer's own".to_owned();
            return Err(Taken::Name { name: name.clone(), by });
        }
        if let Some(known) = self.find(name) {
            let by =
                known.folder.as_ref().map_or("built in".to_owned(), |folder| folder.display().to_string());
            return Err(Taken::Name { name: name.clone(), by });
        }
        for section in sections(fragment) {
            let by = if RESERVED.contains(&section) {
                "something of tracer's own".to_owned()
            } else if let Some(known) = self.iter().find(|known| sections(known).any(|one| one == section)) {
                format!("one of collector {}", known.manifest.name)
            } else if self.is_argument(section) {
                // Filters would no longer see the argument behind it.
                format!("`struct {section}`, which filters read fields of")
            } else {
                continue;
            };
            return Err(Taken::Section { section: section.to_owned(), by });
        }
        for map in &fragment.maps {
            if let Some(known) = self.iter().find(|known| known.maps.contains(map)) {
                return Err(Taken::Map { map: map.clone(), by: known.manifest.name.clone() });
            }
        }
        // What is there was checked when it came.
        let mut table = self.options().map_err(|error| match error {
            CatalogError::Option { error, .. } => Taken::Option(error),
            other => Taken::Name { name: name.clone(), by: other.to_string() },
        })?;
        Ok(definitions(fragment).into_iter().try_for_each(|option| table.add(option))?)
    }

    /// Whether some collector takes a struct of this name as an argument.
    fn is_argument(&self, name: &str) -> bool {
        let wants = self.iter().flat_map(|known| &known.readers).flat_map(|reader| &reader.wants.members);
        wants
            .filter_map(|want| want.argument())
            .any(|ty| matches!(ty, ArgType::Struct(known) if known == name))
    }

    /// The same without some collectors.
    #[must_use]
    pub fn without(&self, refused: &BTreeMap<String, String>) -> Self {
        let stays = |fragment: &&Arc<Fragment>| !refused.contains_key(&fragment.manifest.name);
        let fragments = self.fragments.iter().filter(stays).cloned().collect();
        Self { fragments, linked: self.linked.clone() }
    }

    /// All, in the order of their names; also what is only a sink.
    pub fn iter(&self) -> impl Iterator<Item = &Fragment> {
        self.fragments.iter().map(|fragment| &**fragment)
    }

    /// One by its name, whatever it is; `skb-drop` finds `skb_drop`.
    pub fn find(&self, name: &str) -> Option<&Fragment> {
        let name = name.replace('-', "_");
        self.iter().find(|f| f.manifest.name == name)
    }

    /// The names of all collectors; what is only a sink is none.
    pub fn names(&self) -> Vec<&str> {
        self.iter().filter(|f| f.is_collector()).map(|f| f.manifest.name.as_str()).collect()
    }

    /// The collector that the user calls so.
    ///
    /// # Errors
    /// There is none; also where there is a sink of that name, which says nothing of events.
    pub fn collector(&self, name: &Located<String>) -> Result<&Fragment, Box<Diagnostic>> {
        match self.find(&name.value) {
            Some(fragment) if fragment.is_collector() => Ok(fragment),
            Some(sink) => Err(Diagnostic::error(format!("`{}` is no collector", name.value))
                .at(name.source.clone())
                .because("it is a sink: it is given events, and reads none")
                .hint(format!("give it events with `--sink {}`", sink.manifest.name))
                .into()),
            None => Err(Diagnostic::unknown("collector", &name.value, self.names())
                .at(name.source.clone())
                .into()),
        }
    }

    /// The sink that the user calls so.
    ///
    /// # Errors
    /// There is none; also where there is a collector of that name, which takes no events.
    pub fn sink(&self, name: &Located<String>) -> Result<&Fragment, Box<Diagnostic>> {
        match (self.find_sink(&name.value), self.find(&name.value)) {
            (Some(fragment), _) => Ok(fragment),
            (None, Some(_)) => Err(Diagnostic::error(format!("`{}` is no sink", name.value))
                .at(name.source.clone())
                .because("it is a collector, whose `collector.toml` has no `[native]` with `sink = true`")
                .hint(format!("`-c {}` asks for it as a collector", name.value))
                .into()),
            (None, None) => {
                let known: Vec<&str> = self.sinks().map(|sink| sink.manifest.name.as_str()).collect();
                Err(Diagnostic::unknown("sink", &name.value, known).at(name.source.clone()).into())
            }
        }
    }

    /// Those whose native half can be given events: `--sink`. Most are collectors too, or nothing else.
    pub fn sinks(&self) -> impl Iterator<Item = &Fragment> {
        self.iter().filter(|fragment| fragment.native.as_ref().is_some_and(|native| native.sink))
    }

    /// A sink by its name, as [`Catalog::find`] finds it.
    pub fn find_sink(&self, name: &str) -> Option<&Fragment> {
        let found = self.find(name)?;
        self.sinks().find(|sink| sink.manifest.name == found.manifest.name)
    }

    /// The entry point of a collector's native half, if that is linked into this binary: what
    /// [`Library::Linked`] stands for.
    pub fn linked(&self, name: &str) -> Option<Entry> {
        let fragment = self.find(name)?;
        match fragment.native.as_ref()?.library {
            Library::Linked => self.linked.get(&fragment.manifest.name).copied(),
            Library::File(_) => None,
        }
    }

    /// tracer's own options and those of all collectors.
    pub fn options(&self) -> Result<OptionTable, CatalogError> {
        let failed = |name: &str, error| CatalogError::Option { name: name.to_owned(), error };
        let mut table = OptionTable::new([]).map_err(|e| failed("tracer", e))?;
        for fragment in &self.fragments {
            for option in definitions(fragment) {
                table.add(option).map_err(|e| failed(&fragment.manifest.name, e))?;
            }
        }
        Ok(table)
    }
}

impl Embedded {
    fn parse(&self) -> Result<Fragment, FragmentError> {
        match (self.probe, self.native) {
            (Some(probe), None) => Fragment::parse(self.manifest, probe, self.direct),
            // Without either, it is the native half that is missing.
            (None, None) => Err(FragmentError::NoLibrary),
            (probe, Some(_)) => {
                let object = probe.map(|probe| (probe, self.direct));
                Fragment::parse_native(self.manifest, object, Library::Linked)
            }
        }
    }
}

/// All sections that a collector can add to events.
fn sections(fragment: &Fragment) -> impl Iterator<Item = &str> {
    let read = fragment.readers.iter().map(|reader| reader.schema.section());
    read.chain(fragment.native_section())
}

/// A collector's options, as the table wants them.
fn definitions(fragment: &Fragment) -> Vec<OptionDef> {
    let collector = &fragment.manifest.name;
    let is_sink = fragment.native.as_ref().is_some_and(|native| native.sink);
    // A sink is given stored events too.
    let commands = match is_sink {
        true => vec![SubCommand::Collect, SubCommand::Print, SubCommand::Sort],
        false => vec![SubCommand::Collect],
    };
    let options = fragment.manifest.options.iter().map(|option| {
        let name = option_name(collector, option);
        let value = match (&option.selects, option.number) {
            (Some(field), _) => words(fragment, field),
            (None, Some(n)) => ValueType::Integer { min: n.min.into(), max: n.max.into() },
            (None, None) => ValueType::String,
        };
        let mut def = OptionDef::new(name, option.about.clone(), value)
            .on(commands.clone())
            .heading(format!("Collector {collector}"));
        if let Some(field) = &option.selects {
            def = def.selects(FieldPath { section: collector.clone(), field: field.clone() });
        }
        if let Some(number) = option.number {
            def = def.default(number.default.to_string());
        }
        if let Some(text) = &option.text {
            def = def.default(text.default.clone());
        }
        def
    });
    options.collect()
}

/// How a collector's option is called on the command line.
pub fn option_name(collector: &str, option: &ManifestOption) -> String {
    let own = || format!("{collector}-{}", option.name).replace('_', "-");
    option.flag.clone().unwrap_or_else(own)
}

/// The names of an enum field's values, or any words.
fn words(fragment: &Fragment, field: &str) -> ValueType {
    let field = fragment.schema(&fragment.manifest.name).and_then(|s| s.field(field));
    match field.map(|f| &f.kind) {
        // What the running kernel names is not known yet.
        Some(tracer_event::Kind::Enum { names, .. }) if !names.is_empty() => {
            ValueType::list_of(names.iter().map(|(_, n)| n.clone()))
        }
        _ => ValueType::List,
    }
}

/// The name in a manifest that may not parse: good enough for a message.
fn named(manifest: &str) -> &str {
    let name = manifest.lines().find_map(|l| l.strip_prefix("name = "));
    name.unwrap_or("?").trim_matches('"')
}
