//! Packets as devices hand them to the kernel, byte by byte, for a trace that has some of each kind.

/// A TCP SYN.
pub fn tcp(ports: [u16; 2], sequence: u32) -> Vec<u8> {
    let mut tcp = ports.map(u16::to_be_bytes).concat();
    tcp.extend(sequence.to_be_bytes());
    tcp.extend([0, 0, 0, 0, 0xa0, 0x02, 0xfa, 0xf0, 0, 0, 0, 0]);
    tcp.extend([2, 4, 5, 0xb4, 4, 2, 8, 10, 0x3c, 0x1f, 0x22, 0x07, 0, 0, 0, 0, 1, 3, 3, 7]);
    tcp
}

pub fn udp(ports: [u16; 2], payload: &[u8]) -> Vec<u8> {
    let [source, destination] = ports;
    let mut udp = [source, destination, short(8 + payload.len()), 0].map(u16::to_be_bytes).concat();
    udp.extend(payload);
    udp
}

/// The question for the address of `example.org`.
pub fn dns() -> Vec<u8> {
    let mut query = vec![0x2a, 0x17, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend(b"\x07example\x03org\0\0\x01\0\x01");
    query
}

/// An echo request of ICMP (type 8) or ICMPv6 (type 128).
pub fn echo(kind: u8, sequence: u16) -> Vec<u8> {
    let mut icmp = vec![kind, 0, 0, 0, 0x12, 0x34];
    icmp.extend(sequence.to_be_bytes());
    icmp.extend(0..56);
    icmp
}

/// A datagram, whole.
pub fn ipv4(protocol: u8, id: u16, addresses: [[u8; 4]; 2], payload: &[u8]) -> Vec<u8> {
    fragment(protocol, id, 0x4000, addresses, payload)
}

/// A datagram with that word of flags and offset.
pub fn fragment(protocol: u8, id: u16, place: u16, addresses: [[u8; 4]; 2], payload: &[u8]) -> Vec<u8> {
    let mut ip = [0x4500, short(20 + payload.len()), id, place, 0x4000 | u16::from(protocol), 0]
        .map(u16::to_be_bytes)
        .concat();
    ip.extend(addresses.concat());
    let sum: u32 = ip.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from(folded & 0xffff).unwrap();
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    ip.extend(payload);
    ip
}

/// From 2001:db8::*source* to 2001:db8::*destination*.
pub fn ipv6(next: u8, [source, destination]: [u8; 2], payload: &[u8]) -> Vec<u8> {
    let address = |last| [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    let mut ip = vec![0x60, 0x03, 0x5a, 0x11];
    ip.extend(short(payload.len()).to_be_bytes());
    ip.extend([next, 64]);
    ip.extend([address(source), address(destination)].concat());
    ip.extend(payload);
    ip
}

pub fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x02, 0x42, 0xac, 0x10, 0x2a, 0x02, 0x02, 0x42, 0xac, 0x10, 0x2a, 0x01];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A VLAN tag and what is behind it.
pub fn tagged(vlan: u16, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&vlan.to_be_bytes()[..], &ethertype.to_be_bytes(), payload].concat()
}

/// A VXLAN header and the frame in it.
pub fn vxlan(network: u8, frame: &[u8]) -> Vec<u8> {
    [&[8, 0, 0, 0, 0, 0, network, 0], frame].concat()
}

/// Who has `wanted`? Tell `asking`.
pub fn arp(wanted: [u8; 4], asking: [u8; 4]) -> Vec<u8> {
    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1, 0x02, 0x42, 0xac, 0x10, 0x2a, 0x01];
    arp.extend(asking);
    arp.extend([0; 6]);
    arp.extend(wanted);
    arp
}

fn short(len: usize) -> u16 {
    u16::try_from(len).unwrap()
}
