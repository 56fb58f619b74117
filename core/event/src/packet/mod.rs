//! Packet data to headers, headers to text. Decoding is apart from printing, so that JSON, filters and statistics read
//! the same [`Packet`] that the text shows.
//!
//! A packet is a chain: where a tunnel carries another packet, that one is decoded as a [`Packet`] of its own
//! ([`Packet::inner`]). In text the two are parted by ` | `, the outer one first:
//!
//! ```text
//! 10.0.0.1 > 10.0.0.2 ttl 64 tos 0x0 id 7 off 0 len 56 proto GRE (47) key 5 | 192.168.0.1.1000 > 192.168.0.2.80 ttl ...
//! ```
//!
//! Why not a crate: data may be cut at any byte, by our capture or by whoever sent it, and then everything before the
//! cut counts, with a word on why it ends there; `etherparse` decodes whole headers or says no. Here a protocol is a
//! small file: `read` takes its header off the input, `Display` is its text.

mod arp;
mod decode;
mod ethernet;
mod flow;
mod gre;
mod icmp;
mod input;
mod ipsec;
mod ipv4;
mod ipv6;
mod mpls;
pub(crate) mod names;
mod overlay;
mod ports;
mod sctp;
mod tcp;
mod text;
mod udp;

#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod tunnel_tests;

pub use arp::{Arp, Parties};
pub use ethernet::{Ethernet, Mac, Tag, Vlan};
pub use flow::{Address, Flow, FlowDetail, FlowProtocol};
pub use gre::Gre;
pub use icmp::{Echo, Icmp};
pub use input::Flaw;
pub use ipsec::{Ah, Esp};
pub use ipv4::Ipv4;
pub use ipv6::{Fragment, Ipv6};
pub use mpls::Label;
pub use overlay::Overlay;
pub use ports::Ports;
pub use sctp::{Chunk, Sctp};
pub use tcp::{Tcp, TcpOption, TcpOptions};
pub use text::Shown;
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
    /// A VLAN tag that is not in the data, because a device took it off or will put it in.
    pub tag: Option<Tag>,
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
    /// The Ethernet header, as it is on the wire: its EtherType is that of a tag which is not in the data.
    pub ethernet: Option<Ethernet>,
    /// VLAN tags, outermost first, the one that is not in the data included.
    pub vlans: Vec<Vlan>,
    /// The MPLS label stack, top first.
    pub labels: Vec<Label>,
    /// The network header, or what stands in its place.
    pub network: Network,
    /// The IPsec authentication header, which stands before the transport header.
    pub ah: Option<Ah>,
    /// Of the protocols that have them, also where the rest of their header is missing.
    pub ports: Option<Ports>,
    /// The transport header.
    pub transport: Option<Transport>,
    /// The header of a tunnel over UDP.
    pub overlay: Option<Overlay>,
    /// The packet that a tunnel carries.
    pub inner: Option<Box<Packet>>,
    /// Why the headers end here; [`Packet::end`] also looks inside.
    pub flaw: Option<Flaw>,
}

/// What a packet has behind its link header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// It ends before that, or nothing says what it is.
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
    /// SCTP.
    Sctp(Sctp),
    /// GRE.
    Gre(Gre),
    /// IPsec's encrypted payload.
    Esp(Esp),
}

impl Packet {
    /// Decodes as much as there is.
    pub fn decode(capture: &Capture<'_>) -> Packet {
        decode::packet(capture)
    }

    /// Decodes up to the first tunnel's header, and not what the tunnel carries: all that a flow takes.
    pub fn decode_outermost(capture: &Capture<'_>) -> Packet {
        decode::outermost(capture)
    }

    /// This packet and those inside it, from the outside in.
    pub fn levels(&self) -> impl Iterator<Item = &Packet> {
        std::iter::successors(Some(self), |packet| packet.inner.as_deref())
    }

    /// The number of the protocol that the transport header is of; `None` without a network header that names one.
    pub(crate) fn protocol(&self) -> Option<u8> {
        match (&self.ah, &self.network) {
            (Some(ah), _) => Some(ah.protocol),
            (None, Network::Ipv4(ip)) => Some(ip.protocol),
            (None, Network::Ipv6(ip)) => Some(ip.protocol),
            _ => None,
        }
    }

    /// Why the headers end, here or inside, before the last one did.
    pub fn end(&self) -> Option<Flaw> {
        self.levels().find_map(|packet| packet.flaw)
    }
}
