//! Stacks that were rendered before. A busy probe is hit by a few paths through the kernel over and over, and twenty
//! names take longer to find and print than all the rest of an event, so their text is kept.

use std::fmt;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::stack::Frame;
use crate::{Event, Trim};

/// The texts of stacks, for one rendering and one source of symbols. The memory they take is bounded.
pub(crate) struct Stacks {
    known: HashTable<Known>,
    hasher: DefaultHashBuilder,
    /// Of all that is known.
    bytes: usize,
}

/// All that a stack's text depends on besides the symbols, and the text.
struct Known {
    hash: u64,
    addresses: Box<[u8]>,
    trim: Trim,
    text: Box<str>,
}

impl Stacks {
    /// Room for some thousand stacks. When it is used up, all are forgotten: those that matter are soon back.
    const MAX_BYTES: usize = 8 << 20;
    /// A stack above this is not a usual one, and not kept.
    const MAX_STACK: usize = 64 << 10;

    pub(crate) fn new() -> Stacks {
        Stacks { known: HashTable::new(), hasher: DefaultHashBuilder::default(), bytes: 0 }
    }

    /// Appends the text of the event's stack; `render` makes it of the frames worth reading.
    pub(crate) fn push(
        &mut self,
        out: &mut String,
        event: &Event<'_>,
        render: impl FnOnce(&mut String, &[Frame<'_>]),
    ) {
        let addresses = event.record.stack_bytes();
        let trim = &event.probe.trim;
        let hash = self.hasher.hash_one(addresses);
        let is_same = |known: &Known| *known.addresses == *addresses && known.trim == *trim;
        if let Some(known) = self.known.find(hash, is_same) {
            out.push_str(&known.text);
            return;
        }
        let frames = trim.frames(event.record.stack(), event.context.symbols);
        let start = out.len();
        render(out, &frames);
        let text = out.get(start..).unwrap_or_default();
        // An address without a name may get one when its module is there.
        if frames.iter().all(|frame| frame.symbol.is_some()) {
            self.keep(Known { hash, addresses: addresses.into(), trim: trim.clone(), text: text.into() });
        }
    }

    fn keep(&mut self, known: Known) {
        let bytes = known.bytes();
        if bytes > Stacks::MAX_STACK {
            return;
        }
        if self.bytes + bytes > Stacks::MAX_BYTES {
            self.known.clear();
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.known.insert_unique(known.hash, known, |known| known.hash);
    }
}

impl Known {
    fn bytes(&self) -> usize {
        let function = match &self.trim {
            Trim::Entry(function) | Trim::Return(function) => function.len(),
            Trim::Machinery => 0,
        };
        size_of::<Known>() + self.addresses.len() + function + self.text.len()
    }
}

impl fmt::Debug for Stacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stacks").field("known", &self.known.len()).field("bytes", &self.bytes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, ProbeInfo, Record, Symbol, Symbols, sample};
    use std::{cell::Cell, sync::Arc};

    /// Counts how often it is asked; knows addresses from 1 on.
    #[derive(Default)]
    struct Asked(Cell<u32>);

    impl Symbols for Asked {
        fn resolve(&self, address: u64) -> Option<Symbol<'_>> {
            self.0.set(self.0.get() + 1);
            (address != 0).then(|| Symbol { name: format!("f{address}").into(), offset: 0 })
        }
    }

    fn push(stacks: &mut Stacks, asked: &Asked, trim: Trim, addresses: &[u64]) -> String {
        let probe =
            ProbeInfo { trim, layout: Arc::new(crate::Layout::new(vec![]).unwrap()), ..sample::probe() };
        let bytes = sample::Bytes::new(&probe.layout).stack(addresses).finish();
        let record = Record::parse(&bytes, &probe.layout).unwrap();
        let context = Context { symbols: asked, ..sample::CONTEXT };
        let mut out = "<".to_owned();
        stacks.push(&mut out, &Event { record, probe: &probe, context: &context }, |out, frames| {
            for frame in frames {
                out.push_str(frame.symbol.as_ref().map_or("?", |symbol| &*symbol.name));
            }
        });
        out.split_off(1)
    }

    #[test]
    fn a_stack_is_rendered_once() {
        let (mut stacks, asked) = (Stacks::new(), Asked::default());
        for _ in 0..3 {
            assert_eq!(push(&mut stacks, &asked, Trim::Machinery, &[1, 2]), "f1f2");
        }
        assert_eq!(asked.0.get(), 2);
        assert_eq!(push(&mut stacks, &asked, Trim::Machinery, &[2, 1]), "f2f1");
        assert_eq!(push(&mut stacks, &asked, Trim::Machinery, &[1]), "f1");
    }

    #[test]
    fn another_probe_may_show_less_of_it() {
        let (mut stacks, asked) = (Stacks::new(), Asked::default());
        for _ in 0..2 {
            assert_eq!(push(&mut stacks, &asked, Trim::Entry("f1".into()), &[1, 2]), "f1f2");
            assert_eq!(push(&mut stacks, &asked, Trim::Entry("f2".into()), &[1, 2]), "f2");
            assert_eq!(push(&mut stacks, &asked, Trim::Return("f1".into()), &[1, 2]), "f2");
        }
        assert_eq!(asked.0.get(), 6);
    }

    #[test]
    fn an_address_without_a_name_is_asked_for_again() {
        let (mut stacks, asked) = (Stacks::new(), Asked::default());
        for _ in 0..2 {
            assert_eq!(push(&mut stacks, &asked, Trim::Entry("f1".into()), &[1, 0]), "f1?");
        }
        assert_eq!(asked.0.get(), 4);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut stacks, asked) = (Stacks::new(), Asked::default());
        for first in 1..10_000 {
            push(&mut stacks, &asked, Trim::Machinery, &[first; 100]);
            assert!(stacks.bytes <= Stacks::MAX_BYTES);
        }
        let known: usize = stacks.known.iter().map(Known::bytes).sum();
        assert_eq!(stacks.bytes, known);
        assert!(stacks.known.len() > 1000 && stacks.known.len() < 9_000, "{stacks:?}");
        // One that is larger than any of the kernel's.
        let before = stacks.bytes;
        push(&mut stacks, &asked, Trim::Machinery, &[1; 10_000]);
        assert_eq!(stacks.bytes, before);
    }
}
