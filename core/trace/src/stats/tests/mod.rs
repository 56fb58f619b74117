//! Events in, reports out: what is counted, under which key, and what a report shows of it.

mod counting;
mod doc;
mod losses;
mod shown;

use std::sync::Arc;

use tracer_event::{Clock, Context, ProbeInfo, Probes, Session, Tag, header, sample};

use super::*;

/// One event in the making; without anything but its time at first.
#[derive(Clone)]
struct Hits {
    probe: u16,
    time: u64,
    nft: Option<[u8; 96]>,
    netns: Option<u32>,
    packet: Option<(Vec<u8>, u32, u16)>,
}

impl Hits {
    fn at(time: u64) -> Hits {
        Hits { probe: 0, time, nft: None, netns: None, packet: None }
    }

    fn probe(self, probe: u16) -> Hits {
        Hits { probe, ..self }
    }

    /// A rule in `table`.
    fn rule(self, table: &[u8], rule: u8) -> Hits {
        let mut nft = sample::nft();
        nft[..32].fill(0);
        nft[..table.len()].copy_from_slice(table);
        nft[sample::NFT_RULE] = rule;
        Hits { nft: Some(nft), ..self }
    }

    fn netns(self, inode: u32) -> Hits {
        Hits { netns: Some(inode), ..self }
    }

    /// The sample's packet with another source port.
    fn syn(self, port: u16) -> Hits {
        let mut packet = sample::SYN;
        packet[34..36].copy_from_slice(&port.to_be_bytes());
        Hits { packet: Some((packet.to_vec(), 1, 0x0800)), ..self }
    }

    /// Data without a link header.
    fn raw(self, packet: &[u8]) -> Hits {
        Hits { packet: Some((packet.to_vec(), 101, 0)), ..self }
    }

    fn frame(self, packet: &[u8]) -> Hits {
        Hits { packet: Some((packet.to_vec(), 1, 0)), ..self }
    }

    fn record(&self) -> Vec<u8> {
        let layout = sample::layout();
        let mut bytes = sample::Bytes::new(&layout);
        if let Some(nft) = &self.nft {
            bytes = bytes.fixed(0, nft);
        }
        if let Some(netns) = self.netns {
            bytes = bytes.fixed(1, &netns.to_le_bytes());
        }
        if let Some((packet, link, ethertype)) = &self.packet {
            let original = u32::try_from(packet.len()).unwrap().to_le_bytes();
            let siblings = [&original[..], &link.to_le_bytes(), &ethertype.to_be_bytes(), &[0, 0]].concat();
            bytes = bytes.tail(3, &[&siblings, &packet[..]].concat());
        }
        let mut bytes = bytes.finish();
        bytes[header::PROBE..header::PROBE + 2].copy_from_slice(&self.probe.to_le_bytes());
        bytes[header::TIME..header::TIME + 8].copy_from_slice(&self.time.to_le_bytes());
        bytes
    }
}

const OWN: u32 = 4_026_531_840;

/// Two probes with the sections of the sample.
fn session() -> Session {
    let other = ProbeInfo { tag: Tag::RawTracepoint, name: "skb:kfree_skb".into(), ..sample::probe() };
    let probes = Arc::new(Probes::new(vec![sample::probe(), other]));
    Session { own_netns: Some(u64::from(OWN)), probes, ..Session::default() }
}

fn feed(sink: &mut StatsSink, session: &Session, events: &[Hits]) {
    feed_by(sink, session, events, &Clock::NONE, false);
}

fn feed_by(sink: &mut StatsSink, session: &Session, events: &[Hits], clock: &Clock, utc: bool) {
    let context = Context { own_netns: session.own_netns, clock, utc, ..sample::CONTEXT };
    for event in events {
        let bytes = event.record();
        sink.event(&session.probes.event(&bytes, &context).unwrap()).unwrap();
    }
}

/// A sink that has seen one session of these.
fn counted(events: &[Hits]) -> StatsSink {
    let mut sink = StatsSink::new();
    sink.begin(&session()).unwrap();
    feed(&mut sink, &session(), events);
    sink
}

fn report(sink: &StatsSink) -> Report {
    sink.report(&ReportOptions::default()).unwrap()
}

fn table<'a>(report: &'a Report, name: &str) -> &'a Table {
    report.tables.iter().find(|table| table.name == name).unwrap()
}

/// The rows of a table in short: its key's cells that are there, events.
fn rows(report: &Report, name: &str) -> Vec<String> {
    let cells = |row: &Row| {
        row.key
            .iter()
            .filter(|cell| **cell != Cell::Absent)
            .map(Cell::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    table(report, name).rows.iter().map(|row| format!("{}: {}", cells(row), row.events)).collect()
}
