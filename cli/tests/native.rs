//! Tracing on the machine that runs the tests, as far as its kernel and our privileges allow: tracepoints, which also
//! kernels without kprobes, without a mounted tracefs and with few symbols have. All else is tested in virtual machines.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "what cannot be set up cannot be tested")]

use std::{
    fs,
    net::UdpSocket,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn tracer(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracer"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Whether programs may be loaded here; if not, says so.
fn can_trace() -> bool {
    let output = tracer(&["profile", "explain", "ifdump"]).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let can = said.contains("attached by tp_btf") || said.contains("attached by raw_tracepoint");
    if !can {
        eprintln!("SKIPPED: this machine does not let us trace: {said}");
    }
    can
}

fn end_of(mut child: Child) -> Output {
    let end = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            let _ = child.kill();
            panic!("it did not end: {:?}", child.wait_with_output());
        }
        sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

/// Runs `collect` and sends packets of a length of their own over loopback, until it has seen enough of whatever there is.
fn traced(arguments: &[&str], name: &str) -> Output {
    let ready: PathBuf = std::env::temp_dir().join(format!("tracer-native-{name}-{}", std::process::id()));
    let ready_text = ready.to_string_lossy().into_owned();
    let mut child = tracer(&[arguments, &["--ready-file", &ready_text]].concat()).spawn().unwrap();
    let end = Instant::now() + PATIENCE;
    while !ready.exists() && child.try_wait().unwrap().is_none() && Instant::now() < end {
        sleep(Duration::from_millis(20));
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..100 {
        let _ = socket.send_to(&[7; 77], "127.0.0.1:9");
    }
    let output = end_of(child);
    let _ = fs::remove_file(ready);
    output
}

#[test]
fn ifdump_shows_what_devices_send_and_receive() {
    if !can_trace() {
        return;
    }
    let output = traced(&["collect", "-p", "ifdump", "--stop-after", "60"], "ifdump");
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(text.contains("[tp] net:net_dev_start_xmit\n"), "{text}");
    assert!(text.contains("[tp] net:netif_receive_skb\n"), "{text}");
    assert!(text.contains(" 127.0.0.1.") && text.contains(" > 127.0.0.1.9 "), "{text}");
    assert!(text.contains("if 1 (lo)") && text.contains("proto UDP (17) len 85"), "{text}");
    assert!(said.contains("ended by --stop-after: 60 events printed"), "{said}");
}

#[test]
fn nothing_given_is_ifdump() {
    if !can_trace() {
        return;
    }
    let output = traced(&["collect", "--format", "json", "--stop-after", "40"], "nothing");
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["type"], "meta", "{text}");
    let event = lines.iter().find(|line| line["type"] == "event").unwrap();
    assert_eq!(event["probe"]["type"], "raw_tracepoint", "{event}");
    assert!(event["skb"].is_object() && event["dev"]["name"].is_string(), "{event}");
    let last = lines.last().unwrap();
    assert_eq!(last["type"], "account", "{last}");
}

#[test]
fn each_way_of_attaching_to_a_tracepoint() {
    if !can_trace() {
        return;
    }
    for way in ["tp-btf", "raw-tracepoint"] {
        let probe = ["collect", "-P", "tp:net:netif_receive_skb/stack", "-c", "skb", "--attach", way];
        let output = traced(&[&probe[..], &["--stop-after", "40"]].concat(), way);
        let text = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("by {}", way.replace('-', "_"))), "{said}");
        assert!(text.contains("127.0.0.1.9 "), "{text}");
    }
}

#[test]
fn a_trace_is_written_and_read() {
    if !can_trace() {
        return;
    }
    let file = std::env::temp_dir().join(format!("tracer-native-{}.data", std::process::id()));
    let name = file.to_string_lossy().into_owned();
    let output = traced(&["collect", "-p", "ifdump", "-o", &name, "--print", "--stop-after", "40"], "trace");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = tracer(&["-p", "ifdump", "print", &name]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&printed.stdout), String::from_utf8_lossy(&output.stdout));
    fs::remove_file(file).unwrap();
}

#[test]
fn what_can_be_probed_is_listed() {
    let output = tracer(&["inspect", "kfree_skb*"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    if output.status.code() == Some(3) {
        eprintln!("SKIPPED: {}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    assert!(
        text.lines().any(|line| line.starts_with("tp:") && line.contains(":kfree_skb  struct sk_buff *")),
        "{text}"
    );
    let none = tracer(&["inspect", "no_such_thing_anywhere"]).output().unwrap();
    assert_eq!(none.status.code(), Some(3));
}

#[test]
fn filters_are_decided_in_the_kernel() {
    if !can_trace() {
        return;
    }
    let port = "udp dst port 9 and greater 119 and udp[8] = 7";
    for (name, filter) in [
        ("packet", port.to_owned()),
        ("memory", format!("sk_buff.dev.name == \"lo\" and sk_buff.protocol == 0x800 and {port}")),
        ("early", format!("dev.name =~ \"l?\" and dev.ifindex == 1 and {port}")),
        ("late", format!("skb.orig_len == 119 and has dev and {port}")),
        ("probe", format!("event.probe == \"net:netif_receive_skb\" and probe.way != kprobe and {port}")),
    ] {
        let output =
            traced(&["collect", "-p", "ifdump", "--stop-after", "30", "-i", "lo", "-f", &filter], name);
        let text = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{filter}: {said}");
        let packets = text.lines().filter(|line| line.contains("127.0.0.1.9 ")).count();
        let events = text.lines().filter(|line| line.contains("[tp] net:")).count();
        assert_eq!((packets, events), (30, 30), "{filter}: {text}\n{said}");
        assert_eq!(text.lines().filter(|line| line.contains("len 85")).count(), 30, "{filter}: {text}");
    }
    let never = "udp port 9 and udp[8] = 8";
    let output = tracer(&["collect", "-f", never, "--cmd", "true"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stdout.is_empty(), "{said}");
}

#[test]
fn a_filter_is_explained() {
    let output =
        tracer(&["filter", "explain", "arp or tcp and dev.name == lo", "-p", "ifdump"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    if output.status.code() == Some(3) {
        eprintln!("SKIPPED: {}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    assert!(text.starts_with("reads as: (arp or tcp) and dev.name == lo\n"), "{text}");
    assert!(text.contains("before anything is read  dev.name\n"), "{text}");
    assert!(text.contains("before anything is read  the packet\n"), "{text}");
    if can_trace() {
        assert!(text.contains("filter: packet sub-expression\n") && text.contains(": exit\n"), "{text}");
    }
}

#[test]
fn what_cannot_be_asked_is_said_before_anything_is_attached() {
    for (filter, message, place, hint) in [
        ("nftt.verdict == drop", "unknown section or argument `nftt`", "nftt.verdict", "did you mean `nft`?"),
        ("skb.lenn == 5", "unknown field of section `skb` `lenn`", "skb.lenn", "did you mean `len`?"),
        ("sk_buff.devv.name == a", "struct sk_buff has no member `devv`", "devv", "did you mean `dev`?"),
        (
            "sock.sk_mark == 1",
            "the filter holds at none of the probes",
            "sock.sk_mark == 1",
            "tracer inspect",
        ),
        ("tcp and inbound", "`inbound` is not part of this filter language", "inbound", "event.probe"),
        ("skb.mark == eth0", "this comparison does not fit its field", "eth0", "numbers take"),
    ] {
        let output = tracer(&["collect", "-c", "skb,dev", "-f", filter, "--cmd", "true"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(3) {
            eprintln!("SKIPPED: {said}");
            return;
        }
        assert_eq!(output.status.code(), Some(2), "{filter}: {said}");
        assert!(said.contains(message) && said.contains(hint), "{filter}: {said}");
        let carets = format!(" {}", "^".repeat(place.len()));
        assert!(said.contains(&carets) && !said.contains(&format!("{carets}^")), "{filter}: {said}");
        assert_eq!(said.matches("error: ").count(), 1, "{filter}: {said}");
    }
    let output = tracer(&["collect", "-i", "a/b", "--netns", "no-such", "--cmd", "true"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("`a/b` is no name of a network device"), "{said}");
    assert!(said.contains("there is no network namespace `no-such`"), "{said}");
}

#[test]
fn what_the_verifier_might_not_take_is_refused_before() {
    if !can_trace() {
        return;
    }
    let joined =
        |part: &dyn Fn(u32) -> String, many: u32| (1..=many).map(part).collect::<Vec<_>>().join(" or ");
    let ports = joined(&|n| format!("port {n}"), 450);
    let patterns = joined(&|n| format!("dev.name =~ \"?{n}*x\""), 110);
    for (filter, reason) in [(&ports, "BPF instructions"), (&patterns, "patterns at one probe")] {
        let output = tracer(&["collect", "-c", "skb,dev", "-f", filter, "--cmd", "true"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("the filter is too large for") && said.contains(reason), "{said}");
        assert!(!said.contains("attached"), "{said}");
    }
    // What is just small enough is taken by the verifier.
    let hosts = joined(&|n| format!("host 10.0.{}.{}", n / 256, n % 256), 450);
    let patterns = joined(&|n| format!("dev.name =~ \"?{n}*x\""), 100);
    let texts = joined(&|n| format!("sk_buff.dev.name == \"device{n}\""), 300);
    for filter in [&hosts, &patterns, &texts] {
        let output = tracer(&["collect", "-c", "skb,dev", "-f", filter, "--cmd", "true"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("attached"), "{said}");
    }
}
