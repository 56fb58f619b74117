//! The typed values that options can have, how lists of them are put together, and how they read.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::diagnostic::SourceRef;
use crate::filter::Filter;
use crate::probe::ProbeSpec;

/// The value of an option, by its [`ValueType`](super::ValueType).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingValue {
    /// Of [`ValueType::Flag`](super::ValueType::Flag).
    Flag(bool),
    /// Of [`ValueType::String`](super::ValueType::String).
    String(String),
    /// Of [`ValueType::Path`](super::ValueType::Path).
    Path(PathBuf),
    /// Of [`ValueType::Paths`](super::ValueType::Paths).
    Paths(Vec<PathBuf>),
    /// Of [`ValueType::Integer`](super::ValueType::Integer), within its bounds.
    Integer(i64),
    /// Of [`ValueType::Size`](super::ValueType::Size), within its bounds, in bytes.
    Size(u64),
    /// Of [`ValueType::Duration`](super::ValueType::Duration).
    Duration(Duration),
    /// Of [`ValueType::Choice`](super::ValueType::Choice), one of its words.
    Choice(String),
    /// Of [`ValueType::List`](super::ValueType::List), or of [`ValueType::ListOf`](super::ValueType::ListOf) and then all of its words.
    Words(Vec<Located<String>>),
    /// Of [`ValueType::Probes`](super::ValueType::Probes).
    Probes(Vec<ProbeSpec>),
    /// Of [`ValueType::Filters`](super::ValueType::Filters).
    Filters(Vec<Located<Filter>>),
}

/// A value and where it was written, for diagnostics that only a later step can make: that this kernel
/// has no such function, that no collector is called so.
#[derive(Debug, Clone)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// The place.
    pub source: SourceRef,
}

/// Where a value was written is no part of it.
impl<T: PartialEq> PartialEq for Located<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Located<T> {}

impl SettingValue {
    /// Puts the values of `more` after these, each once. Only lists of one kind can be joined.
    pub(crate) fn join(&mut self, more: Self) {
        match (self, more) {
            (Self::Words(all), Self::Words(more)) => union(all, more),
            (Self::Paths(all), Self::Paths(more)) => union(all, more),
            (Self::Filters(all), Self::Filters(more)) => union(all, more),
            (Self::Probes(all), Self::Probes(more)) => {
                for probe in more {
                    match all.iter_mut().find(|p| p.same_place(&probe)) {
                        Some(same) => same.join(&probe),
                        None => all.push(probe),
                    }
                }
            }
            // The table lets only lists be adding, and an option has one type.
            (this, more) => *this = more,
        }
    }
}

fn union<T: PartialEq>(all: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !all.contains(&one) {
            all.push(one);
        }
    }
}

/// As it would be written on the command line.
impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list(f: &mut fmt::Formatter<'_>, items: &[String]) -> fmt::Result {
            f.write_str(&items.join(","))
        }
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::String(text) | Self::Choice(text) => f.write_str(text),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Paths(paths) => list(f, &paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>()),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Size(bytes) => match bytes {
                0 => f.write_str("0"),
                b if b % (1 << 30) == 0 => write!(f, "{}G", b >> 30),
                b if b % (1 << 20) == 0 => write!(f, "{}M", b >> 20),
                b if b % (1 << 10) == 0 => write!(f, "{}K", b >> 10),
                b => write!(f, "{b}"),
            },
            Self::Duration(span) => write!(f, "{span:?}"),
            Self::Words(words) => list(f, &words.iter().map(|w| w.value.clone()).collect::<Vec<_>>()),
            Self::Filters(filters) => {
                list(f, &filters.iter().map(|f| f.value.text().to_owned()).collect::<Vec<_>>())
            }
            Self::Probes(probes) => list(f, &probes.iter().map(ToString::to_string).collect::<Vec<_>>()),
        }
    }
}
