//! Folders of collectors for tests: compiled from source, in a temporary folder, and put to the conformance suite with the
//! running kernel where that is permitted.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "what cannot be set up cannot be tested")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use tracer_collectors as _;
use tracer_compose::{Catalog, Fragment};
use tracer_engine::{TRIALS, trials};
use tracer_plugins::{
    Trust,
    suite::{Askers, Checked, Ended, Trials, Verdict, check},
};

/// A collector's folder that is gone when the test ends.
pub struct Plugin {
    _root: TempDir,
    /// The folder.
    pub folder: PathBuf,
    name: String,
}

impl Plugin {
    /// Compiles a source, and puts a manifest beside it.
    pub fn new(name: &str, manifest: &str, source: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("collector.toml"), manifest).unwrap();
        fs::write(folder.join(format!("{name}.bpf.c")), source).unwrap();
        let plugin = Self { _root: root, folder, name: name.to_owned() };
        plugin.compile();
        plugin
    }

    /// A folder with a manifest and these files; nothing is compiled.
    pub fn of_files(name: &str, manifest: &str, files: &[(&str, &[u8])]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("collector.toml"), manifest).unwrap();
        for (file, bytes) in files {
            fs::write(folder.join(file), bytes).unwrap();
        }
        let plugin = Self { _root: root, folder, name: name.to_owned() };
        plugin.usual_modes();
        plugin
    }

    /// Compiles a folder of this workspace.
    pub fn of_workspace(path: &str) -> Self {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
        let name = from.file_name().unwrap().to_string_lossy().into_owned();
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(&name);
        fs::create_dir(&folder).unwrap();
        for entry in fs::read_dir(&from).unwrap() {
            let file = entry.unwrap().path();
            let wanted =
                file.extension().is_some_and(|end| ["c", "h", "toml"].iter().any(|known| end == *known));
            if wanted {
                fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
            }
        }
        let plugin = Self { _root: root, folder, name };
        plugin.compile();
        plugin
    }

    fn compile(&self) {
        tracer_ebpf::build(&self.folder, &self.folder).unwrap_or_else(|error| panic!("{error}"));
        self.usual_modes();
    }

    /// Whatever the umask here is.
    fn usual_modes(&self) {
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o755)).unwrap();
        for entry in fs::read_dir(&self.folder).unwrap() {
            self.mode(entry.unwrap().file_name().to_str().unwrap(), 0o644);
        }
    }

    /// Gives a file permissions.
    pub fn mode(&self, file: &str, mode: u32) {
        fs::set_permissions(self.folder.join(file), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The object with probe reads.
    pub fn object(&self) -> PathBuf {
        self.folder.join(format!("{}.bpf.o", self.name))
    }

    /// Replaces bytes wherever they are in both objects; as many.
    pub fn patch(&self, from: &[u8], to: &[u8]) {
        assert_eq!(from.len(), to.len());
        let mut times = 0;
        for file in [self.object(), self.folder.join(format!("{}.direct.bpf.o", self.name))] {
            let mut bytes = fs::read(&file).unwrap();
            for at in 0..bytes.len() - from.len() {
                if bytes[at..].starts_with(from) {
                    bytes[at..at + to.len()].copy_from_slice(to);
                    times += 1;
                }
            }
            fs::write(file, bytes).unwrap();
        }
        assert!(times > 0, "nothing to patch");
    }

    /// Puts it to the suite, with the trials of the running kernel.
    pub fn check(&self) -> Vec<Checked> {
        let askers = Askers { native: None, kernel: Some(&Kernel) };
        check(&self.folder, &Trust::usual(), &Catalog::new().unwrap(), askers)
    }

    /// Puts it to the checks that need no kernel.
    pub fn check_files(&self) -> Vec<Checked> {
        check(&self.folder, &Trust::usual(), &Catalog::new().unwrap(), Askers::default())
    }
}

struct Kernel;

impl Trials for Kernel {
    fn names(&self) -> &'static [&'static str] {
        &TRIALS
    }

    fn run(&self, fragment: &Fragment) -> Result<Vec<Ended>, String> {
        let ended = trials(fragment).map_err(|error| error.to_string())?;
        Ok(ended.into_iter().map(|trial| (trial.what, trial.outcome)).collect())
    }
}

/// The checks that failed, with the reasons.
pub fn failed(checked: &[Checked]) -> Vec<(&'static str, String)> {
    let failed = checked.iter().filter_map(|one| match &one.verdict {
        Verdict::Failed(why) => Some((one.name, why.clone())),
        _ => None,
    });
    failed.collect()
}

/// Whether the kernel could be asked.
pub fn kernel_was_asked(checked: &[Checked]) -> bool {
    let asked =
        checked.iter().any(|one| one.name == TRIALS[0] && !matches!(one.verdict, Verdict::Skipped(_)));
    if !asked {
        eprintln!("SKIPPED: trials of the kernel, which need CAP_BPF and CAP_PERFMON");
    }
    asked
}
