//! The TCP header.

use super::text::{Words, number};
use super::{Flaw, input::Input};

/// A TCP header, without ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tcp {
    /// The sequence number.
    pub seq: u32,
    /// The acknowledgement number; of no meaning without the ACK flag.
    pub ack: u32,
    /// The flags byte: CWR, ECE, URG, ACK, PSH, RST, SYN, FIN from the highest bit.
    pub flags: u8,
    /// The window as it came, unscaled.
    pub window: u16,
    /// The options' bytes, as far as they are there, and how many.
    options: ([u8; Tcp::MAX_OPTIONS], u8),
    flaw: Option<Flaw>,
}

impl Tcp {
    const MAX_OPTIONS: usize = 40;
    pub(crate) const ACK: u8 = 0x10;
    /// In tcpdump's letters and order.
    const LETTERS: [(u8, char); 8] = [
        (0x01, 'F'),
        (0x02, 'S'),
        (0x04, 'R'),
        (0x08, 'P'),
        (0x10, '.'),
        (0x20, 'U'),
        (0x40, 'E'),
        (0x80, 'W'),
    ];

    /// What follows the ports.
    pub(super) fn read(input: &mut Input<'_>) -> Result<Tcp, Flaw> {
        let seq = u32::from_be_bytes(input.take()?);
        let ack = u32::from_be_bytes(input.take()?);
        let [words, flags] = input.take()?;
        let window = u16::from_be_bytes(input.take()?);
        let mut tcp = Tcp { seq, ack, flags, window, options: ([0; Tcp::MAX_OPTIONS], 0), flaw: None };
        tcp.flaw = tcp.read_options(usize::from(words >> 4) * 4, input).err();
        Ok(tcp)
    }

    fn read_options(&mut self, header: usize, input: &mut Input<'_>) -> Result<(), Flaw> {
        // Checksum and urgent pointer.
        input.skip(4)?;
        let wanted = header.checked_sub(20).ok_or(Flaw::Malformed("header length"))?;
        let (bytes, len) = &mut self.options;
        let there = input.up_to(wanted);
        for (byte, there) in bytes.iter_mut().zip(there) {
            *byte = *there;
        }
        // At most 40.
        *len = there.len() as u8;
        input.skip(wanted - there.len())?;
        self.options().find_map(Result::err).map_or(Ok(()), Err)
    }

    /// The options, as far as they are there. A malformed one is the last.
    pub fn options(&self) -> TcpOptions<'_> {
        let (bytes, len) = &self.options;
        TcpOptions { rest: bytes.get(..usize::from(*len)).unwrap_or_default() }
    }

    /// What the options lack.
    pub(super) fn flaw(&self) -> Option<Flaw> {
        self.flaw
    }
}

/// One option of a TCP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpOption<'a> {
    /// The largest segment that the sender takes, bytes.
    MaximumSegment(u16),
    /// Windows are shifted left by this.
    WindowScale(u8),
    /// Selective acknowledgements are understood.
    SackPermitted,
    /// Selective acknowledgements: pairs of sequence numbers.
    Sack(&'a [u8]),
    /// The sender's clock, and the receiver's last one.
    Timestamps {
        /// The sender's.
        value: u32,
        /// What it echoes.
        echo: u32,
    },
    /// Another one.
    Other {
        /// Its number.
        kind: u8,
        /// What it holds.
        value: &'a [u8],
    },
}

/// The options of a TCP header, in their order; padding is left out.
#[derive(Debug, Clone, Copy)]
pub struct TcpOptions<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for TcpOptions<'a> {
    type Item = Result<TcpOption<'a>, Flaw>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match *self.rest {
                [] | [0, ..] => return None,
                [1, ref rest @ ..] => self.rest = rest,
                _ => break,
            }
        }
        let [kind, len, ..] = *self.rest else { return self.malformed() };
        let (Some(value), Some(rest)) =
            (self.rest.get(2..usize::from(len)), self.rest.get(usize::from(len)..))
        else {
            return self.malformed();
        };
        self.rest = rest;
        Some(Ok(match (kind, value) {
            (2, &[a, b]) => TcpOption::MaximumSegment(u16::from_be_bytes([a, b])),
            (3, &[shift]) => TcpOption::WindowScale(shift),
            (4, []) => TcpOption::SackPermitted,
            (5, edges) => TcpOption::Sack(edges),
            (8, &[a, b, c, d, e, f, g, h]) => TcpOption::Timestamps {
                value: u32::from_be_bytes([a, b, c, d]),
                echo: u32::from_be_bytes([e, f, g, h]),
            },
            _ => TcpOption::Other { kind, value },
        }))
    }
}

impl<'a> TcpOptions<'a> {
    fn malformed(&mut self) -> Option<Result<TcpOption<'a>, Flaw>> {
        self.rest = &[];
        Some(Err(Flaw::Malformed("TCP option")))
    }
}

impl Words for Tcp {
    fn push(&self, out: &mut String) {
        out.push_str("flags [");
        if self.flags == 0 {
            out.push_str("none");
        }
        for (bit, letter) in Tcp::LETTERS {
            if self.flags & bit != 0 {
                out.push(letter);
            }
        }
        number(out, "] seq ", self.seq);
        if self.flags & Tcp::ACK != 0 {
            number(out, " ack ", self.ack);
        }
        number(out, " win ", self.window);
    }
}
