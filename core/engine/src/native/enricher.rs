//! One native half at work: what it is asked, and what it answered. Once it is quarantined, it is asked nothing any more, and what
//! events miss for that is counted.

use std::{mem, ops::Range, sync::Arc};

use tracer_event::{Schema, Shortfall};

use super::{
    frame::{self, Kind},
    process::{BATCH, Process, Quarantine, STOP},
};

/// A native half at work.
#[derive(Debug)]
pub(super) struct Enricher {
    name: String,
    schema: Arc<Schema>,
    /// `None` once it is quarantined.
    process: Option<Process>,
    /// The records of a batch that it gets, each with its length, and how many they are.
    records: Vec<u8>,
    wanted: usize,
    /// What it has answered.
    answer: Vec<u8>,
    /// Its sections, in that.
    sections: Vec<Option<Range<usize>>>,
    /// Events that it was not asked about, since outputs were told.
    without: u64,
    /// Why it is quarantined, or how its process ended otherwise than in order.
    why: Option<Quarantine>,
}

impl Enricher {
    pub(super) fn new(name: String, schema: Arc<Schema>, process: Process) -> Self {
        Self {
            name,
            schema,
            process: Some(process),
            records: Vec::new(),
            wanted: 0,
            answer: Vec::new(),
            sections: Vec::new(),
            without: 0,
            why: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn section_name(&self) -> &str {
        self.schema.section()
    }

    /// Asks for the sections of these records.
    pub(super) fn send<'r>(&mut self, records: impl Iterator<Item = &'r [u8]>, said: &mut Vec<String>) {
        self.records.clear();
        self.sections.clear();
        self.wanted = 0;
        for record in records {
            self.wanted += 1;
            if self.process.is_some() {
                frame::put(&mut self.records, record);
            }
        }
        if self.wanted > 0
            && let Some(process) = &mut self.process
            && let Err(why) = process.send(Kind::Batch, &[&self.records], "enrich", BATCH)
        {
            self.quarantine(&why, said);
        }
    }

    /// Takes the answer. What was answered before a failure is kept.
    pub(super) fn receive(&mut self, said: &mut Vec<String>) {
        if self.wanted > 0
            && let Err(why) = self.answer()
        {
            self.quarantine(&why, said);
        }
        // Those behind the one with which it failed, and all afterwards.
        self.without += self.wanted.saturating_sub(self.sections.len()) as u64;
    }

    fn answer(&mut self) -> Result<(), Quarantine> {
        let Some(process) = &mut self.process else { return Ok(()) };
        process.expect(Kind::Sections, "enrich", BATCH)?;
        process.swap_payload(&mut self.answer);
        let mut rest = &self.answer[..];
        // One more than was asked for is enough to see that it is wrong.
        while !rest.is_empty() && self.sections.len() <= self.wanted {
            let before = self.answer.len() - rest.len();
            let piece = frame::take(&mut rest);
            let piece = piece.ok_or_else(|| Quarantine::Nonsense("its sections are cut".to_owned()))?;
            self.sections.push(piece.map(|piece| before + 4..before + 4 + piece.len()));
        }
        match self.sections.len() {
            all if all == self.wanted => Ok(()),
            // Why there are no more comes behind them.
            fewer if fewer < self.wanted => match process.done("enrich", BATCH) {
                Ok(()) => Err(Quarantine::Nonsense(format!("{fewer} sections for {} records", self.wanted))),
                Err(why) => Err(why),
            },
            more => Err(Quarantine::Nonsense(format!("{more} sections for {} records", self.wanted))),
        }
    }

    /// Its section for the record of this number among those that it was asked about.
    pub(super) fn section(&self, number: usize) -> Option<&[u8]> {
        self.answer.get(self.sections.get(number)?.clone()?)
    }

    /// Takes nothing any more that it has answered, from the section for the record of this number on.
    pub(super) fn distrust(&mut self, number: usize, why: &Quarantine, said: &mut Vec<String>) {
        self.without += self.sections.len().saturating_sub(number) as u64;
        self.sections.truncate(number);
        self.quarantine(why, said);
    }

    /// Tells it the time (CLOCK_MONOTONIC, ns).
    pub(super) fn tick(&mut self, now: u64, said: &mut Vec<String>) {
        let Some(process) = &mut self.process else { return };
        let ticked = process.send(Kind::Tick, &[&now.to_le_bytes()], "tick", BATCH);
        if let Err(why) = ticked.and_then(|()| process.done("tick", BATCH)) {
            self.quarantine(&why, said);
        }
    }

    /// Ends it. What its process does once it has stopped is of no concern any more.
    pub(super) fn stop(&mut self, said: &mut Vec<String>) {
        let Some(process) = &mut self.process else { return };
        let stopped = process.send(Kind::Stop, &[], "stop", STOP);
        if let Err(why) = stopped.and_then(|()| process.done("stop", STOP)) {
            self.quarantine(&why, said);
            return;
        }
        self.tell_rest(said);
        self.why = self.process.take().and_then(|process| process.finish().err());
    }

    /// Why it is quarantined, or, once it has stopped, how its process ended otherwise than in order.
    pub(super) fn why(&self) -> Option<&Quarantine> {
        self.why.as_ref()
    }

    /// The same, for good.
    fn tell_rest(&mut self, said: &mut Vec<String>) {
        let lines = self.process.as_mut().map(Process::said_at_last).unwrap_or_default();
        said.extend(lines.into_iter().map(|line| format!("plugin {}: {line}", self.name)));
    }

    /// Adds what it wants the user to be told.
    pub(super) fn said(&mut self, said: &mut Vec<String>) {
        let lines = self.process.as_mut().map(Process::said).unwrap_or_default();
        said.extend(lines.into_iter().map(|line| format!("plugin {}: {line}", self.name)));
    }

    /// The events that it was not asked about since this was asked last; `time` is now.
    pub(super) fn shortfall(&mut self, time: u64) -> Option<Shortfall> {
        let count = mem::take(&mut self.without);
        (count > 0).then(|| Shortfall {
            collector: self.name.clone(),
            what: format!(
                "events without section `{}`: the plugin is not used any more",
                self.schema.section()
            ),
            count,
            time,
        })
    }

    fn quarantine(&mut self, why: &Quarantine, said: &mut Vec<String>) {
        self.tell_rest(said);
        let Some(process) = self.process.take() else { return };
        process.leave(why);
        let (name, section) = (&self.name, self.schema.section());
        said.push(format!(
            "plugin {name} is not used any more: {why}; events go on without its section `{section}`"
        ));
        self.why = Some(why.clone());
    }
}
