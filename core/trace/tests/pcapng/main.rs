//! Capture files as they are written and as others read them: by a crate for pcapng (`file.rs`), and by Wireshark's
//! programs (`wireshark.rs`).
#![expect(clippy::unwrap_used, reason = "tests state their expectations by unwrapping")]

mod events;
mod file;
mod limits;
mod random;
mod sessions;
mod wireshark;
mod written;
