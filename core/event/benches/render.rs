//! What an event of `nft-dropmon` costs on its way out: the check of its bytes, its text, its JSON. A plain loop,
//! because what counts is nanoseconds per event on a busy core, and that needs no statistics to be seen:
//! `cargo bench -p tracer-event --bench render`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use tracer_event::sample::{self, dropmon};
use tracer_event::{Clock, Context, Probes, json, text};

fn main() {
    let symbols = dropmon::Table::new();
    let clock = Clock::default();
    let context =
        Context { own_netns: Some(sample::NETNS), symbols: &symbols, clock: &clock, ..sample::CONTEXT };
    let probes = Probes::new(vec![dropmon::probe()]);
    let record = dropmon::record();
    let event = probes.event(&record, &context).expect("the sample is sound");

    measure("parse", || {
        black_box(probes.event(black_box(&record), &context).is_ok());
    });
    let mut out = String::new();
    let mut renderer = text::Renderer::new();
    measure("text", || render(&mut out, |out| renderer.event(out, black_box(&event))));
    measure("text, a new stack", || {
        render(&mut out, |out| text::Renderer::new().event(out, black_box(&event)));
    });
    let mut renderer = json::Renderer::new();
    measure("json", || render(&mut out, |out| renderer.event(out, black_box(&event))));
    println!(
        "{} bytes of text, {} of JSON",
        length(|out| text::Renderer::new().event(out, &event)),
        length(|out| json::Renderer::new().event(out, &event))
    );
}

fn length(event: impl FnOnce(&mut String)) -> usize {
    let mut out = String::new();
    event(&mut out);
    out.len()
}

/// Appends as a sink does: to a buffer that is emptied when it is full.
fn render(out: &mut String, event: impl FnOnce(&mut String)) {
    if out.len() > 1 << 20 {
        out.clear();
    }
    event(out);
}

/// The best of some rounds: what is above it is the machine's other work.
fn measure(what: &str, mut work: impl FnMut()) {
    const ROUND: u32 = 20_000;
    let round = |_| {
        let start = Instant::now();
        (0..ROUND).for_each(|_| work());
        start.elapsed() / ROUND
    };
    let best = (0..50).map(round).min().unwrap_or(Duration::ZERO);
    println!("{what:<24} {:>6} ns", best.as_nanos());
}
