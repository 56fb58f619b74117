//! All that a user writes becomes a typed value here, or a diagnostic that shows where and why not.
//!
//! A probe on the command line, a key of a profile and a collector's option have one reader each, and
//! all of them report the same way: [`Diagnostic`]s with the place, the reason and a hint, several at
//! once. What leaves this room is typed; no option is a string past the command line.
//!
//! - [`diagnostic`]: what is wrong with a text, as values, and how it is shown
//! - [`probe`]: places in the kernel, `kprobe:__nft_trace_packet/stack`
//! - [`option`]: the one option table that feeds the command line and the profiles' keys, and the
//!   settings that are merged from both
//! - [`profile`]: TOML files with the arguments of a run
//! - [`when`]: conditions on the machine, under which a profile or a probe counts
//! - [`filter`]: the filter language, for packets and for the fields of events
//!
//! The room may use `tracer-event` and `tracer-bpf`, and nothing else of ours. It makes no system
//! calls: a profile's text is read by the caller. It knows no back end: conditions are compiled or
//! evaluated where the output belongs.

#![forbid(unsafe_code)]

pub mod diagnostic;
pub mod filter;
pub mod option;
pub mod probe;
pub mod profile;
pub mod when;

pub use diagnostic::{Diagnostic, Diagnostics, Severity, SourceRef};
pub use option::{OptionDef, OptionTable, Settings, SubCommand};
pub use probe::Probe;
pub use profile::Profile;
pub use when::When;
