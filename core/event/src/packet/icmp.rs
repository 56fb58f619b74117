//! ICMP and ICMPv6, which begin alike.

use super::text::{Words, number};
use super::{Flaw, input::Input, names};

/// The start of an ICMP or ICMPv6 message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Icmp {
    /// The type; the numbers of ICMP and ICMPv6 differ.
    pub kind: u8,
    /// The code, by type.
    pub code: u8,
    /// What echo requests and replies carry.
    pub echo: Option<Echo>,
}

/// What pairs an echo reply with its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// The sender's identifier.
    pub id: u16,
    /// The number of the request.
    pub seq: u16,
}

impl Icmp {
    pub(super) fn read(input: &mut Input<'_>, protocol: u8) -> Result<Icmp, Flaw> {
        let [kind, code, _checksum @ ..] = input.take::<4>()?;
        let is_echo = match protocol {
            names::ICMPV6 => matches!(kind, 128 | 129),
            _ => matches!(kind, 0 | 8),
        };
        let echo = if is_echo {
            let [a, b, c, d] = input.take()?;
            Some(Echo { id: u16::from_be_bytes([a, b]), seq: u16::from_be_bytes([c, d]) })
        } else {
            None
        };
        Ok(Icmp { kind, code, echo })
    }
}

impl Words for Icmp {
    fn push(&self, out: &mut String) {
        number(out, "type ", self.kind);
        number(out, " code ", self.code);
        if let Some(Echo { id, seq }) = self.echo {
            number(out, " id ", id);
            number(out, " seq ", seq);
        }
    }
}
