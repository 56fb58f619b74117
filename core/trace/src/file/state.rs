//! What a reader knows at a place in a trace: the session, names, clock. The blocks that say so stand before the events
//! that need it, so that one pass is enough.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;

use tracer_event::{Clock, ClockSample, Context, Event, Follow, Session, Symbol, Symbols};

use crate::{Account, Loss, Shortfall};

use super::block::{JSON, Kind};
use super::damage::{BlockProblem, Damage, Flaw};
use super::meta::Meta;
use super::notes::{AccountForm, ClockForm, ShortfallForm, SymbolForm};
use super::replay::{ReplayError, Show};
use super::scan::Block;
use super::schema;
use super::series::{Followers, SeriesForm};
use super::unpack::{Item, Unpacker};

/// Bytes in front of an events block's items: the checksum of its probes block, so that no record is read by the
/// schemas of another session.
pub(super) const EVENTS_HEADER: usize = 4;
/// The most symbols of a session.
pub(super) const SYMBOLS: usize = 1 << 18;

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    meta: Meta,
    session: Option<Arc<Session>>,
    /// The run that the session is of.
    run: String,
    /// The checksum of the block that the session's probes are from; `None` after the session block of another.
    probes: Option<u32>,
    symbols: Names,
    clock: Clock,
}

/// What a block other than events says.
#[derive(Debug)]
pub(super) enum News {
    /// A session begins, or goes on in another file.
    Session(Arc<Session>),
    /// A session begins after another, of which this was known at its end.
    Another(Arc<Session>, Box<State>),
    Clock(ClockSample),
    Account(Vec<Account>),
    Shortfall(Shortfall),
    /// Nothing that anybody must be told.
    None,
}

/// What an events block holds.
#[derive(Debug)]
pub(super) enum Entry<'a> {
    /// With what it follows.
    Event(&'a Event<'a>, Option<Follow>),
    Loss(&'a Loss<'a>, &'a Context<'a>),
}

/// An events block, with what the series block before it says.
#[derive(Debug)]
pub(super) struct Events {
    pub(super) block: Block,
    pub(super) series: Option<SeriesForm>,
}

/// What became of an events block.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    pub(super) events: u64,
    pub(super) lost: u64,
    pub(super) flaws: Vec<Flaw>,
}

impl State {
    /// The session block that was read last.
    pub(super) fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Takes a block that is neither events nor unknown.
    ///
    /// # Errors
    ///
    /// Probes that cannot be understood. Everything else is damage.
    pub(super) fn apply(
        &mut self,
        kind: Kind,
        block: Block,
        file: &Path,
        report: &mut dyn FnMut(Damage),
    ) -> Result<News, ReplayError> {
        let (offset, number, checksum) = (block.offset, block.header.kind, block.header.checksum());
        let mut damaged = |problem| report(Damage::new(file, Flaw::Block { offset, kind: number, problem }));
        let payload = match block.header.payload(block.stored) {
            Ok(payload) if payload.len() <= JSON => payload,
            Ok(payload) => {
                damaged(BlockProblem::Payload(format!("{} bytes are more than {JSON}", payload.len())));
                return Ok(News::None);
            }
            Err(error) => {
                damaged(BlockProblem::Payload(error.to_string()));
                return Ok(News::None);
            }
        };
        let news = match kind {
            Kind::Probes => {
                let probes = schema::read(&payload);
                let (probes, notes) = probes.map_err(|error| ReplayError::Probes {
                    file: file.to_owned(),
                    tracer: self.tracer(),
                    reason: error.to_string(),
                })?;
                for (what, instead) in notes {
                    let tracer = self.tracer();
                    report(Damage::new(file, Flaw::Unknown { tracer, what, instead }));
                }
                self.probes = Some(checksum);
                return Ok(self.begin(self.meta.session(Arc::new(probes))));
            }
            Kind::Session => serde_json::from_slice(&payload).map(|meta| {
                // What comes must not be read by the schemas of what was: first come its own.
                (self.meta, self.probes) = (meta, None);
                News::None
            }),
            Kind::Symbols => serde_json::from_slice(&payload).map(|symbols: Vec<SymbolForm>| {
                if !self.symbols.add(symbols) {
                    report(Damage::new(file, Flaw::Symbols { most: SYMBOLS }));
                }
                News::None
            }),
            Kind::Clock => serde_json::from_slice(&payload).map(|form: ClockForm| {
                let (sample, known) = (form.into(), self.clock.samples().len());
                self.clock.add(sample);
                // Each file of a set begins with the last sample of the one before.
                if self.clock.samples().len() > known { News::Clock(sample) } else { News::None }
            }),
            Kind::Account => serde_json::from_slice(&payload).map(|accounts: Vec<AccountForm>| {
                News::Account(accounts.into_iter().map(Account::from).collect())
            }),
            Kind::Shortfall => {
                serde_json::from_slice(&payload).map(|form: ShortfallForm| News::Shortfall(form.into()))
            }
            Kind::End | Kind::Events | Kind::Series => return Ok(News::None),
        };
        news.or_else(|error| {
            let problem = BlockProblem::Payload(error.to_string());
            report(Damage::new(file, Flaw::Block { offset, kind: number, problem }));
            Ok(News::None)
        })
    }

    /// The version of tracer that wrote the trace, for messages: it may be anything.
    fn tracer(&self) -> String {
        self.meta.tracer.escape_debug().to_string()
    }

    fn begin(&mut self, session: Session) -> News {
        match &self.session {
            // The next file of a set. Names and clocks of another run, be it of the same tracer on the same machine, may
            // not be mixed with these: it may have been restarted in between.
            Some(known) if **known == session && self.run == self.meta.part.run => {
                News::Session(Arc::clone(known))
            }
            _ => {
                let session = Arc::new(session);
                let next = State {
                    meta: self.meta.clone(),
                    session: Some(Arc::clone(&session)),
                    run: self.meta.part.run.clone(),
                    probes: self.probes,
                    symbols: Names::default(),
                    clock: Clock::default(),
                };
                let before = std::mem::replace(self, next);
                match before.session {
                    Some(_) => News::Another(session, Box::new(before)),
                    None => News::Session(session),
                }
            }
        }
    }

    /// The session, once its probes are known.
    pub(super) fn session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }

    /// The clocks as far as they are known.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What events of the session are shown by.
    pub(super) fn context(&self, session: &Session, show: Show) -> Context<'_> {
        Context {
            own_netns: session.own_netns,
            symbols: &self.symbols,
            clock: &self.clock,
            utc: show.utc,
            link_header: show.link_header,
        }
    }

    /// Takes out what is in an events block.
    ///
    /// # Errors
    ///
    /// Those of `take`.
    pub(super) fn decode(
        &self,
        events: Events,
        show: Show,
        mut take: impl FnMut(Entry<'_>) -> io::Result<()>,
    ) -> io::Result<Decoded> {
        let Events { block, series } = events;
        let (offset, kind) = (block.offset, block.header.kind);
        let mut decoded = Decoded::default();
        let damaged = |decoded: &mut Decoded, problem| {
            decoded.flaws.push(Flaw::Block { offset, kind, problem });
        };
        let payload = match block.header.payload(block.stored) {
            Ok(payload) => payload,
            Err(error) => {
                damaged(&mut decoded, BlockProblem::Payload(error.to_string()));
                return Ok(decoded);
            }
        };
        let (probes, items) = payload.split_first_chunk::<EVENTS_HEADER>().unwrap_or((&[0; 4], &[]));
        let Some(session) =
            self.session.as_ref().filter(|_| Some(u32::from_le_bytes(*probes)) == self.probes)
        else {
            damaged(&mut decoded, BlockProblem::Probes);
            return Ok(decoded);
        };
        let context = self.context(session, show);
        let mut followers = Followers::new(series.as_ref());
        let (mut taken, mut bad, mut first) = (0, 0, None);
        let mut items = match Unpacker::new(items) {
            Ok(items) => items,
            Err(error) => {
                damaged(&mut decoded, BlockProblem::items(0, error));
                return Ok(decoded);
            }
        };
        loop {
            match items.next() {
                Ok(None) => break,
                Ok(Some(Item::Record(bytes))) => match session.probes.event(bytes, &context) {
                    Ok(event) => {
                        let follow = followers.next(Some(event.record.header().time));
                        take(Entry::Event(&event, follow))?;
                        decoded.events += 1;
                    }
                    Err(error) => {
                        followers.next(None);
                        bad += 1;
                        first.get_or_insert(error);
                    }
                },
                Ok(Some(Item::Loss(loss))) => match session.probes.probe(loss.probe) {
                    Some(probe) => {
                        let (events, cpu, before) = (loss.events, loss.cpu, loss.before);
                        take(Entry::Loss(&Loss { events, probe, cpu, before }, &context))?;
                        decoded.lost = decoded.lost.saturating_add(events);
                    }
                    None => {
                        bad += 1;
                        let probes = session.probes.iter().len();
                        first.get_or_insert(tracer_event::RecordError::Probe { probe: loss.probe, probes });
                    }
                },
                Err(error) => {
                    damaged(&mut decoded, BlockProblem::items(taken, error));
                    break;
                }
            }
            taken += 1;
        }
        if let Some(first) = first {
            decoded.flaws.push(Flaw::Records { offset, records: bad, first });
        }
        Ok(decoded)
    }
}

/// The names of a trace's addresses.
#[derive(Debug, Clone, Default)]
struct Names(HashMap<u64, (Box<str>, u64), Seed>);

impl Names {
    /// Whether there was room for all.
    fn add(&mut self, symbols: Vec<SymbolForm>) -> bool {
        let room = SYMBOLS.saturating_sub(self.0.len());
        let fits = symbols.len() <= room;
        self.0.extend(
            symbols.into_iter().take(room).map(|(address, name, offset)| (address, (name.into(), offset))),
        );
        fits
    }
}

impl Symbols for Names {
    fn resolve(&self, address: u64) -> Option<Symbol<'_>> {
        let (name, offset) = self.0.get(&address)?;
        Some(Symbol { name: (&**name).into(), offset: *offset })
    }
}

/// Hashes addresses by one multiplication: each event has twenty. The factor is random, so that no file can be made of
/// addresses that collide.
#[derive(Debug, Clone)]
struct Seed(u64);

impl Default for Seed {
    fn default() -> Seed {
        Seed(RandomState::new().hash_one(0u64) | 1)
    }
}

impl BuildHasher for Seed {
    type Hasher = Product;

    fn build_hasher(&self) -> Product {
        Product { factor: self.0, hash: 0 }
    }
}

#[derive(Debug)]
struct Product {
    factor: u64,
    hash: u64,
}

impl Hasher for Product {
    fn finish(&self) -> u64 {
        self.hash
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.hash ^ number) * u128::from(self.factor);
        self.hash = (product >> 64) as u64 ^ product as u64;
    }
}
