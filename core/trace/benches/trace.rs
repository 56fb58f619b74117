//! What a trace costs: bytes an event, and records a second written, read and printed. Prints a Markdown table; nothing
//! fails because a machine is slow. `cargo bench -p tracer-trace --bench trace`.
//!
//! Times are of the processor, of all threads together, so that others on the machine count for little; only what all
//! threads print is by the clock.

#[path = "../tests/traffic/mod.rs"]
mod traffic;

use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tracer_event::{ClockSample, Context, Event, Session, sample};
use tracer_trace::file::{Rendering, Show, Trace, TraceSink};
use tracer_trace::{Loss, Sink, TextRender};

use traffic::{Mix, Names, Traffic};

/// Records in memory; they are written several times over, so that they stay in the processor's caches as those of a ring
/// would that was just drained.
const RECORDS: usize = 4096;
/// Times that they are written.
const TIMES: usize = 100;
/// Runs, of which the fastest counts: what slows a run down is another's work.
const RUNS: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo test` runs it as well, and wants to know only that it runs.
    let is_bench = std::env::args().any(|word| word == "--bench");
    let (times, runs) = if is_bench { (TIMES, RUNS) } else { (1, 1) };
    let path = std::env::temp_dir().join(format!("tracer-bench-{}.trace", std::process::id()));
    println!("| records | bytes | stored | written/s | read/s | printed/s | printed/s, all threads |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for (name, mix) in [("as on a firewall", Mix::Scans), ("full of noise", Mix::Payload)] {
        let row = measure(&path, mix, times, runs);
        // For who wants to print it by another program.
        if let Some(kept) = std::env::var_os("TRACER_BENCH_KEEP").filter(|_| mix == Mix::Scans) {
            std::fs::copy(&path, kept)?;
        }
        std::fs::remove_file(&path)?;
        let Row { bytes, stored, write, read, print, threads } = row?;
        let [write, read, print, threads] = [write, read, print, threads].map(rate);
        println!("| {name} | {bytes:.0} | {stored:.1} | {write} | {read} | {print} | {threads} |");
    }
    Ok(())
}

/// Bytes and time an event.
struct Row {
    bytes: f64,
    stored: f64,
    write: Duration,
    read: Duration,
    print: Duration,
    threads: Duration,
}

fn measure(path: &Path, mix: Mix, times: usize, runs: usize) -> Result<Row, Box<dyn std::error::Error>> {
    let mut traffic = Traffic::new(mix);
    let session = traffic.session();
    let records: Vec<Vec<u8>> = (0..RECORDS).map(|_| traffic.record()).collect();
    let events = (RECORDS * times) as u32;
    let context = Context { own_netns: session.own_netns, symbols: &Names, ..sample::CONTEXT };
    let best = |run: &mut dyn FnMut() -> io::Result<()>| -> io::Result<[Duration; 2]> {
        let mut best = [Duration::MAX; 2];
        for _ in 0..runs {
            let (start, used) = (Instant::now(), cpu());
            run()?;
            best = [best[0].min(cpu() - used), best[1].min(start.elapsed())];
        }
        Ok(best.map(|best| best / events))
    };
    let [write, _] = best(&mut || {
        let mut sink = Box::new(TraceSink::new(io::sink()));
        sink.begin(&session)?;
        write_all(&mut *sink, &session, &records, &context, times)?;
        sink.finish()
    })?;
    let mut sink = Box::new(TraceSink::new(File::create(path)?));
    sink.begin(&session)?;
    write_all(&mut *sink, &session, &records, &context, times)?;
    sink.finish()?;
    let trace = Trace::open(path)?;
    let mut report = |damage| eprintln!("{damage}");
    let [read, _] = best(&mut || {
        trace.replay(&mut Nothing, Show::default(), &mut report).map_err(io::Error::other).map(drop)
    })?;
    let mut render = |threads: NonZeroUsize| {
        best(&mut || {
            let rendering = Rendering { threads, show: Show::default(), select: &|_| true };
            let done = trace.render(&TextRender, rendering, &mut Discard, &mut report, &mut |_| {});
            done.map_err(io::Error::other).map(drop)
        })
    };
    let [print, _] = render(NonZeroUsize::MIN)?;
    let [_, threads] = render(std::thread::available_parallelism()?)?;
    let bytes = records.iter().map(Vec::len).sum::<usize>() as f64 / RECORDS as f64;
    let stored = trace.bytes() as f64 / f64::from(events);
    Ok(Row { bytes, stored, write, read, print, threads })
}

/// Writes the records, flushing as the engine does.
fn write_all(
    sink: &mut dyn Sink,
    session: &Session,
    records: &[Vec<u8>],
    context: &Context<'_>,
    times: usize,
) -> io::Result<()> {
    let events: Vec<Event<'_>> = records
        .iter()
        .map(|record| session.probes.event(record, context))
        .collect::<Result<_, _>>()
        .map_err(io::Error::other)?;
    for _ in 0..times {
        events.iter().try_for_each(|event| sink.event(event))?;
        sink.flush()?;
    }
    Ok(())
}

/// Time of the processor that this process took.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn rate(each: Duration) -> String {
    format!("{:.2} M", 1_000.0 / each.as_nanos().max(1) as f64)
}

/// Takes text and forgets it.
struct Discard;

impl Write for Discard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        std::hint::black_box(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes events and forgets them.
struct Nothing;

impl Sink for Nothing {
    fn begin(&mut self, _: &Session) -> io::Result<()> {
        Ok(())
    }

    fn clock(&mut self, _: ClockSample) -> io::Result<()> {
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        std::hint::black_box(event.record.bytes());
        Ok(())
    }

    fn loss(&mut self, _: &Loss<'_>) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}
