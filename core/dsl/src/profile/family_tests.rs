//! Profiles that extend each other, kept in memory.

use std::collections::BTreeMap;

use super::*;
use crate::diagnostic::SourceRef;
use crate::option::Origin;

/// Profiles by name, each in a file of its own.
struct Shelf(BTreeMap<&'static str, String>);

impl Shelf {
    /// Of name and what follows below `version` and `name`.
    fn new(profiles: &[(&'static str, &str)]) -> Self {
        let text = |(name, body): &(&'static str, &str)| {
            (*name, format!("version = 1\nname = \"{name}\"\n{body}\n"))
        };
        Self(profiles.iter().map(text).collect())
    }
}

impl Library for Shelf {
    fn source(&self, name: &str, _: Option<&Source>) -> Result<Source, Diagnostics> {
        let unknown = || Diagnostics::from(Diagnostic::error(format!("unknown profile `{name}`")));
        let text = self.0.get(name).ok_or_else(unknown)?;
        let file = format!("{name}.toml");
        Ok(Source { path: Some(PathBuf::from(&file)), file, text: text.clone() })
    }
}

fn load(shelf: &Shelf, names: &[&str]) -> Result<Family, Diagnostics> {
    let name =
        |name: &&str| Located { value: (*name).to_owned(), source: SourceRef::command_line("profile", name) };
    let names: Vec<_> = names.iter().map(name).collect();
    Family::load(&names, shelf, &OptionTable::new([]).unwrap())
}

fn settings(shelf: &Shelf, names: &[&str]) -> Result<Settings, Diagnostics> {
    let family = load(shelf, names)?;
    let holds = |when: &When| when.to_string() == "symbol yes";
    let none = Settings::default;
    Ok(family.resolve(SubCommand::Collect, none(), none(), &holds)?.0)
}

fn words(settings: &Settings) -> Vec<&str> {
    settings.words("collectors").iter().map(|word| word.value.as_str()).collect()
}

#[test]
fn a_childs_settings_stand_over_its_parents() {
    let shelf = Shelf::new(&[
        ("base", "[collect]\ncollectors = ['skb', 'dev']\nrate = 1\nstop_after = 9"),
        ("child", "extends = 'base'\n[collect]\ncollectors = ['dev', 'nft']\nrate = 2"),
        ("grandchild", "extends = ['child']\n[collect]\nprobes = ['k:f']"),
    ]);
    let settings = settings(&shelf, &["grandchild"]).unwrap();
    assert_eq!(words(&settings), ["skb", "dev", "nft"]);
    assert_eq!((settings.integer("rate"), settings.integer("stop-after")), (Some(2), Some(9)));
    assert_eq!(settings.setting("rate").unwrap().origin, Origin::Profile("child".into()));
    assert_eq!(settings.probes("probe").len(), 1);
}

#[test]
fn the_command_line_stands_over_all() {
    let shelf = Shelf::new(&[("base", "[collect]\nrate = 1"), ("child", "extends = 'base'")]);
    let line = settings(&Shelf::new(&[("line", "[collect]\nrate = 7")]), &["line"]).unwrap();
    let family = load(&shelf, &["child"]).unwrap();
    let (settings, notes) =
        family.resolve(SubCommand::Collect, line, Settings::default(), &|_| true).unwrap();
    assert_eq!((settings.integer("rate"), notes), (Some(7), Vec::new()));
}

#[test]
fn unrelated_profiles_that_differ_are_an_error_and_related_ones_are_not() {
    let shelf = Shelf::new(&[
        ("base", "[collect]\nrate = 1"),
        ("left", "extends = 'base'\n[collect]\nrate = 2"),
        ("right", "extends = 'base'"),
        ("other", "[collect]\nrate = 3"),
        ("both", "extends = ['left', 'right']"),
        ("torn", "extends = ['left', 'other']"),
        ("decided", "extends = ['left', 'other']\n[collect]\nrate = 4"),
    ]);
    // The base is read once, and `left` is over it whichever way it is reached.
    for names in [&["both"][..], &["right", "left"], &["left", "base"], &["base", "left"]] {
        assert_eq!(settings(&shelf, names).unwrap().integer("rate"), Some(2), "{names:?}");
    }
    assert_eq!(settings(&shelf, &["decided"]).unwrap().integer("rate"), Some(4));
    for names in [&["torn"][..], &["left", "other"]] {
        let found = settings(&shelf, names).unwrap_err();
        let found = found.iter().next().unwrap();
        assert_eq!(found.message, "profile `left` and profile `other` differ on `rate`");
        assert_eq!(found.source.as_ref().unwrap().name, "other.toml");
    }
}

#[test]
fn what_does_not_apply_contributes_nothing_and_is_noted() {
    let shelf = Shelf::new(&[
        ("base", "[collect]\ncollectors = ['skb']"),
        ("old", "when = 'symbol no'\nextends = 'base'\n[collect]\ncollectors = ['dev']"),
        ("new", "when = 'symbol yes'\n[collect]\ncollectors = ['ns']"),
        ("child", "extends = ['old', 'new']\n[collect]\ncollectors = ['nft']"),
    ]);
    assert_eq!(words(&settings(&shelf, &["child"]).unwrap()), ["ns", "nft"]);
    // What another profile brings stays.
    assert_eq!(words(&settings(&shelf, &["old", "base"]).unwrap()), ["skb"]);

    let family = load(&shelf, &["child"]).unwrap();
    let none = Settings::default;
    let (settings, notes) = family.resolve(SubCommand::Collect, none(), none(), &|_| false).unwrap();
    assert_eq!(words(&settings), ["nft"]);
    let texts: Vec<_> = notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "profile `new` is left out: on this machine `symbol yes` does not hold",
            "profile `old` is left out: on this machine `symbol no` does not hold"
        ]
    );
    assert_eq!(notes[1].when.source.fragment(), "symbol no");
}

#[test]
fn a_circle_is_shown_where_it_closes_with_all_who_are_in_it() {
    let shelf = Shelf::new(&[("a", "extends = 'b'"), ("b", "extends = ['c']"), ("c", "extends = 'a'")]);
    let found = load(&shelf, &["a"]).unwrap_err();
    let text = &shelf.0["c"];
    let at = text.rfind("'a'").unwrap() + 1;
    let expected = Diagnostic::error("profile `a` extends itself")
        .because("`a` extends `b`, which extends `c`, which extends `a`")
        .hint("take one of these `extends` away")
        .at(SourceRef::new("c.toml", text.as_str(), at..at + 1));
    assert_eq!(found, expected.into());
    let found = load(&Shelf::new(&[("a", "extends = 'a'")]), &["a"]).unwrap_err();
    assert_eq!(found.iter().next().unwrap().reason.as_deref(), Some("`a` extends `a`"));
}

#[test]
fn all_that_is_wrong_in_any_of_them_is_found_once() {
    let shelf = Shelf::new(&[
        ("a", "extends = ['broken', 'gone', 'broken']"),
        ("b", "extends = 'broken'"),
        ("broken", "what = 1"),
    ]);
    let found = load(&shelf, &["a", "b", "nothing"]).unwrap_err();
    let facts: Vec<_> = found
        .iter()
        .map(|d| (d.message.as_str(), d.source.as_ref().unwrap().name.as_str(), d.reason.as_deref()))
        .collect();
    assert_eq!(
        facts,
        [
            ("unknown key `what`", "broken.toml", None),
            ("unknown profile `gone`", "a.toml", Some("`a` extends `gone`")),
            ("unknown profile `nothing`", "command line", None),
        ]
    );
}

#[test]
fn descent_is_bounded() {
    struct Endless;
    impl Library for Endless {
        fn source(&self, name: &str, _: Option<&Source>) -> Result<Source, Diagnostics> {
            let text = format!("version = 1\nname = 'x'\nextends = '{name}x'");
            Ok(Source { file: name.into(), path: None, text })
        }
    }
    let names = [Located { value: "x".into(), source: SourceRef::command_line("profile", "x") }];
    let found = Family::load(&names, &Endless, &OptionTable::new([]).unwrap()).unwrap_err();
    assert_eq!(found.iter().next().unwrap().message, "more than 32 profiles extend each other");
    assert_eq!(found.len(), 1);
}

#[test]
fn a_profiles_filters_are_about_its_own_probes() {
    let shelf = Shelf::new(&[
        ("base", "[collect]\nprobes = ['k:f', { probe = 'k:g', filter = 'udp' }]\nfilters = ['tcp']"),
        ("child", "extends = 'base'\n[collect]\nfilters = ['port 80']"),
        ("other", "[collect]\nprobes = ['k:h', 'k:f']"),
    ]);
    let texts = |names: &[&str]| -> Vec<String> {
        let settings = settings(&shelf, names).unwrap();
        assert_eq!(settings.filters("filter"), [], "the command line's alone are left");
        settings.probe_specs("probe").iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        texts(&["base"]),
        ["{ probe = 'kprobe:f', filter = 'tcp' }", "{ probe = 'kprobe:g', filter = '(udp) and (tcp)' }"]
    );
    // What it inherits is its own, and what it is given beside that is not.
    assert_eq!(
        texts(&["child", "other"]),
        [
            "{ probe = 'kprobe:f', filter = '(tcp) and (port 80)' }",
            "{ probe = 'kprobe:g', filter = '(udp) and (tcp) and (port 80)' }",
            "kprobe:h",
            "kprobe:f",
        ]
    );
}
