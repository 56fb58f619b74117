//! The filter language: one grammar for packets, as in pcap-filter(7), and for fields of events. A [`Filter`] is a
//! text as a typed [`tree`]; it knows no back end and no schema.
//!
//! [`Expr`] is what options express: a collector's option may select events by a field
//! of a section: `nft_verdicts = ["drop"]` means `nft.verdict in {drop}` where nft reports.
//!
//! "Where nft reports" is part of the meaning: such a condition binds exactly the probes whose records
//! have its field's section, and leaves all others alone. That a field exists, and which number a name
//! stands for, only the section's schema knows; here a name stays a name.

mod arith;
pub mod bytes;
mod class;
mod glob;
mod header;
mod names;
mod packet;
mod part;
mod read;
mod reading;
mod sugar;
pub mod tree;

#[cfg(test)]
mod option_tests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use crate::diagnostic::SourceRef;
use crate::option::Located;

pub use class::{Class, Operand};
pub use glob::is_like;
pub use header::HeaderField;
pub use part::Part;
pub use read::Filter;
pub use sugar::{in_namespaces, on_devices};

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
