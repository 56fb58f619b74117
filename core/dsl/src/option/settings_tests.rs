//! The merge rule, with settings made by hand.

use super::*;

fn words(list: &[&str]) -> SettingValue {
    let located = |word: &&str| Located {
        value: (*word).to_owned(),
        source: SourceRef::new("test", *word, 0..word.len()),
    };
    SettingValue::Words(list.iter().map(located).collect())
}

fn settings(origin: &Origin, values: &[(&str, SettingValue)]) -> Settings {
    let setting = |value: &SettingValue| Setting {
        value: value.clone(),
        merge: match value {
            SettingValue::Words(_) => Merge::Adding,
            _ => Merge::Replacing,
        },
        origin: origin.clone(),
        source: None,
    };
    values.iter().map(|(name, value)| ((*name).to_owned(), setting(value))).collect()
}

fn profile(name: &str, values: &[(&str, SettingValue)]) -> Settings {
    settings(&Origin::Profile(name.into()), values)
}

#[test]
fn adding_options_are_united_in_order_and_replacing_ones_replaced() {
    let parent =
        profile("parent", &[("collectors", words(&["nft", "skb"])), ("ring-size", SettingValue::Size(1))]);
    let child =
        profile("child", &[("collectors", words(&["skb", "dev"])), ("ring-size", SettingValue::Size(2))]);
    let merged = child.over(parent);
    assert_eq!(merged.setting("collectors").unwrap().value, words(&["nft", "skb", "dev"]));
    assert_eq!(merged.size("ring-size"), Some(2));
    assert_eq!(merged.setting("ring-size").unwrap().origin, Origin::Profile("child".into()));
}

#[test]
fn the_command_line_wins_and_defaults_come_last() {
    let line = settings(&Origin::CommandLine, &[("ring-size", SettingValue::Size(3))]);
    let a = profile("a", &[("ring-size", SettingValue::Size(1))]);
    let b = profile("b", &[("ring-size", SettingValue::Size(2))]);
    let defaults = settings(
        &Origin::Default,
        &[("ring-size", SettingValue::Size(9)), ("attach", SettingValue::Choice("auto".into()))],
    );
    // The profiles differ, but the command line decides.
    let merged = Settings::resolve(line, [a, b], defaults).unwrap();
    assert_eq!(merged.size("ring-size"), Some(3));
    assert_eq!(merged.text("attach"), Some("auto"));
}

#[test]
fn two_profiles_that_differ_are_both_named() {
    let a = profile("a", &[("ring-size", SettingValue::Size(1 << 20))]);
    let same = profile("same", &[("ring-size", SettingValue::Size(1 << 20))]);
    let b = profile("b", &[("ring-size", SettingValue::Size(2 << 20))]);
    let none = Settings::default;
    let found = Settings::resolve(none(), [a, same, b], none()).unwrap_err();
    let expected = Diagnostic::error("profile `a` and profile `b` differ on `ring-size`")
        .because("2M here, 1M in profile `a`")
        .hint("decide it on the command line: `--ring-size`");
    assert_eq!(found, expected.into());
}

#[test]
fn probes_of_two_places_are_joined() {
    let of = |text: &str| {
        let source = SourceRef::new("test", text, 0..text.len());
        let value =
            SettingValue::Probes(vec![ProbeSpec::plain(Located { value: text.parse().unwrap(), source })]);
        let merge = Merge::Adding;
        let setting = Setting { value, merge, origin: Origin::CommandLine, source: None };
        Settings::from_iter([("probe".to_owned(), setting)])
    };
    let merged = of("k:f/stack").over(of("f")).over(of("g"));
    let probes: Vec<_> = merged.probes("probe").iter().map(|p| p.value.to_string()).collect();
    assert_eq!(probes, ["kprobe:g", "kprobe:f/stack"]);
}

#[test]
fn a_value_of_another_type_is_absent() {
    let line = settings(&Origin::CommandLine, &[("x", SettingValue::Integer(1))]);
    assert_eq!(line.integer("x"), Some(1));
    assert_eq!((line.text("x"), line.path("x"), line.size("x")), (None, None, None));
    assert_eq!((line.flag("x"), line.duration("x")), (false, None));
    assert!(line.words("x").is_empty() && line.probes("x").is_empty());
}
