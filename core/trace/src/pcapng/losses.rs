//! Losses that no packet has told of yet.

use std::fmt::Write as _;

use tracer_event::Escaped;

use super::block;
use crate::Loss;

/// The events lost since the last packet, as a number and as words.
#[derive(Debug, Default)]
pub(super) struct Losses {
    events: u64,
    text: String,
}

impl Losses {
    /// The most bytes of words: one packet's options are 128 KiB together. The number has no such bound.
    const MAX: usize = 2048;
    const MARK: &'static str = "…";

    pub(super) fn add(&mut self, loss: &Loss<'_>) {
        self.events = self.events.saturating_add(loss.events);
        if self.text.ends_with(Losses::MARK) {
            return;
        }
        let Loss { events, probe, cpu, before } = *loss;
        let place = if before.is_some() { "before this" } else { "after its last event" };
        let newline = if self.text.is_empty() { "" } else { "\n" };
        // A string takes all.
        _ = write!(
            self.text,
            "{newline}lost {events} events of [{}] {} on CPU {cpu} {place}",
            probe.tag,
            Escaped(&probe.name)
        );
        if self.text.len() > Losses::MAX {
            self.text.truncate(block::fitting(&self.text, Losses::MAX - Losses::MARK.len()));
            self.text.push_str(Losses::MARK);
        }
    }

    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// A line for each probe and CPU; cut with an `…` where they are too many.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}
