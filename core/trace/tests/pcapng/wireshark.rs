//! Wireshark's reading: tshark and capinfos, which come with Debian's package `tshark`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tracer_event::{Clock, sample};
use tracer_trace::pcapng::NoJson;

use crate::events::{Capture, Hit, OTHER, Words, clock, context, file};

/// A capture file on disk, while the test runs.
struct OnDisk(PathBuf);

impl OnDisk {
    fn new(name: &str, bytes: &[u8]) -> OnDisk {
        let path = std::env::temp_dir().join(format!("tracer-{name}-{}.pcapng", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        OnDisk(path)
    }

    /// What a program says of the file.
    fn read_by(&self, program: &str, arguments: &[&str]) -> String {
        let output = command(program).args(arguments).arg(&self.0).output();
        let output = output.unwrap_or_else(|error| panic!("{}", missing(program, &error)));
        let complaints = String::from_utf8_lossy(&output.stderr);
        // Of these it warns as root, whatever the file.
        let complaints = complaints.lines().filter(|line| !line.starts_with("Running as user"));
        assert_eq!(complaints.collect::<Vec<_>>(), <[&str; 0]>::default(), "{program} {arguments:?}");
        assert!(output.status.success(), "{program} {arguments:?}: {}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// The values of these fields, a line for each packet. Newlines come as `\n`, and newer versions of tshark escape
    /// backslashes too.
    fn fields(&self, fields: &[&str]) -> Vec<Vec<String>> {
        let lines = self.read_by("tshark", &[&shown(fields)[..], &["-r"]].concat());
        let value = |value: &str| value.replace("\\\\", "\\");
        lines.lines().map(|line| line.split('\t').map(value).collect()).collect()
    }

    /// The packets' bytes, from a hex dump.
    fn bytes(&self) -> Vec<Vec<u8>> {
        let mut packets = vec![];
        for line in self.read_by("tshark", &["-x", "-r"]).lines() {
            let Some((offset, rest)) = line.split_once("  ") else { continue };
            if usize::from_str_radix(offset, 16).unwrap() == 0 {
                packets.push(vec![]);
            }
            let bytes = rest[..rest.len().min(47)].split_whitespace();
            let packet = packets.last_mut().expect("the first line has the offset 0");
            packet.extend(bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()));
        }
        packets
    }
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        _ = std::fs::remove_file(&self.0);
    }
}

/// A program that speaks English and looks for no settings of the user's.
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C").env("TZ", "UTC").env("HOME", "/nonexistent");
    command
}

fn missing(program: &str, error: &std::io::Error) -> String {
    format!("{program} cannot be run ({error}): `cargo xtask setup` installs it")
}

fn shown<'a>(fields: &[&'a str]) -> Vec<&'a str> {
    let options = ["-n", "-T", "fields", "-E", "separator=/t", "-E", "aggregator=|"];
    options.into_iter().chain(fields.iter().flat_map(|field| ["-e", field])).collect()
}

#[test]
fn wireshark_reads_what_the_events_said() {
    let hits = [
        Hit::default(),
        Hit { netns: OTHER, time: 1_000_000_123, id: 0x12a, tag: Some((0x8100, 0x6064)), ..Hit::default() },
        Hit { original: 1500, data: sample::SYN[..60].into(), ..Hit::default() },
        Hit::raw(),
        Hit { device: "büro\n0".into(), ..Hit::default() },
    ];
    let mut capture = Capture::begun(Words { event: 65_531, session: 262_124 });
    for (number, hit) in hits.iter().enumerate() {
        capture.lose(number as u64);
        capture.hit(hit);
    }
    let on_disk = OnDisk::new("fields", &capture.finish());

    let fields = on_disk.fields(&[
        "frame.time_epoch",
        "frame.len",
        "frame.cap_len",
        "frame.interface_name",
        "frame.packet_id",
        "frame.drop_count",
        "vlan.id",
        "eth.src",
        "ip.src",
        "tcp.dstport",
    ]);
    let mac = "02:42:ac:10:2a:01";
    let expected = [
        ["1700000001.000000000", "74", "74", "eth0", "", "", "", mac, "172.16.42.1", "8080"],
        [
            "1700000001.000000123",
            "78",
            "78",
            "eth0@4026532198",
            "298",
            "1",
            "100",
            mac,
            "172.16.42.1",
            "8080",
        ],
        ["1700000001.000000000", "1500", "60", "eth0", "", "2", "", mac, "172.16.42.1", "8080"],
        ["1700000001.000000000", "60", "60", "eth0", "", "3", "", "", "172.16.42.1", "8080"],
        ["1700000001.000000000", "74", "74", "büro\\n0", "", "4", "", mac, "172.16.42.1", "8080"],
    ];
    assert_eq!(fields, expected);

    let tagged = [&sample::SYN[..12], &[0x81, 0x00, 0x60, 0x64], &sample::SYN[12..]].concat();
    let bytes = [&sample::SYN[..], &tagged, &sample::SYN[..60], &sample::SYN[14..], &sample::SYN];
    assert_eq!(on_disk.bytes(), bytes);

    let clock = clock();
    for (number, (hit, comment)) in hits.iter().zip(on_disk.fields(&["frame.comment"])).enumerate() {
        let mut expected = hit.comment(&context(&clock));
        if number > 0 {
            expected += &format!("|lost {number} events of [k] netif_rx on CPU 3 before this");
        }
        assert_eq!(comment, [expected.replace('\n', "\\n")]);
    }
}

#[test]
fn capinfos_and_the_dissector_of_files_count_alike() {
    let mut capture = Capture::begun(Words::default());
    capture.lose(7);
    capture.hit(&Hit::default());
    capture.hit(&Hit::default());
    capture.hit(&Hit { time: 2_000_000_000, ..Hit::raw() });
    capture.lose_at_the_end(5);
    let on_disk = OnDisk::new("counts", &capture.finish());
    let said = on_disk.read_by("capinfos", &["-M"]);
    let line = |line: &str| {
        let found = said.lines().any(|said| said.split_whitespace().eq(line.split_whitespace()));
        assert!(found, "{line} is not in\n{said}");
    };
    line("File timestamp precision: nanoseconds (9)");
    line("Number of packets: 3");
    line("First packet time: 2023-11-14 22:13:21.000000000");
    line("Last packet time: 2023-11-14 22:13:22.000000000");
    line("Capture hardware: x86_64");
    line("Capture oper-sys: Linux 6.12.95-cloud-amd64");
    line("Capture application: tracer 0.1.0");
    line("Capture comment: host fw1");
    line("Number of interfaces in file: 2");
    line("Name = eth0");
    line("Description = eth0, network namespace 4026531840 (tracer's own)");
    line("Encapsulation = Ethernet (1 - ether)");
    line("Encapsulation = Raw IP (7 - rawip)");
    line("Operating system = Linux 6.12.95-cloud-amd64");
    line("Number of stat entries = 1");

    let statistics = ["received", "dropped", "delivered_to_user"]
        .map(|count| format!("pcapng.options.option.data.interface.{count}"));
    let fields = statistics.each_ref().map(String::as_str);
    let arguments = [&["-X", "read_format:MIME Files Format"][..], &shown(&fields), &["-r"]].concat();
    assert_eq!(on_disk.read_by("tshark", &arguments), "9|6\t7|5\t2|1\n");
}

#[test]
fn what_reaches_every_limit_is_read() {
    let mut capture = Capture::begun(Words { event: 65_531, session: 262_124 });
    let large = Hit {
        data: vec![0x5a; 1 << 20],
        original: 1 << 20,
        id: u64::MAX,
        tag: Some((0x88a8, 7)),
        note: vec![1; 19_999],
        device: vec![0x1b; 399],
        ..Hit::default()
    };
    (0..100).for_each(|_| capture.lose(1));
    capture.hit(&large);
    // Other sections, with times that no clock has, and another session in a block of its own.
    capture.clock = Clock::NONE;
    capture.hit(&Hit { time: u64::MAX, device: vec![], netns: 0, ..Hit::default() });
    capture.sink.begin(&crate::events::session()).unwrap();
    capture.hit(&Hit { device: b"eth9".into(), time: 0, ..Hit::default() });
    let on_disk = OnDisk::new("limits", &capture.finish());
    let fields = on_disk.fields(&["frame.len", "frame.cap_len", "frame.packet_id", "tcp.dstport"]);
    assert_eq!(fields[0][..3], ["1048580", "262144", "18446744073709551615"]);
    assert_eq!(fields[1], ["74", "74", "", "8080"]);
    // Between the two, tshark lists the session's block.
    assert_eq!(fields[3], ["74", "74", "", "8080"]);
    assert_eq!(fields.len(), 4);
    assert!(on_disk.read_by("capinfos", &["-c", "-M"]).contains("Number of packets:   3\n"));
}

#[test]
fn a_second_section_has_its_own_interfaces() {
    let mut capture = Capture::begun(NoJson);
    capture.hit(&Hit::default());
    let second = tracer_event::Session { host: "fw2".into(), ..crate::events::session() };
    capture.sink.begin(&second).unwrap();
    capture.hit(&Hit::raw());
    let on_disk = OnDisk::new("sections", &capture.finish());
    // Not the interface's name: Wireshark 4.0 has that from the first section. The link type is right there too.
    let fields = on_disk.fields(&["frame.section_number", "frame.encap_type", "ip.src"]);
    assert_eq!(fields, [["1", "1", "172.16.42.1"], ["2", "7", "172.16.42.1"]]);
}

#[test]
fn an_empty_file_is_read() {
    let on_disk = OnDisk::new("empty", &file(&[]));
    assert!(on_disk.read_by("capinfos", &["-c", "-M"]).contains("Number of packets:   0\n"));
}

/// Ended with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[test]
fn a_live_reader_sees_each_batch() {
    let arguments = [&["-l", "-Q", "-i", "-"][..], &shown(&["frame.number", "tcp.dstport"])].concat();
    let spawned = command("tshark")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{}", missing("tshark", &error)));
    let mut tshark = Running(spawned);
    let lines = BufReader::new(tshark.0.stdout.take().unwrap()).lines();
    let mut stdin = tshark.0.stdin.take().unwrap();
    let (sender, seen) = mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));

    let mut capture = Capture::begun(Words::default());
    for number in 1..=3 {
        capture.hit(&Hit::default());
        capture.sink.flush().unwrap();
        stdin.write_all(&capture.writes.take().concat()).unwrap();
        let line = seen.recv_timeout(Duration::from_secs(60)).expect("a line for the packet");
        assert_eq!(line, format!("{number}\t8080"));
    }
}
