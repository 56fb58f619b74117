//! The running kernel: bpf(2), attaching, rings, symbols, namespaces, netlink.
//!
//! This room is the only way from `tracer` into the kernel. Every system call that is not plain file access
//! is made here, so everything above can stay free of `unsafe` and everything that a kernel may refuse has
//! one place where the refusal becomes a typed error with the facts in it (what was asked, of which object,
//! what is missing).
//!
//! What it may use of ours: `tracer-bpf` (and needs nothing of it so far). It knows no probe, no event and no
//! profile; it takes bytes, names and numbers and gives back descriptors that clean up after themselves. It
//! starts no thread and brings no async runtime: whoever waits, waits on the descriptors that [`Ring`]
//! exposes.
//!
//! Everything needs Linux 5.10 or later unless an item says otherwise.
#![cfg(target_os = "linux")]

pub mod attach;
pub mod btf;
pub mod caps;
pub mod features;
pub mod host;
pub mod limits;
pub mod map;
pub mod netns;
pub mod nft;
pub mod process;
pub mod prog;
pub mod ring;
pub mod symbols;
pub mod tracefs;

mod kprobe;
mod sys;

pub use attach::{AttachError, Link};
pub use caps::{Capabilities, Capability};
pub use kprobe::Place;
pub use map::{Map, MapError, MapSpec};
pub use prog::{LoadError, Program, ProgramKind, ProgramSpec};
pub use ring::Ring;
pub use symbols::Symbols;
pub use tracefs::TraceFs;
