//! Filters of the sample event, whose sections and packet are known.

use std::sync::Arc;

use tracer_dsl::Diagnostics;
use tracer_dsl::filter::Filter;
use tracer_event::packet::{Capture, RAW, Tag};
use tracer_event::{Field, Kind, Layout, ProbeInfo, Probes, Schema, Session, Show, sample};

use super::{EventFilter, PacketFilter};

fn session() -> Session {
    Session { probes: Arc::new(Probes::new(vec![sample::probe()])), ..Session::default() }
}

fn compiled(text: &str) -> Result<EventFilter, Diagnostics> {
    EventFilter::new(&text.parse::<Filter>()?, &session())
}

fn matches(text: &str, record: &[u8]) -> bool {
    let filter = compiled(text).unwrap_or_else(|found| panic!("`{text}`: {found}"));
    let session = session();
    let context = sample::CONTEXT;
    filter.matches(&session.probes.event(record, &context).unwrap())
}

#[test]
fn what_the_sample_event_is() {
    let record = sample::record();
    for text in [
        "nft.verdict == drop",
        "nft.verdict == 0",
        "nft.verdict in {accept, drop}",
        "nft.verdict =~ \"d*p\"",
        "nft.rule == 215 and nft.rule & 0xf == 7 and nft.rule & 0x10 != 0",
        "nft.rule <= 215 and nft.rule >= 215 and nft.rule < 216 and nft.rule > 0",
        "nft.table != \"filter\" and nft.table == firewalld",
        "dev.name =~ \"eth?\" and not dev.name =~ \"veth*\"",
        "event.probe == __nft_trace_packet and probe.type == kprobe and probe.way == fentry",
        "task.comm == \"swapper/0\" and task.pid == 0 and event.time > 3443313082997",
        "has nft and not has skb-drop",
        "tcp dst port 8080 and src host 172.16.42.1 and nft.verdict == drop",
        "ether src 02:42:ac:10:2a:01 and greater 74 and less 74",
        "skb.protocol == 0x800",
        "not tcp port 22",
        "skb_drop.reason == 3 or tcp[tcpflags] = tcp-syn",
    ] {
        assert!(matches(text, &record), "{text}");
    }
}

#[test]
fn what_the_sample_event_is_not() {
    let record = sample::record();
    for text in [
        "nft.verdict == accept",
        "nft.verdict != drop",
        "nft.rule < 215",
        "udp",
        "tcp src port 8080",
        // What is absent compares with nothing.
        "skb_drop.reason == 2",
        "skb_drop.reason != 2",
        "nft.verdict == drop and udp",
        // Beyond the data, in both directions.
        "ip[1000] = 0",
        "not ip[1000] = 0",
        "ip[1000] = 0 or tcp",
    ] {
        assert!(!matches(text, &record), "{text}");
    }
    // Only the part about packets is false.
    assert!(matches("nft.verdict == drop or ip[1000] = 0", &record));
}

#[test]
fn plain_bytes_are_compared_with_as_many() {
    let field = |name: &str, offset, len| Field {
        name: name.into(),
        offset,
        kind: Kind::Bytes(len),
        show: Show::Plain,
    };
    let fields = vec![field("magic", 0, 4), field("link", 4, 32)];
    let layout = Layout::new(vec![Arc::new(Schema::new("x", 36, None, fields, None).unwrap())]).unwrap();
    let mut section = vec![0xde, 0xad, 0xbe, 0xef, 2, 0x42, 0xac, 0x10, 0x2a, 1];
    section.resize(36, 0);
    let record = sample::Bytes::new(&layout).fixed(0, &section).finish();
    let probe = ProbeInfo { layout: Arc::new(layout), ..sample::probe() };
    let session = Session { probes: Arc::new(Probes::new(vec![probe])), ..Session::default() };
    let event = session.probes.event(&record, &sample::CONTEXT).unwrap();
    for (text, wanted) in [
        ("x.magic == de:ad:be:ef", true),
        ("x.magic in {00:00:00:00, de:ad:be:ef}", true),
        ("x.magic == 222.173.190.239", true),
        ("x.magic != de:ad:be:ef", false),
        ("x.magic == de:ad:be:ee", false),
        ("x.link == 02:42:ac:10:2a:01", true),
        ("x.link == 02:42:ac:10:2a:02", false),
    ] {
        let filter = EventFilter::new(&text.parse().unwrap(), &session).unwrap();
        assert_eq!(filter.matches(&event), wanted, "{text}");
    }
    for text in ["x.magic == de:ad", "x.magic > de:ad:be:ef", "x.magic == 5"] {
        assert!(EventFilter::new(&text.parse().unwrap(), &session).is_err(), "{text}");
    }
}

#[test]
fn an_event_without_a_packet_matches_no_packet() {
    let layout = sample::layout();
    let bare = sample::Bytes::new(&layout).fixed(0, &sample::nft()).finish();
    for text in ["tcp", "not tcp"] {
        assert!(!matches(text, &bare), "{text}");
    }
    assert!(matches("nft.verdict == drop and not has skb", &bare));
}

#[test]
fn what_cannot_be_asked_is_said_before_anything_is_read() {
    for (text, message, hint) in [
        ("nix.verdict == drop", "unknown section `nix`", "known: "),
        ("nft.verdit == drop", "unknown field of section `nft` `verdit`", "did you mean `verdict`?"),
        ("nft.verdict == dorp", "unknown name of a value `dorp`", "did you mean `drop`?"),
        ("nft.rule == drop", "this comparison does not fit its field", "numbers take"),
        ("nft.rule == -1", "-1 is no value of this field", "its values are 0 to 18446744073709551615"),
        ("nft.table < 5", "this comparison does not fit its field", "texts take"),
        ("nft.table & 1 == 5", "`nft.table` takes no mask", ""),
        ("dev.name == 10.0.0.1", "this comparison does not fit its field", "in quotes"),
        ("skb.data == 5", "`skb.data` cannot be compared", "pcap-filter(7)"),
        ("task.com == 5", "unknown field `task.com`", "did you mean `task.comm`?"),
        ("has nfd", "unknown section `nfd`", "did you mean `nft`?"),
        ("sk_buff.len == 5", "the kernel's memory cannot be asked of a stored trace", "tracer schema"),
        ("sk_buff.dev.name == 5", "the kernel's memory cannot be asked of a stored trace", "tracer schema"),
        ("sk_buff._nfct:~0x7:nf_conn.mark == 1", "the kernel's memory cannot be asked of a stored trace", ""),
        ("mpls and vlan", "a VLAN tag behind an MPLS label cannot be asked", "put it before"),
    ] {
        let found = compiled(text).unwrap_err();
        let found = found.iter().next().unwrap();
        assert_eq!(found.message, message, "{text}");
        assert!(found.source.is_some() && found.hints.join(" ").contains(hint), "{text}: {found:?}");
    }
    assert_eq!(compiled("nix.a == 1 and nft.nix == 2").unwrap_err().len(), 2);
}

#[test]
fn packets_without_a_link_header() {
    let filter = |text: &str| PacketFilter::new(&text.parse().unwrap()).unwrap();
    let bytes = &sample::SYN[14..];
    let capture = Capture { bytes, link: RAW, ethertype: 0x0800, tag: None, original: 60 };
    for text in ["tcp dst port 8080", "host 172.16.42.2", "less 60", "not vlan"] {
        assert!(filter(text).matches(&capture), "{text}");
    }
    // What is not there matches nothing, under `not` either.
    for text in
        ["ether host 02:42:ac:10:2a:01", "not ether host 02:42:ac:10:2a:01", "multicast", "ether[0] = 2"]
    {
        assert!(!filter(text).matches(&capture), "{text}");
    }
    let tagged = Capture { tag: Some(Tag { ethertype: 0x8100, control: 0x2005 }), ..capture };
    assert!(filter("vlan 5 and tcp").matches(&tagged) && !filter("vlan 6").matches(&tagged));
    let unknown = Capture { ethertype: 0, ..capture };
    assert!(filter("tcp dst port 8080").matches(&unknown));
    assert!(!filter("tcp").matches(&Capture { link: 105, ..capture }), "another link");
    assert!(PacketFilter::new(&"has nft".parse().unwrap()).is_err());
}
