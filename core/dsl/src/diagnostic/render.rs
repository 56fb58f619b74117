//! Diagnostics as text: title, file, line, column, source line, caret, reason and help lines, in the
//! form that compilers have made familiar. `annotate-snippets` draws it; it also counts lines, cuts
//! long ones and makes control characters in a user's text harmless.

use annotate_snippets::{
    AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str as harmless,
};

use super::{Diagnostic, Diagnostics, Severity};

/// Whether ANSI colours are used. Whether the output is a terminal is the caller's knowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colour {
    /// Plain text.
    #[default]
    Never,
    /// With ANSI escape sequences.
    Always,
}

impl Diagnostic {
    /// The text of this one, without a final newline.
    pub fn render(&self, colour: Colour) -> String {
        let renderer = match colour {
            Colour::Never => Renderer::plain(),
            Colour::Always => Renderer::styled(),
        };
        renderer.render(&[self.group()])
    }

    fn group(&self) -> Group<'_> {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        // Words of the user stand in all of these; the snippet itself is made harmless by the renderer.
        let mut group = Group::with_title(level.primary_title(harmless(&self.message)));
        let reason = self.reason.as_deref().map(harmless);
        match &self.source {
            Some(source) => {
                let caret = AnnotationKind::Primary.span(source.span.clone());
                group = group.element(
                    Snippet::source(source.text.as_ref())
                        .path(harmless(&source.name))
                        .annotation(caret.label(reason)),
                );
            }
            None => group = group.elements(reason.map(|text| Level::NOTE.message(text))),
        }
        group.elements(self.hints.iter().map(|hint| Level::HELP.message(harmless(hint))))
    }
}

impl Diagnostics {
    /// The text of all of them, an empty line apart, without a final newline.
    pub fn render(&self, colour: Colour) -> String {
        let texts: Vec<_> = self.iter().map(|d| d.render(colour)).collect();
        texts.join("\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::super::SourceRef;
    use super::*;

    fn verdict() -> Diagnostic {
        let text = "[collect]\nnft_verdicts = [\"dorp\"]\n";
        Diagnostic::unknown("verdict", "dorp", ["accept", "drop"])
            .because("not a verdict of nftables")
            .at(SourceRef::new("mine.toml", text, 26..32))
    }

    #[test]
    fn shows_file_line_column_caret_reason_and_hints() {
        assert_eq!(
            verdict().render(Colour::Never),
            "\
error: unknown verdict `dorp`
 --> mine.toml:2:17
  |
2 | nft_verdicts = [\"dorp\"]
  |                 ^^^^^^ not a verdict of nftables
  |
  = help: did you mean `drop`?
  = help: known: accept, drop"
        );
    }

    #[test]
    fn without_a_place_the_reason_is_a_note() {
        let found =
            Diagnostic::warning("nothing to do").because("no probe is given").hint("give one with `--probe`");
        assert_eq!(
            found.render(Colour::Never),
            "\
warning: nothing to do
 |
 = note: no probe is given
 = help: give one with `--probe`"
        );
    }

    #[test]
    fn an_empty_span_at_the_end_still_has_a_caret() {
        let found = Diagnostic::error("more expected").at(SourceRef::new("probe", "tp:", 3..3));
        let text = found.render(Colour::Never);
        assert!(text.ends_with("1 | tp:\n  |    ^"), "{text}");
    }

    #[test]
    fn an_empty_text_can_be_pointed_at() {
        let found = Diagnostic::error("nothing here").at(SourceRef::new("probe", "", 0..0));
        assert!(found.render(Colour::Never).contains("probe:1:1"));
    }

    #[test]
    fn several_are_shown_an_empty_line_apart() {
        let both: Diagnostics = [verdict(), Diagnostic::error("and this")].into_iter().collect();
        assert!(both.to_string().ends_with("known: accept, drop\n\nerror: and this"));
    }

    #[test]
    fn colours_only_on_request() {
        assert!(!verdict().render(Colour::Never).contains('\x1b'));
        assert!(verdict().render(Colour::Always).contains('\x1b'));
    }

    #[test]
    fn control_characters_of_the_text_do_not_reach_the_terminal() {
        let found = Diagnostic::error("bad \x1b[2J")
            .at(SourceRef::new("a\x1b[31m", "x\x1b[2Jy", 0..1))
            .because("\x1b[0m")
            .hint("\x1b[0m");
        assert!(!found.render(Colour::Never).contains('\x1b'));
    }
}
