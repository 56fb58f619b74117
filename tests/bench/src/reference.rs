//! What tracer is measured against: three programs of a few instructions at the same function, attached in the same way
//! and run by the same packets.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tracer_bpf::{
    Assembler, Btf,
    btf::Kind,
    insn::{Alu, PSEUDO_MAP_FD, PSEUDO_MAP_VALUE},
};
use tracer_kernel::{
    Link, Map, MapSpec, Place, Program, ProgramKind, ProgramSpec, Ring, btf, map, prog::TracingPoint,
};

/// The function that nftables calls for each verdict, and the module it is in.
pub(crate) const FUNCTION: &str = "__nft_trace_packet";
const MODULE: &str = "nf_tables";

/// Bytes of stack that tracer asks for: 127 addresses.
const STACK: i32 = 127 * 8;
/// Bytes of the ring that copies go to: enough for all of a measurement's.
const RING: u32 = 8 << 20;

/// How a program is attached, as tracer's option `--attach` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Fentry,
    Kprobe,
}

impl Way {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Fentry => "fentry",
            Way::Kprobe => "kprobe",
        }
    }
}

/// The reference programs.
pub(crate) struct References {
    /// Does nothing.
    empty: Program,
    /// Walks the kernel stack.
    stack: Program,
    /// Copies a record's bytes into a ring.
    copy: Program,
    way: Way,
    ring: Ring,
    _scratch: Map,
}

impl References {
    /// `bytes` is the size of the copied record, which stays below a KiB or so.
    pub(crate) fn load(way: Way, bytes: u32) -> Result<References> {
        let target = Target::new()?;
        let spec = MapSpec {
            name: "bench",
            kind: map::ARRAY,
            key_size: 4,
            value_size: 4096,
            max_entries: 1,
            flags: 0,
            inner: None,
        };
        let scratch = Map::create(&spec)?;
        let ring = Map::create(&MapSpec {
            kind: map::RINGBUF,
            key_size: 0,
            value_size: 0,
            max_entries: RING,
            ..spec
        })?;
        let (memory, ring_fd) = (scratch.fd().as_raw_fd(), ring.fd().as_raw_fd());
        Ok(References {
            empty: target.load(way, "bench_empty", |_| {})?,
            stack: target.load(way, "bench_stack", |asm| {
                asm.load_pseudo(2, PSEUDO_MAP_VALUE, memory, 0);
                asm.mov(3, STACK);
                asm.mov(4, 0);
                // bpf_get_stack(ctx, buf, size, flags)
                asm.call(67);
            })?,
            copy: target.load(way, "bench_copy", |asm| {
                asm.load_pseudo(1, PSEUDO_MAP_FD, ring_fd, 0);
                asm.load_pseudo(2, PSEUDO_MAP_VALUE, memory, 0);
                asm.mov(3, bytes.cast_signed());
                // BPF_RB_NO_WAKEUP, as tracer's own: nobody waits.
                asm.mov(4, 1);
                // bpf_ringbuf_output(ringbuf, data, size, flags)
                asm.call(130);
            })?,
            way,
            ring: Ring::new(ring)?,
            _scratch: scratch,
        })
    }

    /// An empty program, a stack walk, a copy.
    pub(crate) fn programs(&self) -> [&Program; 3] {
        [&self.empty, &self.stack, &self.copy]
    }

    /// Puts one of them at the function, until the link is dropped.
    pub(crate) fn attach(&self, program: &Program) -> Result<Link> {
        Ok(match self.way {
            Way::Kprobe => Link::kprobe(program, &Place::function(FUNCTION), false, None)?,
            Way::Fentry => Link::tracing(program)?,
        })
    }

    /// Makes room for the next measurement's copies.
    pub(crate) fn make_room(&mut self) {
        while self.ring.drain(usize::MAX, |_| {}) > 0 {}
    }
}

/// The probed function in this kernel's types.
struct Target {
    id: u32,
    object: Option<OwnedFd>,
}

impl Target {
    fn new() -> Result<Target> {
        let vmlinux = Arc::new(Btf::parse(btf::vmlinux()?)?);
        if let Some(id) = vmlinux.find_own(Kind::Func, FUNCTION).next() {
            return Ok(Target { id, object: None });
        }
        let module = Btf::parse_split(btf::module(MODULE)?, vmlinux)?;
        let id = module.find_own(Kind::Func, FUNCTION).next();
        let id = id.with_context(|| format!("this kernel has no {FUNCTION}"))?;
        Ok(Target { id, object: btf::module_object(MODULE)? })
    }

    fn load(&self, way: Way, name: &str, body: impl Fn(&mut Assembler)) -> Result<Program> {
        let mut asm = Assembler::default();
        body(&mut asm);
        asm.alu(Alu::Mov, 0, 0);
        asm.exit();
        let insns: Vec<_> = asm.finish()?.into_iter().map(tracer_bpf::Insn::bytes).collect();
        let kind = match way {
            Way::Kprobe => ProgramKind::Kprobe,
            Way::Fentry => ProgramKind::Tracing {
                at: TracingPoint::Fentry,
                btf_id: self.id,
                btf_object: self.object.as_ref().map(AsFd::as_fd),
            },
        };
        Ok(Program::load(&ProgramSpec {
            name,
            kind,
            insns: &insns,
            btf: None,
            func_info: &[],
            line_info: &[],
            license: c"Dual MIT/GPL",
        })?)
    }
}
