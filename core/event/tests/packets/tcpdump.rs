//! tcpdump's reading of generated packets. It is all that these tests need from outside: Debian's package `tcpdump`.
//! Where it is not installed they say so and do nothing.

use std::path::PathBuf;
use std::process::Command;

use crate::pcap::{self, Captured};

/// What tcpdump says of each packet, on one line; `None` where there is no tcpdump.
pub fn read(name: &str, packets: &[Captured]) -> Option<Vec<String>> {
    let Some(program) = program() else {
        eprintln!("NOT TESTED: tcpdump is not installed (`apt install tcpdump`)");
        return None;
    };
    let file = std::env::temp_dir().join(format!("tracer-{name}-{}.pcap", std::process::id()));
    std::fs::write(&file, pcap::file(packets)).unwrap();
    // Times as numbers; numbers, not names; absolute sequence numbers; more than one line per packet; link headers.
    let output =
        Command::new(program).args(["-tt", "-nn", "-S", "-v", "-e", "-r"]).arg(&file).output().unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut read: Vec<String> = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        // A packet's time is its number; a frame inside a frame begins a line too, but without a time.
        match line.strip_prefix(&format!("{}.000000 ", read.len())) {
            Some(first) => read.push(first.to_owned()),
            None => {
                let packet = read.last_mut().expect("the first line begins a packet");
                packet.push(' ');
                packet.push_str(line.trim());
            }
        }
    }
    Some(read)
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]);
    folders.map(|folder| folder.join("tcpdump")).find(|file| file.is_file())
}
