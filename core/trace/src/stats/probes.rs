//! The row of each probe: its events, and what became of its other hits. Losses are told in two ways, one by one in
//! their places and as a sum when a run ended in order; the larger one is the number.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use tracer_event::ProbeInfo;

use super::cell::Key;
use super::count::{Bound, Counts};
use crate::Account;

/// The columns that name a probe.
pub(super) const COLUMNS: [&str; 2] = ["tag", "probe"];

/// All probes of all sessions; those of one name are one.
#[derive(Debug, Default)]
pub(super) struct ProbeTable {
    numbers: HashMap<Box<[u8]>, usize, RandomState>,
    rows: Vec<ProbeRow>,
    /// The row of those that did not fit.
    others: Option<usize>,
}

/// What was seen of a probe.
#[derive(Debug, Default)]
pub(super) struct ProbeRow {
    pub(super) counts: Counts,
    lost: u64,
    /// Of `lost`, what was told one by one in this session, and what its account says.
    told: u64,
    accounted: u64,
    account: Account,
    /// How often the probe was in a session, and in how many accounts.
    sessions: u64,
    accounts: u64,
}

impl ProbeTable {
    /// The number of a probe's row.
    pub(super) fn row(&mut self, probe: &ProbeInfo, key: &mut Key, bound: &mut Bound) -> usize {
        key.clear().text(&probe.tag.to_string());
        key.text(&probe.name);
        if let Some(number) = self.numbers.get(key.bytes()) {
            return *number;
        }
        if bound.admit(self.numbers.len(), key.bytes()) {
            self.numbers.insert(key.bytes().into(), self.rows.len());
            self.rows.push(ProbeRow::new());
            return self.rows.len() - 1;
        }
        *self.others.get_or_insert_with(|| {
            self.rows.push(ProbeRow::new());
            self.rows.len() - 1
        })
    }

    pub(super) fn begin(&mut self, number: usize) {
        if let Some(row) = self.rows.get_mut(number) {
            row.sessions += 1;
            (row.told, row.accounted) = (0, 0);
        }
    }

    pub(super) fn counts(&mut self, number: usize) -> Option<&mut Counts> {
        Some(&mut self.rows.get_mut(number)?.counts)
    }

    pub(super) fn lose(&mut self, number: usize, events: u64) {
        if let Some(row) = self.rows.get_mut(number) {
            row.lost = row.lost.saturating_add(events);
            row.told = row.told.saturating_add(events);
        }
    }

    pub(super) fn account(&mut self, number: usize, account: &Account) {
        if let Some(row) = self.rows.get_mut(number) {
            row.account(account);
        }
    }

    /// Key and row of each probe, but the others.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&[u8], &ProbeRow)> {
        self.numbers.iter().filter_map(|(key, number)| Some((&**key, self.rows.get(*number)?)))
    }

    /// The probes that did not fit, all together.
    pub(super) fn others(&self) -> Option<&ProbeRow> {
        self.rows.get(self.others?)
    }

    /// Events lost of all probes.
    pub(super) fn lost(&self) -> u64 {
        self.rows.iter().fold(0, |lost, row| lost.saturating_add(row.lost))
    }
}

impl ProbeRow {
    fn new() -> ProbeRow {
        ProbeRow { account: Account { missed: Some(0), ..Account::default() }, ..ProbeRow::default() }
    }

    fn account(&mut self, account: &Account) {
        self.accounts += 1;
        let sum = &mut self.account;
        sum.hits = sum.hits.saturating_add(account.hits);
        sum.filtered = sum.filtered.saturating_add(account.filtered);
        sum.limited = sum.limited.saturating_add(account.limited);
        sum.delivered = sum.delivered.saturating_add(account.delivered);
        sum.lost = sum.lost.saturating_add(account.lost);
        sum.missed = sum.missed.zip(account.missed).map(|(sum, missed)| sum.saturating_add(missed));
        self.accounted = self.accounted.saturating_add(account.lost);
        let untold = self.accounted.saturating_sub(self.told);
        self.lost = self.lost.saturating_add(untold);
        self.told = self.told.saturating_add(untold);
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// What became of all hits; `None` where a session of the probe did not say.
    pub(super) fn known_account(&self) -> Option<Account> {
        (self.accounts == self.sessions).then_some(self.account)
    }
}
