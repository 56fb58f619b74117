//! What plugins do with what they are given.

use std::{
    panic::{self, AssertUnwindSafe},
    thread,
    time::{Duration, Instant},
};

use tracer_plugin_abi::c;
use tracer_plugin_host::{Answer, EventParts, Failure, Instance, Library, LossParts, When};

use crate::{
    hostile::Hostile,
    support::{Engine, event, session},
};

const RECORD: &[u8] = b"record";

/// The size of the struct, and what it and both texts take.
const STRUCT: usize = 40;
const USED: usize = STRUCT + "a nameanother".len();

fn engine() -> Engine {
    let mut engine = Engine::default();
    engine.values.insert(1, Answer::Uint(1));
    engine
}

fn started(library: &Hostile, engine: &mut Engine) -> Instance {
    Library::open(&library.file()).unwrap().start(engine, &session()).unwrap()
}

fn this_event() -> EventParts<'static> {
    event(&[0x1010], RECORD)
}

/// What comes of `enrich` with a mode.
fn enriched(mode: &str) -> (Result<bool, Failure>, Vec<u8>) {
    let (library, mut engine) = (Hostile::new(mode), engine());
    let mut instance = started(&library, &mut engine);
    let mut out = b"left over".to_vec();
    let result = instance.enrich(&mut engine, &this_event(), &mut out);
    if result.is_err() {
        assert!(out.is_empty(), "{mode}");
        let again = instance.enrich(&mut engine, &this_event(), &mut out);
        assert_eq!(again, Err(Failure::Over { function: "enrich" }), "{mode}");
    }
    // What is known is not told again.
    assert_eq!(instance.stop(&mut engine), Ok(()), "{mode}");
    (result, out)
}

/// Calls all functions; gives the first failure.
fn all(library: &Hostile, engine: &mut Engine) -> Result<(), Failure> {
    let mut instance = Library::open(&library.file()).unwrap().start(engine, &session())?;
    instance.enrich(engine, &this_event(), &mut Vec::new())?;
    instance.event(engine, &this_event())?;
    instance.loss(engine, &LossParts { probe: 0, cpu: 0, events: 3, before: 0 })?;
    instance.tick(engine, 1)?;
    instance.flush(engine)?;
    instance.stop(engine)
}

const ALL: [(&str, &str); 7] = [
    ("START", "start"),
    ("ENRICH", "enrich"),
    ("EVENT", "event"),
    ("LOSS", "loss"),
    ("TICK", "tick"),
    ("FLUSH", "flush"),
    ("STOP", "stop"),
];

#[test]
fn one_that_behaves_behaves() {
    for mode in ["", "MINOR_7"] {
        let (library, mut engine) = (Hostile::new(mode), engine());
        assert_eq!(all(&library, &mut engine), Ok(()));
        let mut instance = started(&library, &mut engine);
        let mut out = Vec::new();
        // Often enough for everything to be compared, and for events to take the same places again.
        for packet in 0..300u64 {
            let event = EventParts { packet_id: packet, ..this_event() };
            let there = instance.enrich(&mut engine, &event, &mut out);
            assert_eq!(there, Ok(packet != 0));
            if packet == 0 {
                assert!(out.is_empty());
                continue;
            }
            assert_eq!(out.len(), USED);
            assert_eq!(out[..8], packet.to_le_bytes());
            assert_eq!(out[8..10], (-3i16).to_le_bytes());
            assert_eq!(out[16..32], *b"swapper/0\0\0\0\0\0\0\0");
            assert_eq!(out[32..36], (6u32 << 16 | 40).to_le_bytes());
            assert_eq!(out[40..], *b"a nameanother");
        }
        assert_eq!(instance.stop(&mut engine), Ok(()));
    }
}

#[test]
fn errors_name_the_function_and_the_reason() {
    for (at, function) in ALL {
        let failure = all(&Hostile::at("FAIL", at), &mut engine()).unwrap_err();
        assert_eq!(failure.to_string(), format!("`{function}` failed: the disk is full"));
        let failure = all(&Hostile::at("FAIL_SILENT", at), &mut engine()).unwrap_err();
        assert_eq!(failure, Failure::Returned { function, code: -77, why: None });
        assert_eq!(failure.to_string(), format!("`{function}` failed: it returned -77 and did not say why"));
        let failure = all(&Hostile::at("STATUS_7", at), &mut engine()).unwrap_err();
        assert_eq!(failure, Failure::NoStatus { function, code: 7 });
        let absent = all(&Hostile::at("SAYS_ABSENT", at), &mut engine());
        let expected = if at == "ENRICH" { Ok(()) } else { Err(Failure::NoStatus { function, code: 1 }) };
        assert_eq!(absent, expected);
    }
}

#[test]
fn a_reason_is_cut_at_a_kibibyte_and_at_a_character() {
    let failure = all(&Hostile::new("FAIL_LONG"), &mut engine()).unwrap_err();
    let Failure::Returned { why: Some(why), .. } = failure else { panic!("{failure:?}") };
    assert_eq!(why, format!(".{}", "ä".repeat(511)));
}

#[test]
fn what_is_written_beyond_the_room_is_found_out_at_once() {
    let room = "the room has 40 bytes for the struct and 100 for texts";
    for (mode, what) in [
        ("OVERRUN_1", "up to byte 1 behind it"),
        ("OVERRUN_2K", "up to byte 2048 behind it"),
        ("UNDERRUN_1", "up to byte 1 in front of it"),
        ("UNDERRUN_2K", "up to byte 2048 in front of it"),
    ] {
        let (result, _) = enriched(mode);
        let what = format!("{what}; {room}");
        assert_eq!(result, Err(Failure::Overrun { function: "enrich", what }), "{mode}");
    }
}

#[test]
fn what_jumps_far_beyond_the_room_is_found_out_later() {
    let (library, mut engine) = (Hostile::new("OVERRUN_FAR"), engine());
    let is_overrun = |failure: &Failure| {
        let Failure::Overrun { what, .. } = failure else { return false };
        what.starts_with("up to byte 2001 behind it; ")
    };
    // After some events,
    let mut instance = started(&library, &mut engine);
    let found = (0..100).find_map(|_| instance.enrich(&mut engine, &this_event(), &mut Vec::new()).err());
    assert!(is_overrun(&found.unwrap()));
    // when a second has passed,
    let mut instance = started(&library, &mut engine);
    assert_eq!(instance.enrich(&mut engine, &this_event(), &mut Vec::new()), Ok(true));
    assert!(is_overrun(&instance.tick(&mut engine, 1).unwrap_err()));
    assert_eq!(instance.stop(&mut engine), Ok(()));
    // or at the end.
    let mut instance = started(&library, &mut engine);
    assert_eq!(instance.enrich(&mut engine, &this_event(), &mut Vec::new()), Ok(true));
    assert!(is_overrun(&instance.stop(&mut engine).unwrap_err()));
}

#[test]
fn lies_about_texts_are_found_out() {
    let (result, _) = enriched("TEXTS_USED");
    assert_eq!(result, Err(Failure::Sizes { function: "enrich", used: 101, room: 100 }));
    let (result, _) = enriched("TEXT_OUTSIDE");
    let field = "other".to_owned();
    let expected = Failure::Text { function: "enrich", field, start: 46, len: 8, from: 40, to: 53 };
    assert_eq!(result, Err(expected));
    // What it was told, only it believes.
    let (result, out) = enriched("ROOM_MOVED");
    assert_eq!((result, out.len()), (Ok(true), USED));
}

#[test]
fn threads_may_not_ask() {
    for (at, _) in ALL {
        let library = Hostile::at("THREAD", at);
        let failure = all(&library, &mut engine()).unwrap_err();
        let expected = Failure::WrongTime { callback: "address", when: When::OtherThread };
        assert_eq!(failure, expected, "{at}");
        assert_eq!(library.status(), Some(c::WRONG_TIME));
    }
}

/// Waits until the library has asked.
fn asked(library: &Hostile) -> i32 {
    let begin = Instant::now();
    loop {
        if let Some(status) = library.status() {
            return status;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "it has not asked");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_thread_that_asks_between_calls_is_told_of_at_the_next() {
    let (library, mut engine) = (Hostile::new("THREAD_LATER"), engine());
    let mut instance = started(&library, &mut engine);
    assert_eq!(instance.enrich(&mut engine, &this_event(), &mut Vec::new()), Ok(true));
    assert_eq!(asked(&library), c::WRONG_TIME);
    let failure = instance.event(&mut engine, &this_event()).unwrap_err();
    assert_eq!(failure, Failure::WrongTime { callback: "address", when: When::OtherThread });
    assert_eq!(instance.stop(&mut engine), Ok(()));
}

#[test]
fn whoever_asks_after_the_end_reaches_nothing() {
    let library = Hostile::new("AFTER_STOP");
    assert_eq!(all(&library, &mut engine()), Ok(()));
    assert_eq!(asked(&library), c::WRONG_TIME);
}

#[test]
fn a_signal_handler_may_not_ask_between_calls() {
    let (library, mut engine) = (Hostile::new("SIGNAL"), engine());
    let mut instance = started(&library, &mut engine);
    // Whichever thread takes it: none is in a call of this plugin.
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR2).unwrap();
    assert_eq!(asked(&library), c::WRONG_TIME);
    assert!(matches!(
        instance.tick(&mut engine, 1),
        Err(Failure::WrongTime { callback: "address", when: When::NoCall | When::OtherThread })
    ));
}

#[test]
fn events_of_the_past_are_not_asked_about() {
    let (library, mut engine) = (Hostile::new("STALE_EVENT"), engine());
    let mut instance = started(&library, &mut engine);
    assert_eq!(instance.enrich(&mut engine, &this_event(), &mut Vec::new()), Ok(true));
    let failure = instance.event(&mut engine, &this_event()).unwrap_err();
    assert_eq!(failure, Failure::WrongTime { callback: "value", when: When::OtherEvent });
    assert_eq!(library.status(), Some(c::WRONG_TIME));
    let failure = all(&Hostile::new("EVENT_IN_TICK"), &mut engine).unwrap_err();
    assert_eq!(failure, Failure::WrongTime { callback: "value", when: When::NoEvent });
}

#[test]
fn wrong_arguments_are_told_to_whoever_gives_them() {
    for at in ["ENRICH", "EVENT"] {
        let mut engine = engine();
        assert_eq!(all(&Hostile::at("ARGUMENTS", at), &mut engine), Ok(()));
        // What was not refused has arrived.
        let lengths = engine.logged.iter().map(|(_, text)| text.len()).collect::<Vec<_>>();
        assert_eq!(lengths, [65536, 0]);
    }
}

#[test]
fn whoever_asks_on_and_on_is_stopped_before_memory_is() {
    let (result, _) = enriched("ASK_ON");
    let why = Some("it asked for more than 16 MiB about one event".to_owned());
    assert_eq!(result, Err(Failure::Returned { function: "enrich", code: c::FAILED, why }));
}

/// A bug of ours is not the plugin's, and nothing unwinds through it.
#[test]
fn a_panic_of_the_engine_goes_on_behind_the_plugin() {
    let (library, mut engine) = (Hostile::new("CHATTER"), engine());
    let mut instance = started(&library, &mut engine);
    engine.log_panics = true;
    let result = panic::catch_unwind(AssertUnwindSafe(|| {
        instance.enrich(&mut engine, &this_event(), &mut Vec::new())
    }));
    assert_eq!(result.unwrap_err().downcast_ref::<&str>(), Some(&"a bug"));
}

/// The loader knows libraries by name. Two that are opened by the same number are two nevertheless.
#[test]
fn another_file_is_another_library() {
    for mode in ["ONLY_SINK", "ONLY_ENRICH"] {
        let library = Hostile::new(mode);
        let file = library.file();
        let description = Library::open(&file).unwrap().description().clone();
        drop(file);
        assert_eq!(description.functions.event, mode == "ONLY_SINK");
        assert_eq!(description.functions.enrich, mode == "ONLY_ENRICH");
    }
}
