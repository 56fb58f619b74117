//! The data that is left to decode. It remembers whether its end is where our capture cut the packet or where the
//! packet itself ends: for whoever hunts a dropped packet, these are two different things.

use std::fmt;

use super::text::Words;

/// What is left of the data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    cut: bool,
}

/// Why decoding ended before the last header did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The captured data ends; the packet went on.
    Truncated,
    /// The packet itself ends.
    Short,
    /// A field has a value that makes no sense; this one.
    Malformed(&'static str),
    /// Labels or tunnels go on, but deeper than anybody means it.
    Deep,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8], original: u32) -> Input<'a> {
        Input { bytes, cut: bytes.len() < original as usize }
    }

    /// Takes the next `N` bytes.
    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(self.end())?;
        self.bytes = rest;
        Ok(*taken)
    }

    /// The next `N` bytes, left in place.
    pub(super) fn peek<const N: usize>(&self) -> Result<[u8; N], Flaw> {
        self.bytes.first_chunk().copied().ok_or(self.end())
    }

    /// Takes `len` bytes, or as many as there are.
    pub(super) fn up_to(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(len.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }

    pub(super) fn skip(&mut self, len: usize) -> Result<(), Flaw> {
        self.bytes = self.bytes.get(len..).ok_or(self.end())?;
        Ok(())
    }

    /// Ends the data after `len` bytes, where a header said so: what follows is padding.
    pub(super) fn limit(&mut self, len: usize) {
        if let Some(limited) = self.bytes.get(..len) {
            *self = Input { bytes: limited, cut: false };
        }
    }

    /// Goes to a header's payload, of which the header itself knew.
    pub(super) fn payload(&mut self, rest: Rest) -> Result<(), Flaw> {
        if let Some(bytes) = rest.bytes {
            if bytes < rest.options {
                return Err(Flaw::Malformed("total length"));
            }
            self.limit(bytes);
        }
        self.skip(rest.options)
    }

    fn end(&self) -> Flaw {
        if self.cut { Flaw::Truncated } else { Flaw::Short }
    }
}

/// What follows the fixed part of a header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    /// Bytes of its options.
    pub(super) options: usize,
    /// Bytes of options and payload, where the header says it.
    pub(super) bytes: Option<usize>,
}

impl Words for Flaw {
    fn push(&self, out: &mut String) {
        out.push('[');
        self.push_reason(out);
        out.push(']');
    }
}

impl Flaw {
    /// The same without brackets.
    pub(crate) fn push_reason(self, out: &mut String) {
        match self {
            Flaw::Truncated => out.push_str("truncated"),
            Flaw::Short => out.push_str("short"),
            Flaw::Malformed(what) => {
                out.push_str("malformed ");
                out.push_str(what);
            }
            Flaw::Deep => out.push_str("nested deeper"),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.push(&mut text);
        f.write_str(&text)
    }
}
