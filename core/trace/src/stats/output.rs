//! Statistics for those who hand a sink over and do not get it back: the report is written at the end.

use std::io::{self, Write};

use tracer_event::{ClockSample, Event, Session};

use super::{ReportOptions, StatsSink};
use crate::{Account, Loss, Sink};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatsFormat {
    /// Aligned text.
    #[default]
    Table,
    /// A JSON object.
    Json,
}

/// Counts events and writes the report at the end.
#[derive(Debug)]
pub struct StatsOutput<W> {
    stats: StatsSink,
    options: ReportOptions,
    format: StatsFormat,
    out: W,
}

impl<W: Write> StatsOutput<W> {
    /// Writes to `out`, once.
    pub fn new(out: W, options: ReportOptions, format: StatsFormat) -> StatsOutput<W> {
        StatsOutput { stats: StatsSink::new(), options, format, out }
    }
}

impl<W: Write> Sink for StatsOutput<W> {
    fn begin(&mut self, session: &Session) -> io::Result<()> {
        self.stats.begin(session)
    }

    fn clock(&mut self, sample: ClockSample) -> io::Result<()> {
        self.stats.clock(sample)
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.stats.event(event)
    }

    fn loss(&mut self, loss: &Loss<'_>) -> io::Result<()> {
        self.stats.loss(loss)
    }

    fn account(&mut self, accounts: &[Account]) -> io::Result<()> {
        self.stats.account(accounts)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stats.flush()
    }

    /// # Errors
    ///
    /// Those of the output, and a table that there is not ([`super::UnknownTable`], as `InvalidInput`).
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        let report = self.stats.report(&self.options);
        let report = report.map_err(|unknown| io::Error::new(io::ErrorKind::InvalidInput, unknown))?;
        let text = match self.format {
            StatsFormat::Table => report.to_string(),
            StatsFormat::Json => report.to_json(),
        };
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}
