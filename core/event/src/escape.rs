//! Names come from whoever may name a task, a device or a chain. Printed as they are, they could break a line in two,
//! repaint a terminal or turn text around, so what is not plainly visible is spelled out.

use std::fmt::{self, Write};

/// Text with control characters, invisible characters and `\` spelled out: `\n`, `\x1b`, `\u{202e}`, `\\`.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nearly every name is plain, and is written as a whole.
        if self.0.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'\\') {
            return f.write_str(self.0);
        }
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                c if c.is_control() || is_invisible(c) => write!(f, "{}", c.escape_unicode())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

impl Escaped<'_> {
    pub(crate) fn push(self, out: &mut String) {
        // Nearly all names.
        if self.0.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'\\') {
            out.push_str(self.0);
        } else {
            // A string takes everything.
            let _ = write!(out, "{self}");
        }
    }
}

/// Characters that reorder or hide others: direction marks, zero-width and line separators, tags.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_spelled_out() {
        let escaped = |text| {
            let mut pushed = String::new();
            Escaped(text).push(&mut pushed);
            assert_eq!(pushed, Escaped(text).to_string());
            pushed
        };
        assert_eq!(escaped("eth0.5@if7"), "eth0.5@if7");
        assert_eq!(escaped("Ünïcode 中"), "Ünïcode 中");
        assert_eq!(escaped("a\nb\t\r"), "a\\nb\\t\\r");
        assert_eq!(escaped("\x1b[2J\x7f\0"), "\\x1b[2J\\x7f\\x00");
        assert_eq!(escaped("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(escaped("a\u{202e}b\u{200b}"), "a\\u{202e}b\\u{200b}");
        assert_eq!(escaped("a\\nb"), "a\\\\nb");
    }
}
