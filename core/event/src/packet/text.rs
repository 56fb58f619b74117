//! A packet on one line: tags, labels, addresses with ports, network, transport, then the packet inside behind a ` | `,
//! and why it ends early if it does. Link addresses are shown where nothing better names the parties, and where they
//! were asked for.

use std::fmt::{self, Display, Formatter};

use super::{Ethernet, Network, Packet, Ports, Transport, Vlan, names};

/// A packet with or without its link headers.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    packet: &'a Packet,
    link_header: bool,
}

impl Packet {
    /// The packet's text, with link headers in it if so wanted: Ethernet addresses and types, and all of VLAN tags.
    pub fn show(&self, link_header: bool) -> Shown<'_> {
        Shown { packet: self, link_header }
    }
}

impl Display for Packet {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.show(false).fmt(f)
    }
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut words = Words { f, first: true };
        for packet in self.packet.levels() {
            if !words.first {
                words.add("|")?;
            }
            self.write_link(packet, &mut words)?;
            for label in &packet.labels {
                words.add(label)?;
            }
            self.write_network(packet, &mut words)?;
            packet.write_transport(&mut words)?;
        }
        match self.packet.end() {
            Some(flaw) => words.add(flaw),
            None => Ok(()),
        }
    }
}

impl Shown<'_> {
    fn write_link(&self, packet: &Packet, words: &mut Words<'_, '_>) -> fmt::Result {
        match &packet.ethernet {
            Some(ethernet) if self.link_header => words.add(ethernet)?,
            _ => {}
        }
        packet.vlans.iter().try_for_each(|vlan| match self.link_header {
            true => words.add(WholeTag(vlan)),
            false => words.add(vlan),
        })
    }

    fn write_network(&self, packet: &Packet, words: &mut Words<'_, '_>) -> fmt::Result {
        match &packet.network {
            Network::Nothing => Ok(()),
            Network::Link(link) => words.add(format_args!("link {link}")),
            // It ends the link header, and was said there.
            Network::EtherType(_) | Network::Ieee(_) if self.link_header && packet.has_link_header() => {
                Ok(())
            }
            Network::EtherType(number) => {
                packet.write_macs(words)?;
                words.add(EtherType(*number))
            }
            Network::Ieee(length) => {
                packet.write_macs(words)?;
                words.add(format_args!("802.3 len {length}"))
            }
            Network::Arp(arp) => words.add(arp),
            Network::Ipv4(ip) => {
                words.add(Addresses(ip.source, ip.destination, packet.ports))?;
                words.add(ip)
            }
            Network::Ipv6(ip) => {
                words.add(Addresses(ip.source, ip.destination, packet.ports))?;
                words.add(ip)
            }
        }
    }
}

impl Packet {
    fn has_link_header(&self) -> bool {
        (self.ethernet.is_some() || !self.vlans.is_empty()) && self.labels.is_empty()
    }

    fn write_macs(&self, words: &mut Words<'_, '_>) -> fmt::Result {
        match &self.ethernet {
            Some(ethernet) => words.add(Addresses(ethernet.source, ethernet.destination, None)),
            None => Ok(()),
        }
    }

    fn write_transport(&self, words: &mut Words<'_, '_>) -> fmt::Result {
        if let Some(ah) = &self.ah {
            words.add(ah)?;
        }
        match &self.transport {
            Some(Transport::Tcp(tcp)) => words.add(tcp)?,
            Some(Transport::Udp(udp)) => words.add(udp)?,
            Some(Transport::Icmp(icmp)) => words.add(icmp)?,
            Some(Transport::Sctp(sctp)) => words.add(sctp)?,
            // A plain GRE header says nothing but that it is one.
            Some(Transport::Gre(gre)) if gre.is_plain() => {}
            Some(Transport::Gre(gre)) => words.add(gre)?,
            Some(Transport::Esp(esp)) => words.add(esp)?,
            None => {}
        }
        match &self.overlay {
            Some(overlay) => words.add(overlay),
            None => Ok(()),
        }
    }
}

impl Display for Ethernet {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {} ", self.source, self.destination)?;
        match self.ethertype {
            length @ 0..0x600 => write!(f, "802.3 len {length}"),
            number => write!(f, "{}", EtherType(number)),
        }
    }
}

/// All of a tag, for who asked for link headers.
struct WholeTag<'a>(&'a Vlan);

impl Display for WholeTag<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Vlan { id, priority, drop_eligible, ethertype } = self.0;
        let eligible = if *drop_eligible { " DEI" } else { "" };
        write!(f, "vlan {id} p {priority}{eligible} {}", EtherType(*ethertype))
    }
}

/// `ethertype IPv4 (0x0800)`, or the number alone.
pub(super) struct EtherType(pub(super) u16);

impl Display for EtherType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match names::ethertype(self.0) {
            Some(name) => write!(f, "ethertype {name} ({:#06x})", self.0),
            None => write!(f, "ethertype {:#06x}", self.0),
        }
    }
}

/// `proto TCP (6)`, or the number alone.
pub(super) struct Protocol(pub(super) u8);

impl Display for Protocol {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match names::protocol(self.0) {
            Some(name) => write!(f, "proto {name} ({})", self.0),
            None => write!(f, "proto {}", self.0),
        }
    }
}

/// `A.port > B.port`, for IPv6 too.
struct Addresses<A>(A, A, Option<Ports>);

impl<A: Display> Display for Addresses<A> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Addresses(source, destination, ports) = self;
        match ports {
            Some(ports) => write!(f, "{source}.{} > {destination}.{}", ports.source, ports.destination),
            None => write!(f, "{source} > {destination}"),
        }
    }
}

/// Words with spaces between.
struct Words<'a, 'b> {
    f: &'a mut Formatter<'b>,
    first: bool,
}

impl Words<'_, '_> {
    fn add(&mut self, word: impl Display) -> fmt::Result {
        if !std::mem::take(&mut self.first) {
            self.f.write_str(" ")?;
        }
        write!(self.f, "{word}")
    }
}
