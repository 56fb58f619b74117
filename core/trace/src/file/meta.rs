//! The session block: where and with what the events were seen, and which part of which run a file is. It is JSON, as all
//! blocks are that there are few of: fields can be added without a word to older readers, and a person can read it with
//! `strings`.

use serde::{Deserialize, Serialize};
use tracer_event::{Probes, Session};

use std::sync::Arc;

/// A session, but for its probes, and the file's place in its run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Meta {
    pub(super) tracer: String,
    host: String,
    kernel: String,
    machine: String,
    command: Vec<String>,
    own_netns: Option<u64>,
    pub(super) part: Part,
}

/// Which file of a run it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    /// The same in all files of a run, and in no other's.
    pub(super) run: String,
    /// Counts the files of a run, from 0.
    pub(super) number: u64,
}

impl Meta {
    pub(super) fn new(session: &Session, part: &Part) -> Meta {
        let Session { tracer, host, kernel, machine, command, own_netns, probes: _ } = session.clone();
        Meta { tracer, host, kernel, machine, command, own_netns, part: part.clone() }
    }

    pub(super) fn session(&self, probes: Arc<Probes>) -> Session {
        let Meta { tracer, host, kernel, machine, command, own_netns, part: _ } = self.clone();
        Session { tracer, host, kernel, machine, command, own_netns, probes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_empty_and_what_is_more_is_ignored() {
        assert_eq!(serde_json::from_str::<Meta>("{}").unwrap(), Meta::default());
        let newer = r#"{"host":"gw","part":{"number":3,"colour":"blue"},"moon":{"phase":[1,2]}}"#;
        let meta: Meta = serde_json::from_str(newer).unwrap();
        assert_eq!((meta.host.as_str(), meta.part.number), ("gw", 3));
    }
}
