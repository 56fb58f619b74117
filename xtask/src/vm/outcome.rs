//! What a guest reports of a case, put together from the files it sends, and the verdict on it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::case::Case;

/// Everything that was seen of one case.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// What the tracer printed.
    pub(crate) stdout: String,
    /// What the tracer said.
    pub(crate) stderr: String,
    /// Its exit status; none if it did not end.
    pub(crate) exit: Option<i32>,
    /// Why the case could not be run to its end.
    pub(crate) failed: String,
    /// What the case's shell parts did, command by command.
    pub(crate) log: String,
    /// The ruleset after the set-up.
    pub(crate) ruleset: String,
    /// What the kernel logged meanwhile.
    pub(crate) kernel: String,
    /// The files that it left for others to read, by name.
    pub(crate) exports: BTreeMap<String, Vec<u8>>,
    /// The variables of the case's shell parts.
    pub(crate) variables: BTreeMap<String, String>,
    /// How long it took.
    pub(crate) seconds: f64,
}

impl Outcome {
    /// Take in one of the files that the guest sends of a case.
    pub(crate) fn add(&mut self, name: &str, bytes: &[u8]) {
        let text = || String::from_utf8_lossy(bytes).into_owned();
        match name {
            "stdout" => self.stdout = text(),
            "stderr" => self.stderr = text(),
            "exit" => self.exit = text().trim().parse().ok(),
            "failed" => self.failed = text(),
            "log" => self.log = text(),
            "ruleset" => self.ruleset = text(),
            "kernel" => self.kernel = text(),
            "seconds" => self.seconds = text().trim().parse().unwrap_or_default(),
            "variables" => {
                let all = text();
                let pairs = all.split('\0').filter_map(|pair| pair.split_once('='));
                self.variables = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            }
            _ => {
                // A newer guest script may send more than this program reads.
                if let Some(export) = name.strip_prefix("export.") {
                    self.exports.insert(export.to_owned(), bytes.to_owned());
                }
            }
        }
    }

    /// Everything that is not as the case says.
    pub(crate) fn complaints(&self, case: &Case) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.failed.trim().is_empty() {
            complaints
                .extend(case.expectations.iter().filter_map(|expectation| expectation.check(self).err()));
        } else {
            // What was not done cannot have had its effects.
            complaints.push(self.failed.trim().to_owned());
        }
        let serious =
            ["BUG:", "WARNING:", "Oops", "general protection", "Call Trace", "soft lockup", "RCU stall"];
        if let Some(line) = self.kernel.lines().find(|line| serious.iter().any(|word| line.contains(word))) {
            complaints.push(format!("the kernel complained: {}", line.trim()));
        }
        complaints
    }

    /// Everything that helps to see why a case failed.
    pub(crate) fn details(&self) -> String {
        let mut text = String::new();
        if self.log.is_empty() {
            return text;
        }
        for (title, content) in [
            ("ruleset", &self.ruleset),
            ("tracer's stdout", &self.stdout),
            ("tracer's stderr", &self.stderr),
            ("commands", &self.log),
            ("kernel log", &self.kernel),
        ] {
            let _ =
                writeln!(text, "    -- {title}{}", if content.trim().is_empty() { ": nothing" } else { "" });
            let lines: Vec<_> = content.lines().collect();
            let first = lines.len().saturating_sub(LINES);
            if first > 0 {
                let _ = writeln!(text, "    | ({first} lines before these)");
            }
            for line in &lines[first..] {
                let _ = writeln!(text, "    | {line}");
            }
        }
        text
    }
}

/// As many lines of each file are shown.
const LINES: usize = 120;
