//! Where events go. A [`Sink`] takes events one by one and knows nothing of where they come from, be it the kernel's
//! rings or a stored trace, so `collect`, `print` and `pcap` share what is here.
//!
//! Of our crates this room may use `tracer-event` only. It makes no system call of its own: a sink writes to whatever
//! implements [`std::io::Write`].
//!
//! What comes later has its place already. JSON is one more `Sink` that walks the same schemas as the text; pcapng is
//! one that takes the fields shown as packets; the trace writer is one that copies [`tracer_event::Record::bytes`]
//! without decoding them. Losses need no call of their own to be found, since every record carries its CPU's cumulative
//! count ([`tracer_event::Header::lost`]): whoever stands in front of the sinks sees the jump, and gives them a loss as a
//! second kind of event, in its place in time, once there is one that shows it.
#![forbid(unsafe_code)]

mod sink;
mod text;

pub use sink::Sink;
pub use text::TextSink;
