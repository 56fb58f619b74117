//! The same packets, and noise made out of them, as JSON: whatever comes, it is what the JSON Schema describes, to the
//! last member.

use std::collections::BTreeSet;

use serde_json::Value;
use tracer_event::sample::{self, dropmon};
use tracer_event::{Probes, json};

use crate::fuzz::mutate;
use crate::{generate, numbers::Numbers};

const ROUNDS: usize = 4_000;

#[test]
fn packets_are_as_described() {
    let probe = dropmon::probe();
    let sections = probe.layout.sections().iter().map(|placed| &*placed.schema);
    let schema = sample::strict(json::schema(sections));
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let layout = probe.layout.clone();
    let probes = Probes::new(vec![probe]);
    let mut renderer = json::Renderer::new();
    let mut n = Numbers::new(3);
    let mut seen = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut frame = generate::frame(&mut n);
        for _ in 0..n.below(4) {
            mutate(&mut n, &mut frame);
        }
        frame.truncate(200);
        let mut skb = dropmon::skb_bytes(&frame);
        // A tag apart from the data.
        if n.once_in(4) {
            skb[24..28].copy_from_slice(&[0x81, 0, n.byte(), n.byte()]);
        }
        let record = sample::Bytes::new(&layout).tail(1, &skb).finish();
        let event = probes.event(&record, &sample::CONTEXT).unwrap();
        let mut line = String::new();
        renderer.event(&mut line, &event);
        let event: Value = serde_json::from_str(&line).unwrap();
        let errors: Vec<String> = validator.iter_errors(&event).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "round {round}: {errors:#?}\n{event:#}");
        note(&event["skb"]["data"], &mut seen);
    }
    // The packets are of all kinds, or the test says little.
    let kinds = "ah arp esp ethernet ethertype flaw geneve gre icmp icmpv6 inner ipv4 ipv6 mpls raw sctp tcp udp vlan vxlan";
    let missing: Vec<&str> = kinds.split(' ').filter(|kind| !seen.contains(*kind)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The members of a packet and of those inside it.
fn note(packet: &Value, seen: &mut BTreeSet<String>) {
    seen.extend(packet.as_object().into_iter().flatten().map(|(name, _)| name.clone()));
    if let Some(inner) = packet.get("inner") {
        note(inner, seen);
    }
}
