//! What it costs to sort a trace that is larger than the memory for it: events a second, and the most memory that was used.
//! Prints a Markdown table; nothing fails because a machine is slow. `cargo bench -p tracer-trace --bench sort`.
//!
//! Each packet has five events, and some dozens of packets are on their way at a time. Time is the processor's, which others
//! on the machine hardly change, and the clock's, because files are written and read.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tracer_event::sample::{self, tracked};
use tracer_event::{Session, header};
use tracer_trace::Sink;
use tracer_trace::file::{Show, Sorting, Trace, TraceSink};

/// Events of a packet.
const EACH: u64 = 5;
/// Packets on their way at a time.
const UNDER_WAY: u64 = 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo test` runs it as well, and wants to know only that it runs.
    let is_bench = std::env::args().any(|word| word == "--bench");
    let events = if is_bench { 2_000_000 } else { 20_000 };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("tracer-bench-{}.trace", std::process::id()));
    let bytes = write(&path, events)?;
    let measured = measure(&path, folder, events, bytes);
    fs::remove_file(&path)?;
    measured
}

fn measure(path: &Path, folder: &Path, events: u64, bytes: u64) -> Result<(), Box<dyn std::error::Error>> {
    let trace = Trace::open(path)?;
    println!("{events} events, {} MiB of records, {} MiB as a trace\n", bytes >> 20, trace.bytes() >> 20);
    println!("| memory for sorting | events/s | by the clock | most memory of the process |");
    println!("|---|---:|---:|---:|");
    for memory in [16 << 20, 64 << 20, 256 << 20, 2 << 30] {
        forget_peak();
        let (start, used) = (Instant::now(), cpu());
        let mut sink = Box::new(TraceSink::new(io::sink()));
        let mut report = |damage| eprintln!("{damage}");
        let sorting = Sorting {
            show: Show::default(),
            select: &mut |_| true,
            memory,
            folder,
            report: &mut report,
            progress: &mut |_| {},
        };
        let sorted = trace.sort(&mut *sink, sorting)?;
        sink.finish()?;
        assert_eq!(sorted.events, events);
        let [by_cpu, by_clock] = [cpu() - used, start.elapsed()].map(|time| rate(time, events));
        println!("| {} MiB | {by_cpu} | {by_clock} | {} |", memory >> 20, peak());
    }
    Ok(())
}

/// Writes a trace of that many events; gives the bytes of its records.
fn write(path: &Path, events: u64) -> Result<u64, Box<dyn std::error::Error>> {
    let probes = Arc::new(tracked::probes());
    let session = Session { probes: Arc::clone(&probes), ..Session::default() };
    let mut sink = Box::new(TraceSink::new(File::create(path)?));
    sink.begin(&session)?;
    let stacks: Vec<Vec<u64>> = (0..8)
        .map(|way| (0..20).map(|frame| 0xffff_ffff_a000_0000 + frame * 0x1340 + way * 8).collect())
        .collect();
    let (mut bytes, mut state) = (0, 1_u64);
    for i in 0..events {
        let batch = i / (UNDER_WAY * EACH) * UNDER_WAY;
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let id = 1 + (batch + i % UNDER_WAY).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // Of two CPUs, one is told of a little late.
        let at = i * 700 + (state >> 33) % 1_400;
        let probe = u16::from(i / UNDER_WAY % EACH == EACH - 1);
        let mut record = tracked::Hit { probe, at, id, cpu: (state >> 40) as u8 % 4 }.record(&probes);
        // A sender's port and sequence number are of the packet; what follows the addresses of IPv4 is TCP.
        let packet = record.windows(sample::SYN.len()).position(|bytes| bytes == sample::SYN);
        let tcp = packet.ok_or("the sample's record has no packet")? + 14 + 20;
        record[tcp..][..2].copy_from_slice(&id.to_be_bytes()[..2]);
        record[tcp + 4..][..4].copy_from_slice(&id.to_be_bytes()[4..]);
        let stack = &stacks[(state >> 45) as usize % stacks.len()];
        record.extend(stack.iter().flat_map(|address| address.to_le_bytes()));
        let (size, of_stack) = (u32::try_from(record.len())?, u32::try_from(stack.len() * 8)?);
        record[header::RECORD_SIZE..][..4].copy_from_slice(&size.to_le_bytes());
        record[header::STACK..][..4].copy_from_slice(&of_stack.to_le_bytes());
        bytes += u64::from(size);
        sink.event(&probes.event(&record, &sample::CONTEXT)?)?;
    }
    sink.finish()?;
    Ok(bytes)
}

/// Time of the processor that this process took.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn rate(time: Duration, events: u64) -> String {
    format!("{:.2} M", events as f64 / time.as_secs_f64() / 1e6)
}

/// Begins to measure memory anew, where the system can.
fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The most memory since then, as Linux tells.
fn peak() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix(" kB")?.trim().parse().ok());
    peak.map_or_else(|| "not known".to_owned(), |kib: u64| format!("{} MiB", kib >> 10))
}
