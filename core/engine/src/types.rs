//! The running kernel's types: vmlinux's BTF, the BTF of modules when a probe leads there, and the
//! small slice of both that fragments are resolved against.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use memchr::memmem;
use tracer_bpf::{
    Btf, BtfError,
    btf::{Kind, Slice},
};
use tracer_compose::{ArgType, KernelEnums};
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

/// A kernel function that BTF knows.
#[derive(Clone)]
pub struct Function {
    /// The module that it is in; `None` for the kernel itself.
    pub module: Option<String>,
    /// Whether the kernel knows nothing of the types: they are out of a file, for kprobes only.
    pub from_file: bool,
    /// The BTF that has it: vmlinux's, or the module's with vmlinux's as its base.
    pub btf: Arc<Btf>,
    /// Type id of the `FUNC`.
    pub id: u32,
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
    pub fn function(&mut self, name: &str) -> Result<Option<Function>, TypesError> {
        if let Some(id) = self.vmlinux.find_own(Kind::Func, name).next() {
            return Ok(Some(Function { module: None, from_file: false, btf: Arc::clone(&self.vmlinux), id }));
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
            let id = btf.find_own(Kind::Func, name).next();
            if let Some(id) = id {
                return Ok(Some(Function { module: Some(module), from_file: false, btf, id }));
            }
        }
        // The running kernel's own word is the better one.
        let given = self.files.iter().filter(|(module, _)| !present.contains(module));
        let found =
            given.filter_map(|(module, btf)| Some((module, btf, btf.find_own(Kind::Func, name).next()?)));
        Ok(found
            .map(|(module, btf, id)| {
                let (module, btf) = (Some(module.clone()), Arc::clone(btf));
                Function { module, from_file: true, btf, id }
            })
            .next())
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
