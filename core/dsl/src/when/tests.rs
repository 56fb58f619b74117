//! Conditions as texts in, answers or diagnostics out.

use super::*;
use crate::diagnostic::{Diagnostic, SourceRef};

struct Machine((u32, u32, u32));

impl Host for Machine {
    fn kernel(&self) -> (u32, u32, u32) {
        self.0
    }

    fn has_symbol(&self, name: &str) -> bool {
        name == "kfree_skb_reason"
    }

    fn has_module(&self, name: &str) -> bool {
        name == "nf_tables"
    }
}

fn holds(text: &str, kernel: (u32, u32, u32)) -> bool {
    parse(text).unwrap_or_else(|found| panic!("{found}")).holds(&Machine(kernel))
}

#[test]
fn versions_are_compared_as_far_as_they_are_written() {
    for (text, yes, no) in [
        ("kernel >= 5.17", &[(5, 17, 0), (5, 17, 9), (6, 0, 0)][..], &[(5, 16, 99), (4, 19, 0)][..]),
        ("kernel < 6.4", &[(6, 3, 99), (5, 99, 0)], &[(6, 4, 0), (6, 4, 1), (7, 0, 0)]),
        ("kernel <= 6.4", &[(6, 4, 200)], &[(6, 5, 0)]),
        ("kernel > 6.4", &[(6, 5, 0)], &[(6, 4, 200)]),
        ("kernel == 6", &[(6, 0, 0), (6, 18, 3)], &[(5, 0, 0), (7, 0, 0)]),
        ("kernel != 6.1.95", &[(6, 1, 94), (6, 12, 95)], &[(6, 1, 95)]),
        ("kernel>=6.12", &[(6, 12, 0)], &[(6, 2, 0)]),
    ] {
        for &kernel in yes {
            assert!(holds(text, kernel), "{text} on {kernel:?}");
        }
        for &kernel in no {
            assert!(!holds(text, kernel), "{text} on {kernel:?}");
        }
    }
}

#[test]
fn conditions_are_joined() {
    let on = |text| holds(text, (6, 1, 0));
    assert!(on("symbol kfree_skb_reason"));
    assert!(!on("symbol kfree_skb"));
    assert!(on("module nf-tables") && on("module nf_tables"));
    assert!(!on("not module nf_tables"));
    assert!(on("not not module nf_tables"));
    assert!(on("kernel >= 6 and module nf_tables and not symbol nothing"));
    assert!(on("kernel >= 7 or (module nf_tables and kernel < 6.2)"));
    assert!(!on("not (kernel >= 6 or symbol nothing)"));
    // A symbol may be called like the beginning of a word of the language.
    assert!(!on("symbol and_more or symbol order"));
}

#[test]
fn the_canonical_spelling_parses_to_the_same_condition() {
    for (written, canonical) in [
        ("kernel>=5.17", "kernel >= 5.17"),
        ("((symbol a))", "symbol a"),
        ("not(symbol a or module b-c)and kernel<6", "not (symbol a or module b_c) and kernel < 6"),
        ("symbol a and (symbol b or symbol c)", "symbol a and (symbol b or symbol c)"),
        ("not not not symbol a", "not symbol a"),
    ] {
        let when = parse(written).unwrap();
        assert_eq!(when.to_string(), canonical);
        assert_eq!(parse(canonical).unwrap().to_string(), canonical);
    }
}

#[test]
fn every_part_knows_its_place() {
    let text = "kernel >= 6 and (symbol a or not module b)";
    let When::All(parts) = parse(text).unwrap() else { panic!("not joined by and") };
    let texts: Vec<_> = parts.iter().map(|part| &text[part.span()]).collect();
    assert_eq!(texts, ["kernel >= 6", "symbol a or not module b"]);
}

#[test]
fn a_wrong_word_gets_a_suggestion_and_all_are_found() {
    let text = "kernal >= 5 and symbol or module";
    let found = parse(text).unwrap_err();
    let facts: Vec<_> =
        found.iter().map(|d| (d.message.as_str(), d.source.as_ref().unwrap().span.clone())).collect();
    assert_eq!(
        facts,
        [
            ("unknown condition `kernal`", 0..6),
            ("`symbol` needs a name", 22..22),
            ("`module` needs a name", 32..32),
            ("`or` beside `and`", 23..25),
        ]
    );
    assert_eq!(found.iter().next().unwrap().hints[0], "did you mean `kernel`?");
}

#[test]
fn each_mistake_says_what_where_why_and_what_to_do() {
    let form = "for example `kernel >= 5.17`";
    for (text, message, span, reason, hint) in [
        ("kernel", "`kernel` needs a comparison", 6..6, "a comparison is missing here", form),
        ("kernel 5", "`kernel` needs a comparison", 7..7, "a comparison is missing here", form),
        ("kernel >=", "`kernel` needs a version", 9..9, "a version is missing here", form),
        (
            "kernel >= 5.x",
            "`5.x` is not a kernel version",
            10..13,
            "a version is one to three numbers, with dots between",
            form,
        ),
        ("symbol == a", "`symbol` is not compared", 7..9, "a symbol is there or not", "write `symbol NAME`"),
        (
            "kernel = 5",
            "unexpected `=` in a condition",
            7..8,
            "conditions are joined by `and` or `or`",
            "two versions are compared with `==`",
        ),
        (
            "symbol a && symbol b",
            "unexpected `&` in a condition",
            9..10,
            "conditions are joined by `and` or `or`",
            "write `and`",
        ),
    ] {
        let found = parse(text).unwrap_err();
        let expected =
            Diagnostic::error(message).at(SourceRef::new("when", text, span)).because(reason).hint(hint);
        assert_eq!(found, expected.into(), "{text}");
    }
    for text in ["", "   ", "symbol a and", "(symbol a", "not"] {
        let found = parse(text).unwrap_err();
        assert_eq!(found.iter().next().unwrap().message, "the condition is not complete", "{text}");
    }
    for text in ["symbol ü", "symbol a symbol b", "symbol a)", "and symbol a"] {
        let found = parse(text).unwrap_err();
        assert!(found.iter().next().unwrap().message.starts_with("unexpected `"), "{text}: {found}");
    }
    for version in ["kernel > 1.2.3.4", "kernel > 99999999999", "kernel > 5.", "kernel > .5"] {
        assert!(parse(version).is_err(), "{version}");
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |n: usize| format!("{}symbol a{}", "(".repeat(n), ")".repeat(n));
    assert!(parse(&nested(32)).is_ok());
    let found = parse(&nested(33)).unwrap_err();
    assert_eq!(found.iter().next().unwrap().source.as_ref().unwrap().span, 32..33);
    assert!(parse(&"(".repeat(1_000_000)).is_err());
    assert!(parse(&format!("{}symbol a", "not ".repeat(100_001))).is_ok());
}
