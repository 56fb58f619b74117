//! The BPF back end of the filter language: what of a filter can be asked at a probe, when it can be decided there, and the
//! instructions that do it.

mod condition;
mod resolve;
mod scratch;

pub use condition::{Condition, Source, Stage};
pub use resolve::{Resolved, Scope, resolve};
pub(crate) use scratch::{Scratch, VALUES};
