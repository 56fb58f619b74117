//! The measurement. Each program is alone at the function when it is measured: the first one of several finds the caches
//! as the packet left them and pays for all, so that programs that run at the same time cannot be compared. They take turns
//! instead, a few times, so that a machine that is busy with something else slows all of them, and the medians of the
//! ratios stay.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tracer_kernel::{Program, limits::raise_limits, prog::enable_statistics};

use crate::{
    burst,
    reference::{References, Way},
    table::{self, median, times, us},
    traced::Tracer,
    tracking,
    traffic::{self, To},
};

/// Packets of a turn, and turns of a measurement.
const PACKETS: u64 = 1000;
const TURNS: usize = 7;
/// Bytes of a record of the profile `nft-dropmon` with this traffic.
const RECORD: u32 = 512;

/// What is measured: its title, tracer's arguments, and the packets.
const MEASURED: [(&str, &str, To); 12] = [
    ("nothing read", "collect -c none -P kprobe:__nft_trace_packet", To::Drop),
    ("stack", "collect -c none -P kprobe:__nft_trace_packet/stack", To::Drop),
    ("nft", "collect -c nft -P kprobe:__nft_trace_packet", To::Drop),
    ("skb", "collect -c skb -P kprobe:__nft_trace_packet", To::Drop),
    ("dev", "collect -c dev -P kprobe:__nft_trace_packet", To::Drop),
    ("ns", "collect -c ns -P kprobe:__nft_trace_packet", To::Drop),
    ("all four and the stack: nft-dropmon", DROPMON, To::Drop),
    ("nft-dropmon, accepted packet", DROPMON, To::Accept),
    ("filter: not `tcp`", "collect -c none -f tcp -P kprobe:__nft_trace_packet", To::Accept),
    (
        "filter: none of two hosts and two ports",
        "collect -c none -f host(10.9.9.1||10.9.9.2)||port(80||443) -P kprobe:__nft_trace_packet",
        To::Accept,
    ),
    ("filter: not `dev.name`", "collect -c none -f dev.name==other -P kprobe:__nft_trace_packet", To::Accept),
    (
        "filter: not `sk_buff.mark`",
        "collect -c none -f sk_buff.mark==7 -P kprobe:__nft_trace_packet",
        To::Accept,
    ),
];
const DROPMON: &str = "-p nft-dropmon collect";

/// Runs the rows whose title or way of attaching has one of the words in it; all of them without words.
pub(crate) fn run(only: &[String]) -> Result<()> {
    let wanted = |title: &str| only.is_empty() || only.iter().any(|word| title.contains(word.as_str()));
    raise_limits();
    let _taker = traffic::listener()?;
    // Neighbours get to know each other.
    To::Drop.packets(10)?;
    for way in [Way::Fentry, Way::Kprobe] {
        println!("\nAttached by {}; µs per hit, medians of {TURNS} times {PACKETS} packets:\n", way.name());
        head();
        for (title, words, to) in MEASURED {
            if wanted(&format!("{title} {}", way.name())) {
                measure(way, title, words, to)?;
            }
        }
    }
    if wanted("tracking") {
        tracking::run()?;
    }
    if wanted("burst") {
        burst::run()?;
    }
    if wanted("chain") {
        long_chain()?;
        println!("\nThe rules of the chain are 5,000 more now:\n");
        head();
        measure(Way::Fentry, "nft-dropmon, accepted packet at the chain's head", DROPMON, To::Accept)?;
        measure(Way::Fentry, "nft-dropmon, dropped packet at the chain's head", DROPMON, To::Drop)?;
    }
    Ok(())
}

fn head() {
    table::head(&["program", "empty", "stack walk", "copy", "floor", "tracer", "/ empty", "/ floor"]);
}

/// One row.
fn measure(way: Way, title: &str, words: &str, to: To) -> Result<()> {
    let words = format!("{words} --attach {}", way.name());
    let mut references = References::load(way, RECORD)?;
    let statistics = enable_statistics().context("this kernel counts no time of programs")?;
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        references.make_room();
        let mut cost = [0.0; 4];
        for (cost, program) in cost.iter_mut().zip(references.programs()) {
            let _link = references.attach(program)?;
            *cost = cost_of(program, to)?;
        }
        let tracer = Tracer::start(&words)?;
        cost[3] = cost_of(&tracer.program()?, to)?;
        tracer.stop()?;
        turns.push(cost);
    }
    drop(statistics);
    let of = |cost: fn(&[f64; 4]) -> f64| median(turns.iter().map(cost).collect());
    table::row(&[
        title.to_owned(),
        us(of(|c| c[0])),
        us(of(|c| c[1])),
        us(of(|c| c[2])),
        us(of(floor)),
        us(of(|c| c[3])),
        times(of(|c| c[3] / c[0])),
        times(of(|c| c[3] / floor(c))),
    ]);
    Ok(())
}

/// Nanoseconds per hit of a program that is attached.
fn cost_of(program: &Program, to: To) -> Result<f64> {
    // The first packets find nothing where it will be later: code, tables, neighbours.
    to.packets(PACKETS / 10)?;
    settle(program)?;
    let before = Counters::of(program)?;
    to.packets(PACKETS)?;
    settle(program)?;
    let after = Counters::of(program)?;
    let (runs, ns) = (after.runs - before.runs, after.ns - before.ns);
    ensure!(runs >= PACKETS, "{} ran {runs} times for {PACKETS} packets", program.name());
    ensure!(runs < 2 * PACKETS, "{} ran {runs} times: something else sends packets", program.name());
    Ok(ns as f64 / runs as f64)
}

/// An empty program, what the stack walk adds to it, and what the copy adds to it.
fn floor([empty, stack, copy, _]: &[f64; 4]) -> f64 {
    stack + copy - empty
}

/// Waits until no packet is on its way any more: on a busy machine the kernel puts some of them off.
pub(crate) fn settle(program: &Program) -> Result<()> {
    let mut runs = Counters::of(program)?.runs;
    loop {
        sleep(Duration::from_millis(50));
        let now = Counters::of(program)?.runs;
        if std::mem::replace(&mut runs, now) == now {
            return Ok(());
        }
    }
}

pub(crate) struct Counters {
    pub(crate) runs: u64,
    pub(crate) ns: u64,
}

impl Counters {
    pub(crate) fn of(program: &Program) -> Result<Counters> {
        let info = program.info()?;
        Ok(Counters { runs: info.run_count, ns: info.run_time_ns })
    }
}

/// Puts 5,000 rules behind those of the chain; no packet gets that far.
fn long_chain() -> Result<()> {
    let mut nft =
        Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().context("cannot start `nft`")?;
    let mut rules = nft.stdin.take().context("nft was started with an input")?;
    for port in 10_001..=15_000 {
        writeln!(rules, "add rule inet bench input tcp dport {port} accept")?;
    }
    drop(rules);
    let status = nft.wait()?;
    ensure!(status.success(), "`nft` failed: {status}");
    Ok(())
}
