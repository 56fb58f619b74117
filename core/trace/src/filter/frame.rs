//! A packet as tests see it: an Ethernet frame, whatever was captured. A VLAN tag that a device keeps apart is in its
//! place; where the data begins with the network header, only the EtherType stands before it, and addresses that are not
//! there are beyond the data.

use tracer_dsl::Diagnostic;
use tracer_dsl::filter::Filter;
use tracer_dsl::filter::bytes::{FRAME_MAX, Test};
use tracer_event::packet::{Capture, ETHERNET, RAW};

/// Bytes of an Ethernet header.
const HEADER: usize = 14;

/// A filter that is about packets only.
#[derive(Debug, Clone)]
pub struct PacketFilter(Test);

/// Reserved, so that no protocol has it.
const UNKNOWN: u16 = 0xffff;

impl PacketFilter {
    /// Compiles a filter.
    ///
    /// # Errors
    ///
    /// A part that is about the event, with its place in the filter's text; and what cannot be asked in its place, such
    /// as a VLAN tag behind an MPLS label.
    pub fn new(filter: &Filter) -> Result<PacketFilter, Box<Diagnostic>> {
        filter.packet().map(PacketFilter)
    }

    /// Whether a packet matches. One of another link type than Ethernet or raw IP does not.
    pub fn matches(&self, capture: &Capture<'_>) -> bool {
        holds(&self.0, capture)
    }
}

/// A sub-expression that reads beyond the data is false as a whole.
pub(super) fn holds(test: &Test, capture: &Capture<'_>) -> bool {
    Frame::new(capture).is_some_and(|frame| frame.holds(test).unwrap_or(false))
}

/// A test read beyond the data.
#[derive(Debug)]
pub(super) struct Beyond;

/// The bytes, and those that were put before them.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    front: [u8; HEADER + 4],
    front_len: usize,
    /// Bytes of `front` that are not known.
    unknown: usize,
    rest: &'a [u8],
    length: u32,
}

impl<'a> Frame<'a> {
    fn new(capture: &Capture<'a>) -> Option<Frame<'a>> {
        let Capture { bytes, link, ethertype, tag, original } = *capture;
        let mut frame =
            Frame { front: [0; HEADER + 4], front_len: 0, unknown: 0, rest: bytes, length: original };
        match link {
            ETHERNET => {
                if let (Some(tag), Some((addresses, rest))) = (tag, bytes.split_at_checked(HEADER - 2)) {
                    frame.push(addresses);
                    frame.push(&tag.ethertype.to_be_bytes());
                    frame.push(&tag.control.to_be_bytes());
                    frame.rest = rest;
                    frame.length = original.saturating_add(4);
                }
            }
            RAW => {
                frame.front_len = HEADER - 2;
                frame.unknown = HEADER - 2;
                if let Some(tag) = tag {
                    frame.push(&tag.ethertype.to_be_bytes());
                    frame.push(&tag.control.to_be_bytes());
                }
                let ethertype = match (ethertype, bytes.first().map(|first| first >> 4)) {
                    (0, Some(4)) => 0x0800,
                    (0, Some(6)) => 0x86dd,
                    // 0 would be a length, and LLC behind it.
                    (0, _) => UNKNOWN,
                    (known, _) => known,
                };
                frame.push(&ethertype.to_be_bytes());
            }
            _ => return None,
        }
        Some(frame)
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Some(place) = self.front.get_mut(self.front_len..self.front_len + bytes.len()) {
            place.copy_from_slice(bytes);
            self.front_len += bytes.len();
        }
    }

    /// Bytes that the packet had.
    pub(super) fn length(&self) -> u32 {
        self.length
    }

    /// The number in network order of `size` bytes at `offset`.
    pub(super) fn number(&self, offset: usize, size: u8) -> Result<u32, Beyond> {
        let end = offset.checked_add(usize::from(size)).filter(|end| *end <= FRAME_MAX).ok_or(Beyond)?;
        (offset..end).try_fold(0, |number, at| Ok(number << 8 | u32::from(self.byte(at)?)))
    }

    fn byte(&self, at: usize) -> Result<u8, Beyond> {
        if at < self.unknown {
            return Err(Beyond);
        }
        let byte = match at.checked_sub(self.front_len) {
            None => self.front.get(at),
            Some(at) => self.rest.get(at),
        };
        byte.copied().ok_or(Beyond)
    }
}
