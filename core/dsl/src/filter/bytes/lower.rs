//! Packet primitives to tests, as libpcap's `gencode.c` makes them: the same bytes, in the same order. The order counts,
//! since a test that reads beyond the data ends the sub-expression; and `vlan` and `mpls` move where all that stands
//! behind them in the text looks.

use std::ops::Range;

use super::{Load, Number, Test};
use crate::diagnostic::Diagnostic;
use crate::filter::read::Filter;
use crate::filter::tree::{Arith, Direction, Node, NodeKind, Order, Primitive, Protocol};

const IP: u16 = 0x0800;
const ARP: u16 = 0x0806;
const RARP: u16 = 0x8035;
const IP6: u16 = 0x86dd;
const MPLS: u16 = 0x8847;
const VLANS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const SESSION: u16 = 0x8864;
/// The greatest length of a frame: what stands in an EtherType's place up to it is no EtherType.
const LENGTH_MAX: u32 = 1500;

const SCTP: u8 = 132;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP6: u8 = 58;
/// IPv6's fragment header.
const FRAGMENT: u8 = 44;

/// Where the next primitive looks.
pub(in crate::filter) struct State<'a> {
    filter: &'a Filter,
    /// The EtherType's place.
    kind: usize,
    /// Where what it names begins.
    payload: usize,
    /// Labels before it.
    labels: usize,
    /// Where the link header begins, in the frame or in a session.
    link: usize,
    /// Whether what is asked is in a PPPoE session, where PPP's numbers stand for EtherTypes.
    session: bool,
}

type Compiled<T> = Result<T, Box<Diagnostic>>;

impl<'a> State<'a> {
    pub(in crate::filter) fn new(filter: &'a Filter) -> State<'a> {
        State { filter, kind: 12, payload: 14, labels: 0, link: 0, session: false }
    }

    /// A whole sub-expression.
    pub(in crate::filter) fn node(&mut self, node: &Node) -> Compiled<Test> {
        Ok(match &node.kind {
            NodeKind::Not(inside) => Test::Not(Box::new(self.node(inside)?)),
            NodeKind::And(parts) => Test::All(self.nodes(parts)?),
            NodeKind::Or(parts) => Test::Any(self.nodes(parts)?),
            NodeKind::Packet(primitive) => self.primitive(primitive, &node.span)?,
            NodeKind::Field(_) | NodeKind::Has(_) => {
                let found = Diagnostic::error("this is about events, and here are packets only")
                    .at(self.filter.at(node.span.clone()))
                    .because("a packet has no such field")
                    .hint("`tracer print -f` asks it of a trace's events");
                return Err(found.into());
            }
        })
    }

    fn nodes(&mut self, nodes: &[Node]) -> Compiled<Vec<Test>> {
        nodes.iter().map(|node| self.node(node)).collect()
    }

    fn primitive(&mut self, primitive: &Primitive, span: &Range<usize>) -> Compiled<Test> {
        Ok(match primitive {
            Primitive::Protocol(protocol) => self.protocol(*protocol, span)?,
            Primitive::Ipv4 { protocol, direction, address, mask } => {
                let mut places = vec![(IP, 12, 16)];
                match protocol {
                    // libpcap asks no ARP behind a label.
                    None if self.labels > 0 => {}
                    None => places.extend([(ARP, 14, 24), (RARP, 14, 24)]),
                    Some(Protocol::Arp) => places = vec![(ARP, 14, 24)],
                    Some(Protocol::Rarp) => places = vec![(RARP, 14, 24)],
                    Some(_) => {}
                }
                let mut any = Vec::new();
                for (kind, source, destination) in places {
                    any.push(both_ways(*direction, source, destination, |offset| {
                        let load = self.payload(offset, 4);
                        let equal = Test::Compare { load, mask: *mask, order: Order::Equal, value: *address };
                        Ok(Test::All(vec![self.ethertype(kind, span)?, equal]))
                    })?);
                }
                Test::Any(any)
            }
            Primitive::Ipv6 { direction, address, mask } => both_ways(*direction, 8, 24, |offset| {
                let mut all = vec![self.ethertype(IP6, span)?];
                for word in 0..4 {
                    let of = |bits: u128| (bits >> (96 - 32 * word)) as u32;
                    let load = self.payload(offset + 4 * word, 4);
                    let (mask, value) = (of(*mask), of(*address));
                    all.push(Test::Compare { load, mask, order: Order::Equal, value });
                }
                Ok(Test::All(all))
            })?,
            Primitive::Mac { .. } | Primitive::Broadcast | Primitive::Multicast(None) if self.session => {
                return Err(self.refused_in_session("an Ethernet address", span));
            }
            Primitive::Mac { direction, address } => {
                both_ways(*direction, 6, 0, |offset| Ok(mac(offset, *address)))?
            }
            Primitive::Broadcast => mac(0, [0xff; 6]),
            Primitive::Multicast(None) => {
                Test::Compare { load: at(0, 1), mask: 1, order: Order::Equal, value: 1 }
            }
            Primitive::Multicast(Some(Protocol::Ip6)) => {
                Test::All(vec![self.ethertype(IP6, span)?, self.equal(24, 1, 255)])
            }
            Primitive::Multicast(Some(_)) => {
                let (load, mask) = (self.payload(16, 1), u32::MAX);
                let multicast = Test::Compare { load, mask, order: Order::GreaterOrEqual, value: 224 };
                Test::All(vec![self.ethertype(IP, span)?, multicast])
            }
            Primitive::Port { protocol, direction, from, to } => {
                let protocols = protocol.map_or_else(|| vec![SCTP, TCP, UDP], |one| vec![one]);
                let ip6 = self.ports(IP6, &protocols, *direction, (*from, *to), span)?;
                Test::Any(vec![ip6, self.ports(IP, &protocols, *direction, (*from, *to), span)?])
            }
            Primitive::EtherType(kind) => self.ethertype(*kind, span)?,
            Primitive::Chain { network, number } => self.chain(*network, *number, span)?,
            Primitive::Session(number) => self.session(*number, span)?,
            Primitive::Transport { network, number } => self.transport(*network, *number, span)?,
            Primitive::Vlan(number) => self.vlan(*number, span)?,
            Primitive::Mpls(label) => self.mpls(*label, span)?,
            Primitive::AtMost(bytes) => length(Order::LessOrEqual, *bytes),
            Primitive::AtLeast(bytes) => length(Order::GreaterOrEqual, *bytes),
            Primitive::Relation(left, order, right) => {
                let mut guards = Vec::new();
                let left = self.number(left, &mut guards, span)?;
                let mut more = Vec::new();
                let right = self.number(right, &mut more, span)?;
                guards.append(&mut more);
                guards.push(Test::Relation { left, order: *order, right });
                Test::All(guards)
            }
        })
    }

    fn protocol(&self, protocol: Protocol, span: &Range<usize>) -> Compiled<Test> {
        match protocol {
            Protocol::Ip => self.ethertype(IP, span),
            Protocol::Ip6 => self.ethertype(IP6, span),
            Protocol::Arp => self.ethertype(ARP, span),
            Protocol::Rarp => self.ethertype(RARP, span),
            // The reader refuses it alone.
            Protocol::Ether => Ok(Test::All(Vec::new())),
            Protocol::Icmp | Protocol::Igmp | Protocol::Vrrp => {
                self.transport(Some(Protocol::Ip), protocol.number().unwrap_or(0), span)
            }
            Protocol::Icmp6 => self.transport(Some(Protocol::Ip6), ICMP6, span),
            Protocol::Tcp | Protocol::Udp | Protocol::Sctp | Protocol::Pim | Protocol::Ah | Protocol::Esp => {
                self.transport(None, protocol.number().unwrap_or(0), span)
            }
        }
    }

    /// The number in the IP header; with IPv6 also behind a fragment header.
    fn transport(&self, network: Option<Protocol>, number: u8, span: &Range<usize>) -> Compiled<Test> {
        let number = u32::from(number);
        let ip = Test::All(vec![self.ethertype(IP, span)?, self.equal(9, 1, number)]);
        let fragment = Test::All(vec![self.equal(6, 1, FRAGMENT.into()), self.equal(40, 1, number)]);
        let ip6 = Test::Any(vec![self.equal(6, 1, number), fragment]);
        let ip6 = Test::All(vec![self.ethertype(IP6, span)?, ip6]);
        Ok(match network {
            Some(Protocol::Ip) => ip,
            Some(_) => ip6,
            None => Test::Any(vec![ip, ip6]),
        })
    }

    fn ports(
        &self,
        network: u16,
        protocols: &[u8],
        direction: Direction,
        (from, to): (u16, u16),
        span: &Range<usize>,
    ) -> Compiled<Test> {
        let mut any = Vec::new();
        for protocol in protocols {
            let mut all = match network {
                IP => vec![self.equal(9, 1, (*protocol).into()), self.first_fragment()],
                _ => vec![self.equal(6, 1, (*protocol).into())],
            };
            all.push(both_ways(direction, 0, 2, |offset| {
                let load = match network {
                    IP => self.behind_ipv4(offset, 2),
                    _ => self.payload(40 + offset, 2),
                };
                let test =
                    |order, value: u16| Test::Compare { load, mask: u32::MAX, order, value: value.into() };
                Ok(match from == to {
                    true => test(Order::Equal, from),
                    false => Test::All(vec![test(Order::GreaterOrEqual, from), test(Order::LessOrEqual, to)]),
                })
            })?);
            any.push(Test::All(all));
        }
        Ok(Test::All(vec![self.ethertype(network, span)?, Test::Any(any)]))
    }

    fn first_fragment(&self) -> Test {
        Test::Compare { load: self.payload(6, 2), mask: 0x1fff, order: Order::Equal, value: 0 }
    }

    /// The number in one of the headers behind IP's.
    fn chain(&self, network: Option<Protocol>, number: u8, span: &Range<usize>) -> Compiled<Test> {
        let of = |kind, six| {
            let chain = Test::Chain { network: self.payload, six, protocol: number };
            Ok(Test::All(vec![self.ethertype(kind, span)?, chain]))
        };
        match network {
            Some(Protocol::Ip) => of(IP, false),
            Some(_) => of(IP6, true),
            None => Ok(Test::Any(vec![of(IP, false)?, of(IP6, true)?])),
        }
    }

    fn session(&mut self, number: Option<u16>, span: &Range<usize>) -> Compiled<Test> {
        let mut all = vec![self.ethertype(SESSION, span)?];
        if let Some(number) = number {
            let load = self.payload(0, 4);
            all.push(Test::Compare { load, mask: 0xffff, order: Order::Equal, value: number.into() });
        }
        // Version, type, code, session and length are 6 bytes; PPP's number has 2.
        self.link = self.payload + 6;
        self.kind = self.link;
        self.payload = self.link + 2;
        self.session = true;
        Ok(Test::All(all))
    }

    fn vlan(&mut self, number: Option<u16>, span: &Range<usize>) -> Compiled<Test> {
        if self.labels > 0 {
            return Err(self.refused("a VLAN tag behind an MPLS label", span));
        }
        if self.session {
            return Err(self.refused_in_session("a VLAN tag", span));
        }
        let mut any = Vec::new();
        for kind in VLANS {
            any.push(self.ethertype(kind, span)?);
        }
        let mut all = vec![Test::Any(any)];
        if let Some(number) = number {
            let load = self.payload(0, 2);
            all.push(Test::Compare { load, mask: 0xfff, order: Order::Equal, value: number.into() });
        }
        self.kind += 4;
        self.payload += 4;
        Ok(Test::All(all))
    }

    fn mpls(&mut self, label: Option<u32>, span: &Range<usize>) -> Compiled<Test> {
        let mut all = match self.labels {
            0 => vec![self.ethertype(MPLS, span)?],
            // The label before this one is not the last.
            _ => vec![self.last_label(0)],
        };
        if let Some(label) = label {
            let load = self.payload(0, 4);
            all.push(Test::Compare { load, mask: 0xffff_f000, order: Order::Equal, value: label << 12 });
        }
        self.payload += 4;
        self.labels += 1;
        Ok(Test::All(all))
    }

    /// The bit of the label before that says whether it is the last.
    fn last_label(&self, value: u32) -> Test {
        Test::Compare { load: at(self.payload - 2, 1), mask: 1, order: Order::Equal, value }
    }

    fn ethertype(&self, kind: u16, span: &Range<usize>) -> Compiled<Test> {
        if self.labels == 0 {
            return Ok(if self.session { self.kind_is(in_session(kind)) } else { self.kind_in_frame(kind) });
        }
        // A label names no protocol: the version in the header does.
        let version = match kind {
            IP => 0x40,
            IP6 => 0x60,
            _ => return Err(self.refused("this protocol behind an MPLS label", span)),
        };
        let load = self.payload(0, 1);
        let version = Test::Compare { load, mask: 0xf0, order: Order::Equal, value: version };
        Ok(Test::All(vec![self.last_label(1), version]))
    }

    fn kind_is(&self, kind: u16) -> Test {
        let load = at(self.kind, 2);
        Test::Compare { load, mask: u32::MAX, order: Order::Equal, value: kind.into() }
    }

    /// The EtherType, or what names the protocol in frames that have a length in its place: LLC's service access point,
    /// and SNAP's EtherType behind that.
    fn kind_in_frame(&self, kind: u16) -> Test {
        let short = || {
            let load = at(self.kind, 2);
            Test::Compare { load, mask: u32::MAX, order: Order::LessOrEqual, value: LENGTH_MAX }
        };
        let snap = |organization: u8, rest: u32| {
            let (protocol, start) =
                (self.equal(4, 4, rest), self.equal(0, 4, 0xaaaa_0300 | u32::from(organization)));
            Test::Any(vec![self.kind_is(kind), Test::All(vec![short(), protocol, start])])
        };
        match kind {
            // OSI, IP and NetBEUI have the same number for both sides.
            0xfe | 0x06 | 0xf0 => {
                Test::All(vec![short(), self.equal(0, 2, u32::from(kind) << 8 | u32::from(kind))])
            }
            0..=1500 => Test::All(vec![short(), self.equal(0, 1, kind.into())]),
            // AppleTalk has an organization of its own, 08 00 07.
            0x809b => snap(0x08, 0x0007_809b),
            0x80f3 => snap(0, 0x80f3),
            _ => self.kind_is(kind),
        }
    }

    fn refused_in_session(&self, what: &str, span: &Range<usize>) -> Box<Diagnostic> {
        let found = Diagnostic::error(format!("{what} in a PPPoE session cannot be asked"));
        let found = found.at(self.filter.at(span.clone())).because("PPP has none");
        found.hint("what stands behind `pppoes` in the text is asked in the session: put it before").into()
    }

    fn refused(&self, what: &str, span: &Range<usize>) -> Box<Diagnostic> {
        let found = Diagnostic::error(format!("{what} cannot be asked"));
        let found = found.at(self.filter.at(span.clone())).because("a label does not say what is behind it");
        found.hint("what stands behind `mpls` in the text is asked behind the label: put it before").into()
    }

    /// A number, and what must be so for it to be there.
    fn number(&self, arith: &Arith, guards: &mut Vec<Test>, span: &Range<usize>) -> Compiled<Number> {
        Ok(match arith {
            Arith::Number(number) => Number::Constant(*number),
            Arith::Length => Number::Length,
            Arith::Negative(inside) => Number::Negative(Box::new(self.number(inside, guards, span)?)),
            Arith::Binary(operator, left, right) => {
                let left = self.number(left, guards, span)?;
                // What must be so for the right one, libpcap forgets; to agree with it on every packet, so do we.
                let right = self.number(right, &mut Vec::new(), span)?;
                Number::Binary(*operator, Box::new(left), Box::new(right))
            }
            Arith::Load { protocol, offset, size } => {
                let mut inner = Vec::new();
                let index = Box::new(self.number(offset, &mut inner, span)?);
                let load = match protocol {
                    Protocol::Ether => at(self.link, *size),
                    Protocol::Ip | Protocol::Ip6 | Protocol::Arp | Protocol::Rarp => {
                        inner.push(self.protocol(*protocol, span)?);
                        self.payload(0, *size)
                    }
                    Protocol::Icmp6 => {
                        inner.push(self.ethertype(IP6, span)?);
                        inner.push(self.equal(6, 1, ICMP6.into()));
                        self.payload(40, *size)
                    }
                    _ => {
                        let first = self.ethertype(IP, span)?;
                        let own = self.protocol(*protocol, span)?;
                        inner.insert(0, first);
                        inner.extend([own, self.first_fragment()]);
                        self.behind_ipv4(0, *size)
                    }
                };
                guards.append(&mut inner);
                Number::Load { load, index }
            }
        })
    }

    fn equal(&self, offset: usize, size: u8, value: u32) -> Test {
        Test::Compare { load: self.payload(offset, size), mask: u32::MAX, order: Order::Equal, value }
    }

    fn payload(&self, offset: usize, size: u8) -> Load {
        at(self.payload + offset, size)
    }

    fn behind_ipv4(&self, offset: usize, size: u8) -> Load {
        Load { behind_ipv4: Some(self.payload), ..self.payload(offset, size) }
    }
}

/// PPP's number of what has an EtherType; others stand for themselves, as in libpcap.
fn in_session(kind: u16) -> u16 {
    match kind {
        IP => 0x0021,
        IP6 => 0x0057,
        MPLS => 0x0281,
        // DECnet, AppleTalk, XNS, OSI, spanning tree.
        0x6003 => 0x0027,
        0x809b => 0x0029,
        0x0600 => 0x0025,
        0x00fe => 0x0023,
        0x0042 => 0x0031,
        other => other,
    }
}

fn at(offset: usize, size: u8) -> Load {
    Load { offset, behind_ipv4: None, size }
}

/// The latter four bytes first, as libpcap does.
fn mac(offset: usize, address: [u8; 6]) -> Test {
    let [a, b, c, d, e, f] = address;
    let test = |offset, size, value| Test::Compare {
        load: at(offset, size),
        mask: u32::MAX,
        order: Order::Equal,
        value,
    };
    Test::All(vec![
        test(offset + 2, 4, u32::from_be_bytes([c, d, e, f])),
        test(offset, 2, u32::from_be_bytes([0, 0, a, b])),
    ])
}

fn length(order: Order, bytes: u32) -> Test {
    Test::Relation { left: Number::Length, order, right: Number::Constant(bytes) }
}

/// The same test at the source's place, the destination's, or both.
fn both_ways(
    direction: Direction,
    source: usize,
    destination: usize,
    test: impl Fn(usize) -> Compiled<Test>,
) -> Compiled<Test> {
    Ok(match direction {
        Direction::Source => test(source)?,
        Direction::Destination => test(destination)?,
        Direction::Either => Test::Any(vec![test(source)?, test(destination)?]),
        Direction::Both => Test::All(vec![test(source)?, test(destination)?]),
    })
}
