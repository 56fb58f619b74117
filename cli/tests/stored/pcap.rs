//! `tracer pcap`, and outputs that take no more.

use std::{
    fs::{self, File},
    io::Read,
    process::{Command, Stdio},
};

use crate::run::{Folder, Ran, golden, printed, ran, trace, tracer};

#[test]
fn packets_go_into_a_pipe() {
    let run = tracer(&["pcap", &trace(), "-o", "-"]).output().unwrap();
    assert_eq!(run.status.code(), Some(0));
    assert_eq!(String::from_utf8(run.stderr).unwrap(), "tracer: 28 packets written\n");
    assert!(run.stdout == fs::read(golden("dropmon.pcapng")).unwrap());
}

#[test]
fn a_file_of_another_kind_is_left_alone() {
    let folder = Folder::new();
    let mine = folder.file("mine", b"precious");
    let run = ran(&["pcap", &trace(), "-o", &mine]);
    let told = format!(
        "error: {mine} is not a pcapng file and is not overwritten; name another file, or remove it first\n"
    );
    assert_eq!((run.code, run.err), (Some(1), told));
    assert_eq!(fs::read(&mine).unwrap(), b"precious");
    // Not even a trace, which is what a slip of the hand would hit.
    let copy = folder.file("t", &fs::read(trace()).unwrap());
    assert_eq!(ran(&["pcap", &copy, "-o", &copy]).code, Some(1));
    assert!(fs::read(copy).unwrap() == fs::read(trace()).unwrap());
    // One of its own is replaced.
    let older = folder.file("x.pcapng", &fs::read(golden("dropmon.pcapng")).unwrap());
    assert_eq!(ran(&["pcap", &trace(), "-o", &older, "-P", "tp:skb:kfree_skb"]).code, Some(0));
    assert!(fs::metadata(older).unwrap().len() < fs::metadata(golden("dropmon.pcapng")).unwrap().len());
}

#[test]
fn only_packets_of_a_probe() {
    let folder = Folder::new();
    let out = folder.name("x.pcapng");
    for (probe, packets) in
        [("skb:kfree_skb", "2 packets"), ("__nft_*", "26 packets"), ("k:__nft_trace_packet", "26 packets")]
    {
        let run = ran(&["pcap", &trace(), "-o", &out, "-P", probe]);
        assert_eq!(
            (run.code, run.err),
            (Some(0), format!("tracer: {packets} written to {out}\n")),
            "{probe}"
        );
    }
    let run = ran(&["pcap", &trace(), "-o", &out, "-P", "kprobe:ip_rcv"]);
    assert_eq!(run.code, Some(2));
    for part in [
        "the trace has no events of kprobe:ip_rcv",
        "^^^^^^^^^^^^^",
        "it was collected with kprobe:__nft_trace_packet, raw_tracepoint:skb:kfree_skb",
    ] {
        assert!(run.err.contains(part), "{}", run.err);
    }
    // What the profile says of `pcap` counts.
    let run = ran(&["-p", "nft-dropmon", "pcap", &trace(), "-o", &out]);
    assert_eq!(run.err, format!("tracer: 26 packets written to {out}\n"));
}

#[test]
fn it_says_where_to_write() {
    let run = ran(&["pcap", &trace()]);
    assert_eq!((run.code, &*run.out), (Some(2), ""));
    assert!(
        run.err.contains("needs to know where to write") && run.err.contains("-o drops.pcapng"),
        "{}",
        run.err
    );
}

#[test]
fn who_reads_no_more_ends_it_in_silence() {
    for arguments in [&["print"][..], &["print", "--format", "json"], &["stats"], &["schema"]] {
        // A reader that is gone before anything is written.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let run = tracer(&[arguments, &[&trace()]].concat()).stdout(writer).output().unwrap();
        assert_eq!((run.status.code(), &*run.stderr), (Some(0), &b""[..]), "{arguments:?}");
    }
    // And one that takes the first bytes, as `head` does.
    let mut child =
        tracer(&["print", &trace()]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let run = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((run.code, &*run.err), (Some(0), ""));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let run = tracer(&["pcap", "-o", "-", &trace()]).stdout(writer).output().unwrap();
    assert_eq!(run.status.code(), Some(0), "{run:?}");
}

#[test]
fn streams_that_are_closed_are_no_news() {
    let closed = |streams: &str| {
        let line = format!("exec \"$0\" \"$@\" {streams}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &line, env!("CARGO_BIN_EXE_tracer"), "print", &trace()]);
        Ran::from(shell.output().unwrap())
    };
    let run = closed(">&-");
    assert_eq!((run.code, &*run.out, &*run.err), (Some(0), "", ""));
    let run = closed("2>&-");
    assert_eq!((run.code, &*run.err), (Some(0), ""));
    assert!(run.out == printed(&["print", &trace()]));
}

#[test]
fn a_full_disk_is_told() {
    if !std::path::Path::new("/dev/full").exists() {
        return;
    }
    for arguments in
        [&["print"][..], &["print", "--format", "json"], &["stats"], &["schema"], &["pcap", "-o", "-"]]
    {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let run = Ran::from(tracer(&[arguments, &[&trace()]].concat()).stdout(full).output().unwrap());
        assert_eq!(run.code, Some(1), "{arguments:?}");
        assert_eq!(run.err, "error: cannot write: No space left on device (os error 28)\n", "{arguments:?}");
    }
    let run = ran(&["pcap", &trace(), "-o", "/dev/full"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.err.starts_with("error: cannot write") && run.err.contains("No space left"), "{run:?}");
}
