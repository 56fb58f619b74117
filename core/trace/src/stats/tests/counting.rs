//! What is counted, and under which key.

use super::*;
use crate::stats::count::Bound;
use tracer_event::{Field, Kind, Layout, Place, Schema, Show, Text};

#[test]
fn rules_flows_and_probes() {
    let sink = counted(&[
        Hits::at(10).rule(b"fw", 1).syn(1000),
        Hits::at(20).rule(b"fw", 2).syn(1000),
        Hits::at(30).rule(b"fw", 1).syn(2000),
        Hits::at(25).rule(b"nat", 1).probe(1),
    ]);
    let report = report(&sink);
    assert_eq!((report.sessions, report.events, report.lost), (1, 4, 0));
    assert_eq!(report.bytes, Some(3 * 74));
    assert_eq!(report.times, Some((Time::Monotonic(10), Time::Monotonic(30))));
    assert_eq!(report.duration, 20);
    assert_eq!(rows(&report, "probe"), ["k __nft_trace_packet: 3", "tp skb:kfree_skb: 1"]);
    let chain = "filter_IN_FedoraServer";
    assert_eq!(
        rows(&report, "nft"),
        [format!("fw {chain} 1 drop: 2"), format!("fw {chain} 2 drop: 1"), format!("nat {chain} 1 drop: 1"),]
    );
    assert_eq!(table(&report, "nft").columns, ["netns", "table", "chain", "rule", "verdict"]);
    let first = &table(&report, "nft").rows[0];
    assert_eq!((first.bytes, first.times), (Some(148), Some((Time::Monotonic(10), Time::Monotonic(30)))));
    let third = &table(&report, "nft").rows[2];
    assert_eq!((third.bytes, third.lost, third.account), (None, None, None), "no packet, no probe");
    assert_eq!(
        rows(&report, "flow"),
        ["172.16.42.1 1000 172.16.42.2 8080 TCP: 2", "172.16.42.1 2000 172.16.42.2 8080 TCP: 1"]
    );
}

#[test]
fn nothing_is_counted_where_nothing_is() {
    let sink = counted(&[Hits::at(1), Hits::at(2)]);
    let report = report(&sink);
    assert_eq!((report.events, report.bytes), (2, None));
    assert_eq!((table(&report, "nft").keys, table(&report, "flow").keys), (0, 0));
    assert_eq!(rows(&report, "probe"), ["k __nft_trace_packet: 2", "tp skb:kfree_skb: 0"]);
    assert_eq!(table(&report, "probe").rows[1].times, None);

    let nothing = StatsSink::new().report(&ReportOptions::default()).unwrap();
    assert_eq!((nothing.sessions, nothing.times, nothing.duration), (0, None, 0));
    assert_eq!(nothing.to_string(), "0 sessions, 0 events, 0 lost\n\nprobe: none\n\nflow: none\n");
}

#[test]
fn packets_of_all_kinds() {
    let udp = [0x30, 0x39, 0, 53, 0, 8, 0, 0];
    let v6 = |next: u8, payload: &[u8]| {
        let address = |last| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
        let length = u8::try_from(payload.len()).unwrap();
        [&[0x60, 0, 0, 0, 0, length, next, 64][..], &address(1), &address(2), payload].concat()
    };
    let v4 = |protocol: u8, fragment: [u8; 2], payload: &[u8]| {
        let length = u8::try_from(20 + payload.len()).unwrap();
        let fixed = [0x45, 0, 0, length, 0, 7, fragment[0], fragment[1], 64, protocol, 0, 0];
        [&fixed[..], &[10, 0, 0, 1, 10, 0, 0, 2], payload].concat()
    };
    let frame = |ethertype: [u8; 2], payload: &[u8]| {
        [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], &ethertype, payload].concat()
    };
    let arp = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2];
    let events = [
        Hits::at(1).raw(&v6(17, &udp)),
        Hits::at(2).raw(&v6(44, &[&[17, 0, 0, 8, 0, 0, 0, 9][..], &udp].concat())),
        Hits::at(3).raw(&v6(58, &[128, 0, 0, 0, 0, 5, 0, 1])),
        Hits::at(4).raw(&v4(17, [0x20, 0], &udp)),
        Hits::at(5).raw(&v4(17, [0, 185], &udp)),
        Hits::at(6).raw(&v4(4, [0, 0], &v4(17, [0, 0], &udp))),
        Hits::at(7).raw(&v4(17, [0, 0], &udp)),
        Hits::at(8).frame(&frame([8, 6], &arp)),
        Hits::at(9).frame(&frame([0x88, 0xcc], &[0; 8])),
        Hits::at(10).frame(&frame([0x12, 0x34], &[])),
        Hits::at(11).raw(&[]),
        Hits::at(12).frame(&[1, 2, 3]),
    ];
    let sink = counted(&events);
    let report = sink.report(&ReportOptions { top: 100, order: Order::First, tables: Vec::new() }).unwrap();
    assert_eq!(
        rows(&report, "flow"),
        [
            "fd00::1 12345 fd00::2 53 UDP: 1",
            "fd00::1 fd00::2 UDP: 1",
            "fd00::1 fd00::2 ICMPv6 128 0: 1",
            // The first fragment has ports, the later one has none.
            "10.0.0.1 12345 10.0.0.2 53 UDP: 2",
            "10.0.0.1 10.0.0.2 UDP: 1",
            // Of the tunnel, not of what is in it.
            "10.0.0.1 10.0.0.2 IPIP: 1",
            "10.0.0.1 10.0.0.2 ARP: 1",
            "02:00:00:00:00:01 02:00:00:00:00:02 LLDP: 1",
            "02:00:00:00:00:01 02:00:00:00:00:02 ethertype 0x1234: 1",
        ]
    );
    assert_eq!(report.events, 12);
}

#[test]
fn the_two_directions_are_two_flows() {
    let mut answer = sample::SYN;
    answer[26..34].rotate_left(4);
    answer[34..38].rotate_left(2);
    let sink = counted(&[Hits::at(1).syn(52294), Hits::at(2).frame(&answer)]);
    assert_eq!(
        rows(&report(&sink), "flow"),
        ["172.16.42.1 52294 172.16.42.2 8080 TCP: 1", "172.16.42.2 8080 172.16.42.1 52294 TCP: 1"]
    );
}

#[test]
fn what_is_in_another_namespace_is_another_thing() {
    let hit = || Hits::at(1).rule(b"fw", 1).syn(1000);
    let sink =
        counted(&[hit(), hit().netns(OWN), hit().netns(7), hit().netns(8), hit().netns(8), hit().netns(0)]);
    let report = report(&sink);
    let flow = "172.16.42.1 1000 172.16.42.2 8080 TCP";
    // Own, said or not, and none; then by inode.
    assert_eq!(rows(&report, "flow"), [format!("{flow}: 3"), format!("8 {flow}: 2"), format!("7 {flow}: 1")]);
    let rule = "fw filter_IN_FedoraServer 1 drop";
    assert_eq!(rows(&report, "nft"), [format!("{rule}: 3"), format!("8 {rule}: 2"), format!("7 {rule}: 1")]);
}

#[test]
fn a_section_s_own_namespace_counts_more() {
    let field = |name: &str, offset, show| Field { name: name.into(), offset, kind: Kind::Uint(4), show };
    let text = || Some(Text { template: "x".parse().unwrap(), place: Place::Line });
    let schema = |name: &str, fields, key: &[&str]| {
        let key = key.iter().map(|name| (*name).to_owned()).collect();
        Arc::new(Schema::new(name, 8, None, fields, text()).unwrap().with_key(key).unwrap())
    };
    let ns = schema("ns", vec![field("inum", 0, Show::Netns)], &[]);
    let fields = || vec![field("netns", 0, Show::Netns), field("id", 4, Show::Hex)];
    // A name that is named twice is a column once.
    let own = schema("own", fields(), &["id", "id"]);
    let keyed = schema("keyed", fields(), &["id", "netns"]);
    let layout = Arc::new(Layout::new(vec![ns, own, keyed]).unwrap());
    let section = [9, 0, 0, 0, 0x2a, 0, 0, 0];
    let bytes = sample::Bytes::new(&layout).fixed(0, &[5, 0, 0, 0, 0, 0, 0, 0]).fixed(1, &section);
    let bytes = bytes.fixed(2, &section).finish();
    let probes = Arc::new(Probes::new(vec![ProbeInfo { layout, ..sample::probe() }]));
    let mut sink = StatsSink::new();
    sink.begin(&Session { probes: probes.clone(), ..Session::default() }).unwrap();
    sink.event(&probes.event(&bytes, &sample::CONTEXT).unwrap()).unwrap();
    let report = report(&sink);
    assert_eq!(
        (&*table(&report, "own").columns, &*rows(&report, "own")),
        (&["netns".into(), "id".into()][..], &["9 0x2a: 1".into()][..])
    );
    assert_eq!(
        (&*table(&report, "keyed").columns, &*rows(&report, "keyed")),
        (&["id".into(), "netns".into()][..], &["0x2a 9: 1".into()][..])
    );
    assert!(report.tables.iter().all(|table| table.name != "ns"), "it has no key");
}

#[test]
fn sessions_are_summed_up() {
    let mut sink = StatsSink::new();
    for times in [[100, 150], [1000, 1007]] {
        sink.begin(&session()).unwrap();
        feed(&mut sink, &session(), &times.map(|time| Hits::at(time).rule(b"fw", 1).syn(1)));
    }
    let report = report(&sink);
    assert_eq!((report.sessions, report.events, report.duration), (2, 4, 57));
    assert_eq!((table(&report, "probe").keys, table(&report, "nft").keys), (2, 1));
    assert_eq!(report.tables.len(), 3, "two sessions with the same sections have the same tables");
}

#[test]
fn what_does_not_fit_is_one_row() {
    let mut sink = counted(&[]);
    sink.bound = Bound { keys: 2, bytes: usize::MAX };
    let ports = [1, 2, 3, 1, 4, 3];
    let hits: Vec<Hits> = ports.iter().map(|port| Hits::at(u64::from(*port)).syn(*port)).collect();
    feed(&mut sink, &session(), &hits);
    let report = report(&sink);
    let flows = table(&report, "flow");
    assert_eq!(flows.keys, 2);
    let flow = |port| format!("172.16.42.1 {port} 172.16.42.2 8080 TCP");
    assert_eq!(rows(&report, "flow"), [format!("{}: 2", flow(1)), format!("{}: 1", flow(2))]);
    let others = flows.others.as_ref().unwrap();
    assert_eq!((others.events, others.bytes), (3, Some(3 * 74)));
    assert_eq!(others.times, Some((Time::Monotonic(3), Time::Monotonic(4))));
    assert_eq!(report.events, flows.rows.iter().chain(&flows.others).map(|row| row.events).sum::<u64>());
    let text = report.to_string();
    assert!(
        text.contains("\nflow: 2, by events; the table is full: (others) are all that came later\n"),
        "{text}"
    );
    assert!(
        text.lines()
            .last()
            .unwrap()
            .starts_with("(others)         -  -                -  -              3    222"),
        "{text}"
    );
}

#[test]
fn no_room_at_all_is_told_too() {
    let mut sink = StatsSink { bound: Bound { keys: 10, bytes: 0 }, ..StatsSink::new() };
    sink.begin(&session()).unwrap();
    feed(&mut sink, &session(), &[Hits::at(1).rule(b"fw", 1), Hits::at(2).rule(b"fw", 1).probe(1)]);
    let report = report(&sink);
    assert_eq!((table(&report, "probe").keys, table(&report, "nft").keys), (0, 0));
    let full = "0, by events; the table is full: (others) are all that came later";
    let times = "first  last";
    let expected = format!(
        "1 session, 2 events, 0 lost; 1 to 2, 0.000000001 s\n\n\
         probe: {full}\nprobe     events  lost  {times}\n(others)       2     0      1     2\n\n\
         nft: {full}\nnft       events  {times}\n(others)       2      1     2\n\n\
         flow: none\n"
    );
    assert_eq!(report.to_string(), expected);
}

#[test]
fn an_event_of_no_probe_is_an_error() {
    let mut sink = StatsSink::new();
    let bytes = Hits::at(1).probe(1).record();
    let session = session();
    let event = session.probes.event(&bytes, &sample::CONTEXT).unwrap();
    let error = sink.event(&event).unwrap_err();
    assert_eq!(error.to_string(), "an event is of probe 1, but its session has 0 probes");
}
