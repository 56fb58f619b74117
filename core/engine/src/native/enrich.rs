//! What native halves add to events, between the ring and the outputs.

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use tracer_compose::Fragment;
use tracer_event::{Layout, ProbeInfo, Probes, Record, Schema, Session, Shortfall, Widen, header};
use tracer_trace::{Sink as _, file::TraceSink};

use super::{
    form::{Options, Role, Start},
    frame::{self, Kind},
    process::{BATCH, Process, Quarantine, START, STOP},
};

/// Records that a plugin gets at once, and bytes of them: it has [`BATCH`] for them.
const RECORDS: usize = 256;
const BYTES: usize = 1 << 20;

/// How often plugins are told the time.
const TICK: Duration = Duration::from_secs(1);
/// How often outputs are told of events without a section.
const NEWS: Duration = Duration::from_millis(500);

/// A native half whose library is loaded, and which waits to be told the session.
#[derive(Debug)]
pub(crate) struct Loaded {
    name: String,
    with: Vec<String>,
    schema: Arc<Schema>,
    process: Process,
}

impl Loaded {
    /// Loads a collector's native half.
    pub(crate) fn new(
        fragment: &Fragment,
        options: Options,
        utc: bool,
        link_header: bool,
    ) -> Result<Self, Quarantine> {
        let name = &fragment.manifest.name;
        let (Some(half), refused) = (&fragment.native, |why: String| Quarantine::Refused(why)) else {
            return Err(Quarantine::Refused("it has no native half".to_owned()));
        };
        let start = Start { role: Role::Enrich, options, live: true, utc, link_header };
        let process = Process::start(name, &half.library, &start)?;
        let described = process.described();
        if described.name != *name {
            return Err(refused(format!(
                "its library is that of `{}`, and collector.toml that of `{name}`",
                described.name.escape_debug()
            )));
        }
        let declared = described.section.as_ref().filter(|declared| half.section.as_ref() == Some(&declared.name));
        let Some(declared) = declared else {
            let found = described.section.as_ref().map_or("none".to_owned(), |s| format!("`{}`", s.name.escape_debug()));
            let wanted = half.section.as_deref().unwrap_or_default();
            return Err(refused(format!("collector.toml says that it adds section `{wanted}`, its library {found}")));
        };
        let fields = declared.fields().map_err(refused)?;
        let schema = fragment.native_schema(declared.size, declared.texts, fields);
        let schema = schema.map_err(|error| refused(error.to_string()))?;
        Ok(Self { name: name.clone(), with: half.with.clone(), schema: Arc::new(schema), process })
    }

    fn wants(&self, layout: &Layout) -> bool {
        let has = |name: &String| layout.sections().iter().any(|placed| placed.schema.section() == name);
        self.with.is_empty() || self.with.iter().any(has)
    }
}

/// A native half at work.
#[derive(Debug)]
struct Enricher {
    name: String,
    schema: Arc<Schema>,
    /// `None` once it is quarantined.
    process: Option<Process>,
    /// The records of a batch that it gets, each with its length.
    records: Vec<u8>,
    sent: usize,
    /// What it has answered.
    answer: Vec<u8>,
    /// Its sections of a batch, in that.
    sections: Vec<Option<Range<usize>>>,
    /// Events that it was not asked about, since outputs were told.
    without: u64,
}

/// The native halves of a run.
#[derive(Debug)]
pub(crate) struct Enriching {
    enrichers: Vec<Enricher>,
    /// Of each probe: its records' own layout, and which of them add to it.
    probes: Vec<(Arc<Layout>, Option<(Widen, Vec<usize>)>)>,
    wide: Arc<Probes>,
    batch: Batch,
    out: Vec<u8>,
    said: Vec<String>,
    ticked: Instant,
    told: Instant,
}

/// Records that wait for their sections.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }
}

impl Enriching {
    /// Starts the halves for these probes. One that fails, or a section that some probe has no room for, is an error of the first
    /// kind that says which it is.
    pub(crate) fn start(
        loaded: Vec<Loaded>,
        session: &Session,
        refuse: &mut dyn FnMut(&str, &Quarantine),
    ) -> Self {
        let front = begin_of_trace(session);
        let mut started = Vec::new();
        let mut said = Vec::new();
        for mut one in loaded {
            let process = &mut one.process;
            let result = process
                .send(Kind::Session, &[&front], "start", START)
                .and_then(|()| process.done("start", START));
            said.extend(process.said().into_iter().map(|line| format!("plugin {}: {line}", one.name)));
            match result {
                Ok(()) => started.push(one),
                Err(why) => refuse(&one.name, &why),
            }
        }
        let mut probes = Vec::new();
        let mut wide = Vec::new();
        for probe in session.probes.iter() {
            let adds = |(index, one): (usize, &Loaded)| one.wants(&probe.layout).then_some(index);
            let adding: Vec<usize> = started.iter().enumerate().filter_map(adds).collect();
            let schemas = adding.iter().map(|index| Arc::clone(&started[*index].schema)).collect();
            // More than 64 sections, or two of one name: then it stays as it is.
            let widen = Widen::new(&probe.layout, schemas).ok().filter(|_| !adding.is_empty());
            let layout = widen.as_ref().map_or(&probe.layout, Widen::layout);
            wide.push(ProbeInfo { layout: Arc::clone(layout), ..probe.clone() });
            probes.push((Arc::clone(&probe.layout), widen.map(|widen| (widen, adding))));
        }
        let enrichers = started.into_iter().map(|one| Enricher {
            name: one.name,
            schema: one.schema,
            process: Some(one.process),
            records: Vec::new(),
            sent: 0,
            answer: Vec::new(),
            sections: Vec::new(),
            without: 0,
        });
        Self {
            enrichers: enrichers.collect(),
            probes,
            wide: Arc::new(Probes::new(wide)),
            batch: Batch::default(),
            out: Vec::new(),
            said,
            ticked: Instant::now(),
            told: Instant::now(),
        }
    }

    /// The probes, with the sections that are added.
    pub(crate) fn probes(&self) -> Arc<Probes> {
        Arc::clone(&self.wide)
    }

    /// The sections that are added at some probe.
    pub(crate) fn sections(&self) -> impl Iterator<Item = (&str, &str)> {
        self.enrichers.iter().map(|one| (one.name.as_str(), one.schema.section()))
    }

    /// Takes a record; says whether there are so many now that [`Enriching::pass`] is due.
    pub(crate) fn take(&mut self, record: &[u8]) -> bool {
        self.batch.bytes.extend_from_slice(record);
        self.batch.ends.push(self.batch.bytes.len());
        self.batch.ends.len() >= RECORDS || self.batch.bytes.len() >= BYTES
    }

    /// Gives all records that were taken on, with their sections.
    pub(crate) fn pass<E>(&mut self, each: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.ask();
        let batch = std::mem::take(&mut self.batch);
        let mut next = vec![0; self.enrichers.len()];
        let mut result = Ok(());
        for record in batch.iter() {
            let written = self.widen(record, &mut next);
            result = if written { each(&self.out) } else { each(record) };
            if result.is_err() {
                break;
            }
        }
        // Its memory is used again.
        self.batch = batch;
        self.batch.bytes.clear();
        self.batch.ends.clear();
        result
    }

    /// Gets all sections of the batch: all plugins work at once.
    fn ask(&mut self) {
        for (index, one) in self.enrichers.iter_mut().enumerate() {
            one.records.clear();
            one.sections.clear();
            one.sent = 0;
            for record in self.batch.iter() {
                if adding(&self.probes, record).is_some_and(|(_, _, adding)| adding.contains(&index)) {
                    one.sent += 1;
                    if one.process.is_some() {
                        frame::put(&mut one.records, record);
                    }
                }
            }
            if one.sent > 0
                && let Some(process) = &mut one.process
                && let Err(why) = process.send(Kind::Batch, &[&one.records], "enrich", BATCH)
            {
                one.quarantine(&why, &mut self.said);
            }
        }
        for one in &mut self.enrichers {
            if one.sent > 0
                && let Err(why) = one.receive()
            {
                one.quarantine(&why, &mut self.said);
            }
            // Those behind the one with which it failed, and all afterwards.
            one.without += (one.sent - one.sections.len().min(one.sent)) as u64;
        }
    }

    /// Writes a record with its sections to `out`; `next` counts the sections of each plugin that are used up. `false` where
    /// nothing is added to it.
    fn widen(&mut self, record: &[u8], next: &mut [usize]) -> bool {
        let Some((layout, widen, adding)) = adding(&self.probes, record) else { return false };
        let Ok(narrow) = Record::parse(record, layout) else { return false };
        let mut sections: Vec<Option<&[u8]>> = Vec::with_capacity(adding.len());
        for index in adding {
            let one = &self.enrichers[*index];
            let section = one.sections.get(next[*index]).cloned().flatten();
            next[*index] += 1;
            sections.push(section.and_then(|at| one.answer.get(at)));
        }
        match widen.record(&narrow, &sections, &mut self.out) {
            Ok(()) => true,
            Err(error) => {
                // Of these plugins, one has answered what cannot be: its library declares otherwise.
                let wrong = adding.iter().copied().filter(|index| self.enrichers[*index].process.is_some());
                for index in wrong.collect::<Vec<_>>() {
                    let why = Quarantine::Nonsense(error.to_string());
                    let one = &mut self.enrichers[index];
                    one.sections.clear();
                    one.quarantine(&why, &mut self.said);
                }
                let none = vec![None; sections_of(&self.probes, record)];
                let Some((layout, widen, _)) = self::adding(&self.probes, record) else { return false };
                let Ok(narrow) = Record::parse(record, layout) else { return false };
                widen.record(&narrow, &none, &mut self.out).is_ok()
            }
        }
    }

    /// Tells plugins the time, if it is time to.
    pub(crate) fn tick(&mut self) {
        if self.ticked.elapsed() < TICK {
            return;
        }
        self.ticked = Instant::now();
        let now = clock_gettime(ClockId::Monotonic);
        let now = (now.tv_sec * 1_000_000_000 + now.tv_nsec).to_le_bytes();
        for one in &mut self.enrichers {
            if let Some(process) = &mut one.process {
                let ticked = process.send(Kind::Tick, &[&now], "tick", BATCH);
                if let Err(why) = ticked.and_then(|()| process.done("tick", BATCH)) {
                    one.quarantine(&why, &mut self.said);
                }
            }
        }
    }

    /// What the user is to be told since this was asked last.
    pub(crate) fn said(&mut self) -> Vec<String> {
        for one in &mut self.enrichers {
            let lines = one.process.as_mut().map(Process::said).unwrap_or_default();
            self.said.extend(lines.into_iter().map(|line| format!("plugin {}: {line}", one.name)));
        }
        std::mem::take(&mut self.said)
    }

    /// What outputs are to be told since this was asked last; not too often, unless it is the last time.
    pub(crate) fn shortfalls(&mut self, last: bool) -> Vec<Shortfall> {
        if !last && self.told.elapsed() < NEWS {
            return Vec::new();
        }
        self.told = Instant::now();
        let now = clock_gettime(ClockId::Monotonic);
        let time = (now.tv_sec * 1_000_000_000 + now.tv_nsec).unsigned_abs();
        let told = self.enrichers.iter_mut().filter(|one| one.without > 0).map(|one| Shortfall {
            collector: one.name.clone(),
            what: format!("events that its library was not asked for section `{}`: it is not used any more", one.schema.section()),
            count: std::mem::take(&mut one.without),
            time,
        });
        told.collect()
    }

    /// Ends them.
    pub(crate) fn stop(&mut self) {
        for one in &mut self.enrichers {
            let Some(process) = &mut one.process else { continue };
            let stopped = process.send(Kind::Stop, &[], "stop", STOP);
            if let Err(why) = stopped.and_then(|()| process.done("stop", STOP)) {
                one.quarantine(&why, &mut self.said);
            }
        }
    }
}

/// What is added to a record, by its probe.
fn adding<'a>(
    probes: &'a [(Arc<Layout>, Option<(Widen, Vec<usize>)>)],
    record: &[u8],
) -> Option<(&'a Layout, &'a Widen, &'a [usize])> {
    let probe = record.get(header::PROBE..)?.first_chunk().copied().map(u16::from_le_bytes)?;
    let (layout, adding) = probes.get(usize::from(probe))?;
    let (widen, adding) = adding.as_ref()?;
    Some((layout, widen, adding))
}

fn sections_of(probes: &[(Arc<Layout>, Option<(Widen, Vec<usize>)>)], record: &[u8]) -> usize {
    adding(probes, record).map_or(0, |(_, _, adding)| adding.len())
}

impl Enricher {
    /// Takes the answer to a batch. What was answered before a failure is kept.
    fn receive(&mut self) -> Result<(), Quarantine> {
        let Some(process) = &mut self.process else { return Ok(()) };
        process.expect(Kind::Sections, "enrich", BATCH)?;
        process.swap_payload(&mut self.answer);
        let mut rest = &self.answer[..];
        while !rest.is_empty() {
            let before = self.answer.len() - rest.len();
            let piece = frame::take(&mut rest);
            let piece = piece.ok_or_else(|| Quarantine::Nonsense("its sections are cut".to_owned()))?;
            self.sections.push(piece.map(|piece| before + 4..before + 4 + piece.len()));
        }
        match self.sections.len() {
            all if all == self.sent => Ok(()),
            // Why there are no more comes behind them.
            fewer if fewer < self.sent => process.done("enrich", BATCH),
            more => Err(Quarantine::Nonsense(format!("{more} sections for {} records", self.sent))),
        }
    }

    fn quarantine(&mut self, why: &Quarantine, said: &mut Vec<String>) {
        let Some(mut process) = self.process.take() else { return };
        said.extend(process.said().into_iter().map(|line| format!("plugin {}: {line}", self.name)));
        said.push(format!(
            "plugin {} is not used any more: {why}; events go on without its section `{}`",
            self.name,
            self.schema.section()
        ));
    }
}

/// A session as a trace begins with it.
fn begin_of_trace(session: &Session) -> Vec<u8> {
    let mut front = Vec::new();
    // What is written to memory does not fail, unless there are more probes than a trace can have.
    let _ = TraceSink::new(&mut front).begin(session);
    front
}
