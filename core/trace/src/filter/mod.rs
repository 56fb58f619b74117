//! The filter language's interpreter: a filter is compiled once, checked against what a trace has, and then asked of
//! decoded events, or of packets alone. What a packet primitive means is libpcap's to say; `docs/filters.md` lists where
//! we differ.
//!
//! A part of a filter that is about the packet only is one *packet sub-expression*, as large as it gets. Where it reads
//! beyond the data it is false as a whole, also under `not`: so does libpcap's program end.

mod event;
mod field;
mod frame;
mod run;

#[cfg(test)]
mod tests;

pub use event::EventFilter;
pub use frame::PacketFilter;
