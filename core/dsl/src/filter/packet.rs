//! The words about packets, as in pcap-filter(7): which qualifiers fit together, what a value then means, and what is
//! refused. libpcap's `gencode.c` is the reference for all of it.

use std::net::Ipv6Addr;
use std::ops::Range;

use pest::iterators::Pair;

use super::names;
use super::read::{Reader, Rule, span};
use super::tree::{Direction, Node, NodeKind, Primitive, Protocol};
use crate::diagnostic::Diagnostic;

/// What stands before a value and says what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Qualifiers {
    protocol: Option<Protocol>,
    direction: Option<Direction>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Host,
    Net,
    Port,
    PortRange,
    Proto,
    ProtoChain,
}

impl Protocol {
    pub(super) fn from_word(word: &str) -> Self {
        match word {
            "ip" => Self::Ip,
            "ip6" => Self::Ip6,
            "arp" => Self::Arp,
            "rarp" => Self::Rarp,
            "tcp" => Self::Tcp,
            "udp" => Self::Udp,
            "sctp" => Self::Sctp,
            "icmp" => Self::Icmp,
            "icmp6" => Self::Icmp6,
            "igmp" => Self::Igmp,
            "pim" => Self::Pim,
            "vrrp" => Self::Vrrp,
            "ah" => Self::Ah,
            "esp" => Self::Esp,
            _ => Self::Ether,
        }
    }

    /// The number in the IP header, where it is carried by IP.
    pub fn number(self) -> Option<u8> {
        Some(match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
            Self::Icmp => 1,
            Self::Icmp6 => 58,
            Self::Igmp => 2,
            Self::Pim => 103,
            Self::Vrrp => 112,
            Self::Ah => 51,
            Self::Esp => 50,
            Self::Ether | Self::Ip | Self::Ip6 | Self::Arp | Self::Rarp => return None,
        })
    }
}

impl Reader {
    pub(super) fn primitive(&mut self, pair: Pair<'_, Rule>) -> Option<NodeKind> {
        let (rule, place) = (pair.as_rule(), span(&pair));
        if rule == Rule::id {
            let Some(qualifiers) = self.qualifiers else { return self.lone(&pair) };
            return Some(NodeKind::Packet(self.id(pair, qualifiers)?));
        }
        match rule {
            Rule::qualified => return self.qualified(pair),
            Rule::protocol => return self.protocol(&pair),
            Rule::family => {
                self.qualifiers = None;
                return names::family(pair.as_str().trim_end()).map(NodeKind::Packet);
            }
            _ => {}
        }
        self.qualifiers = None;
        let mut inner = pair.into_inner();
        let first = inner.next()?;
        let word = first.as_str();
        let primitive = match rule {
            Rule::relation => return self.relation(first, inner),
            Rule::size => {
                let bytes = self.natural(&inner.next()?, u64::from(u32::MAX))?;
                if word == "less" { Primitive::AtMost(bytes) } else { Primitive::AtLeast(bytes) }
            }
            Rule::tag => {
                let most = match word {
                    "vlan" => 0xfff,
                    "mpls" => 0xf_ffff,
                    _ => 0xffff,
                };
                let number = match inner.next() {
                    None => None,
                    Some(number) => Some(self.natural::<u32>(&number, most)?),
                };
                let short = number.and_then(|number| number.try_into().ok());
                match word {
                    "vlan" => Primitive::Vlan(short),
                    "mpls" => Primitive::Mpls(number),
                    _ => Primitive::Session(short),
                }
            }
            Rule::cast => {
                let (protocol, word) = match inner.next() {
                    Some(second) => (Some(Protocol::from_word(word)), second.as_str().to_owned()),
                    None => (None, word.to_owned()),
                };
                match (word.as_str(), protocol) {
                    ("broadcast", None | Some(Protocol::Ether)) => Primitive::Broadcast,
                    ("broadcast", Some(Protocol::Ip)) => {
                        let found = Diagnostic::error("`ip broadcast` is not known here")
                            .because("it takes the netmask of the interface, which an event does not tell")
                            .hint("name the address: `dst host 10.0.0.255`");
                        return self.refuse(found, place);
                    }
                    ("multicast", None | Some(Protocol::Ether)) => Primitive::Multicast(None),
                    ("multicast", Some(protocol @ (Protocol::Ip | Protocol::Ip6))) => {
                        Primitive::Multicast(Some(protocol))
                    }
                    _ => {
                        let found = Diagnostic::error(format!("this protocol has no `{word}`"))
                            .hint("there are `broadcast`, `multicast`, `ip multicast`, `ip6 multicast`");
                        return self.refuse(found, place);
                    }
                }
            }
            Rule::refused => {
                let text = self.text[place.clone()].to_owned();
                let word = inner.find(|inner| inner.as_rule() == Rule::refused_word);
                let word = word.as_ref().map_or(first.as_str(), Pair::as_str).trim_end();
                let (reason, hint) = names::refusal(word);
                let found = Diagnostic::error(format!("`{text}` is not part of this filter language"))
                    .because(reason)
                    .hint(hint);
                return self.refuse(found, place);
            }
            _ => return None,
        };
        Some(NodeKind::Packet(primitive))
    }

    /// `tcp` alone; the grammar gives the protocol's own pair.
    fn protocol(&mut self, pair: &Pair<'_, Rule>) -> Option<NodeKind> {
        self.qualifiers = None;
        match Protocol::from_word(pair.as_str().trim_end()) {
            Protocol::Ether => {
                let found = Diagnostic::error("`ether` says nothing alone")
                    .hint("for example `ether host 02:42:ac:10:2a:01`, `ether proto 0x88cc`");
                self.refuse(found, span(pair))
            }
            protocol => Some(NodeKind::Packet(Primitive::Protocol(protocol))),
        }
    }

    /// A value without anything before it that says what it is.
    fn lone<T>(&mut self, pair: &Pair<'_, Rule>) -> Option<T> {
        let place = span(pair);
        let text = pair.as_str().trim_end().to_owned();
        let found = Diagnostic::error(format!("`{text}` says nothing alone"))
            .because("nothing before it says what it is")
            .hint(match text.starts_with(|c: char| c.is_ascii_digit()) {
                true => format!("for example `host {text}`, `net {text}`, `port {text}`"),
                false => super::read::FORM.to_owned(),
            });
        self.refuse(found, place)
    }

    fn qualified(&mut self, pair: Pair<'_, Rule>) -> Option<NodeKind> {
        let (mut protocol, mut direction, mut kind) = (None, None, Kind::Host);
        let mut node = None;
        for inner in pair.into_inner() {
            match inner.as_rule() {
                Rule::protocol => protocol = Some(Protocol::from_word(inner.as_str().trim_end())),
                Rule::direction => direction = Some(directed(inner)),
                Rule::kind => {
                    kind = match inner.as_str() {
                        "net" => Kind::Net,
                        "port" => Kind::Port,
                        "portrange" => Kind::PortRange,
                        "proto" => Kind::Proto,
                        "protochain" => Kind::ProtoChain,
                        _ => Kind::Host,
                    }
                }
                _ => {
                    let qualifiers = Qualifiers { protocol, direction, kind };
                    self.qualifiers = Some(qualifiers);
                    node = self.ids(inner, qualifiers);
                }
            }
        }
        Some(node?.kind)
    }

    fn ids(&mut self, pair: Pair<'_, Rule>, qualifiers: Qualifiers) -> Option<Node> {
        let place = span(&pair);
        let (mut negated, mut and, mut node) = (false, true, None);
        let mut whole = Some(());
        for inner in pair.into_inner() {
            let at = span(&inner);
            let part = match inner.as_rule() {
                Rule::not => {
                    negated = !negated;
                    continue;
                }
                Rule::joint => {
                    and = inner.into_inner().next().is_some_and(|joint| joint.as_rule() == Rule::and);
                    continue;
                }
                Rule::ids => self.ids(inner, qualifiers),
                _ => {
                    self.id(inner, qualifiers).map(|id| Node { kind: NodeKind::Packet(id), span: at.clone() })
                }
            };
            match part {
                Some(part) => node = Some(super::read::join(node, part, and)),
                None => whole = None,
            }
        }
        whole?;
        let node = node?;
        Some(if negated { Node { kind: NodeKind::Not(Box::new(node)), span: place } } else { node })
    }

    fn id(&mut self, pair: Pair<'_, Rule>, qualifiers: Qualifiers) -> Option<Primitive> {
        let inner = pair.into_inner().next()?;
        let (place, text) = (span(&inner), inner.as_str().trim_end().to_owned());
        let Qualifiers { protocol, direction, kind } = qualifiers;
        let whose = direction.unwrap_or(Direction::Either);
        match (inner.as_rule(), kind) {
            (Rule::mac, Kind::Host) if protocol == Some(Protocol::Ether) => {
                let address = self.mac(&text, place)?;
                Some(Primitive::Mac { direction: whose, address })
            }
            (Rule::mac, _) => {
                let found = Diagnostic::error("an Ethernet address without `ether`");
                self.refuse(found.hint(format!("`ether host {text}`")), place)
            }
            (Rule::net6, Kind::Host | Kind::Net) => {
                let address = self.net6(inner, kind)?;
                match protocol {
                    None | Some(Protocol::Ip6) => {
                        Some(Primitive::Ipv6 { direction: whose, address: address.0, mask: address.1 })
                    }
                    _ => self.misfit(protocol, "an IPv6 address", place),
                }
            }
            (Rule::net4, Kind::Host | Kind::Net) => {
                let (address, mask) = self.net4(inner, kind)?;
                self.ipv4(protocol, whose, address, mask, place)
            }
            (Rule::natural, Kind::Host) => {
                let address = self.natural(&inner, u64::from(u32::MAX))?;
                self.ipv4(protocol, whose, address, u32::MAX, place)
            }
            (Rule::natural, Kind::Net) => {
                let (mut address, mut mask): (u32, u32) =
                    (self.natural(&inner, u64::from(u32::MAX))?, u32::MAX);
                // `net 10` is 10.0.0.0/8.
                while address != 0 && address & 0xff00_0000 == 0 {
                    (address, mask) = (address << 8, mask << 8);
                }
                self.ipv4(protocol, whose, address, mask, place)
            }
            (Rule::natural, Kind::Port | Kind::PortRange) => {
                let port = self.natural(&inner, u64::from(u16::MAX))?;
                let protocol = self.port_protocol(protocol, place)?;
                Some(Primitive::Port { protocol, direction: whose, from: port, to: port })
            }
            (Rule::named, Kind::Port) => self.service(protocol, whose, &text, place),
            (Rule::named, Kind::PortRange) => self.port_range(protocol, whose, &text, place),
            (Rule::natural | Rule::named, Kind::Proto | Kind::ProtoChain) => {
                let number = if inner.as_rule() == Rule::natural {
                    Some(self.natural(&inner, u64::from(u16::MAX))?)
                } else {
                    None
                };
                self.proto(qualifiers, number, text.trim_start_matches('\\'), place)
            }
            (Rule::named, Kind::Host | Kind::Net) => {
                let what = if kind == Kind::Host { "host" } else { "network" };
                let found = Diagnostic::error(format!("`{text}` is not an address"))
                    .because(format!("names of {what}s are not looked up: what they mean changes"))
                    .hint(format!("write the address; `getent hosts {text}` may tell it"));
                self.refuse(found, place)
            }
            _ => {
                let found = Diagnostic::error(format!("`{text}` does not fit its qualifier"));
                self.refuse(found.because("an address was not expected here"), place)
            }
        }
    }

    fn ipv4(
        &mut self,
        protocol: Option<Protocol>,
        direction: Direction,
        address: u32,
        mask: u32,
        place: Range<usize>,
    ) -> Option<Primitive> {
        match protocol {
            None | Some(Protocol::Ip | Protocol::Arp | Protocol::Rarp) => {
                Some(Primitive::Ipv4 { protocol, direction, address, mask })
            }
            _ => self.misfit(protocol, "an IPv4 address", place),
        }
    }

    fn misfit<T>(&mut self, protocol: Option<Protocol>, what: &str, place: Range<usize>) -> Option<T> {
        let name = protocol.map(|protocol| format!("{protocol:?}").to_lowercase()).unwrap_or_default();
        let found = Diagnostic::error(format!("{what} does not go with `{name}`"))
            .hint(format!("`{name} and host ADDRESS` asks for both"));
        self.refuse(found, place)
    }

    /// Address and mask.
    fn net4(&mut self, pair: Pair<'_, Rule>, kind: Kind) -> Option<(u32, u32)> {
        let place = span(&pair);
        let mut inner = pair.into_inner();
        let (address, bits) = self.dotted(&inner.next()?)?;
        let shorthand = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        let mask = match inner.next() {
            None => return Some((address, shorthand)),
            Some(length) if length.as_rule() == Rule::natural => {
                let length: u32 = self.natural(&length, 32)?;
                u32::MAX.checked_shl(32 - length).unwrap_or(0)
            }
            // The word `mask` has a pair of its own.
            Some(_) => self.dotted(&inner.next()?)?.0,
        };
        self.network(u128::from(address), u128::from(mask), kind, place)?;
        Some((address, mask))
    }

    /// That a network is written as one, with nothing beyond its mask.
    fn network(&mut self, address: u128, mask: u128, kind: Kind, place: Range<usize>) -> Option<()> {
        if address & !mask != 0 {
            let found = Diagnostic::error("the address has bits outside the network");
            let hint = "leave them out, as in `net 10.0.0.0/8`, or ask for one address with `host`";
            return self.refuse(found.because("the mask leaves them out").hint(hint), place);
        }
        if kind != Kind::Net {
            let text = self.text[place.clone()].to_owned();
            let found = Diagnostic::error("a network where an address is expected");
            return self.refuse(found.hint(format!("`net {text}`")), place);
        }
        Some(())
    }

    /// `10.1` is 10.1.0.0, of which 16 bits count.
    fn dotted(&mut self, pair: &Pair<'_, Rule>) -> Option<(u32, u32)> {
        let (text, place) = (pair.as_str().trim_end(), span(pair));
        let parts: Result<Vec<u8>, _> = text.split('.').map(str::parse).collect();
        let Ok(parts) = parts else {
            let found = Diagnostic::error(format!("`{text}` is not an IPv4 address"));
            return self.refuse(found.because("its numbers are 0 to 255"), place);
        };
        let mut bytes = [0; 4];
        bytes.iter_mut().zip(&parts).for_each(|(byte, part)| *byte = *part);
        Some((u32::from_be_bytes(bytes), 8 * u32::try_from(parts.len()).unwrap_or(4)))
    }

    fn net6(&mut self, pair: Pair<'_, Rule>, kind: Kind) -> Option<(u128, u128)> {
        let place = span(&pair);
        let mut inner = pair.into_inner();
        let address = inner.next()?;
        let address: Ipv6Addr = self.address(address.as_str().trim_end(), span(&address), "IPv6")?;
        let address = u128::from(address);
        let Some(length) = inner.next() else { return Some((address, u128::MAX)) };
        let length: u32 = self.natural(&length, 128)?;
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        self.network(address, mask, if length == 128 { Kind::Net } else { kind }, place)?;
        Some((address, mask))
    }

    fn port_protocol(&mut self, protocol: Option<Protocol>, place: Range<usize>) -> Option<Option<u8>> {
        match protocol {
            None => Some(None),
            Some(protocol @ (Protocol::Tcp | Protocol::Udp | Protocol::Sctp)) => Some(protocol.number()),
            Some(_) => {
                let found = Diagnostic::error("this protocol has no ports");
                self.refuse(found.hint("`tcp`, `udp` and `sctp` have; `ip and port 80` asks for both"), place)
            }
        }
    }

    fn service(
        &mut self,
        protocol: Option<Protocol>,
        direction: Direction,
        name: &str,
        place: Range<usize>,
    ) -> Option<Primitive> {
        let asked = self.port_protocol(protocol, place.clone())?;
        let Some(service) = names::service(name) else {
            let known = names::SERVICES.iter().map(|service| service.name);
            let near = crate::diagnostic::suggest(name, known);
            let found = Diagnostic::error(format!("unknown service `{name}`"))
                .because("the usual names are built in; /etc/services is not read")
                .hint(match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "write the port's number".to_owned(),
                });
            return self.refuse(found, place);
        };
        let own = match (service.tcp, service.udp) {
            (true, false) => Some(6),
            (false, true) => Some(17),
            _ => None,
        };
        let protocol = match (asked, own) {
            (None, own) => own,
            (Some(asked), None) => Some(asked),
            (Some(asked), Some(own)) if asked == own => Some(asked),
            (Some(_), Some(own)) => {
                let own = if own == 6 { "tcp" } else { "udp" };
                let found = Diagnostic::error(format!("`{name}` is a service of {own}"));
                return self.refuse(found.hint(format!("write the number: `port {}`", service.port)), place);
            }
        };
        Some(Primitive::Port { protocol, direction, from: service.port, to: service.port })
    }

    fn port_range(
        &mut self,
        protocol: Option<Protocol>,
        direction: Direction,
        text: &str,
        place: Range<usize>,
    ) -> Option<Primitive> {
        let protocol = self.port_protocol(protocol, place.clone())?;
        let ports = text.split_once('-').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let Some((a, b)): Option<(u16, u16)> = ports else {
            let found = Diagnostic::error(format!("`{text}` is not a range of ports"));
            return self.refuse(found.hint("for example `portrange 6000-6008`"), place);
        };
        Some(Primitive::Port { protocol, direction, from: a.min(b), to: a.max(b) })
    }

    fn proto(
        &mut self,
        qualifiers: Qualifiers,
        number: Option<u16>,
        name: &str,
        place: Range<usize>,
    ) -> Option<Primitive> {
        let word = if qualifiers.kind == Kind::Proto { "proto" } else { "protochain" };
        if qualifiers.direction.is_some() {
            let found = Diagnostic::error(format!("`{word}` has no direction"));
            return self.refuse(found.hint("leave out `src` and `dst`"), place);
        }
        let network = match qualifiers.protocol {
            Some(Protocol::Ether) if qualifiers.kind == Kind::Proto => {
                return self.ether_proto(number, name, place);
            }
            network @ (None | Some(Protocol::Ip | Protocol::Ip6)) => network,
            Some(_) => {
                let found = Diagnostic::error("this protocol carries no other by number");
                let hint = format!("there are `{word}`, `ip {word}`, `ip6 {word}`");
                return self.refuse(found.hint(hint), place);
            }
        };
        match number.map_or_else(|| names::protocol(name), |number| u8::try_from(number).ok()) {
            Some(number) if qualifiers.kind == Kind::Proto => Some(Primitive::Transport { network, number }),
            Some(number) => Some(Primitive::Chain { network, number }),
            None if number.is_some() => {
                self.refuse(Diagnostic::error(format!("`{name}` is not a protocol from 0 to 255")), place)
            }
            None => {
                self.refuse(Diagnostic::unknown("protocol", name, names::PROTOCOLS.map(|(n, _)| n)), place)
            }
        }
    }

    fn ether_proto(&mut self, number: Option<u16>, name: &str, place: Range<usize>) -> Option<Primitive> {
        match number.or_else(|| names::ethertype(name)) {
            Some(256..=1500) => {
                let found = Diagnostic::error(format!("`{name}` is not an EtherType"));
                let reason =
                    "up to 1500 it is the length of a frame, and LLC's service access points go up to 255";
                self.refuse(found.because(reason), place)
            }
            // Its forms are many, and Linux has none of them any more.
            Some(0xe0) => {
                let found = Diagnostic::error("IPX in frames of LLC cannot be asked");
                self.refuse(found.hint("`ether proto 0x8137` asks for its EtherType"), place)
            }
            Some(number) => Some(Primitive::EtherType(number)),
            None => {
                let known = names::ETHERTYPES.map(|(known, _)| known);
                self.refuse(Diagnostic::unknown("EtherType", name, known), place)
            }
        }
    }

    /// As in C, so a 0 in front makes it octal; libpcap reads numbers so.
    pub(super) fn natural<N: TryFrom<u64>>(&mut self, pair: &Pair<'_, Rule>, most: u64) -> Option<N> {
        let (text, place) = (pair.as_str().trim_end(), span(pair));
        let octal = text.strip_prefix('0').filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit()));
        match octal {
            None => self.unsigned(text, place, most),
            Some(digits) => {
                let number = u64::from_str_radix(digits, 8).ok().filter(|number| *number <= most);
                let number = number.and_then(|number| number.try_into().ok());
                if number.is_none() {
                    let found = Diagnostic::error(format!("`{text}` is not an octal number up to {most}"));
                    return self.refuse(found.because("a 0 in front makes a number octal"), place);
                }
                number
            }
        }
    }
}

fn directed(pair: Pair<'_, Rule>) -> Direction {
    let rules: Vec<Rule> = pair.into_inner().map(|inner| inner.as_rule()).collect();
    match &rules[..] {
        [Rule::word_src] => Direction::Source,
        [Rule::word_dst] => Direction::Destination,
        [_, Rule::and, _] => Direction::Both,
        _ => Direction::Either,
    }
}
