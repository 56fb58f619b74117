//! Counting, within bounds. A trace of a port scan has as many flows as packets, and whoever wrote a trace may have made
//! up any number of names, so a table is exact until it is full; what comes later and is not in it is counted as one,
//! and the report says so.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// What was seen of one thing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) events: u64,
    /// Events with a packet.
    packets: u64,
    bytes: u64,
    monotonic: Option<Span<u64>>,
    utc: Option<Span<i64>>,
}

/// The first and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span<T> {
    pub(super) first: T,
    pub(super) last: T,
}

/// What one event adds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    /// Bytes of its packet, where it has one.
    pub(super) bytes: Option<u32>,
    /// Nanoseconds of the monotonic clock.
    pub(super) monotonic: u64,
    /// Nanoseconds since 1970, where that is wanted and known.
    pub(super) utc: Option<i64>,
}

impl Counts {
    pub(super) fn add(&mut self, hit: &Hit) {
        self.events += 1;
        if let Some(bytes) = hit.bytes {
            self.packets += 1;
            self.bytes = self.bytes.saturating_add(u64::from(bytes));
        }
        Span::add(&mut self.monotonic, hit.monotonic);
        if let Some(utc) = hit.utc {
            Span::add(&mut self.utc, utc);
        }
    }

    /// Bytes of all packets; `None` where there were none.
    pub(super) fn bytes(&self) -> Option<u64> {
        (self.packets > 0).then_some(self.bytes)
    }

    pub(super) fn monotonic(&self) -> Option<Span<u64>> {
        self.monotonic
    }

    pub(super) fn utc(&self) -> Option<Span<i64>> {
        self.utc
    }
}

impl<T: Copy + Ord> Span<T> {
    /// Events of several CPUs are not quite in order.
    pub(super) fn add(span: &mut Option<Span<T>>, at: T) {
        *span = Some(match *span {
            Some(Span { first, last }) => Span { first: first.min(at), last: last.max(at) },
            None => Span { first: at, last: at },
        });
    }
}

/// How much all tables of a sink may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    /// Keys of one table.
    pub(super) keys: usize,
    /// Bytes of all tables, about.
    pub(super) bytes: usize,
}

impl Default for Bound {
    /// A million flows take some 250 MB; names are shorter than the bytes allow for unless somebody means ill.
    fn default() -> Bound {
        Bound { keys: 1_000_000, bytes: 512 << 20 }
    }
}

impl Bound {
    /// Bytes that a key takes besides itself. A map that has just grown is less than half full, so there are two places
    /// and a bit per key; the rest is the key's allocation.
    const OVERHEAD: usize = 256;

    /// Takes room for one more key of a table that has `keys`; `false` where there is none.
    pub(super) fn admit(&mut self, keys: usize, key: &[u8]) -> bool {
        match self.bytes.checked_sub(key.len() + Bound::OVERHEAD) {
            Some(left) if keys < self.keys => {
                self.bytes = left;
                true
            }
            _ => false,
        }
    }
}

/// Keys, each with what was seen of it.
///
/// Whoever sends packets chooses flows: the hasher has a seed of its own in each process, which makes it hard to choose
/// them so that they collide.
#[derive(Debug, Default)]
pub(super) struct Keyed {
    rows: HashMap<Box<[u8]>, Counts, RandomState>,
    others: Option<Counts>,
}

impl Keyed {
    pub(super) fn count(&mut self, key: &[u8], hit: &Hit, bound: &mut Bound) {
        if let Some(counts) = self.rows.get_mut(key) {
            return counts.add(hit);
        }
        if bound.admit(self.rows.len(), key) {
            self.rows.entry(key.into()).or_default().add(hit);
        } else {
            self.others.get_or_insert_default().add(hit);
        }
    }

    pub(super) fn rows(&self) -> impl ExactSizeIterator<Item = (&[u8], &Counts)> {
        self.rows.iter().map(|(key, counts)| (&**key, counts))
    }

    /// What came when the table was full, all keys together.
    pub(super) fn others(&self) -> Option<&Counts> {
        self.others.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIT: Hit = Hit { bytes: Some(60), monotonic: 5, utc: None };

    #[test]
    fn counts_add_up() {
        let mut counts = Counts::default();
        assert_eq!((counts.bytes(), counts.monotonic()), (None, None));
        counts.add(&Hit { bytes: None, ..HIT });
        assert_eq!(counts.bytes(), None);
        counts.add(&Hit { monotonic: 3, utc: Some(-7), ..HIT });
        counts.add(&Hit { bytes: Some(0), ..HIT });
        assert_eq!((counts.events, counts.bytes()), (3, Some(60)));
        assert_eq!(counts.monotonic(), Some(Span { first: 3, last: 5 }));
        assert_eq!(counts.utc(), Some(Span { first: -7, last: -7 }));
    }

    #[test]
    fn a_key_takes_what_is_reckoned() {
        // At worst 16 places for 7 keys, a byte of the map's own for each, and an allocation in steps of 16.
        let place = size_of::<(Box<[u8]>, Counts)>() + 1;
        assert!(place * 16 / 7 + 32 <= Bound::OVERHEAD, "{place}");
    }

    #[test]
    fn what_does_not_fit_is_counted_together() {
        let mut bound = Bound { keys: 2, bytes: usize::MAX };
        let mut keyed = Keyed::default();
        for key in [b"a", b"b", b"c", b"a", b"d", b"c"] {
            keyed.count(key, &HIT, &mut bound);
        }
        let mut rows: Vec<(&[u8], u64)> = keyed.rows().map(|(key, counts)| (key, counts.events)).collect();
        rows.sort_unstable();
        assert_eq!(rows, [(&b"a"[..], 2), (b"b", 1)]);
        assert_eq!(keyed.others().map(|others| others.events), Some(3));
    }

    #[test]
    fn long_keys_use_up_the_bytes() {
        let mut bound = Bound { keys: 10, bytes: 2 * Bound::OVERHEAD + 100 };
        assert!(bound.admit(0, &[0; 60]));
        assert!(!bound.admit(1, &[0; 60]), "only 40 are left");
        assert!(bound.admit(1, &[0; 40]));
        assert!(!bound.admit(2, &[]));
    }
}
