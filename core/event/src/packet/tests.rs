//! Packets of every kind, whole, cut at every byte, and noise.

use super::*;
use crate::sample::SYN;

/// Numbers that look random and are the same in every run (xorshift64).
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new() -> Noise {
        Noise(0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_be_bytes()[3]
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (usize::from(self.byte()) << 8 | usize::from(self.byte())) % end
    }
}

pub(crate) fn ethernet(bytes: &[u8]) -> String {
    let original = u32::try_from(bytes.len()).unwrap();
    Packet::decode(&Capture { bytes, link: ETHERNET, ethertype: 0, tag: None, original }).to_string()
}

pub(crate) fn raw(ethertype: u16, bytes: &[u8]) -> String {
    let original = u32::try_from(bytes.len()).unwrap();
    Packet::decode(&Capture { bytes, link: RAW, ethertype, tag: None, original }).to_string()
}

/// An Ethernet frame.
pub(crate) fn frame(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], &ethertype.to_be_bytes()[..], payload].concat()
}

/// 10.0.0.1 > 10.0.0.2, with `fragment` as the flags and offset field.
pub(crate) fn ipv4(protocol: u8, fragment: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let words = u8::try_from(5 + options.len() / 4).unwrap();
    let length = u16::try_from(20 + options.len() + payload.len()).unwrap().to_be_bytes();
    let fragment = fragment.to_be_bytes();
    let fixed = [0x40 | words, 0, length[0], length[1], 0, 7, fragment[0], fragment[1], 64, protocol, 0, 0];
    [&fixed[..], &[10, 0, 0, 1, 10, 0, 0, 2], options, payload].concat()
}

/// fd00::1 > fd00::2, traffic class 0xb8, flow label 0x12345.
pub(crate) fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let address = |last| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    [&[0x6b, 0x81, 0x23, 0x45, length[0], length[1], next, 63][..], &address(1), &address(2), payload]
        .concat()
}

/// 1000 > 80, seq 1, ack 2, window 500.
pub(crate) fn tcp(flags: u8) -> [u8; 20] {
    [3, 0xe8, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 1, 0xf4, 0, 0, 0, 0]
}

pub(crate) const UDP: [u8; 12] = [0x30, 0x39, 0, 53, 0, 12, 0, 0, b'd', b'a', b't', b'a'];
const PING: [u8; 8] = [8, 0, 0, 0, 0, 5, 0, 1];
pub(crate) const V4: &str = "ttl 64 tos 0x0 id 7 off 0";
pub(crate) const V6: &str = "ttl 63 tc 0xb8 label 0x12345";

fn arp(operation: u8) -> Vec<u8> {
    let sender = [0, 1, 8, 0, 6, 4, 0, operation, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1];
    frame(0x0806, &[&sender[..], &[0, 0, 0, 0, 0, 0, 10, 0, 0, 2]].concat())
}

#[test]
fn a_syn_to_the_byte() {
    let expected = "172.16.42.1.52294 > 172.16.42.2.8080 ttl 64 tos 0x0 id 37968 off 0 [DF] len 60 proto TCP (6) \
                    flags [S] seq 1971640626 win 64240";
    assert_eq!(ethernet(&SYN), expected);
    assert_eq!(raw(0x0800, &SYN[14..]), expected);
    assert_eq!(raw(0, &SYN[14..]), expected);
}

#[test]
fn tcp_flags_are_tcpdumps() {
    let flags = |flags| {
        let text = raw(0x0800, &ipv4(6, 0, &[], &tcp(flags)));
        text.split_once("flags ").unwrap().1.to_owned()
    };
    assert_eq!(flags(0x02), "[S] seq 1 win 500");
    assert_eq!(flags(0x12), "[S.] seq 1 ack 2 win 500");
    assert_eq!(flags(0x18), "[P.] seq 1 ack 2 win 500");
    assert_eq!(flags(0x14), "[R.] seq 1 ack 2 win 500");
    assert_eq!(flags(0x11), "[F.] seq 1 ack 2 win 500");
    assert_eq!(flags(0x10), "[.] seq 1 ack 2 win 500");
    assert_eq!(flags(0xc2), "[SEW] seq 1 win 500");
    assert_eq!(flags(0), "[none] seq 1 win 500");
}

#[test]
fn ipv4_with_other_transports() {
    let udp = raw(0x0800, &ipv4(17, 0, &[], &UDP));
    assert_eq!(udp, format!("10.0.0.1.12345 > 10.0.0.2.53 {V4} len 32 proto UDP (17) len 12"));
    let ping = raw(0x0800, &ipv4(1, 0x4000, &[], &PING));
    assert_eq!(ping, format!("10.0.0.1 > 10.0.0.2 {V4} [DF] len 28 proto ICMP (1) type 8 code 0 id 5 seq 1"));
    let unreachable = raw(0x0800, &ipv4(1, 0, &[], &[3, 1, 0, 0, 0, 0, 0, 0]));
    assert_eq!(unreachable, format!("10.0.0.1 > 10.0.0.2 {V4} len 28 proto ICMP (1) type 3 code 1"));
    let dccp = raw(0x0800, &ipv4(33, 0, &[], &UDP));
    assert_eq!(dccp, format!("10.0.0.1.12345 > 10.0.0.2.53 {V4} len 32 proto DCCP (33)"));
    assert_eq!(raw(0x0800, &ipv4(253, 0, &[], &[])), format!("10.0.0.1 > 10.0.0.2 {V4} len 20 proto 253"));
}

#[test]
fn ipv4_options_and_fragments() {
    let options = raw(0x0800, &ipv4(17, 0, &[1, 1, 1, 0], &UDP));
    assert_eq!(options, format!("10.0.0.1.12345 > 10.0.0.2.53 {V4} len 36 proto UDP (17) len 12"));
    let first = raw(0x0800, &ipv4(17, 0x2000, &[], &UDP));
    assert_eq!(first, format!("10.0.0.1.12345 > 10.0.0.2.53 {V4} [MF] len 32 proto UDP (17) len 12"));
    let later = raw(0x0800, &ipv4(17, 0x6000 | 185, &[], &UDP));
    assert_eq!(later, "10.0.0.1 > 10.0.0.2 ttl 64 tos 0x0 id 7 off 1480 [DF,MF] len 32 proto UDP (17)");
}

#[test]
fn ipv6_and_its_extensions() {
    let udp = raw(0x86dd, &ipv6(17, &UDP));
    assert_eq!(udp, format!("fd00::1.12345 > fd00::2.53 {V6} len 12 proto UDP (17) len 12"));
    let hops = [&[60, 0, 0, 0, 0, 0, 0, 0, 6, 1][..], &[0; 14], &tcp(2)].concat();
    let tcp = raw(0x86dd, &ipv6(0, &hops));
    assert_eq!(tcp, format!("fd00::1.1000 > fd00::2.80 {V6} len 44 proto TCP (6) flags [S] seq 1 win 500"));
    let ping = raw(0, &ipv6(58, &[128, 0, 0, 0, 0, 5, 0, 1]));
    assert_eq!(ping, format!("fd00::1 > fd00::2 {V6} len 8 proto ICMPv6 (58) type 128 code 0 id 5 seq 1"));
    let fragment = |offset: u8| ipv6(44, &[&[17, 0, 0, offset, 0, 0, 0, 9][..], &UDP].concat());
    let first = raw(0x86dd, &fragment(1));
    assert_eq!(
        first,
        format!("fd00::1.12345 > fd00::2.53 {V6} id 9 off 0 [MF] len 20 proto UDP (17) len 12")
    );
    let later = raw(0x86dd, &fragment(8));
    assert_eq!(later, format!("fd00::1 > fd00::2 {V6} id 9 off 8 len 20 proto UDP (17)"));
}

#[test]
fn arp_says_who_asks_for_whom() {
    assert_eq!(ethernet(&arp(1)), "request who-has 10.0.0.2 tell 10.0.0.1");
    assert_eq!(ethernet(&arp(2)), "reply 10.0.0.1 at 02:00:00:00:00:01");
    assert_eq!(ethernet(&arp(9)), "ARP op 9");
    assert_eq!(ethernet(&frame(0x0806, &[0, 32, 8, 0, 20, 4, 0, 1])), "ARP op 1");
}

#[test]
fn vlan_tags() {
    let tagged = [&[0x20, 100, 0x08, 0][..], &ipv4(17, 0, &[], &UDP)].concat();
    let expected = format!("vlan 100 10.0.0.1.12345 > 10.0.0.2.53 {V4} len 32 proto UDP (17) len 12");
    assert_eq!(ethernet(&frame(0x8100, &tagged)), expected);
    assert_eq!(raw(0x8100, &tagged), expected);
    let twice = frame(0x88a8, &[&[0x01, 0, 0x81, 0][..], &tagged].concat());
    assert_eq!(ethernet(&twice), format!("vlan 256 {expected}"));
    let many = frame(0x8100, &[0, 1, 0x81, 0].repeat(1000));
    assert!(
        ethernet(&many).ends_with("vlan 1 02:00:00:00:00:01 > 02:00:00:00:00:02 ethertype 802.1Q (0x8100)")
    );
}

#[test]
fn unknown_protocols_are_numbers() {
    let macs = "02:00:00:00:00:01 > 02:00:00:00:00:02";
    assert_eq!(ethernet(&frame(0x88cc, &[0; 8])), format!("{macs} ethertype LLDP (0x88cc)"));
    assert_eq!(ethernet(&frame(0xabcd, &[])), format!("{macs} ethertype 0xabcd"));
    assert_eq!(ethernet(&frame(38, &[0; 38])), format!("{macs} 802.3 len 38"));
    assert_eq!(raw(0x0999, &[1]), "ethertype 0x0999");
    let capture = Capture { bytes: &[1], link: 127, ethertype: 0, tag: None, original: 1 };
    assert_eq!(Packet::decode(&capture).to_string(), "link 127");
}

#[test]
fn padding_is_not_payload() {
    let mut padded = frame(0x0800, &ipv4(17, 0, &[], &UDP[..4]));
    padded.resize(60, 0xff);
    assert_eq!(ethernet(&padded), format!("10.0.0.1.12345 > 10.0.0.2.53 {V4} len 24 proto UDP (17) [short]"));
}

#[test]
fn ends_are_explained() {
    let cut = |len: usize| {
        Packet::decode(&Capture { bytes: &SYN[..len], link: ETHERNET, ethertype: 0, tag: None, original: 74 })
            .to_string()
    };
    assert_eq!(cut(0), "[truncated]");
    let macs = "02:42:ac:10:2a:01 > 02:42:ac:10:2a:02";
    assert_eq!(cut(14), format!("{macs} ethertype IPv4 (0x0800) [truncated]"));
    let ip = "ttl 64 tos 0x0 id 37968 off 0 [DF] len 60 proto TCP (6)";
    assert_eq!(cut(34), format!("172.16.42.1 > 172.16.42.2 {ip} [truncated]"));
    assert_eq!(cut(38), format!("172.16.42.1.52294 > 172.16.42.2.8080 {ip} [truncated]"));
    // TCP options are not shown, but belong to the header; what follows it does not.
    assert!(cut(73).ends_with("win 64240 [truncated]"));
    assert!(!cut(74).contains("[truncated]"));
    assert_eq!(ethernet(&SYN[..34]), format!("172.16.42.1 > 172.16.42.2 {ip} [short]"));
    assert_eq!(raw(0x0800, &[0x65; 20]), "ethertype IPv4 (0x0800) [malformed IP version]");
    assert_eq!(raw(0x0800, &[0x44; 20]), "ethertype IPv4 (0x0800) [malformed header length]");
    assert_eq!(raw(0, &[0x10]), "[malformed IP version]");
    let mut short = ipv4(6, 0, &[1, 1, 1, 0], &[]);
    short[3] = 20;
    assert!(raw(0x0800, &short).ends_with("proto TCP (6) [malformed total length]"));
}

#[test]
fn big_tcp_has_no_length() {
    let mut big = ipv4(6, 0, &[], &tcp(2));
    big[2..4].fill(0);
    assert!(raw(0x0800, &big).ends_with("len 0 proto TCP (6) flags [S] seq 1 win 500"));
}

/// Valid packets of every kind.
fn packets() -> Vec<Vec<u8>> {
    let fragment = [&[17, 0, 0, 1, 0, 0, 0, 9][..], &UDP].concat();
    let extensions = [&[51, 0, 0, 0, 0, 0, 0, 0, 6, 4][..], &[0; 22], &tcp(2)].concat();
    vec![
        SYN.to_vec(),
        arp(1),
        frame(0x0800, &ipv4(17, 0, &[1; 40], &UDP)),
        frame(0x0800, &ipv4(1, 0, &[], &PING)),
        frame(0x86dd, &ipv6(44, &fragment)),
        frame(0x86dd, &ipv6(0, &extensions)),
        frame(0x8100, &[&[0, 1, 0x86, 0xdd][..], &ipv6(58, &PING)].concat()),
        frame(0x88cc, &[0; 8]),
    ]
}

#[test]
fn every_truncation_decodes() {
    for packet in packets() {
        let original = u32::try_from(packet.len()).unwrap();
        for len in 0..=packet.len() {
            for (link, skipped) in [(ETHERNET, 0), (RAW, len.min(14))] {
                let bytes = &packet[skipped..len];
                let ethertype = if link == RAW { u16::from_be_bytes([packet[12], packet[13]]) } else { 0 };
                let decoded = Packet::decode(&Capture { bytes, link, ethertype, tag: None, original });
                assert!(!decoded.to_string().is_empty());
                assert_ne!(decoded.flaw, Some(Flaw::Short), "cut by the capture, not by the sender");
                assert!(len < packet.len() || decoded.flaw.is_none());
            }
        }
    }
}

#[test]
fn no_bytes_panic() {
    let mut noise = Noise::new();
    let packets = packets();
    for round in 0..100_000 {
        let mut bytes = packets[round % packets.len()].clone();
        for _ in 0..noise.below(6) {
            let at = noise.below(bytes.len());
            bytes[at] = noise.byte();
        }
        bytes.truncate(noise.below(bytes.len() + 1));
        let original = u32::from(noise.byte());
        for (link, ethertype) in [(ETHERNET, 0), (RAW, 0), (RAW, 0x0800), (RAW, 0x86dd), (RAW, 0x0806)] {
            let text =
                Packet::decode(&Capture { bytes: &bytes, link, ethertype, tag: None, original }).to_string();
            assert!(text.is_ascii() && !text.contains(char::is_control));
        }
    }
}
