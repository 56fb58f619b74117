//! Capture files as they are written and as others read them: by a crate for pcapng (`file.rs`), and by Wireshark's
//! programs (`wireshark.rs`).

mod events;
mod file;
mod limits;
mod random;
mod sessions;
mod wireshark;
mod written;
