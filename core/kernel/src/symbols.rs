//! The kernel's symbols, for stacks (address to name) and for attaching (name to address). The file has
//! 90,000-200,000 lines, costs up to a second in a virtual machine, and most runs need only some of it late:
//! so it is *opened* at start, while there are privileges, and *read* on first use.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::sync::OnceLock;

mod table;

use table::Table;

/// `/proc/kallsyms`, open.
///
/// The kernel decides at open whether a descriptor shows addresses, so one that was opened with CAP_SYSLOG
/// shows them after privileges are dropped, and a new one zeros.
#[derive(Debug)]
pub struct Symbols {
    file: File,
    table: OnceLock<Result<Table, io::Error>>,
}

impl Symbols {
    /// Opens the file and reads nothing yet.
    ///
    /// # Errors
    ///
    /// Those of open(2): ENOENT on a kernel without CONFIG_KALLSYMS.
    pub fn open() -> io::Result<Symbols> {
        Ok(Symbols { file: File::open("/proc/kallsyms")?, table: OnceLock::new() })
    }

    /// The function that an address is in. Addresses in front of the first function, or more than 128 KiB
    /// behind the nearest, are in none.
    pub fn resolve(&self, address: u64) -> Option<Symbol<'_>> {
        self.table()?.resolve(address)
    }

    /// The address of `name`, functions and data alike, if exactly one symbol has that name and addresses are
    /// shown.
    pub fn address(&self, name: &str) -> Option<u64> {
        let mut found = self.addresses(name);
        let only = found.pop()?;
        found.is_empty().then_some(only.address)
    }

    /// [`Symbols::address`] of many names, in one walk.
    pub fn addresses_of(&self, names: &HashSet<&str>) -> HashMap<String, u64> {
        self.table().map(|table| table.addresses(names)).unwrap_or_default()
    }

    /// Every symbol of that name: static functions often share one. Addresses are 0 where they are hidden.
    pub fn addresses(&self, name: &str) -> Vec<Symbol<'_>> {
        self.table().map(|table| table.named(name).collect()).unwrap_or_default()
    }

    /// Whether there is a symbol of that name, visible address or not.
    pub fn contains(&self, name: &str) -> bool {
        self.table().is_some_and(|table| table.named(name).next().is_some())
    }

    /// All functions, in order of address; for wildcards.
    pub fn functions(&self) -> impl Iterator<Item = Symbol<'_>> {
        self.table().into_iter().flat_map(Table::functions)
    }

    /// The modules that have symbols, in order of appearance; BPF programs appear as `bpf`.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.table().into_iter().flat_map(Table::modules)
    }

    /// Whether addresses are shown, and if not, why.
    pub fn visibility(&self) -> Visibility {
        match self.load() {
            Ok(table) if table.has_addresses() => Visibility::Full,
            Ok(_) => Visibility::Hidden { kptr_restrict: kptr_restrict() },
            Err(error) => Visibility::Unreadable { kind: error.kind() },
        }
    }

    /// Reads again on next use, through the same descriptor: modules may have been loaded since.
    pub fn forget(&mut self) {
        self.table = OnceLock::new();
    }

    fn table(&self) -> Option<&Table> {
        self.load().as_ref().ok()
    }

    fn load(&self) -> &Result<Table, io::Error> {
        self.table.get_or_init(|| {
            let mut file = &self.file;
            file.rewind()?;
            // 5 MB is a usual size; a file in /proc does not tell its own.
            let mut text = Vec::with_capacity(8 << 20);
            file.read_to_end(&mut text)?;
            Ok(Table::parse(&text))
        })
    }
}

/// A symbol, and for [`Symbols::resolve`] the place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// The name, suffixes included.
    pub name: &'a str,
    /// Where it starts.
    pub address: u64,
    /// Bytes from its start to the address asked for; 0 when found by name.
    pub offset: u64,
    /// The module it is in; `None` is the kernel itself.
    pub module: Option<&'a str>,
}

/// Whether `/proc/kallsyms` shows addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// It does.
    Full,
    /// All are zero. `kptr_restrict` is the sysctl's value: 2 hides addresses from everybody, 1 (and 0 with
    /// `perf_event_paranoid` above 1) from those who opened the file without CAP_SYSLOG; a kernel locked down
    /// for confidentiality hides them as well.
    Hidden {
        /// `kernel.kptr_restrict`, if it can be read.
        kptr_restrict: Option<u8>,
    },
    /// Reading failed.
    Unreadable {
        /// How.
        kind: io::ErrorKind,
    },
}

fn kptr_restrict() -> Option<u8> {
    fs::read_to_string("/proc/sys/kernel/kptr_restrict").ok()?.trim().parse().ok()
}
