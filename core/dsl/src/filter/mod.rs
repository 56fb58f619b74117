//! Conditions that options express, as a typed tree. A collector's option may select events by a field
//! of a section: `nft_verdicts = ["drop"]` means `nft.verdict in {drop}` where nft reports.
//!
//! A probe in a profile may have a condition of its own, as a text: `filter = "nft.verdict == drop"`.
//!
//! "Where nft reports" is part of the meaning: such a condition binds exactly the probes whose records
//! have its field's section, and leaves all others alone. That a field exists, and which number a name
//! stands for, only the section's schema knows; here a name stays a name.

mod parse;

use std::fmt;
use std::str::FromStr;

use crate::diagnostic::SourceRef;
use crate::option::Located;

pub use parse::parse;

/// A condition on an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// The field has one of the values; false where the field is absent.
    In {
        /// The field.
        field: FieldPath,
        /// The values, in the order given, at least one.
        values: Vec<Value>,
        /// The text that gave the condition, if any did.
        span: Option<SourceRef>,
    },
}

impl Expr {
    /// Whether both say the same, wherever they were written.
    pub fn same_as(&self, other: &Self) -> bool {
        let Self::In { field, values, .. } = self;
        let Self::In { field: other_field, values: other_values, .. } = other;
        field == other_field && values == other_values
    }
}

/// A field of a section, `nft.verdict`. Both parts are C identifiers, as they come from BTF.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath {
    /// The section, `nft`.
    pub section: String,
    /// The field in it, `verdict`.
    pub field: String,
}

/// What a field is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Number(i64),
    /// A name that the field's schema knows, such as an enumerator.
    Name(String),
}

/// `field in {words}`.
pub(crate) fn selection(field: FieldPath, words: &[Located<String>], span: Option<SourceRef>) -> Expr {
    let values = words.iter().map(|word| Value::from(word.value.as_str())).collect();
    Expr::In { field, values, span }
}

/// A decimal or `0x` number is a number, all else a name.
impl From<&str> for Value {
    fn from(word: &str) -> Self {
        let number = match word.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16),
            None => word.parse(),
        };
        match number {
            Ok(number) => Self::Number(number),
            Err(_) => Self::Name(word.to_owned()),
        }
    }
}

/// Not `SECTION.FIELD`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a field: it takes SECTION.FIELD, for example `nft.verdict`")]
pub struct NotAField(pub String);

impl FromStr for FieldPath {
    type Err = NotAField;

    fn from_str(text: &str) -> Result<Self, NotAField> {
        match text.split_once('.') {
            Some((section, field)) if is_identifier(section) && is_identifier(field) => {
                Ok(Self { section: section.to_owned(), field: field.to_owned() })
            }
            _ => Err(NotAField(text.to_owned())),
        }
    }
}

/// Whether a name needs no quotes in a filter.
fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn is_identifier(text: &str) -> bool {
    !text.starts_with(|first: char| first.is_ascii_digit())
        && !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.section, self.field)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) if is_word(name) => f.write_str(name),
            Self::Name(name) => write!(f, "\"{name}\""),
        }
    }
}

/// As it would be written in a filter.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In { field, values, .. } => {
                let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                write!(f, "{field} in {{{}}}", values.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::option::{OptionDef, OptionTable, Origin, Setting, SettingValue, Settings, ValueType};

    #[test]
    fn an_option_that_selects_becomes_a_condition() {
        let field: FieldPath = "nft.verdict".parse().unwrap();
        let option = OptionDef::new("nft-verdicts", "", ValueType::List).selects(field.clone());
        let merge = option.merge;
        let table = OptionTable::new([option]).unwrap();
        let word = |word: &str| Located {
            value: word.to_owned(),
            source: SourceRef::command_line("nft-verdicts", word),
        };
        let source = Some(SourceRef::command_line("nft-verdicts", "drop,0x2,-1"));
        let setting = Setting {
            value: SettingValue::Words(vec![word("drop"), word("0x2"), word("-1")]),
            merge,
            origin: Origin::CommandLine,
            source: source.clone(),
        };
        let settings: Settings = [("nft-verdicts".to_owned(), setting)].into_iter().collect();

        let conditions = settings.conditions(&table);
        let values = vec![Value::Name("drop".into()), Value::Number(2), Value::Number(-1)];
        assert_eq!(conditions, [Expr::In { field, values, span: source }]);
        assert_eq!(conditions[0].to_string(), "nft.verdict in {drop, 2, -1}");
        assert!(Settings::default().conditions(&table).is_empty());
    }

    #[test]
    fn a_field_has_a_section_and_a_name() {
        let field: FieldPath = "skb_drop.reason".parse().unwrap();
        assert_eq!((field.section.as_str(), field.field.as_str()), ("skb_drop", "reason"));
        assert_eq!(field.to_string(), "skb_drop.reason");
        for text in ["", "nft", "nft.", ".verdict", "a.b.c", "skb-drop.reason", "1a.b"] {
            assert_eq!(text.parse::<FieldPath>(), Err(NotAField(text.into())));
        }
    }
}
