//! From text to a probe. The grammar (`probe.pest`) settles which characters may stand where; the
//! words are judged here, so that a wrong one is named, located, and answered with a suggestion.

use std::ops::Range;
use std::sync::Arc;

use pest::Parser as _;
use pest::error::InputLocation;
use pest::iterators::Pair;

use super::{Probe, ProbeKind, Target};
use crate::diagnostic::{Diagnostic, Diagnostics, SourceRef};

/// What is shown to somebody whose text is no probe at all.
const FORM: &str = "a probe is [TYPE:]TARGET[/OPTION...], for example `kprobe:__nft_trace_packet/stack`";

const OPTIONS: [&str; 2] = ["stack", "optional"];

/// Reads `[TYPE:]TARGET[/OPTION...]`.
///
/// Without a type, a target with one `:` is a tracepoint, and one without is a function's entry.
///
/// # Errors
/// All that is wrong with the text. Spans are in `text`; [`Diagnostics::rebase`] moves them to where
/// the text stands.
pub fn parse(text: &str) -> Result<Probe, Diagnostics> {
    let reader = Reader { text: text.into() };
    match Grammar::parse(Rule::probe, text) {
        Ok(mut pairs) => reader.probe(pairs.next().into_iter().flat_map(Pair::into_inner)),
        Err(error) => Err(reader.unreadable(&error.location).into()),
    }
}

#[derive(pest_derive::Parser)]
#[grammar = "probe/probe.pest"]
struct Grammar;

struct Reader {
    text: Arc<str>,
}

impl Reader {
    fn probe<'i>(&self, pairs: impl Iterator<Item = Pair<'i, Rule>>) -> Result<Probe, Diagnostics> {
        let (mut parts, mut words) = (Vec::new(), Vec::new());
        for pair in pairs {
            match pair.as_rule() {
                Rule::part => parts.push(pair.as_span()),
                Rule::word => words.push(pair.as_span()),
                Rule::probe | Rule::EOI => {}
            }
        }
        let mut found = Diagnostics::new();
        let place = found.take(self.place(&parts));
        let options = found.take(self.options(&words));
        match (place, options) {
            (Some((kind, target)), Some((stack, optional))) => Ok(Probe { kind, target, stack, optional }),
            _ => Err(found),
        }
    }

    fn place(&self, parts: &[pest::Span<'_>]) -> Result<(ProbeKind, Target), Diagnostics> {
        let first = parts.first().map_or("", pest::Span::as_str);
        let (kind, target) = match (ProbeKind::from_word(first), parts.len()) {
            (Some(kind), 2..) => (kind, &parts[1..]),
            (_, 0 | 1) => (ProbeKind::Kprobe, parts),
            (None, 2) => (ProbeKind::RawTracepoint, parts),
            (None, _) => {
                let kinds = ProbeKind::ALL.map(ProbeKind::name);
                return Err(Diagnostic::unknown("probe type", first, kinds)
                    .at(self.at(0..first.len()))
                    .into());
            }
        };
        let span = match (target.first(), target.last()) {
            (Some(first), Some(last)) => first.start()..last.end(),
            _ => 0..0,
        };
        let text = &self.text[span.clone()];
        match (kind, target.len()) {
            (ProbeKind::RawTracepoint, 2) => {}
            (ProbeKind::RawTracepoint, _) => {
                return Err(Diagnostic::error(format!("`{text}` is not a tracepoint"))
                    .at(self.at(span))
                    .because("a tracepoint is GROUP:NAME")
                    .hint("for example `tp:skb:kfree_skb`")
                    .into());
            }
            (_, 1) => {}
            (kind, _) => {
                return Err(Diagnostic::error(format!("`{text}` is not a function"))
                    .at(self.at(span))
                    .because(format!("a {}'s target is one symbol", kind.name()))
                    .hint(format!("a tracepoint is `tp:{text}`"))
                    .into());
            }
        }
        let target = if text.contains('*') {
            Target::Pattern(text.to_owned())
        } else {
            Target::Exact(text.to_owned())
        };
        Ok((kind, target))
    }

    fn options(&self, words: &[pest::Span<'_>]) -> Result<(bool, bool), Diagnostics> {
        let (mut stack, mut optional) = (false, false);
        let mut found = Diagnostics::new();
        for word in words {
            let span = self.at(word.start()..word.end());
            let option = match word.as_str() {
                "stack" => &mut stack,
                "optional" => &mut optional,
                other => {
                    found.push(Diagnostic::unknown("probe option", other, OPTIONS).at(span));
                    continue;
                }
            };
            if *option {
                let message = format!("probe option `{}` is given twice", word.as_str());
                let again = Diagnostic::error(message).at(span);
                found.push(again.hint("leave one of them out"));
            }
            *option = true;
        }
        found.or_value((stack, optional))
    }

    /// The text has a character where the grammar allows none, or ends too early.
    fn unreadable(&self, location: &InputLocation) -> Diagnostic {
        let (InputLocation::Pos(at) | InputLocation::Span((at, _))) = *location;
        let (before, rest) = self.text.split_at(at);
        let in_options = before.contains('/');
        let wanted = if in_options { "an option" } else { "a target" };
        let Some(next) = rest.chars().next() else {
            return Diagnostic::error("the probe is not complete")
                .at(self.at(at..at))
                .because(format!("{wanted} is missing here"))
                .hint(FORM);
        };
        let reason = if in_options {
            format!("an option is one of: {}", OPTIONS.join(", "))
        } else {
            "a target has letters, digits, `_`, `.`, `$` and the wildcard `*`".to_owned()
        };
        Diagnostic::error(format!("unexpected `{next}` in a probe"))
            .at(self.at(at..at + next.len_utf8()))
            .because(reason)
            .hint(self.meant(next).unwrap_or_else(|| FORM.to_owned()))
    }

    /// What somebody who wrote `next` in a probe probably wanted.
    fn meant(&self, next: char) -> Option<String> {
        match next {
            '-' if !self.text.contains([':', '/']) => {
                Some(format!("is it a profile? `--profile {}`", self.text))
            }
            ',' => Some("give each probe by itself".to_owned()),
            '+' => Some("a function is probed at its entry or return; offsets are not taken".into()),
            _ => None,
        }
    }

    fn at(&self, span: Range<usize>) -> SourceRef {
        SourceRef::new("probe", self.text.clone(), span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(kind: ProbeKind, target: Target, stack: bool, optional: bool) -> Probe {
        Probe { kind, target, stack, optional }
    }

    fn exact(text: &str) -> Target {
        Target::Exact(text.to_owned())
    }

    /// Message, span, reason and hints.
    type Facts = (String, Range<usize>, Option<String>, Vec<String>);

    fn facts(text: &str) -> Vec<Facts> {
        let found = parse(text).unwrap_err();
        let facts = found.into_iter().map(|d| (d.message, d.source.unwrap().span, d.reason, d.hints));
        facts.collect()
    }

    #[test]
    fn reads_every_type_and_option() {
        use ProbeKind::*;
        for (text, expected) in [
            ("kprobe:__nft_trace_packet/stack", probe(Kprobe, exact("__nft_trace_packet"), true, false)),
            ("k:f", probe(Kprobe, exact("f"), false, false)),
            ("kretprobe:f", probe(Kretprobe, exact("f"), false, false)),
            ("kr:f", probe(Kretprobe, exact("f"), false, false)),
            ("raw_tracepoint:g:n", probe(RawTracepoint, exact("g:n"), false, false)),
            ("tp:g:n", probe(RawTracepoint, exact("g:n"), false, false)),
            ("fentry:f", probe(Fentry, exact("f"), false, false)),
            ("fe:f/optional", probe(Fentry, exact("f"), false, true)),
            ("fexit:f", probe(Fexit, exact("f"), false, false)),
            ("fx:f/optional/stack", probe(Fexit, exact("f"), true, true)),
            ("f", probe(Kprobe, exact("f"), false, false)),
            ("k", probe(Kprobe, exact("k"), false, false)),
            ("g:n", probe(RawTracepoint, exact("g:n"), false, false)),
            ("foo.isra.0$x", probe(Kprobe, exact("foo.isra.0$x"), false, false)),
            ("tcp_*", probe(Kprobe, Target::Pattern("tcp_*".into()), false, false)),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn wrong_options_are_all_reported() {
        assert_eq!(
            facts("kprobe:f/stak/stack/stack"),
            [
                (
                    "unknown probe option `stak`".into(),
                    9..13,
                    None,
                    vec!["did you mean `stack`?".into(), "known: stack, optional".into()]
                ),
                (
                    "probe option `stack` is given twice".into(),
                    20..25,
                    None,
                    vec!["leave one of them out".into()]
                ),
            ]
        );
    }

    #[test]
    fn a_wrong_place_and_a_wrong_option_are_both_reported() {
        let messages: Vec<_> = facts("kporbe:a:b/x").into_iter().map(|f| (f.0, f.1)).collect();
        assert_eq!(
            messages,
            [("unknown probe type `kporbe`".into(), 0..6), ("unknown probe option `x`".into(), 11..12),]
        );
    }

    #[test]
    fn the_number_of_parts_follows_from_the_type() {
        assert_eq!(facts("tp:kfree_skb")[0].0, "`kfree_skb` is not a tracepoint");
        assert_eq!(facts("tp:kfree_skb")[0].1, 3..12);
        let (message, span, reason, hints) = facts("kprobe:skb:kfree_skb").remove(0);
        assert_eq!(message, "`skb:kfree_skb` is not a function");
        assert_eq!(span, 7..20);
        assert_eq!(reason.as_deref(), Some("a kprobe's target is one symbol"));
        assert_eq!(hints, ["a tracepoint is `tp:skb:kfree_skb`"]);
    }

    #[test]
    fn an_incomplete_probe_points_at_its_end() {
        for (text, at, reason) in [
            ("", 0, "a target is missing here"),
            ("kprobe:", 7, "a target is missing here"),
            ("kprobe:f/", 9, "an option is missing here"),
        ] {
            let (message, span, why, _) = facts(text).remove(0);
            assert_eq!(message, "the probe is not complete", "{text}");
            assert_eq!(span, at..at, "{text}");
            assert_eq!(why.as_deref(), Some(reason), "{text}");
        }
    }

    #[test]
    fn a_stray_character_is_answered_with_what_was_meant() {
        for (text, message, span, hint) in [
            ("nft-dropmon", "unexpected `-` in a probe", 3..4, "is it a profile? `--profile nft-dropmon`"),
            ("f,g", "unexpected `,` in a probe", 1..2, "give each probe by itself"),
            (
                "kprobe:f+0x10",
                "unexpected `+` in a probe",
                8..9,
                "a function is probed at its entry or return; offsets are not taken",
            ),
            ("kprobe: f", "unexpected ` ` in a probe", 7..8, FORM),
            ("f/stack=2", "unexpected `=` in a probe", 7..8, FORM),
            ("kprobe:ü", "unexpected `ü` in a probe", 7..9, FORM),
        ] {
            let (found, at, _, hints) = facts(text).remove(0);
            assert_eq!((found.as_str(), at), (message, span), "{text}");
            assert_eq!(hints, [hint], "{text}");
        }
    }

    #[test]
    fn spans_move_to_where_the_text_stands() {
        let outer = "probes = [\"k:f/stak\"]";
        let found = parse("k:f/stak").unwrap_err();
        let moved = found.clone().rebase(&SourceRef::new("a.toml", outer, 11..19));
        let source = moved.iter().next().unwrap().source.clone().unwrap();
        assert_eq!((source.fragment(), source.name.as_str()), ("stak", "a.toml"));

        // Spelled with an escape the bytes do not match, and the whole string is meant.
        let escaped = "probes = [\"k:f\\u002fstak\"]";
        let moved = found.rebase(&SourceRef::new("a.toml", escaped, 11..24));
        let source = moved.iter().next().unwrap().source.clone().unwrap();
        assert_eq!(source.fragment(), "k:f\\u002fstak");
    }

    #[test]
    fn is_rendered_with_a_caret() {
        assert_eq!(
            parse("kprobe:__nft_trace_packet/stak").unwrap_err().to_string(),
            "\
error: unknown probe option `stak`
 --> probe:1:27
  |
1 | kprobe:__nft_trace_packet/stak
  |                           ^^^^
  |
  = help: did you mean `stack`?
  = help: known: stack, optional"
        );
    }
}
