//! `bench trace`: what an event costs once it is out of the kernel, and what it takes in a file. With another program's
//! command line, printing a stored file is timed for both in the same way.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use regex_lite::Regex;

use crate::{command, test};

/// The package of each bench and its name.
const BENCHES: [(&str, &str); 5] = [
    ("tracer-trace", "trace"),
    ("tracer-trace", "sort"),
    ("tracer-trace", "pcapng"),
    ("tracer-trace", "stats"),
    ("tracer-event", "render"),
];
/// Where the bench `trace` leaves a trace as a firewall's, if it is told.
const KEEP: &str = "TRACER_BENCH_KEEP";
/// Times that a program prints its file; the median counts.
const RUNS: usize = 5;

/// `cargo xtask bench trace ARGUMENT...`
pub(super) fn run(arguments: &[String]) -> Result<()> {
    let peer = peer(arguments)?;
    let kept = std::env::temp_dir().join(format!("tracer-bench-{}-kept.trace", std::process::id()));
    let measured = measure(peer.as_ref(), &kept);
    // It is not there if the bench failed.
    let _ = fs::remove_file(&kept);
    measured
}

fn measure(peer: Option<&Peer>, kept: &Path) -> Result<()> {
    for (package, bench) in BENCHES {
        let mut cargo = command::cargo()?;
        cargo.args(["bench", "--quiet", "--package", package, "--bench", bench]).env(KEEP, kept);
        let said = command::output(&mut cargo)?;
        // What is no table is shown as it is.
        let said = said.trim();
        let fence = if said.starts_with('|') { "" } else { "```\n" };
        println!("\n### {bench}\n\n{fence}{said}\n{}", fence.trim_end());
    }
    peer.map_or(Ok(()), |peer| compare(peer, kept))
}

/// Another program that prints a stored file of its own.
struct Peer {
    command: String,
    events: f64,
}

fn peer(arguments: &[String]) -> Result<Option<Peer>> {
    let (mut command, mut events) = (None, None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--peer" => {
                command = Some(rest.next().context("`--peer` is followed by a command line")?.clone());
            }
            "--peer-events" => {
                let number = rest.next().context("`--peer-events` is followed by a number")?;
                let read: u32 =
                    number.parse().with_context(|| format!("`{number}` is no number of events"))?;
                ensure!(read > 0, "a file without events says nothing about their cost");
                events = Some(f64::from(read));
            }
            _ => bail!("`bench trace` has no option `{argument}`: there are --peer and --peer-events"),
        }
    }
    match (command, events) {
        (None, None) => Ok(None),
        (Some(command), Some(events)) => Ok(Some(Peer { command, events })),
        _ => bail!("`--peer COMMAND` and `--peer-events N` (how many events it prints) belong together"),
    }
}

fn compare(peer: &Peer, trace: &Path) -> Result<()> {
    let tracer = test::build()?;
    let said = command::output(Command::new(&tracer).arg("stats").arg(trace))?;
    let events = Regex::new(r"(\d+) events")?.captures(&said).context("`tracer stats` names no events")?;
    let events: f64 = events[1].parse()?;
    let ours = each(
        || {
            let mut print = Command::new(&tracer);
            print.arg("print").arg(trace);
            print
        },
        events,
    )?;
    let theirs = each(|| shell(&peer.command), peer.events)?;
    println!("\n### Printing a stored file, all threads\n");
    println!("| program | events | events/s | µs/event | ratio |\n|---|---:|---:|---:|---:|");
    for (name, events, each) in [("tracer print", events, ours), (&*peer.command, peer.events, theirs)] {
        println!("| `{name}` | {events} | {:.0} | {:.2} | {:.2} |", 1.0 / each, each * 1e6, each / ours);
    }
    Ok(())
}

fn shell(line: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]);
    shell
}

/// Seconds per event, the median of some runs; what is printed goes nowhere.
fn each(program: impl Fn() -> Command, events: f64) -> Result<f64> {
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let mut command = program();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let start = Instant::now();
        command::shown(&mut command)?;
        times.push(start.elapsed());
    }
    times.sort();
    let median = times.get(RUNS / 2).map_or(0.0, Duration::as_secs_f64);
    ensure!(median > 0.0, "the clock stands still");
    Ok(median / events)
}
