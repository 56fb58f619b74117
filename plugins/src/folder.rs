//! A collector's folder, from its files to a checked fragment.

use std::{path::Path, sync::Arc};

use tracer_compose::{Fragment, FragmentError, Library, Manifest};

use crate::trust::{OpenError, Opened, Trust};

/// The manifest's file.
pub(crate) const MANIFEST: &str = "collector.toml";
/// Manifests are some KiB, objects some hundred, and libraries have whatever their language brings along.
const MANIFEST_MAX: u64 = 256 << 10;
pub(crate) const OBJECT_MAX: u64 = 16 << 20;
const LIBRARY_MAX: u64 = 64 << 20;

/// Why a folder is no collector.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder or one of its files.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No manifest.
    #[error("it has no {MANIFEST}: is it the folder of a collector? (`tracer plugin new NAME` makes one)")]
    NoManifest,
    /// Text that is none.
    #[error("{MANIFEST} is not UTF-8")]
    Text,
    /// No object.
    #[error("it has no {0}: compile it (`make`, in a folder that `tracer plugin new` made)")]
    NoObject(String),
    /// A manifest with `[native]`, and no library.
    #[error(
        "{MANIFEST} has `[native]`, and there is no {0}: build it (`make`, or `cargo build --release`), and put it there"
    )]
    NoLibrary(String),
    /// A library that the manifest does not speak of.
    #[error(
        "it has {0}, and {MANIFEST} has no `[native]`: add it, with `section = \"NAME\"` if the library adds a section to \
         events, and with `sink = true` if it is given events by `--sink`; or remove the file"
    )]
    NoNative(String),
    /// Two builds that are not of one source.
    #[error("{0}.direct.bpf.o does not declare the same as {0}.bpf.o: {1}; compile both from one source")]
    Differs(String, String),
    /// What is in the files.
    #[error(transparent)]
    Fragment(#[from] FragmentError),
}

/// Reads the collector in a folder. The folder's own name means nothing.
///
/// # Errors
/// See [`FolderError`].
pub fn read(path: &Path, trust: &Trust) -> Result<Fragment, FolderError> {
    let folder = Opened::folder(path, trust)?;
    let manifest = match folder.read(MANIFEST, MANIFEST_MAX, trust) {
        Err(error) if error.is_absence() => return Err(FolderError::NoManifest),
        read => String::from_utf8(read?).map_err(|_| FolderError::Text)?,
    };
    // It says what the other files are called.
    let parsed = Manifest::parse(&manifest).map_err(FragmentError::from)?;
    let name = parsed.name;
    let file = |ending: &str| format!("{name}.{ending}");
    let probe = present(folder.read(&file("bpf.o"), OBJECT_MAX, trust))?;
    let direct = present(folder.read(&file("direct.bpf.o"), OBJECT_MAX, trust))?;
    // It is opened now and loaded later: what was judged is what will run.
    let library = present(folder.open(&file("so"), LIBRARY_MAX, trust))?;
    let library = match (library, parsed.native.is_some()) {
        (Some(library), true) => Some(Library::File(Arc::new(library))),
        (None, true) => return Err(FolderError::NoLibrary(file("so"))),
        (Some(_), false) => return Err(FolderError::NoNative(file("so"))),
        (None, false) => None,
    };
    let parse = |probe: Option<&[u8]>, direct: Option<&[u8]>| match (&library, probe) {
        (Some(library), None) if direct.is_none() => {
            Ok(Fragment::parse_native(&manifest, None, library.clone())?)
        }
        (_, None) => Err(FolderError::NoObject(file("bpf.o"))),
        (Some(library), Some(probe)) => {
            Ok(Fragment::parse_native(&manifest, Some((probe, direct)), library.clone())?)
        }
        (None, Some(probe)) => Ok(Fragment::parse(&manifest, probe, direct)?),
    };
    let fragment = parse(probe.as_deref(), direct.as_deref())?;
    if let Some(direct) = &direct {
        let declared = parse(Some(direct), None).map_err(|error| error.to_string());
        let same = declared.and_then(|other| fragment.declares_same(&other));
        same.map_err(|why| FolderError::Differs(name, why))?;
    }
    Ok(fragment.found_in(path.to_owned()))
}

/// `None` for a file that is not there.
fn present<T>(opened: Result<T, OpenError>) -> Result<Option<T>, OpenError> {
    match opened {
        Err(error) if error.is_absence() => Ok(None),
        opened => opened.map(Some),
    }
}
