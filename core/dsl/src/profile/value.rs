//! One TOML value becomes one setting. TOML has its own numbers, booleans and lists, which are taken as
//! such; every string goes to the reader that the command line uses.

use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeValue};

use super::probe_table;
use super::read::Text;
use crate::diagnostic::{Diagnostic, Diagnostics, SourceRef};
use crate::option::{
    Label, Located, OptionDef, SettingValue, SubCommand, ValueType, check_integer, check_size, from_text,
    from_texts, located_probe,
};
use crate::probe::ProbeSpec;

/// The value of `option` of `command`, which the profile spells `key`.
pub(super) fn setting(
    text: &Text<'_>,
    command: SubCommand,
    option: &OptionDef,
    key: &str,
    value: &Spanned<DeValue<'_>>,
) -> Result<SettingValue, Diagnostics> {
    let label = Label::Key(key);
    let at = || text.at(value.span());
    match (&option.value, value.get_ref()) {
        (ValueType::Flag, DeValue::Boolean(flag)) => Ok(SettingValue::Flag(*flag)),
        (ValueType::Integer { min, max }, DeValue::Integer(number)) => match to_i64(number) {
            Some(number) => check_integer(label, number, *min..=*max, &at()),
            None => Err(too_great(number).at(at()).into()),
        },
        (ValueType::Size { min, max }, DeValue::Integer(number)) => match to_i64(number).map(u64::try_from) {
            Some(Ok(bytes)) => check_size(label, bytes, *min..=*max, &at()),
            Some(Err(_)) => Err(mismatch(option, label, value.get_ref()).at(at()).into()),
            None => Err(too_great(number).at(at()).into()),
        },
        (
            ValueType::String
            | ValueType::Path
            | ValueType::Size { .. }
            | ValueType::Duration
            | ValueType::Choice(_),
            DeValue::String(string),
        ) => from_text(option, label, &located(string, &at())),
        (ValueType::Probes, DeValue::Array(array)) => probes(text, command, option, key, array),
        (kind, DeValue::Array(array)) if kind.is_list() => list(text, option, key, array, at()),
        (_, other) => Err(mismatch(option, label, other).at(at()).into()),
    }
}

fn list(
    text: &Text<'_>,
    option: &OptionDef,
    key: &str,
    array: &DeArray<'_>,
    at: SourceRef,
) -> Result<SettingValue, Diagnostics> {
    let label = Label::Key(key);
    let mut found = Diagnostics::new();
    let mut texts = Vec::new();
    for item in array.iter() {
        match item.get_ref() {
            DeValue::String(string) => texts.push(located(string, &text.at(item.span()))),
            other => found.push(wrong_item(option, label, other).at(text.at(item.span()))),
        }
    }
    // "In none of these" would select no packet at all, which nobody means.
    if array.is_empty() && option.selects.is_some() {
        let empty = Diagnostic::error(format!("{label} selects nothing"));
        found.push(empty.at(at).hint("leave the key out to select by nothing"));
    }
    let value = found.take(from_texts(option, label, texts));
    match value {
        Some(value) => found.or_value(value),
        None => Err(found),
    }
}

/// A list of strings and tables, in their order.
fn probes(
    text: &Text<'_>,
    command: SubCommand,
    option: &OptionDef,
    key: &str,
    array: &DeArray<'_>,
) -> Result<SettingValue, Diagnostics> {
    let mut found = Diagnostics::new();
    let mut specs = Vec::new();
    for item in array.iter() {
        let spec = match item.get_ref() {
            DeValue::String(string) => {
                located_probe(located(string, &text.at(item.span()))).map(ProbeSpec::plain)
            }
            DeValue::Table(keys) => probe_table::probe(text, command, item, keys),
            other => Err(wrong_item(option, Label::Key(key), other).at(text.at(item.span())).into()),
        };
        specs.extend(found.take(spec));
    }
    // A place that comes again counts once.
    let mut value = SettingValue::Probes(Vec::new());
    value.join(SettingValue::Probes(specs));
    found.or_value(value)
}

fn wrong_item(option: &OptionDef, label: Label<'_>, item: &DeValue<'_>) -> Diagnostic {
    Diagnostic::error(format!("{label} takes {}, not of {}", option.value.noun(), kinds(item)))
}

/// A string's value and the place of its content, so that a span in the one is a span in the other.
/// Where escapes make the two differ the place is the whole string, quotes included.
pub(super) fn located(string: &str, at: &SourceRef) -> Located<String> {
    let raw = at.fragment();
    let inside = (!raw.contains('\\')).then(|| raw.find(string)).flatten();
    let mut source = at.clone();
    if let (Some(inside), false) = (inside, string.is_empty()) {
        let start = at.span.start + inside;
        source.span = start..start + string.len();
    }
    Located { value: string.to_owned(), source }
}

fn too_great(number: &DeInteger<'_>) -> Diagnostic {
    Diagnostic::error(format!("{number} is out of range")).because("TOML's numbers have 64 bits")
}

fn mismatch(option: &OptionDef, label: Label<'_>, value: &DeValue<'_>) -> Diagnostic {
    let message = format!("{label} takes {}, not {}", option.value.noun(), kind(value));
    let mut found = Diagnostic::error(message);
    if let (true, DeValue::String(string), Label::Key(key)) = (option.value.is_list(), value, label) {
        let items: Vec<_> = string.split(',').map(|item| format!("\"{}\"", item.trim())).collect();
        found = found.hint(format!("write `{key} = [{}]`", items.join(", ")));
    }
    found
}

/// The number of an integer that fits 64 bits.
pub(super) fn integer(value: &DeValue<'_>) -> Option<i64> {
    value.as_integer().and_then(to_i64)
}

fn to_i64(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// What a value is, with its article.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// What several such values are.
fn kinds(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "strings",
        DeValue::Integer(_) => "whole numbers",
        DeValue::Float(_) => "fractions",
        DeValue::Boolean(_) => "booleans",
        DeValue::Datetime(_) => "dates",
        DeValue::Array(_) => "lists",
        DeValue::Table(_) => "tables",
    }
}
