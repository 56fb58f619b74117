//! The trace file, from outside: what is written comes back, whatever happens to the file in between.

#![expect(clippy::unwrap_used, reason = "tests state their expectations by unwrapping")]

#[path = "../traffic/mod.rs"]
mod traffic;

mod common;
mod damage;
mod files;
mod fuzz;
mod golden;
mod rotation;
mod roundtrip;
mod sort;
