//! What is composed to judge a fragment's functions one by one, before they are used among others.

use std::collections::BTreeMap;

use crate::{
    arguments::Arguments,
    fragment::{Fragment, Wants},
    link::Linked,
    shape::Attach,
};

/// A function of a fragment, alone.
pub struct AloneShape<'a> {
    /// How the program is attached, as far as its code depends on it.
    pub attach: Attach,
    /// What the place offers by type; `None` for what may be any number, as at a kprobe.
    pub arguments: Option<&'a Arguments>,
    /// The fragment.
    pub fragment: &'a Linked,
    /// The C function.
    pub function: &'a str,
    /// What it wants to be given.
    pub wants: &'a Wants,
    /// Bytes of the memory that it may write to; `None` for one that is given none.
    pub memory: Option<u32>,
    /// Values of the collector's options.
    pub constants: BTreeMap<String, u64>,
    /// Addresses of kernel symbols.
    pub symbols: BTreeMap<String, u64>,
}

/// A function that is judged alone.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// The C function.
    pub function: &'a str,
    /// What it wants to be given.
    pub wants: &'a Wants,
    /// Bytes of the memory that it may write to.
    pub memory: Option<u32>,
}

impl Fragment {
    /// The functions that run in composed programs, with the memory that is theirs. `option` gives the values of options, which
    /// may bound a section.
    pub fn judged(&self, option: impl Fn(&str) -> Option<u32>) -> Vec<Judged<'_>> {
        let readers = self.readers.iter().map(|reader| {
            let tail = reader.schema.tail().map_or(0, |tail| {
                let bound = reader.tail_max.as_deref().and_then(&option);
                bound.map_or(tail.max, |bound| bound.min(tail.max))
            });
            let memory = Some(reader.schema.size() + tail);
            Judged { function: &reader.function, wants: &reader.wants, memory }
        });
        let accessors = self.accessors.iter().map(|accessor| Judged {
            function: &accessor.function,
            wants: &accessor.wants,
            memory: Some(accessor.size),
        });
        let follow = self.follow.iter().flat_map(|follow| [&follow.note, &follow.asked]);
        let follow = follow.map(|f| Judged { function: &f.function, wants: &f.wants, memory: None });
        readers.chain(accessors).chain(follow).collect()
    }
}
