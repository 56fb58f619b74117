//! Names that stand for numbers in filters. The tables are built in, so that a filter means the same on every machine:
//! services from Debian's netbase 6.4 (`/etc/services`), protocols from IANA's registries, constants from
//! pcap-filter(7).

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
    service_of("syslog", 514, false, true),
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

/// EtherTypes.
pub(super) const ETHERTYPES: [(&str, u16); 7] = [
    ("ip", 0x0800),
    ("ip6", 0x86dd),
    ("arp", 0x0806),
    ("rarp", 0x8035),
    ("loopback", 0x9000),
    ("vexp", 0x805b),
    ("vprod", 0x805c),
];

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

/// Why a word of pcap-filter(7) is not taken.
pub(super) fn refusal(word: &str) -> &'static str {
    match word.trim_end() {
        "gateway" => "it takes names of hosts, and those are not looked up",
        "inbound" | "outbound" | "ifname" | "ifindex" | "on" => {
            "a capture's interface is none of a packet; events have `dev.name` and the probe"
        }
        "wlan" | "fddi" | "tr" | "type" | "subtype" | "llc" => {
            "packets in the kernel have Ethernet headers or none"
        }
        "protochain" => "how far it goes cannot be bounded in the kernel",
        "byte" => "arithmetic says the same: `ether[0] & 1 != 0`",
        _ => "protocols of this kind are not looked into",
    }
}
