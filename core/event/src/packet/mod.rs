//! Packet data to headers, headers to text. Decoding is apart from printing, so that JSON, filters and statistics read
//! the same [`Packet`] that the text shows.
//!
//! Why not a crate: data may be cut at any byte, by our capture or by whoever sent it, and then everything before the
//! cut counts, with a word on why it ends there; `etherparse` decodes whole headers or says no. Here a protocol is a
//! small file: `read` takes its header off the input, `Display` is its text.

mod arp;
mod ethernet;
mod icmp;
mod input;
mod ipv4;
mod ipv6;
mod names;
mod ports;
mod tcp;
mod text;
mod udp;

#[cfg(test)]
pub(crate) mod tests;

pub use arp::{Arp, Parties};
pub use ethernet::{Ethernet, Mac, Vlan};
pub use icmp::{Echo, Icmp};
pub use input::Flaw;
use input::Input;
pub use ipv4::Ipv4;
pub use ipv6::{Fragment, Ipv6};
pub use ports::Ports;
pub use tcp::Tcp;
pub use udp::Udp;

/// Captured data, and what was known about it where it was captured.
#[derive(Debug, Clone, Copy)]
pub struct Capture<'a> {
    /// The data.
    pub bytes: &'a [u8],
    /// What it starts with: a pcap LINKTYPE, [`ETHERNET`] or [`RAW`].
    pub link: u32,
    /// The EtherType of [`RAW`] data; 0 where it is not known.
    pub ethertype: u16,
    /// Bytes that the packet had from the start of the data.
    pub original: u32,
}

/// `LINKTYPE_ETHERNET`.
pub const ETHERNET: u32 = 1;
/// `LINKTYPE_RAW`: the data starts with the network header.
pub const RAW: u32 = 101;

/// The headers of a packet, as far as they are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The Ethernet header.
    pub ethernet: Option<Ethernet>,
    /// VLAN tags in the data, outermost first.
    pub vlans: Vec<Vlan>,
    /// The network header, or what stands in its place.
    pub network: Network,
    /// Of the protocols that have them, also where the rest of their header is missing.
    pub ports: Option<Ports>,
    /// The transport header.
    pub transport: Option<Transport>,
    /// Why the headers end here.
    pub flaw: Option<Flaw>,
}

/// What a packet has behind its link header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// It ends before that.
    Nothing,
    /// A link type that is not decoded.
    Link(u32),
    /// An EtherType that is not decoded, or whose header is not whole.
    EtherType(u16),
    /// An IEEE 802.3 frame of that length, in bytes.
    Ieee(u16),
    /// ARP.
    Arp(Arp),
    /// IPv4.
    Ipv4(Ipv4),
    /// IPv6.
    Ipv6(Ipv6),
}

/// The transport headers that are decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp(Tcp),
    /// UDP.
    Udp(Udp),
    /// ICMP or ICMPv6.
    Icmp(Icmp),
}

impl Packet {
    /// More tags than this are no packet but an attempt to make a long line.
    const MAX_VLANS: usize = 4;

    /// Decodes as much as there is.
    pub fn decode(capture: &Capture<'_>) -> Packet {
        let mut packet = Packet {
            ethernet: None,
            vlans: Vec::new(),
            network: Network::Nothing,
            ports: None,
            transport: None,
            flaw: None,
        };
        packet.flaw = packet.link(capture).err();
        packet
    }

    fn link(&mut self, capture: &Capture<'_>) -> Result<(), Flaw> {
        let mut input = Input::new(capture.bytes, capture.original);
        match capture.link {
            ETHERNET => {
                let ethernet = Ethernet::read(&mut input)?;
                let ethertype = ethernet.ethertype;
                self.ethernet = Some(ethernet);
                self.network(ethertype, input)
            }
            RAW if capture.ethertype == 0 => {
                let ethertype = match input.peek::<1>()?[0] >> 4 {
                    4 => names::IPV4,
                    6 => names::IPV6,
                    _ => return Err(Flaw::Malformed("IP version")),
                };
                self.network(ethertype, input)
            }
            RAW => self.network(capture.ethertype, input),
            link => {
                self.network = Network::Link(link);
                Ok(())
            }
        }
    }

    fn network(&mut self, mut ethertype: u16, mut input: Input<'_>) -> Result<(), Flaw> {
        self.network = Network::EtherType(ethertype);
        while names::is_vlan(ethertype) && self.vlans.len() < Packet::MAX_VLANS {
            let (vlan, inner) = Vlan::read(&mut input)?;
            self.vlans.push(vlan);
            self.network = Network::EtherType(inner);
            ethertype = inner;
        }
        match ethertype {
            names::IPV4 => self.ipv4(input),
            names::IPV6 => self.ipv6(input),
            names::ARP => {
                self.network = Network::Arp(Arp::read(&mut input)?);
                Ok(())
            }
            // Below this it is the length of an 802.3 frame.
            0..0x600 if self.ethernet.is_some() => {
                self.network = Network::Ieee(ethertype);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn ipv4(&mut self, mut input: Input<'_>) -> Result<(), Flaw> {
        let (ip, rest) = Ipv4::read(&mut input)?;
        let (protocol, first) = (ip.protocol, ip.offset == 0);
        self.network = Network::Ipv4(ip);
        input.payload(rest)?;
        if first { self.transport(protocol, input) } else { Ok(()) }
    }

    fn ipv6(&mut self, mut input: Input<'_>) -> Result<(), Flaw> {
        let mut ip = Ipv6::read(&mut input)?;
        let extensions = ip.extensions(&mut input);
        let (protocol, first) = (ip.protocol, ip.fragment.is_none_or(|fragment| fragment.offset == 0));
        self.network = Network::Ipv6(ip);
        extensions?;
        if first { self.transport(protocol, input) } else { Ok(()) }
    }

    fn transport(&mut self, protocol: u8, mut input: Input<'_>) -> Result<(), Flaw> {
        if names::has_ports(protocol) {
            self.ports = Some(Ports::read(&mut input)?);
        }
        self.transport = match protocol {
            names::TCP => Some(Transport::Tcp(Tcp::read(&mut input)?)),
            names::UDP => Some(Transport::Udp(Udp::read(&mut input)?)),
            names::ICMP | names::ICMPV6 => Some(Transport::Icmp(Icmp::read(&mut input, protocol)?)),
            _ => None,
        };
        Ok(())
    }
}
