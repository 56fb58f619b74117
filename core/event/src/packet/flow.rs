//! Which flow a packet belongs to: who sends what to whom. Statistics count by it, so it is small, and it is made of
//! what all packets of a flow have in common.
//!
//! It is the outermost network header that says it: of packets in a tunnel, the flow is the tunnel's. VLAN tags and
//! labels are not part of it. The two directions of a connection are two flows.

use std::{fmt, net::IpAddr};

use super::{Mac, Network, Packet, Ports, Transport, names};

/// Who sends what to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Who sends; `None` where no header says it.
    pub source: Option<Address>,
    /// Who is to get it; `None` where no header says it.
    pub destination: Option<Address>,
    /// What is sent.
    pub protocol: FlowProtocol,
    /// What tells flows between the same two apart. A fragment other than the first has none, nor has a packet that is
    /// cut before it.
    pub detail: Option<FlowDetail>,
}

/// The address of one end of a flow, of the innermost layer that names both ends: IP, where there is IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Address {
    /// Of IP, and of the two that ARP is about.
    Ip(IpAddr),
    /// Of an Ethernet frame that holds something else.
    Mac(Mac),
}

/// What a flow's packets are. Its text is the name, such as `TCP`, or the number where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlowProtocol {
    /// An IANA protocol number: what follows IP, its extension headers, and an authentication header.
    Ip(u8),
    /// What is not IP, and IP whose header is not whole.
    EtherType(u16),
    /// An IEEE 802.3 frame.
    Ieee,
}

/// What tells flows between the same two apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlowDetail {
    /// Of the protocols that have ports.
    Ports(Ports),
    /// Of ICMP and ICMPv6.
    Icmp {
        /// The type; the numbers of ICMP and ICMPv6 differ.
        kind: u8,
        /// The code, by type.
        code: u8,
    },
}

impl Packet {
    /// The flow of this packet, not of one inside it. `None` where not even its EtherType is known.
    pub fn flow(&self) -> Option<Flow> {
        let ip = |source: IpAddr, destination: IpAddr, protocol| Flow {
            source: Some(Address::Ip(source)),
            destination: Some(Address::Ip(destination)),
            protocol: FlowProtocol::Ip(self.ah.as_ref().map_or(protocol, |ah| ah.protocol)),
            detail: self.flow_detail(),
        };
        Some(match &self.network {
            Network::Ipv4(header) => ip(header.source.into(), header.destination.into(), header.protocol),
            Network::Ipv6(header) => ip(header.source.into(), header.destination.into(), header.protocol),
            Network::Arp(arp) => match &arp.parties {
                Some(parties) => Flow {
                    source: Some(Address::Ip(parties.sender.into())),
                    destination: Some(Address::Ip(parties.target.into())),
                    protocol: FlowProtocol::EtherType(names::ARP),
                    detail: None,
                },
                None => self.link_flow(FlowProtocol::EtherType(names::ARP)),
            },
            Network::EtherType(number) => self.link_flow(FlowProtocol::EtherType(*number)),
            Network::Ieee(_) => self.link_flow(FlowProtocol::Ieee),
            // What the labels lead to is not said.
            Network::Nothing if !self.labels.is_empty() => {
                self.link_flow(FlowProtocol::EtherType(names::MPLS))
            }
            Network::Nothing | Network::Link(_) => return None,
        })
    }

    fn link_flow(&self, protocol: FlowProtocol) -> Flow {
        let ethernet = self.ethernet.as_ref();
        Flow {
            source: ethernet.map(|ethernet| Address::Mac(ethernet.source)),
            destination: ethernet.map(|ethernet| Address::Mac(ethernet.destination)),
            protocol,
            detail: None,
        }
    }

    fn flow_detail(&self) -> Option<FlowDetail> {
        match (self.ports, &self.transport) {
            (Some(ports), _) => Some(FlowDetail::Ports(ports)),
            (None, Some(Transport::Icmp(icmp))) => {
                Some(FlowDetail::Icmp { kind: icmp.kind, code: icmp.code })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Mac(address) => address.fmt(f),
        }
    }
}

impl FlowProtocol {
    /// The name, where the text of packets has one for it.
    pub fn name(self) -> Option<&'static str> {
        match self {
            FlowProtocol::Ip(number) => names::protocol(number),
            FlowProtocol::EtherType(number) => names::ethertype(number),
            FlowProtocol::Ieee => Some("802.3"),
        }
    }
}

impl fmt::Display for FlowProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), *self) {
            (Some(name), _) => f.write_str(name),
            (None, FlowProtocol::Ip(number)) => write!(f, "proto {number}"),
            (None, FlowProtocol::EtherType(number)) => write!(f, "ethertype {number:#06x}"),
            // It has a name.
            (None, FlowProtocol::Ieee) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::tests::{Noise, UDP, frame, ipv4, ipv6, tcp};
    use crate::packet::{Capture, ETHERNET, RAW};
    use crate::sample::SYN;

    fn decode(link: u32, bytes: &[u8]) -> Packet {
        let original = u32::try_from(bytes.len()).unwrap();
        Packet::decode(&Capture { bytes, link, ethertype: 0, tag: None, original })
    }

    /// A flow in words.
    fn flow(link: u32, bytes: &[u8]) -> String {
        let Some(flow) = decode(link, bytes).flow() else { return "none".into() };
        let address = |address: Option<Address>| address.map_or("?".into(), |address| address.to_string());
        let Flow { source, destination, protocol, detail } = flow;
        let detail = match detail {
            Some(FlowDetail::Ports(ports)) => format!(" {} {}", ports.source, ports.destination),
            Some(FlowDetail::Icmp { kind, code }) => format!(" type {kind} code {code}"),
            None => String::new(),
        };
        format!("{} > {} {protocol}{detail}", address(source), address(destination))
    }

    #[test]
    fn transports() {
        assert_eq!(flow(ETHERNET, &SYN), "172.16.42.1 > 172.16.42.2 TCP 52294 8080");
        assert_eq!(flow(RAW, &ipv6(17, &UDP)), "fd00::1 > fd00::2 UDP 12345 53");
        assert_eq!(flow(RAW, &ipv4(1, 0, &[], &[3, 1, 0, 0])), "10.0.0.1 > 10.0.0.2 ICMP type 3 code 1");
        let ping = ipv6(58, &[128, 0, 0, 0, 0, 5, 0, 1]);
        assert_eq!(flow(RAW, &ping), "fd00::1 > fd00::2 ICMPv6 type 128 code 0");
        assert_eq!(flow(RAW, &ipv4(253, 0, &[], &[])), "10.0.0.1 > 10.0.0.2 proto 253");
        let ah = [&[6, 4, 0, 0, 0, 0, 1, 2, 0, 0, 0, 9][..], &[0; 12], &tcp(2)].concat();
        assert_eq!(flow(RAW, &ipv4(51, 0, &[], &ah)), "10.0.0.1 > 10.0.0.2 TCP 1000 80");
    }

    #[test]
    fn fragments_but_the_first_have_no_ports() {
        assert_eq!(flow(RAW, &ipv4(17, 0x2000, &[], &UDP)), "10.0.0.1 > 10.0.0.2 UDP 12345 53");
        assert_eq!(flow(RAW, &ipv4(17, 185, &[], &UDP)), "10.0.0.1 > 10.0.0.2 UDP");
        let later = ipv6(44, &[&[17, 0, 0, 8, 0, 0, 0, 9][..], &UDP].concat());
        assert_eq!(flow(RAW, &later), "fd00::1 > fd00::2 UDP");
    }

    #[test]
    fn a_tunnel_is_the_flow_of_what_is_in_it() {
        let inner = ipv4(17, 0, &[], &UDP);
        assert_eq!(flow(RAW, &ipv6(4, &inner)), "fd00::1 > fd00::2 IPIP");
        let vxlan =
            [&[0x30, 0x39, 0x12, 0xb5, 0, 0, 0, 0, 8, 0, 0, 0, 0, 1, 0, 0][..], &frame(0x0800, &inner)]
                .concat();
        assert_eq!(flow(RAW, &ipv4(17, 0, &[], &vxlan)), "10.0.0.1 > 10.0.0.2 UDP 12345 4789");
        // Labels and tags are no tunnel.
        let tagged = frame(0x8100, &[&[0, 7, 0x88, 0x47, 0, 6, 0x41, 64][..], &inner].concat());
        assert_eq!(flow(ETHERNET, &tagged), "10.0.0.1 > 10.0.0.2 UDP 12345 53");
    }

    #[test]
    fn not_ip() {
        let macs = "02:00:00:00:00:01 > 02:00:00:00:00:02";
        let arp = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2];
        assert_eq!(flow(ETHERNET, &frame(0x0806, &arp)), "10.0.0.1 > 10.0.0.2 ARP");
        assert_eq!(flow(ETHERNET, &frame(0x0806, &[0, 6, 8, 0, 6, 4, 0, 1])), format!("{macs} ARP"));
        assert_eq!(flow(ETHERNET, &frame(0x88cc, &[0; 8])), format!("{macs} LLDP"));
        assert_eq!(flow(ETHERNET, &frame(0x1234, &[])), format!("{macs} ethertype 0x1234"));
        assert_eq!(flow(ETHERNET, &frame(38, &[0; 38])), format!("{macs} 802.3"));
        let pseudowire = frame(0x8847, &[0, 6, 0x41, 64, 0, 0, 0, 0]);
        assert_eq!(flow(ETHERNET, &pseudowire), format!("{macs} MPLS"));
    }

    #[test]
    fn what_is_cut_says_what_it_can() {
        assert_eq!(flow(ETHERNET, &SYN[..36]), "172.16.42.1 > 172.16.42.2 TCP");
        assert_eq!(
            flow(ETHERNET, &SYN[..20]),
            "02:42:ac:10:2a:01 > 02:42:ac:10:2a:02 IPv4",
            "an IP header that is not whole"
        );
        assert_eq!(flow(ETHERNET, &SYN[..10]), "none");
        assert_eq!(flow(RAW, &[]), "none");
        assert_eq!(flow(147, &SYN), "none");
        let raw = Capture { bytes: &[], link: RAW, ethertype: 0x86dd, tag: None, original: 60 };
        let flow = Packet::decode(&raw).flow().unwrap();
        assert_eq!((flow.source, flow.protocol), (None, FlowProtocol::EtherType(0x86dd)));
    }

    #[test]
    fn the_outermost_packet_alone_has_the_same_flow() {
        let inner = ipv4(17, 0, &[], &UDP);
        let vxlan =
            [&[0x30, 0x39, 0x12, 0xb5, 0, 0, 0, 0, 8, 0, 0, 0, 0, 1, 0, 0][..], &frame(0x0800, &inner)]
                .concat();
        let mut noise = Noise::new();
        for whole in
            [SYN.to_vec(), frame(0x0800, &ipv4(17, 0, &[], &vxlan)), frame(0x0800, &ipv4(4, 0, &[], &inner))]
        {
            for _ in 0..2_000 {
                let mut bytes = whole[..noise.below(whole.len() + 1)].to_vec();
                if !bytes.is_empty() {
                    let at = noise.below(bytes.len());
                    bytes[at] = noise.byte();
                }
                let capture =
                    Capture { bytes: &bytes, link: ETHERNET, ethertype: 0, tag: None, original: 200 };
                let outermost = Packet::decode_outermost(&capture);
                assert_eq!(outermost.inner, None);
                assert_eq!(outermost.flow(), Packet::decode(&capture).flow());
            }
        }
    }
}
