//! The TCP header.

use std::fmt;

use super::{Flaw, input::Input};

/// A TCP header, without ports and options.
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
}

impl Tcp {
    const ACK: u8 = 0x10;
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
        let [_offset, flags] = input.take()?;
        Ok(Tcp { seq, ack, flags, window: u16::from_be_bytes(input.take()?) })
    }
}

impl fmt::Display for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tcp { seq, ack, flags, window } = self;
        f.write_str("flags [")?;
        for (_, letter) in Tcp::LETTERS.into_iter().filter(|(bit, _)| flags & bit != 0) {
            write!(f, "{letter}")?;
        }
        write!(f, "{}] seq {seq}", if *flags == 0 { "none" } else { "" })?;
        if flags & Tcp::ACK != 0 {
            write!(f, " ack {ack}")?;
        }
        write!(f, " win {window}")
    }
}
