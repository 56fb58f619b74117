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
//! This room may use every other; it decides nothing but words, streams and exit codes. What reads a stored trace works
//! on any system, what traces on Linux.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod collect;
mod command;
mod exit;
#[cfg(target_os = "linux")]
mod explain;
mod filter;
#[cfg(target_os = "linux")]
mod live;
#[cfg(target_os = "linux")]
mod look;
mod manual;
mod output;
mod pager;
#[cfg(target_os = "linux")]
mod plugin;
mod profile;
mod progress;
mod settings;
#[cfg(target_os = "linux")]
mod sinks;
#[cfg(not(target_os = "linux"))]
#[path = "no_sinks.rs"]
mod sinks;
mod sort;
mod stored;

use std::process::ExitCode;

pub use exit::Exit;
use tracer_collectors as _;
pub use tracer_compose::collector;

/// Runs tracer with the process's arguments; the exit code is one of [`Exit`].
pub fn main() -> ExitCode {
    // A plugin's process is this program once more.
    #[cfg(target_os = "linux")]
    if let Some(code) = plugin::serve() {
        return code;
    }
    command::main().into()
}

/// Whether a command line (with the program's name in front) would be accepted: its options,
/// profiles and probes are read, nothing is run. The error is what the user would be told.
pub fn check(arguments: &[&str]) -> Result<(), String> {
    command::check(arguments)
}
