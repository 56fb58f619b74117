//! Packets that are followed: every event says by a number which packet it is of, beside a reason for some, as the
//! collectors `skb-tracking` and `skb-drop` report.

use std::sync::Arc;

use super::{Bytes, SYN, dropmon, field, schema};
use crate::{Kind, Layout, Place, ProbeInfo, Probes, Schema, Show, Tag, Trim, header};

/// Where the probes stand in [`probes`].
pub const RECEIVED: u16 = 0;
pub const FREED: u16 = 1;

/// When the first event was: `CLOCK_MONOTONIC`, ns.
pub const START: u64 = 3_443_313_082_998;

/// Two probes; the second has its sections in an order of its own.
pub fn probes() -> Probes {
    let probe = |name: &str, sections| ProbeInfo {
        tag: Tag::RawTracepoint,
        trim: Trim::Machinery,
        way: "tp_btf".into(),
        name: name.into(),
        layout: Arc::new(Layout::new(sections).unwrap()),
    };
    let received = probe("net:netif_receive_skb", vec![tracking(), dropmon::skb()]);
    let freed = probe("skb:kfree_skb", vec![reason(), dropmon::skb(), tracking()]);
    Probes::new(vec![received, freed])
}

/// One event of a packet; 0 is the number of one that nothing follows.
#[derive(Debug, Clone, Copy)]
pub struct Hit {
    pub probe: u16,
    /// Nanoseconds since [`START`].
    pub at: u64,
    pub id: u64,
    pub cpu: u8,
}

impl Hit {
    pub fn record(&self, probes: &Probes) -> Vec<u8> {
        let layout = &probes.probe(self.probe).unwrap().layout;
        let id = self.id.to_le_bytes();
        let skb = dropmon::skb_bytes(&SYN);
        let bytes = Bytes::new(layout);
        let bytes = match self.probe {
            RECEIVED => bytes.fixed(0, &id).tail(1, &skb),
            _ => bytes.fixed(0, &2u32.to_le_bytes()).tail(1, &skb).fixed(2, &id),
        };
        let mut record = bytes.finish();
        record[header::PROBE..][..2].copy_from_slice(&self.probe.to_le_bytes());
        record[header::CPU] = self.cpu;
        record[header::TIME..][..8].copy_from_slice(&(START + self.at).to_le_bytes());
        record[header::COMM..][..9].copy_from_slice(b"swapper/0");
        record
    }
}

fn tracking() -> Arc<Schema> {
    let id = vec![field("id", 0, Kind::Uint(8), Show::PacketId)];
    schema("skb_tracking", 8, None, id, "[{id}]", Place::Head)
}

fn reason() -> Arc<Schema> {
    let names = vec![(2, "NOT_SPECIFIED".into()), (8, "NETFILTER_DROP".into())];
    let reason = Kind::Enum { width: 4, signed: false, names };
    schema("skb_drop", 4, None, vec![field("reason", 0, reason, Show::Plain)], "(drop {reason})", Place::Head)
}
