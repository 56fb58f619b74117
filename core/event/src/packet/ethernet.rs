//! Ethernet and the VLAN tags that may follow it.

use std::fmt;

use super::{Flaw, input::Input};

/// An Ethernet header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ethernet {
    /// Where it goes.
    pub destination: Mac,
    /// Where it comes from.
    pub source: Mac,
    /// What follows; below 0x600 the length of an 802.3 frame.
    pub ethertype: u16,
}

impl Ethernet {
    pub(super) fn read(input: &mut Input<'_>) -> Result<Ethernet, Flaw> {
        let destination = Mac(input.take()?);
        let source = Mac(input.take()?);
        Ok(Ethernet { destination, source, ethertype: u16::from_be_bytes(input.take()?) })
    }
}

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// A VLAN tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vlan {
    /// The VLAN, 0 to 4095.
    pub id: u16,
    /// The priority code point, 0 to 7.
    pub priority: u8,
}

impl Vlan {
    /// The tag, and the EtherType behind it.
    pub(super) fn read(input: &mut Input<'_>) -> Result<(Vlan, u16), Flaw> {
        let [a, b, c, d] = input.take()?;
        let vlan = Vlan { id: u16::from_be_bytes([a & 0x0f, b]), priority: a >> 5 };
        Ok((vlan, u16::from_be_bytes([c, d])))
    }
}

impl fmt::Display for Vlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vlan {}", self.id)
    }
}
