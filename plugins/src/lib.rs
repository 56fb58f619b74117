//! Collectors in folders.
//!
//! A folder with `collector.toml` and `NAME.bpf.o` is a collector, of the same form as those that are built in. Beside the object,
//! or in its place, there may be a native half, `NAME.so`. This room knows
//! where such folders are looked for ([`Places`]), whom they are taken from ([`Trust`]), how one is read ([`read`]) and put
//! beside those that are there ([`find`]), and what a new one looks like ([`skeleton`]). It decides nothing about tracing,
//! and no code of a plugin's runs in this process.
//!
//! It may use `tracer-compose` and `tracer-ebpf`, whose headers it writes out.

#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

mod folder;
mod search;
pub mod skeleton;
pub mod suite;
mod trust;

pub use folder::{FolderError, read};
pub use search::{Found, From, Places, Refused, find};
pub use trust::{Distrust, OpenError, Opened, Trust};
