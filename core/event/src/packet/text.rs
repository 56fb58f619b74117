//! A packet on one line: tags, addresses with ports, network, transport, and why it ends early if it does. Link
//! addresses are shown only where nothing better names the parties.

use std::fmt::{self, Display, Formatter};

use super::{Network, Packet, Ports, Transport, names};

impl Display for Packet {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut words = Words { f, first: true };
        for vlan in &self.vlans {
            words.add(vlan)?;
        }
        self.write_network(&mut words)?;
        match &self.transport {
            Some(Transport::Tcp(tcp)) => words.add(tcp)?,
            Some(Transport::Udp(udp)) => words.add(udp)?,
            Some(Transport::Icmp(icmp)) => words.add(icmp)?,
            None => {}
        }
        match &self.flaw {
            Some(flaw) => words.add(flaw),
            None => Ok(()),
        }
    }
}

impl Packet {
    fn write_network(&self, words: &mut Words<'_, '_>) -> fmt::Result {
        match &self.network {
            Network::Nothing => Ok(()),
            Network::Link(link) => words.add(format_args!("link {link}")),
            Network::EtherType(number) => {
                self.write_link(words)?;
                match names::ethertype(*number) {
                    Some(name) => words.add(format_args!("ethertype {name} ({number:#06x})")),
                    None => words.add(format_args!("ethertype {number:#06x}")),
                }
            }
            Network::Ieee(length) => {
                self.write_link(words)?;
                words.add(format_args!("802.3 len {length}"))
            }
            Network::Arp(arp) => words.add(arp),
            Network::Ipv4(ip) => {
                words.add(Addresses(ip.source, ip.destination, self.ports))?;
                words.add(ip)
            }
            Network::Ipv6(ip) => {
                words.add(Addresses(ip.source, ip.destination, self.ports))?;
                words.add(ip)
            }
        }
    }

    fn write_link(&self, words: &mut Words<'_, '_>) -> fmt::Result {
        match &self.ethernet {
            Some(ethernet) => words.add(Addresses(ethernet.source, ethernet.destination, None)),
            None => Ok(()),
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
