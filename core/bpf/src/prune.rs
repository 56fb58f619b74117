//! Takes out of a program what can never run, because a constant decides so.
//!
//! A kernel's verifier removes such code too, but only after it has looked at every instruction: an
//! old one refuses what it does not know wherever it stands (before 5.13, the address of a function
//! that `bpf_loop` is to call). The constants are those that a relocation has put in: whether this
//! kernel has a field.

use crate::insn::{Insn, PSEUDO_FUNC};

/// Instruction classes, the low three bits of a code: `instruction-set.rst`.
mod class {
    pub(super) const LD: u8 = 0;
    pub(super) const LDX: u8 = 1;
    pub(super) const STX: u8 = 3;
    pub(super) const ALU: u8 = 4;
    pub(super) const JMP: u8 = 5;
    pub(super) const JMP32: u8 = 6;
    pub(super) const ALU64: u8 = 7;
}

const EXIT: u8 = 0x95;
const CALL: u8 = 0x85;
const JA: u8 = 0x05;
/// Set in a code when the second operand is a register.
const REGISTER: u8 = 0x08;
/// Operations, the high four bits of a code.
const OP_MOV: u8 = 0xb0;
const OP_JEQ: u8 = 0x10;
const OP_JNE: u8 = 0x50;
/// `BPF_ATOMIC` of a store.
const ATOMIC: u8 = 0xc0;

/// A program without its dead code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// The instructions that are left.
    pub insns: Vec<Insn>,
    /// For each instruction that was there, where it stands now.
    pub moved: Vec<Option<usize>>,
}

/// Prunes functions that stand behind each other, the first of them being called from outside. A
/// program that this does not understand (a jump out of it, say) comes back as it was.
pub fn prune(insns: &[Insn]) -> Pruned {
    let states = Reach { insns, states: vec![None; insns.len()], work: Vec::new() }.explore();
    states
        .and_then(|states| rebuild(insns, &states))
        .unwrap_or_else(|| Pruned { insns: insns.to_vec(), moved: (0..insns.len()).map(Some).collect() })
}

/// What is known of each register; nothing, or its value.
type Registers = [Option<i64>; 11];

struct Reach<'a> {
    insns: &'a [Insn],
    /// What is known before each instruction; `None` where none of the ways found so far leads.
    states: Vec<Option<Registers>>,
    work: Vec<usize>,
}

impl Reach<'_> {
    fn explore(mut self) -> Option<Vec<Option<Registers>>> {
        self.arrive(0, [None; 11])?;
        while let Some(at) = self.work.pop() {
            let registers = self.states[at]?;
            self.step(at, registers)?;
        }
        Some(self.states)
    }

    /// Notes a way to an instruction; one that tells something new is followed further.
    fn arrive(&mut self, at: usize, registers: Registers) -> Option<()> {
        let known = self.states.get_mut(at)?;
        let joined = match known {
            None => registers,
            Some(known) => std::array::from_fn(|r| known[r].filter(|_| known[r] == registers[r])),
        };
        if *known != Some(joined) {
            *known = Some(joined);
            self.work.push(at);
        }
        Some(())
    }

    fn step(&mut self, at: usize, mut registers: Registers) -> Option<()> {
        let insn = self.insns[at];
        match insn.code {
            EXIT => return Some(()),
            CALL => {
                if insn.src == 1 {
                    self.arrive(target(at, insn.imm)?, [None; 11])?;
                }
                registers[..6].fill(None);
            }
            _ if insn.is_ld_imm64() => {
                if insn.src == PSEUDO_FUNC {
                    self.arrive(target(at, insn.imm)?, [None; 11])?;
                }
                let high = self.insns.get(at + 1)?.imm;
                let value = i64::from(high) << 32 | i64::from(insn.imm.cast_unsigned());
                *registers.get_mut(usize::from(insn.dst))? = (insn.src == 0).then_some(value);
                return self.arrive(at + 2, registers);
            }
            _ => match insn.code & 7 {
                class::JMP | class::JMP32 => {
                    let taken = decided(insn, &registers);
                    if taken != Some(false) {
                        self.arrive(jump_target(at, insn)?, registers)?;
                    }
                    if taken == Some(true) {
                        return Some(());
                    }
                }
                class::ALU | class::ALU64 => {
                    *registers.get_mut(usize::from(insn.dst))? = moved(insn, &registers);
                }
                class::LDX => *registers.get_mut(usize::from(insn.dst))? = None,
                // Some of these give back what was there before.
                class::STX if insn.code & 0xe0 == ATOMIC => {
                    registers[0] = None;
                    *registers.get_mut(usize::from(insn.src))? = None;
                }
                class::LD => registers[..6].fill(None),
                _ => {}
            },
        }
        self.arrive(at + 1, registers)
    }
}

/// What a register holds after an arithmetic instruction, where that is a plain copy.
fn moved(insn: Insn, registers: &Registers) -> Option<i64> {
    // A copy that extends the sign has an offset.
    if insn.code & 0xf0 != OP_MOV || insn.off != 0 {
        return None;
    }
    let value = operand(insn, registers)?;
    Some(if insn.code & 7 == class::ALU { value & 0xffff_ffff } else { value })
}

fn operand(insn: Insn, registers: &Registers) -> Option<i64> {
    if insn.code & REGISTER == 0 {
        Some(i64::from(insn.imm))
    } else {
        *registers.get(usize::from(insn.src))?
    }
}

/// Whether a jump is taken, where that is known.
fn decided(insn: Insn, registers: &Registers) -> Option<bool> {
    let op = insn.code & 0xf0;
    if op == 0 {
        return Some(true);
    }
    let (left, right) = (registers[usize::from(insn.dst).min(10)]?, operand(insn, registers)?);
    let equal = if insn.code & 7 == class::JMP32 {
        left.cast_unsigned() as u32 == right.cast_unsigned() as u32
    } else {
        left == right
    };
    match op {
        OP_JEQ => Some(equal),
        OP_JNE => Some(!equal),
        _ => None,
    }
}

fn target(at: usize, distance: i32) -> Option<usize> {
    (at + 1).checked_add_signed(isize::try_from(distance).ok()?)
}

fn jump_target(at: usize, insn: Insn) -> Option<usize> {
    // The long form of a plain jump, in the 32-bit class, has its distance in the immediate.
    let long = insn.code == class::JMP32;
    target(at, if long { insn.imm } else { i32::from(insn.off) })
}

/// Puts what is reachable behind each other and corrects the distances.
fn rebuild(insns: &[Insn], states: &[Option<Registers>]) -> Option<Pruned> {
    let is_jump = |insn: Insn| {
        matches!(insn.code & 7, class::JMP | class::JMP32) && insn.code != EXIT && insn.code != CALL
    };
    let mut moved = vec![None; insns.len()];
    let mut kept = Vec::new();
    for (at, insn) in insns.iter().enumerate() {
        // The second half of a wide load goes with the first.
        let half =
            at.checked_sub(1).is_some_and(|first| insns[first].is_ld_imm64() && states[first].is_some());
        let live = states[at]
            .is_some_and(|registers| !(is_jump(*insn) && decided(*insn, &registers) == Some(false)));
        if half || live {
            moved[at] = Some(kept.len());
            kept.push(at);
        }
    }
    // What led to an instruction that is gone leads to the next one.
    let next = |at: usize| kept.get(kept.partition_point(|k| *k < at)).and_then(|k| moved[*k]);
    let mut out = Vec::with_capacity(kept.len());
    for (place, at) in kept.iter().copied().enumerate() {
        let mut insn = insns[at];
        let distance = |to: usize| {
            i32::try_from(isize::try_from(next(to)?).ok()? - isize::try_from(place).ok()? - 1).ok()
        };
        let registers = states[at].unwrap_or_default();
        if states[at].is_none() {
            // A second half.
        } else if is_jump(insn) {
            let to = distance(jump_target(at, insn)?)?;
            if insn.code == class::JMP32 {
                insn.imm = to;
            } else if decided(insn, &registers) == Some(true) {
                insn = Insn { code: JA, off: i16::try_from(to).ok()?, ..Insn::default() };
            } else {
                insn.off = i16::try_from(to).ok()?;
            }
        } else if (insn.code == CALL && insn.src == 1) || (insn.is_ld_imm64() && insn.src == PSEUDO_FUNC) {
            insn.imm = distance(target(at, insn.imm)?)?;
        }
        out.push(insn);
    }
    Some(Pruned { insns: out, moved })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Assembler, insn::Cond};

    /// `if r2 == VALUE { r0 = &callback } ; exit` and the callback behind it.
    fn program(value: i32) -> Vec<Insn> {
        let mut a = Assembler::default();
        let behind = a.label();
        a.mov(2, value);
        a.jump_if(Cond::Ne, 2, 1, behind);
        a.load_pseudo(1, PSEUDO_FUNC, 0, 0);
        a.place(behind);
        a.mov(0, 7);
        a.exit();
        let callback = a.here();
        a.mov(0, 1);
        a.exit();
        let mut insns = a.finish().unwrap();
        insns[2].imm = i32::try_from(callback).unwrap() - 3;
        insns
    }

    #[test]
    fn what_a_constant_rules_out_goes_with_the_function_it_needs() {
        let insns = program(0);
        let pruned = prune(&insns);
        let mut a = Assembler::default();
        a.mov(2, 0);
        let end = a.label();
        a.jump(end);
        a.place(end);
        a.mov(0, 7);
        a.exit();
        assert_eq!(pruned.insns, a.finish().unwrap());
        assert_eq!(pruned.moved, [Some(0), Some(1), None, None, Some(2), Some(3), None, None]);
    }

    #[test]
    fn what_may_run_stays_and_distances_follow() {
        let insns = program(1);
        let pruned = prune(&insns);
        // Only the jump that is never taken is gone.
        assert_eq!(pruned.moved[1], None);
        assert_eq!(pruned.insns.len(), insns.len() - 1);
        assert_eq!(pruned.insns[1].imm, 5 - 1 - 1);
        assert_eq!(prune(&pruned.insns).insns, pruned.insns);
    }

    #[test]
    fn a_value_that_depends_on_the_way_decides_nothing() {
        let mut a = Assembler::default();
        let (one, end) = (a.label(), a.label());
        a.mov(2, 0);
        a.jump_if(Cond::Gt, 1, 0, one);
        a.mov(2, 1);
        a.place(one);
        a.jump_if(Cond::Eq, 2, 0, end);
        a.mov(0, 0);
        a.place(end);
        a.exit();
        let insns = a.finish().unwrap();
        assert_eq!(prune(&insns).insns, insns);
    }

    #[test]
    fn what_is_not_understood_comes_back_unchanged() {
        let insns = [Insn { code: JA, off: 5, ..Insn::default() }];
        assert_eq!(prune(&insns).insns, insns);
    }
}
