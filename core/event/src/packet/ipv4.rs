//! The IPv4 header.

use std::net::Ipv4Addr;

use super::input::{Flaw, Input, Rest};
use super::text::{Protocol, Words, number};
use crate::append;

/// An IPv4 header, without its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipv4 {
    /// Where it comes from.
    pub source: Ipv4Addr,
    /// Where it goes.
    pub destination: Ipv4Addr,
    /// Hops left.
    pub ttl: u8,
    /// The whole type-of-service byte: DSCP and ECN.
    pub tos: u8,
    /// The identification that fragments share.
    pub id: u16,
    /// Where in the packet this fragment starts, bytes.
    pub offset: u16,
    /// Don't fragment.
    pub dont_fragment: bool,
    /// More fragments follow.
    pub more_fragments: bool,
    /// Bytes of header and payload; 0 in packets above 64 KiB that a device will cut (BIG TCP).
    pub length: u16,
    /// What follows, an IANA protocol number.
    pub protocol: u8,
}

impl Ipv4 {
    /// The header without its options, and what follows.
    pub(super) fn read(input: &mut Input<'_>) -> Result<(Ipv4, Rest), Flaw> {
        let [version_length, tos, length @ ..] = input.peek::<4>()?;
        let header = usize::from(version_length & 0x0f) * 4;
        if version_length >> 4 != 4 {
            return Err(Flaw::Malformed("IP version"));
        }
        if header < 20 {
            return Err(Flaw::Malformed("header length"));
        }
        input.skip(4)?;
        let id = u16::from_be_bytes(input.take()?);
        let fragment = u16::from_be_bytes(input.take()?);
        let [ttl, protocol, _checksum @ ..] = input.take::<4>()?;
        let (source, destination) = (Ipv4Addr::from(input.take::<4>()?), Ipv4Addr::from(input.take::<4>()?));
        let length = u16::from_be_bytes(length);
        let bytes = (length != 0).then(|| usize::from(length).saturating_sub(20));
        let ip = Ipv4 {
            source,
            destination,
            ttl,
            tos,
            id,
            offset: (fragment & 0x1fff) * 8,
            dont_fragment: fragment & 0x4000 != 0,
            more_fragments: fragment & 0x2000 != 0,
            length,
            protocol,
        };
        Ok((ip, Rest { options: header - 20, bytes }))
    }
}

/// What follows the addresses.
impl Words for Ipv4 {
    fn push(&self, out: &mut String) {
        number(out, "ttl ", self.ttl);
        out.push_str(" tos ");
        append::hex(out, u64::from(self.tos));
        number(out, " id ", self.id);
        number(out, " off ", self.offset);
        out.push_str(match (self.dont_fragment, self.more_fragments) {
            (false, false) => "",
            (true, false) => " [DF]",
            (false, true) => " [MF]",
            (true, true) => " [DF,MF]",
        });
        number(out, " len ", self.length);
        out.push(' ');
        Protocol(self.protocol).push(out);
    }
}
