//! What a shared library needs to be a plugin of tracer.
//!
//! In Rust: implement [`Native`] and name the type in [`export_plugin!`]; [`section!`] declares what it adds to events.
//!
//! ```
//! use tracer_plugin_abi::{Event, Failure, Host, Native, Session, export_plugin, section};
//!
//! section! {
//!     /// How long the name of the thread is that was interrupted.
//!     pub struct Name in "name", texts 32 {
//!         length: u32,
//!         upper: String,
//!     }
//! }
//!
//! struct Plugin;
//!
//! impl Native for Plugin {
//!     type Section = Name;
//!
//!     fn start(_: &Host<'_>, _: &Session<'_>) -> Result<Self, Failure> {
//!         Ok(Plugin)
//!     }
//!
//!     fn enrich(&mut self, _: &Host<'_>, event: &Event<'_>) -> Result<Option<Name>, Failure> {
//!         let name = event.comm();
//!         Ok(Some(Name { length: name.len() as u32, upper: name.to_uppercase() }))
//!     }
//! }
//!
//! export_plugin!(Plugin, name: "name", release: env!("CARGO_PKG_VERSION"), licence: "MIT");
//! ```
//!
//! Everything else has `include/tracer/plugin.h`, which is generated from [`mod@c`]. No type of Rust's crosses the boundary.
//!
//! tracer calls a plugin in a process of its own, from one thread. What is promised, and for how long, docs/plugins.md says.
//! This crate uses no other of tracer's.

pub mod c;
mod export;
mod host;
mod native;
mod section;
mod view;

#[doc(hidden)]
pub use export::{entry, functions};
pub use host::{Handle, Host, Level};
pub use native::{Failure, Native, NoSection};
pub use section::{FieldType, Out, SectionData, offset};
pub use view::{Event, Loss, Session, Value};
