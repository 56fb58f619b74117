//! The running kernel's types: vmlinux's BTF, the BTF of modules when a probe leads there, and the
//! small slice of both that fragments are resolved against.

use std::{collections::BTreeMap, sync::Arc};

use memchr::memmem;
use tracer_bpf::{
    Btf, BtfError,
    btf::{Kind, Slice},
};
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

/// BTF of the kernel and of those of its modules that were asked about.
pub struct Types {
    vmlinux: Arc<Btf>,
    modules: BTreeMap<String, Arc<Btf>>,
}

/// A kernel function that BTF knows.
#[derive(Clone)]
pub struct Function {
    /// The module that it is in; `None` for the kernel itself.
    pub module: Option<String>,
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
        Ok(Self { vmlinux: Arc::new(vmlinux), modules: BTreeMap::new() })
    }

    /// Finds a function in the kernel, then in its loaded modules.
    pub fn function(&mut self, name: &str) -> Result<Option<Function>, TypesError> {
        if let Some(id) = self.vmlinux.find_own(Kind::Func, name).next() {
            return Ok(Some(Function { module: None, btf: Arc::clone(&self.vmlinux), id }));
        }
        for module in sysfs::modules() {
            // A module can go away while this looks: then it has no functions.
            let Ok(bytes) = sysfs::module(&module) else { continue };
            // Most modules can be ruled out without parsing anything.
            if memmem::find(&bytes, name.as_bytes()).is_none() {
                continue;
            }
            let btf = self.parse_module(&module, bytes)?;
            let id = btf.find_own(Kind::Func, name).next();
            if let Some(id) = id {
                return Ok(Some(Function { module: Some(module), btf, id }));
            }
        }
        Ok(None)
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
                self.modules.values().find_map(|m| m.find_own(kind, &name).next().map(|id| (m, id)))
            });
            if let Some((btf, id)) = found {
                slice.add(btf, id)?;
            }
        }
        Ok(slice.bytes())
    }
}
