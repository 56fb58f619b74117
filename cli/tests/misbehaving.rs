//! Native halves that do what they must not: what docs/plugins.md says that the user sees, the user sees, and the trace goes on.

#![cfg(target_os = "linux")]

mod folder;

use std::{
    fs,
    net::UdpSocket,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use folder::Folder;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/misbehaving");

const TRACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/dropmon.trace");

/// Compiles the plugin `bad` such that it does something wrong, into a folder of its own.
fn bad(test: &str, how: &str, flags: &[&str]) -> Folder {
    let folder = Folder::new(&format!("bad-{test}"));
    let manifest = fs::read_to_string(format!("{SOURCES}/collector.toml")).expect("it is there");
    folder.write("bad/collector.toml", &manifest);
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-I"]);
    cc.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/abi/include")).arg(format!("-DHOW={how}"));
    cc.args(flags).arg(format!("{SOURCES}/bad.c")).arg("-o").arg(folder.0.join("bad/bad.so"));
    let compiled = cc.output().expect("there is a compiler");
    assert!(compiled.status.success(), "{}", text(&compiled.stderr));
    for (file, mode) in [("bad", 0o755), ("bad/collector.toml", 0o644), ("bad/bad.so", 0o644)] {
        fs::set_permissions(folder.0.join(file), fs::Permissions::from_mode(mode)).expect("it is ours");
    }
    folder
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn tracer(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracer"));
    command.args(arguments).current_dir(&folder.0).env("XDG_CONFIG_HOME", &folder.0).env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Gives a stored trace to a plugin.
fn printed(folder: &Folder, plugin: &str) -> Output {
    let arguments = ["print", TRACE, "--plugin", plugin, "--sink", plugin, "--format", "text"];
    tracer(folder, &arguments).output().expect("it runs")
}

/// It says this, and the page says that it does.
fn told(said: &str, reason: &str) {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plugins.md"));
    assert!(page.expect("it is there").contains(reason), "the page does not have: {reason}");
    assert!(said.contains(reason), "{said}");
}

#[test]
fn one_that_does_nothing_wrong_is_used() {
    let folder = bad("good", "nothing", &[]);
    let ended = printed(&folder, "bad");
    assert!(ended.status.success() && ended.stderr.is_empty(), "{}", text(&ended.stderr));
}

#[test]
fn a_sink() {
    for (how, function, reason) in [
        ("error", "`event`", " failed: the disk is full"),
        ("status", "", "`event` returned 7, which means nothing"),
        ("crash", "", ": SIGSEGV, memory that it must not touch"),
        ("ends", "", ": exit code 3"),
        (
            "late",
            "",
            "it called `render` of the host's about an event that is not the one that it was just given",
        ),
    ] {
        let folder = bad(how, how, &[]);
        let ended = printed(&folder, "bad");
        let said = text(&ended.stderr);
        told(&said, reason);
        assert!(
            said.starts_with("tracer: sink bad is not used any more: ") && said.contains(function),
            "{said}"
        );
        assert_eq!(ended.status.code(), Some(1), "{said}");
        // All others got all.
        let alone = tracer(&folder, &["print", TRACE]).output().expect("it runs");
        assert!(ended.stdout == alone.stdout && !alone.stdout.is_empty(), "{how}: {}", text(&ended.stdout));
    }
}

#[test]
fn a_library() {
    let refused = |folder: &Folder, plugin: &str, reason: &str| {
        let ended = printed(folder, plugin);
        told(&text(&ended.stderr), reason);
        assert!(!ended.status.success());
    };
    let folder = bad("major", "nothing", &["-DMAJOR=2"]);
    let reason = "it was built for version 2.0 of the plugin interface, and this tracer has 1.0: take a build of it for version 1";
    refused(&folder, "bad", reason);

    let folder = bad("file", "nothing", &[]);
    let library = folder.0.join("bad/bad.so");
    let whole = fs::read(&library).expect("it was compiled");
    let mut foreign = whole.clone();
    // e_machine: 183 is AArch64, 62 x86-64.
    let is_x86 = foreign[18] == 62;
    foreign[18] = if is_x86 { 183 } else { 62 };
    fs::write(&library, foreign).expect("it is ours");
    refused(
        &folder,
        "bad",
        if is_x86 { "it is built for aarch64; this machine is x86_64" } else { "it is built for " },
    );
    fs::write(&library, &whole[..5000]).expect("it is ours");
    refused(&folder, "bad", "it is cut short: 5000 of ");
    fs::write(&library, "no library").expect("it is ours");
    refused(&folder, "bad", "it is no ELF file");

    fs::write(&library, whole).expect("it is ours");
    fs::set_permissions(&library, fs::Permissions::from_mode(0o646)).expect("it is ours");
    refused(
        &folder,
        "bad",
        "bad.so can be written by others than its owner, with mode 0646 (`chmod go-w bad/bad.so`)",
    );
    fs::set_permissions(&library, fs::Permissions::from_mode(0o644)).expect("it is ours");

    fs::rename(folder.0.join("bad"), folder.0.join("worse")).expect("it is ours");
    let manifest = fs::read_to_string(folder.0.join("worse/collector.toml")).expect("it is there");
    let manifest = manifest.replace("name = \"bad\"", "name = \"worse\"");
    fs::write(folder.0.join("worse/collector.toml"), manifest).expect("it is ours");
    fs::rename(folder.0.join("worse/bad.so"), folder.0.join("worse/worse.so")).expect("it is ours");
    refused(&folder, "worse", "its library is that of `bad`, and collector.toml that of `worse`");
    fs::remove_file(folder.0.join("worse/worse.so")).expect("it is ours");
    let said = text(&printed(&folder, "worse").stderr);
    assert!(said.contains("collector.toml has `[native]`, and there is no worse.so: build it"), "{said}");
}

/// What it does to events that happen, where this machine lets us trace.
#[test]
fn a_collector() {
    for (how, reason) in [
        ("crash", "it ended its process in `enrich`: SIGSEGV, memory that it must not touch"),
        ("ends", "it ended its process in `enrich`: exit code 3"),
        ("blocks", "it did not return from `enrich` within 5 s"),
        (
            "overrun",
            "`enrich` wrote beyond its room: up to byte 8 behind it; the room has 8 bytes for the struct and 64 for texts",
        ),
        ("sizes", "`enrich`: it says that its texts take 70000 bytes; the room has 64"),
        ("error", "`enrich` failed: the disk is full"),
    ] {
        let folder = bad(&format!("live-{how}"), how, &[]);
        let ready = folder.0.join("ready");
        let arguments = [
            "collect",
            "--plugin",
            "bad",
            "-c",
            "bad,skb",
            "-P",
            "tp:net:netif_receive_skb",
            "--stop-after",
            "60",
        ];
        let mut command = tracer(&folder, &arguments);
        let mut child = command.args(["--ready-file", "ready"]).spawn().expect("it runs");
        let end = Instant::now() + Duration::from_secs(60);
        let socket = UdpSocket::bind("127.0.0.1:0").expect("there is a port");
        while child.try_wait().expect("it is ours").is_none() && Instant::now() < end {
            if ready.exists() {
                let _ = socket.send_to(&[7; 77], "127.0.0.1:9");
            }
            sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let ended = child.wait_with_output().expect("it is ours");
        let said = text(&ended.stderr);
        if ended.status.code() == Some(3) {
            eprintln!("SKIPPED: this machine does not let us trace: {said}");
            return;
        }
        told(&said, reason);
        let whole =
            format!("plugin bad is not used any more: {reason}; events go on without its section `bad`\n");
        assert!(ended.status.success() && said.contains(&whole), "{said}");
        assert!(said.contains("ended by --stop-after: 60 events printed"), "{said}");
    }
}
