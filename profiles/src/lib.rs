//! The built-in profiles, and where a profile is looked for by its name.
//!
//! A profile's text says what a run collects; reading it is `tracer-dsl`'s part. This room knows the
//! folders: `--profile-dir`, the user's, the system's, and what is built in. Of ours it uses
//! `tracer-dsl` (for diagnostics); of the system it reads profile files and lists their folders.

#![forbid(unsafe_code)]

mod builtin;
mod search;

pub use builtin::{Builtin, builtin};
pub use search::{FindError, Known, Loaded, Origin, SearchPath, find};
