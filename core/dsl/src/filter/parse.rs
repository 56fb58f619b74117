//! From text to conditions. So far a filter compares fields of sections and joins with `and`; what else
//! somebody may have written is answered by name.

use std::ops::Range;
use std::sync::Arc;

use pest::Parser as _;
use pest::error::InputLocation;
use pest::iterators::Pair;

use super::{Expr, FieldPath, Value};
use crate::diagnostic::{Diagnostic, Diagnostics, SourceRef};

/// What is shown to somebody whose text is no filter at all.
const FORM: &str = "a filter is `SECTION.FIELD == VALUE` or `SECTION.FIELD in {VALUE, VALUE}`, joined by `and`; for example `nft.verdict in {drop, queue}`";

/// Reads conditions that must all hold.
///
/// # Errors
/// All that is wrong with the text. Spans are in `text`; [`Diagnostics::rebase`] moves them to where
/// the text stands.
pub fn parse(text: &str) -> Result<Vec<Expr>, Diagnostics> {
    let reader = Reader { text: text.into() };
    match Grammar::parse(Rule::filter, text) {
        Ok(mut pairs) => reader.filter(pairs.next().into_iter().flat_map(Pair::into_inner)),
        Err(error) => Err(reader.unreadable(&error.location).into()),
    }
}

#[derive(pest_derive::Parser)]
#[grammar = "filter/filter.pest"]
struct Grammar;

struct Reader {
    text: Arc<str>,
}

impl Reader {
    fn filter<'i>(&self, pairs: impl Iterator<Item = Pair<'i, Rule>>) -> Result<Vec<Expr>, Diagnostics> {
        let mut found = Diagnostics::new();
        let comparisons = pairs.filter(|pair| pair.as_rule() == Rule::comparison);
        let exprs = comparisons.filter_map(|pair| found.take(self.comparison(pair))).collect();
        found.or_value(exprs)
    }

    fn comparison(&self, pair: Pair<'_, Rule>) -> Result<Expr, Diagnostics> {
        // The grammar's span takes in the white space behind.
        let (start, end) = (pair.as_span().start(), pair.as_span().end());
        let span = start..start + self.text[start..end].trim_end().len();
        let mut found = Diagnostics::new();
        let (mut field, mut values) = (None, Vec::new());
        for inner in pair.into_inner() {
            match inner.as_rule() {
                Rule::field => {
                    let at = inner.as_span();
                    let read = inner
                        .as_str()
                        .parse::<FieldPath>()
                        .map_err(|error| Diagnostics::from(self.not_a_field(&error.0, at.start()..at.end())));
                    field = found.take(read);
                }
                Rule::value => values.extend(found.take(self.value(inner))),
                _ => {}
            }
        }
        match field {
            Some(field) => found.or_value(Expr::In { field, values, span: Some(self.at(span)) }),
            None => Err(found),
        }
    }

    fn value(&self, pair: Pair<'_, Rule>) -> Result<Value, Diagnostics> {
        let Some(inner) = pair.into_inner().next() else { return Ok(Value::Name(String::new())) };
        let (span, text) = (inner.as_span(), inner.as_str());
        match inner.as_rule() {
            // Quotes say that it is a name, whatever it looks like.
            Rule::quoted => Ok(Value::Name(text.trim_matches('"').to_owned())),
            Rule::number => match Value::from(text) {
                number @ Value::Number(_) => Ok(number),
                Value::Name(_) => {
                    let found = Diagnostic::error(format!("`{text}` is not a number"))
                        .at(self.at(span.start()..span.end()))
                        .because("a number is decimal or begins with 0x, and fits 64 bits")
                        .hint(format!("a name that begins with a digit is quoted: `\"{text}\"`"));
                    Err(found.into())
                }
            },
            _ => Ok(Value::Name(text.to_owned())),
        }
    }

    fn not_a_field(&self, word: &str, span: Range<usize>) -> Diagnostic {
        let found = Diagnostic::error(format!("`{word}` is not a field")).at(self.at(span));
        let found = found.because("a field is SECTION.FIELD");
        match word.contains('-') {
            true => found.hint(format!("sections are spelled with `_`: `{}`", word.replace('-', "_"))),
            false => found.hint("for example `nft.verdict`"),
        }
    }

    /// The text has a character where the grammar allows none, or ends too early.
    fn unreadable(&self, location: &InputLocation) -> Diagnostic {
        let (InputLocation::Pos(at) | InputLocation::Span((at, _))) = *location;
        let rest = &self.text[at..];
        let Some(next) = rest.chars().next() else {
            return Diagnostic::error("the filter is not complete")
                .at(self.at(at..at))
                .because("something is missing here")
                .hint(FORM);
        };
        let word = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)));
        let end = at + word.unwrap_or(rest.len()).max(next.len_utf8());
        let word = &self.text[at..end];
        let found = Diagnostic::error(format!("unexpected `{word}` in a filter")).at(self.at(at..end));
        match (next, word) {
            ('!' | '<' | '>' | '~' | '&' | '|', _) | (_, "or" | "not") => found
                .because("this version compares with `==` and `in`, and joins with `and`")
                .hint("several values of a field: `nft.verdict in {drop, queue}`"),
            ('=', _) => found.because("a field is compared with `==`").hint(FORM),
            _ => found.because("fields are compared with values here").hint(FORM),
        }
    }

    fn at(&self, span: Range<usize>) -> SourceRef {
        SourceRef::new("filter", self.text.clone(), span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Vec<String> {
        let exprs = parse(text).unwrap_or_else(|found| panic!("{found}"));
        exprs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn comparisons_are_joined_by_and() {
        assert_eq!(written("nft.verdict == drop"), ["nft.verdict in {drop}"]);
        assert_eq!(
            written("nft.verdict in { drop,accept } and skb.len==0x40 and dev.name == \"in\""),
            ["nft.verdict in {drop, accept}", "skb.len in {64}", "dev.name in {in}"]
        );
        assert_eq!(written("a.b == -1"), ["a.b in {-1}"]);
        assert_eq!(written("dev.name == veth-1"), ["dev.name in {veth-1}"]);
        let Expr::In { values, .. } = &parse("dev.name == \"10\"").unwrap()[0];
        assert_eq!(values, &[Value::Name("10".into())]);
        for text in ["a.b in {\"10\", \"x y\", 10}", "a.b in {and, -7}"] {
            assert_eq!(written(text), [text]);
        }
        assert_eq!(written("android.in == and_more"), ["android.in in {and_more}"]);
    }

    #[test]
    fn each_condition_knows_its_place() {
        let text = "nft.verdict == drop  and skb.len in {1, 2}";
        let places: Vec<_> = parse(text)
            .unwrap()
            .into_iter()
            .map(|Expr::In { span, .. }| span.unwrap().fragment().to_owned())
            .collect();
        assert_eq!(places, ["nft.verdict == drop", "skb.len in {1, 2}"]);
    }

    #[test]
    fn each_mistake_says_what_where_why_and_what_to_do() {
        let compares = "this version compares with `==` and `in`, and joins with `and`";
        let several = "several values of a field: `nft.verdict in {drop, queue}`";
        let values = "fields are compared with values here";
        for (text, message, span, reason, hint) in [
            ("a.b == 1 or c.d == 2", "unexpected `or` in a filter", 9..11, compares, several),
            ("a.b != 1", "unexpected `!` in a filter", 4..5, compares, several),
            ("a.b = 1", "unexpected `=` in a filter", 4..5, "a field is compared with `==`", FORM),
            ("tcp port 80", "unexpected `port` in a filter", 4..8, values, FORM),
            ("a.b in {}", "unexpected `}` in a filter", 8..9, values, FORM),
            ("a.b == ü", "unexpected `ü` in a filter", 7..9, values, FORM),
            ("", "the filter is not complete", 0..0, "something is missing here", FORM),
            ("a.b == 1 and", "the filter is not complete", 12..12, "something is missing here", FORM),
        ] {
            let found = parse(text).unwrap_err();
            let expected = Diagnostic::error(message)
                .at(SourceRef::new("filter", text, span))
                .because(reason)
                .hint(hint);
            assert_eq!(found, expected.into(), "{text}");
        }
    }

    #[test]
    fn several_mistakes_are_found() {
        let found = parse("verdict == 1 and skb-drop.reason == 2 and x.y in {1, 0xzz, 99999999999999999999}");
        let found = found.unwrap_err();
        let facts: Vec<_> = found
            .iter()
            .map(|d| (d.message.as_str(), d.source.as_ref().unwrap().fragment(), d.hints[0].as_str()))
            .collect();
        assert_eq!(
            facts,
            [
                ("`verdict` is not a field", "verdict", "for example `nft.verdict`"),
                (
                    "`skb-drop.reason` is not a field",
                    "skb-drop.reason",
                    "sections are spelled with `_`: `skb_drop.reason`"
                ),
                ("`0xzz` is not a number", "0xzz", "a name that begins with a digit is quoted: `\"0xzz\"`"),
                (
                    "`99999999999999999999` is not a number",
                    "99999999999999999999",
                    "a name that begins with a digit is quoted: `\"99999999999999999999\"`"
                ),
            ]
        );
    }
}
