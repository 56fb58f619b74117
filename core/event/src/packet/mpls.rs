//! MPLS labels (RFC 3032).

use super::text::{Words, number};
use super::{Flaw, input::Input};

/// One entry of a label stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// The label, 20 bits.
    pub label: u32,
    /// The traffic class, 0 to 7.
    pub class: u8,
    /// Whether it is the last one.
    pub bottom: bool,
    /// Hops left.
    pub ttl: u8,
}

impl Label {
    pub(super) fn read(input: &mut Input<'_>) -> Result<Label, Flaw> {
        let entry = input.take::<4>()?;
        let [_, _, c, ttl] = entry;
        Ok(Label { label: u32::from_be_bytes(entry) >> 12, class: c >> 1 & 7, bottom: c & 1 != 0, ttl })
    }
}

impl Words for Label {
    fn push(&self, out: &mut String) {
        number(out, "mpls ", self.label);
        number(out, " tc ", self.class);
        number(out, " ttl ", self.ttl);
    }
}
