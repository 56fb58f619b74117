//! Statistics: how often what was seen, instead of each event. A [`StatsSink`] counts, a [`Report`] is what it counted,
//! as plain data, as aligned text ([`Report`]'s `Display`) and as JSON ([`Report::to_json`]).
//!
//! What is counted follows from the schemas: probes, the things that sections with a key are about (a section's key is
//! the fields that together name a thing, such as a rule), and the flows of packets. Names and handles are those of a
//! network namespace, so a thing of another namespace is another thing.

mod cell;
mod count;
mod json;
mod output;
mod plan;
mod probes;
mod report;
mod text;
mod time;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, io};

use tracer_event::packet::Packet;
use tracer_event::{Event, Session};

pub use cell::Cell;
pub use output::{StatsFormat, StatsOutput};
pub use report::{Order, Report, ReportOptions, Row, Table, TableKind, UnknownOrder, UnknownTable};
pub use time::Time;

use crate::{Account, Loss, Sink};
use cell::Key;
use count::{Bound, Counts, Hit, Keyed, Span};
use plan::Plan;
use probes::ProbeTable;

/// Counts events, see [`StatsSink::report`]. It writes nothing; [`StatsOutput`] does.
///
/// Its memory is bounded: about half a GiB at most, a million keys of each table at most. Until then all numbers are
/// exact, also those of rows that a report leaves out.
#[derive(Debug, Default)]
pub struct StatsSink {
    bound: Bound,
    /// Used for one key after the other.
    key: Key,
    total: Counts,
    probes: ProbeTable,
    sections: Vec<SectionTable>,
    /// The number of a section's table, by its name and columns: those of two sessions may differ.
    section_numbers: HashMap<(String, Vec<String>), usize>,
    flows: Keyed,
    sessions: u64,
    /// By the numbers of this session's probes.
    plans: Vec<Plan>,
    /// This session's events.
    session: Option<Span<u64>>,
    /// Nanoseconds of the sessions before.
    duration: u64,
    /// The wall clock was asked for, and not known of some event.
    utc_unknown: bool,
}

/// The things that a section is about.
#[derive(Debug)]
struct SectionTable {
    name: String,
    columns: Vec<String>,
    keyed: Keyed,
}

impl StatsSink {
    /// Has counted nothing.
    pub fn new() -> StatsSink {
        StatsSink::default()
    }

    fn plan(&mut self, session: &Session) {
        let StatsSink { probes, sections, section_numbers, key, bound, .. } = self;
        let mut table = |name: &str, columns: Vec<String>| {
            *section_numbers.entry((name.to_owned(), columns)).or_insert_with_key(|(name, columns)| {
                let (name, columns) = (name.clone(), columns.clone());
                sections.push(SectionTable { name, columns, keyed: Keyed::default() });
                sections.len() - 1
            })
        };
        self.plans.clear();
        for probe in session.probes.iter() {
            let row = probes.row(probe, key, bound);
            probes.begin(row);
            self.plans.push(Plan::new(&probe.layout, row, &mut table));
        }
    }
}

impl Sink for StatsSink {
    fn begin(&mut self, session: &Session) -> io::Result<()> {
        if let Some(Span { first, last }) = self.session.take() {
            self.duration = self.duration.saturating_add(last - first);
        }
        self.sessions += 1;
        self.plan(session);
        Ok(())
    }

    /// # Errors
    ///
    /// The event is of a probe that the session does not have.
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let StatsSink { plans, key, bound, .. } = self;
        let header = event.record.header();
        let plan = plans.get(usize::from(header.probe)).ok_or_else(|| {
            let (probe, probes) = (header.probe, plans.len());
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("an event is of probe {probe}, but its session has {probes} probes"),
            )
        })?;
        let capture = plan.capture(event);
        let utc = if event.context.utc { event.context.clock.realtime(header.time) } else { None };
        self.utc_unknown |= event.context.utc && utc.is_none();
        let bytes = capture.map(|capture| capture.original);
        let hit = Hit { bytes, monotonic: header.time, utc };

        self.total.add(&hit);
        Span::add(&mut self.session, header.time);
        if let Some(counts) = self.probes.counts(plan.probe) {
            counts.add(&hit);
        }
        let netns = plan.netns(event);
        for thing in &plan.keyed {
            if thing.key(event, netns, key.clear())
                && let Some(table) = self.sections.get_mut(thing.table)
            {
                table.keyed.count(key.bytes(), &hit, bound);
            }
        }
        if let Some(flow) = capture.and_then(|capture| Packet::decode_outermost(&capture).flow()) {
            plan::flow(&flow, netns, event.context, key.clear());
            self.flows.count(key.bytes(), &hit, bound);
        }
        Ok(())
    }

    fn loss(&mut self, loss: &Loss<'_>) -> io::Result<()> {
        let row = self.probes.row(loss.probe, &mut self.key, &mut self.bound);
        self.probes.lose(row, loss.events);
        Ok(())
    }

    fn account(&mut self, accounts: &[Account]) -> io::Result<()> {
        for (plan, account) in self.plans.iter().zip(accounts) {
            self.probes.account(plan.probe, account);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}
