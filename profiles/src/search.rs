//! From a profile's name to its text. The nearest folder that has it wins, so an administrator can put
//! a profile in the place of a built-in one, and a user in the place of both. A profile that extends its
//! own name extends the one whose place it takes.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tracer_dsl::diagnostic::suggest;
use tracer_dsl::profile::{Library, Source};
use tracer_dsl::{Diagnostic, Diagnostics};

use crate::builtin;

/// The folders for the administrator's and the distribution's profiles.
const SYSTEM: [&str; 2] = ["/etc/tracer/profiles", "/usr/share/tracer/profiles"];

/// The folders to look in, the nearest first; what is built in comes after all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPath {
    /// Those the user named, which must exist.
    named: Vec<PathBuf>,
    /// The usual ones, which may be missing.
    usual: Vec<PathBuf>,
}

impl SearchPath {
    /// These folders and the system's, but no user's.
    pub fn new(profile_dirs: impl Into<Vec<PathBuf>>) -> Self {
        Self { named: profile_dirs.into(), usual: SYSTEM.map(PathBuf::from).to_vec() }
    }

    /// The same with the folder of a user between the named ones and the system's.
    ///
    /// `config` is the user's folder for configuration. Who the user is behind `sudo` is the caller's
    /// knowledge; [`SearchPath::user_config`] is the answer for the user that runs this process.
    #[must_use]
    pub fn with_user(mut self, config: &Path) -> Self {
        self.usual.insert(0, config.join("tracer/profiles"));
        self
    }

    /// `$XDG_CONFIG_HOME`, or else `~/.config`. As the XDG specification has it, a path that is not
    /// absolute counts as not set.
    pub fn user_config() -> Option<PathBuf> {
        let absolute = |name| {
            let path = std::env::var_os(name).map(PathBuf::from)?;
            path.is_absolute().then_some(path)
        };
        absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))
    }

    /// All that [`find`] would find by name, and where, in the order of the names.
    ///
    /// Folders that cannot be listed are left out.
    pub fn known(&self) -> Vec<Known> {
        let mut known = self.all();
        known.dedup_by(|further, nearer| further.name == nearer.name);
        known
    }

    /// The same with those that a nearer one of their name hides, behind that one.
    pub fn all(&self) -> Vec<Known> {
        let mut all: BTreeMap<String, Vec<Origin>> = BTreeMap::new();
        for dir in self.dirs() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.extension() != Some(OsStr::new("toml")) {
                    continue;
                }
                if let Some(name) = path.file_stem().and_then(OsStr::to_str) {
                    all.entry(name.to_owned()).or_default().push(Origin::File(path));
                }
            }
        }
        for builtin in builtin() {
            all.entry(builtin.name.to_owned()).or_default().push(Origin::BuiltIn);
        }
        let each = |(name, origins): (String, Vec<Origin>)| {
            origins.into_iter().map(move |origin| Known { name: name.clone(), origin })
        };
        all.into_iter().flat_map(each).collect()
    }

    fn dirs(&self) -> impl Iterator<Item = &PathBuf> {
        self.named.iter().chain(&self.usual)
    }
}

/// A profile that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The name to ask for it.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// A profile's text, not yet read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The name it was asked for by; of a path the file's name without `.toml`.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The TOML text.
    pub text: String,
}

impl Loaded {
    /// What diagnostics about the text call it.
    pub fn file(&self) -> String {
        match &self.origin {
            Origin::File(path) => path.display().to_string(),
            Origin::BuiltIn => format!("{}.toml (built in)", self.name),
        }
    }
}

/// Where a profile comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This file.
    File(PathBuf),
    /// The program itself.
    BuiltIn,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::BuiltIn => f.write_str("built in"),
        }
    }
}

/// The profile called `name`. A name with a `/` or ending in `.toml` is the path of a file, whose ending
/// may be left out behind a `/`.
///
/// # Errors
/// No profile is called so, or its file cannot be read. A file that is there but cannot be read is not
/// passed over for one further away: the user would run something else than asked for.
pub fn find(name: &str, path: &SearchPath) -> Result<Loaded, FindError> {
    if is_path(name) {
        return by_path(Path::new(name));
    }
    for dir in &path.named {
        // A folder that the user named and that is not there is a mistake, not an empty folder.
        fs::read_dir(dir).map_err(|error| FindError::unreadable(dir, error))?;
    }
    match candidates(name, path).next() {
        Some(found_or_failed) => found_or_failed,
        None => Err(FindError::Unknown { name: name.to_owned(), known: path.known() }),
    }
}

/// Whether a profile's name is the path of a file.
fn is_path(name: &str) -> bool {
    name.contains('/') || name.ends_with(".toml")
}

fn by_path(path: &Path) -> Result<Loaded, FindError> {
    let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    match read(stem, path.to_owned()) {
        Err(FindError::Unreadable { kind, .. })
            if is_absent(kind) && path.extension() != Some(OsStr::new("toml")) =>
        {
            // Only the name that was given is in the message: the other is our guess.
            let with_ending = PathBuf::from(format!("{}.toml", path.display()));
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            match read(name, with_ending) {
                Err(FindError::Unreadable { kind, why, .. }) if is_absent(kind) => {
                    Err(FindError::Unreadable { path: path.to_owned(), kind, why })
                }
                found_or_failed => found_or_failed,
            }
        }
        found_or_failed => found_or_failed,
    }
}

/// All profiles called `name`, the nearest first, with those that cannot be read.
fn candidates(name: &str, path: &SearchPath) -> impl Iterator<Item = Result<Loaded, FindError>> {
    let files = path.dirs().map(move |dir| read(name, dir.join(format!("{name}.toml"))));
    let there =
        files.filter(|file| !matches!(file, Err(FindError::Unreadable { kind, .. }) if is_absent(*kind)));
    let builtin = builtin().iter().filter(move |profile| profile.name == name).map(|profile| {
        let (name, text) = (profile.name.to_owned(), profile.text.to_owned());
        Ok(Loaded { name, origin: Origin::BuiltIn, text })
    });
    there.chain(builtin)
}

impl Library for SearchPath {
    fn source(&self, name: &str, from: Option<&Source>) -> Result<Source, Diagnostics> {
        let beside = from.and_then(|from| Some((from, from.path.as_deref()?)));
        if let (true, Some((from, path))) = (is_path(name), beside) {
            // Messages shall call the file as the user called the one that names it.
            let called = Path::new(&from.file);
            let same = fs::canonicalize(called).is_ok_and(|called| called == path);
            let folder = if same { called } else { path }.parent().unwrap_or(Path::new(""));
            let name = Path::new(name);
            return Ok(by_path(&folder.join(name.strip_prefix(".").unwrap_or(name)))?.into());
        }
        let nearest = Source::from(find(name, self)?);
        let Some(from) = from else { return Ok(nearest) };
        // What stands in the place of another and extends it, means the other.
        let mut behind = false;
        for candidate in candidates(name, self) {
            let candidate = Source::from(candidate?);
            if behind {
                return Ok(candidate);
            }
            behind = (&candidate.path, &candidate.file) == (&from.path, &from.file);
        }
        Ok(nearest)
    }
}

impl From<Loaded> for Source {
    fn from(loaded: Loaded) -> Self {
        let file = loaded.file();
        let path = match loaded.origin {
            // One file has one path, however it was reached. Without it there is still the name.
            Origin::File(path) => Some(fs::canonicalize(&path).unwrap_or(path)),
            Origin::BuiltIn => None,
        };
        Self { file, path, text: loaded.text }
    }
}

fn read(name: &str, path: PathBuf) -> Result<Loaded, FindError> {
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Loaded { name: name.to_owned(), origin: Origin::File(path), text }),
        Err(error) => Err(FindError::unreadable(&path, error)),
    }
}

fn is_absent(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Why there is no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// None is called so.
    #[error("unknown profile `{name}`")]
    Unknown {
        /// What was asked for.
        name: String,
        /// All that there are.
        known: Vec<Known>,
    },
    /// The file, or a folder that the user named, cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What kind of failure.
        kind: io::ErrorKind,
        /// The system's words for it.
        why: String,
    },
}

impl FindError {
    #[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
    fn unreadable(path: &Path, error: io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), kind: error.kind(), why: error.to_string() }
    }

    /// The known profile most like the one that was asked for.
    pub fn nearest(&self) -> Option<&str> {
        match self {
            Self::Unknown { name, known } => suggest(name, known.iter().map(|k| k.name.as_str())),
            Self::Unreadable { .. } => None,
        }
    }
}

impl From<FindError> for Diagnostic {
    fn from(error: FindError) -> Self {
        let mut found = Self::error(error.to_string());
        let nearest = error.nearest().map(|name| format!("did you mean `{name}`?"));
        found.hints.extend(nearest);
        if let FindError::Unknown { name, known } = error {
            // `-p` is taken for probes in some tools.
            if name.contains(':') {
                found.hints.push(format!("is it a probe? `--probe {name}`"));
            }
            let known = known.iter().map(|k| format!("{} ({})", k.name, k.origin));
            found.hints.push(format!("known: {}", known.collect::<Vec<_>>().join(", ")));
        }
        found
    }
}

impl From<FindError> for Diagnostics {
    fn from(error: FindError) -> Self {
        Diagnostic::from(error).into()
    }
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
