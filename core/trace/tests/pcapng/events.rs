//! Events to write. Their sections are those of no collector: what pcapng finds, it finds by how fields are shown.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;

use tracer_event::header::{PROBE, TIME};
use tracer_event::sample::{self, Bytes};
use tracer_event::{
    Clock, ClockSample, Context, Event, Field, Kind, Layout, Place, ProbeInfo, Probes, Schema, Session, Show,
    Tail, Text, text,
};
use tracer_trace::pcapng::{Counts, Json};
use tracer_trace::{Loss, PcapngSink, Sink};

/// The tracer's own network namespace, and another one.
pub const OWN: u64 = 4_026_531_840;
pub const OTHER: u64 = 4_026_532_198;

/// The most bytes of a device's name and of the note.
const NAME: usize = 400;
const NOTE: usize = 20_000;

/// One event. What is empty or 0 is not there.
#[derive(Debug, Clone)]
pub struct Hit {
    pub time: u64,
    pub device: Vec<u8>,
    pub netns: u64,
    pub id: u64,
    pub link: u32,
    pub protocol: u16,
    /// A VLAN tag that is not in the data.
    pub tag: Option<(u16, u16)>,
    pub data: Vec<u8>,
    pub original: u32,
    pub note: Vec<u8>,
}

impl Default for Hit {
    /// The sample's packet, at `eth0` in the tracer's own namespace, a second after the machine started.
    fn default() -> Hit {
        Hit {
            time: 1_000_000_000,
            device: b"eth0".into(),
            netns: OWN,
            id: 0,
            link: 1,
            protocol: 0x0800,
            tag: None,
            data: sample::SYN.into(),
            original: 74,
            note: Vec::new(),
        }
    }
}

impl Hit {
    /// The packet without its Ethernet header.
    pub fn raw() -> Hit {
        Hit { link: 101, data: sample::SYN[14..].into(), original: 60, ..Hit::default() }
    }

    pub fn record(&self) -> Vec<u8> {
        let layout = layout();
        let padded = |bytes: &[u8], len: usize| {
            let mut padded = bytes.to_vec();
            padded.resize(len, 0);
            padded
        };
        let mut bytes = Bytes::new(&layout);
        if !self.device.is_empty() {
            bytes = bytes.fixed(0, &padded(&self.device, NAME));
        }
        if self.netns != 0 {
            bytes = bytes.fixed(1, &self.netns.to_le_bytes());
        }
        if self.id != 0 {
            bytes = bytes.fixed(2, &self.id.to_le_bytes());
        }
        if self.original != 0 || !self.data.is_empty() {
            let (proto, tci) = self.tag.unwrap_or_default();
            let mut wire = [self.original.to_le_bytes(), self.link.to_le_bytes()].concat();
            wire.extend(self.protocol.to_be_bytes());
            wire.extend(proto.to_be_bytes());
            wire.extend(tci.to_le_bytes());
            wire.extend(&self.data);
            bytes = bytes.tail(3, &wire);
        }
        if !self.note.is_empty() {
            bytes = bytes.fixed(4, &padded(&self.note, NOTE));
        }
        let mut bytes = bytes.finish();
        bytes[TIME..TIME + 8].copy_from_slice(&self.time.to_le_bytes());
        bytes[PROBE..PROBE + 2].copy_from_slice(&1_u16.to_le_bytes());
        bytes
    }

    /// The event's text as its comment has it.
    pub fn comment(&self, context: &Context<'_>) -> String {
        let (probes, record, mut out) = (probes(), self.record(), String::new());
        text::write(&mut out, &probes.event(&record, context).unwrap()).unwrap();
        out.trim_end_matches('\n').to_owned()
    }
}

fn layout() -> Layout {
    let field = |name: &str, offset, kind, show| Field { name: name.into(), offset, kind, show };
    let schema = |name: &str, size, tail: Option<u32>, fields, template: &str, place| {
        let text = Text { template: template.parse().unwrap(), place };
        Arc::new(Schema::new(name, size, tail.map(|max| Tail { max }), fields, Some(text)).unwrap())
    };
    let wire = vec![
        field("orig_len", 0, Kind::Uint(4), Show::Plain),
        field("link", 4, Kind::Uint(4), Show::Plain),
        field("protocol", 8, Kind::Uint(2), Show::Be16),
        field("vlan_proto", 10, Kind::Uint(2), Show::Be16),
        field("vlan_tci", 12, Kind::Uint(2), Show::Plain),
        field("bytes", 14, Kind::Tail, Show::Packet),
    ];
    let one = |name: &str, kind, show| vec![field(name, 0, kind, show)];
    Layout::new(vec![
        schema("port", 400, None, one("label", Kind::Str(400), Show::Device), "at {label}", Place::Packet(1)),
        schema("realm", 8, None, one("inode", Kind::Uint(8), Show::Netns), "[in {inode}]", Place::Packet(0)),
        schema("follow", 8, None, one("number", Kind::Uint(8), Show::PacketId), "{number}", Place::Head),
        schema("wire", 14, Some(1 << 20), wire, "{bytes}", Place::Packet(2)),
        schema("note", 20_000, None, one("words", Kind::Str(20_000), Show::Plain), "{words}", Place::Line),
    ])
    .unwrap()
}

/// The sample's probe and one whose records are those of [`Hit`].
pub fn probes() -> Arc<Probes> {
    let probe = ProbeInfo { name: "netif_rx".into(), layout: Arc::new(layout()), ..sample::probe() };
    Arc::new(Probes::new(vec![sample::probe(), probe]))
}

pub fn session() -> Session {
    Session {
        tracer: "0.1.0".into(),
        host: "fw1".into(),
        kernel: "6.12.95-cloud-amd64".into(),
        machine: "x86_64".into(),
        command: vec!["tracer".into(), "collect".into()],
        own_netns: Some(OWN),
        probes: probes(),
    }
}

/// A machine that started at 1,700,000,000 seconds after 1970.
pub fn clock() -> Clock {
    let mut clock = Clock::default();
    clock.add(ClockSample { monotonic: 0, realtime: STARTED.cast_signed() });
    clock
}

pub const STARTED: u64 = 1_700_000_000_000_000_000;

pub fn context(clock: &Clock) -> Context<'_> {
    Context { own_netns: Some(OWN), symbols: &sample::Names, clock, ..sample::CONTEXT }
}

/// A sink in the test's hands, and what it wrote.
pub struct Capture {
    pub sink: Box<dyn Sink>,
    pub counts: Counts,
    pub writes: Rc<RefCell<Vec<Vec<u8>>>>,
    probes: Arc<Probes>,
    pub clock: Clock,
}

impl Capture {
    pub fn new(json: impl Json + Send + 'static) -> Capture {
        let writes = Rc::default();
        let sink = PcapngSink::new(Out(Rc::clone(&writes)), json);
        let counts = sink.counts();
        Capture { sink: Box::new(sink), counts, writes, probes: probes(), clock: clock() }
    }

    /// One that has begun.
    pub fn begun(json: impl Json + Send + 'static) -> Capture {
        let mut capture = Capture::new(json);
        capture.sink.begin(&session()).unwrap();
        capture
    }

    pub fn hit(&mut self, hit: &Hit) {
        self.record(&hit.record());
    }

    pub fn record(&mut self, record: &[u8]) {
        let context = context(&self.clock);
        let event = self.probes.event(record, &context).unwrap();
        self.sink.event(&event).unwrap();
    }

    pub fn lose(&mut self, events: u64) {
        let probe = self.probes.probe(1).unwrap();
        self.sink.loss(&Loss { events, probe, cpu: 3, before: Some(7) }).unwrap();
    }

    pub fn lose_at_the_end(&mut self, events: u64) {
        let probe = self.probes.probe(1).unwrap();
        self.sink.loss(&Loss { events, probe, cpu: 3, before: None }).unwrap();
    }

    /// What was written, to the end.
    pub fn finish(self) -> Vec<u8> {
        self.sink.finish().unwrap();
        self.writes.take().concat()
    }
}

/// The file of these events.
pub fn file(hits: &[Hit]) -> Vec<u8> {
    let mut capture = Capture::begun(Words::default());
    hits.iter().for_each(|hit| capture.hit(hit));
    capture.finish()
}

/// Keeps each write apart.
struct Out(Rc<RefCell<Vec<Vec<u8>>>>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// JSON of these tests; an event's and a session's are filled up to these lengths.
#[derive(Default)]
pub struct Words {
    pub event: usize,
    pub session: usize,
}

impl Json for Words {
    fn session(&mut self, out: &mut String, session: &Session) {
        write!(out, r#"{{"type":"meta","host":"{}"}}"#, session.host).unwrap();
        fill(out, self.session);
    }

    fn event(&mut self, out: &mut String, event: &Event<'_>) {
        write!(out, r#"{{"type":"event","time":{}}}"#, event.record.header().time).unwrap();
        fill(out, self.event);
    }
}

fn fill(out: &mut String, len: usize) {
    out.extend(std::iter::repeat_n(' ', len.saturating_sub(out.len())));
}
