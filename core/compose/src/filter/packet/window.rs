//! How many bytes of a frame a test can look at, so that no more are read in the kernel: numbers are bounded by what is
//! done with them.

use tracer_dsl::filter::bytes::{CHAIN_BYTES, FRAME_MAX, Load, Number, Test};
use tracer_dsl::filter::tree::Operator;

/// The most that an IPv4 header has.
const IPV4_MAX: u64 = 60;

/// Bytes of the frame that a test can look at, at most [`FRAME_MAX`].
pub(crate) fn window(test: &Test) -> u32 {
    let bytes = u64::try_from(FRAME_MAX).unwrap_or(u64::MAX).min(of_test(test));
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn of_test(test: &Test) -> u64 {
    match test {
        Test::Not(inside) => of_test(inside),
        Test::All(parts) | Test::Any(parts) => parts.iter().map(of_test).max().unwrap_or(0),
        Test::Compare { load, .. } => end(*load, Range::constant(0)),
        Test::Chain { network, .. } => u64::try_from(network + CHAIN_BYTES).unwrap_or(u64::MAX),
        Test::Relation { left, right, .. } => of_number(left).1.max(of_number(right).1),
    }
}

/// What a 32-bit number can be, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    from: u64,
    to: u64,
}

impl Range {
    const ALL: Range = Range { from: 0, to: u32::MAX as u64 };

    fn constant(number: u32) -> Range {
        Range { from: number.into(), to: number.into() }
    }

    /// All numbers, where these would wrap.
    fn new(from: u64, to: u64) -> Range {
        if to > Range::ALL.to { Range::ALL } else { Range { from, to } }
    }

    fn value(self) -> Option<u32> {
        u32::try_from(self.from).ok().filter(|_| self.from == self.to)
    }
}

/// Where a read ends at most.
fn end(load: Load, index: Range) -> u64 {
    let index = match load.behind_ipv4 {
        // Added in 32 bits.
        Some(_) => Range::new(index.from, index.to + IPV4_MAX),
        None => index,
    };
    u64::try_from(load.offset).unwrap_or(u64::MAX).saturating_add(index.to).saturating_add(load.size.into())
}

/// What the number can be, and where its reads end at most.
fn of_number(number: &Number) -> (Range, u64) {
    match number {
        Number::Constant(number) => (Range::constant(*number), 0),
        Number::Length => (Range::ALL, 0),
        Number::Load { load, index } => {
            let (index, seen) = of_number(index);
            let value = Range::new(0, (1 << (8 * u64::from(load.size))) - 1);
            // The header whose length is added ends before its payload begins.
            (value, seen.max(end(*load, index)))
        }
        Number::Negative(inside) => {
            let (range, seen) = of_number(inside);
            (range.value().map_or(Range::ALL, |value| Range::constant(value.wrapping_neg())), seen)
        }
        Number::Binary(operator, left, right) => {
            let ((left, seen), (right, more)) = (of_number(left), of_number(right));
            (binary(*operator, left, right), seen.max(more))
        }
    }
}

fn binary(operator: Operator, left: Range, right: Range) -> Range {
    // The greatest number with as many bits.
    let bits = |range: Range| (range.to + 1).next_power_of_two() - 1;
    match operator {
        Operator::Add => Range::new(left.from + right.from, left.to + right.to),
        Operator::Subtract if left.from >= right.to => Range::new(left.from - right.to, left.to - right.from),
        Operator::Subtract => Range::ALL,
        Operator::Multiply => Range::new(left.from * right.from, left.to * right.to),
        Operator::Divide => Range::new(left.from / right.to.max(1), left.to / right.from.max(1)),
        Operator::Remainder => Range::new(0, left.to.min(right.to.saturating_sub(1))),
        Operator::And => Range::new(0, left.to.min(right.to)),
        Operator::Or | Operator::Xor => Range::new(0, bits(left).max(bits(right))),
        // What is shifted by 32 bits and more is 0.
        Operator::ShiftLeft if right.to < 32 => Range::new(left.from << right.from, left.to << right.to),
        Operator::ShiftLeft => Range::ALL,
        Operator::ShiftRight => Range::new(0, left.to >> right.from.min(32)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> u32 {
        let filter: tracer_dsl::filter::Filter = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        window(&filter.packet().unwrap())
    }

    #[test]
    fn filters_look_no_further_than_they_can() {
        for (text, bytes) in [
            ("len > 5", 0),
            ("ether src 02:42:ac:10:2a:01", 12),
            ("ip", 14),
            ("host 10.0.0.1", 42),
            ("tcp port 80", 14 + 60 + 4),
            ("vlan and tcp port 80", 18 + 60 + 4),
            ("ip[8:2] > 1", 24),
            ("tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420", 14 + 60 + 60 + 4),
            ("ip[2:2] - ((ip[0] & 0xf) << 2) > 1000", 18),
            ("ether[ip[0] * 2] = 1", 511),
            ("ether[len] = 1", 4096),
            ("ether[ip[0] - 200] = 1", 4096),
            ("ether[5 - 2] = 1", 4),
            ("ether[100 / ip[0]] = 1", 101),
            ("ether[ip[0] % 8 | 5 ^ 9] = 1", 16),
            ("ether[1 << (ip[0] & 7)] = 1", 129),
            ("ether[5000] = 1", 4096),
            ("ip6 protochain 6", 14 + 512),
        ] {
            assert_eq!(of(text), bytes, "{text}");
        }
    }
}
