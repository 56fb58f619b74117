//! What is shown as an example, and what a new plugin begins as, passes all checks, as compiled by its own Makefile. One in Rust may
//! panic wherever it is.

use std::{fs, os::unix::net::UnixDatagram, path::Path, process::Command, thread, time::Duration};

use crate::support::{Plugin, Running, each, printed, tracer};

fn make(folder: &Path, arguments: &[&str]) {
    let output = Command::new("make").arg("-s").arg("-C").arg(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}: {}", folder.display(), String::from_utf8_lossy(&output.stderr));
}

/// The exit code, and the results.
fn checked(folder: &Path) -> (Option<i32>, String) {
    let name = folder.to_string_lossy().into_owned();
    let output = Running::start(tracer(&["plugin", "check", &name])).end(&name);
    let (out, err) = printed(&output);
    assert_eq!(err, "");
    (output.status.code(), out)
}

#[track_caller]
fn passes(folder: &Path, on: &str) {
    let (code, said) = checked(folder);
    assert_eq!(code, Some(0), "{said}");
    for name in tracer_engine::native::NATIVE_CHECKS {
        assert!(said.contains(&format!("  ok    {name}")), "{name} is not passed: {said}");
    }
    assert!(said.contains(on), "{said}");
}

/// A new plugin, in a folder that is gone when the first of these is.
fn new(name: &str, kind: &str) -> (Plugin, std::path::PathBuf) {
    let root = Plugin::empty("root");
    let folder = root.folder.join(name);
    let words = ["plugin", "new", &folder.to_string_lossy(), "--kind", kind];
    let output = tracer(&words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    (root, folder)
}

#[test]
fn new_ones() {
    let (_root, folder) = new("lines", "c");
    make(&folder, &[]);
    passes(&folder, "344 events of two sessions");
    let (_root, folder) = new("users", "rust");
    make(&folder, &[]);
    passes(&folder, "3022 events, ");
    let (_, said) = checked(&folder);
    assert!(!said.contains(" 0 of which got section"), "there is a process that some are of: {said}");
}

/// A folder of `plugins/examples`, copied, so that nothing of a build is left there.
fn example(name: &str) -> Plugin {
    let plugin = Plugin::empty(name);
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/examples").join(name);
    for entry in fs::read_dir(from).unwrap() {
        let file = entry.unwrap().path();
        let wanted = file.extension().is_some_and(|end| end == "c" || end == "toml");
        if wanted || file.ends_with("Makefile") {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            plugin.write(&name, fs::read(&file).unwrap());
        }
    }
    plugin
}

#[test]
fn syslog() {
    let plugin = example("syslog");
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/abi/include");
    make(&plugin.folder, &[&format!("INCLUDE={}", include.display())]);
    // A daemon, which takes what it is sent.
    let socket = plugin.beside("log");
    let daemon = UnixDatagram::bind(&socket).unwrap();
    daemon.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    thread::spawn(move || {
        let mut line = vec![0; 70_000];
        while daemon.recv(&mut line).is_ok() {}
    });
    let manifest = fs::read_to_string(plugin.folder.join("collector.toml")).unwrap();
    assert!(manifest.contains("/dev/log"));
    plugin.write("collector.toml", manifest.replace("/dev/log", &socket.to_string_lossy()));
    passes(&plugin.folder, "344 events of two sessions");
}

/// A plugin in Rust whose functions end as this says.
fn panicking(function: &str, body: &str) -> (Plugin, std::path::PathBuf) {
    let (root, folder) = new("users", "rust");
    let source = format!(
        "use tracer_plugin_abi::{{Event, Failure, Host, Native, Session, export_plugin, section}};
         section! {{ pub struct User in \"users\", texts 64 {{ uid: u32, user: String }} }}
         struct Plugin;
         impl Native for Plugin {{
             type Section = User;
             fn start(_: &Host<'_>, _: &Session<'_>) -> Result<Self, Failure> {{ {} Ok(Plugin) }}
             fn enrich(&mut self, _: &Host<'_>, event: &Event<'_>) -> Result<Option<User>, Failure> {{
                 let _ = event; {} Ok(None)
             }}
             fn tick(&mut self, _: &Host<'_>, _: u64) -> Result<(), Failure> {{ {} Ok(()) }}
             fn stop(self, _: &Host<'_>) -> Result<(), Failure> {{ {} Ok(()) }}
         }}
         export_plugin!(Plugin, name: \"users\", release: \"1\", licence: \"MIT\");\n",
        if function == "start" { body } else { "" },
        if function == "enrich" { body } else { "" },
        if function == "tick" { body } else { "" },
        if function == "stop" { body } else { "" },
    );
    fs::write(folder.join("src/lib.rs"), source).unwrap();
    make(&folder, &[]);
    (root, folder)
}

#[test]
fn panics_in_rust_are_told_with_their_place() {
    let all = [
        ("start", "native-no-panic", "if true { panic!(\"it went wrong\") }"),
        ("enrich", "native-no-panic", "if event.tgid() != 1 { panic!(\"it went wrong\") }"),
        ("tick", "native-no-panic", "if true { panic!(\"it went wrong\") }"),
        ("stop", "native-no-panic", "if true { panic!(\"it went wrong\") }"),
        ("enrich", "native-no-error", "if event.tgid() != 1 { return Err(Failure::new(\"it went wrong\")) }"),
        ("enrich", "native-lives", "if event.tgid() != 1 { std::process::abort() }"),
    ];
    each(&all, |(function, check, body)| {
        let (_root, folder) = panicking(function, body);
        let (code, said) = checked(&folder);
        assert_eq!(code, Some(2), "{said}");
        assert_eq!(said.matches("  FAIL  ").count(), 1, "{said}");
        assert!(said.contains(&format!("  FAIL  {check}: ")), "{said}");
        assert!(said.contains(&format!("`{function}`")), "{said}");
        assert!(*check == "native-lives" || said.contains("it went wrong"), "{said}");
    });
}
