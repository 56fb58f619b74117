//! Conditions on the machine: `when = "kernel >= 5.17 and not module ip_tables"`. A profile, or a probe in
//! it, that is meant for some kernels only says so, and one file serves all of them.
//!
//! Versions are compared as far as they are written: `kernel == 6.1` holds on 6.1.95, and
//! `kernel > 6.1` does not. What the machine is like is the caller's knowledge, given as a [`Host`].

mod parse;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::diagnostic::Diagnostics;

pub use parse::parse;

/// The machine that conditions are about.
pub trait Host {
    /// The running kernel's version, `(6, 12, 95)`.
    fn kernel(&self) -> (u32, u32, u32);
    /// Whether the kernel or a loaded module has a function or another symbol of this name.
    fn has_symbol(&self, name: &str) -> bool;
    /// Whether a module is loaded or built in; `name` is spelled with `_`, as the kernel does.
    fn has_module(&self, name: &str) -> bool;
}

/// A condition on the machine. Spans are in the text that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// `kernel >= 5.17`
    Kernel {
        /// How the kernel's version must compare.
        order: Order,
        /// With this one.
        version: Version,
        /// The place.
        span: Range<usize>,
    },
    /// `symbol kfree_skb_reason`
    Symbol {
        /// The symbol.
        name: String,
        /// The place.
        span: Range<usize>,
    },
    /// `module nf_tables`
    Module {
        /// The module, spelled with `_`.
        name: String,
        /// The place.
        span: Range<usize>,
    },
    /// `not ...`
    Not(Box<When>),
    /// Joined by `and`; at least two.
    All(Vec<When>),
    /// Joined by `or`; at least two.
    Any(Vec<When>),
}

impl When {
    /// Whether it holds on `host`.
    pub fn holds(&self, host: &dyn Host) -> bool {
        match self {
            Self::Kernel { order, version, .. } => order.admits(version.compare(host.kernel())),
            Self::Symbol { name, .. } => host.has_symbol(name),
            Self::Module { name, .. } => host.has_module(name),
            Self::Not(inner) => !inner.holds(host),
            Self::All(parts) => parts.iter().all(|part| part.holds(host)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(host)),
        }
    }

    /// The part of the text that it was read from, from its first condition to its last.
    pub fn span(&self) -> Range<usize> {
        match self {
            Self::Kernel { span, .. } | Self::Symbol { span, .. } | Self::Module { span, .. } => span.clone(),
            Self::Not(inner) => inner.span(),
            Self::All(parts) | Self::Any(parts) => {
                let start = parts.first().map_or(0, |part| part.span().start);
                start..parts.last().map_or(start, |part| part.span().end)
            }
        }
    }
}

/// How a version must compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `>`
    After,
    /// `<`
    Before,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
}

impl Order {
    /// All, by their signs.
    const SIGNS: [(&str, Self); 6] = [
        (">=", Self::AtLeast),
        ("<=", Self::AtMost),
        (">", Self::After),
        ("<", Self::Before),
        ("==", Self::Equal),
        ("!=", Self::Unequal),
    ];

    fn from_sign(sign: &str) -> Option<Self> {
        Self::SIGNS.into_iter().find(|(known, _)| *known == sign).map(|(_, order)| order)
    }

    fn sign(self) -> &'static str {
        Self::SIGNS.into_iter().find(|(_, order)| *order == self).map_or("", |(sign, _)| sign)
    }

    /// Whether a kernel that compares so with the version is one that is meant.
    fn admits(self, kernel: std::cmp::Ordering) -> bool {
        match self {
            Self::AtLeast => kernel.is_ge(),
            Self::AtMost => kernel.is_le(),
            Self::After => kernel.is_gt(),
            Self::Before => kernel.is_lt(),
            Self::Equal => kernel.is_eq(),
            Self::Unequal => kernel.is_ne(),
        }
    }
}

/// A kernel version, as far as it is written: one to three numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(Vec<u32>);

impl Version {
    /// How `kernel` compares with it, in the numbers that are written.
    fn compare(&self, kernel: (u32, u32, u32)) -> std::cmp::Ordering {
        let kernel = [kernel.0, kernel.1, kernel.2];
        kernel[..self.0.len().min(3)].cmp(self.0.as_slice())
    }
}

/// Not one to three numbers with dots between.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kernel version")]
pub struct NotAVersion(pub String);

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        };
        let numbers: Option<Vec<u32>> = text.split('.').map(number).collect();
        match numbers {
            Some(numbers) if numbers.len() <= 3 => Ok(Self(numbers)),
            _ => Err(NotAVersion(text.to_owned())),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

/// As it would be written; it parses to the same condition.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            let parts: Vec<_> = parts.iter().map(Self::within).collect();
            f.write_str(&parts.join(word))
        };
        match self {
            Self::Kernel { order, version, .. } => write!(f, "kernel {} {version}", order.sign()),
            Self::Symbol { name, .. } => write!(f, "symbol {name}"),
            Self::Module { name, .. } => write!(f, "module {name}"),
            Self::Not(inner) => write!(f, "not {}", inner.within()),
            Self::All(parts) => joined(f, parts, " and "),
            Self::Any(parts) => joined(f, parts, " or "),
        }
    }
}

impl When {
    /// The text of a part, in parentheses where it has parts itself.
    fn within(&self) -> String {
        match self {
            Self::All(_) | Self::Any(_) => format!("({self})"),
            _ => self.to_string(),
        }
    }
}

impl FromStr for When {
    type Err = Diagnostics;

    fn from_str(text: &str) -> Result<Self, Diagnostics> {
        parse(text)
    }
}

#[cfg(test)]
mod tests;
