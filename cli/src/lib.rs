//! The command line of tracer: arguments in, engine calls out.
//!
//! A binary with collectors of its own links them and calls [`main`]:
//!
//! ```no_run
//! // use my_collector as _;
//! fn main() -> std::process::ExitCode {
//!     tracer::main()
//! }
//! ```
//!
//! This room may use every other; it decides nothing but words, streams and exit codes.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod collect;
mod exit;
#[cfg(target_os = "linux")]
mod live;
mod settings;

use std::process::ExitCode;

pub use exit::Exit;

/// Runs tracer with the process's arguments; the exit code is one of [`Exit`].
#[cfg(target_os = "linux")]
pub fn main() -> ExitCode {
    collect::main().into()
}

/// Whether a command line (with the program's name in front) would be accepted: its options,
/// profiles and probes are read, nothing is run. The error is what the user would be told.
#[cfg(target_os = "linux")]
pub fn check(arguments: &[&str]) -> Result<(), String> {
    collect::check(arguments)
}

/// There is nothing yet that runs on other systems than Linux.
#[cfg(not(target_os = "linux"))]
pub fn main() -> ExitCode {
    eprintln!("error: this version of tracer traces on Linux only");
    Exit::Host.into()
}
