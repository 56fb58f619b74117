//! Why a definition does not enter the option table. Ours never fail; a third party's manifest can,
//! and the message to its author needs the facts.

use crate::diagnostic::Diagnostics;

/// An option that cannot be added to the table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// Another option has the name, or spells its profile key so.
    #[error("the option name `{name}` is taken by {by}")]
    NameTaken {
        /// The name or key.
        name: String,
        /// Who has it.
        by: Owner,
    },
    /// Another option has the short flag.
    #[error("the short flag `-{short}` of `{name}` is taken by {by}")]
    ShortTaken {
        /// The option that wants it.
        name: String,
        /// The flag.
        short: char,
        /// Who has it.
        by: Owner,
    },
    /// A name or key is not lower-case letters, digits and inner `-` (in a key `_`).
    #[error("`{name}` is not an option name: it takes lower-case letters, digits and `-`")]
    BadName {
        /// The name or key.
        name: String,
    },
    /// An adding option holds one value only.
    #[error("the option `{name}` is adding, but does not take a list")]
    AddingOneValue {
        /// The option.
        name: String,
    },
    /// An option that selects by a field takes something else than words.
    #[error("the option `{name}` selects by a field, but does not take a list of words")]
    SelectingWithoutWords {
        /// The option.
        name: String,
    },
    /// The default is not a value that the option takes.
    #[error("the default of `{name}` is none of its values:\n{why}")]
    BadDefault {
        /// The option.
        name: String,
        /// What is wrong with it.
        why: Diagnostics,
    },
}

/// Whose option it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// `tracer`'s own.
    Tracer,
    /// An option under this heading, which is the collector's name.
    Heading(String),
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tracer => f.write_str("tracer itself"),
            Self::Heading(heading) => write!(f, "`{heading}`"),
        }
    }
}
