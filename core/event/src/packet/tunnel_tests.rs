//! Packets in packets, and the text with link headers.

use super::tests::{UDP, V4, V6, ethernet, frame, ipv4, ipv6, raw, tcp};
use super::*;

const MACS: &str = "02:00:00:00:00:01 > 02:00:00:00:00:02";
const OUTER: &str = "10.0.0.1 > 10.0.0.2 ttl 64 tos 0x0 id 7 off 0";

/// A UDP datagram to that port.
fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    [&[0x30, 0x39][..], &port.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload].concat()
}

fn inner() -> (Vec<u8>, String) {
    (ipv4(17, 0, &[], &UDP), format!("10.0.0.1.12345 > 10.0.0.2.53 {V4} len 32 proto UDP (17) len 12"))
}

fn with_link_header(bytes: &[u8], tag: Option<Tag>) -> String {
    let original = u32::try_from(bytes.len()).unwrap();
    Packet::decode(&Capture { bytes, link: ETHERNET, ethertype: 0, tag, original }).show(true).to_string()
}

#[test]
fn ip_in_ip() {
    let (packet, text) = inner();
    assert_eq!(raw(0, &ipv4(4, 0, &[], &packet)), format!("{OUTER} len 52 proto IPIP (4) | {text}"));
    let v6 = ipv6(6, &tcp(2));
    let expected = format!(
        "{OUTER} len 80 proto IPv6 (41) | fd00::1.1000 > fd00::2.80 {V6} len 20 proto TCP (6) flags [S] seq 1 win 500"
    );
    assert_eq!(raw(0, &ipv4(41, 0, &[], &v6)), expected);
    let v4_in_v6 = raw(0, &ipv6(4, &packet));
    assert_eq!(v4_in_v6, format!("fd00::1 > fd00::2 {V6} len 32 proto IPIP (4) | {text}"));
}

#[test]
fn gre() {
    let (packet, text) = inner();
    let gre = |header: &[u8]| raw(0, &ipv4(47, 0, &[], &[header, &packet].concat()));
    assert_eq!(gre(&[0, 0, 8, 0]), format!("{OUTER} len 56 proto GRE (47) | {text}"));
    let all = gre(&[0xb0, 0, 8, 0, 1, 2, 0, 0, 0, 0, 0, 5, 0, 0, 0, 9]);
    assert_eq!(all, format!("{OUTER} len 68 proto GRE (47) key 5 seq 9 | {text}"));
    let unknown = gre(&[0, 0, 0x88, 0xbe]);
    assert_eq!(unknown, format!("{OUTER} len 56 proto GRE (47) | ethertype ERSPAN (0x88be)"));
    let pptp = gre(&[0x30, 0x81, 0x88, 0x0b, 0, 0, 0, 5, 0, 0, 0, 9, 0, 0, 0, 8]);
    assert_eq!(
        pptp,
        format!("{OUTER} len 68 proto GRE (47) version 1 key 5 seq 9 ack 8 | ethertype PPP (0x880b)")
    );
    let routed = gre(&[0x40, 0, 8, 0, 0, 0, 0, 0]);
    assert_eq!(routed, format!("{OUTER} len 60 proto GRE (47) | ethertype IPv4 (0x0800)"));
    assert!(gre(&[0, 2, 8, 0]).ends_with("proto GRE (47) [malformed GRE version]"));
    let bridged = [&[0, 0, 0x65, 0x58][..], &frame(0x0800, &packet)].concat();
    assert_eq!(raw(0, &ipv4(47, 0, &[], &bridged)), format!("{OUTER} len 70 proto GRE (47) | {text}"));
}

#[test]
fn vxlan_and_geneve() {
    let (packet, text) = inner();
    let vxlan = [&[8, 0, 0, 0, 0, 1, 0, 0][..], &frame(0x0800, &packet)].concat();
    let outer = |port: u16, len: u16| {
        format!("10.0.0.1.12345 > 10.0.0.2.{port} {V4} len {} proto UDP (17) len {}", len + 28, len + 8)
    };
    for port in [4789, 8472] {
        let shown = raw(0, &ipv4(17, 0, &[], &udp(port, &vxlan)));
        assert_eq!(shown, format!("{} vxlan vni 256 | {text}", outer(port, 54)));
    }
    // Without its flag it is something else on that port.
    let other = raw(0, &ipv4(17, 0, &[], &udp(8472, &[0; 8])));
    assert_eq!(other, outer(8472, 8));
    let geneve = [&[1, 0, 8, 0, 0, 1, 0, 0, 1, 2, 3, 0][..], &packet].concat();
    let shown = raw(0, &ipv4(17, 0, &[], &udp(6081, &geneve)));
    assert_eq!(shown, format!("{} geneve vni 256 | {text}", outer(6081, 44)));
    let shown = raw(0, &ipv4(17, 0, &[], &udp(6081, &[0x40; 8])));
    assert_eq!(shown, outer(6081, 8));
    let cut = raw(0, &ipv4(17, 0, &[], &udp(4789, &[8, 0, 0, 0])));
    assert_eq!(cut, format!("{} [short]", outer(4789, 4)));
}

#[test]
fn ipsec() {
    let esp = raw(0, &ipv4(50, 0, &[], &[0, 0, 1, 2, 0, 0, 0, 9, 0xff, 0xff]));
    assert_eq!(esp, format!("{OUTER} len 30 proto ESP (50) spi 0x00000102 seq 9"));
    let ah = [&[6, 4, 0, 0, 0, 0, 1, 2, 0, 0, 0, 9][..], &[0; 12], &tcp(2)].concat();
    let expected = "proto AH (51) spi 0x00000102 seq 9 proto TCP (6) flags [S] seq 1 win 500";
    assert_eq!(raw(0, &ipv4(51, 0, &[], &ah)), format!("10.0.0.1.1000 > 10.0.0.2.80 {V4} len 64 {expected}"));
    assert_eq!(raw(0, &ipv6(51, &ah)), format!("fd00::1.1000 > fd00::2.80 {V6} len 44 {expected}"));
    // Extension headers may stand behind it.
    let mut options = [&ah[..24], &[6, 0, 1, 4, 0, 0, 0, 0], &ah[24..]].concat();
    options[0] = 60;
    let shown = raw(0, &ipv6(51, &options));
    assert!(shown.ends_with("seq 9 proto TCP (6) flags [S] seq 1 win 500"), "{shown}");
}

#[test]
fn sctp() {
    let init = [&[0x30, 0x39, 0, 80, 0, 0, 0, 0x2a, 1, 2, 3, 4][..], &[1, 0, 0, 20], &[0; 16]].concat();
    let ports = format!("10.0.0.1.12345 > 10.0.0.2.80 {V4}");
    let sctp = |bytes: &[u8]| raw(0, &ipv4(132, 0, &[], bytes));
    assert_eq!(sctp(&init), format!("{ports} len 52 proto SCTP (132) tag 0x0000002a chunk INIT (1)"));
    assert_eq!(sctp(&init[..12]), format!("{ports} len 32 proto SCTP (132) tag 0x0000002a [short]"));
    let mut unknown = init;
    unknown[12] = 99;
    assert!(sctp(&unknown).ends_with("tag 0x0000002a chunk 99"));
}

#[test]
fn mpls() {
    let (packet, text) = inner();
    let stack = [&[0, 6, 0x40, 64, 0, 0xc, 0x87, 63][..], &packet].concat();
    assert_eq!(ethernet(&frame(0x8847, &stack)), format!("mpls 100 tc 0 ttl 64 mpls 200 tc 3 ttl 63 {text}"));
    // A pseudowire's control word: what follows is not said.
    assert_eq!(ethernet(&frame(0x8847, &[0, 6, 0x41, 64, 0, 0, 0, 0])), "mpls 100 tc 0 ttl 64");
    let endless = ethernet(&frame(0x8847, &[0, 6, 0x40, 64].repeat(100)));
    assert!(endless.ends_with("mpls 100 tc 0 ttl 64 [nested deeper]"), "{endless}");
}

#[test]
fn depth_has_an_end() {
    let mut packet = inner().0;
    for _ in 0..50 {
        packet = ipv4(4, 0, &[], &packet);
    }
    let shown = raw(0, &packet);
    assert_eq!(shown.matches(" | ").count(), 6, "{shown}");
    assert!(shown.ends_with("proto IPIP (4) [nested deeper]"), "{shown}");
}

#[test]
fn a_cut_inside_is_told_at_the_end() {
    let packet = ipv4(4, 0, &[], &ipv4(6, 0, &[], &tcp(2)));
    let decode = |len: usize| {
        Packet::decode(&Capture { bytes: &packet[..len], link: RAW, ethertype: 0, tag: None, original: 60 })
    };
    assert!(
        decode(44).to_string().ends_with(
            "10.0.0.1.1000 > 10.0.0.2.80 ttl 64 tos 0x0 id 7 off 0 len 40 proto TCP (6) [truncated]"
        )
    );
    assert_eq!(decode(44).end(), Some(Flaw::Truncated));
    assert_eq!(
        decode(20).to_string(),
        format!("{OUTER} len 60 proto IPIP (4) | ethertype IPv4 (0x0800) [truncated]")
    );
}

#[test]
fn tcp_options() {
    let options = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7];
    let mut segment = tcp(2).to_vec();
    segment[12] = 0xa0;
    segment.extend(options);
    let packet = |segment: &[u8]| {
        let bytes = ipv4(6, 0, &[], segment);
        let original = u32::try_from(bytes.len()).unwrap();
        Packet::decode(&Capture { bytes: &bytes, link: RAW, ethertype: 0, tag: None, original })
    };
    let whole = packet(&segment);
    let Some(Transport::Tcp(tcp)) = &whole.transport else { panic!("{whole}") };
    let expected = [
        TcpOption::MaximumSegment(1460),
        TcpOption::SackPermitted,
        TcpOption::Timestamps { value: 1, echo: 2 },
        TcpOption::WindowScale(7),
    ];
    assert_eq!(tcp.options().collect::<Result<Vec<_>, _>>().unwrap(), expected);
    assert_eq!(whole.flaw, None);
    segment[21] = 1;
    assert_eq!(packet(&segment).flaw, Some(Flaw::Malformed("TCP option")));
    segment[12] = 0x40;
    assert!(packet(&segment).to_string().ends_with("win 500 [malformed header length]"));
}

#[test]
fn link_headers_where_asked_for() {
    let (packet, text) = inner();
    assert_eq!(
        with_link_header(&frame(0x0800, &packet), None),
        format!("{MACS} ethertype IPv4 (0x0800) {text}")
    );
    let tagged = frame(0x8100, &[&[0x70, 100, 0x08, 0][..], &packet].concat());
    let expected =
        format!("{MACS} ethertype 802.1Q (0x8100) vlan 100 p 3 DEI ethertype IPv4 (0x0800) {text}");
    assert_eq!(with_link_header(&tagged, None), expected);
    // The same, as a device that takes tags off leaves it.
    let tag = Some(Tag { ethertype: 0x8100, control: 0x7064 });
    assert_eq!(with_link_header(&frame(0x0800, &packet), tag), expected);
    assert_eq!(with_link_header(&frame(0x88cc, &[0; 8]), None), format!("{MACS} ethertype LLDP (0x88cc)"));
    assert_eq!(with_link_header(&frame(38, &[0; 38]), None), format!("{MACS} 802.3 len 38"));
    let labelled = frame(0x8847, &[&[0, 6, 0x41, 64][..], &packet].concat());
    let expected = format!("{MACS} ethertype MPLS (0x8847) mpls 100 tc 0 ttl 64 {text}");
    assert_eq!(with_link_header(&labelled, None), expected);
    let bytes = ipv4(47, 0, &[], &[&[0, 0, 0x65, 0x58][..], &frame(0x0800, &packet)].concat());
    let expected = format!(
        "{MACS} ethertype IPv4 (0x0800) {OUTER} len 70 proto GRE (47) | {MACS} ethertype IPv4 (0x0800) {text}"
    );
    assert_eq!(with_link_header(&frame(0x0800, &bytes), None), expected);
}

#[test]
fn a_tag_apart_is_as_if_it_were_in_the_data() {
    let (packet, text) = inner();
    let tag = Some(Tag { ethertype: 0x88a8, control: 7 });
    let decode = |bytes: &[u8], link, ethertype| {
        let original = u32::try_from(bytes.len()).unwrap();
        Packet::decode(&Capture { bytes, link, ethertype, tag, original }).to_string()
    };
    assert_eq!(decode(&packet, RAW, 0x0800), format!("vlan 7 {text}"));
    assert_eq!(decode(&packet, RAW, 0), format!("vlan 7 {text}"));
    let stacked = frame(0x8100, &[&[0, 100, 0x08, 0][..], &packet].concat());
    assert_eq!(decode(&stacked, ETHERNET, 0), format!("vlan 7 vlan 100 {text}"));
}
