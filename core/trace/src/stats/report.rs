//! What was counted, as plain data: a table of probes, one for each section that has a key, and one of flows. Text and
//! JSON are made of this.

use std::{cmp::Ordering, fmt, str::FromStr};

use super::cell::{Cell, cells};
use super::count::{Counts, Keyed, Span};
use super::probes::ProbeRow;
use super::{StatsSink, Time, plan, probes};
use crate::Account;

/// What was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How many sessions were read.
    pub sessions: u64,
    /// Events of all of them.
    pub events: u64,
    /// Events that were lost.
    pub lost: u64,
    /// Bytes that the events' packets had before they were truncated; `None` where no event had a packet.
    pub bytes: Option<u64>,
    /// The times of the first event and of the last, all by one clock; `None` where there was no event.
    pub times: Option<(Time, Time)>,
    /// Nanoseconds from the first event to the last, of each session, summed up.
    pub duration: u64,
    /// How rows are sorted.
    pub order: Order,
    /// The tables: probes, sections in the order in which they were met, flows.
    pub tables: Vec<Table>,
}

/// What is counted of one kind of things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// `probe`, `flow`, or the section's name.
    pub name: String,
    /// What is in it.
    pub kind: TableKind,
    /// The names of the cells of a key.
    pub columns: Vec<String>,
    /// How many things were told apart; the report has no more than the top of them.
    pub keys: usize,
    /// The top, sorted.
    pub rows: Vec<Row>,
    /// What came when the table was full and was not in it, all counted as one; its key is empty.
    pub others: Option<Row>,
}

/// What a table is of. A section may have the name of one of the other two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// Probes.
    Probe,
    /// The things that a section is about.
    Section,
    /// Flows.
    Flow,
}

/// One thing, and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// A cell for each of the table's columns.
    pub key: Vec<Cell>,
    /// How many events.
    pub events: u64,
    /// Bytes that their packets had before they were truncated; `None` where none had a packet.
    pub bytes: Option<u64>,
    /// The times of the first one and of the last; `None` where there was none.
    pub times: Option<(Time, Time)>,
    /// Of probes: how many events were lost.
    pub lost: Option<u64>,
    /// Of probes: what became of all hits, where every session says so.
    pub account: Option<Account>,
}

/// Which part of what was counted a report shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportOptions {
    /// The most rows of a table.
    pub top: usize,
    /// Which rows come first.
    pub order: Order,
    /// The names of the tables; empty for all. A `-` in a name is a `_`.
    pub tables: Vec<String>,
}

impl Default for ReportOptions {
    fn default() -> ReportOptions {
        ReportOptions { top: 10, order: Order::Events, tables: Vec::new() }
    }
}

/// Which rows come first. Where two are alike, the key decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Those with the most events.
    #[default]
    Events,
    /// Those with the most bytes.
    Bytes,
    /// Those that were first seen earliest.
    First,
    /// Those that were last seen latest.
    Last,
}

impl Order {
    /// All, for help and completion.
    pub const ALL: [Order; 4] = [Order::Events, Order::Bytes, Order::First, Order::Last];

    fn spelling(self) -> &'static str {
        match self {
            Order::Events => "events",
            Order::Bytes => "bytes",
            Order::First => "first",
            Order::Last => "last",
        }
    }

    fn compare(self, one: &Entry<'_>, other: &Entry<'_>) -> Ordering {
        let ordering = match self {
            Order::Events => other.counts.events.cmp(&one.counts.events),
            Order::Bytes => other.counts.bytes().cmp(&one.counts.bytes()),
            Order::First => {
                let first = |entry: &Entry<'_>| entry.times.map(|(first, _)| first);
                // What was never seen comes last.
                (first(one).is_none(), first(one)).cmp(&(first(other).is_none(), first(other)))
            }
            Order::Last => {
                let last = |entry: &Entry<'_>| entry.times.map(|(_, last)| last);
                last(other).cmp(&last(one))
            }
        };
        ordering.then_with(|| one.key.cmp(other.key))
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spelling())
    }
}

impl FromStr for Order {
    type Err = UnknownOrder;

    fn from_str(spelling: &str) -> Result<Order, UnknownOrder> {
        let found = Order::ALL.into_iter().find(|order| order.spelling() == spelling);
        found.ok_or_else(|| UnknownOrder(spelling.to_owned()))
    }
}

/// An order that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("statistics cannot be sorted by '{}'; they can by: events, bytes, first, last", .0.escape_debug())]
pub struct UnknownOrder(pub String);

/// A table that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no table '{}'; there are: {}", .name.escape_debug(), .known.join(", "))]
pub struct UnknownTable {
    /// The name that was asked for.
    pub name: String,
    /// The names of the tables that there are. Which those are depends on the sections of the probes.
    pub known: Vec<String>,
}

/// A row in the making.
struct Entry<'a> {
    key: &'a [u8],
    counts: &'a Counts,
    times: Option<(Time, Time)>,
    probe: Option<&'a ProbeRow>,
}

impl StatsSink {
    /// What was counted so far.
    ///
    /// # Errors
    ///
    /// A table is asked for that there is not.
    pub fn report(&self, options: &ReportOptions) -> Result<Report, UnknownTable> {
        let names: Vec<String> = options.tables.iter().map(|name| name.replace('-', "_")).collect();
        let mut known = vec!["probe".to_owned()];
        known.extend(self.sections.iter().map(|section| section.name.clone()));
        known.push("flow".to_owned());
        if let Some(name) = names.iter().find(|name| !known.contains(name)) {
            known.dedup();
            return Err(UnknownTable { name: name.clone(), known });
        }
        let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);

        let mut tables = Vec::new();
        if wanted("probe") {
            tables.push(self.probe_table(options));
        }
        for section in self.sections.iter().filter(|section| wanted(&section.name)) {
            let table = Table::new(&section.name, TableKind::Section, &section.columns);
            tables.push(self.keyed_table(table, &section.keyed, options));
        }
        if wanted("flow") {
            let table = Table::new("flow", TableKind::Flow, &plan::FLOW);
            tables.push(self.keyed_table(table, &self.flows, options));
        }
        Ok(Report {
            sessions: self.sessions,
            events: self.total.events,
            lost: self.probes.lost(),
            bytes: self.total.bytes(),
            times: self.times(&self.total),
            duration: self
                .duration
                .saturating_add(self.session.map_or(0, |Span { first, last }| last - first)),
            order: options.order,
            tables,
        })
    }

    fn probe_table(&self, options: &ReportOptions) -> Table {
        let mut table = Table::new("probe", TableKind::Probe, &probes::COLUMNS);
        let entries = self.probes.rows().map(|(key, row)| self.entry(key, &row.counts, Some(row))).collect();
        table.fill(entries, options);
        table.others = self.probes.others().map(|row| self.entry(&[], &row.counts, Some(row)).row());
        table
    }

    fn keyed_table(&self, mut table: Table, keyed: &Keyed, options: &ReportOptions) -> Table {
        table.fill(keyed.rows().map(|(key, counts)| self.entry(key, counts, None)).collect(), options);
        table.others = keyed.others().map(|counts| self.entry(&[], counts, None).row());
        table
    }

    fn entry<'a>(&self, key: &'a [u8], counts: &'a Counts, probe: Option<&'a ProbeRow>) -> Entry<'a> {
        Entry { key, counts, times: self.times(counts), probe }
    }

    /// By the wall clock where that was asked for and known of every event, so that all times can be compared.
    fn times(&self, counts: &Counts) -> Option<(Time, Time)> {
        match counts.utc() {
            Some(Span { first, last }) if !self.utc_unknown => Some((Time::Utc(first), Time::Utc(last))),
            _ => {
                counts.monotonic().map(|Span { first, last }| (Time::Monotonic(first), Time::Monotonic(last)))
            }
        }
    }
}

impl Table {
    fn new(name: &str, kind: TableKind, columns: &[impl AsRef<str>]) -> Table {
        let columns = columns.iter().map(|column| column.as_ref().to_owned()).collect();
        Table { name: name.to_owned(), kind, columns, keys: 0, rows: Vec::new(), others: None }
    }

    /// Only the top is sorted, and only of the top cells are made: there may be a million.
    fn fill(&mut self, mut entries: Vec<Entry<'_>>, options: &ReportOptions) {
        let compare = |one: &Entry<'_>, other: &Entry<'_>| options.order.compare(one, other);
        self.keys = entries.len();
        if options.top < entries.len() {
            entries.select_nth_unstable_by(options.top, compare);
            entries.truncate(options.top);
        }
        entries.sort_unstable_by(compare);
        self.rows = entries.iter().map(Entry::row).collect();
    }
}

impl Entry<'_> {
    fn row(&self) -> Row {
        Row {
            key: cells(self.key),
            events: self.counts.events,
            bytes: self.counts.bytes(),
            times: self.times,
            lost: self.probe.map(ProbeRow::lost),
            account: self.probe.and_then(ProbeRow::known_account),
        }
    }
}
