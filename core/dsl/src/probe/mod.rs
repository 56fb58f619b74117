//! A probe is a place in the kernel together with what is wanted there. The type says what the user
//! asked for, not how it is reached: the way of attaching is the engine's choice.

mod parse;
mod spec;

use std::fmt;
use std::str::FromStr;

use crate::diagnostic::Diagnostics;

pub use parse::parse;
pub use spec::ProbeSpec;

/// A place in the kernel, as the user asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Probe {
    /// What kind of place.
    pub kind: ProbeKind,
    /// Which place, or which places.
    pub target: Target,
    /// Whether an event holds the kernel stack.
    pub stack: bool,
    /// Whether the run goes on where the place does not exist.
    pub optional: bool,
}

impl Probe {
    /// Whether it may mean several places.
    pub fn is_pattern(&self) -> bool {
        matches!(self.target, Target::Pattern(_))
    }

    /// The same at one of the places that it means.
    #[must_use]
    pub fn at(&self, name: &str) -> Self {
        Self { target: Target::Exact(name.to_owned()), ..self.clone() }
    }

    /// Whether both are about the same place or pattern, whatever their options.
    pub fn same_place(&self, other: &Self) -> bool {
        self.kind == other.kind && self.target == other.target
    }

    /// Takes over what `other` wants at the same place: a stack if either wants one; the place may be
    /// missing only if both say so.
    pub fn join(&mut self, other: &Self) {
        self.stack |= other.stack;
        self.optional &= other.optional;
    }

    /// The group and the name of a tracepoint, either of them perhaps a pattern; `None` for functions.
    pub fn tracepoint(&self) -> Option<(&str, &str)> {
        match self.kind {
            ProbeKind::RawTracepoint => self.target.as_str().split_once(':'),
            _ => None,
        }
    }
}

/// What is asked for at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProbeKind {
    /// A function's entry, by any means.
    Kprobe,
    /// A function's return, by any means.
    Kretprobe,
    /// A tracepoint, with the arguments its callers pass.
    RawTracepoint,
    /// A function's entry, by a BPF trampoline only.
    Fentry,
    /// A function's return, by a BPF trampoline only; the arguments are at hand as well.
    Fexit,
}

impl ProbeKind {
    /// All kinds, in the order the documentation lists them.
    pub const ALL: [Self; 5] =
        [Self::Kprobe, Self::Kretprobe, Self::RawTracepoint, Self::Fentry, Self::Fexit];

    /// The canonical spelling of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kprobe => "kprobe",
            Self::Kretprobe => "kretprobe",
            Self::RawTracepoint => "raw_tracepoint",
            Self::Fentry => "fentry",
            Self::Fexit => "fexit",
        }
    }

    /// The short spelling of the type; it is also what the text output shows, `[k]`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Kprobe => "k",
            Self::Kretprobe => "kr",
            Self::RawTracepoint => "tp",
            Self::Fentry => "fe",
            Self::Fexit => "fx",
        }
    }

    /// The kind with this name or tag.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == word || kind.tag() == word)
    }
}

/// Which function or tracepoint. A tracepoint's is `GROUP:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Exactly this one.
    Exact(String),
    /// All that match; `*` stands for any number of any characters, none included.
    Pattern(String),
}

impl Target {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Pattern(text) => text,
        }
    }

    /// Whether `name` (for a tracepoint `GROUP:NAME`) is meant.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Pattern(pattern) => matches(pattern, name),
        }
    }
}

/// Whether `name` begins with the pattern's first piece, ends with its last, and has the others
/// between, in order. Taking each at its leftmost place never misses a match.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, pieces)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let (middle, last) = pieces.rsplit_once('*').unwrap_or(("", pieces));
    let rest = name.strip_prefix(first).and_then(|rest| rest.strip_suffix(last));
    let Some(mut rest) = rest else { return false };
    middle.split('*').all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The canonical spelling, `kprobe:__nft_trace_packet/stack`. It parses to the same probe.
impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.target)?;
        if self.stack {
            f.write_str("/stack")?;
        }
        if self.optional {
            f.write_str("/optional")?;
        }
        Ok(())
    }
}

impl FromStr for Probe {
    type Err = Diagnostics;

    fn from_str(text: &str) -> Result<Self, Diagnostics> {
        parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canonical_spelling_parses_to_the_same_probe() {
        for (written, canonical) in [
            ("kfree_skb_reason", "kprobe:kfree_skb_reason"),
            ("k:foo.isra.0/stack", "kprobe:foo.isra.0/stack"),
            ("kr:$x/optional/stack", "kretprobe:$x/stack/optional"),
            ("skb:kfree_skb", "raw_tracepoint:skb:kfree_skb"),
            ("tp:skb:*", "raw_tracepoint:skb:*"),
            ("fe:tcp_*", "fentry:tcp_*"),
            ("fx:tcp_rcv_established", "fexit:tcp_rcv_established"),
        ] {
            let probe: Probe = written.parse().unwrap();
            assert_eq!(probe.to_string(), canonical);
            assert_eq!(canonical.parse(), Ok(probe));
        }
    }

    #[test]
    fn every_kind_is_known_by_its_name_and_its_tag() {
        for kind in ProbeKind::ALL {
            assert_eq!(ProbeKind::from_word(kind.name()), Some(kind));
            assert_eq!(ProbeKind::from_word(kind.tag()), Some(kind));
        }
        assert_eq!(ProbeKind::from_word("usdt"), None);
    }

    #[test]
    fn patterns_match_as_shells_do() {
        let hits = |pattern: &str, name: &str| Target::Pattern(pattern.into()).matches(name);
        assert!(hits("tcp_*", "tcp_"));
        assert!(hits("tcp_*", "tcp_rcv"));
        assert!(!hits("tcp_*", "_tcp_rcv"));
        assert!(hits("*skb*", "kfree_skb_reason"));
        assert!(hits("a*b*b", "abb"));
        assert!(!hits("a*b*b", "ab"));
        assert!(!hits("ab*ba", "aba"));
        assert!(hits("a**c", "abc"));
        assert!(hits("skb:*", "skb:kfree_skb"));
        assert!(Target::Exact("foo".into()).matches("foo"));
        assert!(!Target::Exact("foo".into()).matches("foo1"));
    }

    #[test]
    fn joining_keeps_what_either_needs() {
        let mut probe: Probe = "foo/optional".parse().unwrap();
        let other: Probe = "k:foo/stack".parse().unwrap();
        assert!(probe.same_place(&other));
        probe.join(&other);
        assert_eq!(probe, other);
    }

    #[test]
    fn a_tracepoint_has_a_group_and_a_name() {
        let probe: Probe = "skb:kfree_skb".parse().unwrap();
        assert_eq!(probe.tracepoint(), Some(("skb", "kfree_skb")));
        let probe: Probe = "kfree_skb".parse().unwrap();
        assert_eq!(probe.tracepoint(), None);
    }
}
