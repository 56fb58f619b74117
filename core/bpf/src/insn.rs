//! BPF instructions and an assembler with labels.
//!
//! Encoding: the kernel's `Documentation/bpf/standardization/instruction-set.rst`. Only what
//! composed programs use is here.

use std::collections::HashMap;

/// One eight-byte instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Insn {
    /// Operation code.
    pub code: u8,
    /// Destination register.
    pub dst: u8,
    /// Source register, or the kind of a pseudo instruction.
    pub src: u8,
    /// Offset, in bytes for memory and in instructions for jumps.
    pub off: i16,
    /// Immediate.
    pub imm: i32,
}

impl Insn {
    /// The instruction as the kernel reads it, on a little-endian machine.
    pub fn bytes(self) -> [u8; 8] {
        let (o, i) = (self.off.to_le_bytes(), self.imm.to_le_bytes());
        [self.code, self.src << 4 | self.dst & 0xf, o[0], o[1], i[0], i[1], i[2], i[3]]
    }

    /// Reads an instruction.
    pub fn from_bytes(b: [u8; 8]) -> Self {
        Self {
            code: b[0],
            dst: b[1] & 0xf,
            src: b[1] >> 4,
            off: i16::from_le_bytes([b[2], b[3]]),
            imm: i32::from_le_bytes([b[4], b[5], b[6], b[7]]),
        }
    }

    /// Whether this is the first half of a 16-byte load of a 64-bit immediate.
    pub fn is_ld_imm64(self) -> bool {
        self.code == LD_IMM64
    }
}

/// `BPF_LD | BPF_IMM | BPF_DW`.
const LD_IMM64: u8 = 0x18;
/// Pseudo source registers of `LD_IMM64`: `include/uapi/linux/bpf.h`.
pub const PSEUDO_MAP_FD: u8 = 1;
/// See [`PSEUDO_MAP_FD`]; the second immediate is an offset into the map's only value.
pub const PSEUDO_MAP_VALUE: u8 = 2;
/// `BPF_PSEUDO_FUNC`: the address of a subprogram, relative like a call.
pub const PSEUDO_FUNC: u8 = 4;

/// Width of a memory access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// One byte.
    B1,
    /// Two bytes.
    B2,
    /// Four bytes.
    B4,
    /// Eight bytes.
    B8,
}

impl Width {
    /// From a number of bytes.
    pub fn from_bytes(n: u32) -> Option<Self> {
        Some(match n {
            1 => Self::B1,
            2 => Self::B2,
            4 => Self::B4,
            8 => Self::B8,
            _ => return None,
        })
    }

    fn code(self) -> u8 {
        match self {
            Self::B4 => 0x00,
            Self::B2 => 0x08,
            Self::B1 => 0x10,
            Self::B8 => 0x18,
        }
    }
}

/// Two-operand arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the instruction set's")]
pub enum Alu {
    Add = 0x00,
    Sub = 0x10,
    Mul = 0x20,
    /// Unsigned.
    Div = 0x30,
    Or = 0x40,
    And = 0x50,
    Lsh = 0x60,
    Rsh = 0x70,
    /// Unsigned.
    Mod = 0x90,
    Xor = 0xa0,
    Mov = 0xb0,
    /// Signed.
    Arsh = 0xc0,
}

/// Conditions of 64-bit jumps; unsigned where they do not begin with an S.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the instruction set's")]
pub enum Cond {
    Eq = 0x10,
    Gt = 0x20,
    Ge = 0x30,
    Ne = 0x50,
    /// Any bit of both is set.
    Set = 0x40,
    Sgt = 0x60,
    Sge = 0x70,
    Lt = 0xa0,
    Le = 0xb0,
    Slt = 0xc0,
    Sle = 0xd0,
}

/// A place in the code; created first, put down once, jumped to from anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Label(usize);

/// Why assembling failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// A label was used but never put down.
    #[error("label {0} has no place")]
    NoPlace(usize),
    /// A jump is longer than 16 bits can say.
    #[error("a jump of {0} instructions is too far")]
    TooFar(i64),
}

/// Builds a function.
#[derive(Debug, Default)]
pub struct Assembler {
    insns: Vec<Insn>,
    places: HashMap<usize, usize>,
    jumps: Vec<(usize, Label)>,
    labels: usize,
}

impl Assembler {
    /// Index of the next instruction.
    pub fn here(&self) -> usize {
        self.insns.len()
    }

    /// A new label, without a place yet.
    pub fn label(&mut self) -> Label {
        self.labels += 1;
        Label(self.labels - 1)
    }

    /// Puts a label down here.
    pub fn place(&mut self, label: Label) {
        self.places.insert(label.0, self.insns.len());
    }

    fn emit(&mut self, code: u8, dst: u8, src: u8, off: i16, imm: i32) {
        self.insns.push(Insn { code, dst, src, off, imm });
    }

    /// An instruction as it is; a jump in it is not touched.
    pub fn insn(&mut self, insn: Insn) {
        self.insns.push(insn);
    }

    /// `dst op= imm`, 32 bits wide: the upper half becomes 0.
    pub fn alu32(&mut self, op: Alu, dst: u8, imm: i32) {
        self.emit(0x04 | op as u8, dst, 0, 0, imm);
    }

    /// `dst op= src`, 32 bits wide: the upper half becomes 0.
    pub fn alu32_reg(&mut self, op: Alu, dst: u8, src: u8) {
        self.emit(0x0c | op as u8, dst, src, 0, 0);
    }

    /// `dst = -dst`, 32 bits wide: the upper half becomes 0.
    pub fn negate32(&mut self, dst: u8) {
        self.emit(0x84, dst, 0, 0, 0);
    }

    /// From network order to the host's, or back; what is beyond the width becomes 0. Of one byte, nothing.
    pub fn swap_be(&mut self, width: Width, dst: u8) {
        // `BPF_ALU | BPF_END | BPF_TO_BE`.
        let bits = match width {
            Width::B1 => return,
            Width::B2 => 16,
            Width::B4 => 32,
            Width::B8 => 64,
        };
        self.emit(0xdc, dst, 0, 0, bits);
    }

    /// `dst op= imm`, 64 bits wide.
    pub fn alu(&mut self, op: Alu, dst: u8, imm: i32) {
        self.emit(0x07 | op as u8, dst, 0, 0, imm);
    }

    /// `dst op= src`, 64 bits wide.
    pub fn alu_reg(&mut self, op: Alu, dst: u8, src: u8) {
        self.emit(0x0f | op as u8, dst, src, 0, 0);
    }

    /// `dst = imm`, sign-extended.
    pub fn mov(&mut self, dst: u8, imm: i32) {
        self.alu(Alu::Mov, dst, imm);
    }

    /// `dst = src`.
    pub fn mov_reg(&mut self, dst: u8, src: u8) {
        self.alu_reg(Alu::Mov, dst, src);
    }

    /// `dst = *(src + off)`.
    pub fn load(&mut self, width: Width, dst: u8, src: u8, off: i16) {
        self.emit(0x61 | width.code(), dst, src, off, 0);
    }

    /// `*(dst + off) = src`.
    pub fn store(&mut self, width: Width, dst: u8, off: i16, src: u8) {
        self.emit(0x63 | width.code(), dst, src, off, 0);
    }

    /// `*(dst + off) = imm`.
    pub fn store_imm(&mut self, width: Width, dst: u8, off: i16, imm: i32) {
        self.emit(0x62 | width.code(), dst, 0, off, imm);
    }

    /// `*(dst + off) += src`, atomically.
    pub fn atomic_add(&mut self, dst: u8, off: i16, src: u8) {
        self.emit(0xdb, dst, src, off, 0);
    }

    /// `dst = imm`, 64 bits wide.
    pub fn load64(&mut self, dst: u8, imm: u64) {
        self.load_pseudo(dst, 0, (imm as u32).cast_signed(), ((imm >> 32) as u32).cast_signed());
    }

    /// A pseudo load: a map, a map's value, or a function; see the `PSEUDO_` constants.
    pub fn load_pseudo(&mut self, dst: u8, kind: u8, imm: i32, next: i32) {
        self.emit(LD_IMM64, dst, kind, 0, imm);
        self.emit(0, 0, 0, 0, next);
    }

    /// Jump if `dst cond imm` (the immediate is sign-extended).
    pub fn jump_if(&mut self, cond: Cond, dst: u8, imm: i32, to: Label) {
        self.jumps.push((self.insns.len(), to));
        self.emit(0x05 | cond as u8, dst, 0, 0, imm);
    }

    /// Jump if `dst cond src`.
    pub fn jump_if_reg(&mut self, cond: Cond, dst: u8, src: u8, to: Label) {
        self.jumps.push((self.insns.len(), to));
        self.emit(0x0d | cond as u8, dst, src, 0, 0);
    }

    /// Jump if the lower 32 bits are `dst cond imm`; Linux 5.1.
    pub fn jump32_if(&mut self, cond: Cond, dst: u8, imm: i32, to: Label) {
        self.jumps.push((self.insns.len(), to));
        self.emit(0x06 | cond as u8, dst, 0, 0, imm);
    }

    /// Jump if the lower 32 bits are `dst cond src`; Linux 5.1.
    pub fn jump32_if_reg(&mut self, cond: Cond, dst: u8, src: u8, to: Label) {
        self.jumps.push((self.insns.len(), to));
        self.emit(0x0e | cond as u8, dst, src, 0, 0);
    }

    /// Jump.
    pub fn jump(&mut self, to: Label) {
        self.jumps.push((self.insns.len(), to));
        self.emit(0x05, 0, 0, 0, 0);
    }

    /// Call a kernel helper by its number (`include/uapi/linux/bpf.h`, `___BPF_FUNC_MAPPER`).
    pub fn call(&mut self, helper: i32) {
        self.emit(0x85, 0, 0, 0, helper);
    }

    /// Call a subprogram whose place the caller fills in; returns the instruction's index.
    pub fn call_function(&mut self) -> usize {
        self.emit(0x85, 0, 1, 0, -1);
        self.insns.len() - 1
    }

    /// Return r0.
    pub fn exit(&mut self) {
        self.emit(0x95, 0, 0, 0, 0);
    }

    /// Resolves the jumps.
    pub fn finish(mut self) -> Result<Vec<Insn>, AssembleError> {
        for (at, label) in self.jumps {
            let place = *self.places.get(&label.0).ok_or(AssembleError::NoPlace(label.0))?;
            let distance = i64::try_from(place).unwrap_or(i64::MAX) - i64::try_from(at).unwrap_or(0) - 1;
            self.insns[at].off = i16::try_from(distance).map_err(|_| AssembleError::TooFar(distance))?;
        }
        Ok(self.insns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_reach_their_labels() {
        let mut a = Assembler::default();
        let end = a.label();
        a.mov(0, 1);
        a.jump_if(Cond::Eq, 1, 7, end);
        a.load64(0, 0x1_0000_0002);
        a.place(end);
        a.exit();
        let insns = a.finish().unwrap();
        assert_eq!(insns[1].off, 2, "the wide load counts twice");
        assert_eq!(insns[1].bytes(), [0x15, 1, 2, 0, 7, 0, 0, 0]);
        assert_eq!((insns[2].imm, insns[3].imm), (2, 1));
        assert_eq!(Insn::from_bytes(insns[1].bytes()), insns[1]);
    }

    #[test]
    fn a_label_without_a_place_is_an_error() {
        let mut a = Assembler::default();
        let nowhere = a.label();
        a.jump(nowhere);
        assert_eq!(a.finish().unwrap_err(), AssembleError::NoPlace(0));
    }
}
