//! Where a function's arguments come from: the context, a pointer read through another, a constant.

use tracer_bpf::insn::{Alu, Cond, Width};

use super::{Generator, PT_REGS, SP, helper, imm, offset};
use crate::{
    arguments::Origin,
    error::ComposeError,
    fragment::{Build, From, Wants},
};

impl Generator<'_> {
    /// Whether an argument has its place on the stack. One that the context holds is loaded from there each time:
    /// that is as near. Only where a guard may put NULL in its stead does it need a place.
    pub(super) fn is_kept(&self, index: usize, origin: &Origin) -> bool {
        let arguments = self.shape.arguments;
        let mut withheld = self.shape.guards.iter().filter_map(|g| arguments.index(g.withhold.as_ref()?));
        let in_context = match origin {
            Origin::Parameter(n) => self.shape.attach.parameter(*n).is_some(),
            Origin::Derived { .. } => false,
        };
        !in_context || withheld.any(|w| w == index)
    }

    /// An argument that was fetched, into a register.
    pub(super) fn load_argument(&mut self, register: u8, index: usize) -> Result<(), ComposeError> {
        match self.shape.arguments.at(index).map(|a| &a.origin) {
            Some(origin @ Origin::Parameter(n)) if !self.is_kept(index, origin) => {
                let from = self.shape.attach.parameter(*n).ok_or(ComposeError::Parameter(*n))?;
                self.asm.load(Width::B8, register, 6, from);
            }
            _ => self.asm.load(Width::B8, register, 10, Self::argument(index)),
        }
        Ok(())
    }

    /// Puts an argument on the stack if it is kept there, and before it those that it is derived from.
    pub(super) fn fetch(&mut self, index: usize) -> Result<(), ComposeError> {
        let Some(argument) = self.shape.arguments.at(index) else { return Ok(()) };
        if std::mem::replace(&mut self.fetched[index], true) {
            return Ok(());
        }
        let at = Self::argument(index);
        match argument.origin {
            Origin::Parameter(_) if !self.is_kept(index, &argument.origin) => {}
            Origin::Parameter(n) => match self.shape.attach.parameter(n) {
                Some(from) => {
                    self.asm.load(Width::B8, 1, 6, from);
                    self.asm.store(Width::B8, 10, at, 1);
                }
                None => self.fetch_from_stack(n, at)?,
            },
            Origin::Derived { from, offset: member } => {
                self.fetch(from)?;
                self.nullable[index] = self.nullable[from];
                if self.shape.build == Build::Direct {
                    let null = self.asm.label();
                    self.load_argument(1, from)?;
                    if self.nullable[from] {
                        self.asm.jump_if(Cond::Eq, 1, 0, null);
                    }
                    // A null or stale pointer reads as 0: the kernel handles the fault.
                    self.asm.load(Width::B8, 1, 1, offset(member)?);
                    self.asm.place(null);
                    self.asm.store(Width::B8, 10, at, 1);
                } else {
                    self.asm.mov_reg(1, 10);
                    self.asm.alu(Alu::Add, 1, i32::from(at));
                    self.asm.mov(2, 8);
                    self.load_argument(3, from)?;
                    self.asm.alu(Alu::Add, 3, imm(member));
                    self.asm.call(helper::PROBE_READ_KERNEL);
                }
            }
        }
        Ok(())
    }

    /// A parameter that the caller put on the stack, above the return address, because registers were used up.
    fn fetch_from_stack(&mut self, n: u8, at: i16) -> Result<(), ComposeError> {
        let above = n.checked_sub(PT_REGS.len() as u8).map(|n| 8 * (i32::from(n) + 1));
        let (Some(sp), Some(above)) = (SP, above) else { return Err(ComposeError::Parameter(n)) };
        self.asm.mov_reg(1, 10);
        self.asm.alu(Alu::Add, 1, i32::from(at));
        self.asm.mov(2, 8);
        self.asm.load(Width::B8, 3, 6, sp);
        self.asm.alu(Alu::Add, 3, above);
        self.asm.call(helper::PROBE_READ_KERNEL);
        Ok(())
    }

    /// Builds the argument struct of the next call below the arguments; r1 points at it.
    pub(super) fn arguments(&mut self, fragment: usize, wants: &Wants) -> Result<(), ComposeError> {
        self.arguments_with(fragment, wants, None)
    }

    /// The same with another value of one option.
    pub(super) fn arguments_with(
        &mut self,
        fragment: usize,
        wants: &Wants,
        option: Option<(&str, u64)>,
    ) -> Result<(), ComposeError> {
        let size = i16::try_from(wants.size.next_multiple_of(8)).unwrap_or(i16::MAX);
        let base = Self::argument(self.fetched.len()) + 8 - size;
        let mut indices = Vec::new();
        for want in &wants.members {
            let index = want.argument().and_then(|ty| self.shape.arguments.index(ty));
            if let Some(index) = index {
                self.fetch(index)?;
            }
            indices.push(index);
        }
        // Gaps in the struct, and what cannot be had, are part of what the function may read.
        for word in 0..size / 8 {
            let filled = wants.members.iter().zip(&indices).any(|(want, index)| {
                let said = index.is_some() || !matches!(want.from, From::Argument(_));
                said && want.size == 8 && want.offset == u32::from((8 * word).unsigned_abs())
            });
            if !filled {
                self.asm.store_imm(Width::B8, 10, base + 8 * word, 0);
            }
        }
        for (want, index) in wants.members.iter().zip(indices) {
            let width = Width::from_bytes(want.size).ok_or(ComposeError::Offset(want.size))?;
            match (index, &want.from) {
                (Some(index), _) => self.load_argument(1, index)?,
                // Constants: the verifier knows them and removes what they rule out.
                (None, From::Option(name)) => {
                    let other = option.filter(|(other, _)| other == name).map(|(_, value)| value);
                    self.asm.load64(1, other.unwrap_or_else(|| self.shape.constant(fragment, name)));
                }
                (None, From::Symbol(name)) => self.asm.load64(1, self.shape.symbol(name)),
                (None, From::Argument(_) | From::Parameter(_) | From::Returned) => continue,
            }
            self.asm.store(width, 10, base + offset(want.offset)?, 1);
        }
        self.asm.mov_reg(1, 10);
        self.asm.alu(Alu::Add, 1, i32::from(base));
        Ok(())
    }
}
