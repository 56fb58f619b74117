//! A packet sub-expression as tests on bytes: what libpcap's programs do, as a tree. Tests are asked from left to right and
//! no further than needed, because one that reads beyond the data ends all.

use tracer_dsl::filter::tree::{Operator, Order};

use super::frame::{Beyond, Frame};

/// What is asked of a packet.
#[derive(Debug, Clone)]
pub(super) enum Test {
    Not(Box<Test>),
    All(Vec<Test>),
    Any(Vec<Test>),
    /// The number there, of which the bits of `mask` count, against another.
    Compare {
        load: Load,
        mask: u32,
        order: Order,
        value: u32,
    },
    Relation {
        left: Number,
        order: Order,
        right: Number,
    },
}

/// Where a number of 1, 2 or 4 bytes stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Bytes from the start of the frame.
    pub(super) offset: usize,
    /// Where the IPv4 header begins whose length is to be added.
    pub(super) behind_ipv4: Option<usize>,
    pub(super) size: u8,
}

/// A number that is computed, in 32 unsigned bits.
#[derive(Debug, Clone)]
pub(super) enum Number {
    Constant(u32),
    Length,
    Load { load: Load, index: Box<Number> },
    Negative(Box<Number>),
    Binary(Operator, Box<Number>, Box<Number>),
}

impl Test {
    pub(super) fn holds(&self, frame: &Frame<'_>) -> Result<bool, Beyond> {
        match self {
            Test::Not(inside) => Ok(!inside.holds(frame)?),
            Test::All(parts) => {
                for part in parts {
                    if !part.holds(frame)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Test::Any(parts) => {
                for part in parts {
                    if part.holds(frame)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Test::Compare { load, mask, order, value } => {
                Ok(compare(load.read(frame, 0)? & mask, *order, *value))
            }
            Test::Relation { left, order, right } => {
                let left = left.value(frame)?;
                Ok(compare(left, *order, right.value(frame)?))
            }
        }
    }
}

impl Load {
    fn read(self, frame: &Frame<'_>, index: u32) -> Result<u32, Beyond> {
        let mut index = index;
        if let Some(header) = self.behind_ipv4 {
            // As libpcap adds them: in 32 bits.
            index = index.wrapping_add(4 * (frame.number(header, 1)? & 0xf));
        }
        let index = usize::try_from(index).map_err(|_| Beyond)?;
        frame.number(self.offset.checked_add(index).ok_or(Beyond)?, self.size)
    }
}

impl Number {
    fn value(&self, frame: &Frame<'_>) -> Result<u32, Beyond> {
        Ok(match self {
            Number::Constant(number) => *number,
            Number::Length => frame.length(),
            Number::Load { load, index } => {
                let index = index.value(frame)?;
                load.read(frame, index)?
            }
            Number::Negative(number) => number.value(frame)?.wrapping_neg(),
            Number::Binary(operator, left, right) => {
                let left = left.value(frame)?;
                binary(*operator, left, right.value(frame)?)?
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
