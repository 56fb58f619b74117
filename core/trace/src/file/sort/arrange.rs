//! The second pass: records and losses by the time of their packet's first event, session after session. Once all of a session
//! was seen, it is given to the sink.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tracer_event::{ClockSample, Event, Follow, Session};

use crate::{Account, Loss, Shortfall, Sink};

use super::super::damage::Damage;
use super::super::replay::{Receiver, ReplayError, Replayed, Show};
use super::super::state::{Entry, Events, State};
use super::sorter::{Sorter, Space};
use super::survey::{Follows, Place, Seen, number};

/// What stands in front of an item, to say what it is.
const FIRST: &[u8] = &[0];
const FOLLOWER: &[u8] = &[1];
const LOSS: &[u8] = &[2];
const SHORTFALL: &[u8] = &[3];

/// Sorts sessions and gives them to a sink.
pub(super) struct Arrange<'a> {
    space: Space<'a>,
    show: Show,
    select: &'a mut dyn FnMut(&Event<'_>) -> bool,
    sink: &'a mut dyn Sink,
    /// Is told how many of how many items were given to the sink.
    done: &'a dyn Fn(u64, u64),
    /// What the pass before saw.
    expected: Seen,
    seen: Seen,
    /// Whether there are sessions that there were not before.
    beyond: bool,
    follows: Follows,
    /// By the first event of the packet, its id, the event's own time, its place.
    items: Sorter<'a, 4>,
    pushed: u64,
    given: u64,
    accounts: Vec<Account>,
    replayed: Replayed,
}

impl<'a> Arrange<'a> {
    pub(super) fn new(
        space: Space<'a>,
        show: Show,
        select: &'a mut dyn FnMut(&Event<'_>) -> bool,
        sink: &'a mut dyn Sink,
        done: &'a dyn Fn(u64, u64),
        expected: Seen,
        follows: Follows,
    ) -> Arrange<'a> {
        Arrange {
            space,
            show,
            select,
            sink,
            done,
            expected,
            seen: Seen::default(),
            beyond: false,
            follows,
            items: Sorter::new(space),
            pushed: 0,
            given: 0,
            accounts: Vec::new(),
            replayed: Replayed::default(),
        }
    }

    /// What was in the trace.
    pub(super) fn finish(self) -> Result<Replayed, ReplayError> {
        if self.seen == self.expected { Ok(self.replayed) } else { Err(ReplayError::Changed) }
    }

    /// Keeps an item until its session ends. Of a file that is still written to, more is read than was surveyed; that is
    /// left out.
    fn take(&mut self, session: &Session, entry: &Entry<'_>) -> io::Result<()> {
        if self.beyond || self.seen.items >= self.expected.items {
            return Ok(());
        }
        match entry {
            Entry::Event(event, _) => {
                let (id, time) = (event.record.packet_id().unwrap_or(0), event.record.header().time);
                let place = self.seen.event(id, time);
                let follows = self.follows.of(place)?;
                self.replayed.events += 1;
                if !(self.select)(event) {
                    return Ok(());
                }
                self.replayed.selected += 1;
                self.pushed += 1;
                let record = event.record.bytes();
                match follows {
                    None => self.items.push([time, id, time, place], &[FIRST, record]),
                    Some(Place { first, lost }) => {
                        self.items.push([first, id, time, place], &[FOLLOWER, &lost.to_le_bytes(), record])
                    }
                }
            }
            Entry::Loss(loss, _) => {
                let place = self.seen.item();
                self.replayed.lost = self.replayed.lost.saturating_add(loss.events);
                let probe = session.probes.iter().position(|probe| std::ptr::eq(probe, loss.probe));
                // It is one of the session's: the loss was read by them.
                let Some(probe) = probe else { return Ok(()) };
                self.pushed += 1;
                // After all, where the time is not known: that is what it says.
                let time = loss.before.unwrap_or(u64::MAX);
                let known = u64::from(loss.before.is_some());
                let numbers = [probe as u64, u64::from(loss.cpu), loss.events, known].map(u64::to_le_bytes);
                self.items.push([time, 0, time, place], &[LOSS, numbers.as_flattened()])
            }
        }
    }

    /// Gives all of a session to the sink.
    fn give(&mut self, state: &State, session: &Session) -> Result<(), ReplayError> {
        let sorter = std::mem::replace(&mut self.items, Sorter::new(self.space));
        let mut sorted = sorter.finish().map_err(|error| self.space.error(error))?;
        let accounts = std::mem::take(&mut self.accounts);
        let context = state.context(session, self.show);
        let sink = &mut *self.sink;
        sink.begin(session).map_err(ReplayError::Sink)?;
        for sample in state.clock().samples() {
            sink.clock(*sample).map_err(ReplayError::Sink)?;
        }
        while let Some(([first, _, time, _], item)) =
            sorted.next().map_err(|error| self.space.error(error))?
        {
            let event = |sink: &mut dyn Sink, record| {
                let event = session.probes.event(record, &context).map_err(io::Error::other)?;
                sink.event(&event)
            };
            let given = match item.split_at_checked(1) {
                Some((FIRST, record)) => event(sink, record),
                Some((FOLLOWER, rest)) => {
                    let (lost, record) = rest.split_at_checked(8).unwrap_or_default();
                    let follow = Follow { since: time.saturating_sub(first), lost: number(lost, 0) };
                    sink.follow(follow).and_then(|()| event(sink, record))
                }
                Some((SHORTFALL, rest)) => {
                    let (count, texts) = rest.split_at_checked(8).unwrap_or_default();
                    let texts = String::from_utf8_lossy(texts);
                    let (collector, what) = texts.split_once('\0').unwrap_or_default();
                    let (collector, what) = (collector.to_owned(), what.to_owned());
                    sink.shortfall(&Shortfall { collector, what, count: number(count, 0), time })
                }
                Some((_, numbers)) => {
                    let [probe, cpu, events, known] = [0, 1, 2, 3].map(|index| number(numbers, index));
                    let probe = u16::try_from(probe).ok().and_then(|probe| session.probes.probe(probe));
                    let before = (known != 0).then_some(time);
                    let cpu = u16::try_from(cpu).unwrap_or(u16::MAX);
                    probe.map_or(Ok(()), |probe| sink.loss(&Loss { events, probe, cpu, before }))
                }
                None => Ok(()),
            };
            given.map_err(ReplayError::Sink)?;
            self.given += 1;
            if self.given.is_multiple_of(4096) {
                (self.done)(self.given, self.expected.items);
            }
        }
        if !accounts.is_empty() {
            sink.account(&accounts).map_err(ReplayError::Sink)?;
        }
        sink.flush().map_err(ReplayError::Sink)
    }
}

impl Receiver for Arrange<'_> {
    fn begin(&mut self, _: &Session) -> io::Result<()> {
        self.beyond = self.seen.sessions >= self.expected.sessions;
        if !self.beyond {
            self.seen.sessions += 1;
        }
        Ok(())
    }

    fn clock(&mut self, _: ClockSample) -> io::Result<()> {
        Ok(())
    }

    fn account(&mut self, accounts: &[Account]) -> io::Result<()> {
        // Of traces that were put one behind the other there are several; one of all of them is as true.
        // By the numbers of probes, which are `u16`.
        let probes = accounts.len().min(1 << 16);
        self.accounts.resize(self.accounts.len().max(probes), Account::default());
        for (sum, account) in self.accounts.iter_mut().zip(accounts) {
            let Account { hits, filtered, limited, delivered, lost, missed } = *account;
            let is_first = *sum == Account::default();
            sum.hits = sum.hits.saturating_add(hits);
            sum.filtered = sum.filtered.saturating_add(filtered);
            sum.limited = sum.limited.saturating_add(limited);
            sum.delivered = sum.delivered.saturating_add(delivered);
            sum.lost = sum.lost.saturating_add(lost);
            sum.missed = match (sum.missed, missed) {
                (Some(sum), Some(missed)) => Some(sum.saturating_add(missed)),
                (_, missed) if is_first => missed,
                _ => None,
            };
        }
        Ok(())
    }

    fn shortfall(&mut self, shortfall: &Shortfall) -> io::Result<()> {
        if self.beyond || self.seen.items >= self.expected.items {
            return Ok(());
        }
        let place = self.seen.item();
        self.pushed += 1;
        let Shortfall { collector, what, count, time } = shortfall;
        let item = [SHORTFALL, &count.to_le_bytes(), collector.as_bytes(), b"\0", what.as_bytes()];
        self.items.push([*time, 0, *time, place], &item)
    }

    fn events(
        &mut self,
        state: &Arc<State>,
        events: Events,
        _: &Path,
        _: &mut dyn FnMut(Damage),
    ) -> Result<(), ReplayError> {
        let Some(session) = state.session() else { return Ok(()) };
        let decoded = state.decode(events, self.show, |entry| self.take(session, &entry));
        decoded.map(drop).map_err(|error| self.space.error(error))
    }

    fn end(&mut self, state: &State) -> Result<(), ReplayError> {
        let Some(session) = state.session().filter(|_| !self.beyond) else { return Ok(()) };
        // Not what was surveyed, so what follows what is not known.
        let is_last = self.seen.sessions == self.expected.sessions;
        if is_last && self.seen != self.expected {
            return Err(ReplayError::Changed);
        }
        self.give(state, session)
    }
}
