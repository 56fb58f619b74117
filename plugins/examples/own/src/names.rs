//! The native half of the collector `mark`: what the user calls a mark. It is linked in, and still runs in a process of its own.

use std::collections::BTreeMap;

use tracer_plugin_abi::{Event, Failure, Handle, Host, Native, Session, Value, c, descriptor, section};

section! {
    /// What is added to an event whose mark has a name.
    pub struct Name in "mark_name", texts 64 {
        name: String,
    }
}

/// The names, and where events have their mark.
struct Names {
    names: BTreeMap<u64, String>,
    mark: Option<Handle>,
}

impl Native for Names {
    type Section = Name;

    fn start(host: &Host<'_>, _: &Session<'_>) -> Result<Self, Failure> {
        let given = host.text("names").unwrap_or_default();
        let names = given.split(',').filter(|word| !word.is_empty()).map(|word| {
            let (mark, name) = word.split_once('=')?;
            let mark = match mark.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).ok()?,
                None => mark.parse().ok()?,
            };
            Some((mark, name.to_owned()))
        });
        let names: Option<_> = names.collect();
        let names = names.ok_or_else(|| {
            Failure::new(format!(
                "--mark-names takes MARK=NAME,..., such as 0x2a=vpn,7=guests, not `{given}`"
            ))
        })?;
        Ok(Names { names, mark: host.field("mark", "mark") })
    }

    fn enrich(&mut self, host: &Host<'_>, event: &Event<'_>) -> Result<Option<Name>, Failure> {
        let mark = self.mark.and_then(|mark| host.value(event, mark));
        let Some(Value::Uint(mark)) = mark else { return Ok(None) };
        Ok(self.names.get(&mark).map(|name| Name { name: name.clone() }))
    }
}

/// What tracer begins with.
pub extern "C" fn entry() -> *const c::Plugin {
    descriptor!(Names, name: "mark", release: env!("CARGO_PKG_VERSION"), licence: "MIT OR Apache-2.0")
}
