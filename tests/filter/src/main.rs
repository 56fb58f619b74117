//! Writes what a VM case needs to compare the kernel with the interpreter: a capture file, `packets.pcap`; filters that are
//! asked of its packets, `filters`, one a line; and the numbers of the packets that the interpreter matches, `matches`, with a
//! line for each filter. The same ones each time.
#![expect(clippy::unwrap_used, reason = "tests state their expectations by unwrapping")]

use std::path::Path;

use tracer_compose::filter::packet::Program;
use tracer_event::packet::{Capture, ETHERNET};
use tracer_filter_tests::pcap::{self, Captured};
use tracer_filter_tests::{expressions, numbers::Numbers, packets};
use tracer_trace::filter::PacketFilter;

const PACKETS: usize = 300;
/// Each is a run of tracer, which the emulation takes a fifth of a second for.
const FILTERS: usize = 70;

fn main() {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: tracer-filter-tests FOLDER");
        std::process::exit(2);
    };
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).unwrap();
    let mut n = Numbers::new(11);
    let packets = packets(&mut n, PACKETS, 0);
    std::fs::write(folder.join("packets.pcap"), pcap::file(&packets)).unwrap();
    // The longest first: the verifier has most to do with them.
    let list = |count: u32, value: fn(u32) -> String| (1..=count).map(value).collect::<Vec<_>>().join(" or ");
    let mut filters = vec![
        format!("not host ({})", list(200, |i| format!("10.0.{}.{}", i / 256, i % 256))),
        format!("host ({})", list(200, |i| format!("fd00::{i:x}"))),
        format!("port ({})", list(200, |i| (40000 + 60 * i).to_string())),
        format!("protochain ({})", list(8, |i| i.to_string())),
        format!("not ip6 protochain 253 and not src host ({})", list(50, |i| format!("fd00::{i:x}"))),
    ];
    while filters.len() < FILTERS {
        let text = expressions::expression(&mut n, &packets);
        if text.parse().is_ok_and(|filter| Program::new(&filter).is_ok()) {
            filters.push(text);
        }
    }
    let matches = filters.iter().map(|text| {
        let filter = PacketFilter::new(&text.parse().unwrap()).unwrap();
        let capture = |packet: &pcap::Captured| -> bool {
            let Captured { bytes, original } = packet;
            filter.matches(&Capture { bytes, link: ETHERNET, ethertype: 0, tag: None, original: *original })
        };
        let matching = packets.iter().enumerate().filter(|(_, packet)| capture(packet));
        matching.map(|(number, _)| format!("{} ", number + 1)).collect::<String>() + "\n"
    });
    std::fs::write(folder.join("matches"), matches.collect::<String>()).unwrap();
    std::fs::write(folder.join("filters"), filters.join("\n") + "\n").unwrap();
}
