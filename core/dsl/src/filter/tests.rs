//! What texts come to as trees, and what is wrong with them.

use super::tree::{Direction, LiteralKind, Node, NodeKind, Order, Primitive, Protocol};
use super::{Class, Filter, Operand};
use crate::diagnostic::Diagnostics;

fn read(text: &str) -> Filter {
    text.parse().unwrap_or_else(|found: Diagnostics| panic!("`{text}`: {found}"))
}

fn wrong(text: &str) -> Diagnostics {
    match text.parse::<Filter>() {
        Ok(filter) => panic!("`{text}` is read: {filter:?}"),
        Err(found) => found,
    }
}

fn primitive(text: &str) -> Primitive {
    match read(text).root.kind {
        NodeKind::Packet(primitive) => primitive,
        other => panic!("`{text}`: {other:?}"),
    }
}

/// The tree, with what is joined in parentheses.
fn shape(text: &str) -> String {
    fn write(node: &Node, text: &str) -> String {
        let all = |parts: &[Node], word: &str| {
            let parts: Vec<String> = parts.iter().map(|part| write(part, text)).collect();
            format!("({})", parts.join(word))
        };
        match &node.kind {
            NodeKind::Not(inside) => format!("!{}", write(inside, text)),
            NodeKind::And(parts) => all(parts, " & "),
            NodeKind::Or(parts) => all(parts, " | "),
            _ => text[node.span.clone()].to_owned(),
        }
    }
    write(&read(text).root, text)
}

#[test]
fn and_and_or_bind_equally_from_the_left() {
    assert_eq!(shape("arp or tcp and ip"), "((arp | tcp) & ip)");
    assert_eq!(shape("arp and tcp or ip && udp"), "(((arp & tcp) | ip) & udp)");
    assert_eq!(shape("arp or (tcp and ip) || udp"), "(arp | (tcp & ip) | udp)");
    assert_eq!(shape("not arp and tcp"), "(!arp & tcp)");
    assert_eq!(shape("not not !(arp or nft.rule == 5)"), "!(arp | nft.rule == 5)");
    assert_eq!(shape("port not (80 or 443) and ip"), "(!(80 | 443) & ip)");
}

#[test]
fn mixing_warns_and_shows_the_reading() {
    let filter = read("arp or tcp port 80 and nft.rule == 5");
    let warning = filter.warnings.iter().next().unwrap();
    let hint = "this was read as `(arp or tcp port 80) and nft.rule == 5`; parentheses say what is meant";
    assert_eq!(warning.hints, [hint]);
    assert!(!filter.warnings.has_errors());
    for text in ["arp or tcp or ip", "arp or (tcp and ip)", "not (arp or tcp) and ip"] {
        assert!(read(text).warnings.is_empty(), "{text}");
    }
}

#[test]
fn values_take_the_qualifiers_before_them() {
    let port = |number| Primitive::Port {
        protocol: Some(6),
        direction: Direction::Destination,
        from: number,
        to: number,
    };
    for text in [
        "tcp dst port 80 or 443",
        "tcp dst port (80 or 443)",
        "tcp dst port http or https",
        "(tcp dst port 80) or 443",
    ] {
        match &read(text).root.kind {
            NodeKind::Or(parts) => {
                let second = NodeKind::Packet(port(443));
                assert!(parts[0].is_packet() && parts[1].kind == second || text.contains("https"), "{text}");
            }
            NodeKind::Packet(_)
            | NodeKind::Not(_)
            | NodeKind::And(_)
            | NodeKind::Field(_)
            | NodeKind::Has(_) => {
                panic!("{text}")
            }
        }
    }
    for text in ["80", "tcp or 80", "port 80 or tcp or 443", "port 80 or nft.rule == 5 or 443"] {
        assert!(wrong(text).iter().any(|found| found.message.ends_with("says nothing alone")), "{text}");
    }
}

#[test]
fn addresses_and_networks() {
    let net = |text| match primitive(text) {
        Primitive::Ipv4 { address, mask, .. } => (address, mask),
        other => panic!("{other:?}"),
    };
    assert_eq!(net("host 10.1.2.3"), (0x0a01_0203, u32::MAX));
    assert_eq!(net("net 10"), (0x0a00_0000, 0xff00_0000));
    assert_eq!(net("net 10.1"), (0x0a01_0000, 0xffff_0000));
    assert_eq!(net("src net 10.0.0.0/9"), (0x0a00_0000, 0xff80_0000));
    assert_eq!(net("net 10.0.0.0 mask 255.0.0.0"), (0x0a00_0000, 0xff00_0000));
    assert_eq!(net("net 0.0.0.0/0"), (0, 0));
    let fe80 = Primitive::Ipv6 { direction: Direction::Either, address: 0xfe80 << 112, mask: 0xffc0 << 112 };
    assert_eq!(primitive("ip6 net fe80::/10"), fe80);
    let address = [2, 0x42, 0xac, 0x10, 0x2a, 1];
    assert_eq!(
        primitive("ether src 2:42:ac:10:2a:1"),
        Primitive::Mac { direction: Direction::Source, address }
    );
}

#[test]
fn fields_and_kernel_paths() {
    let NodeKind::Field(field) = read("ct.mark & 0xff != 0x10").root.kind else { panic!() };
    assert_eq!(
        (field.path.field(), field.mask, field.order),
        (Some(("ct", "mark")), Some(255), Order::Unequal)
    );
    let NodeKind::Field(field) = read("a.b in {1, -7, eth0, \"x y\", 10.0.0.1, ::1, 0:1:2:3:4:5}").root.kind
    else {
        panic!()
    };
    let [number, negative, name, text, v4, v6, mac] = &field.values[..] else { panic!("{field:?}") };
    assert_eq!((&number.kind, &negative.kind), (&LiteralKind::Number(1), &LiteralKind::Number(-7)));
    assert_eq!(name.kind, LiteralKind::Name("eth0".into()));
    assert_eq!(text.kind, LiteralKind::Name("x y".into()));
    assert_eq!(v4.kind, LiteralKind::Ipv4([10, 0, 0, 1].into()));
    assert_eq!(v6.kind, LiteralKind::Ipv6(1.into()));
    assert_eq!(mac.kind, LiteralKind::Mac([0, 1, 2, 3, 4, 5]));
    let NodeKind::Field(field) = read("sk_buff._nfct:~0x7:nf_conn.mark[2] == 1").root.kind else { panic!() };
    assert_eq!(field.path.field(), None);
    assert_eq!(field.path.steps[1].cast, Some((!7, Some("nf_conn".into()))));
    assert_eq!(field.path.steps[2].index, Some(2));
}

#[test]
fn bytes_addresses_and_empty_texts() {
    let of = |value: &str| match read(&format!("x.y == {value}")).root.kind {
        NodeKind::Field(mut field) => field.values.remove(0).kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(of("de:ad"), LiteralKind::Bytes(vec![0xde, 0xad]));
    assert_eq!(of("00:01:02:03:04:05"), LiteralKind::Mac([0, 1, 2, 3, 4, 5]));
    assert_eq!(of("00:01:02:03:04:05:06"), LiteralKind::Bytes((0..7).collect()));
    assert_eq!(
        of("de:ad:00:11:22:33:44:ff"),
        LiteralKind::Bytes(vec![0xde, 0xad, 0, 0x11, 0x22, 0x33, 0x44, 0xff])
    );
    assert_eq!(of("de:ad::1"), LiteralKind::Ipv6("de:ad::1".parse().unwrap()));
    assert_eq!(of("fe80:ad:1:2:3:4:5:6"), LiteralKind::Ipv6("fe80:ad:1:2:3:4:5:6".parse().unwrap()));
    assert_eq!(of("\"\""), LiteralKind::Name(String::new()));
    assert_eq!(of("dead"), LiteralKind::Name("dead".into()));
    for text in ["x.y == de:a", "x.y == de:ad:", "x.y == d:ad:be", "x.y == de:ad:xx", "x.y < de:ad:be."] {
        wrong(text);
    }
    // The same pairs are an IPv6 address where one is expected.
    let pairs = read("x.y == 10:20:30:40:50:60:70:80");
    let NodeKind::Field(field) = &pairs.root.kind else { panic!() };
    let address: std::net::Ipv6Addr = "10:20:30:40:50:60:70:80".parse().unwrap();
    let bytes = Operand::Bytes(address.octets().to_vec());
    assert_eq!(Class::Ipv6.operands(&pairs, field).unwrap(), [bytes]);
}

#[test]
fn steps_know_their_place() {
    let text = "sk_buff.cb[3]._nfct:~0x7:nf_conn.mark == 1";
    let NodeKind::Field(field) = read(text).root.kind else { panic!() };
    let places: Vec<&str> = field.path.steps.iter().map(|step| &text[step.span.clone()]).collect();
    assert_eq!(places, ["sk_buff", "cb[3]", "_nfct:~0x7:nf_conn", "mark"]);
}

#[test]
fn what_bytes_and_numbers_in_network_order_take() {
    for (class, text, wanted) in [
        (Class::Be32, "x.y == 10.0.0.1", Ok(Operand::Bytes(vec![10, 0, 0, 1]))),
        (Class::Be32, "x.y > 5", Ok(Operand::Number(5))),
        (Class::Be32, "x.y & 0xff000000 == 10.0.0.0", Ok(Operand::Bytes(vec![10, 0, 0, 0]))),
        (Class::Be32, "x.y > 10.0.0.1", Err("does not fit")),
        (Class::Be32, "x.y == 4294967296", Err("no value of this field")),
        (Class::Be32, "x.y == ::1", Err("does not fit")),
        (Class::Number(0, 9), "x.y == 10.0.0.1", Err("byte order is not known")),
        (Class::Bytes(Some(4)), "x.y == 10.0.0.1", Ok(Operand::Bytes(vec![10, 0, 0, 1]))),
        (Class::Bytes(Some(4)), "x.y == de:ad", Err("4 bytes, not 2")),
        (Class::Bytes(Some(16)), "x.y == 10.0.0.1", Err("16 bytes, not 4")),
        (Class::Bytes(None), "x.y != de:ad", Ok(Operand::Bytes(vec![0xde, 0xad]))),
        (Class::Bytes(None), "x.y > de:ad", Err("does not fit")),
        (Class::Bytes(None), "x.y == word", Err("does not fit")),
        (Class::Bytes(None), "x.y & 1 == de:ad", Err("takes no mask")),
        (Class::Bytes(Some(32)), "x.y == 0:1:2:3:4:5", Ok(Operand::Bytes(vec![0, 1, 2, 3, 4, 5]))),
        (Class::Bytes(Some(8)), "x.y == 0:1:2:3:4:5", Err("8 bytes, not 6")),
    ] {
        let filter = read(text);
        let NodeKind::Field(field) = &filter.root.kind else { panic!() };
        match (class.operands(&filter, field), wanted) {
            (Ok(found), Ok(wanted)) => assert_eq!(found, [wanted], "{text}"),
            (Err(found), Err(wanted)) => assert!(found.message.contains(wanted), "{text}: {}", found.message),
            (found, _) => panic!("{text} for {class:?}: {found:?}"),
        }
    }
}

#[test]
fn protocols_have_numbers_and_names() {
    let proto = |network, number| Primitive::Transport { network, number };
    assert_eq!(primitive("proto 6"), proto(None, 6));
    assert_eq!(primitive("ip proto \\udp"), proto(Some(Protocol::Ip), 17));
    assert_eq!(primitive("ip6 proto icmp6"), proto(Some(Protocol::Ip6), 58));
    assert_eq!(primitive("ether proto \\arp"), Primitive::EtherType(0x0806));
    assert_eq!(primitive("ether proto \\stp"), Primitive::EtherType(0x42));
    assert_eq!(primitive("stp"), Primitive::EtherType(0x42));
    assert_eq!(primitive("pppoed"), Primitive::EtherType(0x8863));
    assert_eq!(primitive("carp"), proto(Some(Protocol::Ip), 112));
    assert_eq!(
        primitive("ip6 protochain \\tcp"),
        Primitive::Chain { network: Some(Protocol::Ip6), number: 6 }
    );
    assert_eq!(primitive("pppoes (5)"), Primitive::Session(Some(5)));
    assert_eq!(primitive("less 010"), Primitive::AtMost(8));
}

#[test]
fn each_mistake_says_what_where_and_what_to_do() {
    for (text, message, fragment, help) in [
        ("host example.org", "`example.org` is not an address", "example.org", "getent hosts example.org"),
        ("net loopback", "`loopback` is not an address", "loopback", "write the address"),
        ("port htpp", "unknown service `htpp`", "htpp", "did you mean `http`?"),
        ("udp port ssh", "`ssh` is a service of tcp", "ssh", "port 22"),
        ("port 65536", "`65536` is not a number from 0 to 65535", "65536", ""),
        ("portrange 80", "", "", ""),
        ("ip port 80", "this protocol has no ports", "80", "ip and port 80"),
        ("tcp host 10.0.0.1", "an IPv4 address does not go with `tcp`", "10.0.0.1", "tcp and host"),
        ("net 10.0.0.1/8", "the address has bits outside the network", "10.0.0.1/8", "host"),
        ("host 10.0.0.0/8", "a network where an address is expected", "10.0.0.0/8", "net 10.0.0.0/8"),
        ("host 10.0.0.256", "`10.0.0.256` is not an IPv4 address", "10.0.0.256", ""),
        ("host 1::2::3", "`1::2::3` is not an IPv6 address", "1::2::3", ""),
        ("host 02:42:ac:10:2a:01", "an Ethernet address without `ether`", "02:42:ac:10:2a:01", "ether host"),
        ("ether proto 1500", "`1500` is not an EtherType", "1500", ""),
        ("proto 256", "`256` is not a protocol from 0 to 255", "256", ""),
        ("proto tpc", "unknown protocol `tpc`", "tpc", "did you mean `tcp`?"),
        ("src proto 6", "`proto` has no direction", "6", ""),
        ("ether", "`ether` says nothing alone", "ether", "ether host"),
        ("ip broadcast", "`ip broadcast` is not known here", "ip broadcast", "dst host"),
        ("src protochain 6", "`protochain` has no direction", "6", ""),
        ("tcp protochain 6", "this protocol carries no other by number", "6", "`ip protochain`"),
        ("ether protochain 6", "this protocol carries no other by number", "6", "`ip6 protochain`"),
        (
            "gateway 10.0.0.1",
            "`gateway 10.0.0.1` is not part of this filter language",
            "gateway 10.0.0.1",
            "ether host MAC",
        ),
        ("inbound and tcp", "`inbound` is not part of this filter language", "inbound", "event.probe"),
        (
            "ifname eth0",
            "`ifname eth0` is not part of this filter language",
            "ifname eth0",
            "dev.name == eth0",
        ),
        ("geneve 5", "`geneve 5` is not part of this filter language", "geneve 5", "udp dst port 6081"),
        (
            "wlan host 02:42:ac:10:2a:01",
            "`wlan host 02:42:ac:10:2a:01` is not part of this filter language",
            "wlan host 02:42:ac:10:2a:01",
            "ether host",
        ),
        ("ether proto 0xe0", "IPX in frames of LLC cannot be asked", "0xe0", "0x8137"),
        ("pppoes 65536", "`65536` is not a number from 0 to 65535", "65536", ""),
        ("vlan 4096", "`4096` is not a number from 0 to 4095", "4096", ""),
        ("less 08", "`08` is not an octal number up to 4294967295", "08", ""),
        ("ip[0:3] = 1", "a number of this size cannot be read", "3", ""),
        ("ip[0] / 0 = 1", "division by zero", "ip[0] / 0", ""),
        ("ip[0] << 32 = 1", "a shift by more than 31 bits", "ip[0] << 32", ""),
        ("tcp[0] = tcp-sin", "unknown constant `tcp-sin`", "tcp-sin", "did you mean `tcp-fin`?"),
        ("example", "`example` says nothing alone", "example", "for example"),
        ("tcp port", "the filter is not complete", "", "for example"),
        ("(tcp", "the filter is not complete", "", "for example"),
    ] {
        if message.is_empty() {
            read(text);
            continue;
        }
        let found = wrong(text);
        let found = found.iter().next().unwrap();
        assert_eq!(found.message, message, "{text}");
        assert_eq!(found.source.as_ref().unwrap().fragment(), fragment, "{text}");
        assert!(found.hints.join(" ").contains(help), "{text}: {found:?}");
    }
}

#[test]
fn several_mistakes_are_found() {
    assert_eq!(wrong("host a.example and port nix or skb-drop.reason == 5").len(), 3);
}

#[test]
fn what_nobody_means_is_refused_before_it_costs() {
    for text in ["(".repeat(100), "tcp or ".repeat(600) + "udp", "ip[".repeat(50), "x".repeat(20_000)] {
        assert!(text.parse::<Filter>().is_err());
    }
    assert!(("not ".repeat(3000) + "udp").parse::<Filter>().is_ok());
    assert!(("1+".repeat(40) + "1 = ip[0]").parse::<Filter>().is_err());
    assert!(("(".repeat(32) + "1" + &")".repeat(32) + "= len").parse::<Filter>().is_ok());
}
