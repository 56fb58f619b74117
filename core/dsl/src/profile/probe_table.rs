//! A probe written as a table: `{ any = ["kprobe:a", "kprobe:b"], filter = "...", when = "...", optional = true }`.

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::read::Text;
use super::value::{kind, located};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::filter::Filter;
use crate::option::{Located, SubCommand, located_filter, located_probe};
use crate::probe::{Probe, ProbeSpec};
use crate::when;

/// The keys of the table.
const KEYS: [&str; 5] = ["probe", "any", "filter", "when", "optional"];

/// What is shown to somebody whose table is no probe at all.
const FORM: &str =
    "for example `{ any = [\"kprobe:sk_skb_reason_drop\", \"kprobe:kfree_skb_reason\"], optional = true }`";

/// The probe of a table in the table of `command`.
pub(super) fn probe(
    text: &Text<'_>,
    command: SubCommand,
    table: &Spanned<DeValue<'_>>,
    keys: &DeTable<'_>,
) -> Result<ProbeSpec, Diagnostics> {
    let mut reader = Reader { text, found: Diagnostics::new() };
    let mut spec = ProbeSpec { alternatives: Vec::new(), filter: Vec::new(), when: None, optional: false };
    let mut given: Vec<&str> = Vec::new();
    for (key, value) in keys {
        let word = key.get_ref().as_ref();
        if matches!(word, "filter" | "when") && command != SubCommand::Collect {
            reader.only_when_collecting(key, command);
            continue;
        }
        match word {
            "probe" => spec.alternatives.extend(reader.one(value)),
            "any" => spec.alternatives.extend(reader.any(value)),
            "filter" => spec.filter = reader.filter(value),
            "when" => {
                let read = reader.string("when", value).map(|text| when(&text));
                spec.when = read.and_then(|read| reader.found.take(read));
            }
            "optional" => spec.optional = reader.flag(value),
            _ => {
                let mut found = Diagnostic::unknown("key", word, KEYS).at(text.at(key.span()));
                found.message += " in a probe's table";
                reader.found.push(found);
                continue;
            }
        }
        given.extend(KEYS.into_iter().filter(|known| *known == word));
    }
    match (given.contains(&"probe"), given.contains(&"any")) {
        (true, true) => {
            let found = Diagnostic::error("`probe` and `any` in one table").at(text.at(table.span()));
            let found = found.because("`probe` is one place, `any` the first of several that exists");
            reader.found.push(found.hint("leave one of them out"));
        }
        (false, false) => {
            let found = Diagnostic::error("a probe's table without `probe` or `any`");
            let found = found.at(text.at(table.span())).because("one of them says where to trace");
            reader.found.push(found.hint(FORM));
        }
        _ => {}
    }
    spec.optional |= spec.alternatives.iter().any(|probe| probe.value.optional);
    for probe in &mut spec.alternatives {
        probe.value.optional = spec.optional;
    }
    reader.found.or_value(spec)
}

/// The condition that a text says.
pub(super) fn when(text: &Located<String>) -> Result<Located<when::When>, Diagnostics> {
    match when::parse(&text.value) {
        Ok(value) => Ok(Located { value, source: text.source.clone() }),
        Err(found) => Err(found.rebase(&text.source)),
    }
}

struct Reader<'a> {
    text: &'a Text<'a>,
    found: Diagnostics,
}

impl Reader<'_> {
    fn one(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Located<Probe>> {
        let text = self.string("probe", value)?;
        self.found.take(located_probe(text))
    }

    fn any(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<Located<Probe>> {
        let DeValue::Array(items) = value.get_ref() else {
            self.mismatch("any", "a list of probes", value);
            return Vec::new();
        };
        if items.is_empty() {
            let found = Diagnostic::error("`any` is empty").at(self.text.at(value.span()));
            self.found.push(found.because("it lists places to trace, the best first").hint(FORM));
        }
        let mut probes: Vec<Located<Probe>> = Vec::new();
        for item in items.iter() {
            let DeValue::String(string) = item.get_ref() else {
                self.mismatch("any", "a list of probes, each a string", item);
                continue;
            };
            let text = located(string, &self.text.at(item.span()));
            let Some(probe) = self.found.take(located_probe(text)) else { continue };
            let refused = if probe.value.optional {
                let found = Diagnostic::error("one of several places cannot be optional");
                Some(
                    found
                        .because("the next one is taken where it is missing")
                        .hint("write `optional = true` beside `any` if all of them may be missing"),
                )
            } else if probes.iter().any(|other| other.value.same_place(&probe.value)) {
                let found = Diagnostic::error(format!("`{}` is listed twice", probe.value));
                Some(found.because("it is the same place").hint("leave one of them out"))
            } else {
                None
            };
            match refused {
                Some(found) => self.found.push(found.at(probe.source)),
                None => probes.push(probe),
            }
        }
        probes
    }

    fn filter(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<Located<Filter>> {
        let text = self.string("filter", value);
        text.and_then(|text| self.found.take(located_filter(text))).into_iter().collect()
    }

    fn flag(&mut self, value: &Spanned<DeValue<'_>>) -> bool {
        match value.get_ref() {
            DeValue::Boolean(flag) => *flag,
            _ => {
                self.mismatch("optional", "true or false", value);
                false
            }
        }
    }

    fn string(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<Located<String>> {
        match value.get_ref() {
            DeValue::String(string) => Some(located(string, &self.text.at(value.span()))),
            _ => {
                self.mismatch(key, "a text", value);
                None
            }
        }
    }

    fn mismatch(&mut self, key: &str, takes: &str, value: &Spanned<DeValue<'_>>) {
        let message = format!("`{key}` takes {takes}, not {}", kind(value.get_ref()));
        self.found.push(Diagnostic::error(message).at(self.text.at(value.span())));
    }

    fn only_when_collecting(&mut self, key: &Spanned<DeString<'_>>, command: SubCommand) {
        let word = key.get_ref();
        let found = Diagnostic::error(format!("a probe of `[{}]` has no `{word}`", command.name()))
            .at(self.text.at(key.span()))
            .because("it is about events as they are collected")
            .hint("leave it out, or move it below `[collect]`");
        self.found.push(found);
    }
}

#[cfg(test)]
#[path = "probe_table_tests.rs"]
mod tests;
