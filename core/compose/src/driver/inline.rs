//! Small functions of fragments are put into the generated one instead of being called. An accessor of a few loads is
//! what most hits run and all that they run, and a call takes about as long as the loads do.

use tracer_bpf::insn::{PSEUDO_FUNC, PSEUDO_MAP_FD, PSEUDO_MAP_VALUE};

use super::Generator;
use crate::link::Func;

/// A function that stands inside the generated one.
pub(crate) struct Inlined {
    /// Index of its first instruction there.
    pub(crate) at: usize,
    /// Index of the fragment in the shape.
    pub(crate) fragment: usize,
    /// The C function.
    pub(crate) function: String,
}

/// More instructions than this are worth a call: they would be there once for each place that needs them.
const MAX: usize = 64;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
/// The registers from 6 on are the generated function's own, and 10 is its stack.
const SCRATCH: u8 = 5;

/// Whether nothing of the caller's is touched: no stack, no register that a callee has to keep, no further function.
/// A map would have to be told to the linker; who has one is not small.
fn fits(func: &Func) -> bool {
    let mut second_half = false;
    func.insns.len() <= MAX
        && func.insns.last().is_some_and(|last| last.code == EXIT)
        && func.insns.iter().all(|insn| {
            if std::mem::take(&mut second_half) {
                return true;
            }
            second_half = insn.is_ld_imm64();
            let pseudo = matches!(insn.src, PSEUDO_MAP_FD | PSEUDO_MAP_VALUE | PSEUDO_FUNC);
            let calls = insn.code == CALL && insn.src != 0;
            let registers = insn.dst <= SCRATCH && (insn.is_ld_imm64() || insn.src <= SCRATCH);
            registers && !calls && !(insn.is_ld_imm64() && pseudo)
        })
}

impl Generator<'_> {
    /// Puts the function here if it fits, with its arguments in r1 and r2 and its result in r0 as for a call.
    pub(super) fn inline(&mut self, fragment: usize, function: &str) -> bool {
        let Some(func) = self.shape.fragments[fragment].funcs.get(function).filter(|func| fits(func)) else {
            return false;
        };
        let at = self.asm.here();
        self.driver.inlined.push(Inlined { at, fragment, function: function.to_owned() });
        let end = self.asm.label();
        for insn in &func.insns {
            match insn.code {
                // One for one, so that the function's own jumps still fit; the last leads to the next instruction.
                EXIT => self.asm.jump(end),
                _ => self.asm.insn(*insn),
            }
        }
        self.asm.place(end);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_bpf::Insn;

    fn func(insns: &[Insn]) -> Func {
        Func { insns: insns.to_vec(), func_info: Vec::new(), line_info: Vec::new() }
    }

    #[test]
    fn only_what_touches_nothing_of_the_callers_fits() {
        let exit = Insn { code: EXIT, ..Insn::default() };
        let load = |dst, src| Insn { code: 0x79, dst, src, ..Insn::default() };
        let call = |src| Insn { code: CALL, src, imm: 113, ..Insn::default() };
        let wide = |src| Insn { code: 0x18, dst: 1, src, ..Insn::default() };
        let fits = |insns: &[Insn]| fits(&func(insns));
        assert!(fits(&[load(0, 1), exit]));
        assert!(fits(&[call(0), exit]), "a helper");
        assert!(fits(&[wide(0), Insn::default(), exit]), "a constant");
        assert!(!fits(&[load(0, 10), exit]), "its own stack");
        assert!(!fits(&[load(6, 1), exit]), "a register that is kept");
        assert!(!fits(&[call(1), exit]), "a function of its own");
        assert!(!fits(&[wide(PSEUDO_MAP_FD), Insn::default(), exit]), "a map");
        assert!(!fits(&[load(0, 1)]), "no end");
        assert!(!fits(&[[load(0, 1); MAX].as_slice(), &[exit]].concat()), "long");
    }
}
