//! Objects and arrays in the making: who has one puts values in and cannot forget a comma or a bracket. Names are C
//! identifiers or our own words, so nothing in them needs to be escaped.

use super::string;
use crate::append;

/// An object, open until its end.
pub(super) struct Object<'a> {
    out: &'a mut String,
    /// What stands before the next name.
    comma: &'static str,
}

/// An array, open until its end.
pub(super) struct Array<'a> {
    out: &'a mut String,
    comma: &'static str,
}

/// What an event has besides its sections.
const RESERVED: [&str; 8] = ["type", "time", "utc", "follows", "probe", "cpu", "task", "stack"];

impl<'a> Object<'a> {
    pub(super) fn begin(out: &'a mut String) -> Object<'a> {
        Object { out, comma: "{\"" }
    }

    /// The object of a line of that type.
    pub(super) fn line(out: &'a mut String, type_: &str) -> Object<'a> {
        let mut line = Object::begin(out);
        line.string("type", type_);
        line
    }

    /// The place of a value of that name; it must get one.
    #[inline]
    pub(super) fn value(&mut self, name: &str) -> &mut String {
        self.out.push_str(self.comma);
        self.out.push_str(name);
        self.out.push_str("\":");
        self.comma = ",\"";
        self.out
    }

    #[inline]
    pub(super) fn number(&mut self, name: &str, number: impl itoa::Integer) {
        append::decimal(self.value(name), number);
    }

    #[inline]
    pub(super) fn boolean(&mut self, name: &str, value: bool) {
        self.value(name).push_str(if value { "true" } else { "false" });
    }

    pub(super) fn string(&mut self, name: &str, text: &str) {
        string::push(self.value(name), text);
    }

    /// `"0x0806"`, with that many digits.
    #[inline]
    pub(super) fn hex(&mut self, name: &str, number: u64, digits: usize) {
        self.quoted(name, |out| {
            out.push_str("0x");
            append::hex_digits(out, number, digits);
        });
    }

    /// A string of characters that need no escape.
    #[inline]
    pub(super) fn quoted(&mut self, name: &str, push: impl FnOnce(&mut String)) {
        let out = self.value(name);
        out.push('"');
        push(out);
        out.push('"');
    }

    #[inline]
    pub(super) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        let mut object = Object::begin(self.value(name));
        fill(&mut object);
        object.close();
    }

    #[inline]
    pub(super) fn array(&mut self, name: &str, fill: impl FnOnce(&mut Array<'_>)) {
        let mut array = Array::begin(self.value(name));
        fill(&mut array);
        array.end();
    }

    /// The object of a section.
    pub(super) fn section(&mut self, section: &str, fill: impl FnOnce(&mut Object<'_>)) {
        if is_reserved(section) {
            self.object(&format!("{section}_"), fill);
        } else {
            self.object(section, fill);
        }
    }

    /// Closes a line.
    pub(super) fn end(self) {
        self.close().push('\n');
    }

    /// Closes an object that stands in something else.
    pub(super) fn close(self) -> &'a mut String {
        if self.comma == "{\"" {
            self.out.push('{');
        }
        self.out.push('}');
        self.out
    }
}

/// Whether a section of that name needs another one. With its underscores, so that `task_` does not meet what `task`
/// became.
pub(super) fn is_reserved(section: &str) -> bool {
    RESERVED.contains(&section.trim_end_matches('_'))
}

impl<'a> Array<'a> {
    pub(super) fn begin(out: &'a mut String) -> Array<'a> {
        out.push('[');
        Array { out, comma: "" }
    }

    /// The place of a value; it must get one.
    #[inline]
    pub(super) fn value(&mut self) -> &mut String {
        self.out.push_str(self.comma);
        self.comma = ",";
        self.out
    }

    #[inline]
    pub(super) fn number(&mut self, number: impl itoa::Integer) {
        append::decimal(self.value(), number);
    }

    pub(super) fn string(&mut self, text: &str) {
        string::push(self.value(), text);
    }

    #[inline]
    pub(super) fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) {
        let mut object = Object::begin(self.value());
        fill(&mut object);
        object.close();
    }

    #[inline]
    pub(super) fn array(&mut self, fill: impl FnOnce(&mut Array<'_>)) {
        let mut array = Array::begin(self.value());
        fill(&mut array);
        array.end();
    }

    pub(super) fn end(self) {
        self.out.push(']');
    }
}
