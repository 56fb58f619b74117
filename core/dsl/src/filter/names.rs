//! Names that stand for numbers in filters. The tables are built in, so that a filter means the same on every machine:
//! services from Debian's netbase 6.4 (`/etc/services`, second names counted: `syslog` is one of TCP's 514 too), protocols
//! from IANA's registries, constants from pcap-filter(7).

use super::tree::{Primitive, Protocol};

/// A service with a well-known port.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) port: u16,
    pub(super) tcp: bool,
    pub(super) udp: bool,
}

const fn service_of(name: &'static str, port: u16, tcp: bool, udp: bool) -> Service {
    Service { name, port, tcp, udp }
}

/// Those that are met, by their ports.
pub(super) const SERVICES: [Service; 69] = [
    service_of("echo", 7, true, true),
    service_of("discard", 9, true, true),
    service_of("daytime", 13, true, true),
    service_of("chargen", 19, true, true),
    service_of("ftp-data", 20, true, false),
    service_of("ftp", 21, true, false),
    service_of("ssh", 22, true, false),
    service_of("telnet", 23, true, false),
    service_of("smtp", 25, true, false),
    service_of("time", 37, true, true),
    service_of("whois", 43, true, false),
    service_of("domain", 53, true, true),
    service_of("bootps", 67, false, true),
    service_of("bootpc", 68, false, true),
    service_of("tftp", 69, false, true),
    service_of("gopher", 70, true, false),
    service_of("finger", 79, true, false),
    service_of("http", 80, true, false),
    service_of("kerberos", 88, true, true),
    service_of("pop3", 110, true, false),
    service_of("sunrpc", 111, true, true),
    service_of("auth", 113, true, false),
    service_of("nntp", 119, true, false),
    service_of("ntp", 123, false, true),
    service_of("netbios-ns", 137, false, true),
    service_of("netbios-dgm", 138, false, true),
    service_of("netbios-ssn", 139, true, false),
    service_of("imap2", 143, true, false),
    service_of("snmp", 161, true, true),
    service_of("snmp-trap", 162, true, true),
    service_of("bgp", 179, true, false),
    service_of("ldap", 389, true, true),
    service_of("https", 443, true, true),
    service_of("microsoft-ds", 445, true, false),
    service_of("kpasswd", 464, true, true),
    service_of("submissions", 465, true, false),
    service_of("isakmp", 500, false, true),
    service_of("syslog", 514, true, true),
    service_of("dhcpv6-client", 546, false, true),
    service_of("dhcpv6-server", 547, false, true),
    service_of("rtsp", 554, true, true),
    service_of("submission", 587, true, false),
    service_of("ipp", 631, true, false),
    service_of("ldaps", 636, true, true),
    service_of("domain-s", 853, true, true),
    service_of("rsync", 873, true, false),
    service_of("imaps", 993, true, false),
    service_of("pop3s", 995, true, false),
    service_of("openvpn", 1194, true, true),
    service_of("ms-sql-s", 1433, true, false),
    service_of("l2f", 1701, false, true),
    service_of("radius", 1812, true, true),
    service_of("radius-acct", 1813, true, true),
    service_of("nfs", 2049, true, true),
    service_of("bgpd", 2605, true, false),
    service_of("iscsi-target", 3260, true, false),
    service_of("mysql", 3306, true, false),
    service_of("ms-wbt-server", 3389, true, false),
    service_of("svn", 3690, true, false),
    service_of("sip", 5060, true, true),
    service_of("sip-tls", 5061, true, true),
    service_of("xmpp-client", 5222, true, false),
    service_of("mdns", 5353, false, true),
    service_of("postgresql", 5432, true, false),
    service_of("amqp", 5672, true, false),
    service_of("x11", 6000, true, false),
    service_of("redis", 6379, true, false),
    service_of("http-alt", 8080, true, false),
    service_of("git", 9418, true, false),
];

pub(super) fn service(name: &str) -> Option<Service> {
    SERVICES.into_iter().find(|service| service.name == name)
}

/// Protocols over IP.
pub(super) const PROTOCOLS: [(&str, u8); 16] = [
    ("icmp", 1),
    ("igmp", 2),
    ("ipencap", 4),
    ("tcp", 6),
    ("egp", 8),
    ("udp", 17),
    ("ipv6", 41),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ipv6-icmp", 58),
    ("icmp6", 58),
    ("ospf", 89),
    ("pim", 103),
    ("sctp", 132),
];

pub(super) fn protocol(name: &str) -> Option<u8> {
    PROTOCOLS.into_iter().find(|(known, _)| *known == name).map(|(_, number)| number)
}

/// EtherTypes; up to 255, service access points of LLC.
pub(super) const ETHERTYPES: [(&str, u16); 17] = [
    ("ip", 0x0800),
    ("ip6", 0x86dd),
    ("arp", 0x0806),
    ("rarp", 0x8035),
    ("loopback", 0x9000),
    ("vexp", 0x805b),
    ("vprod", 0x805c),
    ("aarp", 0x80f3),
    ("atalk", 0x809b),
    ("decnet", 0x6003),
    ("lat", 0x6004),
    ("sca", 0x6007),
    ("moprc", 0x6002),
    ("mopdl", 0x6001),
    ("stp", 0x42),
    ("iso", 0xfe),
    ("netbeui", 0xf0),
];

/// A word that names a protocol and is no qualifier.
pub(super) fn family(word: &str) -> Option<Primitive> {
    let ip = |number| Primitive::Transport { network: Some(Protocol::Ip), number };
    match word {
        "igrp" => Some(ip(9)),
        "carp" => Some(ip(112)),
        "pppoed" => Some(Primitive::EtherType(0x8863)),
        other => ethertype(other).map(Primitive::EtherType),
    }
}

pub(super) fn ethertype(name: &str) -> Option<u16> {
    ETHERTYPES.into_iter().find(|(known, _)| *known == name).map(|(_, number)| number)
}

/// Offsets and values of fields.
pub(super) const CONSTANTS: [(&str, u32); 40] = [
    ("tcpflags", 13),
    ("tcp-fin", 0x01),
    ("tcp-syn", 0x02),
    ("tcp-rst", 0x04),
    ("tcp-push", 0x08),
    ("tcp-ack", 0x10),
    ("tcp-urg", 0x20),
    ("tcp-ece", 0x40),
    ("tcp-cwr", 0x80),
    ("icmptype", 0),
    ("icmpcode", 1),
    ("icmp-echoreply", 0),
    ("icmp-unreach", 3),
    ("icmp-sourcequench", 4),
    ("icmp-redirect", 5),
    ("icmp-echo", 8),
    ("icmp-routeradvert", 9),
    ("icmp-routersolicit", 10),
    ("icmp-timxceed", 11),
    ("icmp-paramprob", 12),
    ("icmp-tstamp", 13),
    ("icmp-tstampreply", 14),
    ("icmp-ireq", 15),
    ("icmp-ireqreply", 16),
    ("icmp-maskreq", 17),
    ("icmp-maskreply", 18),
    ("icmp6type", 0),
    ("icmp6code", 1),
    ("icmp6-destinationunreach", 1),
    ("icmp6-packettoobig", 2),
    ("icmp6-timeexceeded", 3),
    ("icmp6-parameterproblem", 4),
    ("icmp6-echo", 128),
    ("icmp6-echoreply", 129),
    ("icmp6-multicastlistenerquery", 130),
    ("icmp6-multicastlistenerdone", 132),
    ("icmp6-routersolicit", 133),
    ("icmp6-routeradvert", 134),
    ("icmp6-neighborsolicit", 135),
    ("icmp6-neighboradvert", 136),
];

pub(super) fn constant(name: &str) -> Option<u32> {
    CONSTANTS.into_iter().find(|(known, _)| *known == name).map(|(_, number)| number)
}

/// Why a word of pcap-filter(7) is not taken, and what to write instead.
pub(super) fn refusal(word: &str) -> (&'static str, &'static str) {
    const LIST: &str = "docs/filters.md lists all of pcap-filter(7)";
    match word {
        "gateway" => (
            "it takes the name of a host and looks up both of its addresses",
            "`ether host MAC and not host ADDRESS` says the same",
        ),
        "inbound" | "outbound" | "dir" => (
            "a packet in the kernel does not say where it goes; the probe does",
            "probe a function on the way in or out, or ask for `event.probe`",
        ),
        "ifname" | "on" => (
            "a packet in the kernel is not bound to a capture's interface",
            "`dev.name == eth0`, of the collector dev",
        ),
        "ifindex" | "ifidx" => (
            "a packet in the kernel is not bound to a capture's interface",
            "`dev.ifindex == 2`, of the collector dev",
        ),
        "rnr" | "rulenum" | "rset" | "ruleset" | "srnr" | "subrulenum" | "reason" | "action" => (
            "it asks what BSD's packet filter wrote into its log",
            "`nft.verdict == drop`, `nft.rule == 215`, `skb_drop.reason =~ \"*NETFILTER*\"`",
        ),
        "geneve" | "vxlan" => (
            "packets inside of tunnels are not looked into",
            "`udp dst port 6081` is Geneve, `udp dst port 4789` VXLAN; their bytes are `udp[8:4]` and on",
        ),
        "ipx" => ("Linux has no IPX any more", "`ether proto 0x8137` asks for its EtherType"),
        "llc" => (
            "types of LLC frames are not told apart",
            "`ether[12:2] <= 1500` is a frame of LLC, `ether proto 0x42` one of a service access point",
        ),
        "wlan" | "fddi" | "tr" | "ppp" | "slip" | "type" | "subtype" | "addr1" | "addr2" | "addr3"
        | "addr4" | "ra" | "ta" | "radio" => {
            ("packets have Ethernet headers here, or none", "`ether host MAC`, `ether proto 0x88cc`")
        }
        "clnp" | "esis" | "es-is" | "isis" | "is-is" | "csnp" | "psnp" | "snp" | "iih" | "lsp" | "l1"
        | "l2" => ("OSI's protocols are not told apart", "`iso` asks for all of them"),
        "byte" => ("it is an old way to write arithmetic", "`ether[0] & 1 != 0`"),
        _ => ("packets of ATM and SS7 networks are not looked into", LIST),
    }
}
