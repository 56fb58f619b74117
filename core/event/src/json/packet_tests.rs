//! Headers of every kind as objects.

use serde_json::{Value, json};

use super::object::Object;
use super::packet;
use crate::packet::tests::{UDP, frame, ipv4, ipv6, tcp};
use crate::packet::{Capture, ETHERNET, Packet, RAW, Tag};
use crate::sample::SYN;

fn object(capture: &Capture<'_>) -> Value {
    let mut out = String::new();
    let mut object = Object::begin(&mut out);
    packet::push(&mut object, &Packet::decode(capture), capture.bytes);
    object.close();
    let mut value: Value = serde_json::from_str(&out).unwrap();
    let raw = value.as_object_mut().unwrap().remove("raw").unwrap();
    let expected: String = capture.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(raw, expected.as_str());
    value
}

fn ethernet(bytes: &[u8]) -> Value {
    let original = u32::try_from(bytes.len()).unwrap();
    object(&Capture { bytes, link: ETHERNET, ethertype: 0, tag: None, original })
}

/// IP without a link header.
fn raw(bytes: &[u8]) -> Value {
    let original = u32::try_from(bytes.len()).unwrap();
    object(&Capture { bytes, link: RAW, ethertype: 0, tag: None, original })
}

fn of_ipv4(protocol: u8, payload: &[u8]) -> Value {
    raw(&ipv4(protocol, 0, &[], payload))
}

/// What `ipv4` makes.
fn v4(protocol: u8, length: u16) -> Value {
    json!({
        "saddr": "10.0.0.1", "daddr": "10.0.0.2", "ttl": 64, "tos": 0, "id": 7, "offset": 0, "df": false,
        "mf": false, "length": length, "protocol": protocol,
    })
}

/// What `UDP` is.
fn udp() -> Value {
    json!({ "sport": 12345, "dport": 53, "length": 12 })
}

#[test]
fn transports() {
    assert_eq!(of_ipv4(17, &UDP), json!({ "ipv4": v4(17, 32), "udp": udp() }));
    let ports = json!({ "sport": 12345, "dport": 53 });
    assert_eq!(of_ipv4(33, &UDP), json!({ "ipv4": v4(33, 32), "dccp": ports }));
    assert_eq!(of_ipv4(136, &UDP), json!({ "ipv4": v4(136, 32), "udplite": ports }));
    let ping = of_ipv4(1, &[8, 0, 0, 0, 0, 5, 0, 1]);
    assert_eq!(ping["icmp"], json!({ "type": 8, "code": 0, "id": 5, "seq": 1 }));
    let unreachable = of_ipv4(1, &[3, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(unreachable["icmp"], json!({ "type": 3, "code": 1 }));
    let init = [&[0x30, 0x39, 0, 80, 0, 0, 0, 0x2a, 1, 2, 3, 4][..], &[1, 0, 0, 20]].concat();
    let chunk = json!({ "type": 1, "flags": 0, "length": 20 });
    let expected = json!({ "sport": 12345, "dport": 80, "vtag": "0x0000002a", "chunk": chunk });
    assert_eq!(of_ipv4(132, &init)["sctp"], expected);
    assert_eq!(of_ipv4(253, &[]), json!({ "ipv4": v4(253, 20) }));
}

#[test]
fn tcp_with_and_without_an_acknowledgement() {
    let expected = json!({
        "sport": 1000, "dport": 80, "seq": 1, "ack": 2, "flags": ["syn", "ack"], "window": 500,
    });
    assert_eq!(of_ipv4(6, &tcp(0x12))["tcp"], expected);
    assert_eq!(of_ipv4(6, &tcp(0))["tcp"]["flags"], json!([]));
    assert_eq!(of_ipv4(6, &tcp(0xff))["tcp"]["flags"].as_array().unwrap().len(), 8);
    assert_eq!(of_ipv4(6, &tcp(0x02))["tcp"].get("ack"), None);
    let mut segment = tcp(0x10).to_vec();
    segment[12] = 0x90;
    segment.extend([5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 254, 4, 0xab, 0xcd, 0, 0]);
    let options = json!([{ "kind": "sack", "blocks": [[1, 2]] }, { "kind": 254, "data": "abcd" }]);
    assert_eq!(of_ipv4(6, &segment)["tcp"]["options"], options);
}

#[test]
fn ipv6_and_its_fragments() {
    let fragment = ipv6(44, &[&[58, 0, 0, 1, 0, 0, 0, 9, 128, 0, 0, 0, 0, 5, 0, 1][..]].concat());
    let expected = json!({
        "ipv6": {
            "saddr": "fd00::1", "daddr": "fd00::2", "hoplimit": 63, "class": 0xb8, "flowlabel": 0x12345,
            "length": 16, "protocol": 58, "fragment": { "id": 9, "offset": 0, "mf": true },
        },
        "icmpv6": { "type": 128, "code": 0, "id": 5, "seq": 1 },
    });
    assert_eq!(raw(&fragment), expected);
}

#[test]
fn what_is_below_ip() {
    let macs = json!({ "saddr": "02:00:00:00:00:01", "daddr": "02:00:00:00:00:02" });
    let header = |name: &str, value: Value| {
        let mut header = macs.clone();
        header[name] = value;
        header
    };
    let tagged = [&[0x70, 100, 0x08, 0][..], &ipv4(17, 0, &[], &UDP)].concat();
    let vlan = json!([{ "id": 100, "pcp": 3, "dei": true, "type": "0x0800" }]);
    let expected = json!({
        "ethernet": header("type", "0x8100".into()), "vlan": vlan, "ipv4": v4(17, 32), "udp": udp(),
    });
    assert_eq!(ethernet(&frame(0x8100, &tagged)), expected);
    // The same, as a device that takes tags off leaves it.
    let bytes = frame(0x0800, &ipv4(17, 0, &[], &UDP));
    let tag = Some(Tag { ethertype: 0x8100, control: 0x7064 });
    let original = u32::try_from(bytes.len()).unwrap();
    let apart = object(&Capture { bytes: &bytes, link: ETHERNET, ethertype: 0, tag, original });
    assert_eq!(apart, expected);

    let labels = [&[0, 6, 0x41, 64][..], &ipv4(17, 0, &[], &UDP)].concat();
    let mpls = json!([{ "label": 100, "tc": 0, "bottom": true, "ttl": 64 }]);
    assert_eq!(ethernet(&frame(0x8847, &labels))["mpls"], mpls);
    let lldp = json!({ "ethernet": header("type", "0x88cc".into()), "ethertype": "0x88cc" });
    assert_eq!(ethernet(&frame(0x88cc, &[0; 8])), lldp);
    assert_eq!(ethernet(&frame(38, &[0; 38])), json!({ "ethernet": header("length", 38.into()) }));
    let arp = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2];
    let expected = json!({
        "operation": 1, "saddr_ether": "02:00:00:00:00:01", "saddr_ip": "10.0.0.1",
        "daddr_ether": "00:00:00:00:00:00", "daddr_ip": "10.0.0.2",
    });
    assert_eq!(ethernet(&frame(0x0806, &arp))["arp"], expected);
    let capture = Capture { bytes: &[1], link: 127, ethertype: 0, tag: None, original: 1 };
    assert_eq!(object(&capture), json!({ "link": 127 }));
}

#[test]
fn tunnels_carry_packets() {
    let packet = ipv4(17, 0, &[], &UDP);
    let inner = json!({ "ipv4": v4(17, 32), "udp": udp() });
    assert_eq!(of_ipv4(4, &packet), json!({ "ipv4": v4(4, 52), "inner": inner }));
    let gre = of_ipv4(47, &[&[0x20, 0, 8, 0, 0, 0, 0, 5][..], &packet].concat());
    let header = json!({ "version": 0, "type": "0x0800", "key": 5, "routed": false });
    assert_eq!(gre, json!({ "ipv4": v4(47, 60), "gre": header, "inner": inner }));
    let to = |port: u16, payload: &[u8]| {
        let length = u16::try_from(8 + payload.len()).unwrap().to_be_bytes();
        of_ipv4(17, &[&[0x30, 0x39][..], &port.to_be_bytes(), &length, &[0, 0], payload].concat())
    };
    let vxlan = to(4789, &[&[8, 0, 0, 0, 0, 1, 0, 0][..], &frame(0x0800, &packet)].concat());
    assert_eq!(vxlan["vxlan"], json!({ "vni": 256 }));
    assert_eq!(vxlan["inner"]["udp"], udp());
    assert_eq!(vxlan["inner"]["ethernet"]["type"], "0x0800");
    let geneve = to(6081, &[&[1, 0, 8, 0, 0, 1, 0, 0, 1, 2, 3, 0][..], &packet].concat());
    assert_eq!(geneve["geneve"], json!({ "vni": 256, "type": "0x0800", "options_length": 4 }));
    assert_eq!(geneve["inner"], inner);
}

#[test]
fn ipsec() {
    let association = json!({ "spi": "0x00000102", "seq": 9 });
    assert_eq!(of_ipv4(50, &[0, 0, 1, 2, 0, 0, 0, 9, 0xff])["esp"], association);
    let ah = [&[6, 4, 0, 0, 0, 0, 1, 2, 0, 0, 0, 9][..], &[0; 12], &tcp(2)].concat();
    let shown = of_ipv4(51, &ah);
    assert_eq!(shown["ah"], json!({ "protocol": 6, "spi": "0x00000102", "seq": 9 }));
    assert_eq!(shown["tcp"]["dport"], 80, "behind it");
}

#[test]
fn what_is_cut_off_is_left_out() {
    let cut = |len: usize| {
        object(&Capture { bytes: &SYN[..len], link: ETHERNET, ethertype: 0, tag: None, original: 74 })
    };
    assert_eq!(cut(0), json!({ "flaw": "truncated" }));
    assert_eq!(cut(14)["ethertype"], "0x0800");
    assert_eq!(cut(38)["tcp"], json!({ "sport": 52294, "dport": 8080 }));
    assert_eq!(cut(38)["flaw"], "truncated");
    assert_eq!(cut(73)["tcp"]["options"].as_array().unwrap().len(), 3);
    assert_eq!(cut(74).get("flaw"), None);
    assert_eq!(raw(&SYN[14..34])["flaw"], "short");
    assert_eq!(raw(&[0x10])["flaw"], "malformed IP version");
    let mut deep = ipv4(17, 0, &[], &UDP);
    for _ in 0..50 {
        deep = ipv4(4, 0, &[], &deep);
    }
    let (mut level, mut levels) = (&raw(&deep), 0);
    while let Some(inner) = level.get("inner") {
        (level, levels) = (inner, levels + 1);
    }
    assert_eq!((levels, &level["flaw"]), (6, &json!("nested deeper")));
}
