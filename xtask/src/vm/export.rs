//! What other programs read in the files that a case left for them (`$WORK/export.NAME`). tshark and capinfos are not in
//! the guests, which would become far larger by them: they run here, once the guest has sent the files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, bail, ensure};

use super::expect::{Amount, filled, variable, with_variables};
use super::outcome::Outcome;
use crate::command;

/// `tshark NAME ARGUMENT... has REGEX`: a program's reading of a file, and what must be in it.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// `tshark` or `capinfos`.
    program: String,
    /// The file, without `export.`.
    file: String,
    /// What the program gets besides the file.
    arguments: Vec<String>,
    wanted: Wanted,
}

/// What the lines must be that the program prints.
#[derive(Debug, Clone)]
enum Wanted {
    /// `has REGEX`
    Has(String),
    /// `lacks REGEX`
    Lacks(String),
    /// `lines = N`, of those that are not empty; the number may be a variable
    Lines(String),
}

impl Reading {
    /// Reads what follows the program's name: `NAME ARGUMENT... has|lacks REGEX` or `NAME ARGUMENT... lines = N`.
    pub(super) fn parse(program: &str, text: &str) -> Result<Reading> {
        const FORM: &str = "`NAME ARGUMENT... has REGEX`, `... lacks REGEX` or `... lines = N` follows";
        let mut words = Vec::new();
        let mut rest = text;
        let wanted = loop {
            let word;
            (word, rest) = next_word(rest)?.context(FORM)?;
            let after = rest.trim().to_owned();
            match word {
                Word::Plain("has") => break Wanted::Has(after),
                Word::Plain("lacks") => break Wanted::Lacks(after),
                Word::Plain("lines") => {
                    Amount::parse(&variable().replace_all(&after, "1"))?;
                    break Wanted::Lines(after);
                }
                Word::Plain(word) | Word::Quoted(word) => words.push(word.to_owned()),
            }
        };
        ensure!(!matches!(&wanted, Wanted::Has(regex) | Wanted::Lacks(regex) if regex.is_empty()), FORM);
        let mut words = words.into_iter();
        let file = words.next().context(FORM)?;
        Ok(Reading { program: program.to_owned(), file, arguments: words.collect(), wanted })
    }

    /// The regular expression in it, if there is one.
    pub(super) fn pattern(&self) -> &[String] {
        match &self.wanted {
            Wanted::Has(pattern) | Wanted::Lacks(pattern) => std::slice::from_ref(pattern),
            Wanted::Lines(_) => &[],
        }
    }

    /// Runs the program and compares what it prints.
    ///
    /// # Errors
    /// What is not as it should be: also that there is no such file, no such program, or that it failed.
    pub(super) fn check(&self, seen: &Outcome) -> Result<(), String> {
        let bytes = seen.exports.get(&self.file).ok_or_else(|| {
            let there: Vec<_> = seen.exports.keys().map(String::as_str).collect();
            format!("the case left no file export.{}; those it left: {}", self.file, there.join(", "))
        })?;
        let arguments = self
            .arguments
            .iter()
            .map(|argument| with_variables(argument, seen, str::to_owned))
            .collect::<Result<Vec<_>, _>>()?;
        let printed = self.read(bytes, &arguments).map_err(|error| format!("{error:#}"))?;
        let what = format!("{} of export.{}", self.program, self.file);
        let so = match &self.wanted {
            Wanted::Has(pattern) => {
                let regex = filled(pattern, seen)?;
                let there = printed.lines().any(|line| regex.is_match(line));
                if there { Ok(()) } else { Err(format!("expected a line of {what} that matches `{regex}`")) }
            }
            Wanted::Lacks(pattern) => {
                let regex = filled(pattern, seen)?;
                let there = printed.lines().any(|line| regex.is_match(line));
                if there { Err(format!("expected no line of {what} that matches `{regex}`")) } else { Ok(()) }
            }
            Wanted::Lines(amount) => {
                let amount = Amount::parse(&with_variables(amount, seen, str::to_owned)?)
                    .map_err(|error| format!("{error:#}"))?;
                amount.check(
                    printed.lines().filter(|line| !line.is_empty()).count(),
                    &format!("lines of {what}"),
                )
            }
        };
        so.map_err(|text| {
            let printed: String = printed.lines().take(LINES).map(|line| format!("\n  | {line}")).collect();
            format!("{text}; it printed{}", if printed.is_empty() { " nothing" } else { &printed })
        })
    }

    fn read(&self, bytes: &[u8], arguments: &[String]) -> Result<String> {
        // Before anything else, so that who lacks it is told how to get it.
        let mut program = command::program(&self.program)?;
        let file = Copy::of(bytes)?;
        match self.program.as_str() {
            // No look-ups of names; it warns of running as root, on its other stream.
            "tshark" => program.arg("-n").args(arguments).arg("-r").arg(&file.path),
            _ => program.args(arguments).arg(&file.path),
        };
        command::output(&mut program)
    }
}

/// As many lines of what a program printed are shown.
const LINES: usize = 40;

/// One word of an expectation.
enum Word<'w> {
    Plain(&'w str),
    Quoted(&'w str),
}

/// The next word and what follows it. Quoted words, `'...'` or `"..."`, may have spaces and the other quotes in them.
fn next_word(text: &str) -> Result<Option<(Word<'_>, &str)>> {
    let text = text.trim_start();
    let Some(first) = text.chars().next() else { return Ok(None) };
    if matches!(first, '\'' | '"') {
        let (word, rest) =
            text[1..].split_once(first).with_context(|| format!("`{text}` lacks its second {first}"))?;
        if !(rest.is_empty() || rest.starts_with(' ')) {
            bail!("a space follows a quoted word, not `{rest}`");
        }
        return Ok(Some((Word::Quoted(word), rest)));
    }
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    Ok(Some((Word::Plain(word), rest)))
}

/// A file for as long as a program reads it.
struct Copy {
    path: PathBuf,
}

impl Copy {
    fn of(bytes: &[u8]) -> Result<Copy> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        // Beside this program, where nobody else writes.
        let program = std::env::current_exe().context("cannot tell where this program stands")?;
        let folder = program.parent().unwrap_or(Path::new("."));
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("export-{}-{number}", std::process::id()));
        let copy = Copy { path };
        fs::write(&copy.path, bytes).with_context(|| format!("cannot write {}", copy.path.display()))?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // Left behind, it is a file in the target folder.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An Ethernet frame with a UDP datagram of four bytes, in a capture file of the old format.
    fn capture() -> Vec<u8> {
        let mut file = Vec::new();
        file.extend([0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0]);
        file.extend([1, 0, 0, 0, 0, 0, 0, 0, 46, 0, 0, 0, 46, 0, 0, 0]);
        file.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
        file.extend([0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        file.extend([0x13, 0x88, 0x27, 0x0f, 0, 12, 0, 0, 1, 2, 3, 4]);
        file
    }

    fn seen() -> Outcome {
        Outcome {
            exports: [("x.pcap".to_owned(), capture())].into(),
            variables: [("PORT", "9999"), ("ONE", "1")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..Outcome::default()
        }
    }

    fn check(line: &str) -> Result<(), String> {
        let (program, rest) = line.split_once(' ').unwrap();
        Reading::parse(program, rest).unwrap().check(&seen())
    }

    fn here() -> bool {
        command::program("tshark").is_ok()
    }

    #[test]
    fn words_are_read_and_those_in_quotes_are_no_verbs() {
        let Reading { file, arguments, wanted, .. } =
            Reading::parse("tshark", "x -Y 'a == \"b c\"' 'has' -e  f has ^a lacks b$").unwrap();
        assert_eq!(
            (file.as_str(), arguments),
            ("x", ["-Y", "a == \"b c\"", "has", "-e", "f"].map(str::to_owned).into())
        );
        assert!(matches!(wanted, Wanted::Has(pattern) if pattern == "^a lacks b$"));
        for line in ["", "has x", "x", "x has", "x -e 'f has y", "x 'a'b has y", "x lines 3", "x lines = y"] {
            assert!(Reading::parse("tshark", line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_and_an_unknown_variable_are_told() {
        let error = check("tshark y has .").unwrap_err();
        assert_eq!(error, "the case left no file export.y; those it left: x.pcap");
        let error = check("tshark x.pcap -Y $NO has .").unwrap_err();
        assert!(error.contains("no variable $NO"), "{error}");
    }

    #[test]
    fn a_missing_program_says_how_to_get_it() {
        let reading = Reading::parse("no-such-program", "x.pcap has .").unwrap();
        let error = reading.check(&seen()).unwrap_err();
        assert!(error.contains("`cargo xtask setup` installs it"), "{error}");
    }

    #[test]
    fn programs_read_the_file() {
        if !here() {
            return;
        }
        check("tshark x.pcap -T fields -e udp.dstport has ^$PORT$").unwrap();
        check("tshark x.pcap -Y 'udp.dstport == $PORT and ip.src == 10.0.0.1' lines = 1").unwrap();
        check("tshark x.pcap -Y tcp lines = 0").unwrap();
        check("tshark x.pcap lines = $ONE").unwrap();
        check("capinfos x.pcap -c has ^Number of packets: +1$").unwrap();
        for (line, reason) in [
            (
                "tshark x.pcap -T fields -e udp.dstport lacks 99",
                "expected no line of tshark of export.x.pcap that matches `99`; it printed\n  | 9999",
            ),
            ("tshark x.pcap -Y tcp has .", "it printed nothing"),
            ("tshark x.pcap lines = 2", "expected 2 lines of tshark of export.x.pcap, and there are 1"),
            ("tshark x.pcap -Y 'no.such == 1' lines = 0", "failed: exit status"),
        ] {
            let error = check(line).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        let broken = Outcome { exports: [("x.pcap".to_owned(), vec![7; 100])].into(), ..Outcome::default() };
        let error = Reading::parse("capinfos", "x.pcap has .").unwrap().check(&broken).unwrap_err();
        assert!(error.contains("failed"), "{error}");
    }
}
