//! Black-box tests of the command line: arguments in, settings, clap's errors or diagnostics out.

use clap::error::ErrorKind;

use super::*;
use crate::diagnostic::Diagnostic;

fn table() -> OptionTable {
    let verdicts = OptionDef::new(
        "nft-verdicts",
        "Only packets with one of these verdicts",
        ValueType::list_of(["accept", "drop"]),
    );
    OptionTable::new([verdicts.heading("nft").on([SubCommand::Collect])]).unwrap()
}

fn parse(line: &str) -> Result<ArgMatches, clap::Error> {
    table().command(&SubCommand::ALL).try_get_matches_from(line.split(' '))
}

fn settings(line: &str) -> Result<Settings, Diagnostics> {
    let matches = parse(line).unwrap();
    let (name, sub_matches) = matches.subcommand().unwrap();
    read(&table(), SubCommand::from_name(name).unwrap(), &matches, sub_matches)
}

fn words(settings: &Settings, name: &str) -> Vec<String> {
    settings.words(name).iter().map(|word| word.value.clone()).collect()
}

#[test]
fn clap_accepts_the_definitions() {
    table().command(&SubCommand::ALL).debug_assert();
}

#[test]
fn every_option_becomes_its_typed_setting() {
    let settings = settings(
        "tracer collect -c nft,skb --collectors dev -P k:f/stack --probe skb:kfree_skb --cmd ls \
         --stop-after 5 --allow-system-changes --ready-file /run/r --attach kprobe --ring-size 8M",
    )
    .unwrap();
    assert_eq!(words(&settings, "collectors"), ["nft", "skb", "dev"]);
    let probes: Vec<_> = settings.probes("probe").iter().map(|p| p.value.to_string()).collect();
    assert_eq!(probes, ["kprobe:f/stack", "raw_tracepoint:skb:kfree_skb"]);
    assert_eq!(settings.text("cmd"), Some("ls"));
    assert_eq!(settings.integer("stop-after"), Some(5));
    assert!(settings.flag("allow-system-changes"));
    assert_eq!(settings.path("ready-file"), Some("/run/r".as_ref()));
    assert_eq!(settings.text("attach"), Some("kprobe"));
    assert_eq!(settings.size("ring-size"), Some(8 << 20));
    assert!(settings.iter().all(|(_, setting)| setting.origin == Origin::CommandLine));
}

#[test]
fn what_is_not_given_is_not_set() {
    assert_eq!(settings("tracer collect"), Ok(Settings::default()));
}

#[test]
fn global_options_stand_on_both_sides() {
    let settings =
        settings("tracer -p a,b --profile-dir /x collect --profile c -p a --profile-dir /y").unwrap();
    assert_eq!(words(&settings, "profile"), ["a", "b", "c"]);
    assert_eq!(settings.paths("profile-dir"), [PathBuf::from("/x"), PathBuf::from("/y")]);
}

#[test]
fn an_option_alone_has_its_bare_value() {
    let given = settings("tracer collect -o --allow-system-changes").unwrap();
    assert_eq!(given.path("out"), Some("tracer.data".as_ref()));
    let given = settings("tracer collect -o x.pcapng").unwrap();
    assert_eq!(given.path("out"), Some("x.pcapng".as_ref()));
    assert_eq!(settings("tracer collect").unwrap().path("out"), None);
}

#[test]
fn wrong_values_are_all_diagnosed() {
    let found = settings("tracer collect -P k:f/stak --stop-after 0 --ring-size big").unwrap_err();
    let messages: Vec<_> = found.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "unknown probe option `stak`",
            "0 is out of range for `--stop-after`",
            "`--ring-size` takes a number of bytes, not `big`"
        ]
    );
    let expected = Diagnostic::error("0 is out of range for `--stop-after`")
        .at(SourceRef::command_line("stop-after", "0"))
        .because("at least 1");
    assert_eq!(found.iter().nth(1), Some(&expected));
}

#[test]
fn a_wrong_value_is_shown_with_its_option() {
    let found = settings("tracer collect -P kprobe:f/stak").unwrap_err();
    assert_eq!(
        found.to_string(),
        "\
error: unknown probe option `stak`
 --> command line:1:18
  |
1 | --probe kprobe:f/stak
  |                  ^^^^
  |
  = help: did you mean `stack`?
  = help: known: stack, optional"
    );
}

#[test]
fn an_unknown_option_gets_a_suggestion_and_points_at_help() {
    let error = parse("tracer collect --colectors nft").unwrap_err();
    assert_eq!((error.kind(), error.exit_code()), (ErrorKind::UnknownArgument, 2));
    let text = error.to_string();
    assert!(text.contains("'--colectors'"), "{text}");
    assert!(text.contains("a similar argument exists: '--collectors'"), "{text}");
    assert!(text.contains("try '--help'"), "{text}");
}

#[test]
fn a_word_out_of_a_set_lists_the_set() {
    let error = parse("tracer collect --nft-verdicts drop,dorp").unwrap_err();
    assert_eq!((error.kind(), error.exit_code()), (ErrorKind::InvalidValue, 2));
    let text = error.to_string();
    assert!(text.contains("[possible values: accept, drop]"), "{text}");
    assert!(text.contains("a similar value exists: 'drop'"), "{text}");
}

#[test]
fn a_replacing_option_is_given_once() {
    let error = parse("tracer collect --attach auto --attach kprobe").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ArgumentConflict);
}

#[test]
fn an_option_belongs_to_its_sub_command() {
    assert_eq!(parse("tracer pcap --cmd ls").unwrap_err().kind(), ErrorKind::UnknownArgument);
    assert_eq!(words(&settings("tracer pcap -p a").unwrap(), "profile"), ["a"]);
}

#[test]
fn sinks_are_wherever_events_are_printed() {
    for command in SubCommand::ALL {
        let has = [SubCommand::Collect, SubCommand::Print, SubCommand::Sort].contains(&command);
        assert_eq!(table().find(command, "sink").is_some(), has, "{command:?}");
    }
    let settings = settings("tracer print --sink to_otel,to_nats --sink to_otel --sink=x t").unwrap();
    assert_eq!(words(&settings, "sink"), ["to_otel", "to_nats", "x"]);
    assert_eq!(table().with_key("sinks").count(), 1);
}

#[test]
fn help_has_defaults_and_the_collectors_heading() {
    let mut command = table().command(&SubCommand::ALL);
    let help = command.find_subcommand_mut("collect").unwrap().render_long_help().to_string();
    assert!(help.contains("nft:\n      --nft-verdicts <LIST>"), "{help}");
    assert!(help.contains("instead of the best [default: auto]"), "{help}");
    assert!(help.contains("-P, --probe <PROBE>"), "{help}");
}

#[test]
#[cfg(unix)]
fn paths_need_not_be_utf8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let name = OsStr::from_bytes(b"/run/\xff");
    let line = ["tracer", "collect", "--ready-file"].map(OsStr::new);
    let matches = table().command(&SubCommand::ALL).get_matches_from(line.into_iter().chain([name]));
    let (_, sub_matches) = matches.subcommand().unwrap();
    let settings = read(&table(), SubCommand::Collect, &matches, sub_matches).unwrap();
    assert_eq!(settings.path("ready-file"), Some(name.as_ref()));
}
