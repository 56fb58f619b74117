//! How many events a second `StatsSink` counts on one core: a plain loop over records like those of `nft-dropmon`, with
//! rule, namespace, device, packet and two frames of stack. Parsing the record is part of it, as it is in a run.
//!
//! `cargo bench -p tracer-trace --bench stats`
#![expect(clippy::unwrap_used, reason = "a measurement that cannot be made has no result")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracer_event::{Probes, Session, sample};
use tracer_trace::{Sink, StatsSink};

/// Where in a sample record rule and ports are.
struct Places {
    rule: usize,
    ports: usize,
}

fn main() {
    let probes = Arc::new(Probes::new(vec![sample::probe()]));
    // `cargo test --benches` runs this too, and wants to know only that it runs.
    let time =
        if std::env::args().any(|word| word == "--bench") { Duration::from_secs(2) } else { Duration::ZERO };
    measure("1 rule, 1 flow", &probes, 1, 1, time);
    measure("100 rules, 10000 flows", &probes, 100, 10_000, time);
    measure("1000 rules, 1000000 flows", &probes, 1_000, 1_000_000, time);
}

/// Counts events in batches until the time is over; at least one batch.
fn measure(what: &str, probes: &Arc<Probes>, rules: u32, flows: u32, time: Duration) {
    let session = Session { own_netns: Some(sample::NETNS), probes: probes.clone(), ..Session::default() };
    let context = tracer_event::Context { own_netns: session.own_netns, ..sample::CONTEXT };
    let mut bytes = sample::record();
    let places = Places::of(&bytes);
    let mut sink = StatsSink::new();
    sink.begin(&session).unwrap();

    let mut count = |number: u32| {
        places.set(&mut bytes, number % rules, number % flows);
        let event = probes.event(black_box(&bytes), &context).unwrap();
        sink.event(&event).unwrap();
    };
    // Each flow once, so that what follows is known.
    let start = Instant::now();
    (0..flows).for_each(&mut count);
    let new = start.elapsed().as_nanos() / u128::from(flows);

    let start = Instant::now();
    let mut events = 0_u32;
    while events == 0 || start.elapsed() < time {
        for _ in 0..65_536 {
            // Neither rules nor flows come in the order of their numbers.
            count(events.wrapping_mul(0x9e37_79b1));
            events += 1;
        }
    }
    let elapsed = start.elapsed();

    let start = Instant::now();
    let report = sink.report(&Default::default()).unwrap();
    let reported = start.elapsed();
    assert_eq!(report.events, u64::from(events + flows));
    let per_event = elapsed.as_nanos() / u128::from(events);
    println!(
        "{what}: {:.2} million events/s, {per_event} ns each, {new} ns for a new flow; report in {:.1} ms",
        f64::from(events) / elapsed.as_secs_f64() / 1e6,
        reported.as_secs_f64() * 1e3,
    );
}

impl Places {
    fn of(record: &[u8]) -> Places {
        let nft = sample::layout().sections()[0].offset as usize;
        let packet = record.windows(sample::SYN.len()).position(|bytes| bytes == sample::SYN).unwrap();
        // Behind the Ethernet and IPv4 headers.
        Places { rule: nft + sample::NFT_RULE, ports: packet + 14 + 20 }
    }

    fn set(&self, record: &mut [u8], rule: u32, flow: u32) {
        record[self.rule..self.rule + 4].copy_from_slice(&rule.to_le_bytes());
        record[self.ports..self.ports + 4].copy_from_slice(&flow.to_be_bytes());
    }
}
