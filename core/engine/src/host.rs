//! The machine that tracer runs on, for the conditions in profiles.

use std::cell::OnceCell;

use tracer_dsl::when::Host;
use tracer_kernel::{Symbols, btf, host::KernelRelease};

/// This machine. Its symbols are read when the first condition asks for one.
#[derive(Debug, Default)]
pub struct Machine {
    symbols: OnceCell<Option<Symbols>>,
}

impl Host for Machine {
    fn kernel(&self) -> (u32, u32, u32) {
        let KernelRelease { major, minor, patch, .. } = KernelRelease::running();
        (major, minor, patch)
    }

    fn has_symbol(&self, name: &str) -> bool {
        // Everybody may read the names. Where there is no list at all, nothing is known to be there.
        let symbols = self.symbols.get_or_init(|| Symbols::open().ok());
        symbols.as_ref().is_some_and(|symbols| symbols.contains(name))
    }

    fn has_module(&self, name: &str) -> bool {
        // Either may be silent about one: the list has only what is loaded, the folder not all that is built in.
        btf::module_present(name) || btf::modules_loaded().is_ok_and(|all| all.iter().any(|one| one == name))
    }
}
