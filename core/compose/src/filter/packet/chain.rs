//! The headers behind an IP header, looked through one after another. Programs of old kernels have no loops, so this is
//! written out as often as it may go round; each round bounds the header's place anew, which is all that the verifier has
//! to know of it.

use tracer_bpf::insn::{Alu, Cond, Width};
use tracer_dsl::filter::bytes::{CHAIN_AH, CHAIN_BYTES, CHAIN_MAX, CHAIN_OPTIONS, Load};

use super::code::{BYTES, Code, Dead, FRAME, HEADER_LEN, SCRATCH, VALUE};
use super::graph::Goal;

/// Bytes of a header that are read: the next one's number and its own length.
const READ: usize = 2;

impl Code {
    pub(super) fn chain(
        &mut self,
        network: usize,
        six: bool,
        protocol: u8,
        (yes, no, next): (Goal, Goal, Goal),
    ) -> Result<(), Dead> {
        let [number, at, following, length] = self.take_kept();
        let last =
            (network + CHAIN_BYTES).min(self.window as usize).checked_sub(network + READ).ok_or(Dead)?;
        let immediate = |number: usize| i32::try_from(number).map_err(|_| Dead);
        let offset = |offset: usize| i16::try_from(offset).map_err(|_| Dead);
        let byte = |offset| Load { offset, behind_ipv4: None, size: 1 };
        if six {
            self.load(byte(network + 6), number)?;
            self.asm.mov(at, 40);
        } else {
            self.load(byte(network + 9), number)?;
            self.header(network)?;
            self.asm.mov_reg(at, HEADER_LEN);
        }
        let state = self.state;
        let found = self.label(yes, state);
        let not_found = self.label(no, state);
        let fails = self.fails;
        for round in 0..=CHAIN_MAX {
            let (options, advance) = (self.asm.label(), self.asm.label());
            let end = if round == CHAIN_MAX { fails } else { options };
            self.asm.jump_if(Cond::Eq, number, protocol.into(), found);
            if six {
                for known in CHAIN_OPTIONS {
                    self.asm.jump_if(Cond::Eq, number, known.into(), end);
                }
            }
            if round == CHAIN_MAX {
                self.asm.jump_if(Cond::Eq, number, CHAIN_AH.into(), fails);
                break;
            }
            self.asm.jump_if(Cond::Ne, number, CHAIN_AH.into(), not_found);
            self.asm.place(options);
            self.asm.jump_if(Cond::Gt, at, immediate(last)?, fails);
            self.asm.mov_reg(VALUE, at);
            self.asm.alu(Alu::Add, VALUE, immediate(network + READ)?);
            self.asm.jump_if_reg(Cond::Gt, VALUE, BYTES, fails);
            self.asm.mov_reg(SCRATCH, FRAME);
            self.asm.alu_reg(Alu::Add, SCRATCH, at);
            self.asm.load(Width::B1, following, SCRATCH, offset(network)?);
            self.asm.load(Width::B1, length, SCRATCH, offset(network + 1)?);
            // Of options one unit of 8 bytes is not counted, of an authentication header two of 4.
            self.asm.alu(Alu::Add, length, 1);
            if six {
                self.asm.alu(Alu::Lsh, length, 1);
                self.asm.jump_if(Cond::Ne, number, CHAIN_AH.into(), advance);
                self.asm.alu(Alu::Rsh, length, 1);
            }
            self.asm.alu(Alu::Add, length, 1);
            self.asm.place(advance);
            self.asm.alu(Alu::Lsh, length, 2);
            self.asm.alu_reg(Alu::Add, at, length);
            self.asm.mov_reg(number, following);
        }
        self.lead(no, next, state);
        Ok(())
    }
}
