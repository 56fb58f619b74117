//! Native halves of collectors, and sinks: code of others, in a shared library or linked into this binary, which adds what BPF cannot know
//! or takes events elsewhere.
//!
//! Each runs in a process of its own (`process.rs`, `serve.rs`), for a library can do anything: crash, exit, never return, write where it
//! must not. There, it ends its own process, and costs a deadline at most. Batches of records go over a socket and sections come back
//! (`enrich.rs`); a sink gets the events in the format of traces (`sink.rs`).

mod cell;
mod child;
pub(crate) mod enrich;
mod enricher;
mod exercise;
mod form;
mod frame;
mod pace;
#[cfg(test)]
mod peer_tests;
mod process;
mod said;
mod serve;
mod services;
mod sink;

pub use exercise::{NATIVE_CHECKS, NO_HALF, Outcome, exercise};
pub use form::{Fault, OptionValue, Options, Refusal};
pub use pace::{Pace, pace};
pub use process::{Quarantine, WORD};
pub use serve::serve;
pub use sink::{NativeSink, Shown};

use tracer_compose::{Fragment, option_name};

/// The options of a plugin's native half, by their own names. `number` and `text` are asked for what the user has set, by the names that
/// options have on the command line.
pub fn options(
    fragment: &Fragment,
    number: impl Fn(&str) -> Option<u64>,
    text: impl Fn(&str) -> Option<String>,
) -> Options {
    let manifest = &fragment.manifest;
    let value = |option: &tracer_compose::ManifestOption| {
        let name = option_name(&manifest.name, option);
        let value = match (&option.number, &option.text) {
            (Some(bounds), _) => OptionValue::Number(number(&name).unwrap_or(u64::from(bounds.default))),
            (None, Some(default)) => {
                OptionValue::Text(text(&name).unwrap_or_else(|| default.default.clone()))
            }
            (None, None) => return None,
        };
        Some((option.name.clone(), value))
    };
    manifest.options.iter().filter_map(value).collect()
}
