//! Folders of plugins with a native half: which files belong to which manifest, what the suite says of what is not there, and
//! what the list calls them. No library is loaded here, so any bytes do for one.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "what cannot be set up cannot be tested")]

use std::{fs, io::Read as _};

use tracer_collectors as _;
use tracer_compose::{Catalog, Library};
use tracer_engine::TRIALS;
use tracer_plugin_tests::{Plugin, failed};
use tracer_plugins::{
    Places, Trust, find, read,
    suite::{CHECKS, Verdict},
};

const NATIVE: &str = "version = 1\nname = \"x\"\nabout = \"for a test\"\n
[native]\nsection = \"owner\"\n
[section.owner]\nplace = \"line\"\ntext = \"owner {pid}\"\n
[[option]]\nname = \"at\"\nabout = \"a text\"\ntext = { default = \"\" }\n";
const SINK: &str = "version = 1\nname = \"x\"\nabout = \"for a test\"\n[native]\nsink = true\n";
const SOURCE: &str = "#include \"tracer/kernel.h\"\nstruct x_args { struct sk_buff *skb REQUIRED; };
struct x_section { __u32 len; };
READER(x, struct x_args *args, struct x_section *out) { out->len = LOAD(args->skb->len); return PRESENT(out); }\n";
const TEXT: &str = "[section.x]\nplace = \"line\"\ntext = \"x {len}\"\n";

/// A native half alone.
fn native(manifest: &str) -> Plugin {
    Plugin::of_files("x", manifest, &[("x.so", b"any")])
}

/// The same beside a fragment.
fn both() -> Plugin {
    let plugin = Plugin::new("x", &format!("{NATIVE}{TEXT}"), SOURCE);
    fs::write(plugin.folder.join("x.so"), "any").unwrap();
    plugin.mode("x.so", 0o755);
    plugin
}

fn refusal(plugin: &Plugin) -> String {
    read(&plugin.folder, &Trust::usual()).unwrap_err().to_string()
}

#[track_caller]
fn fails(plugin: &Plugin, name: &str, why: &str) {
    let failed = failed(&plugin.check_files());
    assert!(failed.len() == 1 && failed[0].0 == name && failed[0].1.contains(why), "{failed:#?}");
}

#[test]
fn a_native_half_needs_no_object() {
    let plugin = native(NATIVE);
    let fragment = read(&plugin.folder, &Trust::usual()).unwrap();
    assert!(!fragment.has_object() && fragment.is_plugin());
    let Library::File(file) = fragment.native.unwrap().library else { panic!("it is in a file") };
    // Whatever comes to stand there later.
    fs::rename(plugin.folder.join("x.so"), plugin.folder.join("y")).unwrap();
    fs::write(plugin.folder.join("x.so"), "another").unwrap();
    let mut bytes = String::new();
    (&*file).read_to_string(&mut bytes).unwrap();
    assert_eq!(bytes, "any");
}

#[test]
fn files_and_manifest_belong_together() {
    let plugin = native(NATIVE);
    fs::remove_file(plugin.folder.join("x.so")).unwrap();
    fails(&plugin, "files", "there is no x.so: build it (`make`");
    let without = NATIVE.replace("[native]\nsection = \"owner\"\n", "");
    let without = without.split("[section").next().unwrap();
    fails(&native(without), "manifest", "it has x.so, and collector.toml has no `[native]`: add it");
    let nothing = Plugin::of_files("x", without, &[]);
    fails(&nothing, "files", "it has no x.bpf.o: compile it");
    let half = Plugin::of_files("x", NATIVE, &[("x.so", b"any"), ("x.direct.bpf.o", b"any")]);
    assert!(refusal(&half).contains("it has no x.bpf.o"));
    let unused = NATIVE.replace("section = \"owner\"", "sink = false");
    fails(&native(&unused), "manifest", "`[native]` needs `section");
    fails(
        &native(&NATIVE.replace("\"owner\"\n", "\"own-er\"\n")),
        "names",
        "cannot name a collector, section",
    );
    let silent = NATIVE.replace("[section.owner]", "[section.other]");
    fails(&native(&silent), "manifest-matches-object", "section `other`");
    let silent = SINK.replace("sink = true", "section = \"owner\"");
    fails(&native(&silent), "templates", "it would not be seen");
}

#[test]
fn libraries_are_trusted_or_refused() {
    let plugin = native(NATIVE);
    plugin.mode("x.so", 0o775);
    fails(&plugin, "file-trust", "chmod go-w");
    let plugin = native(NATIVE);
    let file = fs::File::options().write(true).open(plugin.folder.join("x.so")).unwrap();
    file.set_len(64 << 20).unwrap();
    assert_eq!(failed(&plugin.check_files()), []);
    file.set_len((64 << 20) + 1).unwrap();
    fails(&plugin, "files", "larger than 67108864 bytes");
    let plugin = native(NATIVE);
    fs::remove_file(plugin.folder.join("x.so")).unwrap();
    fs::create_dir(plugin.folder.join("x.so")).unwrap();
    fails(&plugin, "files", "is no file");
    // What is loaded by another name than the plugin's is judged too: it may be what the library itself loads.
    let plugin = native(NATIVE);
    fs::write(plugin.folder.join("helper.so"), "any").unwrap();
    plugin.mode("helper.so", 0o666);
    fails(&plugin, "file-trust", "helper.so");
}

#[test]
fn what_is_about_an_object_is_not_checked_without_one() {
    for manifest in [NATIVE, SINK] {
        let checked = native(manifest).check();
        assert_eq!(failed(&checked), []);
        let skipped = checked.iter().filter_map(|one| match &one.verdict {
            Verdict::Skipped(why) => Some((one.name, why.as_str())),
            _ => None,
        });
        let skipped: Vec<_> = skipped.collect();
        assert!(skipped.iter().all(|(_, why)| *why == "it has no BPF half"), "{skipped:?}");
        let names: Vec<&str> = skipped.iter().map(|(name, _)| *name).collect();
        assert!(names.contains(&"arguments") && names.contains(&"hostile-objects"));
        assert!(TRIALS.iter().all(|trial| names.contains(trial)), "{names:?}");
        for made in
            ["folder-trust", "file-trust", "files", "manifest", "about", "templates", "options", "unique"]
        {
            assert!(!names.contains(&made), "{made}");
        }
    }
}

#[test]
fn both_halves_pass_all_that_one_does() {
    let checked = both().check();
    assert_eq!(failed(&checked), []);
    let passed = checked.iter().filter(|one| matches!(one.verdict, Verdict::Passed(_))).count();
    assert!(passed >= CHECKS.len(), "{checked:#?}");
    let fragment = read(&both().folder, &Trust::usual()).unwrap();
    assert_eq!(fragment.native.unwrap().with, ["x"]);
}

#[test]
fn names_of_native_sections_are_taken() {
    for (word, by) in [("skb", "collector skb"), ("event", "tracer's own"), ("sk_buff", "`struct sk_buff`")] {
        let manifest =
            NATIVE.replace("\"owner\"", &format!("\"{word}\"")).replace(".owner", &format!(".{word}"));
        fails(&native(&manifest), "unique", by);
    }
}

#[test]
fn they_are_found_beside_the_others() {
    let (sink, own) = (native(SINK), native(&NATIVE.replace("\"x\"", "\"y\"")));
    fs::rename(own.folder.join("x.so"), own.folder.join("y.so")).unwrap();
    let places = Places { plugins: vec![sink.folder.clone(), own.folder.clone()], ..Places::default() };
    let mut catalog = Catalog::new().unwrap();
    let found = find(&places, &mut catalog);
    assert!(found.iter().all(|found| found.state.is_ok()), "{found:?}");
    assert!(catalog.find_sink("x").is_some() && !catalog.names().contains(&"x"));
    assert!(catalog.names().contains(&"y") && catalog.find_sink("y").is_none());
}
