//! The IPv6 header, and the extension headers between it and the transport.

use std::net::Ipv6Addr;

use super::input::{Flaw, Input};
use super::names;
use super::text::{Protocol, Words, number};
use crate::append;

/// An IPv6 header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipv6 {
    /// Where it comes from.
    pub source: Ipv6Addr,
    /// Where it goes.
    pub destination: Ipv6Addr,
    /// Hops left.
    pub hop_limit: u8,
    /// The traffic class: DSCP and ECN.
    pub class: u8,
    /// The flow label, 20 bits.
    pub label: u32,
    /// Bytes behind this header, extension headers included; 0 in jumbograms.
    pub length: u16,
    /// What follows the extension headers, an IANA protocol number; where they are not whole, the last one known.
    pub protocol: u8,
    /// The fragment header.
    pub fragment: Option<Fragment>,
}

/// An IPv6 fragment header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// The identification that fragments share.
    pub id: u32,
    /// Where in the packet this fragment starts, bytes.
    pub offset: u16,
    /// More fragments follow.
    pub more: bool,
}

impl Ipv6 {
    /// The fixed header.
    pub(super) fn read(input: &mut Input<'_>) -> Result<Ipv6, Flaw> {
        let first = u32::from_be_bytes(input.peek()?);
        if first >> 28 != 6 {
            return Err(Flaw::Malformed("IP version"));
        }
        input.skip(4)?;
        let length = u16::from_be_bytes(input.take()?);
        let [protocol, hop_limit] = input.take()?;
        let (source, destination) =
            (Ipv6Addr::from(input.take::<16>()?), Ipv6Addr::from(input.take::<16>()?));
        if length != 0 {
            input.limit(usize::from(length));
        }
        Ok(Ipv6 {
            source,
            destination,
            hop_limit,
            class: (first >> 20) as u8,
            label: first & 0xf_ffff,
            length,
            protocol,
            fragment: None,
        })
    }
}

/// Goes to what follows the extension headers, each of which has at least 8 bytes, so this ends with the data.
/// `protocol` is the first one, and becomes what follows. The fragment header is known also where a later one is not
/// whole.
pub(super) fn extensions(
    protocol: &mut u8,
    input: &mut Input<'_>,
) -> Result<Option<Fragment>, (Flaw, Option<Fragment>)> {
    let mut fragment: Option<Fragment> = None;
    while names::is_extension(*protocol) && fragment.is_none_or(|fragment| fragment.offset == 0) {
        let [next, len, rest @ ..] = input.peek::<8>().map_err(|flaw| (flaw, fragment))?;
        let bytes = match *protocol {
            names::FRAGMENT => 8,
            _ => (usize::from(len) + 1) * 8,
        };
        input.skip(bytes).map_err(|flaw| (flaw, fragment))?;
        if *protocol == names::FRAGMENT {
            fragment = Some(Fragment::new(rest));
        }
        *protocol = next;
    }
    Ok(fragment)
}

impl Fragment {
    /// From all of the header but its first two bytes.
    fn new([a, b, id @ ..]: [u8; 6]) -> Fragment {
        let offset = u16::from_be_bytes([a, b]);
        Fragment { id: u32::from_be_bytes(id), offset: offset & !7, more: offset & 1 != 0 }
    }
}

/// What follows the addresses.
impl Words for Ipv6 {
    fn push(&self, out: &mut String) {
        number(out, "ttl ", self.hop_limit);
        out.push_str(" tc ");
        append::hex(out, u64::from(self.class));
        out.push_str(" label ");
        append::hex(out, u64::from(self.label));
        if let Some(Fragment { id, offset, more }) = self.fragment {
            number(out, " id ", id);
            number(out, " off ", offset);
            out.push_str(if more { " [MF]" } else { "" });
        }
        number(out, " len ", self.length);
        out.push(' ');
        Protocol(self.protocol).push(out);
    }
}
