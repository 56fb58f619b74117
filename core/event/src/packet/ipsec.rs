//! IPsec: the authentication header (RFC 4302), behind which the packet goes on, and the encrypted payload (RFC 4303),
//! behind which nothing can be read.

use super::text::{Protocol, Words, number};
use super::{Flaw, input::Input};
use crate::append;

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

impl Words for Ah {
    fn push(&self, out: &mut String) {
        push_association(out, self.spi, self.seq);
        out.push(' ');
        Protocol(self.protocol).push(out);
    }
}

impl Words for Esp {
    fn push(&self, out: &mut String) {
        push_association(out, self.spi, self.seq);
    }
}

fn push_association(out: &mut String, spi: u32, seq: u32) {
    out.push_str("spi 0x");
    append::hex_digits(out, u64::from(spi), 8);
    number(out, " seq ", seq);
}
