//! What the generated programs cost, and what is refused. That they are right, tests/filter compares with libpcap.

use tracer_dsl::filter::{Filter, bytes::Test};
use tracer_event::{Field, Kind, Schema, Show, Tail};

use super::{Block, INSNS_MAX, PacketError, Program, window};

fn test(text: &str) -> Test {
    text.parse::<Filter>().unwrap_or_else(|e| panic!("{text}: {e}")).packet().unwrap()
}

fn schema(size: u32, packet: bool) -> Schema {
    let field = |name: &str, offset, kind, show| Field { name: name.into(), offset, kind, show };
    let show = if packet { Show::Packet } else { Show::Plain };
    let fields = vec![
        field("orig_len", 0, Kind::Uint(4), Show::Plain),
        field("protocol", 4, Kind::Uint(2), Show::Be16),
        field("link", 6, Kind::Uint(2), Show::Plain),
        field("data", size, Kind::Tail, show),
    ];
    Schema::new("skb", size, Some(Tail { max: 256 }), fields, None).unwrap()
}

fn insns(text: &str) -> Result<usize, PacketError> {
    let test = test(text);
    let block = Block::new(&schema(8, true), window(&test)).unwrap();
    block.test(&test).map(|insns| insns.len())
}

fn list(word: &str, count: usize, value: impl Fn(usize) -> String) -> String {
    let values: Vec<String> = (0..count).map(value).collect();
    format!("{word} ({})", values.join(" or "))
}

#[test]
fn a_block_has_room_for_what_is_read() {
    let block = Block::new(&schema(8, true), 100).unwrap();
    assert_eq!((block.window(), block.size()), (100, 224));
    assert_eq!(Block::new(&schema(8, true), 0).unwrap().window(), 14);
    assert_eq!(Block::new(&schema(8, true), 1 << 20).unwrap().window(), 4096);
    assert_eq!(Block::new(&schema(8, false), 14), Err(PacketError::NoPacket("skb".into())));
    let large = PacketError::Fields { section: "skb".into(), size: 4000 };
    assert_eq!(Block::new(&schema(4000, true), 14), Err(large));
}

/// Bounds, not exact numbers: what a change makes longer by far, it shall notice.
#[test]
fn programs_are_short() {
    for (text, most) in [
        ("tcp", 27),
        ("len > 100", 14),
        ("tcp dst port 443", 38),
        ("host 10.0.0.1", 37),
        ("tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", 36),
        ("not tcp port 22", 48),
        ("tcp dst port 443 and not host 10.0.0.1", 44),
    ] {
        let insns = insns(text).unwrap();
        assert!(insns <= most, "`{text}` takes {insns} instructions");
    }
}

#[test]
fn long_lists_fit() {
    let host = |i: usize| format!("10.0.{}.{}", i / 256, i % 256);
    let hosts = |count| insns(&list("host", count, host));
    // Two questions an address and kind of packet.
    assert!(hosts(200).unwrap() < 200 * 6 + 40, "{:?}", hosts(200));
    assert!(hosts(500).unwrap() < INSNS_MAX);
    let ports = |count| insns(&list("port", count, |i| (i + 1).to_string()));
    assert!(ports(200).unwrap() < 200 * 12 + 100, "{:?}", ports(200));
    assert_eq!(ports(500), Err(PacketError::Long));
    let six = |i: usize| format!("fd00::{i:x}");
    assert!(insns(&list("host", 200, six)).unwrap() < INSNS_MAX);
    assert!(insns("protochain 6").unwrap() < 400, "{:?}", insns("protochain 6"));
    assert!(PacketError::Long.to_string().contains("4000"));
}

#[test]
fn answers_that_nothing_asks_for_are_left_out() {
    // Beyond the window on each way, so that nothing holds; the verifier refuses code that nothing leads to.
    for text in [
        "ether[5000] = 1",
        "ether[5000] = 1 and tcp",
        "1 / (ip[0] & 0) = 1",
        "tcp and ether[len + 5000:4] = 1",
    ] {
        let program = Program::new(&text.parse().unwrap()).unwrap();
        assert!(program.insns().len() < 120, "{text}");
    }
    assert_eq!(insns("ether[5000] = 1").unwrap(), 11);
}

#[test]
fn filters_about_events_have_no_packet_program() {
    let error = Program::new(&"tcp and nft.verdict == drop".parse().unwrap()).unwrap_err();
    assert!(error.to_string().contains("about events"), "{error}");
}
