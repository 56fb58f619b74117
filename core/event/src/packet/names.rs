//! Numbers of EtherTypes and IP protocols, and the names that the text has for them.

pub(super) const IPV4: u16 = 0x0800;
pub(super) const ARP: u16 = 0x0806;
pub(super) const IPV6: u16 = 0x86dd;

pub(super) const ICMP: u8 = 1;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const DCCP: u8 = 33;
pub(super) const ICMPV6: u8 = 58;
pub(super) const SCTP: u8 = 132;
pub(super) const UDPLITE: u8 = 136;

/// 802.1Q, 802.1ad, and what Q-in-Q used before 802.1ad.
pub(super) fn is_vlan(ethertype: u16) -> bool {
    matches!(ethertype, 0x8100 | 0x88a8 | 0x9100)
}

/// Whether the protocol's header starts with two ports.
pub(super) fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | DCCP | SCTP | UDPLITE)
}

/// IEEE 802 numbers, as the kernel's `if_ether.h` has them.
pub(super) fn ethertype(number: u16) -> Option<&'static str> {
    Some(match number {
        IPV4 => "IPv4",
        ARP => "ARP",
        0x8035 => "RARP",
        0x8100 => "802.1Q",
        IPV6 => "IPv6",
        0x8809 => "Slow Protocols",
        0x8847 => "MPLS",
        0x8848 => "MPLS multicast",
        0x8863 => "PPPoE Discovery",
        0x8864 => "PPPoE",
        0x888e => "EAPOL",
        0x88a8 => "802.1ad",
        0x88cc => "LLDP",
        0x88e5 => "MACsec",
        0x88f7 => "PTP",
        _ => return None,
    })
}

/// IANA "Assigned Internet Protocol Numbers".
pub(super) fn protocol(number: u8) -> Option<&'static str> {
    Some(match number {
        ICMP => "ICMP",
        2 => "IGMP",
        4 => "IPIP",
        TCP => "TCP",
        UDP => "UDP",
        DCCP => "DCCP",
        41 => "IPv6",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        ICMPV6 => "ICMPv6",
        59 => "none",
        88 => "EIGRP",
        89 => "OSPF",
        103 => "PIM",
        112 => "VRRP",
        115 => "L2TP",
        SCTP => "SCTP",
        UDPLITE => "UDPLite",
        _ => return None,
    })
}
