//! Runs go on, whatever a native half does: all events are in the trace, which is whole, the user is told, the trace says how
//! many events miss something, and no process is left.

use std::{net::UdpSocket, time::Duration};

use crate::support::{
    Mode, PATIENCE, Plugin, Running, can_trace, each, mode, of_plugins, printed, soon, tracer,
};

/// Events of a run.
const EVENTS: u64 = 250;

/// A run of `collect` that sees packets to a port of its own.
pub struct Run<'a> {
    plugin: &'a Plugin,
    socket: UdpSocket,
    to: UdpSocket,
    pub child: Running,
}

impl<'a> Run<'a> {
    /// Starts it: `words` say what the plugin is used for.
    pub fn start(plugin: &'a Plugin, words: &[&str]) -> Run<'a> {
        let to = UdpSocket::bind("127.0.0.1:0").unwrap();
        let filter = format!("udp dst port {}", to.local_addr().unwrap().port());
        let (folder, trace, ready) =
            (plugin.folder.to_string_lossy(), plugin.beside("trace"), plugin.beside("ready"));
        let (trace, ready) = (trace.to_string_lossy(), ready.to_string_lossy());
        let rest = ["-P", "tp:net:netif_receive_skb", "-f", &filter, "-o", &trace, "--ready-file", &ready];
        let words = [&["collect", "--plugin", &folder][..], words, &rest].concat();
        let child = Running::start(tracer(&words));
        Run { plugin, socket: UdpSocket::bind("127.0.0.1:0").unwrap(), to, child }
    }

    /// Waits until it is ready; `false` if it has ended.
    pub fn is_ready(&mut self) -> bool {
        let ready = self.plugin.beside("ready");
        let child = &mut self.child;
        let came = soon(PATIENCE, || ready.exists() || child.has_ended());
        assert!(came, "it was not ready");
        ready.exists()
    }

    pub fn send(&self, packets: u64) {
        for _ in 0..packets {
            let _ = self.socket.send_to(&[7; 77], self.to.local_addr().unwrap());
        }
    }

    /// Sends packets, some at a time, until it ends by itself. Gives its exit code, what it said, and the number of its process.
    fn end(mut self, what: &str) -> (Option<i32>, String, u32) {
        let pid = self.child.id();
        if self.is_ready() {
            let mut left = EVENTS + 100;
            soon(PATIENCE, || {
                self.send(left.min(25));
                left = left.saturating_sub(25);
                self.child.has_ended()
            });
        }
        let output = self.child.end(what);
        let (out, err) = printed(&output);
        assert_eq!(out, "", "{what}");
        (output.status.code(), err, pid)
    }
}

/// What a stored trace holds: its text.
fn stored(plugin: &Plugin, what: &str) -> String {
    let trace = plugin.beside("trace").to_string_lossy().into_owned();
    let output = tracer(&["print", &trace]).output().unwrap();
    let (out, err) = printed(&output);
    assert!(output.status.success(), "{what}: {err}");
    // Nothing is damaged, and it has an end.
    assert_eq!(err, "", "{what}");
    out
}

/// The events in a text, and those of them that have the plugin's section.
fn counted(text: &str) -> (u64, u64) {
    let count = |word: &str| text.lines().filter(|line| line.contains(word)).count() as u64;
    (count("[tp] net:netif_receive_skb"), count("  well "))
}

/// The sum of what the trace says that events miss.
fn missing(text: &str) -> u64 {
    let lines = text.lines().filter_map(|line| {
        let (before, _) = line.split_once(" events without section `well`")?;
        before.rsplit(' ').next()?.parse::<u64>().ok()
    });
    lines.sum()
}

fn nothing_is_left(tracer: u32, what: &str) {
    assert!(
        soon(Duration::from_secs(2), || of_plugins(tracer).is_empty()),
        "{what}: {:?} are left",
        of_plugins(tracer)
    );
}

/// With each of these, events go on without its section.
const ENRICHING: [(Mode, &str); 27] = [
    // Those that wait for a deadline first.
    (mode("SLEEP", "START"), "without its native half: it did not return from `start` within 10 s"),
    (mode("LOOP", "ENRICH").after(50), "it did not return from `enrich` within 5 s"),
    (mode("SLEEP", "ENRICH"), "it did not return from `enrich` within 5 s"),
    (mode("CHATTER", "ENRICH").after(20), "it did not return from `enrich` within 5 s"),
    (mode("FAIL", "START"), "without its native half: `start` failed: the disk is full"),
    (mode("CRASH", "START"), "without its native half: it ended its process in `start`: SIGSEGV"),
    (mode("FAIL", "ENRICH").after(50), "`enrich` failed: the disk is full"),
    (mode("FAIL_LONG", "ENRICH"), "`enrich` failed: ."),
    (mode("FAIL_CONTROL", "ENRICH"), "`enrich` failed: \\x1b[2Jnothing\\nhappened;"),
    (mode("FAIL_SILENT", "ENRICH"), "`enrich` failed: it returned -77 and did not say why"),
    (mode("STATUS_7", "ENRICH").after(50), "`enrich` returned 7, which means nothing"),
    (mode("PANICKED", "ENRICH").after(50), "`enrich` panicked: index out of bounds"),
    (mode("CRASH", "ENRICH").after(50), "it ended its process in `enrich`: SIGSEGV"),
    (mode("FORK_CRASH", "ENRICH").after(50), "it ended its process in `enrich`: SIGSEGV"),
    (mode("ABORT", "ENRICH").after(50), "it ended its process in `enrich`: SIGABRT"),
    (mode("EXIT", "ENRICH").after(50), "it ended its process in `enrich`: exit code 0"),
    (mode("THREAD_EXIT", "ENRICH").after(50), "it ended its process in `enrich`"),
    (mode("STACK", "ENRICH"), "it ended its process in `enrich`"),
    (mode("SMASH", "ENRICH").after(50), "it ended its process in `enrich`: SIGSEGV"),
    (mode("OVERRUN_1", "ENRICH"), "`enrich` wrote beyond its room: up to byte 1 behind it"),
    (mode("UNDERRUN_2K", "ENRICH"), "`enrich` wrote beyond its room: up to byte 2048 in front of it"),
    (mode("TEXTS_USED", "ENRICH"), "`enrich`: it says that its texts take 101 bytes; the room has 100"),
    (mode("TEXT_OUTSIDE", "ENRICH"), "`enrich`: the text other is said to be 8 bytes"),
    (mode("THREAD", "ENRICH").after(50), "it called `address` of the host's from a thread of its own"),
    (mode("STALE_EVENT", "ENRICH"), "it called `value` of the host's about an event that is not the one"),
    (mode("CLOSE_ALL", "ENRICH").after(50), "did it close a file descriptor that is not its own?"),
    (mode("WRITE_ALL", "ENRICH").after(50), "something is written to its connection to tracer"),
];

#[test]
fn events_go_on_without_a_section() {
    if !can_trace() {
        return;
    }
    each(&ENRICHING, |(one, why)| {
        let what = format!("{} {}", one.mode, one.at);
        let plugin = Plugin::new(*one);
        let stop = EVENTS.to_string();
        let run = Run::start(&plugin, &["-c", "skb,hostile", "--stop-after", &stop]);
        let (code, said, pid) = run.end(&what);
        assert_eq!(code, Some(0), "{what}: {said}");
        assert!(said.contains(&format!("{EVENTS} events written to ")), "{what}: {said}");
        let told: Vec<&str> = said.lines().filter(|line| line.contains(why)).collect();
        assert_eq!(told.len(), 1, "{what}: {said}");
        assert!(told[0].starts_with("tracer: plugin hostile "), "{what}: {said}");
        let text = stored(&plugin, &what);
        let (events, with) = counted(&text);
        assert_eq!(events, EVENTS, "{what}: {text}");
        // Where it has not started, no layout has the section: nothing is missing.
        if one.at == "START" {
            assert_eq!((with, missing(&text)), (0, 0), "{what}");
        } else {
            assert!(with < EVENTS, "{what}");
            assert_eq!(with + missing(&text), EVENTS, "{what}: {text}");
        }
        nothing_is_left(pid, &what);
    });
}

/// What these do is not as it should be, and harms nobody.
#[test]
fn oddities_change_nothing() {
    if !can_trace() {
        return;
    }
    let all = [
        mode("GOOD", "ENRICH"),
        mode("MINOR_7", "ENRICH"),
        mode("ROOM_MOVED", "ENRICH"),
        mode("PRINT", "ENRICH"),
        mode("SIGNALS", "START"),
        mode("FORK", "START"),
        mode("FORK_RETURNS", "ENRICH"),
        mode("CHATTER", "TICK"),
        mode("AFTER_STOP", "STOP"),
    ];
    each(&all, |one| {
        let what = format!("{} {}", one.mode, one.at);
        let plugin = Plugin::new(*one);
        let stop = EVENTS.to_string();
        let run = Run::start(&plugin, &["-c", "skb,hostile", "--stop-after", &stop]);
        let (code, said, pid) = run.end(&what);
        assert_eq!(code, Some(0), "{what}: {said}");
        assert!(!said.contains("not used any more"), "{what}: {said}");
        let text = stored(&plugin, &what);
        assert_eq!((counted(&text), missing(&text)), ((EVENTS, EVENTS), 0), "{what}: {text}");
        nothing_is_left(pid, &what);
    });
}

/// An end that is not in order is told, after the last event has its section.
#[test]
fn failing_to_stop_costs_nothing() {
    if !can_trace() {
        return;
    }
    let all = [
        (mode("SLEEP", "STOP"), "it did not return from `stop` within 5 s"),
        (mode("CRASH", "STOP"), "it ended its process in `stop`: SIGSEGV"),
        (mode("FAIL", "STOP"), "`stop` failed: the disk is full"),
    ];
    each(&all, |(one, why)| {
        let what = format!("{} {}", one.mode, one.at);
        let plugin = Plugin::new(*one);
        let stop = EVENTS.to_string();
        let run = Run::start(&plugin, &["-c", "skb,hostile", "--stop-after", &stop]);
        let (code, said, pid) = run.end(&what);
        assert_eq!(code, Some(0), "{what}: {said}");
        assert!(said.contains(why), "{what}: {said}");
        let text = stored(&plugin, &what);
        assert_eq!(counted(&text), (EVENTS, EVENTS), "{what}: {text}");
        nothing_is_left(pid, &what);
    });
}

/// As a sink, it misses events; the trace does not.
#[test]
fn the_trace_is_whole_without_a_sink() {
    if !can_trace() {
        return;
    }
    let all = [
        // Those that wait for a deadline first.
        (mode("SLEEP", "EVENT").after(50), Some("it did not return from `event` within 10 s")),
        (mode("LOOP", "FLUSH"), Some("it did not return from `event` within 10 s")),
        (mode("FAIL", "EVENT").after(50), Some("`event` failed: the disk is full")),
        (mode("FAIL", "FLUSH"), Some("`flush` failed: the disk is full")),
        (mode("PANICKED", "EVENT").after(50), Some("`event` panicked: index out of bounds")),
        (mode("CRASH", "EVENT").after(50), Some("it ended its process in `event`: SIGSEGV")),
        (mode("FORK_CRASH", "EVENT").after(50), Some("it ended its process in `event`: SIGSEGV")),
        (mode("EXIT", "EVENT").after(50), Some("it ended its process in `event`: exit code 0")),
        (mode("CLOSE_ALL", "EVENT").after(50), Some("a file descriptor that is not its own?")),
        (mode("WRITE_ALL", "EVENT"), Some("something is written to its connection")),
        (mode("STALE_EVENT", "EVENT"), Some("about an event that is not the one")),
        (mode("THREAD", "EVENT").after(50), Some("from a thread of its own")),
        (mode("GOOD", "EVENT"), None),
        (mode("PRINT", "EVENT"), None),
        (mode("FORK", "START"), None),
        (mode("FORK_RETURNS", "EVENT"), None),
        (mode("SIGNALS", "EVENT"), None),
    ];
    each(&all, |(one, why)| {
        let what = format!("sink: {} {}", one.mode, one.at);
        let plugin = Plugin::new(*one);
        let stop = EVENTS.to_string();
        let run = Run::start(&plugin, &["-c", "skb", "--sink", "hostile", "--stop-after", &stop]);
        let (code, said, pid) = run.end(&what);
        assert_eq!(code, Some(if why.is_some() { 1 } else { 0 }), "{what}: {said}");
        assert!(said.contains(&format!("{EVENTS} events written to ")), "{what}: {said}");
        match why {
            Some(why) => {
                let told = said.lines().find(|line| line.starts_with("tracer: sink hostile is not used"));
                assert!(told.is_some_and(|told| told.contains(why)), "{what}: {said}");
                assert!(said.contains(" events were not taken by it"), "{what}: {said}");
            }
            None => assert!(!said.contains("not used any more"), "{what}: {said}"),
        }
        assert_eq!(counted(&stored(&plugin, &what)).0, EVENTS, "{what}");
        nothing_is_left(pid, &what);
    });
}

/// What cannot even be loaded ends a run that has named it, before anything is attached, and is left out of others.
#[test]
fn libraries_that_are_not_taken() {
    if !can_trace() {
        return;
    }
    let all = [
        ("MAJOR_2", "it was built for version 2.3 of the plugin interface"),
        ("CONSTRUCTOR_ABORTS", "it ended its process in `load`: SIGABRT"),
        ("ENTRY_EXITS", "it ended its process in `load`: exit code 0"),
        ("FIELD_FAR", "are not inside the 40 bytes of the struct"),
    ];
    each(&all, |(name, why)| {
        let plugin = Plugin::new(mode(name, "ENRICH"));
        for words in [["-c", "skb,hostile"], ["--sink", "hostile"]] {
            let run = Run::start(&plugin, &words);
            let (code, said, pid) = run.end(name);
            assert_eq!(code, Some(3), "{name}: {said}");
            assert!(said.contains(why) && !said.contains("attached"), "{name}: {said}");
            nothing_is_left(pid, name);
        }
        let stop = EVENTS.to_string();
        let (code, said, pid) = Run::start(&plugin, &["--stop-after", &stop]).end(name);
        assert_eq!(code, Some(0), "{name}: {said}");
        let told = said.lines().find(|line| line.contains(why)).unwrap_or_default();
        assert!(told.starts_with("tracer: plugin hostile goes on without its native half: "), "{said}");
        assert_eq!(counted(&stored(&plugin, name)), (EVENTS, 0), "{name}");
        nothing_is_left(pid, name);
    });
}

/// It has the rights to: then it is the end, in order.
#[test]
fn one_that_asks_tracer_to_end() {
    if !can_trace() {
        return;
    }
    let plugin = Plugin::new(mode("SIGNAL_PARENT", "ENRICH").after(100));
    let (code, said, pid) = Run::start(&plugin, &["-c", "skb,hostile"]).end("SIGNAL_PARENT");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("ended by SIGTERM: "), "{said}");
    let (events, with) = counted(&stored(&plugin, "SIGNAL_PARENT"));
    assert!(events > 100 && events == with, "{events} {with}");
    nothing_is_left(pid, "SIGNAL_PARENT");
}
