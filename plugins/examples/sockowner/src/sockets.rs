//! Sockets by their inodes: the kernel does not know whose a socket is, but each process has links to those it holds.
//!
//! All processes are looked at only when a socket is not known, at a limited pace, a part of them at a time where there are
//! many. In between, only the process that ran when the event happened is asked, since it often is the one. A socket that
//! was not found then is not looked for again until all are looked at the next time: a flood of them costs a look into a table each.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

use crate::{
    cgroups,
    pace::{Pace, STEP},
};

/// Sockets that are known at a time, and that are known not to be found.
const MOST: usize = 1 << 19;
/// How long one process may be looked at: one that has more to show is not seen to its end.
const ONE: Duration = Duration::from_secs(1);
/// How long single processes may be looked at, until all are the next time.
const SINGLES: Duration = Duration::from_millis(50);
/// What is known is looked at again after so many times the interval: sockets are passed on.
const STALE: u32 = 10;

/// Who has a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Of those that have it, the process with the lowest number.
    pub pid: u32,
    /// Its name.
    pub comm: Rc<str>,
    /// The path of its cgroup, empty if it is not known.
    pub cgroup: Rc<str>,
    /// How many processes have it.
    pub owners: u32,
    /// The one that was seen last with it: a process may have several descriptors of a socket.
    last: u32,
}

/// What is known of all sockets.
pub struct Sockets {
    proc: PathBuf,
    pace: Pace,
    known: HashMap<u64, Owner>,
    missed: HashSet<u64>,
    scan: Option<Scan>,
    /// How long single processes may still be looked at.
    singles: Duration,
    denied: u32,
}

/// A look at all processes that is not at its end.
struct Scan {
    /// The processes that are left, the next one last.
    pids: Vec<u32>,
    found: HashMap<u64, Owner>,
}

impl Sockets {
    /// Of the processes in `/proc`, wherever that is, which are looked at once in an interval at most.
    pub fn new(proc: impl Into<PathBuf>, interval: Duration) -> Sockets {
        Sockets {
            proc: proc.into(),
            pace: Pace::new(interval),
            known: HashMap::new(),
            missed: HashSet::new(),
            scan: None,
            singles: SINGLES,
            denied: 0,
        }
    }

    /// Who has a socket. `running` is the process that ran when it was used.
    pub fn owner(&mut self, inode: u64, running: u32, now: Instant) -> Option<&Owner> {
        let intervals = if self.find(inode).is_some() { STALE } else { 1 };
        if self.pace.is_due(intervals, now) {
            self.look_at_all(now);
        }
        if self.find(inode).is_none() && !self.missed.contains(&inode) {
            self.look_at_one(running);
            if self.find(inode).is_none() && self.missed.len() < MOST {
                self.missed.insert(inode);
            }
        }
        self.find(inode)
    }

    /// How many processes did not let themselves be looked at, the last time.
    pub fn denied(&self) -> u32 {
        self.denied
    }

    /// What was found most recently comes first.
    fn find(&self, inode: u64) -> Option<&Owner> {
        let scanned = self.scan.as_ref().and_then(|scan| scan.found.get(&inode));
        scanned.or_else(|| self.known.get(&inode))
    }

    fn look_at_all(&mut self, now: Instant) {
        let began = Instant::now();
        let mut scan = self.scan.take().unwrap_or_else(|| {
            self.denied = 0;
            Scan { pids: self.pids(), found: HashMap::new() }
        });
        while began.elapsed() < STEP
            && let Some(pid) = scan.pids.pop()
        {
            self.denied += u32::from(!self.look_at(pid, &mut scan.found, ONE));
        }
        if scan.pids.is_empty() {
            self.known = scan.found;
        } else {
            self.scan = Some(scan);
        }
        self.missed.clear();
        self.singles = SINGLES;
        self.pace.looked(now, began.elapsed());
    }

    fn look_at_one(&mut self, pid: u32) {
        if pid == 0 || self.singles.is_zero() {
            return;
        }
        let began = Instant::now();
        let mut found = HashMap::new();
        self.look_at(pid, &mut found, self.singles);
        for (inode, owner) in found {
            // Of what is known already, all that have it were counted.
            if self.known.len() < MOST {
                self.known.entry(inode).or_insert(owner);
            }
        }
        self.singles = self.singles.saturating_sub(began.elapsed());
    }

    /// All processes, the lowest number last.
    fn pids(&self) -> Vec<u32> {
        let entries = fs::read_dir(&self.proc).into_iter().flatten().flatten();
        let mut pids: Vec<u32> =
            entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        pids.sort_unstable_by(|a, b| b.cmp(a));
        pids
    }

    /// Notes a process's sockets; `false` if it may not be looked at.
    fn look_at(&self, pid: u32, found: &mut HashMap<u64, Owner>, patience: Duration) -> bool {
        let folder = self.proc.join(pid.to_string());
        let entries = match fs::read_dir(folder.join("fd")) {
            Ok(entries) => entries,
            // It may have ended, which is no denial.
            Err(error) => return error.kind() != io::ErrorKind::PermissionDenied,
        };
        let began = Instant::now();
        let mut names: Option<(Rc<str>, Rc<str>)> = None;
        for entry in entries.flatten() {
            if began.elapsed() >= patience {
                break;
            }
            let Some(inode) = fs::read_link(entry.path()).ok().and_then(|link| inode_of(link.to_str()?))
            else {
                continue;
            };
            if let Some(owner) = found.get_mut(&inode) {
                owner.owners += u32::from(owner.last != pid);
                owner.last = pid;
            } else if found.len() < MOST {
                let (comm, cgroup) = names.get_or_insert_with(|| self.names(pid)).clone();
                found.insert(inode, Owner { pid, comm, cgroup, owners: 1, last: pid });
            }
        }
        true
    }

    /// A process's name, and the path of its cgroup.
    fn names(&self, pid: u32) -> (Rc<str>, Rc<str>) {
        let comm = fs::read(self.proc.join(pid.to_string()).join("comm")).unwrap_or_default();
        let comm = String::from_utf8_lossy(&comm);
        let cgroup = cgroups::of_process(&self.proc, pid).unwrap_or_default();
        (comm.trim_end_matches('\n').into(), cgroup.into())
    }
}

/// The inode that a descriptor's link names, if it is a socket.
fn inode_of(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Adds a process with these links.
    fn process(proc: &tempfile::TempDir, pid: u32, comm: &str, links: &[&str]) {
        let folder = proc.path().join(pid.to_string());
        fs::create_dir_all(folder.join("fd")).unwrap();
        fs::write(folder.join("comm"), format!("{comm}\n")).unwrap();
        fs::write(folder.join("cgroup"), format!("0::/{comm}.service\n")).unwrap();
        for (i, link) in links.iter().enumerate() {
            symlink(link, folder.join(format!("fd/{i}"))).unwrap();
        }
    }

    fn seen(owner: Option<&Owner>) -> Option<(u32, &str, u32)> {
        owner.map(|owner| (owner.pid, &*owner.comm, owner.owners))
    }

    #[test]
    fn links_are_read() {
        assert_eq!(inode_of("socket:[40123]"), Some(40123));
        for link in [
            "/dev/null",
            "pipe:[5]",
            "socket:[]",
            "socket:[-1]",
            "socket:[5",
            "socket:[99999999999999999999]",
        ] {
            assert_eq!(inode_of(link), None, "{link}");
        }
    }

    #[test]
    fn the_lowest_process_counts_and_each_once() {
        let proc = tempfile::tempdir().unwrap();
        process(&proc, 1234, "nginx", &["socket:[7]", "socket:[7]", "/dev/null", "socket:[8]"]);
        process(&proc, 200, "nginx", &["socket:[7]"]);
        process(&proc, 1300, "nginx", &["pipe:[7]", "socket:[7]", "socket:[7]"]);
        fs::create_dir(proc.path().join("self")).unwrap();
        let mut sockets = Sockets::new(proc.path(), SECOND);
        let now = Instant::now();
        assert_eq!(seen(sockets.owner(7, 0, now)), Some((200, "nginx", 3)));
        assert_eq!(seen(sockets.owner(8, 0, now)), Some((1234, "nginx", 1)));
        assert_eq!(sockets.owner(8, 0, now).map(|owner| &*owner.cgroup), Some("/nginx.service"));
        // To look at one of them again, for another socket, counts nobody twice.
        process(&proc, 201, "other", &["socket:[7]", "socket:[9]"]);
        assert_eq!(seen(sockets.owner(10, 201, now)), None);
        assert_eq!(seen(sockets.owner(9, 0, now)), Some((201, "other", 1)));
        assert_eq!(seen(sockets.owner(7, 0, now)), Some((200, "nginx", 3)));
    }

    #[test]
    fn all_are_looked_at_once_in_an_interval() {
        let proc = tempfile::tempdir().unwrap();
        process(&proc, 1, "init", &[]);
        let mut sockets = Sockets::new(proc.path(), SECOND);
        let begin = Instant::now();
        assert_eq!(sockets.owner(7, 0, begin), None);
        process(&proc, 5, "late", &["socket:[7]", "socket:[8]"]);
        // It was missed, so even the process that runs is not asked.
        assert_eq!(sockets.owner(7, 5, begin + SECOND / 2), None);
        // This one is new, and that process has it; now the other is known too.
        assert_eq!(seen(sockets.owner(8, 5, begin + SECOND / 2)), Some((5, "late", 1)));
        assert_eq!(seen(sockets.owner(7, 0, begin + SECOND / 2)), Some((5, "late", 1)));
        fs::remove_dir_all(proc.path().join("5")).unwrap();
        process(&proc, 6, "heir", &["socket:[7]", "socket:[9]"]);
        // A miss is the occasion for a look, after which nothing old is believed.
        assert_eq!(seen(sockets.owner(9, 0, begin + SECOND * 2)), Some((6, "heir", 1)));
        assert_eq!(seen(sockets.owner(7, 0, begin + SECOND * 2)), Some((6, "heir", 1)));
        assert_eq!(sockets.owner(8, 0, begin + SECOND * 2), None);
    }

    #[test]
    fn what_is_known_grows_old() {
        let proc = tempfile::tempdir().unwrap();
        process(&proc, 5, "parent", &["socket:[7]"]);
        let mut sockets = Sockets::new(proc.path(), SECOND);
        let begin = Instant::now();
        assert_eq!(seen(sockets.owner(7, 0, begin)), Some((5, "parent", 1)));
        fs::remove_dir_all(proc.path().join("5")).unwrap();
        process(&proc, 6, "child", &["socket:[7]"]);
        assert_eq!(seen(sockets.owner(7, 0, begin + SECOND * 9)), Some((5, "parent", 1)));
        assert_eq!(seen(sockets.owner(7, 0, begin + SECOND * 12)), Some((6, "child", 1)));
    }

    #[test]
    fn a_flood_of_unknown_sockets_costs_little() {
        let proc = tempfile::tempdir().unwrap();
        let links: Vec<String> = (0..200).map(|i| format!("socket:[{i}]")).collect();
        process(&proc, 5, "busy", &links.iter().map(String::as_str).collect::<Vec<_>>());
        let mut sockets = Sockets::new(proc.path(), SECOND);
        let now = Instant::now();
        sockets.owner(1_000_000, 5, now);
        let began = Instant::now();
        for inode in 2_000_000..2_200_000 {
            assert_eq!(sockets.owner(inode, 5, now), None);
        }
        // Each look at the process takes some 100 us: all would be 20 s.
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert!(sockets.singles.is_zero());
    }

    #[test]
    fn many_processes_are_looked_at_in_parts() {
        let proc = tempfile::tempdir().unwrap();
        for pid in 1..=20 {
            process(&proc, pid, "one", &[&format!("socket:[{pid}]")]);
        }
        let mut sockets = Sockets::new(proc.path(), SECOND);
        // As if the time had been over when the first half was seen.
        let mut scan = Scan { pids: sockets.pids(), found: HashMap::new() };
        for _ in 0..10 {
            let pid = scan.pids.pop().unwrap();
            sockets.look_at(pid, &mut scan.found, ONE);
        }
        sockets.scan = Some(scan);
        let now = Instant::now();
        sockets.pace.looked(now, Duration::ZERO);
        assert_eq!(seen(sockets.owner(10, 0, now)), Some((10, "one", 1)));
        assert_eq!(sockets.owner(11, 0, now), None);
        assert_eq!(seen(sockets.owner(11, 0, now + SECOND)), Some((11, "one", 1)));
        assert!(sockets.scan.is_none() && sockets.known.len() == 20);
    }

    #[test]
    fn processes_that_cannot_be_looked_at_are_counted() {
        let proc = tempfile::tempdir().unwrap();
        process(&proc, 5, "closed", &["socket:[7]"]);
        let fd = proc.path().join("5/fd");
        fs::set_permissions(&fd, fs::Permissions::from_mode(0o0)).unwrap();
        let closed = fs::read_dir(&fd).is_err();
        let mut sockets = Sockets::new(proc.path(), SECOND);
        // Root may look at all.
        assert_eq!(sockets.owner(7, 0, Instant::now()).is_none(), closed);
        assert_eq!(sockets.denied(), u32::from(closed));
        assert_eq!(Sockets::new(proc.path().join("nothing"), SECOND).owner(7, 5, Instant::now()), None);
    }
}
