//! A collector as it is composed from: manifest, readers, accessors, and the objects they are in.
//!
//! What a reader wants and reports is its C signature, read from the object's BTF:
//! `int reader__SECTION(struct ARGS *, struct SECTION_STRUCT *)`.

use std::{fmt, path::PathBuf, sync::Arc};

use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use tracer_bpf::{Btf, btf::Kind};
use tracer_event::{Kind as FieldKind, Schema};

use crate::{
    arguments::{ArgType, Arguments},
    error::FragmentError,
    helpers,
    hook::Hook,
    kernel_enum::{KernelEnumField, KernelEnums},
    manifest::Manifest,
    schema,
};

/// Names by which readers and accessors are known among an object's functions.
const READER: &str = "reader__";
const ACCESSOR: &str = "accessor__";
const HOOK: &str = "hook__";
const FOLLOW: &str = "follow__";
const FOLLOWED: &str = "followed__";

/// Tags of arguments.
const REQUIRED: &str = "required";
const RETURNED: &str = "returned";

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
    /// The folder that it was found in; `None` for a collector that is linked into the binary.
    pub folder: Option<PathBuf>,
    pub(crate) probe: Vec<u8>,
    pub(crate) direct: Option<Vec<u8>>,
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

/// A struct of arguments, member by member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wants {
    /// `sizeof` of the struct.
    pub size: u32,
    /// Its members.
    pub members: Vec<Want>,
}

/// One member of an argument struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// What it is filled with.
    pub from: From,
    /// Byte offset in the struct.
    pub offset: u32,
    /// Bytes: 8 for a pointer, the size of the enum or integer for others.
    pub size: u32,
    /// Whether the function makes no sense without it.
    pub required: bool,
}

/// What a member of an argument struct is filled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// An argument of the probe, by its type.
    Argument(ArgType),
    /// The value of one of the collector's options: a constant of the program.
    Option(String),
    /// The address of a kernel symbol, 0 where the kernel does not have or show it.
    Symbol(String),
    /// For hooks: the parameter of this name, 0 where the function has none.
    Parameter(String),
    /// For hooks at a return: what the function returned.
    Returned,
}

impl Fragment {
    /// Parses a collector: the text of its `collector.toml`, its `NAME.bpf.o`, and, where there is
    /// one, the same compiled for direct loads.
    pub fn parse(manifest: &str, probe: &[u8], direct: Option<&[u8]>) -> Result<Self, FragmentError> {
        let manifest = Manifest::parse(manifest)?;
        let btf = check_object(probe)?;
        if let Some(direct) = direct {
            check_object(direct)?;
        }
        let mut fragment = Self {
            manifest,
            readers: Vec::new(),
            accessors: Vec::new(),
            hooks: Vec::new(),
            follow: None,
            maps: map_names(probe),
            folder: None,
            probe: probe.to_vec(),
            direct: direct.map(<[u8]>::to_vec),
        };
        let (mut note, mut asked) = (None, None);
        for id in btf.own_ids() {
            let ty = btf.ty(id)?;
            if ty.kind() != Kind::Func {
                continue;
            }
            if let Some(section) = ty.name().strip_prefix(READER) {
                let reader = fragment.reader(&btf, id, section)?;
                fragment.readers.push(reader);
            } else if let Some(field) = ty.name().strip_prefix(ACCESSOR) {
                fragment.accessors.push(accessor(&btf, id, field)?);
            } else if let Some(name) = ty.name().strip_prefix(HOOK) {
                fragment.hooks.push(hook(&btf, id, name)?);
            } else if let Some(name) = ty.name().strip_prefix(FOLLOW) {
                note = Some(hook(&btf, id, name)?.of_probe()?);
            } else if let Some(name) = ty.name().strip_prefix(FOLLOWED) {
                asked = Some(hook(&btf, id, name)?.of_probe()?);
            }
        }
        fragment.follow = match (note, asked) {
            (Some(note), Some(asked)) => Some(Follow { note, asked }),
            (None, None) => None,
            (Some(one), None) | (None, Some(one)) => {
                let reason = "FOLLOW and FOLLOWED make sense together only".to_owned();
                return Err(FragmentError::Signature { function: one.function, reason });
            }
        };
        fragment.check_names()?;
        fragment.check_maps(&btf)?;
        fragment.check_sizes()?;
        Ok(fragment)
    }

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

    /// Whether it was found in a folder, and so is to be shown to the verifier alone before it is used.
    pub fn is_plugin(&self) -> bool {
        self.folder.is_some()
    }

    /// Whether it has a build with direct loads.
    pub fn has_direct(&self) -> bool {
        self.direct.is_some()
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

    pub(crate) fn object(&self, build: Build) -> &[u8] {
        match (build, &self.direct) {
            (Build::Direct, Some(direct)) => direct,
            _ => &self.probe,
        }
    }

    fn reader(&self, btf: &Btf, func: u32, section: &str) -> Result<Reader, FragmentError> {
        let function = btf.ty(func)?.name().to_owned();
        let [args, out] = params(btf, func)?;
        let wants = wants(btf, args, &function)?.of_probe(&function)?;
        let Some(out) = pointed_struct(btf, out) else {
            let reason = "its second parameter must be a pointer to the section's struct".to_owned();
            return Err(FragmentError::Signature { function, reason });
        };
        let schema = schema::of_struct(btf, out, section, self.manifest.sections.get(section))?;
        let tail_max = schema::Tags::of(btf, out).tail_max();
        let kernel_enums = schema::kernel_enums(btf, out)?;
        Ok(Reader { function, wants, schema: Arc::new(schema), tail_max, kernel_enums })
    }

    /// Everything that the manifest names is there, and accessors belong to sections.
    fn check_names(&self) -> Result<(), FragmentError> {
        let missing = |what, name: &str| Err(FragmentError::Missing { what, name: name.to_owned() });
        for section in self.manifest.sections.keys() {
            if self.schema(section).is_none() {
                return missing("section", section);
            }
        }
        for a in &self.accessors {
            let Some(field) = self.schema(&a.section).and_then(|schema| schema.field(&a.field)) else {
                return missing("field", &format!("{}.{}", a.section, a.field));
            };
            let size = match field.kind {
                FieldKind::Str(len) | FieldKind::Bytes(len) => len,
                FieldKind::Text => a.size,
                _ => 8,
            };
            if a.size != size {
                let reason = format!("its value takes {} bytes; one of this field takes {size}", a.size);
                return Err(FragmentError::Signature { function: a.function.clone(), reason });
            }
        }
        for field in self.manifest.options.iter().filter_map(|o| o.selects.as_ref()) {
            if self.accessor(&self.manifest.name, field).is_none() {
                return missing("accessor", &format!("{}.{field}", self.manifest.name));
            }
        }
        self.check_guard()?;
        let hooks = self.manifest.hooks.iter();
        if let Some(hook) = hooks.map(|hook| &hook.name).find(|name| self.hook(name).is_none()) {
            return missing("hook", hook);
        }
        let wants = self.readers.iter().map(|r| &r.wants).chain(self.accessors.iter().map(|a| &a.wants));
        let follow = self.follow.iter().flat_map(|follow| [&follow.note, &follow.asked]);
        let wants = wants.chain(self.hooks.iter().chain(follow).map(|hook| &hook.wants));
        let wanted = wants.flat_map(|w| &w.members).filter_map(|w| match &w.from {
            From::Option(name) => Some(name),
            _ => None,
        });
        for name in wanted.chain(self.readers.iter().filter_map(|r| r.tail_max.as_ref())) {
            if !self.manifest.numbers().any(|(n, _)| n == name) {
                return Err(FragmentError::NoOption(name.clone()));
            }
        }
        Ok(())
    }
}

impl Fragment {
    /// The maps that the manifest names are there.
    fn check_maps(&self, btf: &Btf) -> Result<(), FragmentError> {
        let sized = self.manifest.options.iter().filter_map(|option| option.sizes.as_ref());
        for map in sized.chain(self.manifest.losses.iter().map(|loss| &loss.map)) {
            if btf.find_own(Kind::Var, map).next().is_none() {
                return Err(FragmentError::Missing { what: "map", name: map.clone() });
            }
        }
        Ok(())
    }

    /// Maps carry the collector's name, and nothing takes more room than there is.
    fn check_sizes(&self) -> Result<(), FragmentError> {
        let collector = &self.manifest.name;
        let foreign =
            |map: &&String| !map.strip_prefix(collector.as_str()).is_some_and(|rest| rest.starts_with('_'));
        if let Some(map) = self.maps.iter().find(foreign) {
            return Err(FragmentError::MapName { map: map.clone(), collector: collector.clone() });
        }
        let sections = self.readers.iter().map(|reader| {
            let what = format!("section {}", reader.schema.section());
            (what, reader.schema.size(), SECTION_MAX)
        });
        let follow = self.follow.iter().flat_map(|follow| [&follow.note, &follow.asked]);
        let wants = self.readers.iter().map(|r| (&r.function, &r.wants));
        let wants = wants.chain(self.accessors.iter().map(|a| (&a.function, &a.wants)));
        let wants = wants.chain(self.hooks.iter().chain(follow).map(|hook| (&hook.function, &hook.wants)));
        let arguments = wants.map(|(function, wants)| {
            (format!("{function}: its struct of arguments"), wants.size, ARGUMENTS_MAX)
        });
        match sections.chain(arguments).find(|(_, size, most)| size > most) {
            Some((what, size, most)) => Err(FragmentError::TooLarge { what, size, most }),
            None => Ok(()),
        }
    }

    /// The guard's accessor and values are there, and the accessor does without what is withheld.
    fn check_guard(&self) -> Result<(), FragmentError> {
        let Some(guard) = &self.manifest.guard else { return Ok(()) };
        let name = format!("{}.{}", self.manifest.name, guard.field);
        let Some((accessor, withheld, values)) = self.guard() else {
            return Err(FragmentError::Missing { what: "accessor", name });
        };
        if values.len() != guard.when.len() {
            return Err(FragmentError::Missing { what: "a value among `when` of", name });
        }
        if accessor.wants.members.iter().any(|w| w.argument().is_some_and(|ty| Some(ty) == withheld.as_ref()))
        {
            return Err(FragmentError::Signature {
                function: accessor.function.clone(),
                reason: "it takes an argument that it decides about".to_owned(),
            });
        }
        Ok(())
    }
}

fn accessor(btf: &Btf, func: u32, name: &str) -> Result<Accessor, FragmentError> {
    let function = btf.ty(func)?.name().to_owned();
    let Some((section, field)) = name.split_once("__") else {
        let reason = "an accessor is named after a section and one of its fields".to_owned();
        return Err(FragmentError::Signature { function, reason });
    };
    let [args, value] = params(btf, func)?;
    let wants = wants(btf, args, &function)?.of_probe(&function)?;
    let pointer = btf.ty(btf.resolve(value)).ok().filter(|ty| ty.kind() == Kind::Ptr);
    let Some(size) = pointer.and_then(|ty| btf.size_of(ty.target()?)) else {
        let reason = "its second parameter must be a pointer to the value".to_owned();
        return Err(FragmentError::Signature { function, reason });
    };
    Ok(Accessor { function, wants, section: section.to_owned(), field: field.to_owned(), size })
}

fn hook(btf: &Btf, func: u32, name: &str) -> Result<Hook, FragmentError> {
    let function = btf.ty(func)?.name().to_owned();
    let proto = btf.ty(btf.prototype(func).unwrap_or(0))?;
    let params: Vec<u32> = proto.params().map(|p| p.ty).collect();
    let &[args] = params.as_slice() else {
        let reason = "it takes one parameter: a struct of arguments".to_owned();
        return Err(FragmentError::Signature { function, reason });
    };
    let wants = wants(btf, args, &function)?;
    Ok(Hook { function, name: name.to_owned(), wants })
}

impl Hook {
    /// The same of a function that runs at probes.
    fn of_probe(self) -> Result<Self, FragmentError> {
        let wants = self.wants.of_probe(&self.function)?;
        Ok(Self { wants, ..self })
    }
}

/// The types of a function's two parameters.
fn params(btf: &Btf, func: u32) -> Result<[u32; 2], FragmentError> {
    let ty = btf.ty(func)?;
    let proto = btf.ty(btf.prototype(func).unwrap_or(0))?;
    let params: Vec<u32> = proto.params().map(|p| p.ty).collect();
    params.try_into().map_err(|_| FragmentError::Signature {
        function: ty.name().to_owned(),
        reason: "it takes two parameters: a struct of arguments, and where to write".to_owned(),
    })
}

/// The struct that a parameter points at.
fn pointed_struct(btf: &Btf, id: u32) -> Option<u32> {
    let ptr = btf.ty(btf.resolve(id)).ok().filter(|t| t.kind() == Kind::Ptr)?;
    let to = btf.resolve(ptr.target()?);
    (btf.ty(to).ok()?.kind() == Kind::Struct).then_some(to)
}

fn wants(btf: &Btf, param: u32, function: &str) -> Result<Wants, FragmentError> {
    let refuse = |reason: String| FragmentError::Signature { function: function.to_owned(), reason };
    let Some(id) = pointed_struct(btf, param) else {
        return Err(refuse("its first parameter must be a pointer to a struct of arguments".to_owned()));
    };
    let (ty, tags) = (btf.ty(id)?, schema::Tags::of(btf, id));
    let members = ty.members().enumerate().map(|(i, m)| {
        let bad = || {
            let what = "is neither a pointer to a struct, nor an enum, nor tagged as an option or symbol";
            refuse(format!("argument `{}` {what}", m.name))
        };
        let mut from = None;
        for tag in tags.all(i) {
            from = match tag.split_once(':') {
                Some(("option", name)) => Some(From::Option(name.to_owned())),
                Some(("symbol", name)) => Some(From::Symbol(name.to_owned())),
                Some(("parameter", name)) => Some(From::Parameter(name.to_owned())),
                None if tag == RETURNED => Some(From::Returned),
                _ => from,
            };
        }
        let from = match from {
            Some(from) => from,
            None => From::Argument(ArgType::of(btf, m.ty).ok_or_else(bad)?),
        };
        let size = btf.size_of(m.ty).filter(|n| matches!(n, 1 | 2 | 4 | 8)).ok_or_else(bad)?;
        Ok(Want { from, offset: m.bit_offset / 8, size, required: tags.all(i).any(|tag| tag == REQUIRED) })
    });
    Ok(Wants { size: ty.size().unwrap_or(0), members: members.collect::<Result<_, FragmentError>>()? })
}

/// What must hold of an object before it is given to the linker, which would answer some of it
/// with wrong code or a panic. Returns the object's BTF as the compiler wrote it.
fn check_object(data: &[u8]) -> Result<Btf, FragmentError> {
    let elf = object::File::parse(data).map_err(|e| FragmentError::Elf(e.to_string()))?;
    if elf.architecture() != object::Architecture::Bpf || !elf.is_little_endian() {
        return Err(FragmentError::Elf("it was built for another machine than little-endian BPF".to_owned()));
    }
    let undefined = |s: &object::Symbol<'_, '_>| s.is_undefined() && s.name().is_ok_and(|n| !n.is_empty());
    if let Some(symbol) = elf.symbols().find(undefined) {
        return Err(FragmentError::Undefined(symbol.name().unwrap_or_default().to_owned()));
    }
    for section in elf.sections() {
        let name = section.name().unwrap_or_default();
        let global = [".data", ".rodata", ".bss"].iter().any(|g| name.starts_with(g));
        if global && section.size() != 0 {
            return Err(FragmentError::GlobalData(name.to_owned()));
        }
    }
    let licence = elf.section_by_name("license").and_then(|s| s.data().ok()).unwrap_or_default();
    let licence = String::from_utf8_lossy(licence).trim_end_matches('\0').to_owned();
    // include/linux/license.h, license_is_gpl_compatible().
    const GPL: [&str; 6] =
        ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];
    if !GPL.contains(&licence.as_str()) {
        return Err(FragmentError::Licence(licence));
    }
    let btf = elf.section_by_name(".BTF").and_then(|s| s.data().ok()).ok_or(FragmentError::NoBtf)?;
    abi(elf.section_by_name(ABI_SECTION).and_then(|s| s.data().ok()))?;
    for section in elf.sections().filter(|s| s.kind() == object::SectionKind::Text) {
        let name = section.name().unwrap_or_default();
        if let Some(helper) = section.data().ok().and_then(helpers::forbidden) {
            return Err(FragmentError::Helper { function: format!("the code in section {name}"), helper });
        }
    }
    Ok(Btf::parse(btf.to_vec())?)
}

/// Where an object says which version of the fragment ABI it was compiled with.
const ABI_SECTION: &str = "tracer_abi";

/// Judges what an object says of its version: the same major number, and no newer minor one.
fn abi(said: Option<&[u8]>) -> Result<(), FragmentError> {
    let said = said.ok_or(FragmentError::NoAbi)?;
    let said = String::from_utf8_lossy(said).trim_end_matches('\0').to_owned();
    let number = |text: &str| text.parse::<u32>().ok();
    let version = said.split_once('.').and_then(|(major, minor)| Some((number(major)?, number(minor)?)));
    let (major, minor) = ABI;
    match version {
        Some((of, to)) if of == major && to <= minor => Ok(()),
        _ => Err(FragmentError::Abi {
            found: said.escape_default().take(40).collect(),
            known: format!("{major}.{minor}"),
        }),
    }
}

/// The version of the fragment ABI: `TRACER_ABI_MAJOR` and `TRACER_ABI_MINOR` of `tracer/fragment.h`.
pub const ABI: (u32, u32) = (1, 0);

/// The names of an object's maps: what its section `.maps` defines.
fn map_names(data: &[u8]) -> Vec<String> {
    let Ok(elf) = object::File::parse(data) else { return Vec::new() };
    let Some(maps) = elf.section_by_name(".maps").map(|section| section.index()) else { return Vec::new() };
    let symbols = elf.symbols().filter(|symbol| symbol.section_index() == Some(maps));
    let named = symbols.filter(|symbol| symbol.kind() == object::SymbolKind::Data);
    named.filter_map(|symbol| Some(symbol.name().ok()?.to_owned())).collect()
}

impl Wants {
    /// The same, of a function that may be called at any probe: arguments are known by their types there, and by nothing
    /// else.
    fn of_probe(self, function: &str) -> Result<Self, FragmentError> {
        let hooks_only = |want: &Want| matches!(want.from, From::Parameter(_) | From::Returned);
        if self.members.iter().any(hooks_only) {
            let reason =
                "only a hook takes parameters by their names, and what a function returned".to_owned();
            return Err(FragmentError::Signature { function: function.to_owned(), reason });
        }
        Ok(self)
    }

    /// Whether a function that wants this makes sense at a probe: all required arguments are
    /// there, and at least one of all.
    pub fn met_by(&self, arguments: &Arguments) -> bool {
        let has = |want: &Want| want.argument().is_some_and(|ty| arguments.index(ty).is_some());
        self.members.iter().filter(|w| w.required).all(has) && self.members.iter().any(has)
    }
}

impl Want {
    /// The type of the argument that is wanted, if it is one.
    pub fn argument(&self) -> Option<&ArgType> {
        match &self.from {
            From::Argument(ty) => Some(ty),
            From::Option(_) | From::Symbol(_) | From::Parameter(_) | From::Returned => None,
        }
    }
}
