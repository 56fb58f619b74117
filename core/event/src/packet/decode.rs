//! The way through a packet: which header follows which. What is in a header is said in the protocols' own files.

use super::input::{Flaw, Input};
use super::{Ah, Arp, Capture, ETHERNET, Esp, Ethernet, Gre, Icmp, Ipv4, Ipv6, Label, Network, Overlay};
use super::{Packet, Ports, RAW, Sctp, Tag, Tcp, Transport, Udp, Vlan, ipv6, names};

/// More tags than this are no packet but an attempt to make a long line.
const MAX_VLANS: usize = 4;
/// The same for labels.
const MAX_LABELS: usize = 8;
/// The same for packets inside packets.
const MAX_TUNNELS: usize = 6;

pub(super) fn packet(capture: &Capture<'_>) -> Packet {
    let mut packet = Packet::nothing();
    packet.flaw = packet.capture(capture, 0).err();
    packet
}

/// As deep as can be from the start, so that no packet inside is decoded, nor anything allocated for one.
pub(super) fn outermost(capture: &Capture<'_>) -> Packet {
    let mut packet = Packet::nothing();
    packet.flaw = packet.capture(capture, MAX_TUNNELS).err();
    packet
}

impl Packet {
    fn nothing() -> Packet {
        Packet {
            ethernet: None,
            vlans: Vec::new(),
            labels: Vec::new(),
            network: Network::Nothing,
            ah: None,
            ports: None,
            transport: None,
            overlay: None,
            inner: None,
            flaw: None,
        }
    }

    fn capture(&mut self, capture: &Capture<'_>, depth: usize) -> Result<(), Flaw> {
        let mut input = Input::new(capture.bytes, capture.original);
        match capture.link {
            ETHERNET => self.ethernet(capture.tag, input, depth),
            RAW if capture.ethertype == 0 => {
                let ethertype = by_version(&mut input)?.ok_or(Flaw::Malformed("IP version"))?;
                self.tag(capture.tag, ethertype);
                self.network(ethertype, input, depth)
            }
            RAW => {
                self.tag(capture.tag, capture.ethertype);
                self.network(capture.ethertype, input, depth)
            }
            link => {
                self.network = Network::Link(link);
                Ok(())
            }
        }
    }

    fn ethernet(&mut self, tag: Option<Tag>, mut input: Input<'_>, depth: usize) -> Result<(), Flaw> {
        let mut ethernet = Ethernet::read(&mut input)?;
        let ethertype = ethernet.ethertype;
        if let Some(tag) = tag {
            ethernet.ethertype = tag.ethertype;
        }
        self.ethernet = Some(ethernet);
        self.tag(tag, ethertype);
        self.network(ethertype, input, depth)
    }

    /// Puts back a tag that is not in the data.
    fn tag(&mut self, tag: Option<Tag>, ethertype: u16) {
        self.vlans.extend(tag.map(|tag| Vlan::new(tag.control, ethertype)));
    }

    fn network(&mut self, mut ethertype: u16, mut input: Input<'_>, depth: usize) -> Result<(), Flaw> {
        self.network = Network::EtherType(ethertype);
        while names::is_vlan(ethertype) && self.vlans.len() < MAX_VLANS {
            let vlan = Vlan::read(&mut input)?;
            ethertype = vlan.ethertype;
            self.vlans.push(vlan);
            self.network = Network::EtherType(ethertype);
        }
        match ethertype {
            names::IPV4 => self.ipv4(input, depth),
            names::IPV6 => self.ipv6(input, depth),
            names::ARP => {
                self.network = Network::Arp(Arp::read(&mut input)?);
                Ok(())
            }
            names::MPLS | names::MPLS_MULTICAST => self.mpls(input, depth),
            // Below this it is the length of an 802.3 frame.
            0..0x600 if self.ethernet.is_some() => {
                self.network = Network::Ieee(ethertype);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn mpls(&mut self, mut input: Input<'_>, depth: usize) -> Result<(), Flaw> {
        loop {
            if self.labels.len() == MAX_LABELS {
                return Err(Flaw::Deep);
            }
            let label = Label::read(&mut input)?;
            let bottom = label.bottom;
            self.labels.push(label);
            self.network = Network::Nothing;
            if bottom {
                break;
            }
        }
        // Nothing says what a label carries; as everybody else, look at the IP version. Ethernet has none that fits.
        match by_version(&mut input)? {
            Some(ethertype) => self.network(ethertype, input, depth),
            None => Ok(()),
        }
    }

    fn ipv4(&mut self, mut input: Input<'_>, depth: usize) -> Result<(), Flaw> {
        let (ip, rest) = Ipv4::read(&mut input)?;
        let (protocol, first) = (ip.protocol, ip.offset == 0);
        self.network = Network::Ipv4(ip);
        input.payload(rest)?;
        if first { self.transport(protocol, input, depth) } else { Ok(()) }
    }

    fn ipv6(&mut self, mut input: Input<'_>, depth: usize) -> Result<(), Flaw> {
        let mut ip = Ipv6::read(&mut input)?;
        let fragment = ipv6::extensions(&mut ip.protocol, &mut input);
        ip.fragment = fragment.unwrap_or_else(|(_, fragment)| fragment);
        let (protocol, first) = (ip.protocol, ip.fragment.is_none_or(|fragment| fragment.offset == 0));
        self.network = Network::Ipv6(ip);
        fragment.map_err(|(flaw, _)| flaw)?;
        if first { self.transport(protocol, input, depth) } else { Ok(()) }
    }

    fn transport(&mut self, protocol: u8, mut input: Input<'_>, depth: usize) -> Result<(), Flaw> {
        if names::has_ports(protocol) {
            self.ports = Some(Ports::read(&mut input)?);
        }
        match protocol {
            names::TCP => self.transport = Some(Transport::Tcp(Tcp::read(&mut input)?)),
            names::UDP => return self.udp(input, depth),
            names::ICMP | names::ICMPV6 => {
                self.transport = Some(Transport::Icmp(Icmp::read(&mut input, protocol)?));
            }
            names::SCTP => self.transport = Some(Transport::Sctp(Sctp::read(&mut input)?)),
            names::GRE => return self.gre(input, depth),
            names::ESP => self.transport = Some(Transport::Esp(Esp::read(&mut input)?)),
            names::AH if self.ah.is_none() => {
                let (mut ah, rest) = Ah::read(&mut input)?;
                let passed = input.skip(rest).and_then(|()| match self.network {
                    Network::Ipv6(_) => {
                        ipv6::extensions(&mut ah.protocol, &mut input).map_err(|(flaw, _)| flaw)
                    }
                    _ => Ok(None),
                });
                let next = ah.protocol;
                self.ah = Some(ah);
                passed?;
                return self.transport(next, input, depth);
            }
            names::IPIP => {
                return self.inside(depth, |inner, depth| inner.network(names::IPV4, input, depth));
            }
            names::IPV6_IN_IP => {
                return self.inside(depth, |inner, depth| inner.network(names::IPV6, input, depth));
            }
            names::MPLS_IN_IP => {
                return self.inside(depth, |inner, depth| inner.network(names::MPLS, input, depth));
            }
            _ => {}
        }
        // Options and the like, which are part of the header although the text does not show them.
        let flaw = match &self.transport {
            Some(Transport::Tcp(tcp)) => tcp.flaw(),
            Some(Transport::Sctp(sctp)) => sctp.flaw(),
            _ => None,
        };
        flaw.map_or(Ok(()), Err)
    }

    fn udp(&mut self, mut input: Input<'_>, depth: usize) -> Result<(), Flaw> {
        let udp = Udp::read(&mut input)?;
        self.transport = Some(Transport::Udp(udp));
        let Some(ports) = self.ports else { return Ok(()) };
        let Some((overlay, ethertype)) = Overlay::read(ports.destination, &mut input)? else { return Ok(()) };
        self.overlay = Some(overlay);
        self.inside(depth, |inner, depth| inner.carried(ethertype, input, depth))
    }

    fn gre(&mut self, mut input: Input<'_>, depth: usize) -> Result<(), Flaw> {
        let gre = Gre::read(&mut input)?;
        let (ethertype, opaque) = (gre.protocol, gre.is_opaque());
        self.transport = Some(Transport::Gre(gre));
        self.inside(depth, |inner, depth| {
            if opaque {
                inner.network = Network::EtherType(ethertype);
                return Ok(());
            }
            inner.carried(ethertype, input, depth)
        })
    }

    /// What a tunnel says it carries: an Ethernet frame, or what follows one.
    fn carried(&mut self, ethertype: u16, input: Input<'_>, depth: usize) -> Result<(), Flaw> {
        match ethertype {
            names::ETHERNET => self.ethernet(None, input, depth),
            _ => self.network(ethertype, input, depth),
        }
    }

    fn inside(
        &mut self,
        depth: usize,
        decode: impl FnOnce(&mut Packet, usize) -> Result<(), Flaw>,
    ) -> Result<(), Flaw> {
        if depth == MAX_TUNNELS {
            return Err(Flaw::Deep);
        }
        let mut inner = Box::new(Packet::nothing());
        inner.flaw = decode(&mut inner, depth + 1).err();
        self.inner = Some(inner);
        Ok(())
    }
}

/// The EtherType of data that may be IP, by its first four bits.
fn by_version(input: &mut Input<'_>) -> Result<Option<u16>, Flaw> {
    Ok(match input.peek::<1>()?[0] >> 4 {
        4 => Some(names::IPV4),
        6 => Some(names::IPV6),
        _ => None,
    })
}
