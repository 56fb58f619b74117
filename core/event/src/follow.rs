//! What a sorted trace says of an event besides what is in it: that it is one more of a packet that was seen before. It
//! stands beside the event, not in it, so that the event stays what the probe saw.

/// What the second and later events of a packet have to do with those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follow {
    /// Nanoseconds since the packet's first event.
    pub since: u64,
    /// Events, of any probe and packet, that were lost between this one and the packet's event before it: one of this
    /// packet may be among them.
    pub lost: u64,
}
