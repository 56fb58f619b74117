//! How large a filter may be at a probe, so that the kernel's verifier takes every one that is taken here. It follows a million
//! instructions of a program at most (`BPF_COMPLEXITY_LIMIT_INSNS`), turn by turn in loops, and keeps 8,192 branches that it
//! has still to look at (`BPF_COMPLEXITY_LIMIT_JMP_SEQ`, both of include/linux/bpf.h and kernel/bpf/verifier.c). What the
//! collectors' readers take of that is a small part.

use super::condition::Condition;
use super::packet::{Block, INSNS_MAX, PacketError, window};
use crate::fragment::Reader;

/// The most instructions of all packet sub-expressions at a probe together.
pub const PACKETS_MAX: usize = 2 * INSNS_MAX;

/// The most patterns with `*` or `?` elsewhere than at their end. One takes up to 3,300 of the instructions that the verifier
/// follows, for a text behind a pointer.
pub const PATTERNS_MAX: usize = 100;

/// The most values of all comparisons at a probe together.
pub const VALUES_MAX: usize = 1024;

/// Why a filter is not taken at a probe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// One packet sub-expression.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// All of them.
    #[error("the packet filters at one probe take {0} BPF instructions together; {PACKETS_MAX} are taken")]
    Packets(usize),
    /// Patterns.
    #[error(
        "there are {0} patterns at one probe; {PATTERNS_MAX} are taken, those that only end in `*` aside"
    )]
    Patterns(usize),
    /// Values.
    #[error("the comparisons at one probe have {0} values; {VALUES_MAX} are taken")]
    Values(usize),
}

/// Checks what is asked at a probe; `packet` is what reads packets there.
///
/// # Errors
/// It is more than the verifier surely takes.
pub fn check_size(conditions: &[Condition<'_>], packet: Option<&Reader>) -> Result<(), TooLarge> {
    let leaves = || conditions.iter().flat_map(Condition::leaves);
    let tests = leaves().filter_map(|leaf| match leaf {
        Condition::Packet(test) => Some(test),
        _ => None,
    });
    let tests: Vec<_> = tests.collect();
    if let (Some(widest), Some(reader)) = (tests.iter().map(|test| window(test)).max(), packet) {
        let block = Block::new(&reader.schema, widest)?;
        let mut insns = 0;
        for test in tests {
            insns += block.test(test)?.len();
        }
        if insns > PACKETS_MAX {
            return Err(TooLarge::Packets(insns));
        }
    }
    let (mut patterns, mut values) = (0, 0);
    for leaf in leaves() {
        let (more_patterns, more_values) = match leaf {
            Condition::Kernel { test, .. } => test.counts(),
            Condition::Value(_, test) => test.counts(),
            _ => (0, 0),
        };
        patterns += more_patterns;
        values += more_values;
    }
    if patterns > PATTERNS_MAX {
        return Err(TooLarge::Patterns(patterns));
    }
    if values > VALUES_MAX {
        return Err(TooLarge::Values(values));
    }
    Ok(())
}
