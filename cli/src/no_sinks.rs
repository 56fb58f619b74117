//! `--sink`, where plugins do not run.

use tracer_compose::Catalog;
use tracer_dsl::{Diagnostic, Diagnostics, option::Settings};
use tracer_trace::Sink;

/// Why there is no sink.
#[derive(Debug)]
pub(crate) enum SinkError {
    /// There is none of that name.
    Unknown(Diagnostics),
    /// The plugin cannot be used.
    Refused(String),
}

/// No plugins.
#[derive(Default)]
pub(crate) struct Sinks;

/// No events.
#[derive(Debug, Clone, Default)]
pub(crate) struct Missed;

impl Missed {
    pub(crate) fn any(&self) -> bool {
        false
    }
}

impl Sinks {
    /// Says that there are none.
    pub(crate) fn start(
        settings: &Settings,
        _: &Catalog,
        _: bool,
        _: impl Fn() -> Box<dyn FnMut(String) + Send>,
    ) -> Result<Sinks, SinkError> {
        match settings.words("sink").first() {
            None => Ok(Sinks),
            Some(word) => {
                let error = Diagnostic::error("this system runs no plugins: `--sink` is for Linux");
                Err(SinkError::Unknown(error.at(word.source.clone()).into()))
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        true
    }

    pub(crate) fn names(&self) -> String {
        String::new()
    }

    pub(crate) fn missed(&self) -> Missed {
        Missed
    }

    pub(crate) fn behind(self, first: Box<dyn Sink + Send>) -> Box<dyn Sink + Send> {
        first
    }
}
