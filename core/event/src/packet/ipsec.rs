//! IPsec: the authentication header (RFC 4302), behind which the packet goes on, and the encrypted payload (RFC 4303),
//! behind which nothing can be read.

use std::fmt;

use super::{Flaw, input::Input, text::Protocol};

/// An authentication header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ah {
    /// What follows, an IANA protocol number; in IPv6 what follows further extension headers.
    pub protocol: u8,
    /// Which security association it belongs to.
    pub spi: u32,
    /// The number of the packet.
    pub seq: u32,
}

/// The readable part of an encrypted payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Esp {
    /// Which security association it belongs to.
    pub spi: u32,
    /// The number of the packet.
    pub seq: u32,
}

impl Ah {
    /// The fixed part, and the bytes of the rest.
    pub(super) fn read(input: &mut Input<'_>) -> Result<(Ah, usize), Flaw> {
        let [protocol, words, _reserved @ ..] = input.take::<4>()?;
        let spi = u32::from_be_bytes(input.take()?);
        let seq = u32::from_be_bytes(input.take()?);
        // In words of 4 bytes, two less than there are: three are the fixed part.
        let rest = (usize::from(words) + 2).checked_sub(3).ok_or(Flaw::Malformed("AH length"))?;
        Ok((Ah { protocol, spi, seq }, 4 * rest))
    }
}

impl Esp {
    pub(super) fn read(input: &mut Input<'_>) -> Result<Esp, Flaw> {
        Ok(Esp { spi: u32::from_be_bytes(input.take()?), seq: u32::from_be_bytes(input.take()?) })
    }
}

impl fmt::Display for Ah {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spi {:#010x} seq {} {}", self.spi, self.seq, Protocol(self.protocol))
    }
}

impl fmt::Display for Esp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spi {:#010x} seq {}", self.spi, self.seq)
    }
}
