//! Patterns of `=~`: `*` stands for any characters, `?` for one, all else for itself. Two indices and a way back suffice,
//! so no pattern takes more than the product of both lengths. What BPF makes of a pattern is in `tracer-compose`.

/// Whether all of `text` is like `pattern`; characters count, not bytes.
pub fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut t, mut p) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                back = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                t += 1;
                p += 1;
            }
            _ => match back {
                // The last `*` takes one character more.
                Some((star, taken)) => {
                    back = Some((star, taken + 1));
                    (p, t) = (star + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn patterns() {
        for (text, pattern) in [
            ("veth0", "veth*"),
            ("veth0", "*0"),
            ("veth0", "v?th?"),
            ("", "*"),
            ("abcabd", "*ab?"),
            ("ü", "?"),
        ] {
            assert!(is_like(text, pattern), "{text} {pattern}");
        }
        for (text, pattern) in [("veth0", "veth"), ("eth0", "v*"), ("", "?"), ("abc", "a*b"), ("[a]", "[a")] {
            assert!(!is_like(text, pattern), "{text} {pattern}");
        }
    }
}
