//! Hooks: programs of a collector's own, which report nothing. They stand where something happens that the collector has
//! to know of, whatever is traced, and keep its maps: what a reader reports of a packet may have begun long before any
//! probe was hit.
//!
//! A hook's C signature is its declaration, as a reader's is: `int hook__NAME(struct ARGS *)`. Where it stands is data, in
//! the manifest.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::Deserialize;

use crate::{
    arguments::Arguments,
    fragment::{Build, Wants},
    link::Linked,
    shape::Attach,
};

/// An entry `[[hook]]` of a manifest: a function of the object, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestHook {
    /// The function's name, without `hook__`.
    pub name: String,
    /// Places: at each of them.
    #[serde(default)]
    pub at: Vec<HookPlace>,
    /// Places of which the first that the kernel has is taken.
    #[serde(default)]
    pub any: Vec<HookPlace>,
    /// A condition on the machine, such as `kernel >= 5.17`; where it does not hold, there is no such hook.
    pub when: Option<String>,
    /// What the collector cannot do without it. A hook that says nothing of that is one that the collector cannot do
    /// without at all.
    pub without: Option<String>,
}

/// A place in the kernel where a hook can stand: one that misses no hit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct HookPlace {
    /// What it is.
    pub kind: HookKind,
    /// The function, or the tracepoint as `GROUP:NAME`.
    pub target: String,
}

/// Kinds of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HookKind {
    /// A function's entry.
    Fentry,
    /// A function's return: its parameters, and what it returned.
    Fexit,
    /// A tracepoint, with typed arguments.
    Tracepoint,
}

impl HookKind {
    const PREFIXES: [(Self, &str); 3] =
        [(Self::Fentry, "fentry"), (Self::Fexit, "fexit"), (Self::Tracepoint, "tp")];
}

/// A place that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a hook stands at `fentry:FUNCTION`, `fexit:FUNCTION` or `tp:GROUP:NAME`, not at `{0}`")]
pub struct HookPlaceError(String);

impl FromStr for HookPlace {
    type Err = HookPlaceError;

    fn from_str(text: &str) -> Result<Self, HookPlaceError> {
        let refused = || HookPlaceError(text.to_owned());
        let (prefix, target) = text.split_once(':').ok_or_else(refused)?;
        let (kind, _) =
            HookKind::PREFIXES.into_iter().find(|(_, known)| *known == prefix).ok_or_else(refused)?;
        let parts: Vec<&str> = target.split(':').collect();
        let word = |part: &&str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
        };
        let wanted = if kind == HookKind::Tracepoint { 2 } else { 1 };
        if parts.len() != wanted || !parts.iter().all(word) {
            return Err(refused());
        }
        Ok(Self { kind, target: target.to_owned() })
    }
}

impl TryFrom<String> for HookPlace {
    type Error = HookPlaceError;

    fn try_from(text: String) -> Result<Self, HookPlaceError> {
        text.parse()
    }
}

impl fmt::Display for HookPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = HookKind::PREFIXES.into_iter().find(|(kind, _)| *kind == self.kind);
        write!(f, "{}:{}", prefix.map_or("", |(_, prefix)| prefix), self.target)
    }
}

/// Places where a collector reads nothing although the arguments are there, because they cannot be believed there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Functions, at entry and return.
    #[serde(default)]
    pub functions: Vec<String>,
    /// Tracepoints, as `GROUP:NAME`.
    #[serde(default)]
    pub tracepoints: Vec<String>,
    /// What is the matter there.
    pub why: String,
}

/// Something that a collector's programs count because it should not be: a number in one of its maps.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestLoss {
    /// A map with values of 8 bytes and keys of 4: an array, of one value for all CPUs or one for each.
    pub map: String,
    /// The element.
    #[serde(default)]
    pub index: u32,
    /// What so many of were lost: `packets without an id: the map is full`.
    pub what: String,
    /// What can be done about it.
    pub help: Option<String>,
}

/// A function of the object that stands at hooks' places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The C function.
    pub function: String,
    /// The same without `hook__`.
    pub name: String,
    /// What it wants to be given.
    pub wants: Wants,
}

/// What is composed for a hook at one place.
pub struct HookShape<'a> {
    /// How the program is attached: a trampoline, or a tracepoint with typed arguments.
    pub attach: Attach,
    /// Which build of the fragment is used.
    pub build: Build,
    /// The fragment.
    pub fragment: &'a Linked,
    /// The hook.
    pub hook: &'a Hook,
    /// What the place offers by type.
    pub arguments: &'a Arguments,
    /// The place's parameters by name.
    pub parameters: &'a BTreeMap<String, u8>,
    /// At a return, where the returned value is: behind so many parameters.
    pub returned: Option<u8>,
    /// Values of the collector's options.
    pub constants: BTreeMap<String, u64>,
    /// Addresses of kernel symbols.
    pub symbols: BTreeMap<String, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let place = |text: &str| text.parse::<HookPlace>();
        assert_eq!(
            place("fexit:skb_copy").unwrap(),
            HookPlace { kind: HookKind::Fexit, target: "skb_copy".into() }
        );
        for text in ["fentry:skb_free_head", "fexit:a.isra.0", "tp:skb:kfree_skb"] {
            assert_eq!(place(text).unwrap().to_string(), text);
        }
        for text in ["kprobe:ip_rcv", "skb_copy", "tp:kfree_skb", "fentry:", "fentry:a b", "tp:a:b:c", ""] {
            let error = place(text).unwrap_err().to_string();
            assert!(error.contains("not at `") && error.contains(text), "{error}");
        }
    }
}
