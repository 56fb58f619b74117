//! ARP, for IPv4 over Ethernet; other kinds are named by their operation only.

use std::net::Ipv4Addr;

use super::text::{Words, number};
use super::{Flaw, Mac, input::Input};
use crate::append;

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

impl Words for Arp {
    fn push(&self, out: &mut String) {
        match (self.operation, &self.parties) {
            (1, Some(Parties { sender, target, .. })) => {
                out.push_str("request who-has ");
                append::ipv4(out, *target);
                out.push_str(" tell ");
                append::ipv4(out, *sender);
            }
            (2, Some(Parties { sender, sender_mac, .. })) => {
                out.push_str("reply ");
                append::ipv4(out, *sender);
                out.push_str(" at ");
                sender_mac.push(out);
            }
            (operation, _) => number(out, "ARP op ", operation),
        }
    }
}
