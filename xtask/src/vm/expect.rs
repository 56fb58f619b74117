//! The `[expect]` part of a case: what must be seen in what the tracer printed, with the variables that the case's own
//! shell parts have set in place of their names.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail, ensure};
use regex_lite::{Captures, Regex, escape};

use super::export::Reading;
use super::outcome::Outcome;

/// One thing that must be so.
#[derive(Debug, Clone)]
pub(crate) struct Expectation {
    /// The line of the case file.
    line: usize,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    /// `exit N`
    Exit(i32),
    /// `stdout has REGEX`, `stderr lacks REGEX`
    Text { stream: Stream, has: bool, pattern: String },
    /// `count REGEX = N`: lines of stdout
    Count { pattern: String, amount: Amount },
    /// `events = N`
    Events(Amount),
    /// `event`, then indented lines: one event has lines that match these, in this order
    Event(Vec<String>),
    /// `tshark NAME ARGUMENT... has REGEX`: what another program reads in a file that the case left
    Reading(Reading),
}

#[derive(Debug, Clone, Copy)]
enum Stream {
    Out,
    Err,
}

/// A number, or the least one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amount {
    number: usize,
    at_least: bool,
}

impl Expectation {
    /// Read the numbered lines of an `[expect]` section.
    pub(crate) fn parse(lines: &[(usize, &str)]) -> Result<Vec<Expectation>> {
        let mut all: Vec<Expectation> = Vec::new();
        for &(number, line) in lines {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with([' ', '\t']) {
                let Some(Expectation { what: What::Event(patterns), .. }) = all.last_mut() else {
                    bail!("line {number}: an indented line belongs to `event`, and none stands before it");
                };
                patterns.push(line.trim().to_owned());
            } else {
                let what =
                    What::parse(line.trim_end()).with_context(|| format!("line {number}: `{line}`"))?;
                all.push(Expectation { line: number, what });
            }
        }
        for expectation in &all {
            let empty = matches!(&expectation.what, What::Event(patterns) if patterns.is_empty());
            ensure!(!empty, "line {}: no indented lines follow `event`", expectation.line);
            // Variables aside, a pattern must be one before a guest is started for it.
            for pattern in expectation.what.patterns() {
                Regex::new(&variable().replace_all(pattern, "x")).with_context(|| {
                    format!("line {}: `{pattern}` is no regular expression", expectation.line)
                })?;
            }
        }
        Ok(all)
    }

    /// Compare with what was seen; the text says what was expected and what there is instead.
    ///
    /// # Errors
    /// The text, when it is not so.
    pub(crate) fn check(&self, seen: &Outcome) -> Result<(), String> {
        let with_line = |text: String| format!("line {}: {text}", self.line);
        self.what.check(seen).map_err(with_line)
    }
}

impl What {
    fn parse(line: &str) -> Result<What> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            "exit" => Ok(What::Exit(rest.parse().context("`exit` is followed by a number")?)),
            "stdout" | "stderr" => {
                let stream = if word == "stdout" { Stream::Out } else { Stream::Err };
                let (verb, pattern) =
                    rest.split_once(' ').context("`has` or `lacks` and a regular expression follow")?;
                let has = match verb {
                    "has" => true,
                    "lacks" => false,
                    _ => bail!("`{verb}` is neither `has` nor `lacks`"),
                };
                Ok(What::Text { stream, has, pattern: pattern.trim().to_owned() })
            }
            "count" => {
                let at = rest.rfind('=').context("`count REGEX = N` or `count REGEX >= N`")?;
                let (pattern, amount) = rest.split_at(if rest[..at].ends_with('>') { at - 1 } else { at });
                Ok(What::Count { pattern: pattern.trim().to_owned(), amount: Amount::parse(amount)? })
            }
            "events" => Ok(What::Events(Amount::parse(rest)?)),
            "event" if rest.is_empty() => Ok(What::Event(Vec::new())),
            "tshark" | "capinfos" => Ok(What::Reading(Reading::parse(word, rest)?)),
            _ => bail!(
                "there is no such expectation: there are exit, stdout, stderr, count, events, event, tshark, capinfos"
            ),
        }
    }

    fn patterns(&self) -> &[String] {
        match self {
            What::Text { pattern, .. } | What::Count { pattern, .. } => std::slice::from_ref(pattern),
            What::Event(patterns) => patterns,
            What::Reading(reading) => reading.pattern(),
            What::Exit(_) | What::Events(_) => &[],
        }
    }

    fn check(&self, seen: &Outcome) -> Result<(), String> {
        match self {
            What::Exit(status) => match seen.exit {
                Some(exit) if exit == *status => Ok(()),
                Some(exit) => Err(format!("expected exit status {status}, and it was {exit}")),
                None => Err(format!("expected exit status {status}, and the tracer did not end")),
            },
            What::Text { stream, has, pattern } => {
                let (name, text) = match stream {
                    Stream::Out => ("stdout", &seen.stdout),
                    Stream::Err => ("stderr", &seen.stderr),
                };
                let regex = filled(pattern, seen)?;
                match (text.lines().find(|line| regex.is_match(line)), has) {
                    (None, true) => {
                        Err(format!("expected a line in {name} that matches `{regex}`, and there is none"))
                    }
                    (Some(line), false) => Err(format!(
                        "expected no line in {name} that matches `{regex}`, and there is `{line}`"
                    )),
                    _ => Ok(()),
                }
            }
            What::Count { pattern, amount } => {
                let regex = filled(pattern, seen)?;
                amount.check(
                    seen.stdout.lines().filter(|line| regex.is_match(line)).count(),
                    &format!("lines that match `{regex}`"),
                )
            }
            What::Events(amount) => amount.check(events(&seen.stdout).len(), "events"),
            What::Event(patterns) => event(patterns, seen),
            What::Reading(reading) => reading.check(seen),
        }
    }
}

/// Whether some event has lines that match, in order. If none has, the text shows how far the best one went.
fn event(patterns: &[String], seen: &Outcome) -> Result<(), String> {
    let regexes = patterns.iter().map(|pattern| filled(pattern, seen)).collect::<Result<Vec<_>, _>>()?;
    let mut best = (0, "");
    for event in events(&seen.stdout) {
        let mut lines = event.lines();
        let found = regexes.iter().take_while(|regex| lines.any(|line| regex.is_match(line))).count();
        if found == regexes.len() {
            return Ok(());
        }
        if found >= best.0 {
            best = (found, event);
        }
    }
    let mut text = format!("expected an event with a line that matches `{}`", regexes[best.0]);
    if best.0 > 0 {
        let _ = write!(text, " below lines that match the {} before", best.0);
    }
    if best.1.is_empty() {
        text.push_str(", and there is no event at all");
    } else {
        let _ = write!(text, "; the one that comes closest:\n{}", best.1.trim_end());
    }
    Err(text)
}

/// Events in the text form: a line at the margin, and the indented lines below it.
fn events(text: &str) -> Vec<&str> {
    let mut starts: Vec<usize> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if !line.starts_with([' ', '\t', '\n']) {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(&start, end)| &text[start..end]).collect()
}

/// A pattern with the case's variables filled in, each as plain text.
pub(super) fn filled(pattern: &str, seen: &Outcome) -> Result<Regex, String> {
    let text = with_variables(pattern, seen, escape)?;
    Regex::new(&text).map_err(|error| format!("`{text}` is no regular expression: {error}"))
}

/// A text with the case's variables filled in, each as `write` writes it.
pub(super) fn with_variables(
    text: &str,
    seen: &Outcome,
    write: impl Fn(&str) -> String,
) -> Result<String, String> {
    let mut unknown = None;
    let text = variable().replace_all(text, |found: &Captures<'_>| match seen.variables.get(&found[1]) {
        Some(value) => write(value),
        None => {
            unknown = Some(found[1].to_owned());
            String::new()
        }
    });
    match unknown {
        Some(name) => Err(format!("the case's shell parts set no variable ${name}")),
        None => Ok(text.into_owned()),
    }
}

/// `$NAME`: an upper-case name, so that `$` at a pattern's end stays what it is.
pub(super) fn variable() -> Regex {
    Regex::new(r"\$([A-Z][A-Z0-9_]*)").expect("the expression is a constant")
}

impl Amount {
    pub(super) fn parse(text: &str) -> Result<Amount> {
        let text = text.trim();
        let (number, at_least) = match (text.strip_prefix(">="), text.strip_prefix('=')) {
            (Some(number), _) => (number, true),
            (_, Some(number)) => (number, false),
            _ => bail!("`= N` or `>= N` follows, not `{text}`"),
        };
        Ok(Amount {
            number: number.trim().parse().with_context(|| format!("`{number}` is no number"))?,
            at_least,
        })
    }

    pub(super) fn check(self, seen: usize, what: &str) -> Result<(), String> {
        if seen == self.number || (self.at_least && seen > self.number) {
            return Ok(());
        }
        let least = if self.at_least { "at least " } else { "" };
        Err(format!("expected {least}{} {what}, and there are {seen}", self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Outcome {
        Outcome {
            stdout: "1 [nc] 0 [k] f\n    f+0x1\n    nft_do_chain+0x3ef\n  table t (3) chain in (1) handle 4 drop\n2 [nc] 0 [k] g\n".to_owned(),
            stderr: "done\n".to_owned(),
            exit: Some(0),
            variables: [("TABLE", "3"), ("ADDRESS", "10.0.0.1")].map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..Outcome::default()
        }
    }

    fn check(text: &str) -> Result<(), String> {
        let lines: Vec<_> = (1..).zip(text.lines()).collect();
        Expectation::parse(&lines).unwrap().iter().try_for_each(|expectation| expectation.check(&seen()))
    }

    #[test]
    fn what_is_there_is_found() {
        check(
            "exit 0\nstdout has table t\nstdout lacks \\breject$\nstderr has ^done$\nevents = 2\nevents >= 1",
        )
        .unwrap();
        check("count ^    .*\\+0x = 2\ncount table >= 1").unwrap();
        check("event\n  f$\n  nft_do_chain\\+0x\n  table t \\($TABLE\\) .* drop$").unwrap();
    }

    #[test]
    fn what_is_not_there_is_told() {
        for (text, reason) in [
            ("exit 1", "line 1: expected exit status 1, and it was 0"),
            ("stdout has $ADDRESS", r"`10\.0\.0\.1`, and there is none"),
            ("stdout lacks chain", "there is `    nft_do_chain+0x3ef`"),
            ("events = 3", "expected 3 events, and there are 2"),
            (
                "event\n  f$\n  handle 5",
                "below lines that match the 1 before; the one that comes closest:\n1 [nc]",
            ),
            ("event\n  g$\n  table", "closest:\n2 [nc]"),
            ("stdout has $NOTHING", "no variable $NOTHING"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn what_is_no_expectation_is_refused() {
        for text in [
            "  indented",
            "event",
            "exit x",
            "stdout hss x",
            "count x",
            "events 3",
            "stdout has (",
            "sometimes",
            "tshark drops.pcapng -V",
            "capinfos drops.pcapng has (",
        ] {
            let lines: Vec<_> = (1..).zip(text.lines()).collect();
            assert!(Expectation::parse(&lines).is_err(), "{text}");
        }
    }
}
