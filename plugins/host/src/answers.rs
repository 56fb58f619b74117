//! What the host's answers point to: it must stay where it is until the event is over, or for options as long as the plugin is used.

use tracer_plugin_abi::c::{self, Text};

use crate::{Answer, OptionValue};

/// More than anybody needs to know of one event; a plugin that asks on and on is stopped by this before memory is.
const MOST: usize = 16 << 20;

/// What an empty text points to.
static NOTHING: [u8; 1] = [0];

/// The answers about one event, and those about options.
#[derive(Default)]
pub(crate) struct Answers {
    /// What answers about the current event own. Growing moves the vectors, but not what they hold.
    event: Vec<Vec<u8>>,
    /// Bytes of them.
    size: usize,
    /// The options that were asked for. A text's bytes do not move with it.
    options: Vec<(String, OptionValue)>,
    symbol: String,
}

impl Answers {
    /// For the next event.
    pub(crate) fn clear(&mut self) {
        self.event.clear();
        self.size = 0;
    }

    /// A value as C has it; `None` if there was too much of it.
    pub(crate) fn value(&mut self, answer: Answer) -> Option<c::Value> {
        let (kind, number, bytes) = match answer {
            Answer::Uint(number) => (c::KIND_UINT, number, Vec::new()),
            Answer::Int(number) => (c::KIND_INT, number.cast_unsigned(), Vec::new()),
            Answer::Named(number, name) => {
                let kind = if number < 0 { c::KIND_INT } else { c::KIND_UINT };
                (kind, number.cast_unsigned(), name.into_bytes())
            }
            Answer::Text(text) => (c::KIND_STRING, 0, text.into_bytes()),
            Answer::Bytes(bytes) => (c::KIND_BYTES, 0, bytes),
        };
        Some(c::Value { kind, reserved: 0, number, bytes: self.keep(bytes)? })
    }

    /// Keeps bytes until the next event; `None` if there are too many.
    pub(crate) fn keep(&mut self, bytes: Vec<u8>) -> Option<Text> {
        if bytes.is_empty() {
            return Some(pointer(&[]));
        }
        // What owning them takes counts too, or many small ones would be free.
        self.size = self.size.saturating_add(bytes.capacity() + size_of::<Vec<u8>>());
        if self.size > MOST {
            return None;
        }
        let text = pointer(&bytes);
        self.event.push(bytes);
        Some(text)
    }

    /// The option's value, if it was asked for before.
    pub(crate) fn option(&self, name: &str) -> Option<c::Value> {
        let (_, value) = self.options.iter().find(|(known, _)| known == name)?;
        Some(match value {
            OptionValue::Number(number) => {
                c::Value { kind: c::KIND_UINT, reserved: 0, number: *number, bytes: pointer(&[]) }
            }
            OptionValue::Text(text) => {
                c::Value { kind: c::KIND_STRING, reserved: 0, number: 0, bytes: pointer(text.as_bytes()) }
            }
        })
    }

    /// Keeps an option's value for good.
    pub(crate) fn keep_option(&mut self, name: &str, value: OptionValue) {
        self.options.push((name.to_owned(), value));
    }

    /// Keeps the name of a symbol until the next one.
    pub(crate) fn symbol(&mut self, name: String, offset: u64) -> c::Symbol {
        self.symbol = name;
        c::Symbol { name: pointer(self.symbol.as_bytes()), offset }
    }
}

fn pointer(bytes: &[u8]) -> Text {
    let start = if bytes.is_empty() { NOTHING.as_ptr() } else { bytes.as_ptr() };
    Text { bytes: start, len: bytes.len() as u64 }
}
