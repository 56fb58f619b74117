//! Texts become typed values here, the same way whether they come from a profile or the command line,
//! so that an option cannot mean one thing in one place and another in the other.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Located, OptionDef, SettingValue, ValueType};
use crate::diagnostic::{Diagnostic, Diagnostics, SourceRef};
use crate::filter::Filter;
use crate::probe::{self, Probe, ProbeSpec};

/// How an option is called where its value was written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Label<'a> {
    /// On the command line: the name.
    Flag(&'a str),
    /// In a profile: the key.
    Key(&'a str),
}

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "`--{name}`"),
            Self::Key(key) => write!(f, "`{key}`"),
        }
    }
}

/// The value of an option that takes one text.
pub(crate) fn from_text(
    option: &OptionDef,
    label: Label<'_>,
    text: &Located<String>,
) -> Result<SettingValue, Diagnostics> {
    let Located { value, source } = text;
    match &option.value {
        ValueType::String => Ok(SettingValue::String(value.clone())),
        ValueType::Path if value.is_empty() => Err(empty(label, source).into()),
        ValueType::Path => Ok(SettingValue::Path(value.into())),
        ValueType::Integer { min, max } => match value.parse() {
            Ok(number) => check_integer(label, number, *min..=*max, source),
            Err(_) => Err(mismatch(option, label, value, source, "for example 100").into()),
        },
        ValueType::Size { min, max } => match size(value) {
            Some(bytes) => check_size(label, bytes, *min..=*max, source),
            None => Err(mismatch(option, label, value, source, "for example 512K or 8M").into()),
        },
        ValueType::Duration => match duration(value) {
            Some(span) => Ok(SettingValue::Duration(span)),
            None => {
                let form = "a number with its unit: 500ms, 10s, 2m, 1h";
                Err(mismatch(option, label, value, source, form).into())
            }
        },
        ValueType::Choice(allowed) => match allowed.contains(value) {
            true => Ok(SettingValue::Choice(value.clone())),
            false => Err(not_allowed(label, value, allowed, source).into()),
        },
        ValueType::Flag
        | ValueType::Paths
        | ValueType::List
        | ValueType::ListOf(_)
        | ValueType::Probes
        | ValueType::Filters => Err(mismatch(option, label, value, source, "not a single text").into()),
    }
}

/// The value of an option that takes any number of texts; a word that comes again counts once.
pub(crate) fn from_texts(
    option: &OptionDef,
    label: Label<'_>,
    texts: Vec<Located<String>>,
) -> Result<SettingValue, Diagnostics> {
    let mut found = Diagnostics::new();
    let mut words = Vec::new();
    let mut probes = Vec::new();
    let mut filters = Vec::new();
    for text in texts {
        if !matches!(option.value, ValueType::Probes | ValueType::Filters) && text.value.is_empty() {
            found.push(empty(label, &text.source));
            continue;
        }
        match &option.value {
            ValueType::ListOf(allowed) if !allowed.contains(&text.value) => {
                found.push(not_allowed(label, &text.value, allowed, &text.source));
            }
            ValueType::Filters => filters.extend(found.take(located_filter(text))),
            ValueType::Probes => {
                probes.extend(found.take(located_probe(text)).map(ProbeSpec::plain));
            }
            _ => words.push(text),
        }
    }
    let (mut value, more) = match &option.value {
        ValueType::Probes => (SettingValue::Probes(Vec::new()), SettingValue::Probes(probes)),
        ValueType::Filters => (SettingValue::Filters(Vec::new()), SettingValue::Filters(filters)),
        ValueType::Paths => {
            let paths = words.into_iter().map(|word| word.value.into()).collect();
            (SettingValue::Paths(Vec::new()), SettingValue::Paths(paths))
        }
        _ => (SettingValue::Words(Vec::new()), SettingValue::Words(words)),
    };
    value.join(more);
    found.or_value(value)
}

/// The probe that a text says.
pub(crate) fn located_probe(text: Located<String>) -> Result<Located<Probe>, Diagnostics> {
    let Located { value, source } = text;
    match probe::parse(&value) {
        Ok(value) => Ok(Located { value, source }),
        Err(found) => Err(found.rebase(&source)),
    }
}

/// The filter that a text says.
pub(crate) fn located_filter(text: Located<String>) -> Result<Located<Filter>, Diagnostics> {
    let Located { value, source } = text;
    match value.parse() {
        Ok(value) => Ok(Located { value, source }),
        Err(found) => Err(Diagnostics::rebase(found, &source)),
    }
}

/// `number`, if the option allows it.
pub(crate) fn check_integer(
    label: Label<'_>,
    number: i64,
    allowed: RangeInclusive<i64>,
    source: &SourceRef,
) -> Result<SettingValue, Diagnostics> {
    if allowed.contains(&number) {
        return Ok(SettingValue::Integer(number));
    }
    let reason = match (*allowed.start(), *allowed.end()) {
        (min, i64::MAX) => format!("at least {min}"),
        (min, max) => format!("from {min} to {max}"),
    };
    Err(out_of_range(label, &SettingValue::Integer(number), source, reason).into())
}

/// `bytes`, if the option allows it.
pub(crate) fn check_size(
    label: Label<'_>,
    bytes: u64,
    allowed: RangeInclusive<u64>,
    source: &SourceRef,
) -> Result<SettingValue, Diagnostics> {
    if allowed.contains(&bytes) {
        return Ok(SettingValue::Size(bytes));
    }
    let (min, max) = (SettingValue::Size(*allowed.start()), SettingValue::Size(*allowed.end()));
    let reason = format!("from {min} to {max}");
    Err(out_of_range(label, &SettingValue::Size(bytes), source, reason).into())
}

fn out_of_range(label: Label<'_>, value: &SettingValue, source: &SourceRef, reason: String) -> Diagnostic {
    Diagnostic::error(format!("{value} is out of range for {label}")).at(source.clone()).because(reason)
}

fn not_allowed(label: Label<'_>, word: &str, allowed: &[String], source: &SourceRef) -> Diagnostic {
    let mut found = Diagnostic::unknown("value", word, allowed.iter().map(String::as_str));
    found.message = format!("{label} has no value `{word}`");
    found.at(source.clone())
}

fn empty(label: Label<'_>, source: &SourceRef) -> Diagnostic {
    Diagnostic::error(format!("{label} has an empty value"))
        .at(source.clone())
        .hint("write a value or leave the comma out")
}

fn mismatch(
    option: &OptionDef,
    label: Label<'_>,
    text: &str,
    source: &SourceRef,
    reason: &str,
) -> Diagnostic {
    Diagnostic::error(format!("{label} takes {}, not `{text}`", option.value.noun()))
        .at(source.clone())
        .because(reason)
}

/// A number of bytes with an optional `K`, `M` or `G`, powers of 1024 as for all things in memory.
fn size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.char_indices().last()? {
        (at, 'k' | 'K') => (&text[..at], 10),
        (at, 'm' | 'M') => (&text[..at], 20),
        (at, 'g' | 'G') => (&text[..at], 30),
        _ => (text, 0),
    };
    number(digits)?.checked_mul(1 << shift)
}

fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let count = number(&text[..unit])?;
    let seconds = match &text[unit..] {
        "ms" => return Some(Duration::from_millis(count)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    Some(Duration::from_secs(count.checked_mul(seconds)?))
}

/// Digits only: `u64`'s own parser takes a `+` as well.
fn number(digits: &str) -> Option<u64> {
    let all_digits = digits.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(value: ValueType) -> OptionDef {
        OptionDef::new("x", "", value)
    }

    fn text(text: &str) -> Located<String> {
        Located { value: text.into(), source: SourceRef::command_line("x", text) }
    }

    fn one(value: ValueType, from: &str) -> Result<SettingValue, Diagnostics> {
        from_text(&option(value), Label::Flag("x"), &text(from))
    }

    fn many(value: ValueType, from: &[&str]) -> Result<SettingValue, Diagnostics> {
        let texts = from.iter().map(|t| text(t)).collect();
        from_texts(&option(value), Label::Flag("x"), texts)
    }

    #[test]
    fn sizes_have_binary_suffixes_and_bounds() {
        let kind = ValueType::Size { min: 4096, max: 2 << 30 };
        for (written, bytes) in [("4096", 4096), ("512K", 512 << 10), ("8m", 8 << 20), ("2G", 2 << 30)] {
            assert_eq!(one(kind.clone(), written), Ok(SettingValue::Size(bytes)));
        }
        for wrong in ["", "K", "+4096", "4.5M", "4KB", "99999999999G"] {
            let found = one(kind.clone(), wrong).unwrap_err();
            let expected = format!("`--x` takes a number of bytes, not `{wrong}`");
            assert_eq!(found.iter().next().unwrap().message, expected);
        }
        let found = one(kind, "3G").unwrap_err();
        let found = found.iter().next().unwrap();
        assert_eq!(found.message, "3G is out of range for `--x`");
        assert_eq!(found.reason.as_deref(), Some("from 4K to 2G"));
    }

    #[test]
    fn time_spans_need_a_unit() {
        for (written, span) in [
            ("500ms", Duration::from_millis(500)),
            ("10s", Duration::from_secs(10)),
            ("2m", Duration::from_secs(120)),
            ("1h", Duration::from_secs(3600)),
        ] {
            assert_eq!(one(ValueType::Duration, written), Ok(SettingValue::Duration(span)));
        }
        for wrong in ["", "10", "s", "10 s", "-1s", "1d"] {
            assert!(one(ValueType::Duration, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn integers_keep_their_bounds() {
        let kind = ValueType::Integer { min: 1, max: i64::MAX };
        assert_eq!(one(kind.clone(), "100"), Ok(SettingValue::Integer(100)));
        let found = one(kind.clone(), "0").unwrap_err();
        assert_eq!(found.iter().next().unwrap().reason.as_deref(), Some("at least 1"));
        let found = one(kind, "many").unwrap_err();
        let message = "`--x` takes a whole number, not `many`";
        assert_eq!(found.iter().next().unwrap().message, message);
    }

    #[test]
    fn a_word_out_of_the_set_is_answered_with_the_nearest() {
        let kind = ValueType::list_of(["accept", "drop"]);
        let found = many(kind.clone(), &["dorp", "accept", "x"]).unwrap_err();
        let expected = [
            Diagnostic::error("`--x` has no value `dorp`")
                .at(SourceRef::command_line("x", "dorp"))
                .hint("did you mean `drop`?")
                .hint("known: accept, drop"),
            Diagnostic::error("`--x` has no value `x`")
                .at(SourceRef::command_line("x", "x"))
                .hint("known: accept, drop"),
        ];
        assert_eq!(found, expected.into_iter().collect());
        let twice = many(kind, &["drop", "drop"]).unwrap();
        assert_eq!(twice, SettingValue::Words(vec![text("drop")]));
    }

    #[test]
    fn a_bad_probe_is_shown_within_the_command_line() {
        let found = many(ValueType::Probes, &["k:f/stak"]).unwrap_err();
        let source = found.iter().next().unwrap().source.clone().unwrap();
        assert_eq!(source, SourceRef::new("command line", "--x k:f/stak", 8..12));
    }

    #[test]
    fn probes_at_one_place_are_one_probe() {
        let value = many(ValueType::Probes, &["k:f", "g", "kprobe:f/stack"]).unwrap();
        assert_eq!(value.to_string(), "kprobe:f/stack,kprobe:g");
    }

    #[test]
    fn empty_values_are_refused() {
        let found = many(ValueType::List, &["nft", ""]).unwrap_err();
        assert_eq!(found.iter().next().unwrap().message, "`--x` has an empty value");
        assert!(one(ValueType::Path, "").is_err());
    }
}
