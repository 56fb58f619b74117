//! A report as JSON, for programs: one object, whose keys `docs/stats.md` describes and which only grow.

use std::fmt::Write;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use tracer_event::Escaped;

use super::{Cell, Report, Row, Table, TableKind, Time};
use crate::Account;

/// Grows when a key's meaning changes or a key goes; a new key is no change.
const VERSION: u32 = 1;

impl Report {
    /// The report as JSON, a line for each value, with a newline at its end. Characters that cannot be seen are written
    /// as `\u`, so that it can be shown on a terminal.
    pub fn to_json(&self) -> String {
        // Strings and numbers only: there is nothing that cannot be written.
        let json = serde_json::to_string_pretty(&Object::new(self)).unwrap_or_default();
        let mut out = String::with_capacity(json.len() + 1);
        // Outside strings, all is ASCII and plain.
        for c in json.chars() {
            if is_hidden(c) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // A string takes all that is written.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            } else {
                out.push(c);
            }
        }
        out.push('\n');
        out
    }
}

/// What the text would spell out, too. Line breaks are those between values, and a `\` is JSON's own.
fn is_hidden(c: char) -> bool {
    let text = c.encode_utf8(&mut [0; 4]).to_owned();
    (!c.is_ascii() || c == '\x7f') && Escaped(&text).to_string() != text
}

#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<&'static str>,
    sessions: u64,
    events: u64,
    lost: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(flatten)]
    times: Option<Times>,
    duration: u64,
    order: String,
    tables: Vec<TableObject<'a>>,
}

#[derive(Serialize)]
struct Times {
    first: i128,
    last: i128,
}

#[derive(Serialize)]
struct TableObject<'a> {
    name: &'a str,
    kind: &'static str,
    keys: usize,
    rows: Vec<RowObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    others: Option<RowObject<'a>>,
}

#[derive(Serialize)]
struct RowObject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<KeyObject<'a>>,
    events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
    #[serde(flatten)]
    account: Option<AccountObject>,
    #[serde(flatten)]
    times: Option<Times>,
}

/// What `lost` is part of.
#[derive(Serialize)]
struct AccountObject {
    hits: u64,
    filtered: u64,
    limited: u64,
    delivered: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<u64>,
}

struct KeyObject<'a> {
    columns: &'a [String],
    cells: &'a [Cell],
}

impl<'a> Object<'a> {
    fn new(report: &'a Report) -> Object<'a> {
        let clock = report.times.map(|(first, _)| match first {
            Time::Monotonic(_) => "monotonic",
            Time::Utc(_) => "utc",
        });
        Object {
            version: VERSION,
            clock,
            sessions: report.sessions,
            events: report.events,
            lost: report.lost,
            bytes: report.bytes,
            times: report.times.map(Times::new),
            duration: report.duration,
            order: report.order.to_string(),
            tables: report.tables.iter().map(TableObject::new).collect(),
        }
    }
}

impl Times {
    fn new((first, last): (Time, Time)) -> Times {
        let number = |time| match time {
            Time::Monotonic(time) => i128::from(time),
            Time::Utc(time) => i128::from(time),
        };
        Times { first: number(first), last: number(last) }
    }
}

impl<'a> TableObject<'a> {
    fn new(table: &'a Table) -> TableObject<'a> {
        let kind = match table.kind {
            TableKind::Probe => "probe",
            TableKind::Section => "section",
            TableKind::Flow => "flow",
        };
        let row = |row: &'a Row| RowObject::new(&table.columns, row);
        TableObject {
            name: &table.name,
            kind,
            keys: table.keys,
            rows: table.rows.iter().map(row).collect(),
            others: table.others.as_ref().map(row),
        }
    }
}

impl<'a> RowObject<'a> {
    fn new(columns: &'a [String], row: &'a Row) -> RowObject<'a> {
        let key = KeyObject { columns, cells: &row.key };
        RowObject {
            key: (!row.key.is_empty()).then_some(key),
            events: row.events,
            bytes: row.bytes,
            lost: row.lost,
            account: row.account.map(AccountObject::new),
            times: row.times.map(Times::new),
        }
    }
}

impl AccountObject {
    fn new(account: Account) -> AccountObject {
        let Account { hits, filtered, limited, delivered, lost: _, missed } = account;
        AccountObject { hits, filtered, limited, delivered, missed }
    }
}

impl Serialize for KeyObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (column, cell) in self.columns.iter().zip(self.cells) {
            if *cell != Cell::Absent {
                map.serialize_entry(column, cell)?;
            }
        }
        map.end()
    }
}
