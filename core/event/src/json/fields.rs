//! A section's fields as members of its object, each by its kind and its `Show`.

use super::object::Object;
use super::packet;
use crate::packet::Packet;
use crate::{Field, Section, Show, Value, append, show, value};

/// Puts all fields of a section in.
pub(super) fn push(object: &mut Object<'_>, section: &Section<'_>) {
    for field in section.schema().fields() {
        match field.show {
            // Others refer to it; by itself it is nothing.
            Show::Strings => {}
            Show::Packet => {
                if let Some(capture) = section.capture() {
                    let packet = Packet::decode(&capture);
                    object.object(&field.name, |object| packet::push(object, &packet, capture.bytes));
                }
            }
            _ => push_field(object, section, field),
        }
    }
}

fn push_field(object: &mut Object<'_>, section: &Section<'_>, field: &Field) {
    // In a checked record only a reference into the final array can fail: it names nothing.
    let value = value::decode(field, section.bytes()).unwrap_or(Value::Str("".into()));
    let name = field.name.as_str();
    match (field.show, &value) {
        (Show::Hex, Value::Uint(number)) => object.quoted(name, |out| append::hex(out, *number)),
        (Show::Hex, Value::Int(number)) => {
            object.quoted(name, |out| append::hex(out, show::within_width(*number, &field.kind)));
        }
        (Show::PacketId, Value::Uint(number)) => object.quoted(name, |out| append::bare_hex(out, *number)),
        (Show::Ipv4 | Show::Ipv6 | Show::Mac, value) => {
            object.quoted(name, |out| {
                show::push_address(out, field.show, value);
            });
        }
        (_, Value::Uint(number)) => object.number(name, *number),
        (_, Value::Int(number) | Value::Enum { value: number, name: None }) => object.number(name, *number),
        (_, Value::Enum { name: Some(enumerator), .. }) => object.string(name, enumerator),
        (_, Value::Str(text)) => object.string(name, text),
        (_, Value::Bytes(bytes)) => object.quoted(name, |out| append::hex_bytes(out, bytes)),
    }
}
