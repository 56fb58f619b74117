//! The C header is made of the structs, and says what they say.

#![expect(clippy::unwrap_used, reason = "what cannot be set up cannot be tested")]

use std::{fs, path::Path, process::Command};

fn header() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let made =
        cbindgen::Builder::new().with_config(config).with_src(root.join("src/c.rs")).generate().unwrap();
    let mut bytes = Vec::new();
    made.write(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_header_is_not_stale() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/tracer/plugin.h");
    let made = header();
    if std::env::var_os("TRACER_WRITE_GOLDEN").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let is = fs::read_to_string(&path).unwrap_or_default();
    assert!(is == made, "{} is stale: write it with TRACER_WRITE_GOLDEN=1", path.display());
}

/// Each struct and member, with the place that Rust gives it.
macro_rules! places {
    ($($type:ident as $name:literal { $($member:ident),* })*) => {{
        let mut lines = String::new();
        $(
            lines += &format!("_Static_assert(sizeof(struct {}) == {}, \"{}\");\n", $name, size_of::<$type>(), $name);
            $(
                let at = std::mem::offset_of!($type, $member);
                let member = stringify!($member);
                lines += &format!("_Static_assert(offsetof(struct {}, {member}) == {at}, \"{}.{member}\");\n", $name, $name);
            )*
        )*
        lines
    }};
}

#[test]
fn a_c_compiler_sees_the_same_places() {
    use tracer_plugin_abi::c::*;
    let lines = places! {
        Text as "tracer_text" { bytes, len }
        Name as "tracer_name" { value, name }
        Field as "tracer_field" { name, show, kind, offset, size, reserved, names, names_len }
        Section as "tracer_section" { struct_size, field_size, name, size, texts, fields, fields_len }
        Plugin as "tracer_plugin" { magic, major, minor, struct_size, name, release, licence, section, functions }
        Functions as "tracer_functions" { struct_size, start, enrich, event, loss, tick, flush, stop }
        Probe as "tracer_probe" { name, tag }
        Session as "tracer_session" { struct_size, live, probe_size, tracer, host, kernel, machine, own_netns, probes, probes_len, sections, sections_len }
        Event as "tracer_event" { struct_size, probe, cpu, time, realtime, tgid, pid, comm, packet_id, stack, stack_len, record, record_len }
        Room as "tracer_room" { struct_size, section_len, section, texts_len, texts_used }
        Loss as "tracer_loss" { struct_size, probe, cpu, events, before }
        Value as "tracer_value" { kind, number, bytes }
        Symbol as "tracer_symbol" { name, offset }
        Member as "tracer_member" { bit_offset, size, bits }
        Host as "tracer_host" { struct_size, major, minor, context, log, fail, option, field, value, render, symbol, address, type_size, member, enumerator }
    };
    let dir = std::env::temp_dir().join(format!("tracer-header-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let file = dir.join("places.c");
    // The macros, as somebody would use them.
    let uses = r#"
struct state { uint32_t verdict; uint32_t name; };
static const struct tracer_name verdicts[] = { { 0, TRACER_TEXT("drop") }, { 1, TRACER_TEXT("accept") } };
static const struct tracer_field fields[] = {
	TRACER_FIELD_NAMED(struct state, verdict, UINT, verdicts),
	TRACER_FIELD(struct state, name, TEXT, ""),
};
static const struct tracer_section section = {
	sizeof(section), sizeof(fields[0]), TRACER_TEXT("state"), sizeof(struct state), 64, fields, 2,
};
static const struct tracer_functions functions = { sizeof(functions), 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL };
static const struct tracer_plugin plugin = {
	TRACER_MAGIC, TRACER_MAJOR, TRACER_MINOR, sizeof(plugin), TRACER_TEXT("state"), TRACER_TEXT("1"), TRACER_TEXT("MIT"),
	&section, &functions,
};
TRACER_PLUGIN(plugin)
"#;
    fs::write(&file, format!("#include \"tracer/plugin.h\"\n{lines}{uses}")).unwrap();
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    for standard in ["c11", "c++17"] {
        // C++ has its own word for it.
        let (language, word) =
            if standard == "c11" { ("c", "") } else { ("c++", "-D_Static_assert=static_assert") };
        let mut command = Command::new(if standard == "c11" { "cc" } else { "c++" });
        command.args([
            "-x",
            language,
            &format!("-std={standard}"),
            "-Wall",
            "-Wextra",
            "-Werror",
            "-fsyntax-only",
            "-I",
        ]);
        command.arg(&include).args((!word.is_empty()).then_some(word)).arg(&file);
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{standard}: {told}");
    }
    fs::remove_dir_all(&dir).unwrap();
}
