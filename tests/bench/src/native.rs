//! What a plugin's native half costs per event: there and back again, into its process, through the plugin and onto the record.

use std::path::Path;

use anyhow::{Context as _, Result};
use tracer_engine::native::{Pace, pace};
use tracer_plugins::{Trust, read};

use crate::table;

/// Events of a turn, and turns of a measurement.
const EVENTS: usize = 200_000;
const TURNS: usize = 5;

/// A row for each of these folders.
pub(crate) fn run(folders: &[String]) -> Result<()> {
    println!("\nA section more, by a native half; medians of {TURNS} times {EVENTS} events:\n");
    table::head(&["plugin", "bytes of a record", "with section %", "\u{b5}s per event", "events/s"]);
    for folder in folders {
        let fragment = read(Path::new(folder), &Trust::named()).with_context(|| folder.clone())?;
        let mut turns = Vec::new();
        for _ in 0..TURNS {
            turns.push(pace(&fragment, EVENTS).with_context(|| folder.clone())?);
        }
        let of = |figure: fn(&Pace) -> f64| table::median(turns.iter().map(figure).collect());
        let each = of(|pace| pace.took.as_secs_f64() * 1e9 / pace.events as f64);
        table::row(&[
            fragment.manifest.name.clone(),
            turns[0].bytes.to_string(),
            format!("{:.0}", of(|pace| pace.with_section as f64 * 100.0 / pace.events as f64)),
            table::us(each),
            format!("{:.0}", 1e9 / each),
        ]);
    }
    Ok(())
}
