//! The examples of `docs/stats.md` are what a report looks like.

use super::*;
use tracer_event::packet::Mac;

const DOC: &str = include_str!("../../../../../docs/stats.md");

/// The blocks of the document in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("\n```{language}\n");
    DOC.split(&*fence).skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

fn text(text: &str) -> Cell {
    Cell::Text(text.into())
}

fn row(key: Vec<Cell>, events: u64, bytes: u64, first: u64, last: u64) -> Row {
    let times = Some((Time::Monotonic(3_443_313_000_000 + first), Time::Monotonic(3_443_313_000_000 + last)));
    Row { key, events, bytes: Some(bytes), times, lost: None, account: None }
}

fn table(name: &str, kind: TableKind, columns: &[&str], keys: usize, rows: Vec<Row>) -> Table {
    let columns = columns.iter().map(|column| (*column).to_owned()).collect();
    Table { name: name.into(), kind, columns, keys, rows, others: None }
}

fn example() -> Report {
    let account =
        Account { hits: 98_311, filtered: 97_090, limited: 0, delivered: 1_204, lost: 17, missed: Some(0) };
    let probe = row(vec![text("k"), text("__nft_trace_packet")], 1_204, 72_318, 82_998, 61_204_118_402);
    let probe = Row { lost: Some(17), account: Some(account), ..probe };

    let rule = |netns, family, table: &str, chain: &str, rule| {
        vec![netns, text(family), text(table), text(chain), Cell::Uint(rule), text("drop")]
    };
    let fedora = rule(Cell::Absent, "inet", "firewalld", "filter_IN_FedoraServer", 215);
    let policy = rule(Cell::Uint(4_026_532_637), "ip", "filter", "FORWARD", 0);
    let rules = vec![
        row(fedora, 1_187, 71_220, 82_998, 61_204_118_402),
        row(policy, 17, 1_098, 9_118_204_551, 58_900_512_230),
    ];

    let address = |address: &str| Cell::Ip(address.parse().unwrap());
    let port = |port: u64| Cell::Uint(port);
    let none = || Cell::Absent;
    let flow = |netns, source, sport, destination, dport, protocol: &str, icmp: [Cell; 2]| {
        let [kind, code] = icmp;
        vec![netns, source, sport, destination, dport, text(protocol), kind, code]
    };
    let no_icmp = || [none(), none()];
    let mac = |last| Cell::Mac(Mac([2, 0x42, 0xac, 0x10, 0x2a, last]));
    let flows = vec![
        row(
            flow(
                none(),
                address("172.16.42.1"),
                port(52_294),
                address("172.16.42.2"),
                port(8080),
                "TCP",
                no_icmp(),
            ),
            801,
            48_060,
            82_998,
            60_911_004_710,
        ),
        row(
            flow(
                none(),
                address("fd00::1"),
                none(),
                address("fd00::2"),
                none(),
                "ICMPv6",
                [port(128), port(0)],
            ),
            12,
            1_248,
            1_204_118,
            12_204_559_003,
        ),
        row(
            flow(port(4_026_532_637), mac(1), none(), mac(2), none(), "LLDP", no_icmp()),
            3,
            180,
            588_700_313,
            60_588_700_655,
        ),
    ];
    let times = probe.times;
    Report {
        sessions: 1,
        events: 1_204,
        lost: 17,
        bytes: Some(72_318),
        times,
        duration: 61_204_035_404,
        order: Order::Events,
        tables: vec![
            table("probe", TableKind::Probe, &crate::stats::probes::COLUMNS, 1, vec![probe]),
            table(
                "nft",
                TableKind::Section,
                &["netns", "family", "table", "chain", "rule", "verdict"],
                2,
                rules,
            ),
            table("flow", TableKind::Flow, &crate::stats::plan::FLOW, 231, flows),
        ],
    }
}

#[test]
fn the_document_shows_what_is_printed() {
    assert_eq!(blocks("text"), [example().to_string()]);
}

#[test]
fn the_document_shows_the_json() {
    let mut report = example();
    report.tables.remove(0);
    report.tables.pop();
    report.tables[0].rows.remove(0);
    assert_eq!(blocks("json"), [report.to_json()]);
}

#[test]
fn the_document_names_all_keys_and_orders() {
    let mut report = example();
    report.tables[2].others = Some(row(vec![], 1, 1, 1, 1));
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    let mut keys = Vec::new();
    named(&json, &mut keys);
    assert!(keys.len() > 20, "{keys:?}");
    for key in keys {
        assert!(DOC.contains(&format!("`{key}`")), "{key}");
    }
    for order in Order::ALL {
        assert!(DOC.contains(&format!("`{order}`")), "{order}");
    }
}

/// The names of all members, but those of the sections' fields.
fn named(value: &serde_json::Value, keys: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            for (name, value) in members {
                if name == "key" && value.get("chain").is_some() {
                    continue;
                }
                keys.push(name.clone());
                named(value, keys);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| named(value, keys)),
        _ => {}
    }
}
