//! The series block: which of the events behind it are of one packet, in a trace that was sorted. It stands in a block of its
//! own kind, which a reader that does not know it skips, and before each block of events, so that threads can work on those
//! without knowing what was in the block before.

use std::iter::Peekable;
use std::slice;

use serde::{Deserialize, Serialize};
use tracer_event::Follow;

use super::block::JSON;
use super::damage::BlockProblem;
use super::scan::Block;

/// What is in a series block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SeriesForm {
    /// The time of the packet's first event, if the first event of the block goes on with a packet of the block before.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<u64>,
    /// The events of each packet, one packet behind the other.
    lengths: Vec<u32>,
    /// What was lost before an event, since the event before it: the event's number in the block, and the events lost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lost: Vec<(u32, u64)>,
}

impl SeriesForm {
    /// What a block says.
    pub(super) fn read(block: Block) -> Result<SeriesForm, BlockProblem> {
        match block.header.payload(block.stored) {
            Ok(payload) if payload.len() <= JSON => {
                serde_json::from_slice(&payload).map_err(|error| BlockProblem::Payload(error.to_string()))
            }
            Ok(payload) => {
                Err(BlockProblem::Payload(format!("{} bytes are more than {JSON}", payload.len())))
            }
            Err(error) => Err(BlockProblem::Payload(error.to_string())),
        }
    }
}

/// The series of a block in the making; of one without followers there is nothing to say.
#[derive(Debug, Default)]
pub(super) struct SeriesPacker(Option<SeriesForm>);

impl SeriesPacker {
    /// Takes the block's event of that number and time, and what it follows.
    pub(super) fn event(&mut self, number: u32, time: u64, follow: Option<Follow>) {
        let Some(Follow { since, lost }) = follow else {
            if let Some(form) = &mut self.0 {
                form.lengths.push(1);
            }
            return;
        };
        // No event before this one in the block follows another.
        let form = self
            .0
            .get_or_insert_with(|| SeriesForm { lengths: vec![1; number as usize], ..SeriesForm::default() });
        match form.lengths.last_mut() {
            Some(length) => *length += 1,
            None => {
                form.first = Some(time.saturating_sub(since));
                form.lengths.push(1);
            }
        }
        if lost > 0 {
            form.lost.push((number, lost));
        }
    }

    /// What there is to say, and is empty.
    pub(super) fn take(&mut self) -> Option<SeriesForm> {
        self.0.take()
    }
}

/// Which events of a block follow others.
#[derive(Debug)]
pub(super) struct Followers<'a> {
    lengths: slice::Iter<'a, u32>,
    lost: Peekable<slice::Iter<'a, (u32, u64)>>,
    /// The time of the packet's first event, if it is known.
    first: Option<u64>,
    /// Events of the packet that are still to come.
    left: u32,
    /// The event that is next.
    number: u32,
}

impl<'a> Followers<'a> {
    pub(super) fn new(form: Option<&'a SeriesForm>) -> Followers<'a> {
        let (first, lengths, lost) = match form {
            Some(SeriesForm { first, lengths, lost }) => (*first, lengths.as_slice(), lost.as_slice()),
            None => (None, [].as_slice(), [].as_slice()),
        };
        let mut lengths = lengths.iter();
        let left = if first.is_some() { lengths.next().copied().unwrap_or(0) } else { 0 };
        Followers { lengths, lost: lost.iter().peekable(), first, left, number: 0 }
    }

    /// What the next event follows; its time is `None` if it cannot be read. An event whose packet's first one is not known
    /// is told as the first.
    pub(super) fn next(&mut self, time: Option<u64>) -> Option<Follow> {
        let number = self.number;
        self.number = number.saturating_add(1);
        while self.lost.next_if(|(before, _)| *before < number).is_some() {}
        let lost = self.lost.next_if(|(at, _)| *at == number).map_or(0, |(_, lost)| *lost);
        if self.left == 0 {
            self.left = *self.lengths.next()?;
            self.first = None;
        }
        self.left = self.left.saturating_sub(1);
        match (self.first, time) {
            (Some(first), Some(time)) => Some(Follow { since: time.saturating_sub(first), lost }),
            (None, time) => {
                self.first = time;
                None
            }
            (Some(_), None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn follow(since: u64, lost: u64) -> Option<Follow> {
        Some(Follow { since, lost })
    }

    fn packed(events: &[(u64, Option<Follow>)]) -> Option<SeriesForm> {
        let mut packer = SeriesPacker::default();
        (0..).zip(events).for_each(|(number, (time, follow))| packer.event(number, *time, *follow));
        packer.take()
    }

    fn told(form: Option<&SeriesForm>, times: impl IntoIterator<Item = Option<u64>>) -> Vec<Option<Follow>> {
        let mut followers = Followers::new(form);
        times.into_iter().map(|time| followers.next(time)).collect()
    }

    #[test]
    fn followers_come_back() {
        let blocks = [
            vec![(5, None), (6, None), (9, follow(3, 0)), (10, follow(4, 17)), (11, None)],
            vec![(20, follow(14, 1)), (21, follow(15, 0)), (7, None)],
            vec![(7, None), (8, follow(1, 2))],
            vec![(9, follow(1, 0))],
            vec![(1, None), (2, None)],
            vec![],
        ];
        for events in blocks {
            let form = packed(&events);
            assert_eq!(form.is_some(), events.iter().any(|(_, follow)| follow.is_some()));
            let back = told(form.as_ref(), events.iter().map(|(time, _)| Some(*time)));
            assert_eq!(back, events.iter().map(|(_, follow)| *follow).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_makes_no_sense_is_no_follower() {
        let form = SeriesForm { first: Some(9), lengths: vec![2, 0, 3], lost: vec![(4, 7), (1, 8), (9, 9)] };
        let times = [Some(5), Some(12), Some(13), Some(14), None, Some(16), Some(17), Some(18)];
        // Earlier than the first; of a packet of no events; more events than were told of.
        let expected = [follow(0, 0), follow(3, 0), None, None, None, follow(2, 0), None, None];
        assert_eq!(told(Some(&form), times), expected);
        let unknown = SeriesForm { lengths: vec![3], ..SeriesForm::default() };
        assert_eq!(told(Some(&unknown), [None, Some(3), Some(5)]), [None, None, follow(2, 0)]);
    }
}
