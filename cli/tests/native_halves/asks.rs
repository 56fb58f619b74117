//! What a plugin asks for is answered from the running kernel, the command line and the event.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command, time::Duration};

use crate::{
    runs::Run,
    support::{Plugin, can_trace, printed, tracer},
};

const MANIFEST: &str = "version = 1
name = \"asks\"
about = \"for a test\"
[native]
section = \"asked\"
[section.asked]
place = \"line\"
text = \"asked {length} {task}\"
[[option]]
name = \"word\"
about = \"a word\"
text = { default = \"none\" }
[[option]]
name = \"count\"
about = \"a count\"
number = { min = 1, max = 9, default = 3 }
";

#[test]
fn what_is_asked_is_answered() {
    if !can_trace() {
        return;
    }
    let plugin = Plugin::empty("asks");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = plugin.folder.join("asks.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(root.join("../plugins/abi/include"))
        .arg(root.join("tests/native_halves/asks.c"))
        .arg("-o")
        .arg(&library)
        .status();
    assert!(compiled.unwrap().success());
    fs::set_permissions(library, fs::Permissions::from_mode(0o644)).unwrap();
    plugin.write("collector.toml", MANIFEST);
    let mut run =
        Run::start(&plugin, &["-c", "asks,skb", "--asks-word", "hello there", "--stop-after", "30"]);
    assert!(run.is_ready());
    run.send(10);
    // Long enough for it to be told the time.
    std::thread::sleep(Duration::from_millis(1500));
    run.send(20);
    let output = run.child.end("asks");
    let (_, err) = printed(&output);
    assert!(output.status.success(), "{err}");
    for line in [
        "plugin asks: options: hello there and 3; live 1; of 1 probes the first is net:netif_receive_skb",
        "plugin asks: types: sk_buff is there, its len has 4 bytes and is inside: 1, its pkt_type 3 bits; PIDTYPE_TGID 1",
        "plugin asks: symbols: vfs_read+4",
        "plugin asks: 30 events as JSON; ticks: some",
    ] {
        assert!(err.contains(line), "{line}: {err}");
    }
    assert!(!err.contains("something"), "{err}");
    let trace = plugin.beside("trace").to_string_lossy().into_owned();
    // 77 bytes, and the headers of UDP and IP, in a frame or not.
    let (text, _) = printed(&tracer(&["print", &trace]).output().unwrap());
    let asked: Vec<&str> = text.lines().filter(|line| line.starts_with("  asked ")).collect();
    assert_eq!(asked.len(), 30, "{text}");
    assert!(
        asked.iter().all(|line| line.starts_with("  asked 105 ") || line.starts_with("  asked 119 ")),
        "{asked:?}"
    );
}
