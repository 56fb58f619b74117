//! From text to a tree. The grammar (`filter.pest`) settles how the parts are joined; the words about events are judged
//! here, those about packets in `packet.rs`.

use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use pest::Parser as _;
use pest::error::InputLocation;
use pest::iterators::Pair;

use super::packet::Qualifiers;
use super::tree::{Comparison, Literal, LiteralKind, Node, NodeKind, Order, Path, Step};
use crate::diagnostic::{Diagnostic, Diagnostics, SourceRef};

/// What is shown to somebody whose text is no filter at all.
pub(super) const FORM: &str = "for example `tcp dst port 443 and not host 10.0.0.1`, `nft.verdict in {drop, queue}`, `dev.name =~ \"veth*\"`";

/// Bounds of what somebody can mean; beyond them reading would cost stack or time.
const TEXT_MAX: usize = 16 << 10;
const DEPTH_MAX: usize = 32;
const OPERANDS_MAX: usize = 512;

/// A filter, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// What it says.
    pub root: Node,
    /// What is allowed, but may not mean what was meant.
    pub warnings: Diagnostics,
    text: Arc<str>,
}

impl Filter {
    /// The text that it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A place in the text; [`Diagnostic::rebase`] moves it to where the text stands.
    pub fn at(&self, span: Range<usize>) -> SourceRef {
        SourceRef::new("filter", self.text.clone(), span)
    }
}

impl FromStr for Filter {
    type Err = Diagnostics;

    /// # Errors
    /// All that is wrong with the text. Spans are in `text`; [`Diagnostics::rebase`] moves them to where the text
    /// stands.
    fn from_str(text: &str) -> Result<Self, Diagnostics> {
        let mut reader = Reader {
            text: text.into(),
            found: Diagnostics::new(),
            warnings: Diagnostics::new(),
            qualifiers: None,
            operands: 0,
        };
        if let Some((at, reason)) = too_much(text) {
            let found = Diagnostic::error("the filter is too long or too deep").at(reader.at(at));
            return Err(found.because(reason).into());
        }
        let mut pairs = match Grammar::parse(Rule::filter, text) {
            Ok(pairs) => pairs,
            Err(error) => return Err(reader.unreadable(&error.location).into()),
        };
        let expr = pairs.next().and_then(|filter| filter.into_inner().next());
        let root = expr.and_then(|expr| reader.expr(expr));
        let Reader { text, found, warnings, .. } = reader;
        match root {
            Some(root) => found.or_value(Self { root, warnings, text }),
            None => Err(found),
        }
    }
}

#[derive(pest_derive::Parser)]
#[grammar = "filter/filter.pest"]
pub(super) struct Grammar;

/// Where the text is longer or deeper than is taken, and how much is.
fn too_much(text: &str) -> Option<(Range<usize>, String)> {
    if text.len() > TEXT_MAX {
        return Some((0..0, format!("at most {TEXT_MAX} bytes are read")));
    }
    let mut depth = 0usize;
    let at = text.bytes().position(|byte| {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEPTH_MAX
    })?;
    Some((at..at + 1, format!("parentheses and brackets are at most {DEPTH_MAX} deep")))
}

pub(super) struct Reader {
    pub(super) text: Arc<str>,
    pub(super) found: Diagnostics,
    warnings: Diagnostics,
    /// Those of the primitive before, which a lone value takes over.
    pub(super) qualifiers: Option<Qualifiers>,
    operands: usize,
}

/// A pair's bytes, without the white space that the grammar takes in behind.
pub(super) fn span(pair: &Pair<'_, Rule>) -> Range<usize> {
    let at = pair.as_span();
    at.start()..at.start() + at.as_str().trim_end().len()
}

impl Reader {
    /// `None` after having said why, here and below.
    fn expr(&mut self, pair: Pair<'_, Rule>) -> Option<Node> {
        let mut whole = Some(());
        let mut first: Option<Node> = None;
        let (mut and, mut or) = (false, false);
        let mut joint_is_and = true;
        let mut reading = String::new();
        let place = span(&pair);
        for inner in pair.into_inner() {
            if inner.as_rule() == Rule::joint {
                joint_is_and = inner.into_inner().next().is_some_and(|joint| joint.as_rule() == Rule::and);
                (and, or) = (and || joint_is_and, or || !joint_is_and);
                continue;
            }
            let written = self.text[span(&inner)].to_owned();
            let operand = self.operand(inner);
            if reading.is_empty() {
                reading = written;
            } else if reading.len() < 1000 {
                // Of what is deeper than this nobody reads the parentheses.
                let word = if joint_is_and { "and" } else { "or" };
                reading = format!("({reading} {word} {written})");
            }
            match operand {
                None => whole = None,
                Some(operand) => first = Some(join(first, operand, joint_is_and)),
            }
        }
        if and && or {
            let reading = reading.strip_prefix('(').and_then(|r| r.strip_suffix(')')).unwrap_or(&reading);
            let found = Diagnostic::warning("`and` and `or` are mixed without parentheses")
                .at(self.at(place))
                .because("both bind equally, from left to right, as in pcap-filter(7)")
                .hint(format!("this was read as `{reading}`; parentheses say what is meant"));
            self.warnings.push(found);
        }
        whole?;
        first
    }

    fn operand(&mut self, pair: Pair<'_, Rule>) -> Option<Node> {
        let place = span(&pair);
        self.operands += 1;
        if self.operands == OPERANDS_MAX + 1 {
            let found = Diagnostic::error("the filter has too many parts").at(self.at(place.clone()));
            self.found.push(found.because(format!("at most {OPERANDS_MAX} conditions are joined")));
        }
        if self.operands > OPERANDS_MAX {
            return None;
        }
        let mut negated = false;
        let mut node = None;
        for inner in pair.into_inner() {
            let rule = inner.as_rule();
            if rule == Rule::not {
                negated = !negated;
                continue;
            }
            let inside = span(&inner);
            if rule == Rule::group {
                node = inner.into_inner().next().and_then(|expr| self.expr(expr));
                continue;
            }
            let kind = match rule {
                Rule::comparison => {
                    self.qualifiers = None;
                    self.comparison(inner).map(NodeKind::Field)
                }
                Rule::has => {
                    self.qualifiers = None;
                    self.has(inner)
                }
                _ => self.primitive(inner),
            };
            node = kind.map(|kind| Node { kind, span: inside });
        }
        let node = node?;
        Some(if negated { Node { kind: NodeKind::Not(Box::new(node)), span: place } } else { node })
    }

    fn has(&mut self, pair: Pair<'_, Rule>) -> Option<NodeKind> {
        let section = pair.into_inner().find(|inner| inner.as_rule() == Rule::section)?;
        // Both spellings are accepted where a section is named alone.
        Some(NodeKind::Has(section.as_str().replace('-', "_")))
    }

    fn comparison(&mut self, pair: Pair<'_, Rule>) -> Option<Comparison> {
        let (mut path, mut mask, mut order, mut values) = (None, Some(None), Order::In, Vec::new());
        let mut whole = Some(());
        for inner in pair.into_inner() {
            match inner.as_rule() {
                Rule::path => path = self.path(inner),
                Rule::mask => mask = inner.into_inner().next().and_then(|n| self.mask(&n)).map(Some),
                Rule::order => order = Order::from_sign(inner.as_str()),
                Rule::value => match self.literal(inner) {
                    Some(value) => values.push(value),
                    None => whole = None,
                },
                Rule::set => {
                    for value in inner.into_inner() {
                        match self.literal(value) {
                            Some(value) => values.push(value),
                            None => whole = None,
                        }
                    }
                }
                _ => {}
            }
        }
        whole?;
        Some(Comparison { path: path?, mask: mask?, order, values })
    }

    fn path(&mut self, pair: Pair<'_, Rule>) -> Option<Path> {
        let (place, text) = (span(&pair), pair.as_str().trim_end().to_owned());
        let steps: Option<Vec<Step>> = pair.into_inner().map(|step| self.step(step)).collect();
        let steps = steps?;
        let dashed = steps.iter().any(|step| step.name.contains('-'));
        if steps.len() < 2 || dashed {
            let found = Diagnostic::error(format!("`{text}` is not a field")).at(self.at(place));
            let found = found.because("a field is SECTION.FIELD");
            self.found.push(match dashed {
                true => found.hint(format!("sections are spelled with `_`: `{}`", text.replace('-', "_"))),
                false => found.hint("for example `nft.verdict`"),
            });
            return None;
        }
        Some(Path { steps, span: place })
    }

    fn step(&mut self, pair: Pair<'_, Rule>) -> Option<Step> {
        let mut step = Step { name: String::new(), index: None, cast: None, span: span(&pair) };
        for inner in pair.into_inner() {
            match inner.as_rule() {
                Rule::index => {
                    let place = span(&inner);
                    step.index =
                        Some(self.unsigned(inner.as_str().trim_matches(['[', ']']), place, u64::MAX)?);
                }
                Rule::modifier => {
                    let place = span(&inner);
                    let (inverted, digits) = match inner.as_str().strip_prefix('~') {
                        Some(digits) => (true, digits),
                        None => (false, inner.as_str()),
                    };
                    let bits: u64 = self.unsigned(digits, place, u64::MAX)?;
                    step.cast = Some((if inverted { !bits } else { bits }, None));
                }
                _ => match &mut step.cast {
                    Some((_, target)) => *target = Some(inner.as_str().to_owned()),
                    None => step.name = inner.as_str().to_owned(),
                },
            }
        }
        Some(step)
    }

    fn mask(&mut self, pair: &Pair<'_, Rule>) -> Option<u64> {
        self.unsigned(pair.as_str(), span(pair), u64::MAX)
    }

    fn literal(&mut self, pair: Pair<'_, Rule>) -> Option<Literal> {
        let inner = pair.into_inner().next()?;
        let (place, text) = (span(&inner), inner.as_str());
        let kind = match inner.as_rule() {
            // Quotes say that it is a text, whatever it looks like.
            Rule::quoted => {
                let inside = inner.into_inner().next().map(|inside| inside.as_str().to_owned());
                LiteralKind::Name(inside.unwrap_or_default())
            }
            Rule::mac => LiteralKind::Mac(self.mac(text, place.clone())?),
            Rule::bytes => LiteralKind::Bytes(
                text.split(':').filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect(),
            ),
            Rule::ip4 => LiteralKind::Ipv4(self.address(text, place.clone(), "IPv4")?),
            Rule::ip6 => LiteralKind::Ipv6(self.address(text, place.clone(), "IPv6")?),
            Rule::number => {
                let (negative, digits) = match text.strip_prefix('-') {
                    Some(digits) => (true, digits),
                    None => (false, text),
                };
                match number(digits) {
                    Some(number) if !negative || number <= 1 << 63 => {
                        let number = i128::from(number);
                        LiteralKind::Number(if negative { -number } else { number })
                    }
                    _ => {
                        let found = Diagnostic::error(format!("`{text}` is not a number"))
                            .at(self.at(place))
                            .because("a number is decimal or begins with 0x, and fits 64 bits")
                            .hint(format!("a name that begins with a digit is quoted: `\"{text}\"`"));
                        self.found.push(found);
                        return None;
                    }
                }
            }
            _ => LiteralKind::Name(text.to_owned()),
        };
        Some(Literal { kind, span: place })
    }

    pub(super) fn address<A: FromStr>(&mut self, text: &str, place: Range<usize>, what: &str) -> Option<A> {
        match text.parse() {
            Ok(address) => Some(address),
            Err(_) => self.refuse(Diagnostic::error(format!("`{text}` is not an {what} address")), place),
        }
    }

    pub(super) fn mac(&mut self, text: &str, place: Range<usize>) -> Option<[u8; 6]> {
        let bytes: Option<Vec<u8>> =
            text.split([':', '-']).map(|pair| u8::from_str_radix(pair, 16).ok()).collect();
        match bytes.and_then(|bytes| bytes.try_into().ok()) {
            Some(bytes) => Some(bytes),
            None => self.refuse(Diagnostic::error(format!("`{text}` is not an Ethernet address")), place),
        }
    }

    /// A number of at most `most`.
    pub(super) fn unsigned<N: TryFrom<u64>>(
        &mut self,
        text: &str,
        place: Range<usize>,
        most: u64,
    ) -> Option<N> {
        let number = number(text).filter(|number| *number <= most).and_then(|number| number.try_into().ok());
        if number.is_none() {
            let found = Diagnostic::error(format!("`{text}` is not a number from 0 to {most}"));
            return self
                .refuse(found.because("a number is decimal or begins with 0x, and fits its field"), place);
        }
        number
    }

    pub(super) fn refuse<T>(&mut self, found: Diagnostic, place: Range<usize>) -> Option<T> {
        let place = self.at(place);
        self.found.push(found.at(place));
        None
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
        match next {
            '=' => found.because("a field is compared with `==`").hint(FORM),
            _ => found.because("this does not fit what stands before it").hint(FORM),
        }
    }

    pub(super) fn at(&self, span: Range<usize>) -> SourceRef {
        SourceRef::new("filter", self.text.clone(), span)
    }
}

/// Chains of one word stay flat.
pub(super) fn join(first: Option<Node>, second: Node, and: bool) -> Node {
    let Some(first) = first else { return second };
    let span = first.span.start..second.span.end;
    let kind = match (first.kind, and) {
        (NodeKind::And(mut parts), true) => {
            parts.push(second);
            NodeKind::And(parts)
        }
        (NodeKind::Or(mut parts), false) => {
            parts.push(second);
            NodeKind::Or(parts)
        }
        (kind, true) => NodeKind::And(vec![Node { kind, span: first.span }, second]),
        (kind, false) => NodeKind::Or(vec![Node { kind, span: first.span }, second]),
    };
    Node { kind, span }
}

/// Decimal, or hexadecimal with `0x`. C's octal numbers surprise more people than they serve: see [`Reader::natural`].
pub(super) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
