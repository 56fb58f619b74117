//! What an event costs on its way into a capture file, next to its text alone, which becomes the packet's comment. A
//! plain loop, because what counts is nanoseconds per event on a busy core: `cargo bench -p tracer-trace --bench pcapng`.

use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use tracer_event::sample;
use tracer_event::{Clock, ClockSample, Context, Event, Probes, Session, text};
use tracer_trace::pcapng::{Json, NoJson};
use tracer_trace::{PcapngSink, Sink};

fn main() {
    let mut clock = Clock::default();
    clock.add(ClockSample { monotonic: 0, realtime: 1_700_000_000_000_000_000 });
    let context =
        Context { own_netns: Some(sample::NETNS), symbols: &sample::Names, clock: &clock, ..sample::CONTEXT };
    let probes = Probes::new(vec![sample::probe()]);
    let record = sample::record();
    let event = probes.event(&record, &context).expect("the sample is sound");

    let mut out = String::new();
    measure("text", || {
        out.clear();
        text::write(&mut out, black_box(&event)).expect("a string takes all");
    });
    write("pcapng", NoJson, &event);
    write("pcapng, JSON of 600 bytes", Ready("x".repeat(600)), &event);
}

/// Measures a capture file, and says how much of it an event takes.
fn write(what: &str, json: impl Json + Send + 'static, event: &Event<'_>) {
    let (mut bytes, mut events) = (Bytes(0), 0_u64);
    let mut sink = PcapngSink::new(&mut bytes, json);
    measure(what, || {
        events += 1;
        sink.event(black_box(event)).expect("it takes all");
    });
    sink.flush().expect("it takes all");
    drop(sink);
    println!("{:<28} {:>6} bytes", "", bytes.0 / events);
}

/// Takes all, and counts it.
struct Bytes(u64);

impl io::Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// JSON that takes no time to make.
struct Ready(String);

impl Json for Ready {
    fn session(&mut self, _: &mut String, _: &Session) {}

    fn event(&mut self, out: &mut String, _: &Event<'_>) {
        out.push_str(&self.0);
    }
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
    println!("{what:<28} {:>6} ns", best.as_nanos());
}
