//! A collector's folder, from its files to a checked fragment.

use std::path::Path;

use tracer_compose::{Fragment, FragmentError, Manifest};

use crate::trust::{OpenError, Opened, Trust};

/// The manifest's file.
pub(crate) const MANIFEST: &str = "collector.toml";
/// Manifests are some KiB, objects some hundred.
const MANIFEST_MAX: u64 = 256 << 10;
pub(crate) const OBJECT_MAX: u64 = 16 << 20;

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
    // It says what the objects are called.
    let name = Manifest::parse(&manifest).map_err(FragmentError::from)?.name;
    let object = format!("{name}.bpf.o");
    let probe = match folder.read(&object, OBJECT_MAX, trust) {
        Err(error) if error.is_absence() => return Err(FolderError::NoObject(object)),
        read => read?,
    };
    let direct = match folder.read(&format!("{name}.direct.bpf.o"), OBJECT_MAX, trust) {
        Err(error) if error.is_absence() => None,
        read => Some(read?),
    };
    let fragment = Fragment::parse(&manifest, &probe, direct.as_deref())?;
    if let Some(direct) = &direct {
        let declared = Fragment::parse(&manifest, direct, None).map_err(|error| error.to_string());
        let same = declared.and_then(|other| fragment.declares_same(&other));
        same.map_err(|why| FolderError::Differs(name, why))?;
    }
    Ok(fragment.found_in(path.to_owned()))
}
