//! Numbers of EtherTypes and IP protocols, and the names that the text has for them.

pub(super) const IPV4: u16 = 0x0800;
pub(super) const ARP: u16 = 0x0806;
pub(super) const IPV6: u16 = 0x86dd;
pub(super) const MPLS: u16 = 0x8847;
pub(super) const MPLS_MULTICAST: u16 = 0x8848;
/// "Transparent Ethernet bridging": in tunnels, a whole frame.
pub(super) const ETHERNET: u16 = 0x6558;

pub(super) const HOP_BY_HOP: u8 = 0;
pub(super) const ROUTING: u8 = 43;
pub(super) const FRAGMENT: u8 = 44;
pub(super) const DESTINATION: u8 = 60;
pub(super) const MOBILITY: u8 = 135;
pub(super) const HIP: u8 = 139;
pub(super) const SHIM6: u8 = 140;

pub(super) const ICMP: u8 = 1;
pub(super) const IPIP: u8 = 4;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const DCCP: u8 = 33;
pub(super) const IPV6_IN_IP: u8 = 41;
pub(super) const GRE: u8 = 47;
pub(super) const ESP: u8 = 50;
pub(super) const AH: u8 = 51;
pub(crate) const ICMPV6: u8 = 58;
pub(crate) const SCTP: u8 = 132;
pub(crate) const UDPLITE: u8 = 136;
pub(super) const MPLS_IN_IP: u8 = 137;

/// The extension headers of IPv6, but for those of IPsec.
pub(super) fn is_extension(protocol: u8) -> bool {
    matches!(protocol, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION | MOBILITY | HIP | SHIM6)
}

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
        ETHERNET => "Ethernet",
        0x8035 => "RARP",
        0x8100 => "802.1Q",
        IPV6 => "IPv6",
        0x8809 => "Slow Protocols",
        MPLS => "MPLS",
        MPLS_MULTICAST => "MPLS multicast",
        0x8863 => "PPPoE Discovery",
        0x8864 => "PPPoE",
        0x888e => "EAPOL",
        0x880b => "PPP",
        0x88a8 => "802.1ad",
        0x88be => "ERSPAN",
        0x88cc => "LLDP",
        0x88e5 => "MACsec",
        0x88f7 => "PTP",
        0x9100 => "Q-in-Q",
        _ => return None,
    })
}

/// IANA "Assigned Internet Protocol Numbers".
pub(super) fn protocol(number: u8) -> Option<&'static str> {
    Some(match number {
        ICMP => "ICMP",
        2 => "IGMP",
        IPIP => "IPIP",
        TCP => "TCP",
        UDP => "UDP",
        DCCP => "DCCP",
        IPV6_IN_IP => "IPv6",
        GRE => "GRE",
        ESP => "ESP",
        AH => "AH",
        ICMPV6 => "ICMPv6",
        HOP_BY_HOP => "HOPOPT",
        ROUTING => "routing",
        FRAGMENT => "fragment",
        59 => "none",
        DESTINATION => "options",
        88 => "EIGRP",
        89 => "OSPF",
        103 => "PIM",
        108 => "IPComp",
        112 => "VRRP",
        115 => "L2TP",
        SCTP => "SCTP",
        UDPLITE => "UDPLite",
        MPLS_IN_IP => "MPLS",
        _ => return None,
    })
}

/// IANA "SCTP Chunk Types".
pub(super) fn chunk(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0 => "DATA",
        1 => "INIT",
        2 => "INIT ACK",
        3 => "SACK",
        4 => "HEARTBEAT",
        5 => "HEARTBEAT ACK",
        6 => "ABORT",
        7 => "SHUTDOWN",
        8 => "SHUTDOWN ACK",
        9 => "ERROR",
        10 => "COOKIE ECHO",
        11 => "COOKIE ACK",
        14 => "SHUTDOWN COMPLETE",
        64 => "I-DATA",
        128 => "ASCONF ACK",
        130 => "RE-CONFIG",
        192 => "FORWARD TSN",
        193 => "ASCONF",
        _ => return None,
    })
}
