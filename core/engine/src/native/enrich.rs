//! What native halves add to events, between the ring and the outputs.

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use tracer_compose::Fragment;
use tracer_event::{Layout, ProbeInfo, Probes, Record, Schema, Session, Shortfall, Widen, header};
use tracer_trace::{Sink as _, file::TraceSink};

use super::{
    enricher::Enricher,
    form::{Options, Role, Start},
    frame::Kind,
    process::{Process, Quarantine, START},
};
use crate::clock;

/// Records that a plugin gets at once, and bytes of them: it has [`BATCH`](super::process::BATCH) for them.
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
        let start = Start { role: Role::Enrich, options, live: true, utc, link_header, printed: None };
        Self::start(fragment, &start)
    }

    /// The same, as this says.
    pub(super) fn start(fragment: &Fragment, start: &Start) -> Result<Self, Quarantine> {
        let name = &fragment.manifest.name;
        let Some(half) = &fragment.native else {
            return Err(Quarantine::declares("it has no native half"));
        };
        let process = Process::start(name, half, start)?;
        let described = process.described();
        if described.name != *name {
            return Err(Quarantine::declares(format!(
                "its library is that of `{}`, and collector.toml that of `{name}`",
                described.name.escape_debug()
            )));
        }
        let declared =
            described.section.as_ref().filter(|declared| half.section.as_ref() == Some(&declared.name));
        let Some(declared) = declared else {
            let found = described
                .section
                .as_ref()
                .map_or("none".to_owned(), |s| format!("`{}`", s.name.escape_debug()));
            let wanted = half.section.as_deref().unwrap_or_default();
            return Err(Quarantine::declares(format!(
                "collector.toml says that it adds section `{wanted}`, its library {found}"
            )));
        };
        let fields = declared.fields().map_err(Quarantine::declares)?;
        let schema = fragment.native_schema(declared.size, declared.texts, fields);
        let schema = schema.map_err(|error| Quarantine::declares(error.to_string()))?;
        Ok(Self { name: name.clone(), with: half.with.clone(), schema: Arc::new(schema), process })
    }

    /// What it adds.
    pub(super) fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    fn wants(&self, layout: &Layout) -> bool {
        let has = |name: &String| layout.sections().iter().any(|placed| placed.schema.section() == name);
        self.with.is_empty() || self.with.iter().any(has)
    }
}

/// The native halves of a run.
#[derive(Debug)]
pub(crate) struct Enriching {
    enrichers: Vec<Enricher>,
    probes: Vec<AtProbe>,
    wide: Arc<Probes>,
    batch: Batch,
    out: Vec<u8>,
    said: Vec<String>,
    ticked: Instant,
    told: Instant,
}

/// What is done with the records of a probe.
#[derive(Debug)]
struct AtProbe {
    /// Their own layout.
    layout: Arc<Layout>,
    adds: Option<Adds>,
}

/// What is added to records.
#[derive(Debug)]
struct Adds {
    widen: Widen,
    /// By which of the native halves, in the order of their sections.
    by: Vec<usize>,
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
    /// Starts the halves for these probes. `refuse` is told of each that fails; a probe that has no room for their sections goes without them,
    /// and [`Enriching::said`] tells that.
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
                Err(why) => {
                    refuse(&one.name, &why);
                    one.process.leave(&why);
                }
            }
        }
        let mut probes = Vec::new();
        let mut wide = Vec::new();
        for probe in session.probes.iter() {
            let adds = |(index, one): (usize, &Loaded)| one.wants(&probe.layout).then_some(index);
            let adding: Vec<usize> = started.iter().enumerate().filter_map(adds).collect();
            let schemas = adding.iter().map(|index| Arc::clone(&started[*index].schema)).collect();
            // More than 64 sections, or two of one name: then it stays as it is.
            let widen = match Widen::new(&probe.layout, schemas) {
                Ok(widen) => Some(widen).filter(|_| !adding.is_empty()),
                Err(error) => {
                    let names: Vec<_> = adding.iter().map(|index| started[*index].name.as_str()).collect();
                    let names = names.join(", ");
                    said.push(format!("events of {} get no section of plugins {names}: {error}", probe.name));
                    None
                }
            };
            let layout = widen.as_ref().map_or(&probe.layout, Widen::layout);
            wide.push(ProbeInfo { layout: Arc::clone(layout), ..probe.clone() });
            let adds = widen.map(|widen| Adds { widen, by: adding });
            probes.push(AtProbe { layout: Arc::clone(&probe.layout), adds });
        }
        let enrichers = started.into_iter().map(|one| Enricher::new(one.name, one.schema, one.process));
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
        self.enrichers.iter().map(|one| (one.name(), one.section_name()))
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
        let batch = mem::take(&mut self.batch);
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
            let adds =
                |record: &&[u8]| at(&self.probes, record).is_some_and(|(_, adds)| adds.by.contains(&index));
            one.send(self.batch.iter().filter(adds), &mut self.said);
        }
        self.enrichers.iter_mut().for_each(|one| one.receive(&mut self.said));
    }

    /// Writes a record with its sections to `out`; `next` counts the sections of each plugin that are used up. `false` where
    /// nothing is added to it.
    fn widen(&mut self, record: &[u8], next: &mut [usize]) -> bool {
        let Some((layout, adds)) = at(&self.probes, record) else { return false };
        let mut sections: Vec<Option<&[u8]>> = Vec::with_capacity(adds.by.len());
        for index in &adds.by {
            sections.push(self.enrichers[*index].section(next[*index]));
            next[*index] += 1;
        }
        // Plugins were asked about this one too: what they answered is used up.
        let Ok(narrow) = Record::parse(record, layout) else { return false };
        let Err(error) = adds.widen.record(&narrow, &sections, &mut self.out) else { return true };
        let mut wrong = Vec::new();
        // What was answered is no such section. Whose it is, trying each alone tells.
        for (place, index) in adds.by.iter().enumerate() {
            let alone = (0..sections.len()).map(|i| sections[i].filter(|_| i == place));
            let alone: Vec<_> = alone.collect();
            if adds.widen.record(&narrow, &alone, &mut self.out).is_err() {
                wrong.push(*index);
            }
        }
        // What the others have answered is not worse for that.
        let answered = adds.by.iter().zip(&sections);
        let right: Vec<_> =
            answered.map(|(index, section)| section.filter(|_| !wrong.contains(index))).collect();
        let written = adds.widen.record(&narrow, &right, &mut self.out).is_ok();
        for index in wrong {
            let why = Quarantine::Nonsense(error.to_string());
            self.enrichers[index].distrust(next[index] - 1, &why, &mut self.said);
        }
        written
    }

    /// Tells plugins the time, if it is time to.
    pub(crate) fn tick(&mut self) {
        if self.ticked.elapsed() >= TICK {
            self.tick_now();
        }
    }

    /// Tells them the time.
    pub(super) fn tick_now(&mut self) {
        self.ticked = Instant::now();
        let now = clock::monotonic();
        self.enrichers.iter_mut().for_each(|one| one.tick(now, &mut self.said));
    }

    /// Why one of them is quarantined, or how it ended otherwise than in order.
    pub(super) fn why(&self) -> Option<&Quarantine> {
        self.enrichers.iter().find_map(Enricher::why)
    }

    /// What the user is to be told since this was asked last.
    pub(crate) fn said(&mut self) -> Vec<String> {
        self.enrichers.iter_mut().for_each(|one| one.said(&mut self.said));
        mem::take(&mut self.said)
    }

    /// What outputs are to be told since this was asked last; not too often, unless it is the last time.
    pub(crate) fn shortfalls(&mut self, last: bool) -> Vec<Shortfall> {
        if !last && self.told.elapsed() < NEWS {
            return Vec::new();
        }
        self.told = Instant::now();
        self.enrichers.iter_mut().filter_map(|one| one.shortfall(clock::monotonic())).collect()
    }

    /// Ends them.
    pub(crate) fn stop(&mut self) {
        self.enrichers.iter_mut().for_each(|one| one.stop(&mut self.said));
    }
}

/// What is added to a record, by its probe.
fn at<'a>(probes: &'a [AtProbe], record: &[u8]) -> Option<(&'a Layout, &'a Adds)> {
    let probe = record.get(header::PROBE..)?.first_chunk().copied().map(u16::from_le_bytes)?;
    let probe = probes.get(usize::from(probe))?;
    Some((&probe.layout, probe.adds.as_ref()?))
}

/// A session as a trace begins with it.
fn begin_of_trace(session: &Session) -> Vec<u8> {
    let mut front = Vec::new();
    // What is written to memory does not fail, unless there are more probes than a trace can have.
    let _ = TraceSink::new(&mut front).begin(session);
    front
}
