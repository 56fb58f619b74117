//! A template whose fields were found in their schema. Looking a name up takes longer than printing what it stands for,
//! so it is done once, when the schema is made.

use crate::Field;
use crate::template::{self, Piece, Template};

/// What is done for one piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// These words.
    Literal(Box<str>),
    /// This field of the schema.
    Field(usize),
    /// All of these steps, if all needs are met.
    Group(Box<[Need]>, Box<[Step]>),
}

/// What a group needs of a field of the schema: to be set, or to be shown as a certain word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) field: usize,
    pub(crate) word: Option<Box<str>>,
}

/// The steps of a template, or the first field that is not there.
pub(crate) fn steps(template: &Template, fields: &[Field]) -> Result<Box<[Step]>, String> {
    all(template.pieces(), fields)
}

fn all(pieces: &[Piece], fields: &[Field]) -> Result<Box<[Step]>, String> {
    pieces.iter().map(|piece| step(piece, fields)).collect()
}

fn step(piece: &Piece, fields: &[Field]) -> Result<Step, String> {
    Ok(match piece {
        Piece::Literal(words) => Step::Literal(words.as_str().into()),
        Piece::Field(name) => Step::Field(index(name, fields)?),
        Piece::Group(group) => {
            let needs: Result<_, String> = group.needs.iter().map(|need| found(need, fields)).collect();
            Step::Group(needs?, all(&group.pieces, fields)?)
        }
    })
}

fn found(need: &template::Need, fields: &[Field]) -> Result<Need, String> {
    Ok(Need { field: index(&need.field, fields)?, word: need.word.as_deref().map(Into::into) })
}

fn index(name: &str, fields: &[Field]) -> Result<usize, String> {
    fields.iter().position(|field| field.name == name).ok_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Show};

    #[test]
    fn names_become_places() {
        let field =
            |name: &str| Field { name: name.into(), offset: 0, kind: Kind::Uint(1), show: Show::Plain };
        let fields = [field("a"), field("b")];
        let template: Template = "x{b}[a=w? {b}]".parse().unwrap();
        let need = Need { field: 0, word: Some("w".into()) };
        let group = Step::Group([need].into(), [Step::Literal(" ".into()), Step::Field(1)].into());
        let expected = [Step::Literal("x".into()), Step::Field(1), group];
        assert_eq!(*steps(&template, &fields).unwrap(), expected);
        assert_eq!(steps(&"[b? {c}]".parse().unwrap(), &fields), Err("c".into()));
    }
}
