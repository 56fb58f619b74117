//! The trace file, from outside: what is written comes back, whatever happens to the file in between.

#[path = "../traffic/mod.rs"]
mod traffic;

mod common;
mod damage;
mod files;
mod fuzz;
mod golden;
mod rotation;
mod roundtrip;
