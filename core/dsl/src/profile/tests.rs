//! Profiles as texts in, profiles or diagnostics out.

use super::*;
use crate::diagnostic::{Diagnostic, SourceRef};
use crate::option::{OptionDef, Origin, ValueType};

const NFT_DROPMON: &str = r#"version = 1
name = "nft-dropmon"
about = "Packets dropped by nftables"

[collect]
collectors = ["nft", "skb", "dev", "ns"]
probes = ["kprobe:__nft_trace_packet/stack"]
nft_verdicts = ["drop"]

[pcap]
probes = ["kprobe:__nft_trace_packet"]
"#;

fn table() -> OptionTable {
    let collect = [SubCommand::Collect];
    OptionTable::new([
        OptionDef::new("nft-verdicts", "", ValueType::list_of(["accept", "drop"]))
            .selects("nft.verdict".parse().unwrap())
            .on(collect),
        OptionDef::new("x-flag", "", ValueType::Flag).on(collect),
        OptionDef::new("x-time", "", ValueType::Duration).on(collect),
        OptionDef::new("x-text", "", ValueType::String).on(collect),
    ])
    .unwrap()
}

fn parse(text: &str) -> Result<Profile, Diagnostics> {
    Profile::parse("a.toml", text, &table())
}

/// The settings of a `[collect]` with this body.
fn collect(body: &str) -> Result<Settings, Diagnostics> {
    let profile = parse(&format!("version = 1\nname = \"a\"\n[collect]\n{body}\n"))?;
    Ok(profile.settings(SubCommand::Collect))
}

/// The message and the text at the caret of each finding.
fn found(result: Result<impl std::fmt::Debug, Diagnostics>) -> Vec<(String, String)> {
    let found = result.unwrap_err().into_iter();
    found.map(|d| (d.message, d.source.unwrap().fragment().to_owned())).collect()
}

/// The only finding of a `[collect]` with this body.
fn only(body: &str) -> Diagnostic {
    let found = collect(body).unwrap_err();
    assert_eq!(found.len(), 1, "{found}");
    found.into_iter().next().unwrap()
}

#[test]
fn a_profile_becomes_settings() {
    let profile = parse(NFT_DROPMON).unwrap();
    assert_eq!(profile.name, "nft-dropmon");
    assert_eq!(profile.about.as_deref(), Some("Packets dropped by nftables"));
    assert_eq!(profile.commands().collect::<Vec<_>>(), [SubCommand::Collect, SubCommand::Pcap]);

    let collect = profile.settings(SubCommand::Collect);
    let words: Vec<_> = collect.words("collectors").iter().map(|w| w.value.as_str()).collect();
    assert_eq!(words, ["nft", "skb", "dev", "ns"]);
    let probe = &collect.probes("probe")[0];
    assert_eq!(probe.value.to_string(), "kprobe:__nft_trace_packet/stack");
    assert_eq!(probe.source.fragment(), "kprobe:__nft_trace_packet/stack");
    let conditions = collect.conditions(&table());
    assert_eq!(conditions[0].to_string(), "nft.verdict in {drop}");
    let setting = collect.setting("nft-verdicts").unwrap();
    assert_eq!(setting.origin, Origin::Profile("nft-dropmon".into()));
    assert_eq!(setting.source.as_ref().unwrap().fragment(), "[\"drop\"]");

    let pcap = profile.settings(SubCommand::Pcap);
    assert_eq!(pcap.probes("probe")[0].value.to_string(), "kprobe:__nft_trace_packet");
    assert_eq!(pcap.iter().count(), 1);
}

#[test]
fn every_type_has_its_toml_form() {
    let settings = collect(
        "x_flag = true\nx_time = '10s'\nx_text = 'a'\nstop_after = 1_000\nring_size = '8M'\nattach = 'kprobe'",
    )
    .unwrap();
    assert!(settings.flag("x-flag"));
    assert_eq!(settings.duration("x-time"), Some(std::time::Duration::from_secs(10)));
    assert_eq!(settings.text("x-text"), Some("a"));
    assert_eq!(settings.integer("stop-after"), Some(1000));
    assert_eq!(settings.size("ring-size"), Some(8 << 20));
    assert_eq!(settings.text("attach"), Some("kprobe"));
    assert_eq!(collect("ring_size = 0x2000").unwrap().size("ring-size"), Some(8192));
}

#[test]
fn all_mistakes_are_found_in_one_go_in_the_order_of_the_text() {
    let text = "\
version = 1
nmae = \"x\"
[collect]
collector = [\"nft\"]
probes = [\"kprobe:f/stak\", \"k:a b\", 3]
nft_verdicts = \"drop\"
stop_after = 0
[pcap]
collectors = [\"nft\"]
";
    let expected = [
        ("`name` is missing", ""),
        ("unknown key `nmae`", "nmae"),
        ("unknown key `collector` in `[collect]`", "collector"),
        ("unknown probe option `stak`", "stak"),
        ("unexpected ` ` in a probe", " "),
        ("`probes` takes a list of probes, not of whole numbers", "3"),
        ("`nft_verdicts` takes a list of words, not a string", "\"drop\""),
        ("0 is out of range for `stop_after`", "0"),
        ("`pcap` has no option `collectors`", "collectors"),
    ];
    assert_eq!(found(parse(text)), expected.map(|(m, at)| (m.to_owned(), at.to_owned())));
}

#[test]
fn a_mistake_is_shown_with_file_line_column_caret_and_hint() {
    let text = NFT_DROPMON.replace("packet/stack", "packet/stak");
    assert_eq!(
        parse(&text).unwrap_err().to_string(),
        "\
error: unknown probe option `stak`
 --> a.toml:7:38
  |
7 | probes = [\"kprobe:__nft_trace_packet/stak\"]
  |                                      ^^^^
  |
  = help: did you mean `stack`?
  = help: known: stack, optional"
    );
    let text = NFT_DROPMON.replace("nft_verdicts", "nft-verdict");
    assert_eq!(
        parse(&text).unwrap_err().to_string(),
        "\
error: unknown key `nft-verdict` in `[collect]`
 --> a.toml:8:1
  |
8 | nft-verdict = [\"drop\"]
  | ^^^^^^^^^^^
  |
  = help: did you mean `nft_verdicts`?
  = help: known: collectors, probes, stop_after, format, print, out_rotate, attach, rate, strict, fail_on_loss, ring_size, link_header, utc, sinks, filters, follow, nft_verdicts, x_flag, x_time, x_text"
    );
}

#[test]
fn what_is_for_the_command_line_only_is_refused() {
    for key in COMMAND_LINE_ONLY.into_iter().chain(["profile", "profile_dir"]) {
        let flag = key.replace('_', "-");
        let at = SourceRef::new(
            "a.toml",
            format!("version = 1\nname = \"a\"\n[collect]\n{key} = true\n"),
            33..33 + key.len(),
        );
        let expected = Diagnostic::error(format!("`{key}` cannot be given by a profile"))
            .because("it is given on the command line only")
            .hint(format!("leave it out here and write `--{flag}` when you start tracer"))
            .at(at);
        assert_eq!(only(&format!("{key} = true")), expected);

        let top = found(parse(&format!("version = 1\nname = 'a'\n{key} = 1")));
        assert_eq!(top, [(expected.message, key.to_owned())]);
    }
}

#[test]
fn version_and_name_are_needed() {
    assert_eq!(
        found(parse("")),
        [("`version` is missing".into(), String::new()), ("`name` is missing".into(), String::new())]
    );
    assert_eq!(
        found(parse("version = '1'\nname = ' '")),
        [("`version` takes a whole number".into(), "'1'".into()), ("`name` is empty".into(), "' '".into())]
    );
    assert_eq!(found(parse("version = 1\nname = 1"))[0].0, "`name` takes a text, not a whole number");
}

#[test]
fn of_another_version_nothing_else_is_said() {
    let found = parse("version = 2\n[[what]]\nis = 'this'").unwrap_err();
    let expected = Diagnostic::error("profile version 2 is not supported")
        .because("this tracer reads version 1")
        .at(SourceRef::new("a.toml", "version = 2\n[[what]]\nis = 'this'", 10..11));
    assert_eq!(found, expected.into());
}

#[test]
fn several_errors_of_syntax_are_reported_and_nothing_else() {
    let found = parse("version = \nname = \"a\nunknown = 1\nunknown = 2\n").unwrap_err();
    assert!(found.len() >= 2, "{found}");
    assert!(found.iter().all(|d| d.reason.as_deref() == Some("not TOML")), "{found}");
}

#[test]
fn an_option_outside_its_table_is_told_where_to_go() {
    let found = parse("version = 1\nname = 'a'\nprobes = []\ncollect = 1").unwrap_err();
    let facts: Vec<_> = found.iter().map(|d| (d.message.as_str(), d.hints[0].as_str())).collect();
    assert_eq!(
        facts,
        [
            ("`probes` does not stand in a table", "move it below `[collect]` or `[pcap]`"),
            ("`collect` is a table", "write `[collect]` on a line of its own, its keys below"),
        ]
    );
}

#[test]
fn a_wrong_type_says_what_is_taken() {
    for (body, message, hint) in [
        ("x_flag = 1", "`x_flag` takes true or false, not a whole number", None),
        ("x_time = 10", "`x_time` takes a time span, not a whole number", None),
        ("ring_size = -1", "`ring_size` takes a number of bytes, not a whole number", None),
        ("ring_size = 1.5", "`ring_size` takes a number of bytes, not a fraction", None),
        ("stop_after = '1'", "`stop_after` takes a whole number, not a string", None),
        ("stop_after = 99999999999999999999", "99999999999999999999 is out of range", None),
        ("attach = ['auto']", "`attach` takes a word, not a list", None),
        ("probes = { a = 1 }", "`probes` takes a list of probes, not a table", None),
        (
            "collectors = 'nft, skb'",
            "`collectors` takes a list of words, not a string",
            Some("write `collectors = [\"nft\", \"skb\"]`"),
        ),
        (
            "nft_verdicts = []",
            "`nft_verdicts` selects nothing",
            Some("leave the key out to select by nothing"),
        ),
    ] {
        let found = only(body);
        assert_eq!(found.message, message);
        assert_eq!(found.hints.first().map(String::as_str), hint, "{body}");
    }
}

#[test]
fn spans_hold_in_every_kind_of_string() {
    for (string, at) in [
        ("'k:f/stak'", "stak"),
        ("\"k:f/stak\"", "stak"),
        ("'''\nk:f/stak'''", "stak"),
        ("\"\"\"k:f/stak\"\"\"", "stak"),
        // With an escape, bytes of value and text differ, and the whole string is meant.
        ("\"k:f\\u002fstak\"", "\"k:f\\u002fstak\""),
    ] {
        let found = only(&format!("probes = [{string}]"));
        assert_eq!(found.source.unwrap().fragment(), at);
    }
}

#[test]
fn windows_line_ends_and_multi_byte_text_keep_the_place() {
    let text = "version = 1\r\nname = \"ü\"\r\n# ä\r\n[collect]\r\nwhat = 1\r\n";
    assert!(parse(text).unwrap_err().to_string().contains("a.toml:5:1"));
}

#[test]
fn extends_and_when_stand_at_the_top() {
    let profile =
        parse("version = 1\nname = 'a'\nextends = 'base'\nwhen = \"kernel >= 5.17 and symbol f\"").unwrap();
    let extends: Vec<_> = profile.extends.iter().map(|name| name.source.fragment()).collect();
    assert_eq!(extends, ["base"]);
    assert_eq!(profile.when.unwrap().value.to_string(), "kernel >= 5.17 and symbol f");
    let profile = parse("version = 1\nname = 'a'\nextends = ['b', './c.toml']").unwrap();
    let extends: Vec<_> = profile.extends.iter().map(|name| name.value.as_str()).collect();
    assert_eq!(extends, ["b", "./c.toml"]);

    let text =
        "version = 1\nname = 'a'\nextends = ['b', 1, '']\nwhen = 'kernel => 5'\n[collect]\nwhen = 'symbol f'";
    let short = found(parse(text));
    let short: Vec<_> = short.iter().map(|(message, at)| (message.as_str(), at.as_str())).collect();
    assert_eq!(
        short,
        [
            ("`extends` takes a text, not a whole number", "1"),
            ("`extends` is empty", "''"),
            ("unexpected `=` in a condition", "="),
            ("`when` does not stand in `[collect]`", "when"),
        ]
    );
}

#[test]
fn the_command_lines_keys_are_refused_in_every_table() {
    for (table, key) in [("pcap", "out"), ("print", "profile"), ("stats", "plugin"), ("collect", "file")] {
        let found = found(parse(&format!("version = 1\nname = 'a'\n[{table}]\n{key} = 'x'")));
        assert_eq!(found, [(format!("`{key}` cannot be given by a profile"), key.to_owned())]);
    }
}
