//! Tests on bytes, run: what libpcap's programs do. They are asked from left to right and no further than needed, because one
//! that reads beyond the data ends all.

use tracer_dsl::filter::bytes::{CHAIN_AH, CHAIN_BYTES, CHAIN_MAX, CHAIN_OPTIONS, Load, Number, Test};
use tracer_dsl::filter::tree::{Operator, Order};

use super::frame::{Beyond, Frame};

impl Frame<'_> {
    /// Whether a test holds.
    pub(super) fn holds(&self, test: &Test) -> Result<bool, Beyond> {
        match test {
            Test::Not(inside) => Ok(!self.holds(inside)?),
            Test::All(parts) => {
                for part in parts {
                    if !self.holds(part)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Test::Any(parts) => {
                for part in parts {
                    if self.holds(part)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Test::Compare { load, mask, order, value } => {
                Ok(compare(self.read(*load, 0)? & mask, *order, *value))
            }
            Test::Chain { network, six, protocol } => self.chain(*network, *six, *protocol),
            Test::Relation { left, order, right } => {
                let left = self.value(left)?;
                Ok(compare(left, *order, self.value(right)?))
            }
        }
    }

    fn read(&self, load: Load, index: u32) -> Result<u32, Beyond> {
        let mut index = index;
        if let Some(header) = load.behind_ipv4 {
            // As libpcap adds them: in 32 bits.
            index = index.wrapping_add(4 * (self.number(header, 1)? & 0xf));
        }
        let index = usize::try_from(index).map_err(|_| Beyond)?;
        self.number(load.offset.checked_add(index).ok_or(Beyond)?, load.size)
    }

    /// Whether one of the headers behind IP's has the number. What is beyond the bounds is beyond the data.
    fn chain(&self, network: usize, six: bool, protocol: u8) -> Result<bool, Beyond> {
        let (mut next, mut at) = match six {
            true => (self.number(network + 6, 1)?, 40),
            false => {
                let next = self.number(network + 9, 1)?;
                (next, 4 * (self.number(network, 1)? & 0xf) as usize)
            }
        };
        for headers in 0.. {
            let options = six && CHAIN_OPTIONS.iter().any(|known| u32::from(*known) == next);
            let authentication = next == u32::from(CHAIN_AH);
            if next == u32::from(protocol) {
                return Ok(true);
            }
            if !options && !authentication {
                return Ok(false);
            }
            if headers == CHAIN_MAX || at + 2 > CHAIN_BYTES {
                return Err(Beyond);
            }
            let length = self.number(network + at + 1, 1)? as usize;
            next = self.number(network + at, 1)?;
            at += if options { 8 * (length + 1) } else { 4 * (length + 2) };
        }
        Err(Beyond)
    }

    fn value(&self, number: &Number) -> Result<u32, Beyond> {
        Ok(match number {
            Number::Constant(number) => *number,
            Number::Length => self.length(),
            Number::Load { load, index } => {
                let index = self.value(index)?;
                self.read(*load, index)?
            }
            Number::Negative(number) => self.value(number)?.wrapping_neg(),
            Number::Binary(operator, left, right) => {
                let left = self.value(left)?;
                binary(*operator, left, self.value(right)?)?
            }
        })
    }
}

fn binary(operator: Operator, left: u32, right: u32) -> Result<u32, Beyond> {
    Ok(match operator {
        Operator::Add => left.wrapping_add(right),
        Operator::Subtract => left.wrapping_sub(right),
        Operator::Multiply => left.wrapping_mul(right),
        // A division by zero ends libpcap's program too.
        Operator::Divide => left.checked_div(right).ok_or(Beyond)?,
        Operator::Remainder => left.checked_rem(right).ok_or(Beyond)?,
        Operator::And => left & right,
        Operator::Or => left | right,
        Operator::Xor => left ^ right,
        Operator::ShiftLeft => left.checked_shl(right).unwrap_or(0),
        Operator::ShiftRight => left.checked_shr(right).unwrap_or(0),
    })
}

fn compare(left: u32, order: Order, right: u32) -> bool {
    match order {
        Order::Unequal => left != right,
        Order::Less => left < right,
        Order::LessOrEqual => left <= right,
        Order::Greater => left > right,
        Order::GreaterOrEqual => left >= right,
        Order::Equal | Order::In | Order::Like => left == right,
    }
}
