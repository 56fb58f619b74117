//! The running kernel's verifier and its machine: what is generated loads, and matches what the interpreter matches. What
//! needs privileges says SKIPPED on stderr where they are missing.
#![expect(clippy::unwrap_used, reason = "tests state their expectations by unwrapping")]

use std::os::fd::AsRawFd;

use tracer_bpf::insn::{Alu, Assembler, PSEUDO_MAP_VALUE};
use tracer_compose::filter::packet::{Program, ProgramError};
use tracer_dsl::filter::Filter;
use tracer_event::packet::{Capture, ETHERNET, RAW, Tag};
use tracer_filter_tests::numbers::Numbers;
use tracer_filter_tests::pcap::Captured;
use tracer_filter_tests::{expressions, packets};
use tracer_kernel::map::{self, Map, MapSpec};
use tracer_kernel::prog::{Insn, Program as Loaded, ProgramKind, ProgramSpec};
use tracer_kernel::{Capabilities, Capability};
use tracer_trace::filter::PacketFilter;

fn privileged() -> bool {
    tracer_kernel::limits::raise_limits();
    let missing = Capabilities::of_this_thread().unwrap().missing(&[Capability::Bpf, Capability::Perfmon]);
    if !missing.is_empty() {
        eprintln!("SKIPPED: missing {missing:?}");
    }
    missing.is_empty()
}

fn load(text: &str, program: &Program) -> (Map, Loaded) {
    let insns: Vec<Insn> = program.insns().iter().map(|insn| insn.bytes()).collect();
    load_insns(text, insns, 0, program.value_size())
}

/// The instruction at `at` loads the map.
fn load_insns(text: &str, mut insns: Vec<Insn>, at: usize, value_size: u32) -> (Map, Loaded) {
    let map = Map::create(&MapSpec {
        name: "packet",
        kind: map::ARRAY,
        key_size: 4,
        value_size,
        max_entries: 1,
        flags: 0,
        inner: None,
    })
    .unwrap();
    insns[at][4..8].copy_from_slice(&std::os::fd::AsFd::as_fd(&map.fd()).as_raw_fd().to_ne_bytes());
    let loaded = Loaded::load(&ProgramSpec {
        name: "filter",
        kind: ProgramKind::RawTracepoint,
        insns: &insns,
        btf: None,
        func_info: &[],
        line_info: &[],
        license: c"Dual MIT/GPL",
    });
    (map, loaded.unwrap_or_else(|why| panic!("`{text}`: {why}")))
}

#[test]
fn the_verifier_takes_what_is_generated_and_it_runs_alike() {
    if !privileged() {
        return;
    }
    let mut n = Numbers::new(3);
    let packets: Vec<Captured> = packets(&mut n, 100, 0);
    let mut matched = 0;
    for _ in 0..150 {
        let text = expressions::expression(&mut n, &packets);
        let Ok(filter) = text.parse::<Filter>() else { continue };
        let program = match Program::new(&filter) {
            Ok(program) => program,
            Err(ProgramError::Filter(_)) => continue,
            Err(why) => panic!("`{text}`: {why}"),
        };
        let interpreter = PacketFilter::new(&filter).unwrap();
        let (map, loaded) = load(&text, &program);
        for packet in &packets {
            let link = n.pick(&[ETHERNET, ETHERNET, RAW, 105]);
            let skip = if link == RAW { packet.bytes.len().min(14) } else { 0 };
            let tag = n.once_in(4).then(|| Tag { ethertype: 0x8100, control: n.u16() });
            let ethertype = if n.once_in(2) { 0 } else { 0x0800 };
            let bytes = &packet.bytes[skip..];
            let capture = Capture { bytes, link, ethertype, tag, original: packet.original };
            map.update(&[0; 4], &program.value(&capture), 0).unwrap();
            let answer = loaded.test_run(&[]).unwrap() == 1;
            assert_eq!(answer, interpreter.matches(&capture), "`{text}`: {capture:x?}");
            matched += usize::from(answer);
        }
    }
    assert!(matched > 300, "{matched}");
}

/// Long lists and deep arithmetic, whose ways are many.
#[test]
fn the_verifier_takes_the_longest() {
    if !privileged() {
        return;
    }
    let list = |word: &str, count: u32, value: fn(u32) -> String| {
        let values: Vec<String> = (0..count).map(value).collect();
        format!("{word} ({})", values.join(" or "))
    };
    let host = |i: u32| format!("10.0.{}.{}", i / 256, i % 256);
    let port = |i: u32| format!("{}", 1000 + i);
    let mut deep = "ip[0]".to_owned();
    for _ in 0..15 {
        deep = format!("(({deep} + udp[4:2]) * tcp[ip[{}] & 7])", deep.len() % 13);
    }
    for text in [
        list("host", 500, host),
        list("not host", 200, host),
        list("port", 300, port),
        list("tcp src or dst port", 500, port),
        list("host", 200, |i| format!("fd00::{i:x}")),
        list("src net", 400, |i| format!("10.{}.0.0/16", i % 256)),
        format!("{} and {}", list("dst host", 250, host), list("dst port", 150, port)),
        format!("{deep} = 5"),
        list("protochain", 12, |i| format!("{}", 100 + i)),
        format!("not ip6 protochain 253 and {}", list("host", 50, |i| format!("fd00::{i:x}"))),
        (0..100).map(|i| format!("ip[(ip[{i}] & 0x1f) + {i}] = {i}")).collect::<Vec<_>>().join(" or "),
        (0..50)
            .map(|i| format!("ip[ip[{i}] / ip[{}]] << ip[{i}] > len", i + 1))
            .collect::<Vec<_>>()
            .join(" or "),
    ] {
        let program = Program::new(&text.parse().unwrap()).unwrap_or_else(|why| panic!("{why}: {text}"));
        let start = std::time::Instant::now();
        load(&text[..40.min(text.len())], &program);
        eprintln!("{} insns, {:?}: {}", program.insns().len(), start.elapsed(), &text[..40]);
    }
}

/// In composed programs the block is in the CPU's slot of an array: where, the verifier does not know.
#[test]
fn the_block_may_be_anywhere_in_a_value() {
    const SLOTS: i32 = 4;
    if !privileged() {
        return;
    }
    let mut n = Numbers::new(9);
    let packets: Vec<Captured> = packets(&mut n, 50, 0);
    let mut matched = 0;
    for text in (0..40).map(|_| expressions::expression(&mut n, &packets)).collect::<Vec<_>>() {
        let Ok(filter) = text.parse::<Filter>() else { continue };
        let Ok(program) = Program::new(&filter) else { continue };
        let size = program.value_size();
        let mut front = Assembler::default();
        // The lowest bits of the time, as a number of which only the bound is known.
        front.call(5);
        front.alu(Alu::And, 0, SLOTS - 1);
        front.alu(Alu::Mul, 0, i32::try_from(size).unwrap());
        front.load_pseudo(1, PSEUDO_MAP_VALUE, 0, 0);
        front.alu_reg(Alu::Add, 1, 0);
        let front = front.finish().unwrap();
        let at = front.len() - 3;
        let body = &program.insns()[Program::MAP_LOAD..];
        let insns = front.iter().chain(body).map(|insn| insn.bytes()).collect();
        let (map, loaded) = load_insns(&text, insns, at, size * SLOTS.cast_unsigned());
        let interpreter = PacketFilter::new(&filter).unwrap();
        for packet in &packets {
            let Captured { bytes, original } = packet;
            let capture = Capture { bytes, link: ETHERNET, ethertype: 0, tag: None, original: *original };
            let value = program.value(&capture).repeat(usize::try_from(SLOTS).unwrap());
            map.update(&[0; 4], &value, 0).unwrap();
            let answer = loaded.test_run(&[]).unwrap() == 1;
            assert_eq!(answer, interpreter.matches(&capture), "`{text}`: {capture:x?}");
            matched += usize::from(answer);
        }
    }
    assert!(matched > 50, "{matched}");
}
