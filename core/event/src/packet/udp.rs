//! The UDP header.

use super::text::{Words, number};
use super::{Flaw, input::Input};

/// A UDP header, without ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Udp {
    /// Bytes of header and payload.
    pub length: u16,
}

impl Udp {
    /// What follows the ports.
    pub(super) fn read(input: &mut Input<'_>) -> Result<Udp, Flaw> {
        let [a, b, _checksum @ ..] = input.take::<4>()?;
        Ok(Udp { length: u16::from_be_bytes([a, b]) })
    }
}

impl Words for Udp {
    fn push(&self, out: &mut String) {
        number(out, "len ", self.length);
    }
}
