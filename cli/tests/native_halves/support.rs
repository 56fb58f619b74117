//! Plugins from the catalogue, in folders; tracer; and who of a plugin's processes is alive.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{scope, sleep},
    time::{Duration, Instant},
};

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const MANIFEST: &str = "version = 1
name = \"hostile\"
about = \"for a test\"
[native]
section = \"well\"
sink = true
[section.well]
place = \"line\"
text = \"well {packet} {verdict} {name}\"
";

/// A plugin of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    pub mode: &'static str,
    pub at: &'static str,
    /// How often it goes well before.
    pub after: u32,
}

pub const fn mode(mode: &'static str, at: &'static str) -> Mode {
    Mode { mode, at, after: 0 }
}

impl Mode {
    pub const fn after(self, after: u32) -> Mode {
        Mode { after, ..self }
    }
}

/// A folder of a plugin, that is gone when the test is.
pub struct Plugin {
    root: PathBuf,
    pub folder: PathBuf,
}

impl Plugin {
    pub fn new(mode: Mode) -> Plugin {
        Plugin::with(mode, MANIFEST)
    }

    pub fn with(mode: Mode, manifest: &str) -> Plugin {
        let plugin = Plugin::empty("hostile");
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
        let library = plugin.library();
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-pthread", "-O1", "-Wno-unused", "-DALWAYS"])
            .arg(format!("-DMODE_{}", mode.mode))
            .arg(format!("-DAT={}", mode.at))
            .arg(format!("-DAFTER={}", mode.after))
            .arg("-I")
            .arg(sources.join("abi/include"))
            .arg(sources.join("host/tests/hostile.c"))
            .arg("-o")
            .arg(&library)
            .output()
            .unwrap();
        assert!(output.status.success(), "{mode:?}: {}", String::from_utf8_lossy(&output.stderr));
        fs::set_permissions(library, fs::Permissions::from_mode(0o644)).unwrap();
        plugin.write("collector.toml", manifest);
        plugin
    }

    pub fn empty(name: &str) -> Plugin {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("tracer-native-halves-{}-{number}", std::process::id()));
        let folder = root.join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        Plugin { root, folder }
    }

    pub fn library(&self) -> PathBuf {
        self.folder.join("hostile.so")
    }

    /// A file beside its folder.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let file = self.folder.join(name);
        fs::write(&file, bytes).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Tracer, which finds no plugins but those that it is told of.
pub fn tracer(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracer"));
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("XDG_CONFIG_HOME", "/nowhere");
    command
}

/// A process that does not outlive the test, which may fail.
pub struct Running(Option<Child>);

impl Running {
    pub fn start(mut command: Command) -> Running {
        Running(Some(command.spawn().unwrap()))
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    pub fn id(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child().try_wait().unwrap().is_some()
    }

    pub fn kill(&mut self) {
        self.child().kill().unwrap();
        self.child().wait().unwrap();
    }

    /// Its end, which comes by itself.
    #[track_caller]
    pub fn end(mut self, what: &str) -> Output {
        assert!(soon(PATIENCE, || self.has_ended()), "{what}: it did not end");
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What was printed to standard output and error.
pub fn printed(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Does something with each, some at a time: those that wait for a deadline should not wait for each other. All failures are told.
pub fn each<T: Sync + std::fmt::Debug>(all: &[T], test: impl Fn(&T) + Sync) {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tested = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(one)));
                    if tested.is_err() {
                        failed.lock().unwrap().push(format!("{one:?}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "these failed, as said above: {failed:#?}");
}

/// The processes of plugins that a tracer has started, and what those have forked.
pub fn of_plugins(tracer: u32) -> Vec<String> {
    let words = format!("\0{tracer}\0");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let of_plugin = |entry: fs::DirEntry| {
        let line = fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let is_one = line.contains("\0native-host\0") && line.contains(&words);
        is_one.then(|| entry.file_name().to_string_lossy().into_owned())
    };
    processes.filter_map(of_plugin).collect()
}

/// Waits so long for what must come, and says whether it has.
pub fn soon(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if is_so() {
            return true;
        }
        sleep(Duration::from_millis(10));
    }
    is_so()
}

/// Whether programs may be loaded here; if not, says so.
pub fn can_trace() -> bool {
    let output = tracer(&["profile", "explain", "ifdump"]).output().unwrap();
    let (out, err) = printed(&output);
    let can = [&out, &err].iter().any(|said| said.contains("attached by "));
    if !can {
        eprintln!("SKIPPED: this machine does not let us trace: {out}{err}");
    }
    can
}
