//! What filters ask of a hit, as BPF instructions: the part of the back end that needs no map and no program around it.
//!
//! Code that is emitted here falls through where a test holds, and jumps to a label where it does not or where there is
//! no such value. It changes r0 to r5 only, and uses no stack: what it reads of the kernel goes to memory that the caller
//! points out.

mod bytes;
mod glob;
mod kernel;
mod number;
mod resolve;
mod text;
mod value;

pub use kernel::{KernelPath, KernelTest};
pub use number::Number;
pub use resolve::no_argument;
pub use value::{Form, Memory, ValueTest};

/// Helpers by their numbers in `include/uapi/linux/bpf.h`; both are there from 5.5 on.
mod helper {
    pub(super) const PROBE_READ_KERNEL: i32 = 113;
    pub(super) const PROBE_READ_KERNEL_STR: i32 = 115;
}
