//! Tests on bytes, run: what libpcap's programs do. They are asked from left to right and no further than needed, because one
//! that reads beyond the data ends all.

use tracer_dsl::filter::bytes::{Load, Number, Test};
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
