//! Adds the user whose process ran when an event happened.

use std::{
    collections::HashMap,
    fs,
    time::{Duration, Instant},
};

use tracer_plugin_abi::{Event, Failure, Host, Native, Session, export_plugin, section};

section! {
    /// What is added to an event: these members are the fields. All texts of an event take so many bytes at most.
    pub struct User in "NAME", texts 64 {
        uid: u32,
        user: String,
    }
}

/// How long the answer for a process is good.
const FRESH: Duration = Duration::from_secs(1);
/// Processes that are known at a time.
const MOST: usize = 4096;

/// What is kept between events.
struct Plugin {
    /// Users' names.
    names: HashMap<u32, String>,
    /// Processes' users, and when they were looked up.
    known: HashMap<u32, (Instant, Option<u32>)>,
}

impl Native for Plugin {
    type Section = User;

    /// An error here, or in `enrich`, is told to the user, and ends the plugin, not the trace.
    fn start(host: &Host<'_>, _: &Session<'_>) -> Result<Self, Failure> {
        let path = host.text("passwd").unwrap_or("/etc/passwd");
        let passwd = fs::read_to_string(path)
            .map_err(|error| Failure::new(format!("cannot read {path}: {error}: `--NAME-passwd` names another")))?;
        Ok(Plugin { names: names(&passwd), known: HashMap::new() })
    }

    /// Fills the section of one event; `None`: it gets none.
    fn enrich(&mut self, _: &Host<'_>, event: &Event<'_>) -> Result<Option<User>, Failure> {
        let uid = self.uid(event.tgid(), Instant::now());
        Ok(uid.map(|uid| User { uid, user: self.names.get(&uid).cloned().unwrap_or_default() }))
    }
}

impl Plugin {
    /// The user of a process, unless it has ended already.
    fn uid(&mut self, pid: u32, now: Instant) -> Option<u32> {
        if let Some((at, uid)) = self.known.get(&pid)
            && now.saturating_duration_since(*at) < FRESH
        {
            return *uid;
        }
        let uid = fs::read_to_string(format!("/proc/{pid}/status")).ok().and_then(|status| uid_of(&status));
        if self.known.len() >= MOST {
            self.known.clear();
        }
        self.known.insert(pid, (now, uid));
        uid
    }
}

/// The users in a passwd file.
fn names(passwd: &str) -> HashMap<u32, String> {
    let user = |line: &str| {
        let mut parts = line.split(':');
        let (name, uid) = (parts.next()?, parts.nth(1)?);
        Some((uid.parse().ok()?, name.to_owned()))
    };
    passwd.lines().filter_map(user).collect()
}

/// The real user id in /proc/PID/status.
fn uid_of(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().next()?.parse().ok()
}

export_plugin!(Plugin, name: "NAME", release: env!("CARGO_PKG_VERSION"), licence: "MIT");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read() {
        assert_eq!(uid_of("Name:\tsh\nUid:\t1000\t0\t0\t0\n"), Some(1000));
        assert_eq!(uid_of("Name:\tsh\n"), None);
        let names = names("root:x:0:0:root:/root:/bin/sh\nbroken\nuser:x:1000:1000::/:/bin/sh\n");
        assert_eq!(names.get(&1000).map(String::as_str), Some("user"));
        assert_eq!(names.len(), 2);
    }
}
