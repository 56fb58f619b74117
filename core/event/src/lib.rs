//! What an event *is*: the table that describes a section ([`Schema`]), where the sections of a record lie ([`Layout`]),
//! the checked view of a record's bytes ([`Record`]), a packet decoder ([`packet`]), and one renderer each of [`text`] and
//! [`json`].
//! Everything that shows, stores or filters events derives from the schema, so a section nobody here has heard of is
//! treated like our own.
//!
//! Of our crates this room may use `tracer-bpf` only (and needs it not yet). It makes no system call, so it builds and
//! passes its tests on any system. Bytes that come in are never trusted: records, packets and names may be hostile, and
//! at worst yield an error or an escaped character, never a panic.
//!
//! The way of an event: [`Probes::event`] looks up the probe that a record names, [`Record::parse`] checks the bytes
//! against that probe's layout, [`Section::field`] decodes a field, [`text::Renderer`] prints all of it.
#![forbid(unsafe_code)]

mod account;
mod append;
mod escape;
mod event;
mod field;
mod follow;
pub mod header;
pub mod json;
mod layout;
pub mod packet;
mod record;
#[cfg(any(test, feature = "sample"))]
#[expect(missing_docs, reason = "for tests only, the names say it")]
#[expect(clippy::unwrap_used, reason = "for tests of the crates that use this one")]
pub mod sample;
mod schema;
mod session;
mod show;
mod stack;
mod stacks;
mod steps;
mod template;
pub mod text;
mod texts;
mod utc;
mod value;
mod widen;

pub use account::{Account, Loss, Shortfall};
pub use escape::Escaped;
pub use event::{Context, Event, ProbeInfo, Probes, Tag};
pub use field::{Field, Kind, Show, UnknownShow};
pub use follow::Follow;
pub use header::Header;
pub use layout::{Layout, LayoutError, Placed};
pub use record::{Record, RecordError, Section};
pub use schema::{Place, Schema, SchemaError, SchemaProblem, Tail, Text};
pub use session::{Clock, ClockSample, Session};
pub use stack::{NoSymbols, Symbol, Symbols, Trim};
pub use template::{Template, TemplateError, TemplateReason};
pub use value::Value;
pub use widen::{Widen, WidenError};
