//! Is the trace call on already? The static key `nft_trace_enabled` knows, for all network namespaces at
//! once, but only kernel memory has it. A raw tracepoint program of a dozen instructions reads it; the
//! program is run once by hand (`BPF_PROG_TEST_RUN`) and attached to nothing.

use std::io;

use crate::prog::{Insn, LoadError, Program, ProgramKind, ProgramSpec};
use crate::symbols::Symbols;

/// Whether a `meta nftrace set` expression exists anywhere on the machine. `None` when the key's address is
/// not shown (no CONFIG_KALLSYMS_ALL, hidden addresses, no nf_tables): look through the rules then, with
/// [`super::trace_rules`].
///
/// # Errors
///
/// [`KeyError`]: the program was not loaded or not run (CAP_BPF and CAP_PERFMON), or could not read.
pub fn trace_enabled(symbols: &Symbols) -> Result<Option<bool>, KeyError> {
    symbols.address("nft_trace_enabled").map(is_not_zero).transpose()
}

/// Why the key was not read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The program was refused.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The program was loaded and could not be run (before 5.10 it never can).
    #[error("cannot run a program by hand: {0}")]
    Run(#[from] io::Error),
    /// There is nothing at the symbol's address.
    #[error("the kernel's memory at {address:#x} cannot be read")]
    Fault {
        /// The address from kallsyms.
        address: u64,
    },
}

/// Whether the `int` at a kernel address is other than 0. For a static key (`struct static_key`, whose first
/// member is `atomic_t enabled`): 0 is off; -1, "being switched on", counts as on as it does in
/// static_key_count().
fn is_not_zero(address: u64) -> Result<bool, KeyError> {
    let program = Program::load(&ProgramSpec {
        name: "tracer_peek",
        kind: ProgramKind::RawTracepoint,
        insns: &peek(address),
        btf: None,
        func_info: &[],
        line_info: &[],
        license: c"Dual MIT/GPL",
    })?;
    match program.test_run(&[])? {
        ZERO => Ok(false),
        FAULT => Err(KeyError::Fault { address }),
        _ => Ok(true),
    }
}

const ZERO: u32 = 0;
const FAULT: u32 = 2;

/// `int word = 0; if (bpf_probe_read_kernel(&word, 4, address)) return FAULT; return word != 0;`
fn peek(address: u64) -> Vec<Insn> {
    // Opcodes from linux/bpf_common.h and linux/bpf.h; 113 is bpf_probe_read_kernel (5.5).
    let (low, high) = (address as u32, (address >> 32) as u32);
    vec![
        insn(0x7a, 10, 0, -8, 0),                     // *(u64 *)(r10 - 8) = 0
        insn(0xbf, 1, 10, 0, 0),                      // r1 = r10
        insn(0x07, 1, 0, 0, (-8i32).cast_unsigned()), // r1 += -8
        insn(0xb7, 2, 0, 0, 4),                       // r2 = 4
        insn(0x18, 3, 0, 0, low),                     // r3 = address
        insn(0x00, 0, 0, 0, high),
        insn(0x85, 0, 0, 0, 113),   // call bpf_probe_read_kernel
        insn(0x55, 0, 0, 4, 0),     // if r0 != 0 goto fault
        insn(0x61, 0, 10, -8, 0),   // r0 = *(u32 *)(r10 - 8)
        insn(0x15, 0, 0, 1, 0),     // if r0 == 0 goto exit
        insn(0xb7, 0, 0, 0, 1),     // r0 = 1
        insn(0x95, 0, 0, 0, 0),     // exit
        insn(0xb7, 0, 0, 0, FAULT), // fault: r0 = FAULT
        insn(0x95, 0, 0, 0, 0),     // exit
    ]
}

/// `struct bpf_insn`: opcode, registers, offset, immediate.
fn insn(code: u8, to: u8, from: u8, offset: i16, immediate: u32) -> Insn {
    let registers = if cfg!(target_endian = "little") { from << 4 | to } else { to << 4 | from };
    let [o0, o1] = offset.to_ne_bytes();
    let [i0, i1, i2, i3] = immediate.to_ne_bytes();
    [code, registers, o0, o1, i0, i1, i2, i3]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::{Capabilities, Capability};

    #[test]
    fn instructions_are_eight_bytes() {
        if cfg!(target_endian = "little") {
            assert_eq!(insn(0x61, 0, 10, -8, 0), [0x61, 0xa0, 0xf8, 0xff, 0, 0, 0, 0]);
        }
        assert_eq!(peek(0xffff_ffff_8100_0000).len(), 14);
    }

    #[test]
    fn memory_is_read_and_a_bad_address_is_reported() {
        let own = Capabilities::of_this_thread().unwrap();
        if !own.missing(&[Capability::Bpf, Capability::Perfmon, Capability::SysAdmin]).is_empty() {
            eprintln!("SKIPPED memory_is_read_and_a_bad_address_is_reported: not enough capabilities");
            return;
        }
        let symbols = Symbols::open().unwrap();
        match symbols.address("nft_do_chain").or_else(|| symbols.address("ip_rcv")) {
            // A function's first bytes are code, which is not all zeros.
            Some(function) => assert!(is_not_zero(function).unwrap()),
            None => eprintln!("SKIPPED reading: no function's address is shown"),
        }
        assert!(matches!(is_not_zero(8), Err(KeyError::Fault { address: 8 })));
        // Whatever it says, it says it without an error.
        trace_enabled(&symbols).unwrap();
    }
}
