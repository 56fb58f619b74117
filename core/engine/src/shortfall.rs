//! What collectors' programs count because it should not be: looked at twice a second, told where it grows, and in all at
//! the end. Which numbers those are, the manifests say; nothing here knows what they mean.

use tracer_event::Shortfall;
use tracer_kernel::{Map, MapError};

use crate::clock;

/// A number in a collector's map.
pub(crate) struct Counter {
    pub(crate) collector: String,
    /// What it counts.
    pub(crate) what: String,
    /// What can be done about it.
    pub(crate) help: Option<String>,
    pub(crate) map: Map,
    pub(crate) index: u32,
    /// What it said when it was looked at last.
    pub(crate) known: u64,
}

impl Counter {
    /// The sum of all CPUs' parts: a map has one, or one for each.
    fn read(&self) -> Result<u64, MapError> {
        let mut value = vec![0; self.map.value_bytes()];
        self.map.lookup(&self.index.to_ne_bytes(), &mut value)?;
        let (parts, _) = value.as_chunks::<8>();
        Ok(parts.iter().map(|part| u64::from_ne_bytes(*part)).sum())
    }

    /// What has come since it was looked at last, if something has.
    pub(crate) fn look(&mut self) -> Result<Option<Shortfall>, MapError> {
        let now = self.read()?;
        let count = now.saturating_sub(self.known);
        self.known = now.max(self.known);
        if count == 0 {
            return Ok(None);
        }
        let time = clock::monotonic();
        Ok(Some(Shortfall { collector: self.collector.clone(), what: self.what.clone(), count, time }))
    }

    /// In words.
    pub(crate) fn told(&self, count: u64) -> String {
        let help = self.help.as_ref().map(|help| format!("\n  = help: {help}")).unwrap_or_default();
        format!("collector {}: {count} {}{help}", self.collector, self.what)
    }
}
