//! The first pass: which events are not the first of their packet. Of each event of a packet its id, time and place are
//! kept, which is 44 bytes. Sorted by id and time, a packet's events are neighbours, and the first is the first; what is
//! found is put back into the order of the file, in which the second pass asks for it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tracer_event::{ClockSample, Session};

use crate::{Account, Shortfall};

use super::super::damage::Damage;
use super::super::replay::{Receiver, ReplayError, Show};
use super::super::state::{Entry, Events, State};
use super::sorter::{Sorted, Sorter, Space};

/// Looks at all events once.
pub(super) struct Survey<'a> {
    space: Space<'a>,
    /// By session, id, time, place; the item is what was lost before it.
    ids: Sorter<'a, 4>,
    /// Events lost in the session so far.
    lost: u64,
    seen: Seen,
}

/// What a pass saw, to be compared with what another did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) sessions: u64,
    /// Events and losses.
    pub(super) items: u64,
    /// Of the events that can be sorted.
    digest: u64,
}

/// What an event has to do with its packet's first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The time of that one.
    pub(super) first: u64,
    /// Events lost between this one and the packet's event before it.
    pub(super) lost: u64,
}

/// Of all events that follow others, in the order of the file.
pub(super) struct Follows {
    sorted: Sorted<1>,
    next: Option<(u64, Place)>,
}

impl Seen {
    /// Takes an event, and says which one it is.
    pub(super) fn event(&mut self, id: u64, time: u64) -> u64 {
        self.digest =
            (self.digest.rotate_left(7) ^ id ^ time.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.item()
    }

    /// Takes a loss, and says which item it is.
    pub(super) fn item(&mut self) -> u64 {
        self.items += 1;
        self.items - 1
    }
}

impl<'a> Survey<'a> {
    pub(super) fn new(space: Space<'a>) -> Survey<'a> {
        Survey { space, ids: Sorter::new(space), lost: 0, seen: Seen::default() }
    }

    /// What was seen, and what follows what.
    pub(super) fn finish(self) -> Result<(Seen, Follows), ReplayError> {
        let Survey { space, ids, seen, .. } = self;
        let follows = Follows::new(space, ids).map_err(|error| space.error(error))?;
        Ok((seen, follows))
    }
}

impl Receiver for Survey<'_> {
    fn begin(&mut self, _: &Session) -> io::Result<()> {
        self.seen.sessions += 1;
        self.lost = 0;
        Ok(())
    }

    fn clock(&mut self, _: ClockSample) -> io::Result<()> {
        Ok(())
    }

    fn account(&mut self, _: &[Account]) -> io::Result<()> {
        Ok(())
    }

    fn shortfall(&mut self, _: &Shortfall) -> io::Result<()> {
        self.seen.item();
        Ok(())
    }

    fn events(
        &mut self,
        state: &Arc<State>,
        events: Events,
        file: &Path,
        report: &mut dyn FnMut(Damage),
    ) -> Result<(), ReplayError> {
        let Survey { space, ids, lost, seen } = self;
        let decoded = state.decode(events, Show::default(), |entry| match entry {
            Entry::Event(event, follow) => {
                // Where it was sorted before, losses stand elsewhere, and this is what is left of their places.
                *lost = lost.saturating_add(follow.map_or(0, |follow| follow.lost));
                let (id, time) = (event.record.packet_id(), event.record.header().time);
                let place = seen.event(id.unwrap_or(0), time);
                id.map_or(Ok(()), |id| ids.push([seen.sessions, id, time, place], &[&lost.to_le_bytes()]))
            }
            Entry::Loss(loss, _) => {
                seen.item();
                *lost = lost.saturating_add(loss.events);
                Ok(())
            }
        });
        let decoded = decoded.map_err(|error| space.error(error))?;
        decoded.flaws.into_iter().for_each(|flaw| report(Damage::new(file, flaw)));
        Ok(())
    }
}

impl Follows {
    fn new(space: Space<'_>, ids: Sorter<'_, 4>) -> io::Result<Follows> {
        let mut follows = Sorter::new(space);
        let mut sorted = ids.finish()?;
        // Of the packet: session and id, the first time, and what was lost before the event before.
        let mut packet: Option<([u64; 2], u64, u64)> = None;
        while let Some(([session, id, time, place], bytes)) = sorted.next()? {
            let lost = number(bytes, 0);
            match &mut packet {
                Some((of, first, before)) if *of == [session, id] => {
                    let place_of = [*first, lost.saturating_sub(*before)].map(u64::to_le_bytes);
                    follows.push([place], &[place_of.as_flattened()])?;
                    *before = lost;
                }
                _ => packet = Some(([session, id], time, lost)),
            }
        }
        drop(sorted);
        let mut follows = Follows { sorted: follows.finish()?, next: None };
        follows.advance()?;
        Ok(follows)
    }

    fn advance(&mut self) -> io::Result<()> {
        let next = self.sorted.next()?;
        self.next =
            next.map(|([place], bytes)| (place, Place { first: number(bytes, 0), lost: number(bytes, 1) }));
        Ok(())
    }

    /// Whether and how the event at that place follows another. Places are asked for in ascending order.
    pub(super) fn of(&mut self, place: u64) -> io::Result<Option<Place>> {
        while self.next.is_some_and(|(next, _)| next < place) {
            self.advance()?;
        }
        match self.next {
            Some((next, follows)) if next == place => {
                self.advance()?;
                Ok(Some(follows))
            }
            _ => Ok(None),
        }
    }
}

/// A number of a few that were put together; 0 where it is not there.
pub(super) fn number(bytes: &[u8], index: usize) -> u64 {
    bytes.as_chunks::<8>().0.get(index).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
