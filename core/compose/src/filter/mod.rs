//! The BPF back end of the filter language: what of a filter can be asked at a probe, when it can be decided there, and the
//! instructions that do it.
//!
//! Code that is emitted for values falls through where a test holds, and jumps to a label where it does not or where there
//! is no such value. It changes r0 to r5 only, and uses no stack: what it reads of the kernel goes to memory that the caller
//! points out.

mod bytes;
mod condition;
mod glob;
mod kernel;
mod number;
pub mod packet;
mod resolve;
mod scope;
mod scratch;
mod size;
mod text;
mod value;

pub use condition::{Condition, Source, Stage};
pub use kernel::{KernelPath, KernelTest};
pub use number::Number;
pub use resolve::no_argument;
pub use scope::{Resolved, Scope, resolve};
pub(crate) use scratch::{Scratch, VALUES};
pub use size::{PACKETS_MAX, PATTERNS_MAX, TooLarge, VALUES_MAX, check_size};
pub use value::{Form, Memory, ValueTest};

/// Helpers by their numbers in `include/uapi/linux/bpf.h`; both are there from 5.5 on.
mod helper {
    pub(super) const PROBE_READ_KERNEL: i32 = 113;
    pub(super) const PROBE_READ_KERNEL_STR: i32 = 115;
}
