//! A collector as it is composed from: manifest, readers, accessors, and the objects they are in; and its native half, if it has
//! one.
//!
//! What a reader wants and reports is its C signature, read from the object's BTF:
//! `int reader__SECTION(struct ARGS *, struct SECTION_STRUCT *)`.

mod check;
mod native;
mod object;
mod parse;
mod wants;

use std::{fmt, path::PathBuf, sync::Arc};

use tracer_event::{Kind as FieldKind, Schema};

use crate::{
    arguments::ArgType,
    hook::Hook,
    kernel_enum::{KernelEnumField, KernelEnums},
    manifest::Manifest,
};

pub use native::{Library, NativeHalf, TEXTS_MAX};
pub use object::ABI;
pub use wants::{From, Want, Wants};

/// The two builds of every fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Build {
    /// Reads kernel memory with a helper: works for every type of probe.
    Probe,
    /// Loads directly through pointers that the verifier knows by type: fentry, fexit, `tp_btf`.
    Direct,
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Probe => "probe reads",
            Self::Direct => "direct loads",
        })
    }
}

/// A collector's folder, parsed and checked.
#[derive(Debug)]
pub struct Fragment {
    /// The manifest.
    pub manifest: Manifest,
    /// One reader per section, in the object's order.
    pub readers: Vec<Reader>,
    /// Fields that can be had early.
    pub accessors: Vec<Accessor>,
    /// Functions that keep the collector's maps.
    pub hooks: Vec<Hook>,
    /// What it takes to follow packets, if the collector can.
    pub follow: Option<Follow>,
    /// The names of its maps.
    pub maps: Vec<String>,
    /// Its native half, if it has one.
    pub native: Option<NativeHalf>,
    /// The folder that it was found in; `None` for a collector that is linked into the binary.
    pub folder: Option<PathBuf>,
    /// `None` if it has a native half only.
    objects: Option<Objects>,
}

/// What of a collector runs in the kernel, as compiled.
#[derive(Debug)]
struct Objects {
    probe: Vec<u8>,
    direct: Option<Vec<u8>>,
}

/// Bytes of a section's fixed part at most: a record has many, and an instruction reaches 32 KiB.
pub const SECTION_MAX: u32 = 4096;
/// Bytes of a struct of arguments at most: all of a program's stack is 512.
pub const ARGUMENTS_MAX: u32 = 96;

/// A function that fills one section.
#[derive(Debug, Clone)]
pub struct Reader {
    /// The C function.
    pub function: String,
    /// What it wants to be given.
    pub wants: Wants,
    /// What it reports.
    pub schema: Arc<Schema>,
    /// The option that bounds the section's last array, if one does.
    pub tail_max: Option<String>,
    /// The fields whose values the running kernel names: the schema has no names for them.
    pub kernel_enums: Vec<KernelEnumField>,
}

impl Reader {
    /// The schema with the bound of the section's last array taken from its option, and with the running kernel's
    /// names.
    pub fn schema_with(&self, option: impl Fn(&str) -> Option<u32>, kernel: &KernelEnums) -> Arc<Schema> {
        let max = self.tail_max.as_deref().and_then(option);
        let bounded =
            max.map_or_else(|| Arc::clone(&self.schema), |max| Arc::new(self.schema.with_tail_max(max)));
        self.kernel_enums.iter().fold(bounded, |schema, named| {
            Arc::new(schema.with_names(&named.field, kernel.names(&named.enums)))
        })
    }
}

/// A function that gives one field of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accessor {
    /// The C function.
    pub function: String,
    /// What it wants to be given.
    pub wants: Wants,
    /// The section.
    pub section: String,
    /// The field.
    pub field: String,
    /// Bytes of the value: 8 of a number, or those of an array.
    pub size: u32,
}

/// Two functions of a collector that knows a packet again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    /// Notes that the packet has passed the filter.
    pub note: Hook,
    /// Returns 1 if that was noted of the packet, else 0.
    pub asked: Hook,
}

impl Fragment {
    /// The same, found in a folder.
    #[must_use]
    pub fn found_in(mut self, folder: PathBuf) -> Self {
        self.folder = Some(folder);
        self
    }

    /// Whether another build declares the same: of the two, either may run at a probe.
    ///
    /// # Errors
    /// What differs.
    pub fn declares_same(&self, other: &Self) -> Result<(), String> {
        let readers = |fragment: &Self| -> Vec<(String, Wants, Schema)> {
            let all = fragment.readers.iter();
            all.map(|r| (r.function.clone(), r.wants.clone(), (*r.schema).clone())).collect()
        };
        if readers(self) != readers(other) {
            return Err("its readers or their sections are others".to_owned());
        }
        if self.accessors != other.accessors {
            return Err("its accessors are others".to_owned());
        }
        if self.hooks != other.hooks || self.follow != other.follow {
            return Err("its hooks are others".to_owned());
        }
        let sorted =
            |fragment: &Self| fragment.maps.iter().cloned().collect::<std::collections::BTreeSet<_>>();
        if sorted(self) != sorted(other) {
            return Err("its maps are others".to_owned());
        }
        Ok(())
    }

    /// Whether it was found in a folder, and so what it has for the kernel is to be shown to the verifier alone before it is
    /// used.
    pub fn is_plugin(&self) -> bool {
        self.folder.is_some()
    }

    /// Whether any of it runs in the kernel.
    pub fn has_object(&self) -> bool {
        self.objects.is_some()
    }

    /// Whether it has a build with direct loads.
    pub fn has_direct(&self) -> bool {
        self.objects.as_ref().is_some_and(|objects| objects.direct.is_some())
    }

    /// Whether it says something of events; what is only a sink does not.
    pub fn is_collector(&self) -> bool {
        self.has_object() || self.native_section().is_some()
    }

    /// The section with this name.
    pub fn schema(&self, section: &str) -> Option<&Arc<Schema>> {
        self.readers.iter().map(|r| &r.schema).find(|s| s.section() == section)
    }

    /// The types of arguments of which its readers need one at least, each once: where a kernel has none of them, it
    /// reads nothing anywhere.
    pub fn needs_argument(&self) -> Vec<&ArgType> {
        let mut types: Vec<&ArgType> = Vec::new();
        for reader in &self.readers {
            let members = &reader.wants.members;
            let required = members.iter().any(|want| want.required && want.argument().is_some());
            let wanted = members.iter().filter(|want| want.required || !required);
            for ty in wanted.filter_map(Want::argument) {
                if !types.contains(&ty) {
                    types.push(ty);
                }
            }
        }
        types
    }

    /// The hook of this name.
    pub fn hook(&self, name: &str) -> Option<&Hook> {
        self.hooks.iter().find(|hook| hook.name == name)
    }

    /// The accessor of a field.
    pub fn accessor(&self, section: &str, field: &str) -> Option<&Accessor> {
        self.accessors.iter().find(|a| a.section == section && a.field == field)
    }

    /// The manifest's guard: its accessor, the argument that it withholds, and the values with which.
    pub fn guard(&self) -> Option<(&Accessor, Option<ArgType>, Vec<i64>)> {
        let guard = self.manifest.guard.as_ref()?;
        let accessor = self.accessor(&self.manifest.name, &guard.field)?;
        let field = self.schema(&self.manifest.name).and_then(|s| s.field(&guard.field));
        let names = match field.map(|f| &f.kind) {
            Some(FieldKind::Enum { names, .. }) => names.as_slice(),
            _ => &[],
        };
        let values = names.iter().filter(|(_, name)| guard.when.contains(name)).map(|(value, _)| *value);
        Some((accessor, guard.withhold.clone().map(ArgType::Struct), values.collect()))
    }

    /// The object of a build, or of the other build where that one is not there; `None` if none of the collector runs in the
    /// kernel.
    pub(crate) fn object(&self, build: Build) -> Option<&[u8]> {
        let Objects { probe, direct } = self.objects.as_ref()?;
        Some(match (build, direct) {
            (Build::Direct, Some(direct)) => direct,
            _ => probe,
        })
    }
}
