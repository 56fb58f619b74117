//! A packet filter that the kernel runs, on packets that come from a file: for trying the generated programs out where
//! they will run.

use std::io;
use std::os::fd::AsRawFd;

use tracer_compose::filter::packet::{Program, ProgramError};
use tracer_dsl::filter::Filter;
use tracer_event::packet::Capture;
use tracer_kernel::map::{ARRAY, Map, MapError, MapSpec};
use tracer_kernel::prog::{self, Insn, LoadError, ProgramKind, ProgramSpec};
use tracer_kernel::{Capabilities, Capability, limits::raise_limits};

use crate::error::Class;

/// A packet filter, loaded into the kernel; unloaded when dropped.
#[derive(Debug)]
pub struct PacketProgram {
    program: Program,
    map: Map,
    loaded: prog::Program,
}

/// Why the kernel cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum PacketProgramError {
    /// Loading programs needs privileges.
    #[error(
        "BPF programs cannot be loaded without {missing}: run it as root, or with `--backend interpreter`"
    )]
    Privileges {
        /// The capabilities, with commas between them.
        missing: String,
    },
    /// The filter has no program.
    #[error(transparent)]
    Compose(#[from] ProgramError),
    /// The kernel has no room for the packet.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The kernel does not take the program.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The kernel does not run the program.
    #[error("the kernel did not run the filter: {0} (it can from Linux 5.10 on)")]
    Run(io::Error),
}

impl PacketProgramError {
    /// Whose it is to change something.
    pub fn class(&self) -> Class {
        match self {
            PacketProgramError::Privileges { .. } => Class::Host,
            _ => Class::Failed,
        }
    }
}

impl PacketProgram {
    /// Loads a filter that is about packets only. Needs CAP_BPF and CAP_PERFMON, or before them CAP_SYS_ADMIN.
    ///
    /// # Errors
    /// See [`PacketProgramError`].
    pub fn load(filter: &Filter) -> Result<PacketProgram, PacketProgramError> {
        let program = Program::new(filter)?;
        if let Ok(own) = Capabilities::of_this_thread() {
            let missing = own.missing(&[Capability::Bpf, Capability::Perfmon]);
            if !missing.is_empty() {
                let names: Vec<&str> = missing.iter().map(|capability| capability.name()).collect();
                return Err(PacketProgramError::Privileges { missing: names.join(", ") });
            }
        }
        raise_limits();
        let map = Map::create(&MapSpec {
            name: "tracer_packet",
            kind: ARRAY,
            key_size: 4,
            value_size: program.value_size(),
            max_entries: 1,
            flags: 0,
            inner: None,
        })?;
        let mut insns: Vec<Insn> = program.insns().iter().map(|insn| insn.bytes()).collect();
        if let Some(load) = insns.first_mut() {
            load[4..].copy_from_slice(&map.fd().as_raw_fd().to_ne_bytes());
        }
        let loaded = prog::Program::load(&ProgramSpec {
            name: "tracer_filter",
            kind: ProgramKind::RawTracepoint,
            insns: &insns,
            btf: None,
            func_info: &[],
            line_info: &[],
            license: c"GPL",
        })?;
        Ok(PacketProgram { program, map, loaded })
    }

    /// Whether a packet matches.
    ///
    /// # Errors
    /// The kernel's answer; none is expected from Linux 5.10 on.
    pub fn matches(&self, capture: &Capture<'_>) -> Result<bool, PacketProgramError> {
        self.map.update(&0_u32.to_ne_bytes(), &self.program.value(capture), 0)?;
        Ok(self.loaded.test_run(&[]).map_err(PacketProgramError::Run)? != 0)
    }
}
