//! What of a filter can be asked at a probe: fields of sections, compared with `==` and `in`, joined by `and`.

use super::read::Filter;
use super::tree::{Literal, LiteralKind, Node, NodeKind, Order};
use super::{Expr, FieldPath, Value};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Reads conditions that must all hold.
///
/// # Errors
/// All that is wrong with the text. Spans are in `text`; [`Diagnostics::rebase`] moves them to where
/// the text stands.
pub fn parse(text: &str) -> Result<Vec<Expr>, Diagnostics> {
    let filter: Filter = text.parse()?;
    let mut found = Diagnostics::new();
    let mut exprs = Vec::new();
    collect(&filter, &filter.root, &mut exprs, &mut found);
    found.or_value(exprs)
}

fn collect(filter: &Filter, node: &Node, exprs: &mut Vec<Expr>, found: &mut Diagnostics) {
    if let NodeKind::And(parts) = &node.kind {
        parts.iter().for_each(|part| collect(filter, part, exprs, found));
        return;
    }
    match condition(filter, node) {
        Some(expr) => exprs.push(expr),
        None => found.push(
            Diagnostic::error("this cannot be asked at a probe")
                .at(filter.at(node.span.clone()))
                .because("at a probe, this version compares fields with `==` and `in`, and joins with `and`")
                .hint("several values of a field: `nft.verdict in {drop, queue}`"),
        ),
    }
}

fn condition(filter: &Filter, node: &Node) -> Option<Expr> {
    let NodeKind::Field(comparison) = &node.kind else { return None };
    if !matches!(comparison.order, Order::Equal | Order::In) || comparison.mask.is_some() {
        return None;
    }
    let (section, field) = comparison.path.field()?;
    let field = FieldPath { section: section.to_owned(), field: field.to_owned() };
    let values: Option<Vec<Value>> = comparison.values.iter().map(value).collect();
    Some(Expr::In { field, values: values?, span: Some(filter.at(node.span.clone())) })
}

fn value(literal: &Literal) -> Option<Value> {
    match &literal.kind {
        LiteralKind::Number(number) => Some(Value::Number(i64::try_from(*number).ok()?)),
        LiteralKind::Name(name) => Some(Value::Name(name.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SourceRef;
    use crate::filter::read::FORM;

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
        let compares = "at a probe, this version compares fields with `==` and `in`, and joins with `and`";
        let several = "several values of a field: `nft.verdict in {drop, queue}`";
        let cannot = "this cannot be asked at a probe";
        let misfit = "this does not fit what stands before it";
        for (text, message, span, reason, hint) in [
            ("a.b == 1 or c.d == 2", cannot, 0..20, compares, several),
            ("a.b != 1", cannot, 0..8, compares, several),
            ("c.d == 1 and tcp port 80", cannot, 13..24, compares, several),
            ("a.b & 1 == 1", cannot, 0..12, compares, several),
            ("a.b.c == 1", cannot, 0..10, compares, several),
            ("a.b == 10.0.0.1", cannot, 0..15, compares, several),
            ("a.b = 1", "unexpected `=` in a filter", 4..5, "a field is compared with `==`", FORM),
            ("a.b in {}", "unexpected `}` in a filter", 8..9, misfit, FORM),
            ("a.b == ü", "unexpected `ü` in a filter", 7..9, misfit, FORM),
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
