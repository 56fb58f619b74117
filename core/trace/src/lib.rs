//! Where events go. A [`Sink`] takes events one by one and knows nothing of where they come from, be it the kernel's
//! rings or a stored trace, so `collect`, `print` and `pcap` share what is here.
//!
//! Of our crates this room may use `tracer-event` only. A sink writes to whatever implements [`std::io::Write`]; only
//! [`mod@file`] knows of files, because a trace may be several.
//!
//! What comes later has its place already. JSON is one more `Sink` that walks the same schemas as the text; pcapng is
//! one that takes the fields shown as packets; the trace writer ([`file::TraceSink`]) is one that packs
//! [`tracer_event::Record::bytes`] without decoding them. Losses are told to a sink in their place among the events, see
//! [`Loss`].
#![forbid(unsafe_code)]

pub mod file;
mod sink;
mod text;

pub use sink::{Account, Loss, Sink};
pub use text::{TextRender, TextSink};
