//! Texts: they end at the first NUL, or where their memory ends. Known texts and beginnings are compared in words; what
//! is behind a text's end is never equal to a letter, so it may be anything.

use tracer_bpf::{
    Assembler,
    insn::{Cond, Label, Width},
};
use tracer_dsl::filter::{is_like, tree::Order};

use super::bytes::{any, equal};
use super::glob::Automaton;
use super::value::{Memory, never};

/// Where a text ends if at no NUL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// After so many bytes.
    pub(super) cap: u32,
    /// What is read behind one that long.
    pub(super) tail: &'static str,
}

/// A comparison of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextTest {
    end: End,
    order: Order,
    texts: Vec<String>,
    /// What patterns come to; one for each text.
    patterns: Vec<Pattern>,
}

/// A pattern of `=~`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    /// No wildcards.
    Exactly(String),
    /// `veth*`
    Prefix(String),
    /// All else.
    Any(Automaton),
}

impl TextTest {
    /// The longest memory that a pattern is looked for in.
    pub(super) const MOST: u32 = 256;

    /// # Errors
    /// What is too long, and how long it may be.
    pub(super) fn new(end: End, order: Order, texts: Vec<String>) -> Result<Self, String> {
        let mut patterns = Vec::new();
        if order == Order::Like {
            for text in &texts {
                patterns.push(Pattern::new(text)?);
            }
            // A text that is known beforehand is never looked for by BPF.
            let searches = patterns.iter().any(|pattern| matches!(pattern, Pattern::Any(_)));
            if searches && end.cap > Self::MOST && end.cap != u32::MAX {
                let (cap, most) = (end.cap, Self::MOST);
                return Err(format!("a pattern takes texts of at most {most} bytes, and this one has {cap}"));
            }
        }
        Ok(Self { end, order, texts, patterns })
    }

    /// How many patterns are searched for, and how many texts there are.
    pub(super) fn counts(&self) -> (usize, usize) {
        let searched = self.patterns.iter().filter(|pattern| matches!(pattern, Pattern::Any(_)));
        (searched.count(), self.texts.len())
    }

    pub(super) fn holds(&self, text: &str) -> bool {
        match self.order {
            Order::Like => self.texts.iter().any(|pattern| is_like(text, pattern)),
            Order::Unequal => self.texts.iter().all(|other| other != text),
            _ => self.texts.iter().any(|other| other == text),
        }
    }

    /// Bytes that it needs to see.
    pub(super) fn looks_at(&self) -> u32 {
        let with_end = |text: &String| u32::try_from(text.len() + 1).unwrap_or(u32::MAX);
        let longest = match self.order {
            Order::Like => self
                .patterns
                .iter()
                .map(|pattern| match pattern {
                    Pattern::Exactly(text) => with_end(text),
                    Pattern::Prefix(text) => u32::try_from(text.len()).unwrap_or(u32::MAX),
                    Pattern::Any(_) => Self::MOST,
                })
                .max(),
            _ => self.texts.iter().map(with_end).max(),
        };
        longest.unwrap_or(0).min(self.end.cap)
    }

    pub(super) fn emit(&self, asm: &mut Assembler, at: Memory, otherwise: Label) {
        let end = self.end;
        if self.order != Order::Like {
            let negated = self.order == Order::Unequal;
            return any(asm, &self.texts, negated, otherwise, |asm, text, miss| {
                same(asm, at, end, text, miss);
            });
        }
        any(asm, &self.patterns, false, otherwise, |asm, pattern, miss| match pattern {
            Pattern::Exactly(text) => same(asm, at, end, text, miss),
            Pattern::Prefix(text) => match end.inside(text) {
                Some(inside) => equal(asm, at, inside.as_bytes(), miss),
                None => never(asm, miss),
            },
            Pattern::Any(automaton) => automaton.emit(asm, at, end.cap.min(Self::MOST), end.tail, miss),
        });
    }
}

/// Goes on where this is the text.
fn same(asm: &mut Assembler, at: Memory, end: End, text: &str, miss: Label) {
    let Some(inside) = end.inside(text) else { return never(asm, miss) };
    let full = inside.len() == end.cap as usize;
    if full && text.len() != inside.len() + end.tail.len() {
        return never(asm, miss);
    }
    equal(asm, at, inside.as_bytes(), miss);
    if !full {
        asm.load(Width::B1, 1, at.register, at.behind(text.len()).offset);
        asm.jump_if(Cond::Ne, 1, 0, miss);
    }
}

impl End {
    /// What has to be in memory for the text to begin like this; `None` where it cannot.
    fn inside(self, text: &str) -> Option<&str> {
        let inside = match text.split_at_checked(self.cap as usize) {
            Some((inside, rest)) if rest.is_empty() || rest == self.tail => inside,
            None if text.len() < self.cap as usize => text,
            _ => return None,
        };
        (!text.contains('\0')).then_some(inside)
    }
}

impl Pattern {
    fn new(text: &str) -> Result<Self, String> {
        let end = text.find(['*', '?']).unwrap_or(text.len());
        let (known, rest) = text.split_at(end);
        match rest.trim_end_matches('*') {
            "" if rest.is_empty() => Ok(Self::Exactly(known.to_owned())),
            "" => Ok(Self::Prefix(known.to_owned())),
            _ => Automaton::new(text).map(Self::Any),
        }
    }
}
