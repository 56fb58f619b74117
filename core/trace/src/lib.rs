//! Where events go. A [`Sink`] takes events one by one and knows nothing of where they come from, be it the kernel's
//! rings or a stored trace, so `collect`, `print` and `pcap` share what is here.
//!
//! Of our crates this room may use `tracer-event` only. It makes no system call of its own: a sink writes to whatever
//! implements [`std::io::Write`].
//!
//! What comes later has its place already: pcapng is a sink that takes the fields shown as packets; the trace writer is
//! one that copies [`tracer_event::Record::bytes`] without decoding them. Losses are told to a sink in their place among
//! the events, see [`Loss`].
#![forbid(unsafe_code)]

mod batch;
mod json;
mod sink;
mod text;
mod wall;

pub use json::JsonSink;
pub use sink::Sink;
pub use text::TextSink;
pub use tracer_event::{Account, Loss};
