//! The commands that read a trace, as a user meets them: the binary is run, and what it prints, writes and ends with is
//! looked at. They need no privileges and no kernel.
//!
//! `TRACER_WRITE_GOLDEN=1 cargo test -p tracer --test stored the_golden_trace` writes the trace and all that is expected of it anew, into
//! `tests/golden`; `git diff` then shows what became different. That is right only until version 1 of the format is frozen:
//! then the trace stays, and only what is expected of it may change.
//!
//! `dropmon.pcapng.txt` is what Wireshark makes of the capture file: written by hand with `tshark -T fields`, compared by nobody.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod damage;
mod dropmon;
mod filter;
mod golden;
mod packets;
mod pcap;
mod run;
mod sort;
mod terminal;
mod usage;

// The collectors whose schemas the trace is written by.
use tracer_collectors as _;
