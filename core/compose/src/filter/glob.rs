//! Patterns of texts as an automaton whose states are the bits of one number: bit *n* says that the text so far is like
//! the first *n* parts of the pattern. One byte of the text moves all of them at once without a branch, so the verifier,
//! which walks through every round of the loop, finds one way through it and not two to the power of the rounds.

use tracer_bpf::{
    Assembler,
    insn::{Alu, Cond, Label, Width},
};

use super::value::{Memory, and};

/// Parts of a pattern that 64 states can tell apart.
const PARTS: u8 = 63;

// What the registers hold.
const STATES: u8 = 0;
const SPARE: u8 = 1;
const INDEX: u8 = 2;
const SAME: u8 = 3;
const BYTE: u8 = 4;
/// States that the byte leads into from some other.
const LEADS: u8 = 5;

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Automaton {
    /// Parts of the pattern without its `*`: the bit of the last state.
    parts: u8,
    /// Each byte that the pattern names, and the states that it leads into.
    bytes: Vec<(u8, u64)>,
    /// States that any character leads into, `?`.
    anything: u64,
    /// States that every byte stays in, `*`.
    stays: u64,
}

impl Automaton {
    /// # Errors
    /// That the pattern is too long.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let mut this = Self { parts: 0, bytes: Vec::new(), anything: 0, stays: 0 };
        for byte in pattern.bytes() {
            if byte == b'*' {
                this.stays |= 1 << this.parts;
                continue;
            }
            this.parts += 1;
            if this.parts > PARTS {
                return Err(format!("a pattern has at most {PARTS} bytes besides `*`"));
            }
            let state = 1 << this.parts;
            if byte == b'?' {
                this.anything |= state;
                continue;
            }
            match this.bytes.iter_mut().find(|(known, _)| *known == byte) {
                Some((_, states)) => *states |= state,
                None => this.bytes.push((byte, state)),
            }
        }
        Ok(this)
    }

    /// Goes on where the text, which has at most `cap` bytes, is like the pattern. One that has as many goes on with
    /// `tail`. Changes r0 to r5.
    pub(super) fn emit(&self, asm: &mut Assembler, at: Memory, cap: u32, tail: &str, miss: Label) {
        let (again, end) = (asm.label(), asm.label());
        asm.mov(STATES, 1);
        asm.mov(INDEX, 0);
        asm.place(again);
        asm.mov_reg(SPARE, at.register);
        asm.alu_reg(Alu::Add, SPARE, INDEX);
        asm.load(Width::B1, BYTE, SPARE, at.offset);
        asm.jump_if(Cond::Eq, BYTE, 0, end);
        self.step(asm);
        asm.alu(Alu::Add, INDEX, 1);
        asm.jump_if(Cond::Lt, INDEX, cap.cast_signed(), again);
        for byte in tail.bytes() {
            asm.mov(BYTE, byte.into());
            self.step(asm);
        }
        asm.place(end);
        asm.alu(Alu::Rsh, STATES, self.parts.into());
        asm.alu(Alu::And, STATES, 1);
        asm.jump_if(Cond::Eq, STATES, 0, miss);
    }

    /// Takes one byte more.
    fn step(&self, asm: &mut Assembler) {
        asm.mov(LEADS, 0);
        for (byte, states) in &self.bytes {
            asm.mov_reg(SAME, BYTE);
            asm.alu(Alu::Xor, SAME, i32::from(*byte));
            one_if_zero(asm, SAME);
            times(asm, SAME, *states, SPARE);
            asm.alu_reg(Alu::Or, LEADS, SAME);
        }
        if self.anything != 0 {
            // A character has one byte that is no continuation: that one moves on, the others (10xxxxxx) stay.
            asm.alu(Alu::And, BYTE, 0xc0);
            asm.alu(Alu::Xor, BYTE, 0x80);
            one_if_zero(asm, BYTE);
            asm.mov_reg(SAME, BYTE);
            asm.alu(Alu::Xor, SAME, 1);
            times(asm, SAME, self.anything, SPARE);
            asm.alu_reg(Alu::Or, LEADS, SAME);
            asm.mov_reg(SAME, STATES);
            and(asm, SAME, self.anything, SPARE);
            asm.alu_reg(Alu::Mul, BYTE, SAME);
        }
        asm.mov_reg(SAME, STATES);
        asm.alu(Alu::Lsh, SAME, 1);
        asm.alu_reg(Alu::And, LEADS, SAME);
        and(asm, STATES, self.stays, SPARE);
        asm.alu_reg(Alu::Or, STATES, LEADS);
        if self.anything != 0 {
            asm.alu_reg(Alu::Or, STATES, BYTE);
        }
    }
}

/// 1, or 0.
///
/// All bits instead of 1 would save the multiplications, but verifiers of newer kernels take a number that is -1 or 0
/// apart, at each `&`, which is two ways through every round; one of 6.18 even crashes when they get too many.
fn one_if_zero(asm: &mut Assembler, register: u8) {
    // Of a byte: 0 - 1 has the highest bit set, nothing else has.
    asm.alu(Alu::Sub, register, 1);
    asm.alu(Alu::Rsh, register, 63);
}

/// Of a register that is 1 or 0: `bits`, or none.
fn times(asm: &mut Assembler, register: u8, bits: u64, spare: u8) {
    if bits.is_power_of_two() {
        asm.alu(Alu::Lsh, register, bits.trailing_zeros().cast_signed());
        return;
    }
    match i32::try_from(bits.cast_signed()) {
        Ok(bits) => asm.alu(Alu::Mul, register, bits),
        Err(_) => {
            asm.load64(spare, bits);
            asm.alu_reg(Alu::Mul, register, spare);
        }
    }
}
