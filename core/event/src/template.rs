//! A section's words, as data: `chain {chain}[ handle {rule}][policy? (policy)]`. There is no render callback, so a
//! plugin's section and ours are printed by the same code, also from a file whose plugin is long gone.
//!
//! - `{field}`: the field, as its [`Show`](crate::Show) says.
//! - `[...]`: only when every field in it is set (not 0, not empty, not the tracer's own namespace).
//! - `[field?...]`: only when that field is set, whatever else stands in it.
//! - `[field=word?...]`: only when that field is shown as this word.
//! - `{{`, `}}`, `[[`, `]]`: the character itself. Groups do not nest.

use std::{iter::Peekable, str::Chars, str::FromStr};

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
    pieces: Vec<Piece>,
}

/// What a template is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Literal(String),
    Field(String),
    Group(Group),
}

/// Pieces that are there or not, together. They are literals and fields only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// What must be so.
    pub(crate) needs: Vec<Need>,
    pub(crate) pieces: Vec<Piece>,
}

/// What a group needs of a field: to be set, or to be shown as a certain word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) field: String,
    pub(crate) word: Option<String>,
}

impl Template {
    /// The text that it was parsed from.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(source: &str) -> Result<Template, TemplateError> {
        let pieces = Parser { rest: source.chars().peekable(), column: 1 }.template()?;
        Ok(Template { source: source.to_owned(), pieces })
    }
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    /// Of the next character, from 1.
    column: usize,
}

impl Parser<'_> {
    fn template(mut self) -> Result<Vec<Piece>, TemplateError> {
        let mut pieces = Vec::new();
        while let Some(c) = self.rest.peek().copied() {
            let start = self.column;
            match c {
                '[' if !self.is_doubled(c) => {
                    self.next();
                    pieces.push(Piece::Group(self.group(start)?));
                }
                ']' if !self.is_doubled(c) => return Err(self.error(start, TemplateReason::Lone(c))),
                _ => self.literal_or_field(&mut pieces)?,
            }
        }
        Ok(pieces)
    }

    /// What follows a `[` at `start`.
    fn group(&mut self, start: usize) -> Result<Group, TemplateError> {
        let guard = self.guard();
        let mut pieces = Vec::new();
        loop {
            match self.rest.peek().copied() {
                None => return Err(self.error(start, TemplateReason::Open('['))),
                Some('[') if !self.is_doubled('[') => {
                    return Err(self.error(self.column, TemplateReason::Nested));
                }
                Some(']') if !self.is_doubled(']') => break,
                Some(_) => self.literal_or_field(&mut pieces)?,
            }
        }
        self.next();
        let needs = match guard {
            Some(guard) => vec![guard],
            None => pieces.iter().filter_map(Piece::field).map(Need::set).collect(),
        };
        if needs.is_empty() {
            return Err(self.error(start, TemplateReason::Unconditional));
        }
        Ok(Group { needs, pieces })
    }

    /// The `field?` or `field=word?` at a group's start, if it is there.
    fn guard(&mut self) -> Option<Need> {
        let mut ahead = self.rest.clone();
        let name = |ahead: &mut Peekable<Chars<'_>>| {
            let name: String = std::iter::from_fn(|| ahead.next_if(|c| is_name(*c))).collect();
            (!name.is_empty()).then_some(name)
        };
        let field = name(&mut ahead)?;
        let word = match ahead.next_if_eq(&'=') {
            Some(_) => Some(name(&mut ahead)?),
            None => None,
        };
        ahead.next_if_eq(&'?')?;
        self.column += field.len() + word.as_ref().map_or(0, |word| word.len() + 1) + 1;
        self.rest = ahead;
        Some(Need { field, word })
    }

    fn literal_or_field(&mut self, pieces: &mut Vec<Piece>) -> Result<(), TemplateError> {
        let start = self.column;
        let Some(c) = self.next() else { return Ok(()) };
        if matches!(c, '{' | '}' | '[' | ']') {
            if self.rest.next_if_eq(&c).is_some() {
                self.column += 1;
            } else if c == '{' {
                pieces.push(Piece::Field(self.field(start)?));
                return Ok(());
            } else {
                return Err(self.error(start, TemplateReason::Lone(c)));
            }
        }
        // A template may come out of a file: its words must not paint terminals either.
        if c.is_control() {
            return Err(self.error(start, TemplateReason::Control(c)));
        }
        match pieces.last_mut() {
            Some(Piece::Literal(text)) => text.push(c),
            _ => pieces.push(Piece::Literal(c.to_string())),
        }
        Ok(())
    }

    /// What follows a `{` at `start`.
    fn field(&mut self, start: usize) -> Result<String, TemplateError> {
        let mut name = String::new();
        loop {
            let column = self.column;
            match self.next() {
                None => return Err(self.error(start, TemplateReason::Open('{'))),
                Some('}') if name.is_empty() => return Err(self.error(start, TemplateReason::NoName)),
                Some('}') => return Ok(name),
                Some(c) if is_name(c) => name.push(c),
                Some(c) => return Err(self.error(column, TemplateReason::InName(c))),
            }
        }
    }

    /// Whether the next two characters are both `c`.
    fn is_doubled(&self, c: char) -> bool {
        let mut ahead = self.rest.clone();
        ahead.next() == Some(c) && ahead.next() == Some(c)
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        self.column += 1;
        Some(c)
    }

    fn error(&self, column: usize, reason: TemplateReason) -> TemplateError {
        TemplateError { column, reason }
    }
}

impl Need {
    fn set(field: &str) -> Need {
        Need { field: field.to_owned(), word: None }
    }
}

impl Piece {
    fn field(&self) -> Option<&str> {
        match self {
            Piece::Field(name) => Some(name),
            Piece::Literal(_) | Piece::Group(_) => None,
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// A template that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template, column {column}: {reason}")]
pub struct TemplateError {
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub reason: TemplateReason,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TemplateReason {
    #[error("'{0}' is not closed")]
    Open(char),
    #[error("'{0}' closes nothing; twice it stands for itself")]
    Lone(char),
    #[error("groups do not nest; '[[' stands for '['")]
    Nested,
    #[error("the group names no field, so it has no condition")]
    Unconditional,
    #[error("a field has no name; '{{{{' stands for '{{'")]
    NoName,
    #[error("'{}' cannot be in a field's name", .0.escape_debug())]
    InName(char),
    #[error("a control character ({:#x})", u32::from(*.0))]
    Control(char),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(source: &str) -> String {
        source.parse::<Template>().unwrap_err().to_string()
    }

    #[test]
    fn pieces_are_in_order() {
        let template: Template = "a {b}[ c {d}][e? (f)]".parse().unwrap();
        let literal = |text: &str| Piece::Literal(text.into());
        let group = |need: &str, pieces| Piece::Group(Group { needs: vec![Need::set(need)], pieces });
        let expected = [
            literal("a "),
            Piece::Field("b".into()),
            group("d", vec![literal(" c "), Piece::Field("d".into())]),
            group("e", vec![literal(" (f)")]),
        ];
        assert_eq!(template.pieces(), expected);
        assert_eq!(template.as_str(), "a {b}[ c {d}][e? (f)]");
    }

    #[test]
    fn doubled_characters_stand_for_themselves() {
        let template: Template = "[[{{x}}]] {{{a}}}[ ]]{a}[[]".parse().unwrap();
        let literal = |text: &str| Piece::Literal(text.into());
        let a = Piece::Field("a".into());
        let group =
            Group { needs: vec![Need::set("a")], pieces: vec![literal(" ]"), a.clone(), literal("[")] };
        assert_eq!(template.pieces(), [literal("[{x}] {"), a, literal("}"), Piece::Group(group)]);
    }

    #[test]
    fn a_group_may_need_a_word() {
        let template: Template = "[a=b?{c}][a={c}]".parse().unwrap();
        let need = Need { field: "a".into(), word: Some("b".into()) };
        let group = Group { needs: vec![need], pieces: vec![Piece::Field("c".into())] };
        assert_eq!(template.pieces()[0], Piece::Group(group));
        let Piece::Group(plain) = &template.pieces()[1] else { panic!() };
        assert_eq!((plain.needs.len(), plain.pieces.len()), (1, 2));
    }

    #[test]
    fn an_empty_template_is_empty() {
        assert_eq!("".parse::<Template>().unwrap().pieces(), []);
    }

    #[test]
    fn errors_say_where_and_why() {
        assert_eq!(error("ä {b"), "template, column 3: '{' is not closed");
        assert_eq!(error("a b}"), "template, column 4: '}' closes nothing; twice it stands for itself");
        assert_eq!(error("a]"), "template, column 2: ']' closes nothing; twice it stands for itself");
        assert_eq!(error("[a {b}"), "template, column 1: '[' is not closed");
        assert_eq!(error("[ab? {b}"), "template, column 1: '[' is not closed");
        assert_eq!(error("[a? [b]]"), "template, column 5: groups do not nest; '[[' stands for '['");
        assert_eq!(error("x [a]"), "template, column 3: the group names no field, so it has no condition");
        assert_eq!(error("{}"), "template, column 1: a field has no name; '{{' stands for '{'");
        assert_eq!(error("{a b}"), "template, column 3: ' ' cannot be in a field's name");
        assert_eq!(error("a\x1b"), "template, column 2: a control character (0x1b)");
    }
}
