//! The generated main function of a hook: it fetches arguments and calls the fragment's function. There is no record, no
//! slot and no counter; what is to be kept, the function keeps in its collector's maps.

use tracer_bpf::{
    Assembler,
    insn::{Alu, Cond, Label, Width},
};

use super::{Call, Callee, Driver, frame, offset};
use crate::{
    arguments::Origin,
    error::ComposeError,
    fragment::{From, Want},
    hook::HookShape,
    shape::Attach,
};

/// Generates a hook's program. Its call is of fragment 0.
pub(crate) fn generate(shape: &HookShape<'_>) -> Result<Driver, ComposeError> {
    let wants = &shape.hook.wants;
    let size = wants.size.next_multiple_of(8);
    if size as usize > frame::MAX {
        return Err(ComposeError::Stack(size as usize, frame::MAX));
    }
    let mut asm = Assembler::default();
    let end = asm.label();
    let base = -offset(size)?;
    // What no member fills is part of what the function may read.
    for at in (base..0).step_by(8) {
        asm.store_imm(Width::B8, 10, at, 0);
    }
    for want in &wants.members {
        fetch(&mut asm, shape, want, base, end)?;
    }
    asm.mov_reg(1, 10);
    asm.alu(Alu::Add, 1, i32::from(base));
    let function = shape.hook.function.clone();
    let calls = vec![Call { at: asm.call_function(), callee: Callee::Fragment { fragment: 0, function } }];
    asm.place(end);
    asm.mov(0, 0);
    asm.exit();
    let parts = vec![(0, "hook".to_owned())];
    Ok(Driver {
        insns: asm.finish()?,
        calls,
        functions: Vec::new(),
        inlined: Vec::new(),
        maps: Vec::new(),
        parts,
    })
}

/// Puts one member in its place; r1 is the context, and r2 scratch. Without one that is required there is nothing to do.
fn fetch(
    asm: &mut Assembler,
    shape: &HookShape<'_>,
    want: &Want,
    base: i16,
    end: Label,
) -> Result<(), ComposeError> {
    let parameter = |n: u8| shape.attach.parameter(n).ok_or(ComposeError::Parameter(n));
    let from = match &want.from {
        From::Option(name) => {
            asm.load64(2, shape.constants.get(name).copied().unwrap_or(0));
            None
        }
        From::Symbol(name) => {
            asm.load64(2, shape.symbols.get(name).copied().unwrap_or(0));
            None
        }
        From::Argument(ty) => {
            let argument = shape.arguments.index(ty).and_then(|index| shape.arguments.at(index));
            match argument.map(|argument| argument.origin) {
                Some(Origin::Parameter(n)) => Some(parameter(n)?),
                Some(Origin::Derived { .. }) | None => return Ok(()),
            }
        }
        From::Parameter(name) => match shape.parameters.get(name) {
            Some(n) => Some(parameter(*n)?),
            None => return Ok(()),
        },
        From::Returned => match shape.returned {
            Some(n) => Some(parameter(n)?),
            None => return Ok(()),
        },
    };
    if let Some(from) = from {
        asm.load(Width::B8, 2, 1, from);
        // A tracepoint's callers may pass NULL, and newer verifiers insist that it is tested for.
        if want.required && want.size == 8 && shape.attach == Attach::TpBtf {
            asm.jump_if(Cond::Eq, 2, 0, end);
        }
    }
    let width = Width::from_bytes(want.size).ok_or(ComposeError::Offset(want.size))?;
    asm.store(width, 10, base + offset(want.offset)?, 2);
    Ok(())
}
