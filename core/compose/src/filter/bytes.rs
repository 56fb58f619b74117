//! Bytes that are known, such as an Ethernet address, compared in words as wide as they go.

use tracer_bpf::{
    Assembler,
    insn::{Cond, Label, Width},
};

use super::value::{Memory, jump_if};

/// A comparison of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BytesTest {
    /// Whether it holds for all others than these.
    pub(super) negated: bool,
    /// Any of them; each with as many bytes as it has.
    pub(super) values: Vec<Vec<u8>>,
}

impl BytesTest {
    pub(super) fn emit(&self, asm: &mut Assembler, at: Memory, otherwise: Label) {
        any(asm, &self.values, self.negated, otherwise, |asm, value, miss| equal(asm, at, value, miss));
    }
}

/// Asks for one value after the other. `ask` jumps to its label where there is another value.
pub(super) fn any<T>(
    asm: &mut Assembler,
    values: &[T],
    negated: bool,
    otherwise: Label,
    mut ask: impl FnMut(&mut Assembler, &T, Label),
) {
    let found = asm.label();
    let mut rest = values.len();
    for value in values {
        rest -= 1;
        if rest == 0 && !negated {
            ask(asm, value, otherwise);
            continue;
        }
        let next = asm.label();
        ask(asm, value, next);
        asm.jump(if negated { otherwise } else { found });
        asm.place(next);
    }
    asm.place(found);
}

/// Goes on where these bytes are there; changes r0 and r1.
pub(super) fn equal(asm: &mut Assembler, at: Memory, bytes: &[u8], miss: Label) {
    let mut done = 0;
    while done < bytes.len() {
        let offset = at.behind(done).offset;
        let size = word(offset, bytes.len() - done);
        let mut word = [0; 8];
        word[..size].copy_from_slice(&bytes[done..done + size]);
        let value = u64::from_le_bytes(word);
        let width = match size {
            8 => Width::B8,
            4 => Width::B4,
            2 => Width::B2,
            _ => Width::B1,
        };
        asm.load(width, 1, at.register, offset);
        jump_if(asm, Cond::Ne, 1, value, miss);
        done += size;
    }
}

/// The widest word at an offset that is aligned, and not longer than what is left.
fn word(offset: i16, left: usize) -> usize {
    let aligned = 1 << offset.trailing_zeros().min(3);
    let longest = 1 << left.ilog2().min(3);
    aligned.min(longest)
}
