//! 20,000 dropped packets as fast as they can be sent, with the default ring: how many of them tracer loses.

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::{table, traced::Tracer, traffic::To};

/// Packets of a burst.
const PACKETS: u64 = 20_000;
/// How often it is repeated, each time with a new tracer.
const BURSTS: u32 = 3;

pub(crate) fn run() -> Result<()> {
    println!("\nA burst of {PACKETS} dropped packets, default ring, text into a file:\n");
    table::head(&["burst", "µs per packet", "events", "lost", "lost %"]);
    for burst in 1..=BURSTS {
        let tracer = Tracer::start("-p nft-dropmon collect")?;
        let start = Instant::now();
        To::Drop.packets(PACKETS)?;
        let per_packet = start.elapsed().as_secs_f64() * 1e6 / PACKETS as f64;
        let said = tracer.stop()?;
        let delivered = before(&said, "delivered")?;
        let lost = before(&said, "lost; ")?;
        let share = lost as f64 * 100.0 / PACKETS as f64;
        table::row(&[
            burst.to_string(),
            format!("{per_packet:.0}"),
            delivered.to_string(),
            lost.to_string(),
            format!("{share:.1}"),
        ]);
    }
    Ok(())
}

/// The number before a word in the tracer's account.
fn before(said: &str, word: &str) -> Result<u64> {
    let number = said.find(&format!(" {word}")).and_then(|at| said[..at].split_whitespace().next_back());
    let number = number.and_then(|n| n.parse().ok());
    number.with_context(|| format!("the tracer's account has no number before `{word}`: {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_an_account() {
        let said =
            "tracer: kprobe:f/stack: 5 hits = 1 filtered + 3 delivered + 1 lost; 0 more missed by the kernel";
        assert_eq!(before(said, "delivered").unwrap(), 3);
        assert_eq!(before(said, "lost; ").unwrap(), 1);
        assert!(before(said, "limited").is_err());
    }
}
