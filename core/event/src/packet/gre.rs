//! GRE (RFC 2784, 2890) and its version 1, which PPTP uses (RFC 2637).

use super::text::{Words, number};
use super::{Flaw, input::Input};

/// A GRE header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gre {
    /// 0, or 1 for PPTP.
    pub version: u8,
    /// What it carries, an EtherType.
    pub protocol: u16,
    /// What tells tunnels between the same two apart; in version 1 payload length and call.
    pub key: Option<u32>,
    /// The number of the packet.
    pub seq: Option<u32>,
    /// The number of the last packet that came the other way; version 1 only.
    pub ack: Option<u32>,
    /// A source route follows, which nobody has used since 1994 and which is not decoded.
    pub routed: bool,
}

impl Gre {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const ACKNOWLEDGEMENT: u16 = 0x0080;

    pub(super) fn read(input: &mut Input<'_>) -> Result<Gre, Flaw> {
        let flags = u16::from_be_bytes(input.take()?);
        let protocol = u16::from_be_bytes(input.take()?);
        let version = flags.to_be_bytes()[1] & 7;
        let routed = version == 0 && flags & Gre::ROUTING != 0;
        if version > 1 {
            return Err(Flaw::Malformed("GRE version"));
        }
        if version == 0 && flags & (Gre::CHECKSUM | Gre::ROUTING) != 0 {
            input.skip(4)?;
        }
        let mut optional = |flag| match flags & flag {
            0 => Ok(None),
            _ => input.take().map(u32::from_be_bytes).map(Some),
        };
        let (key, seq) = (optional(Gre::KEY)?, optional(Gre::SEQUENCE)?);
        let ack = if version == 1 { optional(Gre::ACKNOWLEDGEMENT)? } else { None };
        Ok(Gre { version, protocol, key, seq, ack, routed })
    }

    /// Whether what it carries is not where, or not what, the protocol says.
    pub(super) fn is_opaque(&self) -> bool {
        self.routed || self.version != 0
    }

    /// Whether it has nothing but the protocol.
    pub(super) fn is_plain(&self) -> bool {
        self.version == 0 && self.key.is_none() && self.seq.is_none()
    }
}

impl Words for Gre {
    fn push(&self, out: &mut String) {
        let version = (self.version != 0).then_some(u32::from(self.version));
        let mut space = "";
        for (name, value) in
            [("version ", version), ("key ", self.key), ("seq ", self.seq), ("ack ", self.ack)]
        {
            if let Some(value) = value {
                out.push_str(space);
                number(out, name, value);
                space = " ";
            }
        }
    }
}
