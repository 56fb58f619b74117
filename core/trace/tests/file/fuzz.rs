//! Noise: traces with bytes changed, taken out, doubled and cut, half of them with checksums that are right again, so that
//! what lies behind those is reached too. Whatever comes, reading ends, and both readers read the same. The run is
//! bounded and the same each time; TRACER_FUZZ_SECONDS asks for a longer one, of other numbers each time.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use tracer_trace::file::{Show, Trace};
use tracer_trace::{Sink, TextRender, TextSink};

use crate::common::{Folder, block, blocks, rendering, trace};
use crate::traffic::Numbers;

/// Traces of a run without a time.
const ROUNDS: usize = 20_000;

#[test]
fn noise_is_read_or_refused() {
    let seconds = std::env::var("TRACER_FUZZ_SECONDS").ok().map(|s| s.parse().expect("a number of seconds"));
    let start = Instant::now();
    let seed = if seconds.is_some() { u64::from(std::process::id()) } else { 1 };
    let mut n = Numbers(seed);
    let folder = Folder::new();
    let (sound, _) = trace(12);
    let (mut rounds, mut read) = (0, 0);
    let more = |rounds: usize| match seconds {
        Some(seconds) => start.elapsed() < Duration::from_secs(seconds),
        None => rounds < ROUNDS,
    };
    while more(rounds) {
        rounds += 1;
        let mut bytes = sound[..16].to_vec();
        for (_, kind, old) in blocks(&sound) {
            match n.below(8) {
                0 => {
                    let mut payload = old[24..].to_vec();
                    mutate(&mut n, &mut payload);
                    let raw = u32::from_le_bytes(old[12..16].try_into().unwrap()) as usize;
                    let raw = if old[6] == 0 { payload.len() } else { raw };
                    bytes.extend(block(kind, old[6], &payload, raw));
                }
                1 if n.below(4) == 0 => {}
                _ => bytes.extend(old),
            }
        }
        if n.below(2) == 0 {
            mutate(&mut n, &mut bytes);
        }
        let path = folder.file("t", &bytes);
        let Ok(trace) = Trace::open(&path) else { continue };
        let mut text = vec![];
        let mut sink = Box::new(TextSink::new(&mut text));
        let one = trace.replay(&mut *sink, Show::default(), &mut |damage| {
            assert!(!damage.to_string().contains('\n'));
        });
        sink.finish().unwrap();
        read += usize::from(one.is_ok());
        // A thread takes as long to start as all the rest.
        if n.below(16) == 0 {
            let mut other = vec![];
            let one_thread = rendering(NonZeroUsize::MIN);
            let two = trace.render(&TextRender, one_thread, &mut other, &mut |_| {}, &mut |_| {});
            assert_eq!(one.ok(), two.ok(), "seed {seed}, round {rounds}");
            assert!(text == other, "seed {seed}, round {rounds}");
        }
    }
    assert!(read > rounds / 4, "{read} of {rounds}");
    eprintln!("{rounds} traces, {read} of them read, in {:?}", start.elapsed());
}

fn mutate(n: &mut Numbers, bytes: &mut Vec<u8>) {
    for _ in 0..1 + n.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = n.below(bytes.len() as u64) as usize;
        match n.below(8) {
            0 => bytes.truncate(at),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'{', b'9'][n.below(8) as usize],
            2 => drop(bytes.drain(at..(at + n.below(8) as usize).min(bytes.len()))),
            3 => {
                let part = bytes[at..(at + n.below(40) as usize).min(bytes.len())].to_vec();
                bytes.splice(at..at, part);
            }
            4 => bytes[at] = n.next() as u8,
            _ => bytes[at] ^= 1 << n.below(8),
        }
    }
}
