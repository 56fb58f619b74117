//! Where events go. A [`Sink`] takes events one by one and knows nothing of where they come from, be it the kernel's
//! rings or a stored trace, so `collect`, `print` and `pcap` share what is here.
//!
//! Of our crates this room may use `tracer-event` only. It makes no system call of its own: a sink writes to whatever
//! implements [`std::io::Write`].
//!
//! [`TextSink`] writes what people read, [`PcapngSink`] what Wireshark reads: it takes the fields shown as packets.
//!
//! What comes later has its place already. JSON is one more `Sink` that walks the same schemas as the text; the trace
//! writer is one that copies [`tracer_event::Record::bytes`] without decoding them. Losses are told to a sink in their place among the events, see [`Loss`].
#![forbid(unsafe_code)]

pub mod pcapng;
mod sink;
pub mod stats;
mod text;

pub use pcapng::PcapngSink;
pub use sink::{Account, Loss, Sink};
pub use stats::StatsSink;
pub use text::TextSink;
