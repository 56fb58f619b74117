//! What adding a section costs, for benchmarks: events that are made up go through a native half, as in a run.

use std::time::{Duration, Instant};

use tracer_compose::Fragment;

use super::{
    enrich::{Enriching, Loaded},
    exercise::made_up::{Records, session},
    options,
    process::Quarantine,
};

/// Different events: more than any cache of a plugin's should be made for.
const DIFFERENT: usize = 4096;

/// What enriching took.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Events.
    pub events: usize,
    /// Those of them that got the section.
    pub with_section: usize,
    /// Bytes of their records on average.
    pub bytes: usize,
    /// The time in all.
    pub took: Duration,
}

/// Has a collector's native half add its section to at least so many events.
///
/// # Errors
/// It has none that adds a section, or it failed.
pub fn pace(fragment: &Fragment, events: usize) -> Result<Pace, Quarantine> {
    let loaded = Loaded::new(fragment, options(fragment, |_| None, |_| None), false, false)?;
    let section = loaded.schema().section().to_owned();
    let session = session(fragment);
    let mut refused = None;
    let mut enriching = Enriching::start(vec![loaded], &session, &mut |_, why| refused = Some(why.clone()));
    if let Some(why) = refused {
        return Err(why);
    }
    let probes = enriching.probes();
    let bit = |probe: &tracer_event::ProbeInfo| {
        let place = probe.layout.sections().iter().position(|placed| placed.schema.section() == section);
        place.map_or(0, |place| 1_u64 << place)
    };
    let bits: Vec<u64> = probes.iter().map(bit).collect();
    let records = Records::of(&session).some(DIFFERENT);
    let mut pace = Pace {
        events: 0,
        with_section: 0,
        bytes: records.iter().map(Vec::len).sum::<usize>() / DIFFERENT,
        took: Duration::ZERO,
    };
    let mut each = |bytes: &[u8]| {
        let header = tracer_event::Header::read(bytes);
        let has = header.is_some_and(|header| header.sections & bits[usize::from(header.probe)] != 0);
        pace.with_section += usize::from(has);
        pace.events += 1;
        Ok::<_, Quarantine>(())
    };
    let since = Instant::now();
    for _ in 0..events.div_ceil(DIFFERENT) {
        for record in &records {
            if enriching.take(record) {
                enriching.pass(&mut each)?;
            }
        }
        enriching.pass(&mut each)?;
        enriching.tick();
    }
    pace.took = since.elapsed();
    enriching.stop();
    enriching.why().map_or(Ok(pace), |why| Err(why.clone()))
}
