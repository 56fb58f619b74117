//! The SCTP common header and what the first chunk is (RFC 9260).

use super::text::{Words, named};
use super::{Flaw, input::Input, names};
use crate::append;

/// An SCTP header, without ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sctp {
    /// What the receiver knows the association by; 0 with INIT.
    pub tag: u32,
    /// The first chunk, if there is one.
    pub chunk: Option<Chunk>,
    flaw: Option<Flaw>,
}

/// The start of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Its type.
    pub kind: u8,
    /// Its flags, by type.
    pub flags: u8,
    /// Bytes of header and value.
    pub length: u16,
}

impl Sctp {
    /// What follows the ports. Where the chunk is cut off, the tag is known all the same.
    pub(super) fn read(input: &mut Input<'_>) -> Result<Sctp, Flaw> {
        let tag = u32::from_be_bytes(input.take()?);
        let chunk = input.skip(4).and_then(|()| Chunk::read(input));
        Ok(Sctp { tag, chunk: chunk.ok(), flaw: chunk.err() })
    }

    /// What the chunk lacks.
    pub(super) fn flaw(&self) -> Option<Flaw> {
        self.flaw
    }
}

impl Chunk {
    fn read(input: &mut Input<'_>) -> Result<Chunk, Flaw> {
        let [kind, flags, a, b] = input.take()?;
        Ok(Chunk { kind, flags, length: u16::from_be_bytes([a, b]) })
    }
}

impl Words for Sctp {
    fn push(&self, out: &mut String) {
        out.push_str("tag 0x");
        append::hex_digits(out, u64::from(self.tag), 8);
        let Some(Chunk { kind, .. }) = self.chunk else { return };
        out.push_str(" chunk ");
        named(out, names::chunk(kind), kind);
    }
}
