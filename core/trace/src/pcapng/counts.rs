//! What became of the events, for whoever tells the user: a sink is given away and finished, so the counts are a handle
//! of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counts of a [`PcapngSink`](super::PcapngSink), also while it runs and after its end.
#[derive(Debug, Clone, Default)]
pub struct Counts(Arc<Numbers>);

#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) packets: Count,
    pub(super) without_packet: Count,
    pub(super) other_link: Count,
    pub(super) cut_text: Count,
    pub(super) long_json: Count,
}

/// A number that only goes up.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// Counts one if it is so.
    pub(super) fn add(&self, one: bool) {
        if one {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn number(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counts {
    /// Events that were written as packets.
    pub fn packets(&self) -> u64 {
        self.0.packets.number()
    }

    /// What is not in the file.
    pub fn skipped(&self) -> Skipped {
        Skipped {
            without_packet: self.0.without_packet.number(),
            other_link: self.0.other_link.number(),
            cut_text: self.0.cut_text.number(),
            long_json: self.0.long_json.number(),
        }
    }

    pub(super) fn numbers(&self) -> &Numbers {
        &self.0
    }
}

/// What a capture file could not take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use = "these events are not in the file, and the user does not know"]
pub struct Skipped {
    /// Events that are not in the file, because no byte of a packet was captured with them.
    pub without_packet: u64,
    /// Events that are not in the file, because the packet's link type is beyond the format's 16 bits.
    pub other_link: u64,
    /// Packets whose comment ends with an `…`, because the event's text has more than 61,440 bytes.
    pub cut_text: u64,
    /// Packets and sessions without their JSON, because it is too long: more than 65,531 bytes for a packet, 262,124
    /// for a session. A comment says so.
    pub long_json: u64,
}
