//! A user's mistake is a value: what is wrong, where it stands, why, and what to write instead.
//! Readers collect several of them before giving up, so one run shows everything there is to fix;
//! tests compare them field by field, and only the outermost caller turns them into text.

mod render;
mod suggest;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use render::Colour;
pub use suggest::suggest;

/// One thing that is wrong, or doubtful, in what the user wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the run can go on.
    pub severity: Severity,
    /// What is wrong, in one line, with the words at fault in backquotes.
    pub message: String,
    /// Where it stands; `None` for what has no text, such as a missing option.
    pub source: Option<SourceRef>,
    /// Why it is wrong; shown beside the caret.
    pub reason: Option<String>,
    /// What would be right; one `help:` line each.
    pub hints: Vec<String>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth saying; the run goes on.
    Warning,
    /// The run cannot start.
    Error,
}

impl Diagnostic {
    /// An error without a place, reason or hint yet.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message.into())
    }

    /// A warning without a place, reason or hint yet.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message.into())
    }

    fn new(severity: Severity, message: String) -> Self {
        Self { severity, message, source: None, reason: None, hints: Vec::new() }
    }

    /// An error for a `word` that is none of the `known` ones: names the nearest and lists all.
    ///
    /// `what` is the singular of what was expected there, such as `probe option`.
    pub fn unknown<'a>(
        what: &str,
        word: &str,
        known: impl IntoIterator<Item = &'a str, IntoIter: Clone>,
    ) -> Self {
        let known = known.into_iter();
        let nearest = suggest(word, known.clone()).map(|near| format!("did you mean `{near}`?"));
        let all = known.collect::<Vec<_>>().join(", ");
        let mut diagnostic = Self::error(format!("unknown {what} `{word}`"));
        diagnostic.hints.extend(nearest);
        if !all.is_empty() {
            diagnostic.hints.push(format!("known: {all}"));
        }
        diagnostic
    }

    /// The same, pointing at `source`.
    #[must_use]
    pub fn at(mut self, source: SourceRef) -> Self {
        self.source = Some(source);
        self
    }

    /// The same, with the reason shown beside the caret.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The same, with one more hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same, for a text that was read on its own but stands at `place` in a larger one: a probe
    /// string inside a profile. See [`SourceRef::within`].
    #[must_use]
    pub fn rebase(mut self, place: &SourceRef) -> Self {
        if let Some(inner) = self.source.take() {
            self.source = Some(place.within(&inner.text, inner.span));
        }
        self
    }
}

/// A place in a text that the user wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRef {
    /// The file, or what else holds the text, such as [`SourceRef::COMMAND_LINE`].
    pub name: String,
    /// The whole text, so that the line can be shown and counted.
    pub text: Arc<str>,
    /// The bytes of `text` that are meant; empty for a place between two bytes.
    pub span: Range<usize>,
}

impl SourceRef {
    /// The name of the command line as the holder of a text.
    pub const COMMAND_LINE: &str = "command line";

    /// The bytes `span` of `text`, which is called `name`.
    pub fn new(name: impl Into<String>, text: impl Into<Arc<str>>, span: Range<usize>) -> Self {
        Self { name: name.into(), text: text.into(), span }
    }

    /// An option as it is given on the command line, pointing at its value.
    ///
    /// The text is `--name value`, however the user spelled it (`-P value`, `--probe=value`).
    pub fn command_line(name: &str, value: &str) -> Self {
        let text = format!("--{name} {value}");
        let span = text.len() - value.len()..text.len();
        Self::new(Self::COMMAND_LINE, text, span)
    }

    /// The text at the place; empty where the span does not lie in the text.
    pub fn fragment(&self) -> &str {
        self.text.get(self.span.clone()).unwrap_or_default()
    }

    /// The place of `inner`, a span of `content`, where `content` is what stands at this place.
    ///
    /// Where the text spells `content` differently (a TOML string with escapes), bytes cannot be
    /// matched and the answer is this whole place.
    #[must_use]
    pub fn within(&self, content: &str, inner: Range<usize>) -> Self {
        let mut place = self.clone();
        if self.fragment() == content {
            place.span = self.span.start + inner.start..self.span.start + inner.end;
        }
        place
    }
}

/// Everything found wrong in one go. As an error value it is never empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Nothing found yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Keeps the value of a reader, or what it found wrong.
    pub fn take<T>(&mut self, result: Result<T, Diagnostics>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(found) => {
                self.extend(found);
                None
            }
        }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many were found.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether one of them keeps the run from starting.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }

    /// In the order found.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// `value` where nothing was found.
    ///
    /// # Errors
    /// These diagnostics, where there are any.
    pub fn or_value<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }

    /// All of them moved to where the text they are about stands. See [`Diagnostic::rebase`].
    #[must_use]
    pub fn rebase(self, place: &SourceRef) -> Self {
        self.into_iter().map(|d| d.rebase(place)).collect()
    }

    /// In the order of the places they point at; those without a place come first.
    pub(crate) fn sort_by_place(&mut self) {
        self.0.sort_by_key(|d| d.source.as_ref().map(|source| source.span.start));
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, iter: I) {
        self.0.extend(iter);
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The full text with source lines and carets, without colours.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Colour::Never))
    }
}

impl std::error::Error for Diagnostics {}
