//! A machine that runs the generated BPF instructions, as the kernel would: the crate `rbpf`, which checks each access.

use tracer_bpf::Insn;
use tracer_compose::filter::packet::Program;
use tracer_event::packet::Capture;

/// A filter's program, loaded.
pub struct Machine {
    program: Program,
    code: Vec<u8>,
}

impl Machine {
    /// Takes the program over.
    pub fn new(program: Program) -> Machine {
        let body = &program.insns()[Program::MAP_LOAD..];
        let code = body.iter().copied().flat_map(Insn::bytes).collect();
        Machine { program, code }
    }

    /// Whether a packet matches.
    pub fn matches(&self, capture: &Capture<'_>) -> bool {
        let mut value = self.program.value(capture);
        let machine = rbpf::EbpfVmRaw::new(Some(&self.code)).unwrap();
        match machine.execute_program(&mut value).unwrap() {
            0 => false,
            1 => true,
            other => panic!("the program returned {other}"),
        }
    }
}
