//! Probes written as tables: what they come to, and what is wrong with them.

use super::*;
use crate::diagnostic::{Diagnostic, SourceRef};
use crate::option::OptionTable;
use crate::profile::Profile;

/// The probes of a table of `command` with this list.
fn probes(command: SubCommand, list: &str) -> Result<Vec<ProbeSpec>, Diagnostics> {
    let text = format!("version = 1\nname = 'a'\n[{}]\nprobes = {list}", command.name());
    let profile = Profile::parse("a.toml", &text, &OptionTable::new([]).unwrap())?;
    Ok(profile.settings(command).probe_specs("probe").to_vec())
}

fn collect(list: &str) -> Result<Vec<ProbeSpec>, Diagnostics> {
    probes(SubCommand::Collect, list)
}

/// Message, the text at the caret, reason and hints of each finding.
fn facts(result: Result<Vec<ProbeSpec>, Diagnostics>) -> Vec<(String, String, String, Vec<String>)> {
    let found = result.unwrap_err().into_iter();
    found
        .map(|d| {
            let at = d.source.unwrap().fragment().to_owned();
            (d.message, at, d.reason.unwrap_or_default(), d.hints)
        })
        .collect()
}

#[test]
fn a_table_says_alternatives_filter_condition_and_whether_it_may_be_missing() {
    let specs = collect(
        "['k:f/stack', { any = ['k:sk_skb_reason_drop/stack', 'k:kfree_skb'], filter = 'nft.verdict == drop', \
         when = 'kernel >= 5.17', optional = true }, { probe = 'skb:kfree_skb' }]",
    )
    .unwrap();
    let texts: Vec<_> = specs.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "kprobe:f/stack",
            "{ any = ['kprobe:sk_skb_reason_drop/stack', 'kprobe:kfree_skb'], \
             filter = 'nft.verdict == drop', when = 'kernel >= 5.17', optional = true }",
            "raw_tracepoint:skb:kfree_skb",
        ]
    );
    assert!(specs[0].is_plain() && specs[2].is_plain() && !specs[1].is_plain());
    // What it is written as reads as the same.
    assert_eq!(collect(&format!("[{}]", texts[1])).unwrap()[0].to_string(), texts[1]);

    let table = &specs[1];
    assert!(table.optional && table.alternatives.iter().all(|probe| probe.value.optional));
    assert_eq!(table.when.as_ref().unwrap().source.fragment(), "kernel >= 5.17");
    assert_eq!(table.filter[0].source.fragment(), "nft.verdict == drop");
    assert_eq!(table.filter[0].source.name, "a.toml");
    assert_eq!(table.alternatives[1].source.fragment(), "k:kfree_skb");
}

#[test]
fn an_array_of_tables_is_a_list_of_probes() {
    let text = "version = 1\nname = 'a'\n[collect]\n[[collect.probes]]\nprobe = 'k:f/optional'\n";
    let profile = Profile::parse("a.toml", text, &OptionTable::new([]).unwrap()).unwrap();
    let settings = profile.settings(SubCommand::Collect);
    assert_eq!(settings.probe_specs("probe")[0].to_string(), "kprobe:f/optional");
    assert!(settings.probe_specs("probe")[0].optional);
}

#[test]
fn one_place_under_different_conditions_stays_two_probes() {
    let specs = collect(
        "['k:f/stack', 'k:f/optional', { probe = 'k:f', filter = 'a.b == 1' }, \
         { probe = 'k:f/stack', filter = 'a.b == 1' }, { probe = 'k:f', when = 'symbol f' }]",
    )
    .unwrap();
    let texts: Vec<_> = specs.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "kprobe:f/stack",
            "{ probe = 'kprobe:f/stack', filter = 'a.b == 1' }",
            "{ probe = 'kprobe:f', when = 'symbol f' }",
        ]
    );
}

#[test]
fn all_mistakes_point_into_their_strings() {
    let found = facts(collect(
        "[{ any = ['k:f/stak', 'k:a b', 1], filter = 'a.b = 1', when = 'kernal > 5', optional = 'yes' }]",
    ));
    let short: Vec<_> = found.iter().map(|(message, at, ..)| (message.as_str(), at.as_str())).collect();
    assert_eq!(
        short,
        [
            ("unknown probe option `stak`", "stak"),
            ("unexpected ` ` in a probe", " "),
            ("`any` takes a list of probes, each a string, not a whole number", "1"),
            ("unexpected `=` in a filter", "="),
            ("unknown condition `kernal`", "kernal"),
            ("`optional` takes true or false, not a string", "'yes'"),
        ]
    );
}

#[test]
fn each_mistake_says_why_and_what_to_do() {
    let beside = "write `optional = true` beside `any` if all of them may be missing";
    for (list, message, at, reason, hint) in [
        (
            "[{ optional = true }]",
            "a probe's table without `probe` or `any`",
            "{ optional = true }",
            "one of them says where to trace",
            FORM,
        ),
        (
            "[{ probe = 'a', any = ['b'] }]",
            "`probe` and `any` in one table",
            "{ probe = 'a', any = ['b'] }",
            "`probe` is one place, `any` the first of several that exists",
            "leave one of them out",
        ),
        ("[{ any = [] }]", "`any` is empty", "[]", "it lists places to trace, the best first", FORM),
        (
            "[{ any = ['k:a', 'a/stack'] }]",
            "`kprobe:a/stack` is listed twice",
            "a/stack",
            "it is the same place",
            "leave one of them out",
        ),
        (
            "[{ any = ['a', 'b/optional'] }]",
            "one of several places cannot be optional",
            "b/optional",
            "the next one is taken where it is missing",
            beside,
        ),
    ] {
        let expected = (message.to_owned(), at.to_owned(), reason.to_owned(), vec![hint.to_owned()]);
        assert_eq!(facts(collect(list)), [expected], "{list}");
    }
    let (message, at, _, hints) = facts(collect("[{ probe = 'a', filer = 'x' }]")).remove(0);
    assert_eq!((message.as_str(), at.as_str()), ("unknown key `filer` in a probe's table", "filer"));
    assert_eq!(hints[0], "did you mean `filter`?");
}

#[test]
fn a_stored_trace_has_no_conditions_to_ask() {
    let specs = probes(SubCommand::Pcap, "[{ any = ['k:a', 'k:b'], optional = true }]").unwrap();
    assert_eq!(specs[0].alternatives.len(), 2);
    let text = "version = 1\nname = 'a'\n[pcap]\nprobes = [{ probe = 'a', when = 'symbol a' }]";
    let at = text.find("when").unwrap();
    let expected = Diagnostic::error("a probe of `[pcap]` has no `when`")
        .because("it is about events as they are collected")
        .hint("leave it out, or move it below `[collect]`")
        .at(SourceRef::new("a.toml", text, at..at + 4));
    let list = text.split_once("probes = ").unwrap().1;
    assert_eq!(probes(SubCommand::Pcap, list).unwrap_err(), expected.into());
}
