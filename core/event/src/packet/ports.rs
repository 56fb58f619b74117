//! Ports. They come first in every header that has them, so they are known even where the rest of it is cut off.

use super::{Flaw, input::Input};

/// The ports of TCP, UDP, UDP-Lite, SCTP and DCCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ports {
    /// Where it comes from.
    pub source: u16,
    /// Where it goes.
    pub destination: u16,
}

impl Ports {
    pub(super) fn read(input: &mut Input<'_>) -> Result<Ports, Flaw> {
        let [a, b, c, d] = input.take()?;
        Ok(Ports { source: u16::from_be_bytes([a, b]), destination: u16::from_be_bytes([c, d]) })
    }
}
