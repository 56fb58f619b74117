//! The binary has its own collector beside those of tracer, and none of it is a plugin.

use std::{
    net::UdpSocket,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

fn printed(arguments: &[&str]) -> String {
    let ran = Command::new(env!("CARGO_BIN_EXE_own")).args(arguments).output().expect("it runs");
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).expect("it prints text")
}

#[test]
fn its_collector_is_built_in() {
    let list = printed(&["plugin", "list", "--no-plugins"]);
    let line = list.lines().find(|line| line.starts_with("mark ")).expect("it is listed");
    assert!(line.ends_with("built in"), "{line}");
    assert!(list.contains("\nskb "), "{list}");
}

/// The native half is linked in, so it is this binary that is run once more for it.
#[test]
fn its_native_half_names_marks() {
    let explained = Command::new(env!("CARGO_BIN_EXE_own")).args(["profile", "explain", "ifdump"]).output();
    let explained = explained.expect("it runs");
    let said = [explained.stdout, explained.stderr].concat();
    if !String::from_utf8_lossy(&said).contains("attached by ") {
        eprintln!("SKIPPED: this machine does not let us trace");
        return;
    }
    let to = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = to.local_addr().expect("its address");
    let filter = format!("udp dst port {}", address.port());
    let words =
        ["collect", "-c", "mark", "-P", "tp:net:netif_receive_skb", "-f", &filter, "--stop-after", "3"];
    let collect = |names: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_own"));
        command.args(words).args(["--mark-names", names]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut tracer = command.spawn().expect("it runs");
        for _ in 0..600 {
            let _ = to.send_to(b"hello", address);
            if tracer.try_wait().expect("it is ours").is_some() {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let output = tracer.wait_with_output().expect("it ends");
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr))
    };
    let (events, said) = collect("0=unmarked,0x2a=vpn");
    assert_eq!(events.matches("  mark 0x0\n  called unmarked\n").count(), 3, "{events}{said}");
    let (events, said) = collect("unmarked");
    assert!(events.contains("  mark 0x0\n") && !events.contains("called"), "{events}");
    assert!(
        said.contains("plugin mark goes on without its native half: `start` failed: --mark-names takes"),
        "{said}"
    );
}
