//! What plugins want the user to be told: so many lines in a second, and the number of the others.

use std::time::{Duration, Instant};

use tracer_event::Escaped;
use tracer_plugin_abi::c;

/// Lines that a plugin may tell the user in a second.
const LINES: u32 = 10;
/// Characters of such a line.
const LINE: usize = 400;

/// The lines of one plugin.
#[derive(Debug, Default)]
pub(super) struct Said {
    lines: Vec<String>,
    since: Option<Instant>,
    in_second: u32,
    left_out: u64,
}

impl Said {
    /// Takes a line: a byte for how much it matters, then the text.
    pub(super) fn add(&mut self, payload: &[u8]) {
        let Some((level, text)) = payload.split_first() else { return };
        if self.since.is_none_or(|since| since.elapsed() >= Duration::from_secs(1)) {
            (self.since, self.in_second) = (Some(Instant::now()), 0);
        }
        if self.in_second >= LINES {
            self.left_out += 1;
            return;
        }
        self.in_second += 1;
        let text = String::from_utf8_lossy(text);
        let text: String = text.trim_end().chars().take(LINE).collect();
        let level = match u32::from(*level) {
            c::LOG_WARNING => "warning: ",
            c::LOG_DEBUG => "debug: ",
            _ => "",
        };
        self.lines.push(format!("{level}{}", Escaped(&text)));
    }

    /// What there is to tell.
    pub(super) fn take(&mut self) -> Vec<String> {
        let is_over = self.since.is_none_or(|since| since.elapsed() >= Duration::from_secs(1));
        if is_over { self.rest() } else { std::mem::take(&mut self.lines) }
    }

    /// The same, where nothing more is to come: those that were left out are told of now.
    pub(super) fn rest(&mut self) -> Vec<String> {
        let mut lines = std::mem::take(&mut self.lines);
        if self.left_out > 0 {
            lines.push(format!("{} more lines were left out", std::mem::take(&mut self.left_out)));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_few_and_harmless() {
        let mut said = Said::default();
        said.add(&[]);
        said.add(b"\x02\x1b[2Jcannot\n");
        said.add(&[b"\x01", "\u{e4}".repeat(1000).as_bytes()].concat());
        let lines = said.take();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("warning: ") && !lines[0].contains('\x1b'), "{lines:?}");
        assert_eq!(lines[1], "\u{e4}".repeat(LINE));
        for _ in 0..100 {
            said.add(b"\x01again");
        }
        assert_eq!(said.take().len(), 8, "of this second");
        assert_eq!(said.rest(), ["92 more lines were left out"]);
        assert!(said.rest().is_empty());
    }
}
