//! A fragment's function alone: a program that gives it its arguments and memory of exactly the size that is its own, and does
//! nothing else. What the verifier accepts here stays within its own section in any composed program, where more memory lies
//! on both sides. The function is called, never put in place, so that it cannot lead elsewhere either.

use tracer_bpf::{
    Assembler,
    insn::{Alu, Cond, PSEUDO_MAP_VALUE, Width},
};

use super::{Call, Callee, Driver, offset};
use crate::{
    alone::AloneShape,
    arguments::Origin,
    error::ComposeError,
    fragment::From,
    shape::{Attach, MapRef},
};

/// Words of a raw tracepoint's context that any program may read.
const WORDS: usize = 12;

pub(crate) fn generate(shape: &AloneShape<'_>) -> Result<Driver, ComposeError> {
    let mut g = Generator { asm: Assembler::default(), shape };
    // The struct ends where the stack does: a function that goes beyond it is refused.
    let base = -offset(shape.wants.size.next_multiple_of(8))?;
    g.asm.mov_reg(6, 1);
    for at in (base..0).step_by(8) {
        g.asm.store_imm(Width::B8, 10, at, 0);
    }
    for (number, want) in shape.wants.members.iter().enumerate() {
        match &want.from {
            From::Option(name) => g.asm.load64(2, shape.constants.get(name).copied().unwrap_or(0)),
            From::Symbol(name) => g.asm.load64(2, shape.symbols.get(name).copied().unwrap_or(0)),
            From::Argument(ty) => match (shape.arguments, shape.arguments.and_then(|all| all.index(ty))) {
                (Some(_), Some(index)) => g.argument(index)?,
                (Some(_), None) => continue,
                // Any number that there may be: what is known of a kprobe's arguments.
                (None, _) => {
                    g.asm.load(Width::B8, 2, 6, offset(8 * u32::try_from(number % WORDS).unwrap_or(0))?);
                }
            },
            From::Parameter(_) | From::Returned => continue,
        }
        let width = Width::from_bytes(want.size).ok_or(ComposeError::Offset(want.size))?;
        g.asm.store(width, 10, base + offset(want.offset)?, 2);
    }
    let mut maps = Vec::new();
    if shape.memory.is_some() {
        maps.push((g.asm.here(), MapRef::Slots));
        g.asm.load_pseudo(2, PSEUDO_MAP_VALUE, 0, 0);
    }
    g.asm.mov_reg(1, 10);
    g.asm.alu(Alu::Add, 1, i32::from(base));
    let callee = Callee::Fragment { fragment: 0, function: shape.function.to_owned() };
    let calls = vec![Call { at: g.asm.call_function(), callee }];
    // What it returns: who runs the program sees how many bytes it says it used. A trampoline's program must return 0, and is only
    // verified.
    if shape.arguments.is_some() {
        g.asm.mov(0, 0);
    }
    g.asm.exit();
    let parts = vec![(0, "a function alone".to_owned())];
    let (functions, inlined) = (Vec::new(), Vec::new());
    Ok(Driver { insns: g.asm.finish()?, calls, functions, inlined, maps, parts })
}

struct Generator<'a> {
    asm: Assembler,
    shape: &'a AloneShape<'a>,
}

impl Generator<'_> {
    /// r2 = an argument, by its type.
    fn argument(&mut self, index: usize) -> Result<(), ComposeError> {
        match self.shape.arguments.and_then(|all| all.at(index)).map(|argument| argument.origin) {
            Some(Origin::Parameter(n)) => {
                let from = self.shape.attach.parameter(n).ok_or(ComposeError::Parameter(n))?;
                self.asm.load(Width::B8, 2, 6, from);
            }
            // Origins lead to arguments before them.
            Some(Origin::Derived { from, offset: member }) => {
                let null = self.asm.label();
                self.argument(from)?;
                if self.shape.attach == Attach::TpBtf {
                    self.asm.jump_if(Cond::Eq, 2, 0, null);
                }
                self.asm.load(Width::B8, 2, 2, offset(member)?);
                self.asm.place(null);
            }
            None => self.asm.mov(2, 0),
        }
        Ok(())
    }
}
