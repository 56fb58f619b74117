//! A filter as a tree: what back ends compile. Packet primitives have their qualifiers resolved, so that `443` in
//! `port 80 or 443` is a port; fields of events are names still, since only a session's schemas know them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// A part of a filter, with its place in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it says.
    pub kind: NodeKind,
    /// The bytes of the filter's text.
    pub span: Range<usize>,
}

/// What a part of a filter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// The contrary.
    Not(Box<Node>),
    /// All of them, asked in this order; at least two.
    And(Vec<Node>),
    /// One of them, asked in this order; at least two.
    Or(Vec<Node>),
    /// The packet is like this.
    Packet(Primitive),
    /// A field compares so; false where it is absent.
    Field(Comparison),
    /// The event has this section.
    Has(String),
}

impl Node {
    /// Whether it asks about the packet only.
    pub fn is_packet(&self) -> bool {
        match &self.kind {
            NodeKind::Packet(_) => true,
            NodeKind::Not(inside) => inside.is_packet(),
            NodeKind::And(parts) | NodeKind::Or(parts) => parts.iter().all(Node::is_packet),
            NodeKind::Field(_) | NodeKind::Has(_) => false,
        }
    }
}

/// A field and what it is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The field.
    pub path: Path,
    /// Only these bits of the number count.
    pub mask: Option<u64>,
    /// How it is compared.
    pub order: Order,
    /// With what; several only with [`Order::In`].
    pub values: Vec<Literal>,
}

/// A field's name: `nft.verdict`, or a way through the kernel's structures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// From the left.
    pub steps: Vec<Step>,
    /// The bytes of the filter's text.
    pub span: Range<usize>,
}

impl Path {
    /// The section and the field, where it can be one of an event.
    pub fn field(&self) -> Option<(&str, &str)> {
        match &self.steps[..] {
            [section, field] if section.is_plain() && field.is_plain() => Some((&section.name, &field.name)),
            _ => None,
        }
    }
}

/// One name in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// A C identifier.
    pub name: String,
    /// The element of an array.
    pub index: Option<u64>,
    /// Bits of a pointer that count, `~0x7` for all but those, and the type that it then points at.
    pub cast: Option<(u64, Option<String>)>,
    /// The bytes of the filter's text, index and cast included.
    pub span: Range<usize>,
}

impl Step {
    fn is_plain(&self) -> bool {
        self.index.is_none() && self.cast.is_none()
    }
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `=~`: the text is like the pattern, in which `*` stands for any characters and `?` for one.
    Like,
    /// `in {...}`
    In,
}

impl Order {
    pub(super) fn from_sign(sign: &str) -> Self {
        match sign {
            "!=" => Self::Unequal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            "=~" => Self::Like,
            _ => Self::Equal,
        }
    }

    /// As it is written.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Like => "=~",
            Self::In => "in",
        }
    }
}

/// What a field is compared with, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal {
    /// What is written.
    pub kind: LiteralKind,
    /// The bytes of the filter's text.
    pub span: Range<usize>,
}

/// What is written beside a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiteralKind {
    /// A number; the field says whether it fits.
    Number(i128),
    /// A word or a quoted text: an enumerator's name, or text.
    Name(String),
    /// `10.0.0.1`
    Ipv4(Ipv4Addr),
    /// `2001:db8::1`
    Ipv6(Ipv6Addr),
    /// `02:42:ac:10:2a:01`
    Mac([u8; 6]),
    /// `de:ad:be:ef`: two or more bytes, two digits each; six of them are a [`LiteralKind::Mac`].
    Bytes(Vec<u8>),
}

/// What is asked about a packet, as in pcap-filter(7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Primitive {
    /// `tcp`
    Protocol(Protocol),
    /// `host 10.0.0.1`, `arp src net 10.0.0.0/8`
    Ipv4 {
        /// The protocol that has the address; `None` for IP, ARP and RARP.
        protocol: Option<Protocol>,
        /// Whose.
        direction: Direction,
        /// Its bits outside `mask` are 0.
        address: u32,
        /// The bits that count.
        mask: u32,
    },
    /// `ip6 net fe80::/10`
    Ipv6 {
        /// Whose.
        direction: Direction,
        /// Its bits outside `mask` are 0.
        address: u128,
        /// The bits that count.
        mask: u128,
    },
    /// `ether src 02:42:ac:10:2a:01`
    Mac {
        /// Whose.
        direction: Direction,
        /// The address.
        address: [u8; 6],
    },
    /// `tcp dst port 443`, `portrange 6000-6008`
    Port {
        /// The number of the protocol; `None` for TCP, UDP and SCTP.
        protocol: Option<u8>,
        /// Whose.
        direction: Direction,
        /// The least.
        from: u16,
        /// The greatest.
        to: u16,
    },
    /// `ether proto 0x88cc`; up to 1500, a service access point of LLC.
    EtherType(u16),
    /// `protochain 6`; of [`Protocol::Ip`], [`Protocol::Ip6`], or `None` for both.
    Chain {
        /// The protocol whose headers are looked through.
        network: Option<Protocol>,
        /// The number that one of them has.
        number: u8,
    },
    /// `pppoes 5`; what stands behind it in the text is asked in the session.
    Session(Option<u16>),
    /// `ip proto 6`; of [`Protocol::Ip`], [`Protocol::Ip6`], or `None` for both.
    Transport {
        /// The protocol that has the number.
        network: Option<Protocol>,
        /// The number.
        number: u8,
    },
    /// `vlan 5`; what stands behind it in the text is asked behind the tag.
    Vlan(Option<u16>),
    /// `mpls 1000`; what stands behind it in the text is asked behind the label.
    Mpls(Option<u32>),
    /// `less 64`: at most so many bytes.
    AtMost(u32),
    /// `greater 64`: at least so many bytes.
    AtLeast(u32),
    /// `broadcast`
    Broadcast,
    /// `multicast`; of [`Protocol::Ip`], [`Protocol::Ip6`], or `None` for Ethernet.
    Multicast(Option<Protocol>),
    /// `tcp[tcpflags] & tcp-syn != 0`
    Relation(Arith, Order, Arith),
}

/// The protocols that have a name of their own in filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Protocol {
    Ether,
    Ip,
    Ip6,
    Arp,
    Rarp,
    Tcp,
    Udp,
    Sctp,
    Icmp,
    Icmp6,
    Igmp,
    Pim,
    Vrrp,
    Ah,
    Esp,
}

/// Whose address or port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// `src`
    Source,
    /// `dst`
    Destination,
    /// `src or dst`, and where nothing is said.
    Either,
    /// `src and dst`
    Both,
}

/// A number that is computed from the packet, in 32 unsigned bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arith {
    /// A number.
    Number(u32),
    /// `len`: bytes that the packet had on the wire.
    Length,
    /// `tcp[13]`, `ip[2:2]`
    Load {
        /// Where the offset counts from.
        protocol: Protocol,
        /// Bytes.
        offset: Box<Arith>,
        /// 1, 2 or 4 bytes.
        size: u8,
    },
    /// `-` in front.
    Negative(Box<Arith>),
    /// Two, joined.
    Binary(Operator, Box<Arith>, Box<Arith>),
}

/// How two numbers are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}
