//! The collectors that there are, and the options that they bring.

use tracer_dsl::{
    filter::FieldPath,
    option::{DefinitionError, OptionDef, OptionTable, SubCommand, ValueType},
};

use crate::{Embedded, Fragment, FragmentError, ManifestOption};

/// All collectors known to this binary, by name.
#[derive(Debug)]
pub struct Catalog {
    fragments: Vec<Fragment>,
}

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
        let mut fragments: Vec<Fragment> = Vec::new();
        for embedded in inventory::iter::<Embedded> {
            let fragment = Fragment::parse(embedded.manifest, embedded.probe, embedded.direct);
            let fragment = fragment.map_err(|error| CatalogError::Fragment {
                name: named(embedded.manifest).to_owned(),
                error,
            })?;
            if fragments.iter().any(|f| f.manifest.name == fragment.manifest.name) {
                return Err(CatalogError::Twice(fragment.manifest.name));
            }
            fragments.push(fragment);
        }
        // The order in which linked crates register is unspecified.
        fragments.sort_by(|a, b| a.manifest.name.cmp(&b.manifest.name));
        Ok(Self { fragments })
    }

    /// All, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Fragment> {
        self.fragments.iter()
    }

    /// One by its name; `skb-drop` finds `skb_drop`.
    pub fn find(&self, name: &str) -> Option<&Fragment> {
        let name = name.replace('-', "_");
        self.fragments.iter().find(|f| f.manifest.name == name)
    }

    /// All names.
    pub fn names(&self) -> Vec<&str> {
        self.fragments.iter().map(|f| f.manifest.name.as_str()).collect()
    }

    /// tracer's own options and those of all collectors.
    pub fn options(&self) -> Result<OptionTable, CatalogError> {
        let failed = |name: &str, error| CatalogError::Option { name: name.to_owned(), error };
        let mut table = OptionTable::new([]).map_err(|e| failed("tracer", e))?;
        for fragment in &self.fragments {
            let collector = &fragment.manifest.name;
            for option in &fragment.manifest.options {
                let name = option_name(collector, option);
                let value = match (&option.selects, option.number) {
                    (Some(field), _) => words(fragment, field),
                    (None, Some(n)) => ValueType::Integer { min: n.min.into(), max: n.max.into() },
                    (None, None) => ValueType::String,
                };
                let mut def = OptionDef::new(name, option.about.clone(), value)
                    .on([SubCommand::Collect])
                    .heading(format!("Collector {collector}"));
                if let Some(field) = &option.selects {
                    def = def.selects(FieldPath { section: collector.clone(), field: field.clone() });
                }
                if let Some(number) = option.number {
                    def = def.default(number.default.to_string());
                }
                table.add(def).map_err(|e| failed(collector, e))?;
            }
        }
        Ok(table)
    }
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
