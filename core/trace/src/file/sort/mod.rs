//! A trace put in order: the events of each packet together, packets by their first events. The trace may be larger than
//! memory, and so may the number of packets in it, so nothing is kept by packet: whatever does not fit is sorted in pieces
//! and merged from temporary files ([`sorter`]).
//!
//! It takes two passes. The first looks at ids and times only, and finds which events follow others, and whom
//! ([`survey`]). The second takes the records, each with the time of its packet's first event, and sorts those
//! ([`arrange`]). So records are put into temporary files once, and not once for each of the two orders.
//!
//! Sessions stay apart: an id and a time say something in their session only.

mod arrange;
mod sorter;
mod survey;

use std::cell::RefCell;
use std::io;
use std::path::Path;

use tracer_event::Event;

use crate::Sink;

use super::damage::Damage;
use super::reader::Trace;
use super::replay::{Progress, ReplayError, Replayed, Show, walk};

use arrange::Arrange;
use sorter::Space;
use survey::Survey;

/// How a trace is sorted, and who is told.
pub struct Sorting<'a> {
    /// How events are shown.
    pub show: Show,
    /// Which events the sink gets. They are what they are among all of them: one that follows another does so also where
    /// that is not wanted.
    pub select: &'a mut dyn FnMut(&Event<'_>) -> bool,
    /// Bytes of memory for what is sorted. Besides, some MiB are needed for the blocks that are read and written.
    pub memory: usize,
    /// Where temporary files are made, if there is more to sort. They have no names, so nothing is left of them however
    /// this ends.
    pub folder: &'a Path,
    /// Gets what could not be read.
    pub report: &'a mut dyn FnMut(Damage),
    /// Is told how far it is, by the bytes of the trace.
    pub progress: &'a mut dyn FnMut(Progress),
}

/// Of three: reading twice, and giving it out.
const PARTS: u64 = 3;

impl Trace {
    /// Gives all that is in the trace to `sink`, in the order of packets: each session with its clocks, then the events of
    /// one packet after the other, by time, packets in the order of their first events, with [`Sink::follow`] before the
    /// second and later events of each; then the account. Events that are of no packet that is followed, and losses, stand
    /// between packets by their times. The sink is flushed but not finished.
    ///
    /// # Errors
    ///
    /// As [`Trace::replay`], and those of temporary files, and a trace that was not the same when it was read again. Damage
    /// is no error; it is reported.
    pub fn sort(&self, sink: &mut dyn Sink, sorting: Sorting<'_>) -> Result<Replayed, ReplayError> {
        let Sorting { show, select, memory, folder, report, progress } = sorting;
        // Two sorters have something at any time: one is being filled while the other is being emptied.
        let space = Space { memory: memory / 2, folder };
        let mut damages = 0;
        let mut report = |damage| {
            damages += 1;
            report(damage);
        };
        let progress = RefCell::new(progress);
        let tell = |part: u64, progress_of_part: Progress| {
            let Progress { read, total } = progress_of_part;
            let read = (part * total + read) / PARTS;
            (*progress.borrow_mut())(Progress { read, total });
        };
        let mut survey = Survey::new(space);
        walk(self, &mut survey, &mut report, &mut |progress| tell(0, progress))?;
        let (seen, follows) = survey.finish()?;
        let done = |done: u64, of: u64| {
            let share = u128::from(self.bytes()) * u128::from(done) / u128::from(of.max(1));
            // A share of a `u64` is one.
            tell(2, Progress { read: share as u64, total: self.bytes() });
        };
        let mut arrange = Arrange::new(space, show, select, sink, &done, seen, follows);
        // What is wrong with the trace was told before.
        walk(self, &mut arrange, &mut |_| {}, &mut |progress| tell(1, progress))?;
        let replayed = arrange.finish()?;
        Ok(Replayed { damages, ..replayed })
    }
}

impl Space<'_> {
    /// The error of whoever could not use it.
    fn error(&self, error: io::Error) -> ReplayError {
        ReplayError::Spill { folder: self.folder.to_owned(), error }
    }
}
