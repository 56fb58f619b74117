//! Instructions as text, in the notation of the kernel's verifier and of `bpftool prog dump xlated`, so that what one of them
//! says about a program can be found in a listing of ours.

use std::fmt::Write;

use crate::insn::{Insn, PSEUDO_FUNC, PSEUDO_MAP_FD, PSEUDO_MAP_VALUE};

/// Instructions of a program, one a line with its number, which counts from `first`. Jumps are to numbers.
pub fn listing(insns: &[Insn], first: usize) -> String {
    let mut text = String::new();
    let mut second_half = false;
    for (index, insn) in insns.iter().enumerate() {
        if std::mem::take(&mut second_half) {
            continue;
        }
        second_half = insn.is_ld_imm64();
        let at = first + index;
        let _ = writeln!(text, "{at:5}: {}", one(*insn, insns.get(index + 1).copied(), at));
    }
    text
}

/// Classes: `include/uapi/linux/bpf_common.h` and `bpf.h`.
const LDX: u8 = 0x01;
const ST: u8 = 0x02;
const STX: u8 = 0x03;
const ALU: u8 = 0x04;
const JMP: u8 = 0x05;
const JMP32: u8 = 0x06;
const ALU64: u8 = 0x07;

fn one(insn: Insn, next: Option<Insn>, at: usize) -> String {
    let Insn { code, dst, src, off, imm } = insn;
    if insn.is_ld_imm64() {
        let high = next.map_or(0, |next| next.imm);
        let value = u64::from(high.cast_unsigned()) << 32 | u64::from(imm.cast_unsigned());
        return match src {
            PSEUDO_MAP_FD => format!("r{dst} = map[{imm}]"),
            PSEUDO_MAP_VALUE => format!("r{dst} = map[{imm}][0]+{high}"),
            PSEUDO_FUNC => format!("r{dst} = function {}", target(at, imm)),
            _ => format!("r{dst} = {value:#x} ll"),
        };
    }
    let size = match code & 0x18 {
        0x00 => "u32",
        0x08 => "u16",
        0x10 => "u8",
        _ => "u64",
    };
    let from_register = code & 0x08 != 0;
    match code & 0x07 {
        LDX => format!("r{dst} = *({size} *)(r{src} {off:+})"),
        ST => format!("*({size} *)(r{dst} {off:+}) = {imm}"),
        STX if code & 0xe0 == 0xc0 => format!("lock *({size} *)(r{dst} {off:+}) += r{src}"),
        STX => format!("*({size} *)(r{dst} {off:+}) = r{src}"),
        class @ (ALU | ALU64) => {
            let name = if class == ALU { 'w' } else { 'r' };
            let operand = if from_register { format!("{name}{src}") } else { imm.to_string() };
            match code & 0xf0 {
                0x80 => format!("{name}{dst} = -{name}{dst}"),
                0xd0 if from_register => format!("r{dst} = be{imm} r{dst}"),
                0xd0 => format!("r{dst} = le{imm} r{dst}"),
                operation => format!("{name}{dst} {} {operand}", operator(operation)),
            }
        }
        JMP | JMP32 => match code & 0xf0 {
            0x00 => format!("goto {}", target(at, off.into())),
            0x80 if src == 1 => format!("call function {}", target(at, imm)),
            0x80 => format!("call helper {imm}"),
            0x90 => "exit".to_owned(),
            condition => {
                let name = if code & 0x07 == JMP32 { 'w' } else { 'r' };
                let operand = if from_register { format!("{name}{src}") } else { imm.to_string() };
                let to = target(at, off.into());
                format!("if {name}{dst} {} {operand} goto {to}", comparison(condition))
            }
        },
        _ => format!("code {code:#04x}"),
    }
}

/// Jumps count from the instruction behind them.
fn target(at: usize, distance: i32) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX).saturating_add(1).saturating_add(distance.into())
}

fn operator(operation: u8) -> &'static str {
    match operation {
        0x00 => "+=",
        0x10 => "-=",
        0x20 => "*=",
        0x30 => "/=",
        0x40 => "|=",
        0x50 => "&=",
        0x60 => "<<=",
        0x70 => ">>=",
        0x90 => "%=",
        0xa0 => "^=",
        0xb0 => "=",
        0xc0 => "s>>=",
        _ => "?=",
    }
}

fn comparison(condition: u8) -> &'static str {
    match condition {
        0x10 => "==",
        0x20 => ">",
        0x30 => ">=",
        0x40 => "&",
        0x50 => "!=",
        0x60 => "s>",
        0x70 => "s>=",
        0xa0 => "<",
        0xb0 => "<=",
        0xc0 => "s<",
        0xd0 => "s<=",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insn::{Alu, Assembler, Cond, Width};

    #[test]
    fn each_kind_has_its_notation() {
        let mut asm = Assembler::default();
        let end = asm.label();
        asm.load(Width::B2, 0, 6, -8);
        asm.swap_be(Width::B2, 0);
        asm.jump_if(Cond::Ne, 0, 0x800, end);
        asm.load64(1, 0x1_0000_0002);
        asm.load_pseudo(2, PSEUDO_MAP_VALUE, 0, 16);
        asm.store_imm(Width::B8, 10, -16, 1);
        asm.store(Width::B1, 10, -1, 3);
        asm.atomic_add(9, 32, 1);
        asm.alu32_reg(Alu::Xor, 3, 4);
        asm.alu(Alu::Arsh, 3, 60);
        asm.negate32(3);
        asm.jump_if_reg(Cond::Sle, 3, 4, end);
        asm.call(113);
        asm.place(end);
        asm.exit();
        let text = listing(&asm.finish().unwrap(), 10);
        let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
        assert_eq!(
            lines,
            [
                "10: r0 = *(u16 *)(r6 -8)",
                "11: r0 = be16 r0",
                "12: if r0 != 2048 goto 25",
                "13: r1 = 0x100000002 ll",
                "15: r2 = map[0][0]+16",
                "17: *(u64 *)(r10 -16) = 1",
                "18: *(u8 *)(r10 -1) = r3",
                "19: lock *(u64 *)(r9 +32) += r1",
                "20: w3 ^= w4",
                "21: r3 s>>= 60",
                "22: w3 = -w3",
                "23: if r3 s<= r4 goto 25",
                "24: call helper 113",
                "25: exit",
            ]
        );
    }
}
