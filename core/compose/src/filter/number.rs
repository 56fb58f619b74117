//! Numbers: how they lie in memory, and how 64 bits of them are compared. BPF has comparisons of both signs, immediates
//! of 32 bits that it extends, and wider ones in an instruction of their own.

use tracer_bpf::{
    Assembler,
    insn::{Alu, Cond, Label, Width},
};
use tracer_dsl::filter::tree::Order;

use super::value::{Memory, and, jump_if, never};

/// How a number lies in memory, on a little-endian machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// Bytes that hold it: 1, 2, 4 or 8, and 1 to 8 for a bitfield.
    pub bytes: u8,
    /// Whether it is sign-extended.
    pub signed: bool,
    /// Whether it is in network order; never so for a bitfield.
    pub big_endian: bool,
    /// Of a bitfield, its lowest bit and its width; `None` for all bits.
    pub field: Option<(u8, u8)>,
}

impl Number {
    /// All bits of that many bytes, in the host's order.
    pub fn plain(bytes: u8, signed: bool) -> Self {
        Self { bytes, signed, big_endian: false, field: None }
    }

    /// Bits of the value.
    pub fn width(self) -> u8 {
        self.field.map_or(8 * self.bytes, |(_, bits)| bits)
    }

    /// Its least and its greatest value.
    pub fn range(self) -> (i128, i128) {
        let values = 1i128 << self.width();
        if self.signed { (-values / 2, values / 2 - 1) } else { (0, values - 1) }
    }

    /// r1 = the number there, extended to 64 bits. Up to 8 bytes must be readable there.
    pub fn load(self, asm: &mut Assembler, from: Memory) {
        // What is read beyond a bitfield is shifted out again.
        let width = match self.bytes {
            1 => Width::B1,
            2 => Width::B2,
            3 | 4 => Width::B4,
            _ => Width::B8,
        };
        asm.load(width, 1, from.register, from.offset);
        if self.big_endian {
            asm.swap_be(width, 1);
        }
        let right = if self.signed { Alu::Arsh } else { Alu::Rsh };
        let (above, below) = match self.field {
            Some((shift, bits)) => (64 - i32::from(shift) - i32::from(bits), 64 - i32::from(bits)),
            None if self.signed => (64 - i32::from(self.width()), 64 - i32::from(self.width())),
            None => (0, 0),
        };
        if above > 0 {
            asm.alu(Alu::Lsh, 1, above);
        }
        if below > 0 {
            asm.alu(right, 1, below);
        }
    }
}

/// A comparison of numbers of 64 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NumberTest {
    pub(super) mask: Option<u64>,
    /// Of the number before the mask; what a mask leaves has no sign.
    pub(super) signed: bool,
    /// Never [`Order::Like`].
    pub(super) order: Order,
    /// Any of them, also such that no number is.
    pub(super) values: Vec<i128>,
}

impl NumberTest {
    /// Of the number in a register from r1 to r5; changes it and r0.
    pub(super) fn emit(&self, asm: &mut Assembler, register: u8, otherwise: Label) {
        if let Some(mask) = self.mask {
            and(asm, register, mask, 0);
        }
        let (least, most) = self.range();
        let mut possible = self.values.iter().filter(|value| (least..=most).contains(value)).map(bits);
        match self.order {
            Order::Unequal => possible.for_each(|value| jump_if(asm, Cond::Eq, register, value, otherwise)),
            Order::Equal | Order::In | Order::Like => {
                let Some(last) = possible.next_back() else { return never(asm, otherwise) };
                let found = asm.label();
                possible.for_each(|value| jump_if(asm, Cond::Eq, register, value, found));
                jump_if(asm, Cond::Ne, register, last, otherwise);
                asm.place(found);
            }
            Order::Less | Order::LessOrEqual | Order::Greater | Order::GreaterOrEqual => {
                self.values.iter().for_each(|value| self.bound(asm, register, *value, otherwise));
            }
        }
    }

    fn range(&self) -> (i128, i128) {
        if self.is_signed() { (i64::MIN.into(), i64::MAX.into()) } else { (0, u64::MAX.into()) }
    }

    fn is_signed(&self) -> bool {
        self.signed && self.mask.is_none()
    }

    fn bound(&self, asm: &mut Assembler, register: u8, value: i128, otherwise: Label) {
        // `<= 5` is `not > 5`: the jump asks for the contrary. A value that no number is settles it.
        let (contrary, signed) = match self.order {
            Order::Less => (Cond::Ge, Cond::Sge),
            Order::LessOrEqual => (Cond::Gt, Cond::Sgt),
            Order::Greater => (Cond::Le, Cond::Sle),
            _ => (Cond::Lt, Cond::Slt),
        };
        let (least, most) = self.range();
        let asks_below = matches!(self.order, Order::Less | Order::LessOrEqual);
        match (value < least, value > most) {
            (true, _) if asks_below => never(asm, otherwise),
            (_, true) if !asks_below => never(asm, otherwise),
            (false, false) => {
                let condition = if self.is_signed() { signed } else { contrary };
                jump_if(asm, condition, register, bits(&value), otherwise);
            }
            // Always.
            _ => {}
        }
    }
}

/// A number of either sign in 64 bits.
fn bits(value: &i128) -> u64 {
    value.cast_unsigned() as u64
}
