//! What a report shows: order, top, tables, text and JSON.

use std::{cell::RefCell, rc::Rc};

use super::*;

fn by(sink: &StatsSink, order: Order, top: usize) -> Vec<String> {
    let report = sink.report(&ReportOptions { top, order, tables: vec!["nft".into()] }).unwrap();
    assert_eq!(report.tables.len(), 1);
    rows(&report, "nft").iter().map(|row| row.replace(" filter_IN_FedoraServer 1 drop", "")).collect()
}

#[test]
fn rows_are_sorted_as_asked_for() {
    let sink = counted(&[
        Hits::at(10).rule(b"a", 1),
        Hits::at(90).rule(b"a", 1),
        Hits::at(50).rule(b"b", 1).syn(1),
        Hits::at(20).rule(b"c", 1),
        Hits::at(80).rule(b"d", 1),
    ]);
    assert_eq!(by(&sink, Order::Events, 10), ["a: 2", "b: 1", "c: 1", "d: 1"]);
    assert_eq!(by(&sink, Order::Bytes, 10), ["b: 1", "a: 2", "c: 1", "d: 1"]);
    assert_eq!(by(&sink, Order::First, 10), ["a: 2", "c: 1", "b: 1", "d: 1"]);
    assert_eq!(by(&sink, Order::Last, 10), ["a: 2", "d: 1", "b: 1", "c: 1"]);
    assert_eq!(by(&sink, Order::Last, 2), ["a: 2", "d: 1"]);
    assert_eq!(by(&sink, Order::Events, 0), [""; 0]);
    // What was never seen is last in every order.
    for order in Order::ALL {
        let report = sink.report(&ReportOptions { order, ..ReportOptions::default() }).unwrap();
        assert_eq!(rows(&report, "probe")[1], "tp skb:kfree_skb: 0", "{order}");
        assert_eq!(order.to_string().parse(), Ok(order));
    }
    let error = "size".parse::<Order>().unwrap_err().to_string();
    assert_eq!(error, "statistics cannot be sorted by 'size'; they can by: events, bytes, first, last");
}

#[test]
fn tables_are_chosen_by_name() {
    let sink = counted(&[]);
    let names = |tables: &[&str]| {
        let tables = tables.iter().map(|name| (*name).to_owned()).collect();
        let report = sink.report(&ReportOptions { tables, ..ReportOptions::default() })?;
        Ok::<_, UnknownTable>(report.tables.into_iter().map(|table| table.name).collect::<Vec<_>>())
    };
    assert_eq!(names(&[]).unwrap(), ["probe", "nft", "flow"]);
    assert_eq!(names(&["flow", "probe"]).unwrap(), ["probe", "flow"]);
    let error = names(&["flow", "skb-drop\n"]).unwrap_err();
    assert_eq!(error.to_string(), "there is no table 'skb_drop\\n'; there are: probe, nft, flow");
}

#[test]
fn text_to_the_byte() {
    let mut sink = counted(&[
        Hits::at(1_000_000_000).rule(b"fw", 1).syn(1000),
        Hits::at(2_500_000_000).rule("中".as_bytes(), 215).syn(2000).netns(4_026_532_999),
        Hits::at(2_500_000_001).rule(b"fw", 1),
    ]);
    let account = Account { hits: 5, filtered: 2, delivered: 3, ..Account::default() };
    sink.account(&[account, Account::default()]).unwrap();
    let expected = "\
1 session, 3 events, 148 bytes, 0 lost; 1000000000 to 2500000001, 1.500000001 s

probe: 2, by events
tag  probe               events  bytes  lost  hits  filtered  limited       first        last
k    __nft_trace_packet       3    148     0     5         2        0  1000000000  2500000001
tp   skb:kfree_skb            0      -     0     0         0        0           -           -

nft: 1 of 2, by events
table  chain                   rule  verdict  events  bytes       first        last
fw     filter_IN_FedoraServer     1  drop          2     74  1000000000  2500000001

flow: 1 of 2, by events
source       sport  destination  dport  protocol  events  bytes       first        last
172.16.42.1   1000  172.16.42.2   8080  TCP            1     74  1000000000  1000000000
";
    let shown = |top| sink.report(&ReportOptions { top, ..ReportOptions::default() }).unwrap().to_string();
    let of_one = shown(1);
    assert_eq!(shown(2).lines().nth(3), expected.lines().nth(3));
    let (probes, rest) = (shown(2), of_one.split_once("\nnft").unwrap().1.to_owned());
    let (probes, others) = probes.split_once("\nnft").unwrap();
    assert_eq!(format!("{probes}\nnft{rest}"), expected);
    let expected = ": 2, by events
     netns  table  chain                   rule  verdict  events  bytes       first        last
         -  fw     filter_IN_FedoraServer     1  drop          2     74  1000000000  2500000001
4026532999  中     filter_IN_FedoraServer   215  drop          1     74  2500000000  2500000000

flow: 2, by events
     netns  source       sport  destination  dport  protocol  events  bytes       first        last
         -  172.16.42.1   1000  172.16.42.2   8080  TCP            1     74  1000000000  1000000000
4026532999  172.16.42.1   2000  172.16.42.2   8080  TCP            1     74  2500000000  2500000000
";
    assert_eq!(others, expected);
}

#[test]
fn json_to_the_byte() {
    let mut sink = counted(&[Hits::at(5).rule(b"fw", 1).syn(1000).netns(7)]);
    sink.account(&[Account { hits: 1, delivered: 1, missed: Some(2), ..Account::default() }]).unwrap();
    let report = sink.report(&ReportOptions { top: 1, ..ReportOptions::default() }).unwrap();
    let expected = r#"{
  "version": 1,
  "clock": "monotonic",
  "sessions": 1,
  "events": 1,
  "lost": 0,
  "bytes": 74,
  "first": 5,
  "last": 5,
  "duration": 0,
  "order": "events",
  "tables": [
    {
      "name": "probe",
      "kind": "probe",
      "keys": 2,
      "rows": [
        {
          "key": {
            "tag": "k",
            "probe": "__nft_trace_packet"
          },
          "events": 1,
          "bytes": 74,
          "lost": 0,
          "hits": 1,
          "filtered": 0,
          "limited": 0,
          "delivered": 1,
          "missed": 2,
          "first": 5,
          "last": 5
        }
      ]
    },
    {
      "name": "nft",
      "kind": "section",
      "keys": 1,
      "rows": [
        {
          "key": {
            "netns": 7,
            "table": "fw",
            "chain": "filter_IN_FedoraServer",
            "rule": 1,
            "verdict": "drop"
          },
          "events": 1,
          "bytes": 74,
          "first": 5,
          "last": 5
        }
      ]
    },
    {
      "name": "flow",
      "kind": "flow",
      "keys": 1,
      "rows": [
        {
          "key": {
            "netns": 7,
            "source": "172.16.42.1",
            "sport": 1000,
            "destination": "172.16.42.2",
            "dport": 8080,
            "protocol": "TCP"
          },
          "events": 1,
          "bytes": 74,
          "first": 5,
          "last": 5
        }
      ]
    }
  ]
}
"#;
    assert_eq!(report.to_json(), expected);
}

#[test]
fn hostile_names_stay_in_their_cell() {
    let name = "\x1b[2J\n\u{202e}\\x\u{9b}1m";
    let sink = counted(&[Hits::at(1).rule(name.as_bytes(), 1), Hits::at(2).rule(&[0xff; 32], 2)]);
    let report = report(&sink);
    let text = report.to_string();
    assert!(text.contains("\n\\x1b[2J\\n\\u{202e}\\\\x\\u{9b}1m"), "{text}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    let lines: Vec<&str> = text.split("\nnft: 2, by events\n").nth(1).unwrap().lines().collect();
    assert_eq!(lines[0].find("chain"), lines[1].find("filter"), "{text}");

    let json = report.to_json();
    assert!(json.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{json:?}");
    assert!(json.contains(r#""\u001b[2J\n\u202e\\x\u009b1m""#), "{json}");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["tables"][1]["rows"][0]["key"]["table"], name);
}

#[test]
fn a_long_name_moves_its_own_line_only() {
    let mut report = report(&counted(&[Hits::at(1).rule(b"fw", 1), Hits::at(1).rule(b"nat", 1)]));
    report.tables[1].rows[0].key[1] = Cell::Text("x".repeat(1000));
    let text = report.to_string();
    assert!(text.lines().any(|line| line.starts_with("nat    filter_IN")), "{text}");
    assert_eq!(text.lines().filter(|line| line.len() > 1000).count(), 1);
}

#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_output_writes_at_the_end() {
    let written = |options: ReportOptions, format| {
        let out = Shared::default();
        let mut sink: Box<dyn Sink> = Box::new(StatsOutput::new(out.clone(), options, format));
        let session = session();
        sink.begin(&session).unwrap();
        let bytes = Hits::at(1).syn(1).record();
        sink.event(&session.probes.event(&bytes, &sample::CONTEXT).unwrap()).unwrap();
        sink.loss(&Loss { events: 4, probe: &sample::probe(), cpu: 0, before: None }).unwrap();
        sink.account(&[Account { lost: 5, ..Account::default() }]).unwrap();
        sink.flush().unwrap();
        assert!(out.0.borrow().is_empty());
        sink.finish().map(|()| String::from_utf8(out.0.take()).unwrap())
    };
    let text = written(ReportOptions::default(), StatsFormat::Table).unwrap();
    assert!(
        text.starts_with("1 session, 1 event, 74 bytes, 5 lost; 1 to 1, 0.000000000 s\n\nprobe: 2"),
        "{text}"
    );
    let json = written(ReportOptions::default(), StatsFormat::Json).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["lost"], 5);
    let unknown = ReportOptions { tables: vec!["ct".into()], ..ReportOptions::default() };
    let error = written(unknown, StatsFormat::Table).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "there is no table 'ct'; there are: probe, nft, flow");
}
