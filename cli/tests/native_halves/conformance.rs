//! For each check of a native half there are some that fail it, and no other.

use std::fs;

use crate::support::{MANIFEST, Mode, Plugin, Running, each, mode, printed, tracer};

/// What the suite says of a folder: its exit code, and its lines.
fn checked(plugin: &Plugin, what: &str) -> (Option<i32>, Vec<String>) {
    let folder = plugin.folder.to_string_lossy().into_owned();
    let output = Running::start(tracer(&["plugin", "check", &folder])).end(what);
    let (out, err) = printed(&output);
    assert_eq!(err, "", "{what}: only results are printed");
    (output.status.code(), out.lines().map(str::to_owned).collect())
}

/// It fails this check, and no other, and says why.
#[track_caller]
fn fails(plugin: &Plugin, what: &str, check: &str, why: &str) {
    let (code, lines) = checked(plugin, what);
    let failed: Vec<&String> = lines.iter().filter(|line| line.starts_with("  FAIL")).collect();
    assert_eq!(code, Some(2), "{what}: {lines:#?}");
    assert_eq!(failed.len(), 1, "{what}: {failed:#?}");
    assert!(
        failed[0].starts_with(&format!("  FAIL  {check}: ")),
        "{what}: it should fail {check}: {failed:#?}"
    );
    let said = lines.join("\n");
    assert!(said.contains(why), "{what}: it should say `{why}`: {said}");
}

#[track_caller]
fn passes(plugin: &Plugin, what: &str) -> Vec<String> {
    let (code, lines) = checked(plugin, what);
    assert_eq!(code, Some(0), "{what}: {lines:#?}");
    let made = |name: &str| lines.iter().any(|line| line.starts_with(&format!("  ok    {name}")));
    for name in tracer_engine::native::NATIVE_CHECKS {
        assert!(made(name), "{what}: {name} is not passed: {lines:#?}");
    }
    lines
}

#[test]
fn the_lists_agree() {
    let names = tracer_plugins::suite::NATIVE_CHECKS.map(|(name, _)| name);
    assert_eq!(names, tracer_engine::native::NATIVE_CHECKS);
}

/// What is unusual, but not wrong.
#[test]
fn those_that_behave_pass() {
    let all = [
        mode("GOOD", "ENRICH"),
        mode("MINOR_7", "ENRICH"),
        mode("ROOM_MOVED", "ENRICH"),
        mode("ARGUMENTS", "EVENT"),
        mode("PRINT", "EVENT"),
        mode("SIGNALS", "START"),
        mode("SAYS_ABSENT", "ENRICH"),
        mode("CHATTER", "TICK"),
        mode("FORK", "START"),
        mode("FORK_RETURNS", "EVENT"),
    ];
    each(&all, |one| {
        let lines = passes(&Plugin::new(*one), one.mode);
        let on = lines.iter().find(|line| line.contains("native-no-error")).unwrap();
        let enriched = on.contains("3022 events, 3022 of which got section `well`");
        assert!(enriched != (one.mode == "SAYS_ABSENT"), "{one:?}: {on}");
        assert!(on.contains("344 events of two sessions"), "{one:?}: {on}");
    });
}

#[test]
fn files_that_are_no_library_of_this_machine() {
    let good = Plugin::new(mode("GOOD", "ENRICH"));
    let whole = fs::read(good.library()).unwrap();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        good.write("hostile.so", bytes);
    };
    with(&|bytes| bytes.truncate(bytes.len() / 2));
    fails(&good, "half of it", "library-file", "it is cut short: ");
    with(&|bytes| bytes.truncate(1));
    fails(&good, "a byte of it", "library-file", "no ELF file");
    with(&Vec::clear);
    fails(&good, "nothing of it", "library-file", "no ELF file");
    // e_machine of 64-bit ARM, or of x86-64.
    with(&|bytes| bytes[18] = if bytes[18] == 183 { 62 } else { 183 });
    fails(&good, "another machine's", "library-architecture", "it is built for ");
    // e_type of an object.
    with(&|bytes| bytes[16] = 1);
    fails(&good, "an object", "library-file", "an object that was not linked, no shared library");
}

#[test]
fn libraries_that_are_not_taken() {
    let all = [
        ("NO_ENTRY", "library-file", "it does not export the function `tracer_plugin`"),
        (
            "UNDEFINED",
            "library-file",
            "the dynamic loader refuses it: undefined symbol: there_is_no_such_function",
        ),
        ("MAJOR_2", "library-interface", "it was built for version 2.3 of the plugin interface"),
        ("WRONG_MAGIC", "library-interface", "it begins with 0x"),
        ("NULL_DESCRIPTOR", "library-declares", "returned NULL"),
        ("PLUGIN_SMALL", "library-declares", "tracer_plugin.struct_size is "),
        ("SECTION_LARGE", "library-declares", "tracer_section.struct_size is 4097"),
        ("FUNCTIONS_NULL", "library-declares", "`functions` is NULL"),
        ("FIELDS_MANY", "library-declares", "257; 256 are possible"),
        ("FIELD_OUTSIDE", "library-declares", "are not inside the 40 bytes of the struct"),
        ("FIELD_TWICE", "library-declares", "there are two fields packet"),
        ("TEXT_LATIN", "library-declares", "is not UTF-8"),
        ("NAME_BAD", "library-declares", "is no C identifier"),
        ("NO_SECTION", "library-declares", "declares no section"),
        (
            "ONLY_SINK",
            "library-declares",
            "collector.toml says that it adds section `well`, its library none",
        ),
        ("ONLY_ENRICH", "library-declares", "collector.toml says that it is a sink"),
        ("CONSTRUCTOR_ABORTS", "native-lives", "it ended its process in `load`: SIGABRT"),
        ("ENTRY_EXITS", "native-lives", "it ended its process in `load`: exit code 0"),
    ];
    each(&all, |(name, check, why)| fails(&Plugin::new(mode(name, "ENRICH")), name, check, why));
}

#[test]
fn libraries_of_another_manifest() {
    let all = [
        ("\"hostile\"", "\"other\"", "its library is that of `hostile`, and collector.toml that of `other`"),
        ("well", "ill", "it adds section `ill`, its library `well`"),
        ("{verdict}", "{colour}", "colour"),
    ];
    for (from, to, why) in all {
        let manifest = MANIFEST.replace(from, to).replace("ill {packet}", "{packet}");
        let plugin = Plugin::with(mode("GOOD", "ENRICH"), &manifest);
        if to == "\"other\"" {
            fs::rename(plugin.library(), plugin.folder.join("other.so")).unwrap();
        }
        fails(&plugin, to, "library-declares", why);
    }
}

/// What is wrong about what they do.
const CONDUCT: [(Mode, &str, &str); 37] = [
    // Those that wait for a deadline first.
    (mode("SLEEP", "START"), "native-returns", "it did not return from `start` within 10 s"),
    (mode("SLEEP", "EVENT").after(50), "native-returns", "it did not return from `event` within 10 s"),
    (mode("LOOP", "ENRICH"), "native-returns", "it did not return from `enrich` within 5 s"),
    (mode("LOOP", "TICK"), "native-returns", "it did not return from `tick` within 5 s"),
    (mode("SLEEP", "STOP"), "native-stops", "it did not return from `stop` within 5 s"),
    (mode("FAIL_SILENT", "START"), "native-starts", "`start` failed: it returned -77 and did not say why"),
    (mode("STATUS_7", "START"), "native-starts", "`start` returned 7, which means nothing"),
    (mode("PANICKED", "START"), "native-no-panic", "`start` panicked: index out of bounds"),
    (mode("PANICKED", "ENRICH").after(1000), "native-no-panic", "`enrich` panicked: index out of bounds"),
    (mode("FAIL", "ENRICH").after(2999), "native-no-error", "`enrich` failed: the disk is full"),
    (mode("FAIL", "EVENT").after(340), "native-no-error", "`event` failed: the disk is full"),
    (mode("FAIL", "LOSS"), "native-no-error", "`loss` failed: the disk is full"),
    (mode("FAIL", "TICK"), "native-no-error", "`tick` failed: the disk is full"),
    (mode("FAIL", "FLUSH"), "native-no-error", "`flush` failed: the disk is full"),
    (mode("FAIL_CONTROL", "EVENT"), "native-no-error", "`event` failed: \\x1b[2Jnothing\\nhappened"),
    (mode("FAIL_SILENT", "ENRICH"), "native-no-error", "`enrich` failed: it returned -77"),
    (
        mode("SAYS_ABSENT", "FLUSH"),
        "native-no-error",
        "`flush` returned TRACER_ABSENT, which only `enrich` may",
    ),
    (mode("ASK_ON", "ENRICH"), "native-no-error", "more than 16 MiB about one event"),
    (mode("OVERRUN_1", "ENRICH"), "native-stays-in-room", "up to byte 1 behind it"),
    (mode("OVERRUN_FAR", "ENRICH"), "native-stays-in-room", "up to byte 2001 behind it"),
    (mode("UNDERRUN_1", "ENRICH"), "native-stays-in-room", "up to byte 1 in front of it"),
    (mode("WRITE_ALL", "ENRICH"), "native-stays-in-room", "that does not belong there"),
    (mode("TEXTS_USED", "ENRICH"), "native-sizes", "its texts take 101 bytes; the room has 100"),
    (mode("TEXT_OUTSIDE", "ENRICH"), "native-sizes", "the text other is said to be 8 bytes"),
    (mode("THREAD", "START"), "native-asks-in-time", "it called `address` of the host's from a thread"),
    (
        mode("THREAD_LATER", "ENRICH"),
        "native-asks-in-time",
        "it called `address` of the host's from a thread",
    ),
    (mode("STALE_EVENT", "ENRICH"), "native-asks-in-time", "about an event that is not the one"),
    (mode("EVENT_IN_TICK", "TICK"), "native-asks-in-time", "in a function that is not given an event"),
    (mode("CRASH", "START"), "native-lives", "it ended its process in `start`: SIGSEGV"),
    (mode("CRASH", "LOSS"), "native-lives", "it ended its process in `event`: SIGSEGV"),
    (mode("EXIT", "TICK"), "native-lives", "it ended its process in `tick`: exit code 0"),
    (mode("EXIT", "STOP"), "native-lives", "it ended its process in `stop`: exit code 0"),
    (mode("THREAD_EXIT", "ENRICH"), "native-lives", "it ended its process in `enrich`"),
    (mode("STACK", "ENRICH"), "native-lives", "it ended its process in `enrich`"),
    (mode("SMASH", "ENRICH"), "native-lives", "it ended its process in `enrich`: SIGSEGV"),
    (mode("CLOSE_ALL", "ENRICH"), "native-lives", "did it close a file descriptor that is not its own?"),
    (mode("FAIL", "STOP"), "native-stops", "`stop` failed: the disk is full"),
];

#[test]
fn conduct() {
    each(&CONDUCT, |(one, check, why)| {
        let what = format!("{} {}", one.mode, one.at);
        fails(&Plugin::new(*one), &what, check, why);
    });
}

#[test]
fn options_at_their_ends() {
    let option =
        "[[option]]\nname = \"n\"\nabout = \"a number\"\nnumber = { min = 0, max = 101, default = 5 }\n";
    let manifest = format!("{MANIFEST}{option}");
    let plugin = Plugin::with(mode("OPTION", "START"), &manifest);
    fails(&plugin, "101", "native-starts", "with n = 101: `start` failed: n is too large");
    let plugin = Plugin::with(mode("OPTION", "START"), &manifest.replace("101", "100"));
    let lines = passes(&plugin, "100");
    assert!(lines.iter().any(|line| line.contains("native-starts: 1 numbers at both ends")), "{lines:#?}");
}

/// What a plugin needs may not be there. That it says so is no fault.
#[test]
fn one_that_cannot_be_used_here() {
    let (code, lines) = checked(&Plugin::new(mode("FAIL", "START")), "FAIL START");
    assert_eq!(code, Some(0), "{lines:#?}");
    let why = "  skip  native-starts: it says that it cannot be used here: `start` failed: the disk is full";
    assert!(lines.iter().any(|line| line == why), "{lines:#?}");
    assert!(lines.iter().any(|line| line == "  skip  native-lives: it does not start here"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("  ok    library-declares")), "{lines:#?}");
}

/// The last lines that a process printed are often its last words.
#[test]
fn last_words_are_told() {
    let (_, lines) = checked(&Plugin::new(mode("STACK", "ENRICH")), "STACK");
    let at = lines.iter().position(|line| line.starts_with("  FAIL  native-lives")).unwrap();
    assert!(lines[at + 1].ends_with("last, it printed"), "{lines:#?}");
    assert!(lines[at + 2..].iter().take(3).any(|line| line.contains("overflowed its stack")), "{lines:#?}");
}
