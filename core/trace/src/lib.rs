//! Where events go. A [`Sink`] takes events one by one and knows nothing of where they come from, be it the kernel's
//! rings or a stored trace, so `collect`, `print` and `pcap` share what is here.
//!
//! Of our crates this room may use `tracer-event` and, for the interpreter of filters, `tracer-dsl`. A sink writes to whatever implements [`std::io::Write`]; only
//! [`mod@file`] knows of files, because a trace may be several.
//!
//! [`TextSink`] writes what people read, [`JsonSink`] what programs read, [`PcapngSink`] what Wireshark reads; the trace
//! writer ([`file::TraceSink`]) packs [`tracer_event::Record::bytes`] without decoding them. Losses are told to a sink in their place among
//! the events, see [`Loss`].
#![forbid(unsafe_code)]

mod batch;
pub mod file;
pub mod filter;
mod json;
pub mod pcapng;
mod sink;
pub mod stats;
mod tee;
mod text;
mod wall;

pub use json::{JsonRender, JsonSink};
pub use pcapng::PcapngSink;
pub use sink::Sink;
pub use stats::StatsSink;
pub use tee::Tee;
pub use text::{TextRender, TextSink};
pub use tracer_event::{Account, Loss, Shortfall};
