//! A packet on one line: tags, labels, addresses with ports, network, transport, then the packet inside behind a ` | `,
//! and why it ends early if it does. Link addresses are shown where nothing better names the parties, and where they
//! were asked for.

use std::fmt::{self, Display, Formatter};
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Ethernet, Mac, Network, Packet, Ports, Transport, Vlan, names};
use crate::append;

/// What a header, or a part of one, says in a packet's text. It says something, always.
pub(super) trait Words {
    fn push(&self, out: &mut String);
}

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
        let mut text = String::new();
        self.push(&mut text);
        f.write_str(&text)
    }
}

impl Shown<'_> {
    pub(crate) fn push(&self, out: &mut String) {
        let mut line = Line { start: out.len(), out };
        for packet in self.packet.levels() {
            if line.out.len() > line.start {
                line.add("|");
            }
            self.push_link(packet, &mut line);
            for label in &packet.labels {
                line.add(label);
            }
            self.push_network(packet, &mut line);
            packet.push_transport(&mut line);
        }
        if let Some(flaw) = self.packet.end() {
            line.add(&flaw);
        }
    }

    fn push_link(&self, packet: &Packet, line: &mut Line<'_>) {
        match &packet.ethernet {
            Some(ethernet) if self.link_header => line.add(ethernet),
            _ => {}
        }
        for vlan in &packet.vlans {
            if self.link_header {
                line.add(&WholeTag(vlan));
            } else {
                line.add(vlan);
            }
        }
    }

    fn push_network(&self, packet: &Packet, line: &mut Line<'_>) {
        match &packet.network {
            Network::Nothing => {}
            Network::Link(link) => line.add(&Numbered("link ", *link)),
            // It ends the link header, and was said there.
            Network::EtherType(_) | Network::Ieee(_) if self.link_header && packet.has_link_header() => {}
            Network::EtherType(number) => {
                packet.push_macs(line);
                line.add(&EtherType(*number));
            }
            Network::Ieee(length) => {
                packet.push_macs(line);
                line.add(&Numbered("802.3 len ", u32::from(*length)));
            }
            Network::Arp(arp) => line.add(arp),
            Network::Ipv4(ip) => {
                line.add(&Addresses(ip.source, ip.destination, packet.ports));
                line.add(ip);
            }
            Network::Ipv6(ip) => {
                line.add(&Addresses(ip.source, ip.destination, packet.ports));
                line.add(ip);
            }
        }
    }
}

impl Packet {
    fn has_link_header(&self) -> bool {
        (self.ethernet.is_some() || !self.vlans.is_empty()) && self.labels.is_empty()
    }

    fn push_macs(&self, line: &mut Line<'_>) {
        if let Some(ethernet) = &self.ethernet {
            line.add(&Addresses(ethernet.source, ethernet.destination, None));
        }
    }

    fn push_transport(&self, line: &mut Line<'_>) {
        if let Some(ah) = &self.ah {
            line.add(ah);
        }
        match &self.transport {
            Some(Transport::Tcp(tcp)) => line.add(tcp),
            Some(Transport::Udp(udp)) => line.add(udp),
            Some(Transport::Icmp(icmp)) => line.add(icmp),
            Some(Transport::Sctp(sctp)) => line.add(sctp),
            // A plain GRE header says nothing but that it is one.
            Some(Transport::Gre(gre)) if gre.is_plain() => {}
            Some(Transport::Gre(gre)) => line.add(gre),
            Some(Transport::Esp(esp)) => line.add(esp),
            None => {}
        }
        if let Some(overlay) = &self.overlay {
            line.add(overlay);
        }
    }
}

/// Words with spaces between.
struct Line<'a> {
    /// Where they begin.
    start: usize,
    out: &'a mut String,
}

impl Line<'_> {
    fn add<W: Words + ?Sized>(&mut self, words: &W) {
        if self.out.len() > self.start {
            self.out.push(' ');
        }
        words.push(self.out);
    }
}

impl Words for str {
    fn push(&self, out: &mut String) {
        out.push_str(self);
    }
}

impl Words for Ethernet {
    fn push(&self, out: &mut String) {
        Addresses(self.source, self.destination, None).push(out);
        out.push(' ');
        match self.ethertype {
            length @ 0..0x600 => number(out, "802.3 len ", length),
            number => EtherType(number).push(out),
        }
    }
}

/// All of a tag, for who asked for link headers.
struct WholeTag<'a>(&'a Vlan);

impl Words for WholeTag<'_> {
    fn push(&self, out: &mut String) {
        let Vlan { id, priority, drop_eligible, ethertype } = self.0;
        number(out, "vlan ", *id);
        number(out, " p ", *priority);
        out.push_str(if *drop_eligible { " DEI " } else { " " });
        EtherType(*ethertype).push(out);
    }
}

/// `ethertype IPv4 (0x0800)`, or the number alone.
struct EtherType(u16);

impl Words for EtherType {
    fn push(&self, out: &mut String) {
        let number = |out: &mut String| {
            out.push_str("0x");
            append::hex_digits(out, u64::from(self.0), 4);
        };
        out.push_str("ethertype ");
        match names::ethertype(self.0) {
            Some(name) => {
                out.push_str(name);
                out.push_str(" (");
                number(out);
                out.push(')');
            }
            None => number(out),
        }
    }
}

/// `proto TCP (6)`, or the number alone.
pub(super) struct Protocol(pub(super) u8);

impl Words for Protocol {
    fn push(&self, out: &mut String) {
        out.push_str("proto ");
        named(out, names::protocol(self.0), self.0);
    }
}

/// A number behind its name, which has the space.
struct Numbered(&'static str, u32);

impl Words for Numbered {
    fn push(&self, out: &mut String) {
        number(out, self.0, self.1);
    }
}

/// The same, without ado.
pub(super) fn number(out: &mut String, name: &str, number: impl itoa::Integer) {
    out.push_str(name);
    append::decimal(out, number);
}

/// `TCP (6)`, or the number alone.
pub(super) fn named(out: &mut String, name: Option<&str>, number: u8) {
    match name {
        Some(name) => {
            out.push_str(name);
            out.push_str(" (");
            append::decimal(out, number);
            out.push(')');
        }
        None => append::decimal(out, number),
    }
}

/// `A.port > B.port`, for IPv6 too.
struct Addresses<A>(A, A, Option<Ports>);

impl<A: Address> Words for Addresses<A> {
    fn push(&self, out: &mut String) {
        let Addresses(source, destination, ports) = self;
        source.push_address(out);
        if let Some(ports) = ports {
            number(out, ".", ports.source);
        }
        out.push_str(" > ");
        destination.push_address(out);
        if let Some(ports) = ports {
            number(out, ".", ports.destination);
        }
    }
}

trait Address: Copy {
    fn push_address(self, out: &mut String);
}

impl Address for Mac {
    fn push_address(self, out: &mut String) {
        self.push(out);
    }
}

impl Address for Ipv4Addr {
    fn push_address(self, out: &mut String) {
        append::ipv4(out, self);
    }
}

impl Address for Ipv6Addr {
    fn push_address(self, out: &mut String) {
        append::ipv6(out, self);
    }
}
