//! From text to a condition. The grammar (`when.pest`) settles how conditions are joined; the words are
//! judged here.

use std::ops::Range;
use std::sync::Arc;

use pest::Parser as _;
use pest::error::InputLocation;
use pest::iterators::Pair;

use super::{Order, When};
use crate::diagnostic::{Diagnostic, Diagnostics, SourceRef};

/// What is shown to somebody whose text is no condition at all.
const FORM: &str = "a condition is `kernel >= 5.17`, `symbol NAME` or `module NAME`, joined by `and`, `or`, `not` and parentheses";

const WORDS: [&str; 3] = ["kernel", "symbol", "module"];

/// Parentheses deeper than this are nobody's condition, and would cost stack.
const DEPTH_MAX: usize = 32;

/// Reads a condition.
///
/// `and` and `or` are not mixed without parentheses: a reader should not need to know which binds
/// tighter.
///
/// # Errors
/// All that is wrong with the text. Spans are in `text`; [`Diagnostics::rebase`] moves them to where
/// the text stands.
pub fn parse(text: &str) -> Result<When, Diagnostics> {
    let mut reader = Reader { text: text.into(), found: Diagnostics::new() };
    if let Some(at) = too_deep(text) {
        let found = Diagnostic::error("too many parentheses in a condition");
        return Err(found.at(reader.at(at..at + 1)).because(format!("at most {DEPTH_MAX} deep")).into());
    }
    let mut pairs = match Grammar::parse(Rule::when, text) {
        Ok(pairs) => pairs,
        Err(error) => return Err(reader.unreadable(&error.location).into()),
    };
    let joined = pairs.next().and_then(|when| when.into_inner().next());
    let when = joined.and_then(|joined| reader.joined(joined));
    match when {
        Some(when) => reader.found.or_value(when),
        None => Err(reader.found),
    }
}

#[derive(pest_derive::Parser)]
#[grammar = "when/when.pest"]
struct Grammar;

/// Where the text goes deeper than is taken.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    text.bytes().position(|byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEPTH_MAX
    })
}

struct Reader {
    text: Arc<str>,
    found: Diagnostics,
}

impl Reader {
    /// `None` after having said why.
    fn joined(&mut self, pair: Pair<'_, Rule>) -> Option<When> {
        let mut terms = Vec::new();
        let mut joints: Vec<pest::Span<'_>> = Vec::new();
        let mut whole = true;
        for inner in pair.into_inner() {
            match inner.as_rule() {
                Rule::joint => joints.push(inner.as_span()),
                _ => match self.term(inner) {
                    Some(term) => terms.push(term),
                    None => whole = false,
                },
            }
        }
        let first = joints.first().map(pest::Span::as_str);
        if let Some(other) = joints.iter().find(|joint| Some(joint.as_str()) != first) {
            let (first, other_word) = (first.unwrap_or_default(), other.as_str());
            let found = Diagnostic::error(format!("`{other_word}` beside `{first}`"))
                .at(self.at(other.start()..other.end()))
                .because("which of them binds tighter is not settled")
                .hint("put parentheses around what belongs together");
            self.found.push(found);
            return None;
        }
        if !whole {
            return None;
        }
        match (first, terms.len()) {
            (_, 1) => terms.pop(),
            (Some("and"), _) => Some(When::All(terms)),
            _ => Some(When::Any(terms)),
        }
    }

    fn term(&mut self, pair: Pair<'_, Rule>) -> Option<When> {
        let mut negated = false;
        let mut inside = None;
        for inner in pair.into_inner() {
            match inner.as_rule() {
                Rule::not => negated = !negated,
                Rule::group => inside = inner.into_inner().next().and_then(|joined| self.joined(joined)),
                Rule::condition => inside = self.condition(inner),
                _ => {}
            }
        }
        let inside = inside?;
        Some(if negated { When::Not(Box::new(inside)) } else { inside })
    }

    fn condition(&mut self, pair: Pair<'_, Rule>) -> Option<When> {
        let (mut word, mut order, mut operand) = (None, None, None);
        for inner in pair.into_inner() {
            let span = inner.as_span();
            match inner.as_rule() {
                Rule::word => word = Some(span),
                Rule::order => order = Some(span),
                _ => operand = Some(span),
            }
        }
        let word = word?;
        let end = operand.or(order).unwrap_or(word).end();
        let span = word.start()..end;
        match word.as_str() {
            "kernel" => self.kernel(order, operand, span),
            kind @ ("symbol" | "module") => {
                if let Some(order) = order {
                    let found = Diagnostic::error(format!("`{kind}` is not compared"))
                        .at(self.at(order.start()..order.end()))
                        .because(format!("a {kind} is there or not"))
                        .hint(format!("write `{kind} NAME`"));
                    self.found.push(found);
                    return None;
                }
                let Some(operand) = operand else {
                    let found = Diagnostic::error(format!("`{kind}` needs a name"));
                    let example = if kind == "symbol" { "kfree_skb_reason" } else { "nf_tables" };
                    let found = found.at(self.at(end..end)).because("a name is missing here");
                    self.found.push(found.hint(format!("for example `{kind} {example}`")));
                    return None;
                };
                let name = operand.as_str();
                Some(match kind {
                    "symbol" => When::Symbol { name: name.to_owned(), span },
                    // modprobe takes both spellings, /proc/modules has one.
                    _ => When::Module { name: name.replace('-', "_"), span },
                })
            }
            other => {
                let at = self.at(word.start()..word.end());
                self.found.push(Diagnostic::unknown("condition", other, WORDS).at(at).hint(FORM));
                None
            }
        }
    }

    fn kernel(
        &mut self,
        order: Option<pest::Span<'_>>,
        operand: Option<pest::Span<'_>>,
        span: Range<usize>,
    ) -> Option<When> {
        let form = "for example `kernel >= 5.17`";
        let (Some(order), Some(operand)) = (order, operand) else {
            let (missing, at) = match (order, operand) {
                (None, Some(operand)) => ("a comparison", operand.start()),
                (None, None) => ("a comparison", span.end),
                _ => ("a version", span.end),
            };
            let found = Diagnostic::error(format!("`kernel` needs {missing}"));
            self.found
                .push(found.at(self.at(at..at)).because(format!("{missing} is missing here")).hint(form));
            return None;
        };
        match (Order::from_sign(order.as_str()), operand.as_str().parse()) {
            (Some(order), Ok(version)) => Some(When::Kernel { order, version, span }),
            (_, Err(error)) => {
                let found = Diagnostic::error(super::NotAVersion::to_string(&error))
                    .at(self.at(operand.start()..operand.end()))
                    .because("a version is one to three numbers, with dots between")
                    .hint(form);
                self.found.push(found);
                None
            }
            // The grammar has the signs of the table only.
            (None, Ok(_)) => None,
        }
    }

    /// The text has a character where the grammar allows none, or ends too early.
    fn unreadable(&self, location: &InputLocation) -> Diagnostic {
        let (InputLocation::Pos(at) | InputLocation::Span((at, _))) = *location;
        let rest = &self.text[at..];
        let Some(next) = rest.chars().next() else {
            return Diagnostic::error("the condition is not complete")
                .at(self.at(at..at))
                .because("something is missing here")
                .hint(FORM);
        };
        let word = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let end = at + word.max(next.len_utf8());
        let found = Diagnostic::error(format!("unexpected `{}` in a condition", &self.text[at..end]))
            .at(self.at(at..end))
            .because("conditions are joined by `and` or `or`");
        found.hint(match next {
            '&' => "write `and`",
            '|' => "write `or`",
            '!' => "write `not`",
            '=' => "two versions are compared with `==`",
            _ => FORM,
        })
    }

    fn at(&self, span: Range<usize>) -> SourceRef {
        SourceRef::new("when", self.text.clone(), span)
    }
}
