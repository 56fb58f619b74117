//! A packet's headers, each an object under its protocol's name. Their members are called as in nftables, which most
//! readers have at hand: `jq '.skb.data.tcp.dport'`, `.skb.data.ipv4.saddr`. What a tunnel carries is `inner`, and
//! `flaw` says why the headers end before the last one did.

use super::object::{Array, Object};
use crate::append;
use crate::packet::{
    Ah, Arp, Chunk, Echo, Ethernet, Fragment, Gre, Icmp, Ipv4, Ipv6, Label, Network, Overlay, Packet,
    Parties, Ports, Sctp, Tcp, TcpOption, Transport, Udp, Vlan, names,
};

/// In nft's words, from the lowest bit.
pub(super) const TCP_FLAGS: [&str; 8] = ["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"];

/// Puts the headers of a packet and of those inside it in, and the captured data.
pub(super) fn push(object: &mut Object<'_>, packet: &Packet, raw: &[u8]) {
    push_headers(object, packet);
    object.quoted("raw", |out| append::hex_bytes(out, raw));
}

/// The decoder bounds how deep packets are inside each other.
fn push_headers(object: &mut Object<'_>, packet: &Packet) {
    if let Some(Ethernet { destination, source, ethertype }) = &packet.ethernet {
        object.object("ethernet", |object| {
            object.quoted("saddr", |out| source.push(out));
            object.quoted("daddr", |out| destination.push(out));
            push_type_or_length(object, *ethertype);
        });
    }
    if !packet.vlans.is_empty() {
        object.array("vlan", |array| packet.vlans.iter().for_each(|vlan| push_vlan(array, vlan)));
    }
    if !packet.labels.is_empty() {
        object.array("mpls", |array| packet.labels.iter().for_each(|label| push_label(array, label)));
    }
    push_network(object, &packet.network);
    if let Some(Ah { protocol, spi, seq }) = &packet.ah {
        object.object("ah", |object| {
            object.number("protocol", *protocol);
            object.hex("spi", u64::from(*spi), 8);
            object.number("seq", *seq);
        });
    }
    push_transport(object, packet);
    match &packet.overlay {
        Some(Overlay::Vxlan { vni }) => object.object("vxlan", |object| object.number("vni", *vni)),
        Some(Overlay::Geneve { vni, protocol, options }) => object.object("geneve", |object| {
            object.number("vni", *vni);
            object.hex("type", u64::from(*protocol), 4);
            object.number("options_length", *options);
        }),
        None => {}
    }
    if let Some(inner) = &packet.inner {
        object.object("inner", |object| push_headers(object, inner));
    }
    if let Some(flaw) = packet.flaw {
        object.quoted("flaw", |out| flaw.push_reason(out));
    }
}

/// Below 0x600 it is the length of an IEEE 802.3 frame.
fn push_type_or_length(object: &mut Object<'_>, ethertype: u16) {
    if ethertype < 0x600 {
        object.number("length", ethertype);
    } else {
        object.hex("type", u64::from(ethertype), 4);
    }
}

fn push_vlan(array: &mut Array<'_>, vlan: &Vlan) {
    array.object(|object| {
        object.number("id", vlan.id);
        object.number("pcp", vlan.priority);
        object.boolean("dei", vlan.drop_eligible);
        push_type_or_length(object, vlan.ethertype);
    });
}

fn push_label(array: &mut Array<'_>, Label { label, class, bottom, ttl }: &Label) {
    array.object(|object| {
        object.number("label", *label);
        object.number("tc", *class);
        object.boolean("bottom", *bottom);
        object.number("ttl", *ttl);
    });
}

fn push_network(object: &mut Object<'_>, network: &Network) {
    match network {
        // The link header said it.
        Network::Nothing | Network::Ieee(_) => {}
        Network::Link(link) => object.number("link", *link),
        Network::EtherType(number) => object.hex("ethertype", u64::from(*number), 4),
        Network::Arp(arp) => object.object("arp", |object| push_arp(object, arp)),
        Network::Ipv4(ip) => object.object("ipv4", |object| push_ipv4(object, ip)),
        Network::Ipv6(ip) => object.object("ipv6", |object| push_ipv6(object, ip)),
    }
}

fn push_arp(object: &mut Object<'_>, Arp { operation, parties }: &Arp) {
    object.number("operation", *operation);
    if let Some(Parties { sender_mac, sender, target_mac, target }) = parties {
        object.quoted("saddr_ether", |out| sender_mac.push(out));
        object.quoted("saddr_ip", |out| append::ipv4(out, *sender));
        object.quoted("daddr_ether", |out| target_mac.push(out));
        object.quoted("daddr_ip", |out| append::ipv4(out, *target));
    }
}

fn push_ipv4(object: &mut Object<'_>, ip: &Ipv4) {
    object.quoted("saddr", |out| append::ipv4(out, ip.source));
    object.quoted("daddr", |out| append::ipv4(out, ip.destination));
    object.number("ttl", ip.ttl);
    object.number("tos", ip.tos);
    object.number("id", ip.id);
    object.number("offset", ip.offset);
    object.boolean("df", ip.dont_fragment);
    object.boolean("mf", ip.more_fragments);
    object.number("length", ip.length);
    object.number("protocol", ip.protocol);
}

fn push_ipv6(object: &mut Object<'_>, ip: &Ipv6) {
    object.quoted("saddr", |out| append::ipv6(out, ip.source));
    object.quoted("daddr", |out| append::ipv6(out, ip.destination));
    object.number("hoplimit", ip.hop_limit);
    object.number("class", ip.class);
    object.number("flowlabel", ip.label);
    object.number("length", ip.length);
    object.number("protocol", ip.protocol);
    if let Some(Fragment { id, offset, more }) = ip.fragment {
        object.object("fragment", |object| {
            object.number("id", id);
            object.number("offset", offset);
            object.boolean("mf", more);
        });
    }
}

fn push_transport(object: &mut Object<'_>, packet: &Packet) {
    let Some(protocol) = packet.protocol() else { return };
    match &packet.transport {
        Some(Transport::Icmp(icmp)) => {
            let name = if protocol == names::ICMPV6 { "icmpv6" } else { "icmp" };
            object.object(name, |object| push_icmp(object, icmp));
        }
        Some(Transport::Gre(gre)) => object.object("gre", |object| push_gre(object, gre)),
        Some(Transport::Esp(esp)) => object.object("esp", |object| {
            object.hex("spi", u64::from(esp.spi), 8);
            object.number("seq", esp.seq);
        }),
        // The others have ports, which are known also where the rest of the header is missing.
        with_ports => {
            let (Some(ports), Some(name)) = (packet.ports, name_with_ports(protocol)) else { return };
            object.object(name, |object| push_with_ports(object, ports, with_ports.as_ref()));
        }
    }
}

fn name_with_ports(protocol: u8) -> Option<&'static str> {
    Some(match protocol {
        names::TCP => "tcp",
        names::UDP => "udp",
        names::DCCP => "dccp",
        names::SCTP => "sctp",
        names::UDPLITE => "udplite",
        _ => return None,
    })
}

fn push_with_ports(object: &mut Object<'_>, ports: Ports, transport: Option<&Transport>) {
    object.number("sport", ports.source);
    object.number("dport", ports.destination);
    match transport {
        Some(Transport::Tcp(tcp)) => push_tcp(object, tcp),
        Some(Transport::Udp(Udp { length })) => object.number("length", *length),
        Some(Transport::Sctp(Sctp { tag, chunk, .. })) => {
            object.hex("vtag", u64::from(*tag), 8);
            if let Some(Chunk { kind, flags, length }) = chunk {
                object.object("chunk", |object| {
                    object.number("type", *kind);
                    object.number("flags", *flags);
                    object.number("length", *length);
                });
            }
        }
        _ => {}
    }
}

fn push_tcp(object: &mut Object<'_>, tcp: &Tcp) {
    object.number("seq", tcp.seq);
    if tcp.flags & Tcp::ACK != 0 {
        object.number("ack", tcp.ack);
    }
    object.array("flags", |array| {
        for (bit, name) in TCP_FLAGS.iter().enumerate() {
            if tcp.flags & (1 << bit) != 0 {
                array.string(name);
            }
        }
    });
    object.number("window", tcp.window);
    let mut options = tcp.options().map_while(Result::ok).peekable();
    if options.peek().is_some() {
        object.array("options", |array| options.for_each(|option| push_option(array, option)));
    }
}

fn push_option(array: &mut Array<'_>, option: TcpOption<'_>) {
    array.object(|object| match option {
        TcpOption::MaximumSegment(bytes) => {
            object.string("kind", "maxseg");
            object.number("size", bytes);
        }
        TcpOption::WindowScale(shift) => {
            object.string("kind", "window");
            object.number("count", shift);
        }
        TcpOption::SackPermitted => object.string("kind", "sack-perm"),
        TcpOption::Sack(edges) => {
            object.string("kind", "sack");
            object.array("blocks", |blocks| {
                for [a, b, c, d, e, f, g, h] in edges.as_chunks().0 {
                    blocks.array(|block| {
                        block.number(u32::from_be_bytes([*a, *b, *c, *d]));
                        block.number(u32::from_be_bytes([*e, *f, *g, *h]));
                    });
                }
            });
        }
        TcpOption::Timestamps { value, echo } => {
            object.string("kind", "timestamp");
            object.number("tsval", value);
            object.number("tsecr", echo);
        }
        TcpOption::Other { kind, value } => {
            object.number("kind", kind);
            object.quoted("data", |out| append::hex_bytes(out, value));
        }
    });
}

fn push_icmp(object: &mut Object<'_>, Icmp { kind, code, echo }: &Icmp) {
    object.number("type", *kind);
    object.number("code", *code);
    if let Some(Echo { id, seq }) = echo {
        object.number("id", *id);
        object.number("seq", *seq);
    }
}

fn push_gre(object: &mut Object<'_>, gre: &Gre) {
    object.number("version", gre.version);
    object.hex("type", u64::from(gre.protocol), 4);
    for (name, value) in [("key", gre.key), ("seq", gre.seq), ("ack", gre.ack)] {
        if let Some(value) = value {
            object.number(name, value);
        }
    }
    object.boolean("routed", gre.routed);
}
