//! What it costs to follow packets: the probe's program with an id and without, and what runs for each packet besides, whether or not
//! a probe is hit. The kernel's clock does not count the trampolines around programs, so the time that packets take to
//! be sent is there too; that is noisier.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use tracer_kernel::prog::enable_statistics;

use crate::{
    bench::{Counters, settle},
    table::{self, median, us},
    traced::Tracer,
    traffic::To,
};

/// Packets of a turn, as many before them that do not count (a fresh program is slow at first, in an emulation above all), and
/// turns.
const PACKETS: u64 = 4000;
const TURNS: usize = 3;

/// Rows: title, tracer's arguments, and the packets.
const ROWS: [(&str, Option<&str>, To); 6] = [
    ("no tracer, dropped packet", None, To::Drop),
    ("without an id", Some("collect -c nft,skb -P kprobe:__nft_trace_packet"), To::Drop),
    ("with an id", Some("collect -c nft,skb,skb_tracking -P kprobe:__nft_trace_packet"), To::Drop),
    ("no tracer, accepted packet", None, To::Accept),
    (
        "without an id, rejected by the filter",
        Some("collect -c nft,skb --nft-verdicts drop -P kprobe:__nft_trace_packet"),
        To::Accept,
    ),
    (
        "with an id, rejected by the filter",
        Some("collect -c nft,skb,skb_tracking --nft-verdicts drop -P kprobe:__nft_trace_packet"),
        To::Accept,
    ),
];

/// Prints the table.
pub(crate) fn run() -> Result<()> {
    println!("\nTracking, µs per packet, medians of {TURNS} times {PACKETS} packets:\n");
    table::head(&["", "probe's program", "hooks' programs", "hits of hooks", "sending"]);
    let mut samples = vec![Vec::new(); ROWS.len()];
    for _ in 0..TURNS {
        for ((_, words, to), samples) in ROWS.into_iter().zip(&mut samples) {
            samples.push(turn(words, to)?);
        }
    }
    for ((title, ..), samples) in ROWS.into_iter().zip(samples) {
        let of = |n: usize| median(samples.iter().map(|turn| turn[n]).collect());
        table::row(&[title.to_owned(), us(of(0)), us(of(1)), format!("{:.1}", of(2)), us(of(3))]);
    }
    Ok(())
}

/// Per packet: nanoseconds in the probe's program and in the hooks', hits of hooks, nanoseconds of sending.
fn turn(words: Option<&str>, to: To) -> Result<[f64; 4]> {
    let statistics = enable_statistics().context("this kernel counts no time of programs")?;
    let tracer = words.map(Tracer::start).transpose()?;
    let programs = tracer.as_ref().map(|tracer| Ok::<_, anyhow::Error>((tracer.program()?, tracer.hooks()?)));
    let programs = programs.transpose()?;
    let counts = || -> Result<[u64; 4]> {
        let Some((probe, hooks)) = &programs else { return Ok([0; 4]) };
        settle(probe)?;
        let probe = Counters::of(probe)?;
        let mut all = [probe.ns, 0, 0, probe.runs];
        for hook in hooks {
            let hook = Counters::of(hook)?;
            all[1] += hook.ns;
            all[2] += hook.runs;
        }
        Ok(all)
    };
    to.packets(PACKETS)?;
    let before = counts()?;
    let since = Instant::now();
    to.packets(PACKETS)?;
    let sending = since.elapsed().as_nanos() as f64 / PACKETS as f64;
    let after = counts()?;
    let runs = after[3] - before[3];
    ensure!(programs.is_none() || (PACKETS..2 * PACKETS).contains(&runs), "the probe was hit {runs} times");
    if let Some(tracer) = tracer {
        tracer.stop()?;
    }
    drop(statistics);
    let of = |n: usize| (after[n] - before[n]) as f64 / PACKETS as f64;
    Ok([of(0), of(1), of(2), sending])
}
