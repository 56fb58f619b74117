//! The native half of the plugin `sockowner`: whose the socket is of which the fragment (`sockowner.bpf.c`) has read the inode
//! and the cgroup. It adds the section `owner`.
//!
//! Looking is done behind the event, not at it: of a socket whose process ended at once, only the cgroup may be known, or nothing.

mod cgroups;
mod container;
mod pace;
mod sockets;

use std::time::{Duration, Instant};

use cgroups::Cgroups;
use sockets::Sockets;
use tracer_plugin_abi::{
    Event, Failure, Handle, Host, Level, Native, Session, Value, export_plugin, section,
};

const PROC: &str = "/proc";
const CGROUPS: &str = "/sys/fs/cgroup";

section! {
    /// What is added to an event. What is not known is 0 or empty.
    pub struct Section in "owner", texts 2048 {
        /// The process: of several that have the socket, the one with the lowest number.
        pid: u32,
        /// How many processes have it.
        owners: u32,
        /// How many beside that one.
        others: u32,
        /// The process's name.
        comm: String,
        /// The first 12 digits of the id of the container that the cgroup is one of.
        container: String,
        /// The path of the socket's cgroup, else of the process's.
        cgroup: String,
    }
}

/// What is known, and where the fragment's fields are.
struct SocketOwner {
    sockets: Sockets,
    cgroups: Cgroups,
    inode: Option<Handle>,
    cgroup: Option<Handle>,
    /// Whether the user knows that some processes cannot be looked at.
    told: bool,
}

impl Native for SocketOwner {
    type Section = Section;

    fn start(host: &Host<'_>, _: &Session<'_>) -> Result<Self, Failure> {
        let interval = Duration::from_millis(host.number("refresh").unwrap_or(1000));
        Ok(SocketOwner {
            sockets: Sockets::new(PROC, interval),
            cgroups: Cgroups::new(CGROUPS, interval),
            inode: host.field("sockowner", "inode"),
            cgroup: host.field("sockowner", "cgroup"),
            told: false,
        })
    }

    fn enrich(&mut self, host: &Host<'_>, event: &Event<'_>) -> Result<Option<Section>, Failure> {
        let number = |field: Option<Handle>| match host.value(event, field?) {
            Some(Value::Uint(number)) if number != 0 => Some(number),
            _ => None,
        };
        let found = self.owner(number(self.inode), number(self.cgroup), event.tgid(), Instant::now());
        if self.sockets.denied() > 0 && !self.told {
            self.told = true;
            let text = format!(
                "{} processes do not let themselves be looked at (CAP_SYS_PTRACE is missing): their sockets have no owner",
                self.sockets.denied()
            );
            host.log(Level::Warning, &text);
        }
        Ok(found)
    }
}

impl SocketOwner {
    /// Whose a socket is, by its inode and its cgroup's number. `running` is the process that ran when it was used.
    fn owner(
        &mut self,
        inode: Option<u64>,
        cgroup: Option<u64>,
        running: u32,
        now: Instant,
    ) -> Option<Section> {
        let mut section = Section::default();
        let path = cgroup.and_then(|id| self.cgroups.path(id, now));
        // The first of all says nothing: where the first version of cgroups is in use, all sockets are there.
        section.cgroup = path.filter(|path| &**path != "/").map(|path| path.to_string()).unwrap_or_default();
        if let Some(owner) = inode.and_then(|inode| self.sockets.owner(inode, running, now)) {
            section.pid = owner.pid;
            section.owners = owner.owners;
            section.others = owner.owners - 1;
            section.comm = owner.comm.to_string();
            if section.cgroup.is_empty() {
                section.cgroup = owner.cgroup.to_string();
            }
        }
        section.container = container::of(&section.cgroup).unwrap_or_default().to_owned();
        (section != Section::default()).then_some(section)
    }
}

export_plugin!(SocketOwner, name: "sockowner", release: env!("CARGO_PKG_VERSION"), licence: "MIT OR Apache-2.0");

#[cfg(test)]
mod tests {
    use std::{fs, net::UdpSocket, os::fd::AsRawFd as _};

    use super::*;

    fn plugin() -> SocketOwner {
        let second = Duration::from_secs(1);
        SocketOwner {
            sockets: Sockets::new(PROC, second),
            cgroups: Cgroups::new(CGROUPS, second),
            inode: None,
            cgroup: None,
            told: false,
        }
    }

    #[test]
    fn this_process_owns_its_socket() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        let inode = link.to_str().unwrap().trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        let owner = plugin().owner(Some(inode), None, 0, Instant::now()).unwrap();
        assert_eq!((owner.pid, owner.owners, owner.others), (std::process::id(), 1, 0));
        let comm = fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(owner.comm, comm.trim_end());
        let lines = fs::read_to_string("/proc/self/cgroup").unwrap();
        assert!(lines.lines().any(|line| line.ends_with(&format!(":{}", owner.cgroup))), "{owner:?} {lines}");
    }

    #[test]
    fn what_is_not_known_is_no_section() {
        let mut plugin = plugin();
        let now = Instant::now();
        assert_eq!(plugin.owner(None, None, 1, now), None);
        assert_eq!(plugin.owner(Some(u64::MAX), Some(u64::MAX), 1, now), None);
    }
}
