//! Arithmetic on a packet's bytes. All of a relation's reads must be inside the data, whichever is first, so the part that
//! takes more room for numbers in between is computed first; the stack then holds few of them.

use tracer_bpf::insn::{Alu, Cond, Width};
use tracer_dsl::filter::bytes::{Load, Number};
use tracer_dsl::filter::tree::{Operator, Order};

use super::code::{BLOCK, BYTES, Code, Dead, FRAME, HEADER_LEN, SCRATCH, VALUE, cond, width};
use super::graph::{Goal, fixed};
use super::{FIRST, LENGTH, PacketError};

/// Numbers that are kept on the stack, of 8 bytes each. As many make an expression of 2^14 parts, which no text has.
const KEPT_MAX: usize = 14;

/// Each number in a number, itself included.
pub(super) fn each<'n>(number: &'n Number, note: &mut impl FnMut(&'n Number)) {
    note(number);
    match number {
        Number::Constant(_) | Number::Length => {}
        // The index of a fixed one is none of its own.
        Number::Load { .. } if fixed(number).is_some() => {}
        Number::Load { index: inside, .. } | Number::Negative(inside) => each(inside, note),
        Number::Binary(_, left, right) => {
            each(left, note);
            each(right, note);
        }
    }
}

/// Numbers that have to be kept while this one is computed.
fn room(number: &Number) -> usize {
    match number {
        Number::Constant(_) | Number::Length => 0,
        Number::Load { .. } if fixed(number).is_some() => 0,
        Number::Load { index: inside, .. } | Number::Negative(inside) => room(inside),
        Number::Binary(_, left, right) if is_simple(right) => room(left),
        Number::Binary(_, left, right) => {
            let (left, right) = (room(left), room(right));
            if left == right { left + 1 } else { left.max(right) }
        }
    }
}

/// Whether it can be computed beside another one.
fn is_simple(number: &Number) -> bool {
    matches!(number, Number::Constant(_) | Number::Length) || fixed(number).is_some()
}

impl Code {
    pub(super) fn relation(
        &mut self,
        left: &Number,
        order: Order,
        right: &Number,
        goals: (Goal, Goal, Goal),
    ) -> Result<Result<(), Dead>, PacketError> {
        if room(left).max(room(right)) + 1 > KEPT_MAX {
            return Err(PacketError::Deep);
        }
        if let Number::Constant(value) = right {
            return Ok(self.number(left, 0).map(|()| self.branch(cond(order), VALUE, *value, goals)));
        }
        Ok(self.both(left, right, 0).map(|()| {
            self.either(cond(order), goals, |asm, cond, to| asm.jump32_if_reg(cond, VALUE, SCRATCH, to));
        }))
    }

    /// Computes a number into [`VALUE`], in 32 bits; `kept` are on the stack already.
    fn number(&mut self, number: &Number, kept: usize) -> Result<(), Dead> {
        match number {
            Number::Binary(operator, left, right) => match &**right {
                Number::Constant(right) => {
                    self.number(left, kept)?;
                    self.constant(*operator, *right)
                }
                right => {
                    self.both(left, right, kept)?;
                    self.binary(*operator);
                    Ok(())
                }
            },
            Number::Negative(inside) => {
                self.number(inside, kept)?;
                self.asm.negate32(VALUE);
                Ok(())
            }
            Number::Load { load, index } if !is_simple(number) => {
                self.number(index, kept)?;
                self.indexed(*load)
            }
            simple => self.simple(simple, VALUE),
        }
    }

    /// The left one into [`VALUE`], the right one into [`SCRATCH`].
    fn both(&mut self, left: &Number, right: &Number, kept: usize) -> Result<(), Dead> {
        if is_simple(right) {
            self.number(left, kept)?;
            return self.simple(right, SCRATCH);
        }
        // At most 14 * 8.
        let place = -8 * i16::try_from(kept + 1).map_err(|_| Dead)?;
        if room(left) >= room(right) {
            self.number(left, kept)?;
            self.asm.store(Width::B8, 10, place, VALUE);
            self.number(right, kept + 1)?;
            self.asm.mov_reg(SCRATCH, VALUE);
            self.asm.load(Width::B8, VALUE, 10, place);
        } else {
            self.number(right, kept)?;
            self.asm.store(Width::B8, 10, place, VALUE);
            self.number(left, kept + 1)?;
            self.asm.load(Width::B8, SCRATCH, 10, place);
        }
        Ok(())
    }

    fn simple(&mut self, number: &Number, into: u8) -> Result<(), Dead> {
        match number {
            Number::Constant(number) => self.asm.alu32(Alu::Mov, into, number.cast_signed()),
            Number::Length => self.asm.load(Width::B4, into, BLOCK, LENGTH),
            other => {
                let load = fixed(other).ok_or(Dead)?;
                let register = self.read(load, into)?;
                if register != into {
                    self.asm.mov_reg(into, register);
                }
                self.asm.swap_be(width(load.size), into);
            }
        }
        Ok(())
    }

    /// Reads at the place that [`VALUE`] says.
    fn indexed(&mut self, load: Load) -> Result<(), Dead> {
        let (offset, size) = (u32::try_from(load.offset).map_err(|_| Dead)?, u32::from(load.size));
        if offset.checked_add(size).is_none_or(|end| end > self.window) {
            return Err(Dead);
        }
        if let Some(header) = load.behind_ipv4 {
            self.header(header)?;
            self.asm.alu32_reg(Alu::Add, VALUE, HEADER_LEN);
        }
        self.asm.alu(Alu::Add, VALUE, offset.cast_signed());
        // The first bound is for the verifier, which does not know how the size is bounded.
        self.asm.jump_if(Cond::Gt, VALUE, (self.window - size).cast_signed(), self.fails);
        self.asm.mov_reg(SCRATCH, VALUE);
        self.asm.alu(Alu::Add, SCRATCH, size.cast_signed());
        self.asm.jump_if_reg(Cond::Gt, SCRATCH, BYTES, self.fails);
        if !self.all_known(offset) {
            self.asm.load(Width::B4, SCRATCH, BLOCK, FIRST);
            self.asm.jump_if_reg(Cond::Gt, SCRATCH, VALUE, self.fails);
        }
        self.asm.mov_reg(SCRATCH, FRAME);
        self.asm.alu_reg(Alu::Add, SCRATCH, VALUE);
        self.asm.load(width(load.size), VALUE, SCRATCH, 0);
        self.asm.swap_be(width(load.size), VALUE);
        Ok(())
    }

    fn constant(&mut self, operator: Operator, right: u32) -> Result<(), Dead> {
        match (operator, right) {
            (Operator::Divide | Operator::Remainder, 0) => return Err(Dead),
            (Operator::ShiftLeft | Operator::ShiftRight, 32..) => self.asm.mov(VALUE, 0),
            _ => self.asm.alu32(alu(operator), VALUE, right.cast_signed()),
        }
        Ok(())
    }

    fn binary(&mut self, operator: Operator) {
        match operator {
            Operator::Divide | Operator::Remainder => {
                self.asm.jump32_if(Cond::Eq, SCRATCH, 0, self.fails);
            }
            // The machine counts the lower 5 bits only; 0 stays 0, whatever they are.
            Operator::ShiftLeft | Operator::ShiftRight => {
                let fine = self.asm.label();
                self.asm.jump32_if(Cond::Lt, SCRATCH, 32, fine);
                self.asm.mov(VALUE, 0);
                self.asm.place(fine);
            }
            _ => {}
        }
        self.asm.alu32_reg(alu(operator), VALUE, SCRATCH);
    }
}

fn alu(operator: Operator) -> Alu {
    match operator {
        Operator::Add => Alu::Add,
        Operator::Subtract => Alu::Sub,
        Operator::Multiply => Alu::Mul,
        Operator::Divide => Alu::Div,
        Operator::Remainder => Alu::Mod,
        Operator::And => Alu::And,
        Operator::Or => Alu::Or,
        Operator::Xor => Alu::Xor,
        Operator::ShiftLeft => Alu::Lsh,
        Operator::ShiftRight => Alu::Rsh,
    }
}
