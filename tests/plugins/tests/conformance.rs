//! Every collector passes the suite, and for every check there is something that does not pass it.

#![cfg(target_os = "linux")]

use std::fs;

use tracer_plugin_tests::{Plugin, failed, kernel_was_asked};
use tracer_plugins::suite::{CHECKS, Verdict};

fn passes(path: &str) {
    let checked = Plugin::of_workspace(path).check();
    let mut failed = failed(&checked);
    if path.ends_with("nft") {
        // Its types are a module's, which may not be there.
        failed.retain(|(_, why)| !why.contains("does not have"));
    }
    assert_eq!(failed, [], "{path}");
    let passed = checked.iter().filter(|one| matches!(one.verdict, Verdict::Passed(_))).count();
    assert!(passed >= CHECKS.len(), "{path}: only {passed} checks were made");
    kernel_was_asked(&checked);
}

#[test]
fn built_in_collectors_pass() {
    for name in ["dev", "ns", "nft", "skb", "skb_drop", "skb_tracking"] {
        passes(&format!("collectors/{name}"));
    }
}

#[test]
fn examples_pass() {
    passes("plugins/examples/tcpsock");
}

#[test]
fn there_are_enough_checks() {
    assert!(CHECKS.len() >= 20);
    let mut names: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CHECKS.len());
}

const HEAD: &str =
    "#include \"tracer/kernel.h\"\nstruct x_args { struct sk_buff *skb REQUIRED; __u32 n OPTION(\"n\"); };\n";
const READER: &str = "struct x_section { __u32 len; __u32 more; };
READER(x, struct x_args *args, struct x_section *out) { out->len = LOAD(args->skb->len); return PRESENT(out); }\n";
const MANIFEST: &str = "version = 1\nname = \"x\"\nabout = \"for a test\"\n
[section.x]\nplace = \"line\"\ntext = \"x {len} {more}\"\n
[[option]]\nname = \"n\"\nabout = \"a number\"\nnumber = { min = 0, max = 4000, default = 0 }\n";

fn good() -> Plugin {
    with("", READER)
}

/// A plugin with more in its manifest, and other code.
fn with(manifest: &str, code: &str) -> Plugin {
    Plugin::new("x", &format!("{MANIFEST}{manifest}"), &format!("{HEAD}{code}"))
}

/// The same with a change in its manifest.
fn but(from: &str, to: &str) -> Plugin {
    assert!(MANIFEST.contains(from));
    Plugin::new("x", &MANIFEST.replace(from, to), &format!("{HEAD}{READER}"))
}

/// The one check that a plugin fails says why.
#[track_caller]
fn fails(plugin: &Plugin, name: &str, why: &str) {
    let failed = failed(&plugin.check_files());
    assert!(
        failed.iter().any(|(check, reason)| *check == name && reason.contains(why)),
        "{name} should fail with `{why}`, and these do: {failed:#?}"
    );
    assert_eq!(failed.len(), 1, "{failed:#?}");
}

#[test]
fn a_good_one_passes() {
    let checked = good().check();
    assert_eq!(failed(&checked), []);
}

#[test]
fn files_are_trusted_or_refused() {
    let plugin = good();
    plugin.mode(".", 0o777);
    let failed = failed(&plugin.check_files());
    assert!(
        failed.iter().any(|(name, why)| *name == "folder-trust" && why.contains("mode 0777")),
        "{failed:?}"
    );
    let plugin = good();
    plugin.mode("x.bpf.o", 0o666);
    fails(&plugin, "file-trust", "chmod go-w");
    let plugin = good();
    plugin.mode("x.direct.bpf.o", 0o664);
    fails(&plugin, "file-trust", "mode 0664");
}

#[test]
fn files_are_there() {
    let plugin = good();
    fs::remove_file(plugin.object()).unwrap();
    fails(&plugin, "files", "it has no x.bpf.o: compile it");
    let plugin = good();
    fs::remove_file(plugin.folder.join("collector.toml")).unwrap();
    fails(&plugin, "files", "it has no collector.toml");
    let plugin = good();
    fs::File::options().write(true).open(plugin.object()).unwrap().set_len(17 << 20).unwrap();
    fails(&plugin, "files", "larger than 16777216 bytes");
}

#[test]
fn manifests() {
    fails(&but("about =", "colour = 1\nabout ="), "manifest", "unknown field `colour`");
    fails(&but("version = 1", "version = 2"), "manifest", "version 2");
    fails(&but("version = 1", "version = \"1\""), "manifest", "invalid type");
    let plugin = good();
    fs::write(plugin.folder.join("collector.toml"), b"name = \"\xff\"").unwrap();
    fails(&plugin, "manifest", "UTF-8");
    fails(&but("name = \"x\"", "name = \"../x\""), "names", "cannot name a collector");
    fails(&but("for a test", ""), "about", "the collector");
    fails(&but("a number", "a\\nnumber"), "about", "option `n`");
    fails(&but("default = 0", "default = 4001"), "options", "not between min and max");
    fails(&but("name = \"n\"", "name = \"m\""), "options", "option `n`");
    fails(&but("{more}", "{less}"), "schema", "less");
    fails(&but("[section.x]", "[section.y]"), "manifest-matches-object", "section `y`");
    let texts = MANIFEST.split("[[option]]").nth(1).unwrap();
    let silent = format!("version = 1\nname = \"x\"\nabout = \"for a test\"\n[[option]]{texts}");
    fails(&Plugin::new("x", &silent, &format!("{HEAD}{READER}")), "templates", "it would not be seen");
}

#[test]
fn objects() {
    let plugin = good();
    // e_machine of x86-64.
    for file in ["x.bpf.o", "x.direct.bpf.o"] {
        let mut bytes = fs::read(plugin.folder.join(file)).unwrap();
        bytes[18] = 62;
        fs::write(plugin.folder.join(file), bytes).unwrap();
    }
    fails(&plugin, "architecture", "another machine");
    let plugin = good();
    plugin.patch(b"\x001.0\x00", b"\x002.0\x00");
    fails(&plugin, "abi", "version 2.0 of the fragment ABI, and this tracer has 1.0");
    let plugin = good();
    plugin.patch(b"tracer_abi\0", b"tracer_abc\0");
    fails(&plugin, "abi", "does not say");
    let plugin =
        Plugin::new("x", MANIFEST, &format!("#define TRACER_LICENSE \"Proprietary\"\n{HEAD}{READER}"));
    fails(&plugin, "licence", "`Proprietary`");
    let plugin = good();
    plugin.patch(b".BTF\0", b".BTG\0");
    fails(&plugin, "type-information", "compile it with `-g`");
    let plugin = good();
    fs::write(plugin.object(), &fs::read(plugin.object()).unwrap()[..300]).unwrap();
    fails(&plugin, "architecture", "not a BPF object");
}

#[test]
fn code() {
    let body = |code: &str| {
        let reader = format!(
            "READER(x, struct x_args *args, struct x_section *out) {{ {code} return PRESENT(out); }}"
        );
        format!("struct x_section {{ __u32 len; __u32 more; }};\nint elsewhere(void);\n{reader}")
    };
    fails(&with("", &body("out->len = elsewhere();")), "self-contained", "`elsewhere`");
    let global = format!("static volatile __u32 counter = 1;\n{}", body("out->len = counter++;"));
    fails(&with("", &global), "self-contained", "global data");
    let write = "long (*write)(void *, const void *, __u32) = (void *)36; write(args->skb, &out->len, 4);";
    fails(&with("", &body(write)), "helpers", "helper 36 (probe_write_user)");
    let ring = "long (*output)(void *, void *, __u64, __u64) = (void *)130; output(out, out, 8, 0);";
    fails(&with("", &body(ring)), "helpers", "ringbuf_output");
    let pointer = Plugin::new(
        "x",
        MANIFEST,
        &format!("#include \"tracer/kernel.h\"\nstruct x_args {{ struct sk_buff **skbs; }};\n{}", body("")),
    );
    fails(&pointer, "signatures", "`skbs`");
    let nothing = "#include \"tracer/kernel.h\"\nstruct x_args { __u32 n OPTION(\"n\"); };\n";
    let failed = failed(&Plugin::new("x", MANIFEST, &format!("{nothing}{}", body(""))).check_files());
    assert!(
        failed.iter().any(|(name, why)| *name == "arguments" && why.contains("runs nowhere")),
        "{failed:?}"
    );
    let bits = READER.replace("__u32 more;", "__u32 more:3;");
    fails(&with("", &bits), "schema", "bitfields");
    let large = READER.replace("__u32 more;", "__u32 more; char name[5000];");
    fails(&with("", &large), "sizes", "5008 bytes; 4096 are possible");
    let map = "struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, __u64); __type(value, __u64); } \
               skb_map SEC(\".maps\");";
    fails(&with("", &format!("{map}\n{READER}")), "sizes", "`skb_map` must be named `x_...`");
    let hook = "HOOK(seen, struct x_args *args) { return 0; }";
    fails(&with("", &format!("{READER}{hook}")), "manifest-matches-object", "hook__seen has no `[[hook]]`");
}

#[test]
fn both_builds_are_of_one_source() {
    let (one, other) = (good(), with("", &READER.replace("__u32 more;", "__u64 more;")));
    fs::copy(other.folder.join("x.direct.bpf.o"), one.folder.join("x.direct.bpf.o")).unwrap();
    fails(&one, "direct-build", "its readers or their sections are others");
}

#[test]
fn names_that_are_taken() {
    let section = READER.replace("READER(x,", "READER(skb,");
    let manifest = MANIFEST.replace("[section.x]", "[section.skb]");
    let plugin = Plugin::new("x", &manifest, &format!("{HEAD}{section}"));
    fails(&plugin, "unique", "`skb` has the name of one of collector skb");
    for (word, by) in [("event", "tracer's own"), ("sk_buff", "`struct sk_buff`")] {
        let section = READER.replace("READER(x,", &format!("READER({word},"));
        let manifest = MANIFEST.replace("[section.x]", &format!("[section.{word}]"));
        fails(&Plugin::new("x", &manifest, &format!("{HEAD}{section}")), "unique", by);
    }
    fails(&but("about = \"a number\"", "flag = \"snaplen\"\nabout = \"a number\""), "unique", "snaplen");
    fails(&but("about = \"a number\"", "flag = \"probe\"\nabout = \"a number\""), "unique", "probe");
}

#[test]
fn what_only_the_verifier_sees() {
    if !kernel_was_asked(&good().check()) {
        return;
    }
    let body = |code: &str| {
        format!(
            "struct x_section {{ __u32 len; __u32 more; }};
             READER(x, struct x_args *args, struct x_section *out) {{ {code} return PRESENT(out); }}"
        )
    };
    let failing = |code: &str| failed(&with("", &body(code)).check());
    // Beyond its section on either side lies what is another collector's, in a composed program.
    for code in ["(&out->more)[1] = 1;", "(&out->len)[-1] = 1;"] {
        let failed = failing(code);
        let (name, why) = &failed[0];
        assert!(*name == "verifier-alone" && why.contains("collector x, in reader__x"), "{failed:?}");
    }
    // And beyond its arguments.
    let failed = failing("((volatile __u64 *)args)[4] = 1;");
    assert_eq!(failed[0].0, "verifier-alone", "{failed:?}");
    let failed = failing("((volatile char *)out)[args->n] = 1;");
    assert!(failed[0].0 == "verifier-options" && failed[0].1.starts_with("with n = 4000"), "{failed:?}");
    let failed = failing("if (args->skb == NULL) return 4096;");
    assert!(failed[0].0 == "absent-arguments" && failed[0].1.contains("4096 bytes"), "{failed:?}");
    let failed = failing("if ((__u64)args->skb == ~0ULL) return -1;");
    assert_eq!(failed[0].0, "wild-arguments", "{failed:?}");
    let hook = format!("{}HOOK(seen, struct x_args *args) {{ return 0; }}", body(""));
    let failed = tracer_plugin_tests::failed(
        &with("[[hook]]\nname = \"seen\"\nat = [\"fentry:no_such\"]\n", &hook).check(),
    );
    assert!(failed[0].0 == "start-and-stop" && failed[0].1.contains("no_such"), "{failed:?}");
}
