//! The pieces that the schema is made of.

use serde_json::{Map, Value, json};

/// An object with these members, and maybe others.
pub(super) struct Object {
    properties: Map<String, Value>,
    required: Vec<String>,
}

impl Object {
    pub(super) fn new() -> Object {
        Object { properties: Map::new(), required: Vec::new() }
    }

    /// With a member that is always there.
    pub(super) fn with(mut self, name: &str, value: Value) -> Object {
        self.required.push(name.to_owned());
        self.maybe(name, value)
    }

    /// With a member that may be there.
    pub(super) fn maybe(mut self, name: &str, value: Value) -> Object {
        self.properties.insert(name.to_owned(), value);
        self
    }

    pub(super) fn value(self) -> Value {
        json!({ "type": "object", "properties": self.properties, "required": self.required })
    }
}

pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

pub(super) fn array(of: Value) -> Value {
    let mut array = json!({ "type": "array" });
    array["items"] = of;
    array
}

pub(super) fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

/// An unsigned number of that many bytes.
pub(super) fn unsigned(width: u8) -> Value {
    bits(u32::from(width) * 8)
}

/// An unsigned number of that many bits.
pub(super) fn bits(bits: u32) -> Value {
    let most = u64::MAX >> 64_u32.saturating_sub(bits).min(63);
    json!({ "type": "integer", "minimum": 0, "maximum": most })
}

/// The same, described.
pub(super) fn number(width: u8, description: &str) -> Value {
    let mut number = unsigned(width);
    number["description"] = description.into();
    number
}

/// A signed number of that many bytes.
pub(super) fn signed(width: u8) -> Value {
    let unused = 64_u32.saturating_sub(u32::from(width) * 8);
    json!({ "type": "integer", "minimum": i64::MIN >> unused, "maximum": i64::MAX >> unused })
}

pub(super) fn integer(least: i64, most: i64, description: &str) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most, "description": description })
}

pub(super) fn boolean() -> Value {
    json!({ "type": "boolean" })
}

pub(super) fn hex(description: &str) -> Value {
    json!({ "type": "string", "pattern": "^0x[0-9a-f]{1,16}$", "description": description })
}

/// A number as exactly that many hex digits.
pub(super) fn hex_digits(digits: u32) -> Value {
    json!({ "type": "string", "pattern": format!("^0x[0-9a-f]{{{digits}}}$") })
}

/// Bytes as hex digits, that many or any.
pub(super) fn bytes(len: Option<u32>) -> Value {
    match len {
        // Lengths are said as such: some validators bound the repetitions in a pattern.
        Some(len) => json!({
            "type": "string", "pattern": "^[0-9a-f]*$", "minLength": 2 * u64::from(len), "maxLength": 2 * u64::from(len),
        }),
        None => json!({ "type": "string", "pattern": "^([0-9a-f][0-9a-f])*$" }),
    }
}

pub(super) fn mac() -> Value {
    json!({ "type": "string", "pattern": "^[0-9a-f]{2}(:[0-9a-f]{2}){5}$" })
}

pub(super) fn utc() -> Value {
    json!({
        "type": "string",
        "format": "date-time",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{9}Z$",
    })
}
