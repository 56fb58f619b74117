//! What an event's parts become.

use tracer_event::Clock;
use tracer_event::sample;
use tracer_trace::pcapng::{NoJson, Skipped};

use crate::events::{Capture, Hit, OTHER, OWN, STARTED, Words, clock, context, file};
use crate::file::{Block, Packet, json, number, packets, read, texts, values};

/// The packets' interfaces, by the names of those.
fn interfaces(blocks: &[Block]) -> Vec<(i32, Vec<&str>, &str)> {
    let interface = |block| match block {
        &Block::Interface { link, ref options } => Some((link, texts(options, 2), texts(options, 3)[0])),
        _ => None,
    };
    blocks.iter().filter_map(interface).collect()
}

#[test]
fn blocks_come_in_order() {
    let blocks = read(&file(&[Hit::default()]));
    let [Block::Section { options }, interface, Block::Packet(packet), statistics] = &blocks[..] else {
        panic!("{blocks:#?}")
    };
    assert_eq!(texts(options, 2), ["x86_64"]);
    assert_eq!(texts(options, 3), ["Linux 6.12.95-cloud-amd64"]);
    assert_eq!(texts(options, 4), ["tracer 0.1.0"]);
    assert_eq!(texts(options, 1), ["host fw1"]);
    assert_eq!(json(options), r#"{"type":"meta","host":"fw1"}"#);
    let Block::Interface { link: 1, options } = interface else { panic!("{interface:?}") };
    assert_eq!(texts(options, 2), ["eth0"]);
    assert_eq!(texts(options, 3), ["eth0, network namespace 4026531840 (tracer's own)"]);
    assert_eq!(texts(options, 12), ["Linux 6.12.95-cloud-amd64"]);
    let comment = Hit::default().comment(&context(&clock()));
    let expected = Packet {
        interface: 0,
        time: STARTED + 1_000_000_000,
        data: sample::SYN.into(),
        original: 74,
        options: packet.options.clone(),
    };
    assert_eq!(*packet, expected);
    assert_eq!(packet.comments(), [comment]);
    assert_eq!(packet.json(), r#"{"type":"event","time":1000000000}"#);
    assert_eq!(packet.options.len(), 2, "no losses, no packet id: no options for them");
    let Block::Statistics { interface: 0, time, options } = statistics else { panic!("{statistics:?}") };
    assert_eq!(*time, packet.time);
    let counts: Vec<(u16, u64)> = options.iter().map(|(code, value)| (*code, number(value))).collect();
    assert_eq!(counts, [(4, 1), (5, 0), (8, 1)]);
}

#[test]
fn an_interface_is_a_device_of_a_namespace_with_a_link_type() {
    let other = |hit: Hit| Hit { netns: OTHER, ..hit };
    let eth1 = || Hit { device: b"eth1".into(), ..Hit::default() };
    let nowhere = || Hit { device: vec![], netns: 0, ..Hit::raw() };
    let hits = [
        Hit::default(),
        other(Hit::default()),
        Hit::default(),
        Hit::raw(),
        eth1(),
        other(Hit::raw()),
        nowhere(),
    ];
    let twice = [&hits[..], &hits[..]].concat();
    let bytes = file(&twice);
    let blocks = read(&bytes);
    let expected = [
        (1, vec!["eth0"], "eth0, network namespace 4026531840 (tracer's own)"),
        (1, vec!["eth0@4026532198"], "eth0, network namespace 4026532198"),
        (
            101,
            vec!["eth0"],
            "eth0, network namespace 4026531840 (tracer's own), packets without a link-layer header",
        ),
        (1, vec!["eth1"], "eth1, network namespace 4026531840 (tracer's own)"),
        (
            101,
            vec!["eth0@4026532198"],
            "eth0, network namespace 4026532198, packets without a link-layer header",
        ),
        (101, vec![], "no device known, packets without a link-layer header"),
    ];
    assert_eq!(interfaces(&blocks), expected);
    let used: Vec<u32> = packets(&bytes).iter().map(|packet| packet.interface).collect();
    assert_eq!(used, [0, 1, 0, 2, 3, 4, 5, 0, 1, 0, 2, 3, 4, 5]);
    let statistics = blocks.iter().filter(|block| matches!(block, Block::Statistics { .. }));
    assert_eq!(statistics.count(), 6);
    assert!(matches!(blocks.last(), Some(Block::Statistics { interface: 5, .. })));
}

#[test]
fn other_link_types_are_kept() {
    let blocks = read(&file(&[Hit { link: 276, ..Hit::default() }]));
    assert_eq!(interfaces(&blocks)[0].0, 276);
    assert!(interfaces(&blocks)[0].2.ends_with(", link type 276"));
}

#[test]
fn bytes_are_those_of_the_event() {
    for len in 1..=sample::SYN.len() {
        let hit = Hit { data: sample::SYN[..len].into(), original: 1500, ..Hit::default() };
        let packet = packets(&file(&[hit]))[0].clone();
        assert_eq!((&packet.data[..], packet.original), (&sample::SYN[..len], 1500));
    }
    // A record that says it captured more than there was.
    let packet = packets(&file(&[Hit { original: 1, ..Hit::default() }]))[0].clone();
    assert_eq!((&packet.data[..], packet.original), (&sample::SYN[..], 74));
}

#[test]
fn a_tag_goes_back_into_an_ethernet_frame() {
    let tagged = |len: usize| Hit {
        tag: Some((0x8100, 0x6064)),
        data: sample::SYN[..len].into(),
        original: 74,
        ..Hit::default()
    };
    let written = |hit: Hit| {
        let packet = packets(&file(&[hit]))[0].clone();
        (packet.data, packet.original)
    };
    let whole = [&sample::SYN[..12], &[0x81, 0x00, 0x60, 0x64], &sample::SYN[12..]].concat();
    assert_eq!(written(tagged(74)), (whole.clone(), 78));
    assert_eq!(written(tagged(12)), (whole[..16].to_vec(), 78));
    // The tag is behind what was captured.
    assert_eq!(written(tagged(11)), (whole[..11].to_vec(), 78));
    // No place for it.
    let raw = Hit { tag: Some((0x8100, 100)), ..Hit::raw() };
    assert_eq!(written(raw), (sample::SYN[14..].to_vec(), 60));
    let none = Hit { tag: Some((0, 100)), ..Hit::default() };
    assert_eq!(written(none), (sample::SYN.to_vec(), 74));
}

#[test]
fn packet_ids_are_numbers() {
    let ids: Vec<Option<u64>> = packets(&file(&[Hit { id: 0x12a, ..Hit::default() }, Hit::default()]))
        .iter()
        .map(|packet| packet.number(5))
        .collect();
    assert_eq!(ids, [Some(0x12a), None]);
}

#[test]
fn losses_are_told_by_the_next_packet_and_by_statistics() {
    let mut capture = Capture::begun(Words::default());
    let eth1 = Hit { device: b"eth1".into(), time: 2_000_000_000, ..Hit::default() };
    capture.lose(3);
    capture.lose(4);
    capture.hit(&Hit::default());
    capture.hit(&Hit::default());
    capture.lose(5);
    // Without a packet it cannot tell of a loss.
    capture.hit(&Hit { data: vec![], ..Hit::default() });
    capture.hit(&eth1);
    capture.lose_at_the_end(6);
    let bytes = capture.finish();
    let told: Vec<Option<u64>> = packets(&bytes).iter().map(|packet| packet.number(4)).collect();
    assert_eq!(told, [Some(7), None, Some(5)]);
    let line = |events| format!("lost {events} events of [k] netif_rx on CPU 3 before this");
    let comments: Vec<Vec<String>> = packets(&bytes)
        .iter()
        .map(|packet| packet.comments()[1..].iter().map(ToString::to_string).collect())
        .collect();
    assert_eq!(comments, [vec![format!("{}\n{}", line(3), line(4))], vec![], vec![line(5)]]);
    let blocks = read(&bytes);
    let statistics = blocks.iter().filter_map(|block| match block {
        Block::Statistics { options, .. } => {
            let counts = [4, 5, 8].map(|code| number(values(options, code).next().unwrap()));
            Some((counts, texts(options, 1)))
        }
        _ => None,
    });
    // The last losses are those of the interface with the last packet.
    let expected = [
        ([9, 7, 2], vec![]),
        ([12, 11, 1], vec!["lost 6 events of [k] netif_rx on CPU 3 after its last event"]),
    ];
    assert_eq!(statistics.collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_no_packet_is_counted() {
    let mut capture = Capture::begun(NoJson);
    capture.hit(&Hit { data: vec![], ..Hit::default() });
    capture.hit(&Hit { data: vec![], original: 0, ..Hit::default() });
    capture.hit(&Hit { link: 0x1_0001, ..Hit::default() });
    capture.hit(&Hit::default());
    let counts = capture.counts.clone();
    let blocks = read(&capture.finish());
    assert_eq!(blocks.len(), 4, "section, interface, packet, statistics: {blocks:?}");
    assert_eq!(counts.packets(), 1);
    assert_eq!(counts.skipped(), Skipped { without_packet: 2, other_link: 1, ..Skipped::default() });
}

#[test]
fn times_follow_the_wall_clock_or_say_that_they_do_not() {
    let mut capture = Capture::begun(NoJson);
    capture.clock = Clock::NONE;
    capture.hit(&Hit { time: 77, ..Hit::default() });
    let blocks = read(&capture.finish());
    let Block::Section { options } = &blocks[0] else { panic!("{blocks:?}") };
    assert!(texts(options, 1)[1].starts_with("Times are not wall-clock times"), "{options:?}");
    assert!(matches!(&blocks[2], Block::Packet(Packet { time: 77, .. })));
    // Times that the wall clock cannot have had.
    let times: Vec<u64> = [(0, -1), (u64::MAX, 0), (5, i64::MAX)]
        .map(|(time, realtime)| {
            let mut capture = Capture::begun(NoJson);
            capture.clock = Clock::default();
            capture.clock.add(tracer_event::ClockSample { monotonic: 0, realtime });
            capture.hit(&Hit { time, ..Hit::default() });
            packets(&capture.finish())[0].time
        })
        .into();
    assert_eq!(times, [0, u64::MAX, u64::MAX]);
}

#[test]
fn the_sample_of_the_built_in_collectors_is_a_packet_too() {
    let mut capture = Capture::begun(NoJson);
    capture.record(&sample::record());
    let bytes = capture.finish();
    let packet = packets(&bytes)[0].clone();
    assert_eq!(packet.data, sample::SYN);
    assert!(
        packet.comments()[0]
            .contains("\n  table firewalld (1) chain filter_IN_FedoraServer (202) handle 215 drop")
    );
    assert_eq!(interfaces(&read(&bytes))[0].1, ["eth0"]);
    assert_eq!(OWN, sample::NETNS);
}
