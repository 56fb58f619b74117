//! The memory that a filter works with: in the slot of the CPU, between the counters and the record, so that nothing of it needs
//! the program's stack.

use tracer_event::Layout;

use super::condition::{Condition, Source};
use super::packet::{self, Block};
use crate::error::ComposeError;
use crate::shape::{SLOT_HEADER, Shape};

/// Bytes for texts and what is read on the way to a value.
pub(crate) const VALUES: u32 = 512;

/// Where a filter's memory is, in bytes from the start of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scratch {
    /// [`VALUES`] bytes, where some value needs them.
    pub(crate) values: Option<u32>,
    /// 8 bytes for each reader: where in the record's variable part its section begins. Where the filter asks about such a one.
    pub(crate) tails: Option<u32>,
    /// Where the packet's block is.
    pub(crate) block: Option<(u32, Block)>,
    /// Bytes of all of it, a multiple of 64.
    pub(crate) size: u32,
}

impl Scratch {
    pub(crate) fn new(shape: &Shape<'_>, layout: &Layout) -> Result<Self, ComposeError> {
        let leaves = || shape.filter.iter().flat_map(Condition::leaves);
        let mut end = SLOT_HEADER;
        let mut take = |bytes: u32| {
            let start = end;
            end += bytes.next_multiple_of(8);
            start
        };
        let in_memory = |leaf: &&Condition<'_>| match leaf {
            Condition::Value(Source::Accessor { accessor, .. }, _) => accessor.size > 8,
            Condition::Kernel { .. } | Condition::Value(..) => true,
            _ => false,
        };
        let values = leaves().any(|leaf| in_memory(&leaf)).then(|| take(VALUES));
        let has_tail = |reader: usize| {
            layout.sections().get(reader).is_some_and(|placed| placed.schema.tail().is_some())
        };
        let in_tail = |leaf: &&Condition<'_>| match leaf {
            Condition::Value(Source::Section { reader, .. }, _) => has_tail(*reader),
            _ => false,
        };
        let readers = u32::try_from(shape.readers.len()).unwrap_or(u32::MAX);
        let tails = leaves().any(|leaf| in_tail(&leaf)).then(|| take(8 * readers));
        let tests = leaves().filter_map(|leaf| match leaf {
            Condition::Packet(test) => Some(packet::window(test)),
            _ => None,
        });
        let block = match tests.max().zip(shape.packet) {
            Some((window, (_, reader))) => {
                let block = Block::new(&reader.schema, window)?;
                Some((take(block.size()), block))
            }
            None => None,
        };
        Ok(Self { values, tails, block, size: (end - SLOT_HEADER).next_multiple_of(64) })
    }
}
