//! What a field of packet data looks like. It follows `json/packet.rs` header by header.

use serde_json::{Value, json};

use super::types::{Object, array, bits, boolean, bytes, hex_digits, mac, reference, unsigned};
use crate::json::packet::TCP_FLAGS;

/// The field: the headers, and the data.
pub(super) fn packet() -> Value {
    let mut packet = headers().with("raw", bytes(None)).value();
    packet["description"] =
        "The headers of a packet, as far as they were decoded, and its captured bytes.".into();
    packet
}

/// The headers of a packet or of one inside it. Any of them may be missing: data ends where it was cut.
pub(super) fn headers() -> Object {
    let flaws = "^(truncated|short|malformed .*|nested deeper)$";
    Object::new()
        .maybe("ethernet", type_or_length(Object::new().with("saddr", mac()).with("daddr", mac())))
        .maybe("vlan", array(vlan()))
        .maybe("mpls", array(label()))
        .maybe("link", unsigned(4))
        .maybe("ethertype", hex_digits(4))
        .maybe("arp", arp())
        .maybe("ipv4", ipv4())
        .maybe("ipv6", ipv6())
        .maybe("ah", association().with("protocol", unsigned(1)).value())
        .maybe("esp", association().value())
        .maybe("tcp", tcp())
        .maybe("udp", ports().maybe("length", unsigned(2)).value())
        .maybe("udplite", ports().value())
        .maybe("dccp", ports().value())
        .maybe("sctp", sctp())
        .maybe("icmp", icmp())
        .maybe("icmpv6", icmp())
        .maybe("gre", gre())
        .maybe("vxlan", Object::new().with("vni", bits(24)).value())
        .maybe("geneve", geneve())
        .maybe("inner", reference("headers"))
        .maybe("flaw", json!({ "type": "string", "pattern": flaws }))
}

/// What follows a link header: an EtherType, or the length of an IEEE 802.3 frame.
fn type_or_length(object: Object) -> Value {
    object.maybe("type", hex_digits(4)).maybe("length", unsigned(2)).value()
}

fn vlan() -> Value {
    type_or_length(Object::new().with("id", bits(12)).with("pcp", bits(3)).with("dei", boolean()))
}

fn label() -> Value {
    Object::new()
        .with("label", bits(20))
        .with("tc", bits(3))
        .with("bottom", boolean())
        .with("ttl", unsigned(1))
        .value()
}

fn arp() -> Value {
    Object::new()
        .with("operation", unsigned(2))
        .maybe("saddr_ether", mac())
        .maybe("saddr_ip", address("ipv4"))
        .maybe("daddr_ether", mac())
        .maybe("daddr_ip", address("ipv4"))
        .value()
}

fn ipv4() -> Value {
    Object::new()
        .with("saddr", address("ipv4"))
        .with("daddr", address("ipv4"))
        .with("ttl", unsigned(1))
        .with("tos", unsigned(1))
        .with("id", unsigned(2))
        .with("offset", unsigned(2))
        .with("df", boolean())
        .with("mf", boolean())
        .with("length", unsigned(2))
        .with("protocol", unsigned(1))
        .value()
}

fn ipv6() -> Value {
    let fragment = Object::new().with("id", unsigned(4)).with("offset", unsigned(2)).with("mf", boolean());
    Object::new()
        .with("saddr", address("ipv6"))
        .with("daddr", address("ipv6"))
        .with("hoplimit", unsigned(1))
        .with("class", unsigned(1))
        .with("flowlabel", bits(20))
        .with("length", unsigned(2))
        .with("protocol", unsigned(1))
        .maybe("fragment", fragment.value())
        .value()
}

fn association() -> Object {
    Object::new().with("spi", hex_digits(8)).with("seq", unsigned(4))
}

/// Known also where the rest of the header is missing.
fn ports() -> Object {
    Object::new().with("sport", unsigned(2)).with("dport", unsigned(2))
}

fn tcp() -> Value {
    let option = Object::new()
        .with("kind", json!({ "anyOf": [{ "enum": ["maxseg", "window", "sack-perm", "sack", "timestamp"] }, unsigned(1)] }))
        .maybe("size", unsigned(2))
        .maybe("count", unsigned(1))
        .maybe("blocks", array(array(unsigned(4))))
        .maybe("tsval", unsigned(4))
        .maybe("tsecr", unsigned(4))
        .maybe("data", bytes(None));
    ports()
        .maybe("seq", unsigned(4))
        .maybe("ack", unsigned(4))
        .maybe("flags", array(json!({ "enum": TCP_FLAGS })))
        .maybe("window", unsigned(2))
        .maybe("options", array(option.value()))
        .value()
}

fn sctp() -> Value {
    let chunk =
        Object::new().with("type", unsigned(1)).with("flags", unsigned(1)).with("length", unsigned(2));
    ports().maybe("vtag", hex_digits(8)).maybe("chunk", chunk.value()).value()
}

fn icmp() -> Value {
    Object::new()
        .with("type", unsigned(1))
        .with("code", unsigned(1))
        .maybe("id", unsigned(2))
        .maybe("seq", unsigned(2))
        .value()
}

fn gre() -> Value {
    Object::new()
        .with("version", unsigned(1))
        .with("type", hex_digits(4))
        .maybe("key", unsigned(4))
        .maybe("seq", unsigned(4))
        .maybe("ack", unsigned(4))
        .with("routed", boolean())
        .value()
}

fn geneve() -> Value {
    Object::new()
        .with("vni", bits(24))
        .with("type", hex_digits(4))
        .with("options_length", unsigned(1))
        .value()
}

fn address(format: &str) -> Value {
    json!({ "type": "string", "format": format })
}
