//! What a run tells its user besides events: values, so that tests compare them and the command
//! line decides where they go.

use std::fmt;

use crate::request::Way;

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A probe is attached.
    Attached {
        /// As it was asked for.
        probe: String,
        /// How.
        way: Way,
        /// The module that the function is in.
        module: Option<String>,
        /// Sections that its events have.
        sections: Vec<String>,
        /// Ways that were refused before.
        refused: Vec<(String, String)>,
    },
    /// The places that match a pattern are attached.
    AttachedMany {
        /// As it was asked for.
        pattern: String,
        /// How.
        way: String,
        /// How many there are.
        probes: usize,
    },
    /// A collector's hooks are attached.
    Hooked {
        /// The collector.
        collector: String,
        /// How many there are.
        hooks: usize,
    },
    /// The system was changed.
    Changed(String),
    /// Something that was asked for cannot be had, or only in part.
    Note(String),
    /// Something about a plugin's native half, or said by it.
    Plugin(String),
    /// Something that the user should do.
    Hint {
        /// What is the matter.
        message: String,
        /// What to do.
        help: Vec<String>,
    },
    /// How it goes, twice a second.
    Progress {
        /// Events that the sink took so far.
        events: u64,
        /// Events per second since the last time.
        rate: u64,
        /// Events that were lost so far because the ring was full.
        lost: u64,
        /// Hits that the rate limit suppressed so far.
        limited: u64,
    },
    /// The run is ending, and the output does not take what is left.
    Waiting {
        /// Events that wait.
        left: u64,
    },
    /// Everything is attached; events follow.
    Running {
        /// How to end it.
        ends: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attached { probe, way, module, sections, refused } => {
                write!(f, "attached {probe} by {way}")?;
                if let Some(module) = module {
                    write!(f, " (module {module})")?;
                }
                if !sections.is_empty() {
                    write!(f, ", reading {}", sections.join(", "))?;
                }
                refused.iter().try_for_each(|(way, reason)| write!(f, "\n  = note: not by {way}: {reason}"))
            }
            Self::AttachedMany { pattern, way, probes } => {
                write!(f, "attached {pattern} at {probes} places by {way}")
            }
            Self::Hooked { collector, hooks } => {
                let s = if *hooks == 1 { "" } else { "s" };
                write!(f, "attached {hooks} hook{s} of collector {collector}")
            }
            Self::Changed(change) => write!(f, "changed on this system: {change}"),
            Self::Note(note) => write!(f, "note: {note}"),
            Self::Plugin(text) => f.write_str(text),
            Self::Hint { message, help } => {
                write!(f, "{message}")?;
                help.iter().try_for_each(|help| write!(f, "\n  = help: {help}"))
            }
            Self::Progress { events, rate, lost, limited } => {
                write!(f, "{events} events, {rate}/s, {lost} lost")?;
                if *limited > 0 { write!(f, ", {limited} over the rate limit") } else { Ok(()) }
            }
            Self::Waiting { left: 0 } => f.write_str("waiting for the output to finish; Ctrl-C ends that"),
            Self::Waiting { left } => {
                write!(f, "waiting for the output to take {left} more events; Ctrl-C drops them")
            }
            Self::Running { ends } => write!(f, "tracing; {ends}"),
        }
    }
}
