//! From a file, or from code that is linked in, to a plugin that can be started.

use std::{fs::File, os::fd::AsRawFd};

use libloading::os::unix::{Library as Loaded, RTLD_LOCAL, RTLD_NOW};
use tracer_plugin_abi::c;

use crate::{Description, Failure, Instance, LoadError, Services, SessionInfo, descriptor, inspect};

/// Not unloaded either if the library itself, or one that it loads, closes it. The same number on all of Linux (`bits/dlfcn.h`).
const RTLD_NODELETE: i32 = 0x1000;

type Entry = unsafe extern "C" fn() -> *const c::Plugin;

/// A plugin that is loaded, and says what can be read.
#[derive(Debug, Clone)]
pub struct Library {
    description: Description,
    functions: c::Functions,
}

impl Library {
    /// Loads a file, which runs code of it. It is the file itself that is loaded, whatever its name is by now, and it is never
    /// unloaded. (Libraries that it needs are looked for where the system has them: `$ORIGIN` has no meaning.)
    ///
    /// # Errors
    /// Why it is no plugin that can be used.
    pub fn open(file: &File) -> Result<Library, LoadError> {
        inspect(file)?;
        // The loader takes a name that it has seen for the library that it has loaded. So this number is never used for another.
        let file = file.try_clone().map_err(LoadError::Read)?;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        // SAFETY: it runs the library's constructors, which is what the caller wants, where they can do no harm.
        let loaded = unsafe { Loaded::open(Some(&path), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) };
        let loaded = loaded.map_err(|error| LoadError::Loader(reason(&error, &path)))?;
        std::mem::forget(file);
        // SAFETY: the interface says what type it has.
        let entry = unsafe { loaded.get::<Entry>("tracer_plugin").map(|entry| *entry) };
        std::mem::forget(loaded);
        let entry = entry.map_err(|_| LoadError::NoEntry)?;
        // SAFETY: as the interface has it. The library is not unloaded.
        unsafe { Library::new(entry()) }
    }

    /// A plugin that is linked into this binary.
    ///
    /// # Errors
    /// Why it is no plugin that can be used.
    pub fn linked(entry: extern "C" fn() -> *const c::Plugin) -> Result<Library, LoadError> {
        // SAFETY: as the interface has it.
        unsafe { Library::new(entry()) }
    }

    /// # Safety
    /// As of [`descriptor::read`].
    unsafe fn new(plugin: *const c::Plugin) -> Result<Library, LoadError> {
        // SAFETY: the caller vouches for it.
        let (description, functions) = unsafe { descriptor::read(plugin)? };
        Ok(Library { description, functions })
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Starts the plugin. It may only be called by this thread from now on.
    ///
    /// # Errors
    /// What the plugin did wrong, or why it cannot be used.
    pub fn start(self, services: &mut dyn Services, session: &SessionInfo) -> Result<Instance, Failure> {
        Instance::start(&self.description, self.functions, services, session)
    }
}

/// What the loader says, without the name that tells nobody anything, and with its sources.
fn reason(error: &libloading::Error, path: &str) -> String {
    let text = match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.to_string(),
    };
    text.replace(&format!("{path}: "), "")
}
