//! Writes what a VM case needs to compare the kernel with the interpreter: a capture file, `packets.pcap`, and filters that
//! are asked of its packets, `filters`, one a line. The same ones each time.
#![expect(clippy::unwrap_used, reason = "tests state their expectations by unwrapping")]

use std::path::Path;

use tracer_compose::filter::packet::Program;
use tracer_filter_tests::{expressions, numbers::Numbers, packets, pcap};

const PACKETS: usize = 300;
const FILTERS: usize = 150;

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
    let list =
        |count: usize| (1..=count).map(|i| format!("10.0.{}.{}", i / 256, i % 256)).collect::<Vec<_>>();
    let mut filters = vec![
        format!("not host ({})", list(200).join(" or ")),
        format!(
            "port ({})",
            (1..=200).map(|i: u32| (40000 + 60 * i).to_string()).collect::<Vec<_>>().join(" or ")
        ),
    ];
    while filters.len() < FILTERS {
        let text = expressions::expression(&mut n, &packets);
        if text.parse().is_ok_and(|filter| Program::new(&filter).is_ok()) {
            filters.push(text);
        }
    }
    std::fs::write(folder.join("filters"), filters.join("\n") + "\n").unwrap();
}
