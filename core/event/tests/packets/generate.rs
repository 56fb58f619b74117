//! Valid packets of every protocol that the decoder knows, alone and inside each other, with what senders may choose
//! chosen at random: lengths and checksums are right, so that a reader who checks them has nothing to say.

use crate::numbers::Numbers;

/// Tunnels in each other at most.
const DEPTH: usize = 3;

/// An Ethernet frame.
pub fn frame(numbers: &mut Numbers) -> Vec<u8> {
    ethernet(numbers, 0)
}

fn ethernet(n: &mut Numbers, depth: usize) -> Vec<u8> {
    let mut frame = mac(n);
    frame.extend(mac(n));
    match n.below(12) {
        0 | 1 => frame.extend(vlan(n, 0x8100)),
        2 => {
            frame.extend(vlan(n, 0x88a8));
            frame.extend(vlan(n, 0x8100));
        }
        _ => {}
    }
    let (ethertype, payload) = match n.below(16) {
        0 => (0x0806, arp(n)),
        1 => (0x8847, mpls(n, depth)),
        // Reserved for experiments: nobody decodes it.
        2 => (0x88b5, payload(n)),
        3..8 => (0x86dd, ipv6(n, depth)),
        _ => (0x0800, ipv4(n, depth)),
    };
    frame.extend(u16::to_be_bytes(ethertype));
    frame.extend(payload);
    frame
}

fn mac(n: &mut Numbers) -> Vec<u8> {
    [&[0x02][..], &n.bytes(5)].concat()
}

fn vlan(n: &mut Numbers, ethertype: u16) -> Vec<u8> {
    [ethertype.to_be_bytes(), n.u16().to_be_bytes()].concat()
}

fn payload(n: &mut Numbers) -> Vec<u8> {
    let len = 4 + n.below(60);
    n.bytes(len)
}

fn arp(n: &mut Numbers) -> Vec<u8> {
    let operation = n.pick(&[1, 2]);
    [&[0, 1, 8, 0, 6, 4, 0, operation][..], &mac(n), &v4(n), &mac(n), &v4(n)].concat()
}

fn mpls(n: &mut Numbers, depth: usize) -> Vec<u8> {
    let mut labels = Vec::new();
    let count = 1 + n.below(3);
    for i in 1..=count {
        // The first 16 have meanings of their own.
        let label = 16 + n.u32() % 0xf_fff0;
        let entry = label << 12 | (n.u32() & 7) << 9 | u32::from(i == count) << 8 | u32::from(n.byte());
        labels.extend(entry.to_be_bytes());
    }
    labels.extend(ip(n, depth).1);
    labels
}

fn ip(n: &mut Numbers, depth: usize) -> (u16, Vec<u8>) {
    if n.once_in(2) { (0x0800, ipv4(n, depth)) } else { (0x86dd, ipv6(n, depth)) }
}

fn v4(n: &mut Numbers) -> Vec<u8> {
    [&[10][..], &n.bytes(3)].concat()
}

fn v6(n: &mut Numbers) -> Vec<u8> {
    let mut address = [&[0xfd][..], &n.bytes(15)].concat();
    // Runs of zeros, which are left out in text.
    if n.once_in(2) {
        let from = 1 + n.below(15);
        let to = from + n.below(16 - from);
        address[from..to].fill(0);
    }
    address
}

fn ipv4(n: &mut Numbers, depth: usize) -> Vec<u8> {
    let (source, destination) = (v4(n), v4(n));
    let pseudo = |protocol: u8, len: usize| {
        [&source[..], &destination, &[0, protocol], &u16::try_from(len).unwrap().to_be_bytes()].concat()
    };
    let (protocol, mut payload) = transport(n, depth, false, &pseudo);
    let fragment: u16 = match n.below(12) {
        0 => 0x2000,
        1 => 0x2000 | (1 + n.u16() % 4000),
        2 => 1 + n.u16() % 4000,
        3..8 => 0x4000,
        _ => 0,
    };
    if fragment & 0x2000 != 0 {
        payload.truncate(payload.len() / 8 * 8);
    }
    let options: &[u8] = match n.below(8) {
        // Router alert; record route with one address; padding.
        0 => &[148, 4, 0, 0],
        1 => &[7, 7, 4, 0, 0, 0, 0, 0],
        2 => &[1, 1, 1, 0],
        _ => &[],
    };
    let words = u8::try_from(5 + options.len() / 4).unwrap();
    let length = u16::try_from(20 + options.len() + payload.len()).unwrap();
    let mut header = vec![0x40 | words, n.byte()];
    header.extend(length.to_be_bytes());
    header.extend(n.u16().to_be_bytes());
    header.extend(fragment.to_be_bytes());
    header.extend([1 + n.byte() % 255, protocol, 0, 0]);
    header.extend(source.iter().chain(&destination).chain(options));
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    [header, payload].concat()
}

fn ipv6(n: &mut Numbers, depth: usize) -> Vec<u8> {
    let (source, destination) = (v6(n), v6(n));
    let pseudo = |protocol: u8, len: usize| {
        [&source[..], &destination, &u32::try_from(len).unwrap().to_be_bytes(), &[0, 0, 0, protocol]].concat()
    };
    let (mut next, mut payload) = transport(n, depth, true, &pseudo);
    let mut before = |number: u8, header: &[u8], next: &mut u8| {
        payload = [&[*next], header, &payload].concat();
        *next = number;
    };
    // From the inside out: destination options, a fragment, hop-by-hop options.
    if n.once_in(10) {
        before(60, &[0, 1, 4, 0, 0, 0, 0], &mut next);
    }
    if n.once_in(10) {
        let offset = if n.once_in(2) { 0 } else { 8 * (1 + n.u16() % 1000) };
        let [a, b] = (offset | n.u16() & 1).to_be_bytes();
        before(44, &[&[0, a, b][..], &n.bytes(4)].concat(), &mut next);
    }
    if n.once_in(10) {
        before(0, &[0, 5, 2, 0, 0, 1, 0], &mut next);
    }
    let first = 6 << 28 | u32::from(n.byte()) << 20 | n.u32() & 0xf_ffff;
    let length = u16::try_from(payload.len()).unwrap();
    let hops = 1 + n.byte() % 255;
    [&first.to_be_bytes()[..], &length.to_be_bytes(), &[next, hops], &source, &destination, &payload].concat()
}

type Pseudo<'a> = &'a dyn Fn(u8, usize) -> Vec<u8>;

/// A protocol number and what it is the number of.
fn transport(n: &mut Numbers, depth: usize, v6: bool, pseudo: Pseudo<'_>) -> (u8, Vec<u8>) {
    let kinds = if depth < DEPTH { 17 } else { 11 };
    match n.below(kinds) {
        0..4 => (6, tcp(n, pseudo)),
        4..6 => {
            let ports = ports(n);
            let data = payload(n);
            (17, udp(ports, &data, pseudo))
        }
        6 if v6 => (58, icmpv6(n, pseudo)),
        6 => (1, icmp(n)),
        7 => (132, sctp(n)),
        8 => (50, [n.bytes(8), payload(n)].concat()),
        9 => {
            let (next, data) = (6, tcp(n, pseudo));
            // 12 bytes of fixed part, 12 of proof.
            (51, [&[next, 4, 0, 0][..], &n.bytes(8), &n.bytes(12), &data].concat())
        }
        // For experiments.
        10 => (253, payload(n)),
        11 | 12 => (47, gre(n, depth + 1)),
        13 => {
            let vxlan = [&[8, 0, 0, 0][..], &n.bytes(3), &[0], &ethernet(n, depth + 1)].concat();
            (17, udp([40000 + n.u16() % 20000, 4789], &vxlan, pseudo))
        }
        14 => {
            let (ethertype, carried) = carried(n, depth + 1);
            let options: &[u8] = if n.once_in(3) { &[0x01, 0x02, 0x03, 1, 0, 0, 0, 9] } else { &[] };
            let words = u8::try_from(options.len() / 4).unwrap();
            let [a, b] = ethertype.to_be_bytes();
            let header = [&[words, 0, a, b][..], &n.bytes(3), &[0], options, &carried].concat();
            (17, udp([40000 + n.u16() % 20000, 6081], &header, pseudo))
        }
        15 => (4, ipv4(n, depth + 1)),
        _ => (41, ipv6(n, depth + 1)),
    }
}

/// What tunnels that name it by its EtherType carry.
fn carried(n: &mut Numbers, depth: usize) -> (u16, Vec<u8>) {
    if n.once_in(3) { (0x6558, ethernet(n, depth)) } else { ip(n, depth) }
}

/// None that anybody knows.
fn ports(n: &mut Numbers) -> [u16; 2] {
    [40000 + n.u16() % 20000, 40000 + n.u16() % 20000]
}

fn tcp(n: &mut Numbers, pseudo: Pseudo<'_>) -> Vec<u8> {
    let [source, destination] = ports(n);
    let flags = n.pick(&[0x02, 0x12, 0x10, 0x18, 0x11, 0x14, 0x04, 0xc2, 0x52, 0x29, 0x00]);
    let options: &[u8] = match n.below(4) {
        0 => &[2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7],
        1 => &[1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8],
        2 => &[1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 9],
        _ => &[],
    };
    let words = u8::try_from(5 + options.len() / 4).unwrap();
    let mut segment = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    segment.extend(n.bytes(8));
    segment.extend([words << 4, flags, n.byte(), n.byte(), 0, 0, 0, 0]);
    segment.extend(options);
    if n.once_in(2) {
        segment.extend(payload(n));
    }
    let sum = checksum(&[&pseudo(6, segment.len()), &segment]);
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    segment
}

fn udp(ports: [u16; 2], data: &[u8], pseudo: Pseudo<'_>) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap();
    let mut datagram = [ports[0], ports[1], length, 0].map(u16::to_be_bytes).concat();
    datagram.extend(data);
    let sum = checksum(&[&pseudo(17, datagram.len()), &datagram]);
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    datagram
}

fn icmp(n: &mut Numbers) -> Vec<u8> {
    let mut message = match n.below(3) {
        0 => vec![8, 0, 0, 0],
        1 => vec![0, 0, 0, 0],
        // Address mask request: nothing is quoted.
        _ => vec![17, 0, 0, 0],
    };
    message.extend(n.bytes(16));
    let sum = checksum(&[&message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

fn icmpv6(n: &mut Numbers, pseudo: Pseudo<'_>) -> Vec<u8> {
    let mut message = vec![n.pick(&[128, 129]), 0, 0, 0];
    message.extend(n.bytes(16));
    let sum = checksum(&[&pseudo(58, message.len()), &message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

fn sctp(n: &mut Numbers) -> Vec<u8> {
    let [source, destination] = ports(n);
    let mut packet = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    packet.extend(n.bytes(8));
    let chunk: (u8, usize) = n.pick(&[(0, 24), (1, 20), (10, 8), (11, 4), (14, 4)]);
    packet.extend([chunk.0, if chunk.0 == 0 { 3 } else { 0 }, 0, u8::try_from(chunk.1).unwrap()]);
    packet.extend(n.bytes(chunk.1 - 4));
    packet
}

fn gre(n: &mut Numbers, depth: usize) -> Vec<u8> {
    let (ethertype, carried) = carried(n, depth);
    let flags = n.pick(&[0_u16, 0x2000, 0x3000, 0x1000, 0xb000]);
    let mut header = [flags.to_be_bytes(), ethertype.to_be_bytes()].concat();
    let words = usize::try_from(flags.count_ones()).unwrap();
    header.extend(n.bytes(4 * words));
    if flags & 0x8000 != 0 {
        // Checksum, and no offset.
        header[4..8].fill(0);
        let sum = checksum(&[&header, &carried]);
        header[4..6].copy_from_slice(&sum.to_be_bytes());
    }
    [header, carried].concat()
}

/// The Internet checksum (RFC 1071).
fn checksum(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap()
}
