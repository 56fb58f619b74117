//! Filters at random, drawn from the language that tcpdump shares with us. Values come out of the packets that they are
//! asked of, else hardly any would match.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::numbers::Numbers;
use crate::pcap::Captured;

/// A filter of a few parts.
pub fn expression(n: &mut Numbers, packets: &[Captured]) -> String {
    let mut draw = Draw { n, packets };
    draw.expression(2)
}

struct Draw<'a> {
    n: &'a mut Numbers,
    packets: &'a [Captured],
}

impl Draw<'_> {
    fn expression(&mut self, depth: usize) -> String {
        let mut text = self.operand(depth);
        for _ in 0..self.n.below(3) {
            let joint = self.n.pick(&["and", "or", "and", "or", "&&", "||"]);
            let operand = self.operand(depth);
            text = format!("{text} {joint} {operand}");
        }
        text
    }

    fn operand(&mut self, depth: usize) -> String {
        let not = if self.n.once_in(5) { self.n.pick(&["not ", "!", "not not "]) } else { "" };
        let operand = match self.n.below(5) {
            0 if depth > 0 => format!("({})", self.expression(depth - 1)),
            _ => self.primitive(),
        };
        format!("{not}{operand}")
    }

    fn primitive(&mut self) -> String {
        match self.n.below(20) {
            0 | 1 => self
                .n
                .pick(&[
                    "tcp",
                    "udp",
                    "icmp",
                    "icmp6",
                    "ip",
                    "ip6",
                    "arp",
                    "rarp",
                    "sctp",
                    "igmp",
                    "ah",
                    "esp",
                    "pim",
                    "vrrp",
                    "multicast",
                    "broadcast",
                    "ip multicast",
                    "ip6 multicast",
                    "ether multicast",
                    "igrp",
                    "carp",
                    "stp",
                    "iso",
                    "netbeui",
                    "aarp",
                    "atalk",
                    "decnet",
                    "pppoed",
                ])
                .to_owned(),
            2 | 3 => {
                let protocol = self.n.pick(&["", "", "ip ", "arp ", "rarp "]);
                let direction = self.direction();
                let (kind, address) = match self.n.below(4) {
                    0 => ("net ", self.net()),
                    1 if !direction.is_empty() => ("", self.v4()),
                    _ => ("host ", self.v4()),
                };
                format!("{protocol}{direction}{kind}{address}")
            }
            4 => {
                let (protocol, direction) = (self.n.pick(&["", "ip6 "]), self.direction());
                let address = self.v6();
                match self.n.below(3) {
                    0 => {
                        let length = self.n.below(129);
                        let bits = u128::from(address);
                        let mask = u128::MAX.checked_shl(128 - u32::try_from(length).unwrap()).unwrap_or(0);
                        format!("{protocol}{direction}net {}/{length}", Ipv6Addr::from(bits & mask))
                    }
                    _ => format!("{protocol}{direction}host {address}"),
                }
            }
            5 | 6 => {
                let (protocol, direction) =
                    (self.n.pick(&["", "", "tcp ", "udp ", "sctp "]), self.direction());
                let port = self.port();
                match self.n.below(6) {
                    0 => format!("{protocol}{direction}port {port} or {}", self.port()),
                    1 => format!("{protocol}{direction}port ({port} or {})", self.port()),
                    2 => format!("{protocol}{direction}port not {port}"),
                    3 => {
                        let other = self.port();
                        format!("{protocol}{direction}portrange {port}-{other}")
                    }
                    4 => {
                        let name = self.n.pick(&["domain", "http", "https", "ssh", "ntp"]);
                        format!("{direction}port {name}")
                    }
                    _ => format!("{protocol}{direction}port {port}"),
                }
            }
            7 => {
                let number = self.n.pick(&[1, 6, 17, 58, 132, 47, 50, 51, 41, 4, 0, 44, 60]);
                format!("{}proto {number}", self.n.pick(&["", "ip ", "ip6 "]))
            }
            8 => {
                let kind = self.n.pick(&[
                    "0x0800", "0x86dd", "0x0806", "0x8100", "0x8847", "0x88b5", "\\ip", "\\arp", "0x42", "6",
                    "0xf0", "100", "\\stp", "\\aarp", "\\lat", "0x21",
                ]);
                format!("ether proto {kind}")
            }
            9 => {
                let packet = self.packet();
                let at = if self.n.once_in(2) { 0 } else { 6 };
                let address: Vec<String> =
                    (at..at + 6).map(|i| format!("{:02x}", packet.get(i).unwrap_or(&0))).collect();
                format!("ether {}host {}", self.direction(), address.join(":"))
            }
            10 => match self.n.below(3) {
                0 => "vlan".to_owned(),
                _ => format!("vlan {}", self.half(14) & 0xfff),
            },
            11 => match self.n.below(3) {
                0 => "mpls".to_owned(),
                _ => format!("mpls {}", self.word(14) >> 12),
            },
            18 => match self.n.below(3) {
                0 => "pppoes".to_owned(),
                _ => format!("pppoes {}", self.half(16)),
            },
            19 => {
                let number = self.n.pick(&[6, 17, 58, 132, 47, 50, 51, 0, 44, 60, 43, 59, 253]);
                format!("{}protochain {number}", self.n.pick(&["", "ip ", "ip6 "]))
            }
            12 => format!("{} {}", self.n.pick(&["less", "greater"]), self.n.below(200)),
            13 => format!(
                "tcp[tcpflags] & ({}) != 0",
                self.n.pick(&["tcp-syn|tcp-fin", "tcp-ack", "tcp-rst | tcp-push"])
            ),
            14 => {
                let test =
                    ["icmp[icmptype] = icmp-echo", "icmp6[icmp6type] == icmp6-echoreply", "icmp[0] != 0"];
                self.n.pick(&test).to_owned()
            }
            _ => {
                let relation = self.n.pick(&["=", "==", "!=", "<", "<=", ">", ">="]);
                format!("{} {relation} {}", self.number(2), self.number(1))
            }
        }
    }

    fn number(&mut self, depth: usize) -> String {
        match self.n.below(7) {
            0 | 1 if depth > 0 => {
                let operator = self.n.pick(&["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"]);
                let right =
                    if operator.len() == 2 { self.n.below(32).to_string() } else { self.number(depth - 1) };
                format!("({} {operator} {right})", self.number(depth - 1))
            }
            2 if depth > 0 => {
                // These bind differently.
                let operators = ["+", "-", "*", "/", "&", "|"];
                let (a, b) = (self.n.pick(&operators), self.n.pick(&operators));
                format!("({} {a} {} {b} {})", self.load(), self.n.below(9) + 1, 1 + self.n.below(300))
            }
            0 => self.n.pick(&["0x10", "010", "0", "255", "1500", "0xffffffff"]).to_owned(),
            1 => "len".to_owned(),
            2 | 3 => self.n.below(256).to_string(),
            // In parentheses, for `%` behind it binds otherwise in libpcap's grammar.
            4 => format!("(-{})", self.load()),
            _ => self.load(),
        }
    }

    fn load(&mut self) -> String {
        let protocol = self.n.pick(&[
            "ether", "link", "ip", "ip6", "arp", "tcp", "udp", "icmp", "icmp6", "sctp", "ip", "tcp", "igmp",
        ]);
        let offset = match self.n.below(8) {
            0 => "ip[0] & 0xf".to_owned(),
            1 => format!("{} * 2", self.n.below(20)),
            2 => "-1".to_owned(),
            _ => self.n.below(40).to_string(),
        };
        format!("{protocol}[{offset}{}]", self.n.pick(&["", "", ":1", ":2", ":4"]))
    }

    fn direction(&mut self) -> &'static str {
        self.n.pick(&["", "", "src ", "dst ", "src or dst ", "src and dst ", "dst or src "])
    }

    fn packet(&mut self) -> Vec<u8> {
        self.packets[self.n.below(self.packets.len())].bytes.clone()
    }

    fn half(&mut self, at: usize) -> u16 {
        u16::try_from(self.word(at) >> 16).unwrap()
    }

    fn word(&mut self, at: usize) -> u32 {
        let packet = self.packet();
        (at..at + 4).fold(0, |word, i| word << 8 | u32::from(*packet.get(i).unwrap_or(&0)))
    }

    fn v4(&mut self) -> String {
        let at = self.n.pick(&[26, 30, 28, 38, 30, 34, 12, 16]);
        Ipv4Addr::from(self.word(at)).to_string()
    }

    fn net(&mut self) -> String {
        let at = self.n.pick(&[26, 30, 12, 16]);
        let bits = self.word(at);
        let [a, b, c, _] = bits.to_be_bytes();
        let length = self.n.below(33);
        let mask = u32::MAX.checked_shl(32 - u32::try_from(length).unwrap()).unwrap_or(0);
        match self.n.below(6) {
            0 => format!("{a}"),
            1 => format!("{a}.{b}"),
            2 => format!("{a}.{b}.{c}"),
            3 => format!("{} mask {}", Ipv4Addr::from(bits & mask), Ipv4Addr::from(mask)),
            _ => format!("{}/{length}", Ipv4Addr::from(bits & mask)),
        }
    }

    fn v6(&mut self) -> Ipv6Addr {
        let at = self.n.pick(&[22, 38, 8, 24]);
        let packet = self.packet();
        Ipv6Addr::from(
            (at..at + 16).fold(0, |bits: u128, i| bits << 8 | u128::from(*packet.get(i).unwrap_or(&0))),
        )
    }

    fn port(&mut self) -> u16 {
        let at = self.n.pick(&[34, 36, 54, 56, 20, 22]);
        self.half(at)
    }
}
