//! Frames that the packet decoder's tests have no use for, but filters can ask about: PPPoE sessions, LLC, long chains of
//! IPv6 headers.

use crate::{generate, numbers::Numbers};

/// A frame of any kind.
pub fn frame(n: &mut Numbers) -> Vec<u8> {
    match n.below(10) {
        0 => session(n),
        1 if n.once_in(2) => llc(n),
        1 => chain(n),
        _ => generate::frame(n),
    }
}

/// In a PPPoE session, or its discovery.
fn session(n: &mut Numbers) -> Vec<u8> {
    let mut frame = generate::frame(n);
    let kind = u16::from_be_bytes([frame[12], frame[13]]);
    let protocol: u16 = match kind {
        0x0800 => 0x21,
        0x86dd => 0x57,
        0x8847 => 0x281,
        other => other,
    };
    let mut header = vec![0x11, 0];
    header.extend(n.u16().to_be_bytes());
    header.extend(u16::try_from(frame.len() - 12).unwrap().to_be_bytes());
    header.extend(protocol.to_be_bytes());
    frame.splice(14..14, header);
    frame[12..14].copy_from_slice(if n.once_in(6) { &[0x88, 0x63] } else { &[0x88, 0x64] });
    frame
}

/// With a length in the EtherType's place.
fn llc(n: &mut Numbers) -> Vec<u8> {
    let mut frame = generate::frame(n);
    frame.resize(frame.len().max(14 + 8), 0);
    let length = u16::try_from((frame.len() - 14).min(1500)).unwrap();
    frame[12..14].copy_from_slice(&length.to_be_bytes());
    let start: &[u8] = match n.below(6) {
        0 => &[0x42, 0x42, 3],
        1 => &[0xfe, 0xfe, 3],
        2 => &[0xf0, 0xf0, 3],
        3 => &[0xaa, 0xaa, 3, 0, 0, 0, 0x80, 0xf3],
        4 => &[0xaa, 0xaa, 3, 8, 0, 7, 0x80, 0x9b],
        _ => &[6, 6, 3],
    };
    frame[14..14 + start.len()].copy_from_slice(start);
    frame
}

/// IPv6 with up to 8 headers between it and what it carries, or IPv4 with authentication headers.
fn chain(n: &mut Numbers) -> Vec<u8> {
    let mut frame = [&[2; 12][..], &[0x86, 0xdd], &[0x60, 0, 0, 0, 0, 0, 0, 64], &n.bytes(32)].concat();
    let mut place = 14 + 6;
    if n.once_in(4) {
        frame = [&[2; 12][..], &[0x08, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0], &n.bytes(8)].concat();
        place = 14 + 9;
    } else {
        for _ in 0..n.below(8) {
            frame[place] = n.pick(&[0, 60, 43, 44]);
            place = frame.len();
            let units = n.below(3);
            frame.extend([59, u8::try_from(units).unwrap()]);
            let rest = n.bytes(6 + 8 * units);
            frame.extend(rest);
        }
    }
    // At the end, for libpcap loses the way behind it.
    if n.once_in(2) {
        frame[place] = 51;
        place = frame.len();
        frame.extend([59, 4]);
        let rest = n.bytes(22);
        frame.extend(rest);
    }
    frame[place] = n.pick(&[6, 17, 58, 132, 59, 50, 253]);
    let rest = n.bytes(40);
    frame.extend(rest);
    frame
}
