//! A probe as a profile may ask for it: the first of several places that this kernel has, under a
//! condition on the machine, and with a filter of its own. `kprobe:f` alone is the simplest of them.

use std::fmt;

use super::Probe;
use crate::filter::Filter;
use crate::option::Located;
use crate::when::When;

/// A probe with what a profile may say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSpec {
    /// Where to trace: the first of these that the kernel has. At least one; where one of them may be
    /// missing, all say so.
    pub alternatives: Vec<Located<Probe>>,
    /// What must hold for an event of this probe, and of no other; all of them.
    pub filter: Vec<Located<Filter>>,
    /// The machines that it is for; `None` for all.
    pub when: Option<Located<When>>,
    /// Whether the run goes on where the kernel has none of the alternatives.
    pub optional: bool,
}

impl ProbeSpec {
    /// One place, everywhere, unfiltered.
    pub fn plain(probe: Located<Probe>) -> Self {
        let optional = probe.value.optional;
        Self { alternatives: vec![probe], filter: Vec::new(), when: None, optional }
    }

    /// Its alternatives, for a message.
    pub fn names(&self) -> String {
        let names: Vec<String> = self.alternatives.iter().map(|probe| probe.value.to_string()).collect();
        names.join(" or ")
    }

    /// All its filters as one, as it would be written.
    pub fn filter_text(&self) -> String {
        match &self.filter[..] {
            [only] => only.value.text().to_owned(),
            all => all.iter().map(|one| format!("({})", one.value.text())).collect::<Vec<_>>().join(" and "),
        }
    }

    /// Whether it is no more than one place.
    pub fn is_plain(&self) -> bool {
        self.alternatives.len() == 1 && self.filter.is_empty() && self.when.is_none()
    }

    /// Whether both ask for the same places under the same conditions, whatever the probes' options.
    ///
    /// The same place under other conditions stays a probe of its own: an event is wanted if either
    /// wants it.
    pub fn same_place(&self, other: &Self) -> bool {
        let text = |when: &Option<Located<When>>| when.as_ref().map(|when| when.value.to_string());
        let (a, b) = (&self.alternatives, &other.alternatives);
        a.len() == b.len()
            && a.iter().zip(b).all(|(a, b)| a.value.same_place(&b.value))
            && self.filter.len() == other.filter.len()
            && self.filter.iter().zip(&other.filter).all(|(a, b)| a.value.text() == b.value.text())
            && text(&self.when) == text(&other.when)
    }

    /// Takes over what `other` wants at the same places; see [`Probe::join`].
    pub fn join(&mut self, other: &Self) {
        self.optional &= other.optional;
        for (mine, theirs) in self.alternatives.iter_mut().zip(&other.alternatives) {
            mine.value.join(&theirs.value);
        }
    }
}

/// As it would be written in a profile; a plain one as on the command line.
impl fmt::Display for ProbeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (true, [probe]) = (self.is_plain(), self.alternatives.as_slice()) {
            return write!(f, "{}", probe.value);
        }
        // What is optional is said once, for all of them.
        let texts = self.alternatives.iter().map(|probe| {
            let probe = Probe { optional: false, ..probe.value.clone() };
            format!("'{probe}'")
        });
        let texts: Vec<_> = texts.collect();
        match texts.as_slice() {
            [one] => write!(f, "{{ probe = {one}")?,
            several => write!(f, "{{ any = [{}]", several.join(", "))?,
        }
        if !self.filter.is_empty() {
            write!(f, ", filter = '{}'", self.filter_text())?;
        }
        if let Some(when) = &self.when {
            write!(f, ", when = '{}'", when.value)?;
        }
        if self.optional {
            f.write_str(", optional = true")?;
        }
        f.write_str(" }")
    }
}
