//! Where plugins are found. What the user named comes first, then the folders that were named to look in, the user's own, and
//! the system's; what is built in was there before all of them, and keeps its names. One that is refused leaves the others
//! as they are.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use tracer_compose::{Catalog, Fragment, Taken};

use crate::{
    folder::{FolderError, MANIFEST, read},
    trust::{OpenError, Opened, Trust},
};

/// The folders for the administrator's and the distribution's plugins.
const SYSTEM: [&str; 2] = ["/usr/local/lib/tracer/plugins", "/usr/lib/tracer/plugins"];

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    /// Folders of single collectors, as the user named them.
    pub plugins: Vec<PathBuf>,
    /// Folders of such folders, as the user named them.
    pub dirs: Vec<PathBuf>,
    /// The same, which may be missing.
    pub usual: Vec<PathBuf>,
}

impl Places {
    /// These, and the usual ones: the user's folder, and the system's.
    pub fn new(plugins: Vec<PathBuf>, dirs: Vec<PathBuf>) -> Self {
        let user = user_config().map(|config| config.join("tracer/plugins"));
        Self { plugins, dirs, usual: user.into_iter().chain(SYSTEM.map(PathBuf::from)).collect() }
    }
}

/// `$XDG_CONFIG_HOME`, or else `~/.config`; a path that is not absolute counts as not set.
fn user_config() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))
}

/// How a plugin was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// `--plugin`.
    Named,
    /// A folder to look in.
    Searched,
}

/// Why a plugin is not used.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Its folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// What is there already.
    #[error(transparent)]
    Taken(#[from] Taken),
}

/// A plugin that was found, whether or not it is used.
#[derive(Debug)]
pub struct Found {
    /// Its folder.
    pub folder: PathBuf,
    /// How it was found.
    pub from: From,
    /// Its name, or why it is not used.
    pub state: Result<String, Refused>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            Ok(name) => write!(f, "plugin {name} ({})", self.folder.display()),
            Err(reason) => write!(f, "plugin {} is refused: {reason}", self.folder.display()),
        }
    }
}

/// Looks for plugins, and adds those that can be used to the catalog. Tells of all of them, in the order in which they were
/// looked at.
pub fn find(places: &Places, catalog: &mut Catalog) -> Vec<Found> {
    let mut all = Vec::new();
    for folder in &places.plugins {
        let state = read(folder, &Trust::named()).map_err(Refused::from).and_then(|f| add(f, catalog));
        all.push(Found { folder: folder.clone(), from: From::Named, state });
    }
    let named = places.dirs.iter().map(|dir| (dir, Trust::named(), From::Named));
    let usual = places.usual.iter().map(|dir| (dir, Trust::usual(), From::Searched));
    for (dir, trust, from) in named.chain(usual) {
        match folders(dir, &trust) {
            Ok(folders) => all.extend(folders.into_iter().map(|folder| {
                let state = read(&folder, &trust).map_err(Refused::from).and_then(|f| add(f, catalog));
                Found { folder, from: From::Searched, state }
            })),
            // Most of the usual ones are not there.
            Err(error) if from == From::Searched && error.is_absence() => {}
            Err(error) => {
                let state = Err(FolderError::from(error).into());
                all.push(Found { folder: dir.clone(), from, state });
            }
        }
    }
    all
}

fn add(fragment: Fragment, catalog: &mut Catalog) -> Result<String, Refused> {
    let name = fragment.manifest.name.clone();
    catalog.add(fragment)?;
    Ok(name)
}

/// The folders in a folder that look like a collector's.
fn folders(dir: &Path, trust: &Trust) -> Result<Vec<PathBuf>, OpenError> {
    let names = Opened::folder(dir, trust)?.names()?;
    let folders = names.into_iter().filter(|name| !name.starts_with('.')).map(|name| dir.join(name));
    Ok(folders.filter(|folder| folder.join(MANIFEST).exists()).collect())
}
