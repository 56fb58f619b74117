//! Loading programs. An image from the composer arrives as finished instructions with its own BTF; what is
//! left is the call itself, and asking the verifier for its reasons when it says no.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys::{self, Attr, Command, Info};

mod loaded;
mod refusal;

pub use loaded::loaded;
use refusal::load_with_log;
pub use refusal::{LoadError, btf_load};

/// One BPF instruction as the kernel takes it (`struct bpf_insn`, native endian).
pub type Insn = [u8; 8];

/// What kind of program, which decides where it can be attached and what its context is.
#[derive(Clone, Copy, Debug)]
pub enum ProgramKind<'a> {
    /// For perf kprobes and kretprobes; the context is `struct pt_regs`.
    Kprobe,
    /// For kprobe.multi links (5.18, with CONFIG_FPROBE); the context is `struct pt_regs`.
    KprobeMulti,
    /// For tracepoints by name; the context is the tracepoint's arguments as u64 each, untyped.
    RawTracepoint,
    /// For one function or tracepoint named by its BTF id; the context is the arguments as u64 each, typed.
    Tracing {
        /// Where in the function, or that it is a tracepoint.
        at: TracingPoint,
        /// The BTF id of the FUNC, or of the tracepoint's typedef `btf_trace_*`.
        btf_id: u32,
        /// The BTF object of the module that the id belongs to (see [`crate::btf::module_object`]); `None` is
        /// vmlinux.
        btf_object: Option<BorrowedFd<'a>>,
    },
}

/// Where a tracing program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TracingPoint {
    /// At a function's entry.
    Fentry,
    /// At a function's return; the return value follows the arguments.
    Fexit,
    /// At a tracepoint.
    TpBtf,
}

/// A program to load. Map descriptors stand in the instructions already.
#[derive(Clone, Copy, Debug)]
pub struct ProgramSpec<'a> {
    /// Shown by `bpftool prog` and in stacks, cut to 15 characters.
    pub name: &'a str,
    /// What it can be attached to.
    pub kind: ProgramKind<'a>,
    /// The instructions.
    pub insns: &'a [Insn],
    /// The BTF that the two tables below speak of.
    pub btf: Option<BorrowedFd<'a>>,
    /// One `[first instruction, BTF id of the FUNC]` per subprogram, in order; empty without BTF.
    pub func_info: &'a [[u32; 2]],
    /// `[instruction, file, line, line << 10 | column]`; the strings are offsets into the BTF.
    pub line_info: &'a [[u32; 4]],
    /// `GPL` or a licence the kernel counts as compatible; many helpers insist.
    pub license: &'a CStr,
}

/// A loaded program; unloaded when it and everything it is attached through are closed.
#[derive(Debug)]
pub struct Program {
    fd: OwnedFd,
    name: String,
}

impl Program {
    /// Has the program verified and loaded.
    ///
    /// # Errors
    ///
    /// [`LoadError`] with the kernel's answer and, when the verifier had something to say, its log.
    pub fn load(spec: &ProgramSpec<'_>) -> Result<Program, LoadError> {
        let mut load = Load::new(spec).map_err(|errno| LoadError::of(spec.name, errno, String::new()))?;
        let fd = load_with_log(spec.name, |log| {
            load.log_level = u32::from(!log.is_empty());
            load.log_size = sys::length(log.len())?;
            load.log = sys::address_mut(log);
            // SAFETY: the addresses are those of the spec's slices and licence and of the log, all borrowed
            // for longer than the call, with the lengths beside them.
            unsafe { sys::bpf_fd(Command::ProgLoad, &mut load) }
        })?;
        Ok(Program { fd, name: spec.name.to_owned() })
    }

    /// The descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The name it was loaded with, uncut.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kernel's counters for this program.
    ///
    /// # Errors
    ///
    /// The kernel's answer; none is expected for an open descriptor.
    pub fn info(&self) -> io::Result<ProgramInfo> {
        let mut info = ProgInfo::default();
        let filled = sys::object_info(self.fd(), &mut info)?;
        Ok(ProgramInfo {
            id: info.id,
            run_time_ns: info.run_time_ns,
            run_count: info.run_cnt,
            recursion_misses: (filled >= ProgInfo::WITH_MISSES).then_some(info.recursion_misses),
        })
    }

    /// Runs the program once with `context` as its arguments and gives what it returns. For
    /// [`ProgramKind::RawTracepoint`].
    ///
    /// # Errors
    ///
    /// EINVAL when the program reads more arguments than there are, ENOTSUPP (524) for other kinds; needs
    /// CAP_BPF or CAP_SYS_ADMIN.
    pub fn test_run(&self, context: &[u64]) -> io::Result<u32> {
        let mut attr = TestRun {
            prog: sys::raw(self.fd()),
            context_len: sys::length(size_of_val(context))?,
            context: sys::address(context),
            ..TestRun::default()
        };
        // SAFETY: the only address is the context's, borrowed, with its length in bytes beside it.
        unsafe { sys::bpf(Command::ProgTestRun, &mut attr) }?;
        Ok(attr.returned)
    }
}

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

/// What the kernel counts per program (`struct bpf_prog_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramInfo {
    /// The program's id, as `bpftool prog` shows it.
    pub id: u32,
    /// Time spent in it, in ns; counted only while [`enable_statistics`] or its sysctl is on.
    pub run_time_ns: u64,
    /// How often it ran; counted only while statistics are on.
    pub run_count: u64,
    /// How often the kernel did not run it because it was running on that CPU; `None` before 5.12, where
    /// nobody counts.
    pub recursion_misses: Option<u64>,
}

/// Turns on run time and run count for all programs, as long as the descriptor is open (`BPF_ENABLE_STATS`,
/// 5.8).
///
/// # Errors
///
/// EPERM without CAP_SYS_ADMIN.
pub fn enable_statistics() -> io::Result<OwnedFd> {
    #[repr(C)]
    struct EnableStats {
        kind: u32,
    }
    // SAFETY: one integer.
    unsafe impl Attr for EnableStats {}
    // 0 is BPF_STATS_RUN_TIME.
    let mut attr = EnableStats { kind: 0 };
    // SAFETY: the attribute holds no address.
    unsafe { sys::bpf_fd(Command::EnableStats, &mut attr) }
}

/// `BPF_PROG_LOAD`, up to `core_relo_cnt` (5.17, zero here): the field before it would leave padding.
#[repr(C)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kern_version: u32,
    flags: u32,
    name: [u8; 16],
    ifindex: u32,
    expected_attach_type: u32,
    btf: u32,
    func_info_rec_size: u32,
    func_info: u64,
    func_info_cnt: u32,
    line_info_rec_size: u32,
    line_info: u64,
    line_info_cnt: u32,
    attach_btf_id: u32,
    attach_btf_object: u32,
    core_relo_cnt: u32,
}
const _: () = assert!(size_of::<Load>() == 120);
// SAFETY: integers only, u32s in pairs before each u64, so there is no padding.
unsafe impl Attr for Load {}

impl Load {
    fn new(spec: &ProgramSpec<'_>) -> io::Result<Load> {
        let (prog_type, expected_attach_type, attach_btf_id, attach_btf_object) = spec.kind.numbers();
        Ok(Load {
            prog_type,
            insn_cnt: sys::length(spec.insns.len())?,
            insns: sys::address(spec.insns),
            license: spec.license.as_ptr().expose_provenance() as u64,
            log_level: 0,
            log_size: 0,
            log: 0,
            kern_version: 0,
            flags: 0,
            name: sys::object_name(spec.name),
            ifindex: 0,
            expected_attach_type,
            btf: spec.btf.map_or(0, sys::raw),
            func_info_rec_size: 8,
            func_info: sys::address(spec.func_info),
            func_info_cnt: sys::length(spec.func_info.len())?,
            line_info_rec_size: 16,
            line_info: sys::address(spec.line_info),
            line_info_cnt: sys::length(spec.line_info.len())?,
            attach_btf_id,
            attach_btf_object,
            core_relo_cnt: 0,
        })
    }
}

impl ProgramKind<'_> {
    /// Program type, attach type, BTF id, BTF object: `enum bpf_prog_type` and `enum bpf_attach_type`.
    fn numbers(self) -> (u32, u32, u32, u32) {
        match self {
            ProgramKind::Kprobe => (2, 0, 0, 0),
            ProgramKind::KprobeMulti => (2, 42, 0, 0),
            ProgramKind::RawTracepoint => (17, 0, 0, 0),
            ProgramKind::Tracing { at, btf_id, btf_object } => {
                let attach_type = match at {
                    TracingPoint::TpBtf => 23,
                    TracingPoint::Fentry => 24,
                    TracingPoint::Fexit => 25,
                };
                (26, attach_type, btf_id, btf_object.map_or(0, sys::raw))
            }
        }
    }
}

/// `BPF_PROG_TEST_RUN`, up to `ctx_out`.
#[repr(C)]
#[derive(Default)]
struct TestRun {
    prog: u32,
    returned: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_len: u32,
    context_len_out: u32,
    context: u64,
    context_out: u64,
}
const _: () = assert!(size_of::<TestRun>() == 64);
// SAFETY: integers only, no padding.
unsafe impl Attr for TestRun {}

/// `struct bpf_prog_info`, up to `recursion_misses`.
#[repr(C)]
#[derive(Default)]
struct ProgInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    lengths: [u32; 2],
    // jited and xlated instructions, load time, uid and map count, map ids: all zero, so the kernel copies
    // none of them out.
    unused: [u64; 5],
    name: [u8; 16],
    // ifindex and flags, netns, counts and addresses of ksyms, BTF and its tables, program tags: zero too.
    unused_too: [u64; 14],
    run_time_ns: u64,
    run_cnt: u64,
    recursion_misses: u64,
}
impl ProgInfo {
    /// Bytes the kernel fills when it has `recursion_misses`.
    const WITH_MISSES: usize = size_of::<ProgInfo>();
}
const _: () = assert!(std::mem::offset_of!(ProgInfo, run_time_ns) == 192);
// SAFETY: integers only, no padding; all addresses inside are zero when passed in.
unsafe impl Info for ProgInfo {}
