//! The running kernel's types: vmlinux's BTF, the BTF of modules when a probe leads there, and the
//! small slice of both that fragments are resolved against.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use memchr::memmem;
use tracer_bpf::{
    Btf, BtfError,
    btf::{Kind, Slice},
};
use tracer_compose::{ArgType, Arguments, KernelEnums};
use tracer_kernel::btf as sysfs;

/// Why the kernel's types cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TypesError {
    /// The kernel has no BTF, or it may not be read.
    #[error(transparent)]
    Read(#[from] sysfs::BtfError),
    /// BTF that cannot be parsed.
    #[error("the type information of {name}: {error}")]
    Parse {
        /// `vmlinux` or a module.
        name: String,
        /// What is wrong with it.
        error: BtfError,
    },
}

/// Why `--btf MODULE=PATH` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BtfFileError {
    /// Not of that form.
    #[error("--btf takes MODULE=PATH, such as nf_tables=/root/nf_tables.btf, not `{0}`")]
    Form(String),
    /// The file cannot be read.
    #[error("--btf: cannot read {}: {error}", path.display())]
    Read {
        /// The path given.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// An ELF file without BTF: a module as it was built, or its debug information.
    #[error(
        "--btf: {} has no section .BTF\n  = help: where it has debug information, `pahole -J --btf_base=/sys/kernel/btf/vmlinux` adds one",
        .0.display()
    )]
    NoSection(PathBuf),
    /// Not BTF.
    #[error("--btf: {}: {error}", path.display())]
    Parse {
        /// The path given.
        path: PathBuf,
        /// What is wrong with it.
        error: BtfError,
    },
}

/// BTF of the kernel and of those of its modules that were asked about.
pub struct Types {
    vmlinux: Arc<Btf>,
    modules: BTreeMap<String, Arc<Btf>>,
    /// What the user gave for modules, which counts where the kernel itself says nothing.
    files: BTreeMap<String, Arc<Btf>>,
}

/// A function or tracepoint of the kernel that BTF knows.
#[derive(Debug, Clone)]
pub struct Place {
    /// The module that it is in; `None` for the kernel itself.
    pub module: Option<String>,
    /// Whether the kernel knows nothing of the types: they are out of a file, for kprobes only.
    pub from_file: bool,
    /// The BTF that has it: vmlinux's, or the module's with vmlinux's as its base.
    pub btf: Arc<Btf>,
    /// Type id of the function's `FUNC`, or of the tracepoint's typedef `btf_trace_NAME`.
    pub id: u32,
    /// Type id of its prototype, `FUNC_PROTO`.
    pub prototype: u32,
    /// Parameters at the front of the prototype that are not arguments: a tracepoint has a pointer of its own there.
    pub skip: usize,
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceKind {
    /// A function.
    Function,
    /// A tracepoint, by its name without the group.
    Tracepoint,
}

/// What the names of functions begin with that the machinery of tracing itself runs through: a program there would be
/// refused, or trace itself, and a tracepoint's own functions are better traced as the tracepoint.
const MACHINERY: [&str; 15] = [
    "bpf_",
    "__bpf_",
    "kprobe",
    "__kprobe",
    "ftrace_",
    "__ftrace_",
    "trace_",
    "__traceiter_",
    "__probestub_",
    "perf_trace_",
    "rethook_",
    "fprobe_",
    "__fprobe_",
    "arch_rethook_",
    "__pfx_",
];

/// Whether a function is of the machinery of tracing: patterns leave it out, unless they are about it.
pub(crate) fn is_machinery(name: &str) -> bool {
    MACHINERY.iter().any(|start| name.starts_with(start))
}

/// What the typedefs of tracepoints' prototypes begin with.
const TRACEPOINT: &str = "btf_trace_";

impl Place {
    fn of(kind: PlaceKind, module: Option<String>, from_file: bool, btf: &Arc<Btf>, id: u32) -> Option<Self> {
        let (prototype, skip) = match kind {
            PlaceKind::Function => (btf.prototype(id)?, 0),
            PlaceKind::Tracepoint => {
                let pointer = btf.ty(btf.resolve(id)).ok().filter(|ty| ty.kind() == Kind::Ptr)?;
                let prototype = btf.resolve(pointer.target()?);
                (btf.ty(prototype).is_ok_and(|ty| ty.kind() == Kind::FuncProto).then_some(prototype)?, 1)
            }
        };
        Some(Self { module, from_file, btf: Arc::clone(btf), id, prototype, skip })
    }

    /// How many arguments it has.
    pub fn arity(&self) -> usize {
        let params = self.btf.ty(self.prototype).map_or(0, |ty| ty.params().count());
        params.saturating_sub(self.skip)
    }

    /// The type that it returns; `None` for nothing.
    pub fn returns(&self) -> Option<u32> {
        self.btf.ty(self.prototype).ok()?.target().filter(|id| *id != 0)
    }
}

impl PlaceKind {
    fn kind(self) -> Kind {
        match self {
            Self::Function => Kind::Func,
            Self::Tracepoint => Kind::Typedef,
        }
    }

    fn in_btf(self, name: &str) -> String {
        match self {
            Self::Function => name.to_owned(),
            Self::Tracepoint => format!("{TRACEPOINT}{name}"),
        }
    }
}

impl Types {
    /// Reads vmlinux's BTF.
    pub fn new() -> Result<Self, TypesError> {
        let vmlinux = Btf::parse(sysfs::vmlinux()?)
            .map_err(|error| TypesError::Parse { name: "vmlinux".to_owned(), error })?;
        Ok(Self { vmlinux: Arc::new(vmlinux), modules: BTreeMap::new(), files: BTreeMap::new() })
    }

    /// Adds types of modules out of files: `MODULE=PATH`, raw BTF or an ELF file with a section
    /// `.BTF`; on top of this kernel's, or standing alone.
    pub fn add_files(&mut self, files: &[PathBuf]) -> Result<(), BtfFileError> {
        for given in files {
            let text = given.to_string_lossy();
            let pair = text.split_once('=').filter(|(module, path)| !module.is_empty() && !path.is_empty());
            let (module, path) = pair.ok_or_else(|| BtfFileError::Form(text.clone().into_owned()))?;
            let path = Path::new(path);
            let failed = |error| BtfFileError::Read { path: path.to_owned(), error };
            let mut bytes = std::fs::read(path).map_err(failed)?;
            if bytes.starts_with(b"\x7fELF") {
                bytes = tracer_compose::btf_section(&bytes)
                    .ok_or_else(|| BtfFileError::NoSection(path.to_owned()))?;
            }
            let btf = Btf::parse_either(bytes, Arc::clone(&self.vmlinux))
                .map_err(|error| BtfFileError::Parse { path: path.to_owned(), error })?;
            // The kernel writes a module's name so, whatever its file is called.
            self.files.insert(module.replace('-', "_"), Arc::new(btf));
        }
        Ok(())
    }

    /// Finds a function in the kernel, then in its loaded modules.
    pub fn function(&mut self, name: &str) -> Result<Option<Place>, TypesError> {
        self.find(PlaceKind::Function, name)
    }

    /// Finds a place in the kernel, then in its loaded modules.
    pub fn find(&mut self, kind: PlaceKind, name: &str) -> Result<Option<Place>, TypesError> {
        let name = kind.in_btf(name);
        let here = |btf: &Btf| btf.find_own(kind.kind(), &name).next();
        if let Some(id) = here(&self.vmlinux) {
            return Ok(Place::of(kind, None, false, &self.vmlinux, id));
        }
        let present = sysfs::modules();
        for module in present.iter().cloned() {
            // A module can go away while this looks: then it has no functions.
            let Ok(bytes) = sysfs::module(&module) else { continue };
            // Most modules can be ruled out without parsing anything.
            if memmem::find(&bytes, name.as_bytes()).is_none() {
                continue;
            }
            let btf = self.parse_module(&module, bytes)?;
            if let Some(id) = here(&btf) {
                return Ok(Place::of(kind, Some(module), false, &btf, id));
            }
        }
        // The running kernel's own word is the better one.
        let given = self.files.iter().filter(|(module, _)| !present.contains(module));
        let found = given.filter_map(|(module, btf)| Some((module, btf, here(btf)?)));
        let mut places =
            found.filter_map(|(module, btf, id)| Place::of(kind, Some(module.clone()), true, btf, id));
        Ok(places.next())
    }

    /// All places whose names match, in the kernel and in its loaded modules, with their names; in the order of the
    /// names, each once.
    pub fn matching(
        &mut self,
        kind: PlaceKind,
        matches: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<(String, Place)>, TypesError> {
        let mut found: BTreeMap<String, Place> = BTreeMap::new();
        let vmlinux = Arc::clone(&self.vmlinux);
        collect(kind, None, &vmlinux, matches, &mut found);
        for module in sysfs::modules() {
            let Ok(bytes) = sysfs::module(&module) else { continue };
            let btf = self.parse_module(&module, bytes)?;
            collect(kind, Some(&module), &btf, matches, &mut found);
        }
        Ok(found.into_iter().collect())
    }

    /// The places of a kind in the kernel itself whose parameters, by their types, satisfy a condition; so many at most.
    pub(crate) fn offering(
        &self,
        kind: PlaceKind,
        derive: &[String],
        most: usize,
        wanted: &dyn Fn(&Arguments) -> bool,
    ) -> Vec<(String, Place, Arguments)> {
        let types = self.vmlinux.own_ids().filter_map(|id| self.vmlinux.ty(id).ok());
        let named = types.filter(|ty| ty.kind() == kind.kind()).filter_map(|ty| {
            let name = match kind {
                PlaceKind::Function => ty.name(),
                PlaceKind::Tracepoint => ty.name().strip_prefix(TRACEPOINT)?,
            };
            (!is_machinery(name)).then(|| (name.to_owned(), ty.id()))
        });
        let offers = named.filter_map(|(name, id)| {
            let place = Place::of(kind, None, false, &self.vmlinux, id)?;
            let arguments = Arguments::of_function(&place.btf, place.prototype, place.skip, derive);
            wanted(&arguments).then_some((name, place, arguments))
        });
        offers.take(most).collect()
    }

    /// The enumerators of these enums, as far as the kernel or a loaded module has them. The kernel is asked first: newer
    /// kernels' modules carry copies of its types.
    pub fn kernel_enums<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) -> KernelEnums {
        let mut found = KernelEnums::default();
        let mut wanted: Vec<&str> = names.into_iter().collect();
        let take = |btf: &Btf, wanted: &mut Vec<&str>, found: &mut KernelEnums| {
            wanted.retain(|name| {
                let kinds = [Kind::Enum, Kind::Enum64].into_iter();
                let ty = kinds.filter_map(|kind| btf.find_own(kind, name).next()).next();
                let ty = ty.and_then(|id| btf.ty(id).ok());
                ty.inspect(|ty| found.insert(ty)).is_none()
            });
        };
        take(&self.vmlinux, &mut wanted, &mut found);
        // Nothing but names is at stake, so a module that is gone or cannot be understood is passed over.
        for module in if wanted.is_empty() { Vec::new() } else { sysfs::modules() } {
            let Ok(bytes) = sysfs::module(&module) else { continue };
            if wanted.iter().any(|name| memmem::find(&bytes, name.as_bytes()).is_some())
                && let Ok(btf) = self.parse_module(&module, bytes)
            {
                take(&btf, &mut wanted, &mut found);
            }
        }
        for btf in self.files.values() {
            take(btf, &mut wanted, &mut found);
        }
        found
    }

    /// The BTF that has a structure: the kernel's, a loaded module's, or one out of a file.
    pub fn structure(&mut self, name: &str) -> Option<Arc<Btf>> {
        let has = |btf: &Btf| {
            [Kind::Struct, Kind::Union].iter().any(|kind| btf.find_own(*kind, name).next().is_some())
        };
        if has(&self.vmlinux) {
            return Some(Arc::clone(&self.vmlinux));
        }
        // Nothing but the structure is at stake, so a module that is gone or cannot be understood is passed over.
        for module in sysfs::modules() {
            let Ok(bytes) = sysfs::module(&module) else { continue };
            if memmem::find(&bytes, name.as_bytes()).is_some()
                && let Ok(btf) = self.parse_module(&module, bytes)
                && has(&btf)
            {
                return Some(btf);
            }
        }
        self.files.values().find(|btf| has(btf)).map(Arc::clone)
    }

    /// The value of an enumerator, by the names of both, in the kernel or a module seen so far.
    pub fn enumerator(&self, of: &str, name: &str) -> Option<i64> {
        let all = [&self.vmlinux].into_iter().chain(self.modules.values()).chain(self.files.values());
        let kinds = [Kind::Enum, Kind::Enum64];
        let enums = all.into_iter().filter_map(|btf| {
            let id = kinds.iter().find_map(|kind| btf.find_own(*kind, of).next())?;
            btf.ty(id).ok()
        });
        let mut enumerators = enums.flat_map(|ty| ty.enumerators());
        enumerators.find(|one| one.name == name).map(|one| one.value)
    }

    /// Sees the modules that have one of these types, as far as the kernel itself has not: [`Types::slice`] finds them then.
    pub fn see<'n>(&mut self, types: impl IntoIterator<Item = (Kind, &'n str)>) {
        let absent =
            types.into_iter().filter(|(kind, name)| self.vmlinux.find_own(*kind, name).next().is_none());
        let names: BTreeSet<Vec<u8>> =
            absent.map(|(_, name)| [&b"\0"[..], name.as_bytes(), b"\0"].concat()).collect();
        let modules = if names.is_empty() { Vec::new() } else { sysfs::modules() };
        for module in modules {
            // A module that is gone or cannot be understood is passed over.
            let Ok(bytes) = sysfs::module(&module) else { continue };
            if names.iter().any(|name| memmem::find(&bytes, name).is_some()) {
                let _ = self.parse_module(&module, bytes);
            }
        }
    }

    /// Whether the kernel, or a module seen so far, has an argument's type.
    pub fn has(&self, ty: &ArgType) -> bool {
        let (kind, name) = match ty {
            ArgType::Struct(name) => (Kind::Struct, name),
            ArgType::Enum(name) => (Kind::Enum, name),
        };
        let all = [&self.vmlinux].into_iter().chain(self.modules.values()).chain(self.files.values());
        all.into_iter().any(|btf| btf.find_own(kind, name).next().is_some())
    }

    fn parse_module(&mut self, module: &str, bytes: Vec<u8>) -> Result<Arc<Btf>, TypesError> {
        if let Some(btf) = self.modules.get(module) {
            return Ok(Arc::clone(btf));
        }
        let btf = Btf::parse_split(bytes, Arc::clone(&self.vmlinux))
            .map_err(|error| TypesError::Parse { name: module.to_owned(), error })?;
        let btf = Arc::new(btf);
        self.modules.insert(module.to_owned(), Arc::clone(&btf));
        Ok(btf)
    }

    /// A standalone BTF with these types, as far as the kernel or a module seen so far has them.
    /// The kernel is searched first: newer kernels' modules carry copies of its types.
    pub fn slice(&self, names: impl IntoIterator<Item = (Kind, String)>) -> Result<Vec<u8>, BtfError> {
        let mut slice = Slice::default();
        for (kind, name) in names {
            let vmlinux = self.vmlinux.find_own(kind, &name).next().map(|id| (&self.vmlinux, id));
            let found = vmlinux.or_else(|| {
                let all = self.modules.values().chain(self.files.values());
                all.into_iter().find_map(|m| m.find_own(kind, &name).next().map(|id| (m, id)))
            });
            if let Some((btf, id)) = found {
                slice.add(btf, id)?;
            }
        }
        Ok(slice.bytes())
    }
}

/// Adds what matches in one BTF; what is there already was in the kernel itself, or in a module before.
fn collect(
    kind: PlaceKind,
    module: Option<&String>,
    btf: &Arc<Btf>,
    matches: &dyn Fn(&str) -> bool,
    found: &mut BTreeMap<String, Place>,
) {
    for ty in btf.own_ids().filter_map(|id| btf.ty(id).ok()).filter(|ty| ty.kind() == kind.kind()) {
        let name = match kind {
            PlaceKind::Function => Some(ty.name()),
            PlaceKind::Tracepoint => ty.name().strip_prefix(TRACEPOINT),
        };
        let Some(name) = name.filter(|name| matches(name) && !found.contains_key(*name)) else { continue };
        if let Some(place) = Place::of(kind, module.cloned(), false, btf, ty.id()) {
            found.insert(name.to_owned(), place);
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_bpf::btf::Builder;

    use super::*;

    #[test]
    fn names_come_from_the_kernel_and_from_its_modules() {
        let mut kernel = Builder::default();
        kernel.enumeration("why", &[("WHY_NOT", 7)]);
        let mut module = Builder::default();
        module.enumeration("why", &[("WHY_EVER", 7)]);
        module.enumeration("why_of_module", &[("WHY_OF_MODULE_FULL", 0x1_0001)]);
        let mut types = Types {
            vmlinux: Arc::new(Btf::parse(kernel.bytes()).unwrap()),
            modules: BTreeMap::new(),
            files: BTreeMap::from([("m".to_owned(), Arc::new(Btf::parse(module.bytes()).unwrap()))]),
        };
        let names = ["why", "why_of_module", "why_of_no_module_here"];
        let enums = types.kernel_enums(names);
        let all = enums.names(&names.map(str::to_owned));
        assert_eq!(all, [(7, "NOT".to_owned()), (0x1_0001, "FULL".to_owned())]);

        let is_there = |name: &str| types.has(&ArgType::Enum(name.to_owned()));
        assert!(is_there("why") && is_there("why_of_module") && !is_there("why_of_no_module_here"));
        assert!(!types.has(&ArgType::Struct("why".to_owned())));
    }
}
