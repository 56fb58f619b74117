//! How a filter was read, as one that leaves nothing to be read: each primitive has its qualifiers, and parentheses stand
//! wherever `and` and `or` are joined. It means the same as the filter that it is of.

use std::fmt::{self, Display, Formatter};
use std::net::{Ipv4Addr, Ipv6Addr};

use super::read::Filter;
use super::tree::{Arith, Direction, Node, NodeKind, Operator, Order, Primitive, Protocol};

impl Filter {
    /// The filter with its qualifiers and parentheses spelled out.
    pub fn reading(&self) -> String {
        self.part(&self.root, false)
    }

    fn part(&self, node: &Node, inside: bool) -> String {
        let joined = |parts: &[Node], word: &str| {
            let parts: Vec<_> = parts.iter().map(|part| self.part(part, true)).collect();
            let text = parts.join(word);
            if inside { format!("({text})") } else { text }
        };
        match &node.kind {
            NodeKind::Not(part) => match &part.kind {
                NodeKind::Not(twice) => self.part(twice, inside),
                _ => format!("not {}", self.part(part, true)),
            },
            NodeKind::And(parts) => joined(parts, " and "),
            NodeKind::Or(parts) => joined(parts, " or "),
            NodeKind::Packet(primitive) => primitive.to_string(),
            NodeKind::Field(_) => self.text().get(node.span.clone()).unwrap_or_default().trim().to_owned(),
            NodeKind::Has(section) => format!("has {section}"),
        }
    }
}

impl Display for Protocol {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Ether => "ether",
            Protocol::Ip => "ip",
            Protocol::Ip6 => "ip6",
            Protocol::Arp => "arp",
            Protocol::Rarp => "rarp",
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
            Protocol::Icmp => "icmp",
            Protocol::Icmp6 => "icmp6",
            Protocol::Igmp => "igmp",
            Protocol::Pim => "pim",
            Protocol::Vrrp => "vrrp",
            Protocol::Ah => "ah",
            Protocol::Esp => "esp",
        })
    }
}

/// With a space behind, as it stands before something.
impl Display for Direction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Source => "src ",
            Direction::Destination => "dst ",
            Direction::Either => "",
            Direction::Both => "src and dst ",
        })
    }
}

impl Display for Primitive {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let before = |protocol: &Option<Protocol>| protocol.map_or(String::new(), |one| format!("{one} "));
        match self {
            Primitive::Protocol(protocol) => write!(f, "{protocol}"),
            Primitive::Ipv4 { protocol, direction, address, mask } => {
                let (protocol, address) = (before(protocol), Ipv4Addr::from(*address));
                match *mask {
                    u32::MAX => write!(f, "{protocol}{direction}host {address}"),
                    mask => write!(f, "{protocol}{direction}net {address} mask {}", Ipv4Addr::from(mask)),
                }
            }
            Primitive::Ipv6 { direction, address, mask } => {
                let address = Ipv6Addr::from(*address);
                match *mask {
                    u128::MAX => write!(f, "ip6 {direction}host {address}"),
                    mask => write!(f, "ip6 {direction}net {address}/{}", mask.leading_ones()),
                }
            }
            Primitive::Mac { direction, address: [a, b, c, d, e, g] } => {
                write!(f, "ether {direction}host {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
            }
            Primitive::Port { protocol, direction, from, to } => {
                let protocol = match protocol {
                    Some(6) => "tcp ",
                    Some(17) => "udp ",
                    Some(132) => "sctp ",
                    _ => "",
                };
                match from == to {
                    true => write!(f, "{protocol}{direction}port {from}"),
                    false => write!(f, "{protocol}{direction}portrange {from}-{to}"),
                }
            }
            Primitive::EtherType(kind) => write!(f, "ether proto {kind:#x}"),
            Primitive::Chain { network, number } => write!(f, "{}protochain {number}", before(network)),
            Primitive::Session(number) => tag(f, "pppoes", number.map(u32::from)),
            Primitive::Transport { network, number } => match network {
                Some(network) => write!(f, "{network} proto {number}"),
                None => write!(f, "proto {number}"),
            },
            Primitive::Vlan(number) => tag(f, "vlan", number.map(u32::from)),
            Primitive::Mpls(label) => tag(f, "mpls", *label),
            Primitive::AtMost(bytes) => write!(f, "less {bytes}"),
            Primitive::AtLeast(bytes) => write!(f, "greater {bytes}"),
            Primitive::Broadcast => f.write_str("ether broadcast"),
            Primitive::Multicast(None) => f.write_str("ether multicast"),
            Primitive::Multicast(Some(protocol)) => write!(f, "{protocol} multicast"),
            Primitive::Relation(left, order, right) => {
                let order = if *order == Order::Equal { "=" } else { order.sign() };
                write!(f, "{left} {order} {right}")
            }
        }
    }
}

fn tag(f: &mut Formatter<'_>, word: &str, number: Option<u32>) -> fmt::Result {
    match number {
        Some(number) => write!(f, "{word} {number}"),
        None => f.write_str(word),
    }
}

impl Display for Arith {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Arith::Number(number) => write!(f, "{number}"),
            Arith::Length => f.write_str("len"),
            Arith::Load { protocol, offset, size: 1 } => write!(f, "{protocol}[{offset}]"),
            Arith::Load { protocol, offset, size } => write!(f, "{protocol}[{offset}:{size}]"),
            Arith::Negative(inside) => write!(f, "-{inside}"),
            Arith::Binary(operator, left, right) => write!(f, "({left} {operator} {right})"),
        }
    }
}

impl Display for Operator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operator::Add => "+",
            Operator::Subtract => "-",
            Operator::Multiply => "*",
            Operator::Divide => "/",
            Operator::Remainder => "%",
            Operator::And => "&",
            Operator::Or => "|",
            Operator::Xor => "^",
            Operator::ShiftLeft => "<<",
            Operator::ShiftRight => ">>",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(text: &str) -> String {
        text.parse::<Filter>().unwrap_or_else(|found| panic!("{text}: {found}")).reading()
    }

    #[test]
    fn qualifiers_and_parentheses_are_spelled_out() {
        for (text, read) in [
            ("port 80 or 443", "port 80 or port 443"),
            ("arp or tcp and port 80", "(arp or tcp) and port 80"),
            ("tcp src port (http or https)", "tcp src port 80 or tcp src port 443"),
            (
                "src net 192.168.0.0/16 and dst host 172.16.42.2",
                "src net 192.168.0.0 mask 255.255.0.0 and dst host 172.16.42.2",
            ),
            ("ip6 net fe80::/10 and not host ::1", "ip6 net fe80::/10 and not ip6 host ::1"),
            ("tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "(tcp[13] & (2 | 1)) != 0"),
            ("vlan 100 and mpls and less 64", "vlan 100 and mpls and less 64"),
            ("nft.verdict in { drop } or  has nft", "nft.verdict in { drop } or has nft"),
            ("ether src 02:42:AC:10:2a:01", "ether src host 02:42:ac:10:2a:01"),
            ("! (tcp or udp)", "not (tcp or udp)"),
        ] {
            assert_eq!(reading(text), read, "{text}");
            assert_eq!(reading(read), read, "{text}");
        }
    }
}
