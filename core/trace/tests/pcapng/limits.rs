//! What is longer than the format permits, and names that somebody chose to do harm.

use tracer_event::sample;
use tracer_trace::pcapng::{NoJson, Skipped};

use crate::events::{Capture, Hit, OTHER, Words, session};
use crate::file::{Block, json, packets, read, texts};

#[test]
fn long_texts_are_cut_with_a_mark() {
    let mut capture = Capture::begun(NoJson);
    // Escaped, each of these takes four characters.
    capture.hit(&Hit { note: vec![1; 19_999], ..Hit::default() });
    let counts = capture.counts.clone();
    let packet = packets(&capture.finish())[0].clone();
    let comment = packet.comments()[0];
    assert!(
        comment.ends_with("\\x01\\x01…") || comment.ends_with("\\x0…") || comment.ends_with("\\…"),
        "{comment}"
    );
    assert!((0xf000 - 3..=0xf000).contains(&comment.len()));
    assert_eq!(counts.skipped(), Skipped { cut_text: 1, ..Skipped::default() });
}

#[test]
fn long_json_is_left_out_with_a_comment() {
    for (len, fits) in [(65_531, true), (65_532, false), (1 << 20, false)] {
        let mut capture = Capture::begun(Words { event: len, session: 0 });
        capture.hit(&Hit::default());
        let counts = capture.counts.clone();
        let packet = packets(&capture.finish())[0].clone();
        assert_eq!(packet.json().len(), if fits { len } else { 0 });
        assert_eq!(counts.skipped().long_json, u64::from(!fits));
        let said =
            format!("tracer: the JSON was left out: it has {len} bytes, and there is room for 65531 here");
        assert_eq!(packet.comments()[1..], if fits { vec![] } else { vec![said.as_str()] });
    }
}

#[test]
fn a_long_session_is_left_out_with_a_comment() {
    for (len, fits) in [(65_532, true), (262_124, true), (262_125, false)] {
        let mut capture = Capture::begun(Words { event: 0, session: len });
        capture.hit(&Hit::default());
        // Another one, which goes into a custom block.
        capture.sink.begin(&session()).unwrap();
        let counts = capture.counts.clone();
        let blocks = read(&capture.finish());
        let [Block::Section { options: header }, _, _, Block::Custom { json: second, options }, _] =
            &blocks[..]
        else {
            panic!("{blocks:?}")
        };
        let expected = if fits { len } else { 0 };
        assert_eq!((json(header).len(), second.len()), (expected, expected));
        let said =
            format!("tracer: the JSON was left out: it has {len} bytes, and there is room for 262124 here");
        assert_eq!(texts(header, 1)[1..], if fits { vec![] } else { vec![said.as_str()] });
        assert_eq!(texts(options, 1), if fits { vec![] } else { vec![said.as_str()] });
        assert_eq!(counts.skipped().long_json, if fits { 0 } else { 2 });
    }
}

#[test]
fn text_and_json_of_full_length_fit_into_one_block() {
    let mut capture = Capture::begun(Words { event: 65_531, session: 0 });
    let data = vec![0x5a; 1 << 20];
    let tag = Some((0x8100, 7));
    capture.lose(1);
    capture.hit(&Hit { data, tag, original: 1 << 20, id: 9, note: vec![1; 19_999], ..Hit::default() });
    // Reading back holds each block against the limit that Wireshark has.
    let packet = packets(&capture.finish())[0].clone();
    assert_eq!((packet.data.len(), packet.original), (1 << 18, (1 << 20) + 4));
    assert_eq!(packet.options.len(), 5);
}

#[test]
fn losses_of_many_probes_are_cut_with_a_mark() {
    let mut capture = Capture::begun(NoJson);
    for _ in 0..100 {
        capture.lose(u64::MAX / 50);
    }
    capture.hit(&Hit::default());
    let packet = packets(&capture.finish())[0].clone();
    assert_eq!(packet.number(4), Some(u64::MAX));
    let comment = packet.comments()[1];
    assert!(comment.len() == 2048 && comment.ends_with('…'), "{comment}");
}

/// The interface's name with such a device.
fn name(device: &[u8], netns: u64) -> String {
    let mut capture = Capture::begun(NoJson);
    capture.hit(&Hit { device: device.into(), netns, ..Hit::default() });
    let blocks = read(&capture.finish());
    let Block::Interface { options, .. } = &blocks[1] else { panic!("{blocks:?}") };
    texts(options, 2)[0].to_owned()
}

#[test]
fn hostile_names_are_spelled_out_or_cut() {
    assert_eq!(name(b"a\x1b[2J\n\"", OTHER), "a\\x1b[2J\\n\"@4026532198");
    assert_eq!(name(b"\xff\xfe", 0), "\u{fffd}\u{fffd}");
    assert_eq!(name("\u{202e}eth0".as_bytes(), 0), "\\u{202e}eth0");
    let long = "n".repeat(399);
    assert_eq!(name(long.as_bytes(), 0), format!("{}…", &long[..255]));
    let wide = "ö".repeat(199);
    assert_eq!(name(wide.as_bytes(), 0), format!("{}…", "ö".repeat(127)));
    assert_eq!(name(&[0x1b; 399], 0), format!("{}…", "\\x1b".repeat(255)));
}

#[test]
fn names_that_differ_only_in_writing_are_two_interfaces() {
    let mut capture = Capture::begun(NoJson);
    for device in [&b"a\n"[..], b"a\\n", b"a\n"] {
        capture.hit(&Hit { device: device.into(), ..Hit::default() });
    }
    let used: Vec<u32> = packets(&capture.finish()).iter().map(|packet| packet.interface).collect();
    assert_eq!(used, [0, 1, 0]);
}

#[test]
fn a_session_of_hostile_words_is_spelled_out() {
    let mut capture = Capture::new(NoJson);
    let session = tracer_event::Session {
        host: "a\nb".into(),
        kernel: "\x07".repeat(100_000),
        ..crate::events::session()
    };
    capture.sink.begin(&session).unwrap();
    capture.record(&sample::record());
    let blocks = read(&capture.finish());
    let Block::Section { options } = &blocks[0] else { panic!("{blocks:?}") };
    assert_eq!(texts(options, 1), ["host a\\nb"]);
    assert_eq!(texts(options, 3), [format!("Linux {}…", "\\x07".repeat(255))]);
}
