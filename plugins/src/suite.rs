//! The conformance suite: what every collector must pass, those that are built in included. `tracer plugin check` and the tests
//! run the same. Some checks are about the files, some about what is in them, some about how tracer bears up against what could
//! be in them; then a native half is put to the test in a process of its own ([`Exercises`]), and the last ones ask the running
//! kernel ([`Trials`]).

mod hostile;
mod render;

use std::{collections::BTreeMap, fmt, path::Path};

use tracer_compose::{Catalog, Fragment, FragmentError, Manifest, ManifestError, Taken};

use crate::{
    folder::{self, FolderError, MANIFEST, read},
    trust::{OpenError, Opened, Trust},
};

/// The checks, in their order, with what each is about. Those of a native half ([`NATIVE_CHECKS`]) come behind them, and then those
/// of the kernel.
pub const CHECKS: [(&str, &str); 22] = [
    ("folder-trust", "the folder is root's, or yours, and nobody else may write to it"),
    ("file-trust", "so are all files in it"),
    (
        "files",
        "there are collector.toml, and NAME.bpf.o, or NAME.so where it has `[native]`, or both, of sizes that make sense",
    ),
    (
        "manifest",
        "collector.toml is TOML with the keys that there are, of the right types, in a version that is known",
    ),
    ("names", "names are C identifiers"),
    ("about", "the collector, and each option, says in a line what it is"),
    ("architecture", "the object is ELF for little-endian BPF"),
    ("abi", "the object was compiled for this version of the fragment ABI"),
    ("licence", "the object's licence is one that tracing helpers take"),
    ("type-information", "the object has BTF"),
    ("self-contained", "the object needs no other object, and has no global data"),
    ("helpers", "only helpers are called that read, or keep the collector's maps"),
    ("signatures", "readers, accessors and hooks take what the ABI says"),
    (
        "arguments",
        "each reader can be left out: it wants some argument, so it is not run where there is none",
    ),
    ("schema", "sections have fields that can be stored, shown and filtered"),
    ("sizes", "sections, arguments and maps' names fit"),
    ("templates", "each section has a text, and shows whatever bytes it may hold"),
    (
        "options",
        "options are what the manifest says: a selection of a field's values, a number within bounds, or a text",
    ),
    (
        "manifest-matches-object",
        "what the manifest names is in the object, and the object's hooks are in the manifest",
    ),
    ("direct-build", "the build with direct loads declares the same as the one with probe reads"),
    ("unique", "no name of it is taken: collector, sections, options, maps"),
    ("hostile-objects", "the object cut or changed anywhere is refused or read, and never ends tracer"),
];

/// The checks of a native half, in their order, with what each is about.
pub const NATIVE_CHECKS: [(&str, &str); 14] = [
    (
        "library-file",
        "the library is a whole ELF file that the dynamic loader takes, and has the function `tracer_plugin`",
    ),
    ("library-architecture", "it is built for this machine"),
    ("library-interface", "it was built for this version of the plugin interface"),
    (
        "library-declares",
        "what it says of itself can be, is what collector.toml says, and its section can be shown whatever bytes it holds",
    ),
    ("native-starts", "it starts with options at their defaults, and with each number at both its ends"),
    ("native-no-panic", "it does not panic, whatever is in an event"),
    (
        "native-no-error",
        "it returns no error for an event, whatever is in it, nor for losses, ticks and flushes",
    ),
    ("native-stays-in-room", "it writes nowhere but into the room that it is given"),
    ("native-sizes", "its section and texts take no more than it declares, and are where it says"),
    (
        "native-asks-in-time",
        "it asks only while it is called, by the thread that calls it, about the event that it was given",
    ),
    ("native-returns", "it returns in time"),
    ("native-lives", "its process does not crash, exit, or lose its connection"),
    ("native-stops", "it stops in time and without an error, and its process ends"),
    (
        "hostile-library",
        "the library cut or changed anywhere is refused, or ends its process, and never tracer",
    ),
];

/// Checks of the object that were passed if it could be read at all.
const PROVED_OF_OBJECT: [&str; 9] = [
    "architecture",
    "abi",
    "licence",
    "type-information",
    "self-contained",
    "helpers",
    "signatures",
    "schema",
    "sizes",
];
/// Further ones of the object.
const ABOUT_OBJECT: [&str; 4] = ["arguments", "manifest-matches-object", "direct-build", "hostile-objects"];
/// Why those are not made where there is none, nor those of the running kernel.
pub const NO_OBJECT: &str = "it has no BPF half";

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Passed; on what, where that says something.
    Passed(String),
    /// Failed, and why.
    Failed(String),
    /// Not made, and why.
    Skipped(String),
}

/// A check that was made, or was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its name: of [`CHECKS`], or of a trial.
    pub name: &'static str,
    /// How it ended.
    pub verdict: Verdict,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let behind = |text: &str| if text.is_empty() { String::new() } else { format!(": {text}") };
        match &self.verdict {
            Verdict::Passed(on) => write!(f, "ok    {}{}", self.name, behind(on)),
            Verdict::Failed(why) => write!(f, "FAIL  {}: {why}", self.name),
            Verdict::Skipped(why) => write!(f, "skip  {}: {why}", self.name),
        }
    }
}

/// A trial's name, and on what it passed or why it failed.
pub type Ended = (&'static str, Result<String, String>);

/// What asks the running kernel: the names of its trials, and how each ended; or why none can be made.
pub trait Trials {
    /// The names of all trials.
    fn names(&self) -> &'static [&'static str];

    /// Puts a collector to them.
    ///
    /// # Errors
    /// Why the host does not permit it.
    fn run(&self, fragment: &Fragment) -> Result<Vec<Ended>, String>;
}

/// What runs a native half, in a process of its own.
pub trait Exercises {
    /// Puts a collector's native half to [`NATIVE_CHECKS`], if it has one: all of them, in their order.
    fn run(&self, fragment: &Fragment) -> Vec<Checked>;
}

/// What more than files is asked.
#[derive(Clone, Copy, Default)]
pub struct Askers<'a> {
    /// The native half.
    pub native: Option<&'a dyn Exercises>,
    /// The kernel.
    pub kernel: Option<&'a dyn Trials>,
}

impl Askers<'_> {
    /// The names of all checks.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        let native = self.native.map_or(&[][..], |_| &NATIVE_CHECKS);
        let kernel = self.kernel.map_or(&[][..], Trials::names);
        CHECKS.iter().chain(native).map(|(name, _)| *name).chain(kernel.iter().copied())
    }
}

/// Checks the collector in a folder. Names may be those of `catalog`'s collector of the same name: it may be checked itself.
pub fn check(path: &Path, trust: &Trust, catalog: &Catalog, askers: Askers<'_>) -> Vec<Checked> {
    let mut suite = Suite { checked: Vec::new() };
    suite.files(path, trust);
    match read(path, trust) {
        Ok(fragment) => suite.fragment(path, trust, fragment, catalog, askers),
        Err(error) => suite.failed(&error),
    }
    suite.finish(askers)
}

struct Suite {
    checked: Vec<Checked>,
}

impl Suite {
    fn record(&mut self, name: &'static str, result: Result<String, String>) {
        let verdict = match result {
            Ok(on) => Verdict::Passed(on),
            Err(why) => Verdict::Failed(why),
        };
        self.checked.push(Checked { name, verdict });
    }

    fn skip(&mut self, name: &'static str, why: &str) {
        self.checked.push(Checked { name, verdict: Verdict::Skipped(why.to_owned()) });
    }

    /// Folder and files as such.
    fn files(&mut self, path: &Path, trust: &Trust) {
        let opened = Opened::folder(path, trust);
        let folder = opened.as_ref().map(|_| String::new()).map_err(ToString::to_string);
        self.record("folder-trust", folder);
        let Ok(folder) = opened else { return };
        let distrusted = folder.names().map(|names| {
            let loaded = |name: &&String| {
                [".o", ".so"].iter().any(|ending| name.ends_with(ending)) || *name == MANIFEST
            };
            let mut failed =
                names.iter().filter(loaded).filter_map(|name| folder.open(name, u64::MAX, trust).err());
            failed.find(|error| matches!(error, OpenError::Distrust(_))).map(|error| error.to_string())
        });
        let result = match distrusted {
            Ok(None) => Ok(String::new()),
            Ok(Some(why)) => Err(why),
            Err(error) => Err(error.to_string()),
        };
        self.record("file-trust", result);
    }

    /// The collector could not be read: the check that it fails, and nothing of those that need it.
    fn failed(&mut self, error: &FolderError) {
        let name = at_fault(error);
        if !self
            .checked
            .iter()
            .any(|checked| checked.name == name && matches!(checked.verdict, Verdict::Failed(_)))
        {
            self.checked.retain(|checked| checked.name != name);
            self.record(name, Err(error.to_string()));
        }
    }

    fn fragment(
        &mut self,
        path: &Path,
        trust: &Trust,
        fragment: Fragment,
        catalog: &Catalog,
        askers: Askers<'_>,
    ) {
        let read = |name: &str| {
            Opened::folder(path, trust).and_then(|opened| opened.read(name, folder::OBJECT_MAX, trust)).ok()
        };
        let name = &fragment.manifest.name;
        // What reading it has proved.
        for name in ["files", "manifest", "names"] {
            self.record(name, Ok(String::new()));
        }
        self.record("about", about(&fragment.manifest));
        self.record("templates", render::all(&fragment));
        self.record("options", Ok(format!("{} options", fragment.manifest.options.len())));
        if fragment.has_object() {
            for name in PROVED_OF_OBJECT {
                self.record(name, Ok(String::new()));
            }
            self.record("arguments", arguments(&fragment));
            self.record("manifest-matches-object", hooks(&fragment));
            let direct =
                if fragment.has_direct() { "" } else { "there is none: probe reads are used everywhere" };
            self.record("direct-build", Ok(direct.to_owned()));
            let object = read(&format!("{name}.bpf.o")).unwrap_or_default();
            let manifest =
                read(MANIFEST).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
            let library = fragment.native.as_ref().map(|native| &native.library);
            self.record("hostile-objects", hostile::all(&manifest, &object, library));
        } else {
            for name in PROVED_OF_OBJECT.into_iter().chain(ABOUT_OBJECT) {
                self.skip(name, NO_OBJECT);
            }
        }
        if let Some(native) = askers.native {
            self.checked.extend(native.run(&fragment));
        }
        let trialled = askers.kernel.map(|trials| match fragment.has_object() {
            true => trials.run(&fragment),
            false => Err(NO_OBJECT.to_owned()),
        });
        let others = catalog.without(&BTreeMap::from([(name.clone(), String::new())]));
        let mut others = others;
        match others.add(fragment) {
            Err(Taken::Option(error)) => self.record("unique", Err(error.to_string())),
            added => self.record("unique", added.map(|()| String::new()).map_err(|e| e.to_string())),
        }
        match trialled {
            Some(Ok(ended)) => ended.into_iter().for_each(|(name, result)| self.record(name, result)),
            Some(Err(why)) => {
                let names = askers.kernel.map_or(&[][..], Trials::names);
                for &name in names {
                    self.skip(name, &why);
                }
            }
            None => {}
        }
    }

    /// All checks in their order, those that were not reached included.
    fn finish(mut self, askers: Askers<'_>) -> Vec<Checked> {
        let each = askers.names().map(|name| {
            let at = self.checked.iter().position(|checked| checked.name == name);
            let why = "the collector could not be read".to_owned();
            at.map_or(Checked { name, verdict: Verdict::Skipped(why) }, |at| self.checked.swap_remove(at))
        });
        each.collect()
    }
}

/// The check that an error belongs to.
fn at_fault(error: &FolderError) -> &'static str {
    use FragmentError as E;
    match error {
        FolderError::Open(OpenError::Distrust(_)) => "file-trust",
        FolderError::Open(_)
        | FolderError::NoManifest
        | FolderError::NoObject(_)
        | FolderError::NoLibrary(_) => "files",
        FolderError::Text | FolderError::NoNative(_) => "manifest",
        FolderError::Differs(..) => "direct-build",
        FolderError::Fragment(error) => match error {
            E::Manifest(ManifestError::Name(_)) => "names",
            E::Manifest(
                ManifestError::Option(_)
                | ManifestError::Bounds(_)
                | ManifestError::Sizes(_)
                | ManifestError::Text(_),
            )
            | E::NoOption(_) => "options",
            E::NoLibrary | E::NoNative => "files",
            E::Manifest(_) => "manifest",
            E::Elf(_) | E::Relocation(_) => "architecture",
            E::NoAbi | E::Abi { .. } => "abi",
            E::Licence(_) => "licence",
            E::NoBtf | E::Btf(_) => "type-information",
            E::Undefined(_) | E::GlobalData(_) => "self-contained",
            E::Helper { .. } => "helpers",
            E::Signature { .. } => "signatures",
            E::Field { .. } | E::Schema { .. } => "schema",
            E::TooLarge { .. } | E::MapName { .. } => "sizes",
            E::Missing { .. } | E::OtherSection { .. } => "manifest-matches-object",
        },
    }
}

/// Lines for lists and help.
fn about(manifest: &Manifest) -> Result<String, String> {
    const MOST: usize = 120;
    let texts = [("the collector".to_owned(), &manifest.about)].into_iter();
    let options = manifest.options.iter().map(|option| (format!("option `{}`", option.name), &option.about));
    for (of, text) in texts.chain(options) {
        if text.trim().is_empty() || text.contains('\n') || text.chars().count() > MOST {
            return Err(format!("`about` of {of} must be one line of 1 to {MOST} characters"));
        }
    }
    Ok(String::new())
}

/// A reader that wants nothing would run nowhere.
fn arguments(fragment: &Fragment) -> Result<String, String> {
    if fragment.readers.is_empty() {
        return Err("the object has no reader: a collector reports a section".to_owned());
    }
    let idle =
        |reader: &&tracer_compose::Reader| reader.wants.members.iter().all(|want| want.argument().is_none());
    match fragment.readers.iter().find(idle) {
        Some(reader) => Err(format!("{} wants no argument of a probe, so it runs nowhere", reader.function)),
        None => Ok(format!("{} readers, {} accessors", fragment.readers.len(), fragment.accessors.len())),
    }
}

/// A hook without a place is never attached.
fn hooks(fragment: &Fragment) -> Result<String, String> {
    let placed = |name: &str| fragment.manifest.hooks.iter().any(|entry| entry.name == name);
    match fragment.hooks.iter().find(|hook| !placed(&hook.name)) {
        Some(hook) => Err(format!("{} has no `[[hook]]` that says where it stands", hook.function)),
        None => Ok(format!("{} hooks", fragment.hooks.len())),
    }
}
