//! `--sink`: plugins that take events.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tracer_compose::Catalog;
use tracer_dsl::{Diagnostics, option::Settings};
use tracer_engine::native::{NativeSink, Shown, options};
use tracer_trace::{Sink, Tee};

/// Why there is no sink.
#[derive(Debug)]
pub(crate) enum SinkError {
    /// There is none of that name.
    Unknown(Diagnostics),
    /// The plugin cannot be used.
    Refused(String),
}

/// The plugins that were asked for, each in its process.
#[derive(Default)]
pub(crate) struct Sinks {
    names: Vec<String>,
    sinks: Vec<NativeSink>,
    missed: Missed,
}

/// How many events some plugin did not take, and whether it has failed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Missed(Vec<(Arc<AtomicU64>, Arc<AtomicBool>)>);

impl Missed {
    /// Whether there is one, of any plugin, or one may not have got to where it belongs; known when all is over.
    pub(crate) fn any(&self) -> bool {
        let of_one = |(missed, failed): &(Arc<AtomicU64>, Arc<AtomicBool>)| {
            missed.load(Ordering::Relaxed) > 0 || failed.load(Ordering::Relaxed)
        };
        self.0.iter().any(of_one)
    }
}

impl Sinks {
    /// Starts those that `--sink` names. `tell` makes what tells the user something.
    pub(crate) fn start(
        settings: &Settings,
        catalog: &Catalog,
        live: bool,
        tell: impl Fn() -> Box<dyn FnMut(String) + Send>,
    ) -> Result<Sinks, SinkError> {
        let mut found = Diagnostics::new();
        let mut wanted = Vec::new();
        for word in settings.words("sink") {
            match catalog.sink(word) {
                Ok(_) if wanted.iter().any(|(name, _)| *name == word.value) => {}
                Ok(fragment) => wanted.push((word.value.clone(), fragment)),
                Err(diagnostic) => found.push(*diagnostic),
            }
        }
        found.or_value(()).map_err(SinkError::Unknown)?;
        let number = |name: &str| settings.integer(name).and_then(|number| u64::try_from(number).ok());
        let text = |name: &str| settings.text(name).map(str::to_owned);
        let shown = Shown { live, utc: settings.flag("utc"), link_header: settings.flag("link-header") };
        let mut sinks = Sinks::default();
        for (name, fragment) in wanted {
            let started = NativeSink::start(fragment, options(fragment, number, text), shown, tell());
            let sink = started.map_err(|why| {
                SinkError::Refused(format!(
                    "sink {name} cannot be used: {why}\n  = help: `tracer plugin check` with its folder says all"
                ))
            })?;
            sinks.missed.0.push((sink.missed(), sink.failed()));
            sinks.sinks.push(sink);
            sinks.names.push(name);
        }
        Ok(sinks)
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.sinks.is_empty()
    }

    /// Their names, in words; empty where there are none.
    pub(crate) fn names(&self) -> String {
        self.names.join(" and ")
    }

    /// How many events they did not take.
    pub(crate) fn missed(&self) -> Missed {
        self.missed.clone()
    }

    /// All of them, behind another output.
    pub(crate) fn behind(self, first: Box<dyn Sink + Send>) -> Box<dyn Sink + Send> {
        self.sinks.into_iter().fold(first, |before, sink| Box::new(Tee::new(before, Box::new(sink))))
    }
}
