//! Ethernet and the VLAN tags that may follow it.

use std::fmt;

use super::text::{Words, number};
use super::{Flaw, input::Input};
use crate::append;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    pub(crate) fn push(self, out: &mut String) {
        let mut text = *b"00:00:00:00:00:00";
        for (place, byte) in text.chunks_mut(3).zip(self.0) {
            if let [high, low, ..] = place {
                [*high, *low] = append::byte_digits(byte);
            }
        }
        append::ascii(out, &text);
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.push(&mut text);
        f.write_str(&text)
    }
}

/// A VLAN tag as a device keeps it, apart from the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// Its EtherType: 0x8100 or 0x88a8.
    pub ethertype: u16,
    /// Priority (3 bits), drop eligibility (1 bit) and VLAN (12 bits).
    pub control: u16,
}

/// A VLAN tag in its place in the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vlan {
    /// The VLAN, 0 to 4095.
    pub id: u16,
    /// The priority code point, 0 to 7.
    pub priority: u8,
    /// Whether it may be dropped before others.
    pub drop_eligible: bool,
    /// What follows it.
    pub ethertype: u16,
}

impl Vlan {
    pub(super) fn read(input: &mut Input<'_>) -> Result<Vlan, Flaw> {
        let [a, b, c, d] = input.take()?;
        Ok(Vlan::new(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
    }

    pub(super) fn new(control: u16, ethertype: u16) -> Vlan {
        let [first, _] = control.to_be_bytes();
        Vlan { id: control & 0xfff, priority: first >> 5, drop_eligible: control & 0x1000 != 0, ethertype }
    }
}

impl Words for Vlan {
    fn push(&self, out: &mut String) {
        number(out, "vlan ", self.id);
    }
}
