//! BTF and BPF instructions as plain bytes.
//!
//! This room knows the two formats that everything else is made of: the BPF Type Format (parsed,
//! searched, sliced, merged) and BPF instructions (built with labels). It makes no system call
//! and needs no kernel: a BTF blob is a byte vector, whoever read it.
//!
//! It uses no other crate of this workspace; all others may use it.

#![forbid(unsafe_code)]

pub mod btf;
pub mod insn;
mod listing;
mod prune;

pub use btf::{Btf, BtfError};
pub use insn::{Assembler, Insn};
pub use listing::listing;
pub use prune::{Pruned, prune};
