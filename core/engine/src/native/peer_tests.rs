//! Tracer's side against a process that is not what it should be: it lies about its sections, says too much, or nothing at all. A thread
//! speaks for it.

use std::{
    os::unix::net::UnixStream,
    process::{Command, Stdio},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tracer_event::{Field, Kind as FieldKind, Schema, Show};

use super::{
    child::Child,
    enricher::Enricher,
    form::Fault,
    frame::{self, Channel, Kind},
    process::{Process, Quarantine},
};

const SOON: Duration = Duration::from_millis(200);

/// A process, for which `peer` speaks.
fn process(peer: impl FnOnce(&mut Channel) + Send + 'static) -> (Process, JoinHandle<()>) {
    let (mine, its) = UnixStream::pair().unwrap();
    let mut command = Command::new("sleep");
    let child = command.arg("100").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let process = Process::of(Child::new(child), Channel::new(mine).unwrap());
    let mut its = Channel::new(its).unwrap();
    (process, thread::spawn(move || peer(&mut its)))
}

fn enricher(peer: impl FnOnce(&mut Channel) + Send + 'static) -> (Enricher, JoinHandle<()>) {
    let (process, peer) = process(peer);
    let field = Field { name: "n".into(), offset: 0, kind: FieldKind::Uint(4), show: Show::Plain };
    let schema = Arc::new(Schema::new("s", 4, None, vec![field], None).unwrap());
    (Enricher::new("x".to_owned(), schema, process), peer)
}

/// Takes a batch; gives its records.
fn batch(peer: &mut Channel) -> usize {
    let mut payload = Vec::new();
    assert_eq!(peer.receive(&mut payload, None).unwrap(), Some(Kind::Batch));
    let (mut rest, mut records) = (&payload[..], 0);
    while frame::take(&mut rest).is_some() {
        records += 1;
    }
    records
}

/// So many sections.
fn sections(number: u32) -> Vec<u8> {
    let mut out = Vec::new();
    (0..number).for_each(|n| frame::put(&mut out, &n.to_le_bytes()));
    out
}

/// Three records to a process; what the user is told, and how many events miss their section.
fn asked(peer: impl FnOnce(&mut Channel) + Send + 'static) -> (Vec<String>, u64, Vec<bool>) {
    let (mut enricher, peer) = enricher(peer);
    let mut said = Vec::new();
    enricher.send([&b"a"[..], b"b", b"c"].into_iter(), &mut said);
    enricher.receive(&mut said);
    let there = (0..3).map(|n| enricher.section(n).is_some()).collect();
    let missing = enricher.shortfall(1).map_or(0, |shortfall| shortfall.count);
    // It is asked no more.
    if !said.is_empty() {
        enricher.send([&b"d"[..]].into_iter(), &mut said);
        enricher.receive(&mut said);
        enricher.tick(1, &mut said);
        enricher.stop(&mut said);
        assert_eq!((said.len(), enricher.shortfall(2).unwrap().count), (1, 1));
        assert!(enricher.why().is_some());
    }
    drop(enricher);
    peer.join().unwrap();
    (said, missing, there)
}

#[test]
fn as_it_should_be() {
    let (said, missing, there) = asked(|peer| {
        assert_eq!(batch(peer), 3);
        let mut out = sections(1);
        frame::put_none(&mut out);
        out.extend(sections(1));
        peer.send(Kind::Sections, &[&out], None).unwrap();
    });
    assert_eq!((said, missing, there), (vec![], 0, vec![true, false, true]));
}

#[test]
fn sections_before_a_failure_are_kept() {
    let (said, missing, there) = asked(|peer| {
        batch(peer);
        peer.send(Kind::Sections, &[&sections(2)], None).unwrap();
        peer.send(Kind::Failed, &[&[Fault::Panic as u8], b"it\x1b[2J"], None).unwrap();
    });
    assert_eq!((missing, there), (1, vec![true, true, false]));
    assert_eq!(said, ["plugin x is not used any more: it\\x1b[2J; events go on without its section `s`"]);
}

#[test]
fn lies() {
    type Peer = fn(&mut Channel);
    let all: [(Peer, &str); 7] = [
        (|peer| peer.send(Kind::Sections, &[&sections(4)], None).unwrap(), "4 sections for 3 records"),
        (
            |peer| {
                peer.send(Kind::Sections, &[&sections(2)], None).unwrap();
                peer.send(Kind::Done, &[], None).unwrap();
            },
            "2 sections for 3 records",
        ),
        (|peer| peer.send(Kind::Sections, &[&sections(3)[..20]], None).unwrap(), "its sections are cut"),
        (|peer| peer.send(Kind::Done, &[], None).unwrap(), "a frame Done"),
        (|peer| peer.send(Kind::Batch, &[&[1; 100]], None).unwrap(), "a frame Batch"),
        (|peer| peer.send(Kind::Failed, &[], None).unwrap(), "not used any more: ; "),
        (|peer| peer.send(Kind::Failed, &[&[99, 0xff]], None).unwrap(), "not used any more: \u{fffd}; "),
    ];
    for (lie, why) in all {
        let (said, missing, _) = asked(move |peer| {
            batch(peer);
            lie(peer);
        });
        assert!(said.len() == 1 && said[0].contains(why), "{why}: {said:?}");
        assert!(missing <= 3, "{why}: {missing}");
    }
}

#[test]
fn a_closed_connection() {
    let (said, missing, _) = asked(|_| {});
    assert!(said[0].contains("it ended its process in `enrich`: it has closed the connection"), "{said:?}");
    assert_eq!(missing, 3);
}

/// What is wrong is found by another, when the section is put into a record: nothing of it is taken from there on.
#[test]
fn distrust() {
    let (mut enricher, peer) = enricher(|peer| {
        batch(peer);
        peer.send(Kind::Sections, &[&sections(3)], None).unwrap();
    });
    let mut said = Vec::new();
    enricher.send([&b"a"[..], b"b", b"c"].into_iter(), &mut said);
    enricher.receive(&mut said);
    peer.join().unwrap();
    enricher.distrust(1, &Quarantine::Nonsense("so".to_owned()), &mut said);
    let there: Vec<bool> = (0..3).map(|n| enricher.section(n).is_some()).collect();
    assert_eq!((there, enricher.shortfall(1).unwrap().count), (vec![true, false, false], 2));
    assert!(said.len() == 1 && said[0].contains("makes no sense: so"), "{said:?}");
}

/// Whoever talks on and on is not listened to for ever.
#[test]
fn talk_without_end() {
    for silent in [true, false] {
        let (mut process, peer) = process(move |peer| {
            // Until nobody listens.
            while peer.send(Kind::Log, &[b"\x01again"], Some(Instant::now() + SOON * 20)).is_ok() {
                if silent {
                    thread::sleep(SOON / 10);
                }
            }
        });
        let begin = Instant::now();
        let blocked = process.expect(Kind::Done, "tick", SOON);
        assert_eq!(blocked, Err(Quarantine::Blocked { what: "tick", limit: SOON }));
        assert!(begin.elapsed() < SOON * 10);
        let said = process.said_at_last();
        assert!(said.len() <= 31 && said[0] == "again", "{said:?}");
        drop(process);
        peer.join().unwrap();
    }
}

/// News of events is a sign of life, as long as there are more.
#[test]
fn slow_is_not_dead() {
    let (mut process, peer) = process(|peer| {
        for taken in 1..=6_u64 {
            thread::sleep(SOON / 2);
            peer.send(Kind::Taken, &[&taken.to_le_bytes()], None).unwrap();
        }
        peer.send(Kind::Done, &[], None).unwrap();
        while peer.send(Kind::Taken, &[&6_u64.to_le_bytes()], None).is_ok() {
            thread::sleep(SOON / 10);
        }
    });
    assert_eq!(process.done("stop", SOON), Ok(()));
    assert_eq!(process.taken, 6);
    assert!(matches!(process.done("stop", SOON), Err(Quarantine::Blocked { .. })));
    drop(process);
    peer.join().unwrap();
}

/// A sink may have so much to say that it takes nothing before that is heard.
#[test]
fn both_have_much_to_say() {
    let (mut process, peer) = process(|peer| {
        for _ in 0..20_000 {
            peer.send(Kind::Log, &[&[b'a'; 200]], None).unwrap();
        }
        let mut payload = Vec::new();
        assert_eq!(peer.receive(&mut payload, None).unwrap(), Some(Kind::Trace));
        assert_eq!(payload.len(), 4 << 20);
    });
    let much = vec![0; 4 << 20];
    assert_eq!(process.send(Kind::Trace, &[&much], "event", SOON * 50), Ok(()));
    peer.join().unwrap();
}

/// Why it takes nothing any more, it may have said before.
#[test]
fn a_failure_before_all_is_sent() {
    let (mut process, peer) = process(|peer| {
        peer.send(Kind::Failed, &[&[Fault::Error as u8], b"the disk is full"], None).unwrap();
    });
    peer.join().unwrap();
    let failed = process.send(Kind::Trace, &[&vec![0; 8 << 20]], "event", SOON * 50);
    let why = "the disk is full".to_owned();
    assert_eq!(failed, Err(Quarantine::Failed { fault: Fault::Error, why }));
}
