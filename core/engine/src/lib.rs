//! From settings to a running trace.
//!
//! A [`Request`] is what a user asks for; a [`Plan`] is that, resolved against the catalog of
//! collectors and the running kernel; [`collect`] attaches it, makes the system changes that were
//! consented to, passes events to a sink, and undoes everything. It may use every other crate of
//! the core; it is the only one with an asynchronous runtime, and the only one that decides.

#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

mod attached;
mod clock;
mod command;
mod error;
mod explain;
mod host;
mod inspect;
mod ledger;
mod load;
mod names;
pub mod native;
mod netns;
mod notice;
mod packet_filter;
mod plan;
mod pump;
mod request;
mod run;
mod shortfall;
mod signals;
mod source;
mod trial;
mod types;

pub use attached::{Counts, Missed};
pub use error::{Class, Error};
pub use explain::{ExplainedHook, ExplainedProbe, Explanation, FilterAtProbe, explain, explain_filter};
pub use host::Machine;
pub use inspect::{Inspected, inspect};
pub use notice::Notice;
pub use packet_filter::{PacketProgram, PacketProgramError};
pub use plan::{Plan, PlannedHook, PlannedProbe};
pub use request::{Request, Way};
pub use run::{Ended, Outcome, collect};
pub use source::Source;
pub use trial::{TRIALS, Trial, trials};
pub use types::{Place, PlaceKind, Types, TypesError};
