//! An event: a record together with what is needed to understand it. Sinks get this and nothing else, wherever the
//! record came from.

use std::{fmt, sync::Arc};

use crate::{Clock, Header, Layout, Record, RecordError, Symbols, Trim};

/// One probe hit, ready to be shown or stored.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Its bytes, checked.
    pub record: Record<'a>,
    /// The probe that was hit.
    pub probe: &'a ProbeInfo,
    /// What is known about the machine it was hit on.
    pub context: &'a Context<'a>,
}

/// What the records of one probe have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeInfo {
    /// The way it was asked for.
    pub tag: Tag,
    /// Its target, such as `__nft_trace_packet` or `skb:kfree_skb`.
    pub name: String,
    /// The way that was taken to attach it, such as `fentry`; empty where nothing was attached.
    pub way: String,
    /// The sections of its records.
    pub layout: Arc<Layout>,
    /// Which frames of its stacks are not the kernel's own doing.
    pub trim: Trim,
}

/// The way a probe was asked for, which need not be the way it was attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tag {
    /// `k`
    Kprobe,
    /// `kr`
    Kretprobe,
    /// `tp`
    RawTracepoint,
    /// `fe`
    Fentry,
    /// `fx`
    Fexit,
}

impl Tag {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Tag::Kprobe => "k",
            Tag::Kretprobe => "kr",
            Tag::RawTracepoint => "tp",
            Tag::Fentry => "fe",
            Tag::Fexit => "fx",
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known about the machine that events come from.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The inode number of the tracer's own network namespace: an event there need not say so.
    pub own_netns: Option<u64>,
    /// Names for stack addresses.
    pub symbols: &'a dyn Symbols,
    /// What the wall clock said in the meantime.
    pub clock: &'a Clock,
    /// Whether times are shown by the wall clock (UTC), not as nanoseconds of the monotonic clock.
    pub utc: bool,
    /// Whether text shows link headers: Ethernet addresses and types, and all of VLAN tags.
    pub link_header: bool,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("own_netns", &self.own_netns)
            .field("clock", &self.clock)
            .field("utc", &self.utc)
            .field("link_header", &self.link_header)
            .finish_non_exhaustive()
    }
}

/// The probes of a run; a record's header says which it is of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Probes(Vec<ProbeInfo>);

impl Probes {
    /// Probe *i* of the headers is `probes[i]`.
    pub fn new(probes: Vec<ProbeInfo>) -> Probes {
        Probes(probes)
    }

    /// All, by their numbers.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ProbeInfo> {
        self.0.iter()
    }

    /// The probe of that number.
    pub fn probe(&self, number: u16) -> Option<&ProbeInfo> {
        self.0.get(usize::from(number))
    }

    /// Checks a record against its probe's layout.
    ///
    /// # Errors
    ///
    /// A header that is too short or names no probe, and whatever [`Record::parse`] finds.
    pub fn event<'a>(&'a self, bytes: &'a [u8], context: &'a Context<'a>) -> Result<Event<'a>, RecordError> {
        let header = Header::read(bytes).ok_or(RecordError::NoHeader { bytes: bytes.len() })?;
        let number = header.probe;
        let probe = self.probe(number).ok_or(RecordError::Probe { probe: number, probes: self.0.len() })?;
        let record = Record::parse(bytes, &probe.layout)?;
        Ok(Event { record, probe, context })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{header, sample};

    #[test]
    fn the_header_says_which_probe() {
        let other = ProbeInfo { layout: Arc::new(sample::two_tails()), ..sample::probe() };
        let probes = Probes::new(vec![other, sample::probe()]);
        let context = sample::CONTEXT;
        let mut bytes = sample::record();
        bytes[header::PROBE] = 1;
        assert_eq!(probes.event(&bytes, &context).unwrap().probe, &sample::probe());
        bytes[header::PROBE] = 0;
        assert!(matches!(probes.event(&bytes, &context), Err(RecordError::Sections { .. })));
        bytes[header::PROBE] = 2;
        assert_eq!(probes.event(&bytes, &context).unwrap_err(), RecordError::Probe { probe: 2, probes: 2 });
        assert_eq!(probes.event(&[], &context).unwrap_err(), RecordError::NoHeader { bytes: 0 });
    }
}
