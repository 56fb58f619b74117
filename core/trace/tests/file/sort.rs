//! A sorted trace: each event once and in its place, whatever memory there was; and what is written of it and read again.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

use tracer_event::sample::{
    self,
    tracked::{self, Hit},
};
use tracer_event::{Clock, ClockSample, Context, Event, Follow, Session, Symbol, Symbols};
use tracer_trace::file::{Damage, Rendering, Replay, ReplayError, Replayed, Show, Sorting, Trace, TraceSink};
use tracer_trace::{Account, JsonRender, JsonSink, Loss, Sink, TextRender, TextSink};

use crate::common::{Folder, block, blocks};
use crate::traffic::Numbers;

/// An event or a loss, in the order of the file.
#[derive(Debug, Clone, Copy)]
enum Item {
    Hit(Hit),
    /// So many, before that time.
    Lost(u64, Option<u64>),
}

/// What a sink was told.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Begin(String),
    Clock(ClockSample),
    /// The time, the id, the probe, the CPU; what it follows.
    Event(u64, u64, u16, u16, Option<Follow>),
    Loss(u64, u16, Option<u64>),
    Account(Vec<Account>),
}

/// Remembers all.
#[derive(Default)]
struct Ear {
    told: Vec<Told>,
    follow: Option<Follow>,
    flushed: bool,
}

impl Sink for Ear {
    fn begin(&mut self, session: &Session) -> io::Result<()> {
        self.told.push(Told::Begin(session.host.clone()));
        Ok(())
    }

    fn clock(&mut self, sample: ClockSample) -> io::Result<()> {
        self.told.push(Told::Clock(sample));
        Ok(())
    }

    fn follow(&mut self, follow: Follow) -> io::Result<()> {
        assert_eq!(self.follow.replace(follow), None);
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let (header, id) = (event.record.header(), event.record.packet_id());
        let follow = self.follow.take();
        self.told.push(Told::Event(header.time, id.unwrap_or(0), header.probe, header.cpu, follow));
        Ok(())
    }

    fn loss(&mut self, loss: &Loss<'_>) -> io::Result<()> {
        self.told.push(Told::Loss(loss.events, loss.cpu, loss.before));
        Ok(())
    }

    fn account(&mut self, accounts: &[Account]) -> io::Result<()> {
        self.told.push(Told::Account(accounts.to_vec()));
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushed = true;
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

const CLOCKS: [ClockSample; 2] = [
    ClockSample { monotonic: tracked::START, realtime: 1_000_000_000_000 },
    ClockSample { monotonic: tracked::START + 50_000, realtime: 1_000_000_050_000 },
];

const ACCOUNT: Account = Account { hits: 9, filtered: 3, limited: 1, delivered: 4, lost: 1, missed: Some(7) };

fn session(host: &str) -> Session {
    Session { host: host.into(), probes: Arc::new(tracked::probes()), ..Session::default() }
}

/// Feeds a session: a look at the clocks at its begin and in its middle, and an account.
fn feed(sink: &mut dyn Sink, host: &str, items: &[Item]) {
    let session = session(host);
    let mut clock = Clock::default();
    sink.begin(&session).unwrap();
    for (i, item) in items.iter().enumerate() {
        for (sample, _) in CLOCKS.iter().zip([0, items.len() / 2]).filter(|(_, at)| *at == i) {
            clock.add(*sample);
            sink.clock(*sample).unwrap();
        }
        match item {
            Item::Hit(hit) => {
                let context = Context { clock: &clock, ..sample::CONTEXT };
                sink.event(&session.probes.event(&hit.record(&session.probes), &context).unwrap()).unwrap();
            }
            Item::Lost(events, before) => {
                let probe = session.probes.probe(0).unwrap();
                sink.loss(&Loss { events: *events, probe, cpu: 3, before: *before }).unwrap();
            }
        }
    }
    sink.account(&[ACCOUNT, ACCOUNT]).unwrap();
}

fn written(sessions: &[(&str, &[Item])]) -> Vec<u8> {
    let mut bytes = vec![];
    let mut sink = Box::new(TraceSink::new(&mut bytes));
    sessions.iter().for_each(|(host, items)| feed(&mut *sink, host, items));
    sink.finish().unwrap();
    bytes
}

/// Packets that come a little after each other and go through several probes, on CPUs whose events are told a little out of
/// order, with a few that nothing follows, and losses.
fn random(seed: u64, events: u64, packets: u64) -> Vec<Item> {
    let mut numbers = Numbers(seed);
    let mut items = vec![];
    for i in 0..events {
        let packet = (i * packets / events + numbers.below(6)).min(packets);
        // Times of which several are equal, and ids of which the greater need not be the later.
        let at = (i * 40 + numbers.below(400)) / 50 * 50;
        let id = if packet == 0 { 0 } else { packet.wrapping_mul(0x9e37_79b9_7f4a_7c15) };
        let hit = Hit { probe: numbers.below(2) as u16, at, id, cpu: numbers.below(4) as u8 };
        if numbers.below(15) == 0 {
            let before = (numbers.below(10) > 0).then_some(tracked::START + at);
            items.push(Item::Lost(1 + numbers.below(20), before));
        }
        items.push(Item::Hit(hit));
    }
    items
}

/// What is to come of a session, thought out simply.
fn expected(host: &str, items: &[Item]) -> Vec<Told> {
    let mut lost = 0;
    // The keys, and what was lost before.
    let mut placed: Vec<([u64; 4], u64, Item)> = vec![];
    for (place, item) in (0..).zip(items) {
        match item {
            Item::Hit(hit) => {
                placed.push(([0, hit.id, tracked::START + hit.at, place], lost, *item));
            }
            Item::Lost(events, before) => {
                lost += events;
                let time = before.unwrap_or(u64::MAX);
                placed.push(([time, 0, time, place], lost, *item));
            }
        }
    }
    let mut first: HashMap<u64, [u64; 2]> = HashMap::new();
    for (key, _, item) in &placed {
        if let Item::Hit(..) = item {
            let of_packet = first.entry(key[1]).or_insert([key[2], key[3]]);
            *of_packet = (*of_packet).min([key[2], key[3]]);
        }
    }
    for (key, _, item) in &mut placed {
        if let Item::Hit(hit) = item {
            key[0] = if hit.id == 0 { key[2] } else { first[&hit.id][0] };
        }
    }
    placed.sort_by_key(|(key, ..)| *key);
    let mut told = vec![Told::Begin(host.into())];
    told.extend(CLOCKS.map(Told::Clock));
    let mut before: Option<(u64, u64)> = None;
    for (key, lost, item) in placed {
        match item {
            Item::Hit(hit) => {
                let follow = before.filter(|(id, _)| *id == hit.id && hit.id != 0);
                let follow = follow.map(|(_, lost_before)| Follow {
                    since: key[2] - key[0],
                    lost: lost.saturating_sub(lost_before),
                });
                told.push(Told::Event(key[2], hit.id, hit.probe, hit.cpu.into(), follow));
                before = Some((hit.id, lost));
            }
            Item::Lost(events, before) => told.push(Told::Loss(events, 3, before)),
        }
    }
    told.push(Told::Account(vec![ACCOUNT; 2]));
    told
}

/// Sorts with so much memory.
fn sort(trace: &Trace, sink: &mut dyn Sink, memory: usize) -> Result<(Replayed, Vec<Damage>), ReplayError> {
    let mut damages = vec![];
    let sorting = Sorting {
        show: Show::default(),
        select: &mut |_| true,
        memory,
        folder: &std::env::temp_dir(),
        report: &mut |damage| damages.push(damage),
        progress: &mut |_| {},
    };
    trace.sort(sink, sorting).map(|replayed| (replayed, damages))
}

fn sorted(trace: &Trace, memory: usize) -> Vec<Told> {
    let mut ear = Ear::default();
    let (_, damages) = sort(trace, &mut ear, memory).unwrap();
    assert_eq!(damages, []);
    assert!(ear.flushed && ear.follow.is_none());
    ear.told
}

/// The sorted trace in a file.
fn sorted_file(folder: &Folder, trace: &Trace, memory: usize) -> Trace {
    let mut bytes = vec![];
    let mut sink = Box::new(TraceSink::new(&mut bytes));
    sort(trace, &mut *sink, memory).unwrap();
    sink.finish().unwrap();
    Trace::open(&folder.file("sorted", &bytes)).unwrap()
}

fn replayed(trace: &Trace) -> Vec<Told> {
    let mut ear = Ear::default();
    trace.replay(&mut ear, Show::default(), &mut |damage| panic!("{damage}")).unwrap();
    ear.told
}

const MEMORIES: [usize; 4] = [256 << 20, 100_000, 9_000, 0];

#[test]
fn every_event_is_in_its_place_whatever_memory_there_is() {
    let folder = Folder::new();
    for (seed, events, packets) in
        [(1, 0, 1), (2, 1, 1), (3, 500, 100), (4, 4_000, 3), (5, 3_000, 2_500), (6, 600, 0)]
    {
        let items = random(seed, events, packets);
        let trace = Trace::open(&folder.file("t", &written(&[("gw", &items)]))).unwrap();
        let mut expected = expected("gw", &items);
        if items.is_empty() {
            expected.retain(|told| !matches!(told, Told::Clock(_)));
        }
        for memory in MEMORIES {
            let told = sorted(&trace, memory);
            assert!(told == expected, "{events} events of {packets} packets in {memory} bytes");
        }
    }
}

#[test]
fn a_sorted_trace_is_a_trace_and_stays_sorted() {
    let folder = Folder::new();
    // So many that a packet goes on in the next block of events.
    for (events, packets) in [(3_000, 700), (30_000, 4)] {
        let trace = Trace::open(&folder.file("t", &written(&[("gw", &random(7, events, packets))]))).unwrap();
        let (told, file) = (sorted(&trace, 1 << 30), sorted_file(&folder, &trace, 500_000));
        assert!(replayed(&file) == told);
        assert!(sorted(&file, 1 << 30) == told, "what is sorted is not sorted differently");
        assert_eq!(file.totals().unwrap().events, events);
        assert_eq!(file.totals().unwrap().lost, trace.totals().unwrap().lost);
    }
}

#[test]
fn threads_print_followers_as_one_does() {
    let folder = Folder::new();
    let trace = Trace::open(&folder.file("t", &written(&[("gw", &random(8, 30_000, 5))]))).unwrap();
    let file = sorted_file(&folder, &trace, 1 << 30);
    let mut told = [vec![], vec![]];
    let [text, json] = &mut told;
    let mut sinks: [Box<dyn Sink>; 2] = [Box::new(TextSink::new(text)), Box::new(JsonSink::new(json))];
    for sink in &mut sinks {
        sort(&trace, &mut **sink, 1 << 30).unwrap();
    }
    sinks.into_iter().for_each(|sink| sink.finish().unwrap());
    for threads in [1, 3] {
        let threads = NonZeroUsize::new(threads).unwrap();
        let rendering = Rendering { threads, show: Show::default(), select: &|_| true };
        let renders: [&dyn tracer_trace::file::Render; 2] = [&TextRender, &JsonRender];
        for (render, told) in renders.into_iter().zip(&told) {
            let mut printed = vec![];
            file.render(render, rendering, &mut printed, &mut |damage| panic!("{damage}"), &mut |_| {})
                .unwrap();
            assert!(printed == *told);
        }
    }
    let followers = String::from_utf8(told[0].clone()).unwrap().matches("    ↳ +").count();
    assert!(followers > 25_000, "{followers}");
}

#[test]
fn what_is_not_wanted_is_left_out_and_changes_nothing_else() {
    let folder = Folder::new();
    let trace = Trace::open(&folder.file("t", &written(&[("gw", &random(9, 2_000, 300))]))).unwrap();
    let wanted = |event: &Event<'_>| event.record.header().probe == tracked::FREED;
    let all = sorted(&trace, 1 << 30);
    for memory in MEMORIES {
        let mut ear = Ear::default();
        let sorting = Sorting {
            show: Show::default(),
            select: &mut |event| wanted(event),
            memory,
            folder: &std::env::temp_dir(),
            report: &mut |damage| panic!("{damage}"),
            progress: &mut |_| {},
        };
        let replayed = trace.sort(&mut ear, sorting).unwrap();
        assert_eq!(replayed.events, 2_000);
        let mut expected = all.clone();
        expected.retain(|told| !matches!(told, Told::Event(_, _, tracked::RECEIVED, ..)));
        assert!(ear.told == expected && replayed.selected < 1_500 && replayed.selected > 500);
    }
    // The same is shown of the sorted trace.
    let mut ear = Ear::default();
    let replay = Replay {
        show: Show::default(),
        select: &mut |event| wanted(event),
        report: &mut |damage| panic!("{damage}"),
        progress: &mut |_| {},
    };
    sorted_file(&folder, &trace, 0).replay_with(&mut ear, replay).unwrap();
    assert!(
        ear.told
            == all.into_iter().filter(|told| !matches!(told, Told::Event(_, _, 0, ..))).collect::<Vec<_>>()
    );
}

#[test]
fn sessions_stay_apart() {
    let folder = Folder::new();
    let [a, b] = [11, 12].map(|seed| random(seed, 800, 90));
    let bytes = written(&[("one", &a), ("two", &b)]);
    let trace = Trace::open(&folder.file("t", &bytes)).unwrap();
    let both = [expected("one", &a), expected("two", &b)].concat();
    for memory in MEMORIES {
        assert!(sorted(&trace, memory) == both);
    }
    assert!(replayed(&sorted_file(&folder, &trace, 0)) == both);
    // Two runs of the same tracer on the same machine, of which nothing else differs; also when they are written again.
    let bytes = [written(&[("one", &a)]), written(&[("one", &b)])].concat();
    let trace = Trace::open(&folder.file("t", &bytes)).unwrap();
    let both = [expected("one", &a), expected("one", &b)].concat();
    let file = sorted_file(&folder, &trace, 0);
    assert!(sorted(&trace, 0) == both && replayed(&file) == both && sorted(&file, 0) == both);
    // The same run twice is one.
    let bytes = written(&[("one", &a)]).repeat(2);
    let told = sorted(&Trace::open(&folder.file("t", &bytes)).unwrap(), 0);
    let events = |told: &[Told]| told.iter().filter(|told| matches!(told, Told::Event(..))).count();
    assert_eq!(
        (events(&told), told.iter().filter(|told| matches!(told, Told::Begin(_))).count()),
        (1_600, 1)
    );
    let twice = Account { hits: 18, filtered: 6, limited: 2, delivered: 8, lost: 2, missed: Some(14) };
    assert_eq!(told.last(), Some(&Told::Account(vec![twice; 2])));
}

#[test]
fn names_and_clocks_are_those_of_the_session() {
    struct Name(&'static str);
    impl Symbols for Name {
        fn resolve(&self, address: u64) -> Option<Symbol<'_>> {
            Some(Symbol { name: self.0.into(), offset: address & 0xff })
        }
    }
    let folder = Folder::new();
    let mut bytes = vec![];
    let mut sink = Box::new(TraceSink::new(&mut bytes));
    for (name, realtime) in [("alpha", 1_000), ("beta", 5_000_000_000)] {
        let session =
            Session { probes: Arc::new(tracer_event::Probes::new(vec![sample::probe()])), ..session(name) };
        let mut clock = Clock::default();
        clock.add(ClockSample { monotonic: 0, realtime });
        let context = Context { symbols: &Name(name), clock: &clock, ..sample::CONTEXT };
        sink.begin(&session).unwrap();
        sink.clock(clock.samples()[0]).unwrap();
        sink.event(&session.probes.event(&sample::record(), &context).unwrap()).unwrap();
    }
    sink.finish().unwrap();
    let trace = Trace::open(&folder.file("t", &bytes)).unwrap();
    let mut text = vec![];
    let mut sink = Box::new(TextSink::new(&mut text).utc(true));
    let sorting = Sorting {
        show: Show { utc: true, link_header: true },
        select: &mut |_| true,
        memory: 0,
        folder: &std::env::temp_dir(),
        report: &mut |damage| panic!("{damage}"),
        progress: &mut |_| {},
    };
    trace.sort(&mut *sink, sorting).unwrap();
    sink.finish().unwrap();
    let text = String::from_utf8(text).unwrap();
    let times: Vec<&str> =
        text.lines().filter(|line| line.starts_with("1970")).map(|line| &line[..30]).collect();
    assert_eq!(times, ["1970-01-01T00:57:23.313083998Z", "1970-01-01T00:57:28.313082998Z"]);
    assert!(text.contains("alpha+0x1\n") && text.contains("02:42:ac:10:2a:01 > "), "{text}");
    assert!(text.find("alpha").unwrap() < text.find("beta+0x1").unwrap());
}

#[test]
fn damage_costs_what_it_costs_and_is_told_once() {
    let folder = Folder::new();
    let items = random(13, 6_000, 900);
    let mut bytes = written(&[("gw", &items)]);
    let events: Vec<usize> =
        blocks(&bytes).iter().filter(|(_, kind, _)| *kind == 4).map(|(at, ..)| *at).collect();
    assert!(events.len() >= 2);
    bytes[events[1] + 60] ^= 4;
    let cut = blocks(&bytes).last().unwrap().0;
    bytes.truncate(cut + 5);
    let trace = Trace::open(&folder.file("t", &bytes)).unwrap();
    let mut ear = Ear::default();
    let (replayed, damages) = sort(&trace, &mut ear, 9_000).unwrap();
    let told: Vec<String> = damages.iter().map(ToString::to_string).collect();
    assert_eq!((told.len(), replayed.damages), (2, 2), "{told:?}");
    assert!(
        told[0].contains("its checksum does not match") && told[1].contains("ends inside a block's header")
    );
    let mut other = Ear::default();
    trace.replay(&mut other, Show::default(), &mut |_| {}).unwrap();
    let times = |told: &[Told]| {
        let mut times: Vec<(u64, u64)> = told
            .iter()
            .filter_map(|told| if let Told::Event(time, id, ..) = told { Some((*time, *id)) } else { None })
            .collect();
        times.sort_unstable();
        times
    };
    assert_eq!(times(&ear.told), times(&other.told));
    assert!(replayed.events > 1_000 && replayed.events < 6_000);
}

#[test]
fn a_damaged_series_block_leaves_the_events() {
    let folder = Folder::new();
    let trace = Trace::open(&folder.file("t", &written(&[("gw", &random(14, 3_000, 500))]))).unwrap();
    let file = sorted_file(&folder, &trace, 1 << 30);
    let mut bytes = std::fs::read(file.files().next().unwrap()).unwrap();
    let (at, _, block) = blocks(&bytes).into_iter().find(|(_, kind, _)| *kind == 8).unwrap();
    assert!(block[24..].starts_with(b"{\"lengths\":["));
    bytes[at + 26] ^= 1;
    let file = Trace::open(&folder.file("sorted", &bytes)).unwrap();
    let (mut ear, mut damages) = (Ear::default(), vec![]);
    file.replay(&mut ear, Show::default(), &mut |damage| damages.push(damage.to_string())).unwrap();
    assert_eq!(damages.len(), 1);
    assert!(damages[0].contains("(kind: series)"), "{damages:?}");
    assert_eq!(ear.told.iter().filter(|told| matches!(told, Told::Event(..))).count(), 3_000);
}

#[test]
fn a_file_that_changes_on_the_way_is_told_of() {
    let folder = Folder::new();
    let (a, b) = (written(&[("gw", &random(15, 8_000, 900))]), written(&[("gw", &random(16, 8_000, 900))]));
    let path = folder.file("t", &a);
    let change_to = |bytes: &[u8]| {
        std::fs::write(&path, &a).unwrap();
        let trace = Trace::open(&path).unwrap();
        let (mut is_changed, mut ear) = (false, Ear::default());
        let sorting = Sorting {
            show: Show::default(),
            select: &mut |_| true,
            memory: 1 << 20,
            folder: &std::env::temp_dir(),
            report: &mut |damage| panic!("{damage}"),
            // After the first block of the second pass.
            progress: &mut |progress| {
                if progress.read > progress.total / 3 && !is_changed {
                    std::fs::write(&path, bytes).unwrap();
                    is_changed = true;
                }
            },
        };
        trace.sort(&mut ear, sorting).map(|_| ear.told)
    };
    assert!(change_to(&a).is_ok());
    // It was written to meanwhile: what was there before is what is sorted.
    let longer = [&a[..], &b].concat();
    assert!(change_to(&longer).unwrap() == change_to(&a).unwrap());
    for other in [&b[..], &a[..a.len() / 2]] {
        assert!(matches!(change_to(other), Err(ReplayError::Changed)));
    }
}

#[test]
fn where_no_temporary_file_can_be_it_is_said_what_to_do() {
    let folder = Folder::new();
    let trace = Trace::open(&folder.file("t", &written(&[("gw", &random(17, 500, 90))]))).unwrap();
    let mut ear = Ear::default();
    let sorting = Sorting {
        show: Show::default(),
        select: &mut |_| true,
        memory: 1_000,
        folder: "/nonexistent/folder".as_ref(),
        report: &mut |damage| panic!("{damage}"),
        progress: &mut |_| {},
    };
    let error = trace.sort(&mut ear, sorting).unwrap_err().to_string();
    assert!(error.starts_with("cannot keep events in a temporary file in /nonexistent/folder: "), "{error}");
    assert!(error.ends_with("; set TMPDIR to a folder with more room") && ear.told.is_empty(), "{error}");
}

#[test]
fn what_a_stranger_says_of_series_harms_nobody() {
    let folder = Folder::new();
    let bytes = written(&[("gw", &random(18, 300, 40))]);
    let hostile = [
        "{}",
        "[]",
        "nonsense",
        r#"{"lengths":[]}"#,
        r#"{"first":18446744073709551615,"lengths":[4294967295]}"#,
        r#"{"first":0,"lengths":[0,0,0,4294967295,1],"lost":[[4294967295,1],[0,18446744073709551615]]}"#,
        r#"{"lengths":[1,1,1,1000000],"lost":[[3,18446744073709551615],[3,1],[4,18446744073709551615]]}"#,
        r#"{"lengths":[-1]}"#,
        r#"{"lengths":[4294967296]}"#,
    ];
    for payload in hostile {
        let mut forged = bytes[..16].to_vec();
        for (_, kind, known) in blocks(&bytes) {
            if kind == 4 {
                // Two, of which the second counts.
                forged.extend(block(8, 0, br#"{"lengths":[9]}"#, 15));
                forged.extend(block(8, 0, payload.as_bytes(), payload.len()));
            }
            forged.extend(known);
        }
        let trace = Trace::open(&folder.file("t", &forged)).unwrap();
        let mut ear = Ear::default();
        trace.replay(&mut ear, Show::default(), &mut |_| {}).unwrap();
        let mut text = vec![];
        let threads = NonZeroUsize::MIN;
        let rendering = Rendering { threads, show: Show::default(), select: &|_| true };
        trace.render(&TextRender, rendering, &mut text, &mut |_| {}, &mut |_| {}).unwrap();
        let mut again = Ear::default();
        sort(&trace, &mut again, 5_000).unwrap();
        for told in [ear.told, again.told] {
            assert_eq!(told.iter().filter(|told| matches!(told, Told::Event(..))).count(), 300, "{payload}");
        }
    }
}

#[test]
fn noise_is_sorted_or_refused() {
    let folder = Folder::new();
    let trace = Trace::open(&folder.file("t", &written(&[("gw", &random(19, 400, 60))]))).unwrap();
    let file = sorted_file(&folder, &trace, 1 << 20);
    let bytes = std::fs::read(file.files().next().unwrap()).unwrap();
    let mut numbers = Numbers(20);
    for _ in 0..300 {
        let mut noisy = bytes.clone();
        for _ in 0..1 + numbers.below(4) {
            let at = numbers.below(noisy.len() as u64) as usize;
            noisy[at] = numbers.next() as u8;
        }
        noisy.truncate(noisy.len() - numbers.below(100) as usize);
        if let Ok(trace) = Trace::open(&folder.file("noisy", &noisy)) {
            let (mut plain, mut ear) = (Ear::default(), Ear::default());
            let whole = trace.replay(&mut plain, Show::default(), &mut |_| {});
            let sorted = sort(&trace, &mut ear, 3_000);
            assert_eq!(whole.is_ok(), sorted.is_ok());
            if let (Ok(whole), Ok((sorted, damages))) = (whole, sorted) {
                assert_eq!(
                    (sorted.events, sorted.lost, damages.len() as u64),
                    (whole.events, whole.lost, whole.damages)
                );
            }
        }
    }
}
