//! Strings in JSON. Names come from whoever may name a task, a device or a chain, and JSON is looked at on terminals
//! too: so besides what has to be escaped, invisible characters are. Programs read the same text either way.

use std::fmt::Write;

use crate::escape::is_invisible;

/// Appends the text in quotes.
pub(super) fn push(out: &mut String, text: &str) {
    out.push('"');
    // Nearly all names.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
        out.push_str(text);
    } else {
        text.chars().for_each(|c| push_char(out, c));
    }
    out.push('"');
}

fn push_char(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if c.is_control() || is_invisible(c) => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // A string takes everything.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_back_is_what_was_there() {
        let all: String = (0..=0x10_ffff).filter_map(char::from_u32).collect();
        for text in ["", "eth0", "a \"b\" \\c", "Ünïcode 中", "\n\r\t\0\x1b[2J\x7f\u{9b}", &all] {
            let mut json = String::new();
            push(&mut json, text);
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            assert!(!json.contains(|c: char| c.is_control() || is_invisible(c)), "{text}");
        }
    }

    #[test]
    fn characters_beyond_16_bits_are_pairs() {
        let mut json = String::new();
        push(&mut json, "a\u{e0041}\u{202e}");
        assert_eq!(json, r#""a\udb40\udc41\u202e""#);
    }
}
