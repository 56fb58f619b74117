//! The small blocks: names of addresses, looks at the clocks, the account, and the end with its index. All are JSON.

use serde::{Deserialize, Serialize};
use tracer_event::{ClockSample, Shortfall};

use crate::Account;

/// An address, the function it is in, and the bytes from that function's start.
pub(super) type SymbolForm = (u64, String, u64);

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct ClockForm {
    monotonic: u64,
    realtime: i64,
}

impl From<ClockSample> for ClockForm {
    fn from(sample: ClockSample) -> ClockForm {
        ClockForm { monotonic: sample.monotonic, realtime: sample.realtime }
    }
}

impl From<ClockForm> for ClockSample {
    fn from(form: ClockForm) -> ClockSample {
        ClockSample { monotonic: form.monotonic, realtime: form.realtime }
    }
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct AccountForm {
    hits: u64,
    filtered: u64,
    limited: u64,
    delivered: u64,
    lost: u64,
    missed: Option<u64>,
}

impl From<Account> for AccountForm {
    fn from(account: Account) -> AccountForm {
        let Account { hits, filtered, limited, delivered, lost, missed } = account;
        AccountForm { hits, filtered, limited, delivered, lost, missed }
    }
}

impl From<AccountForm> for Account {
    fn from(form: AccountForm) -> Account {
        let AccountForm { hits, filtered, limited, delivered, lost, missed } = form;
        Account { hits, filtered, limited, delivered, lost, missed }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ShortfallForm {
    collector: String,
    what: String,
    count: u64,
    time: u64,
}

impl From<Shortfall> for ShortfallForm {
    fn from(shortfall: Shortfall) -> ShortfallForm {
        let Shortfall { collector, what, count, time } = shortfall;
        ShortfallForm { collector, what, count, time }
    }
}

impl From<ShortfallForm> for Shortfall {
    fn from(form: ShortfallForm) -> Shortfall {
        let ShortfallForm { collector, what, count, time } = form;
        Shortfall { collector, what, count, time }
    }
}

/// What a file has in it, told at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct End {
    pub(super) events: u64,
    pub(super) lost: u64,
    pub(super) index: Vec<IndexEntry>,
}

/// An events block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct IndexEntry {
    /// Where it is, in bytes from the start of the file.
    pub(super) offset: u64,
    /// Events in the file before it.
    pub(super) events: u64,
    /// The time of its first event.
    pub(super) time: u64,
}

/// An index that never grows beyond [`Index::MOST`] entries: when it is full, every other one goes.
#[derive(Debug)]
pub(super) struct Index {
    entries: Vec<IndexEntry>,
    /// Of how many blocks one is entered.
    stride: u64,
    blocks: u64,
}

impl Index {
    const MOST: usize = 4096;

    pub(super) fn new() -> Index {
        Index { entries: Vec::new(), stride: 1, blocks: 0 }
    }

    pub(super) fn add(&mut self, entry: IndexEntry) {
        if self.blocks.is_multiple_of(self.stride) {
            if self.entries.len() == Index::MOST {
                let mut number = 0;
                self.entries.retain(|_| {
                    number += 1;
                    number % 2 == 1
                });
                self.stride *= 2;
            }
            // With the longer stride it may not be this one's turn any more.
            if self.blocks.is_multiple_of(self.stride) {
                self.entries.push(entry);
            }
        }
        self.blocks += 1;
    }

    pub(super) fn take(&mut self) -> Vec<IndexEntry> {
        std::mem::replace(self, Index::new()).entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_stays_small_and_even() {
        let mut index = Index::new();
        for offset in 0..100_000 {
            index.add(IndexEntry { offset, ..IndexEntry::default() });
        }
        let entries = index.take();
        assert!(entries.len() <= Index::MOST && entries.len() > Index::MOST / 4, "{}", entries.len());
        assert!(entries.iter().zip(0..).all(|(entry, i)| entry.offset == i * 32), "{:?}", &entries[..4]);
    }
}
