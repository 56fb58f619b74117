//! A report as text, for people: a line for all of it, then the tables. Columns in which no row has anything are left
//! out, numbers stand on the right.

use std::fmt;

use unicode_width::UnicodeWidthStr;

use super::{Cell, Report, Row, Table, Time};
use crate::Account;

/// Columns of a terminal that others are moved to the right by; of longer names, only the own line is.
const WIDEST: usize = 48;
/// What stands for a cell without a value.
const NOTHING: &str = "-";
const OTHERS: &str = "(others)";

/// The report as aligned text.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { sessions, events, lost, bytes, times, duration, .. } = self;
        write!(f, "{}, {}", counted(*sessions, "session"), counted(*events, "event"))?;
        if let Some(bytes) = bytes {
            write!(f, ", {}", counted(*bytes, "byte"))?;
        }
        write!(f, ", {lost} lost")?;
        if let Some((first, last)) = times {
            write!(f, "; {first} to {last}, ")?;
            write!(f, "{}.{:09} s", duration / 1_000_000_000, duration % 1_000_000_000)?;
        }
        writeln!(f)?;
        self.tables.iter().try_for_each(|table| self.write_table(table, f))
    }
}

fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

impl Report {
    fn write_table(&self, table: &Table, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Table { name, keys, .. } = table;
        write!(f, "\n{name}: ")?;
        match (table.rows.len(), *keys) {
            (_, 0) if table.others.is_none() => write!(f, "none")?,
            (rows, keys) if rows < keys => write!(f, "{rows} of {keys}, by {}", self.order)?,
            (_, keys) => write!(f, "{keys}, by {}", self.order)?,
        }
        if table.others.is_some() {
            write!(f, "; the table is full: {OTHERS} are all that came later")?;
        }
        writeln!(f)?;
        write_columns(&columns(table), table.rows.len() + usize::from(table.others.is_some()), f)
    }
}

/// A column; a cell without a value is empty.
struct Column {
    title: String,
    right: bool,
    cells: Vec<String>,
}

fn columns(table: &Table) -> Vec<Column> {
    let rows = || table.rows.iter().chain(&table.others);
    let mut columns: Vec<Column> = Vec::new();
    for (index, title) in table.columns.iter().enumerate() {
        let cells = || table.rows.iter().filter_map(move |row| row.key.get(index));
        let right = cells().all(|cell| matches!(cell, Cell::Uint(_) | Cell::Int(_) | Cell::Absent));
        let cells = rows().map(|row| row.key.get(index).map(Cell::to_string).unwrap_or_default());
        columns.push(Column { title: title.clone(), right, cells: cells.collect() });
    }
    columns.retain(Column::says_something);
    if table.others.is_some() {
        name_others(&mut columns, table);
    }
    let mut number = |title: &str, value: &dyn Fn(&Row) -> Option<String>| {
        let cells = rows().map(|row| value(row).unwrap_or_default()).collect();
        columns.push(Column { title: title.to_owned(), right: true, cells });
    };
    let account = |row: &Row, value: fn(Account) -> Option<u64>| Some(value(row.account?)?.to_string());
    let time = |time: Option<Time>| Some(time?.to_string());
    number("events", &|row| Some(row.events.to_string()));
    number("bytes", &|row| Some(row.bytes?.to_string()));
    number("lost", &|row| Some(row.lost?.to_string()));
    number("hits", &|row| account(row, |account| Some(account.hits)));
    number("filtered", &|row| account(row, |account| Some(account.filtered)));
    number("limited", &|row| account(row, |account| Some(account.limited)));
    number("missed", &|row| account(row, |account| account.missed));
    number("first", &|row| time(row.times.map(|(first, _)| first)));
    number("last", &|row| time(row.times.map(|(_, last)| last)));
    columns.retain(Column::says_something);
    columns
}

/// In the first column that is shown. There may be none where other tables have used up the room of this one.
fn name_others(columns: &mut Vec<Column>, table: &Table) {
    if columns.is_empty() {
        columns.push(Column {
            title: table.name.clone(),
            right: false,
            cells: vec![String::new(); table.rows.len() + 1],
        });
    }
    if let Some(cell) = columns.first_mut().and_then(|first| first.cells.last_mut()) {
        OTHERS.clone_into(cell);
    }
}

fn write_columns(columns: &[Column], rows: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if rows == 0 {
        return Ok(());
    }
    let widths: Vec<usize> = columns.iter().map(Column::width).collect();
    for row in 0..=rows {
        let mut line = String::new();
        for (column, width) in columns.iter().zip(&widths) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            let cell = match row.checked_sub(1) {
                None => &column.title,
                Some(row) => column.cells.get(row).map_or("", String::as_str),
            };
            let cell = if cell.is_empty() { NOTHING } else { cell };
            let spaces = " ".repeat(width.saturating_sub(cell.width()));
            let (before, after) = if column.right { (&*spaces, "") } else { ("", &*spaces) };
            line.extend([before, cell, after]);
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

impl Column {
    fn says_something(&self) -> bool {
        self.cells.iter().any(|cell| !cell.is_empty())
    }

    /// Columns of a terminal.
    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|cell| cell.width()).filter(|width| *width <= WIDEST);
        cells.chain([self.title.width()]).max().unwrap_or(0)
    }
}
