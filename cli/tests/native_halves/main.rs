//! Native halves that do all that they must not: the suite says of each by which check it fails, and a run goes on without it.
//! They are compiled from a catalogue, `plugins/host/tests/hostile.c`.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "what cannot be set up cannot be tested")]

mod asks;
mod conformance;
mod good;
mod left;
mod runs;
mod support;
