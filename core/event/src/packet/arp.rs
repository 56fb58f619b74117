//! ARP, for IPv4 over Ethernet; other kinds are named by their operation only.

use std::{fmt, net::Ipv4Addr};

use super::{Flaw, Mac, input::Input};

/// An ARP message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arp {
    /// 1 request, 2 reply.
    pub operation: u16,
    /// Who says it and whom it is about, if those are Ethernet and IPv4 addresses.
    pub parties: Option<Parties>,
}

/// The addresses in an ARP message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    /// The sender's Ethernet address.
    pub sender_mac: Mac,
    /// The sender's IPv4 address.
    pub sender: Ipv4Addr,
    /// The target's Ethernet address; zeros in a request.
    pub target_mac: Mac,
    /// The target's IPv4 address.
    pub target: Ipv4Addr,
}

impl Arp {
    /// Hardware Ethernet, protocol IPv4, 6 and 4 bytes of address.
    const ETHERNET_IPV4: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];

    pub(super) fn read(input: &mut Input<'_>) -> Result<Arp, Flaw> {
        let kind = input.take()?;
        let operation = u16::from_be_bytes(input.take()?);
        let parties = if kind == Arp::ETHERNET_IPV4 { Some(Parties::read(input)?) } else { None };
        Ok(Arp { operation, parties })
    }
}

impl Parties {
    fn read(input: &mut Input<'_>) -> Result<Parties, Flaw> {
        let (sender_mac, sender) = (Mac(input.take()?), Ipv4Addr::from(input.take::<4>()?));
        let (target_mac, target) = (Mac(input.take()?), Ipv4Addr::from(input.take::<4>()?));
        Ok(Parties { sender_mac, sender, target_mac, target })
    }
}

impl fmt::Display for Arp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.operation, &self.parties) {
            (1, Some(Parties { sender, target, .. })) => write!(f, "request who-has {target} tell {sender}"),
            (2, Some(Parties { sender, sender_mac, .. })) => write!(f, "reply {sender} at {sender_mac}"),
            (operation, _) => write!(f, "ARP op {operation}"),
        }
    }
}
