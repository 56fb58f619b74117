//! The packet decoder against bytes that nobody chose by hand: a generator of valid packets of all protocols that it
//! knows, noise made out of these, and tcpdump's reading of the same bytes.
#![expect(clippy::unwrap_used, reason = "tests state their expectations by unwrapping")]

mod fuzz;
mod generate;
mod json;
mod numbers;
mod pcap;
mod reading;
mod tcpdump;
mod words;
