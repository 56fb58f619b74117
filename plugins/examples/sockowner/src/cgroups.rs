//! Cgroups by their numbers: that of a cgroup is the inode number of its folder. All folders are looked at only when a
//! number is not known, at a limited pace, a part of them at a time where there are many.

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::fs::{DirEntryExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};

use crate::{
    container,
    pace::{Pace, STEP},
};

/// Cgroups that are known at a time, and that are known not to be found.
const MOST: usize = 1 << 18;

/// What is known of all cgroups.
pub struct Cgroups {
    root: PathBuf,
    pace: Pace,
    known: HashMap<u64, Rc<str>>,
    missed: HashSet<u64>,
    walk: Option<Walk>,
}

/// A look at all folders that is not at its end.
struct Walk {
    /// The folders that are left, by their paths below the root.
    folders: Vec<String>,
    found: HashMap<u64, Rc<str>>,
}

impl Cgroups {
    /// Of the folders in `/sys/fs/cgroup`, wherever that is, which are looked at once in an interval at most.
    pub fn new(root: impl Into<PathBuf>, interval: Duration) -> Cgroups {
        let root = root.into();
        // Where the first version is in use, the second is beside its hierarchies; in its own folder it has this file.
        let unified = root.join("unified");
        let root = if root.join("cgroup.controllers").exists() || !unified.exists() { root } else { unified };
        Cgroups { root, pace: Pace::new(interval), known: HashMap::new(), missed: HashSet::new(), walk: None }
    }

    /// The path of a cgroup.
    pub fn path(&mut self, id: u64, now: Instant) -> Option<Rc<str>> {
        if let Some(path) = self.find(id) {
            return Some(path);
        }
        if self.pace.is_due(1, now) {
            self.look_at_all(now);
        } else if self.missed.contains(&id) {
            return None;
        }
        let found = self.find(id);
        if found.is_none() && self.missed.len() < MOST {
            self.missed.insert(id);
        }
        found
    }

    fn find(&self, id: u64) -> Option<Rc<str>> {
        let walked = self.walk.as_ref().and_then(|walk| walk.found.get(&id));
        walked.or_else(|| self.known.get(&id)).cloned()
    }

    fn look_at_all(&mut self, now: Instant) {
        let began = Instant::now();
        let mut walk = self.walk.take().unwrap_or_else(|| {
            let root = fs::metadata(&self.root).map(|root| (root.ino(), "/".into()));
            Walk { folders: vec![String::new()], found: root.into_iter().collect() }
        });
        while began.elapsed() < STEP
            && let Some(folder) = walk.folders.pop()
        {
            self.look_at(&folder, &mut walk);
        }
        if walk.folders.is_empty() {
            self.known = walk.found;
        } else {
            self.walk = Some(walk);
        }
        self.missed.clear();
        self.pace.looked(now, began.elapsed());
    }

    /// Notes the folders in a folder.
    fn look_at(&self, folder: &str, walk: &mut Walk) {
        let entries = fs::read_dir(self.root.join(folder.trim_start_matches('/')));
        for entry in entries.into_iter().flatten().flatten() {
            // Links are not followed.
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) || walk.found.len() >= MOST {
                continue;
            }
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            walk.found.insert(entry.ino(), path.as_str().into());
            walk.folders.push(path);
        }
    }
}

/// The path of the cgroup that a process is in, of a folder like `/proc`: for cgroups that are gone, and for those of the
/// first version, which sockets do not know.
pub fn of_process(proc: &Path, pid: u32) -> Option<String> {
    let lines = fs::read_to_string(proc.join(pid.to_string()).join("cgroup")).ok()?;
    best(&lines).map(str::to_owned)
}

/// The path that says most, of `HIERARCHY:CONTROLLERS:PATH` lines.
fn best(lines: &str) -> Option<&str> {
    let parts = || {
        lines.lines().filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            rest.split_once(':').filter(|(_, path)| path.starts_with('/'))
        })
    };
    let of = |wanted: &str| parts().find(|(name, path)| *name == wanted && *path != "/");
    let in_container = parts().find(|(_, path)| container::of(path).is_some());
    let found = in_container.or_else(|| of("")).or_else(|| of("name=systemd")).or_else(|| parts().next());
    found.map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn number(path: &Path) -> u64 {
        fs::metadata(path).unwrap().ino()
    }

    #[test]
    fn folders_are_found_by_their_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("system.slice/nginx.service")).unwrap();
        fs::write(root.join("system.slice/cgroup.procs"), "").unwrap();
        std::os::unix::fs::symlink(root, root.join("system.slice/around")).unwrap();
        let mut cgroups = Cgroups::new(root, SECOND);
        let now = Instant::now();
        assert_eq!(cgroups.path(number(root), now).as_deref(), Some("/"));
        let nginx = number(&root.join("system.slice/nginx.service"));
        assert_eq!(cgroups.path(nginx, now).as_deref(), Some("/system.slice/nginx.service"));
        assert_eq!(cgroups.path(number(&root.join("system.slice/cgroup.procs")), now), None);
    }

    #[test]
    fn the_second_version_beside_the_first() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("unified/user.slice")).unwrap();
        fs::create_dir_all(dir.path().join("pids/docker")).unwrap();
        let mut cgroups = Cgroups::new(dir.path(), SECOND);
        let now = Instant::now();
        let user = number(&dir.path().join("unified/user.slice"));
        assert_eq!(cgroups.path(user, now).as_deref(), Some("/user.slice"));
        assert_eq!(cgroups.path(number(&dir.path().join("pids/docker")), now), None);
    }

    #[test]
    fn a_new_one_is_found_after_the_interval_and_an_old_one_without() {
        let dir = tempfile::tempdir().unwrap();
        let mut cgroups = Cgroups::new(dir.path(), SECOND);
        let begin = Instant::now();
        assert!(cgroups.path(number(dir.path()), begin).is_some());
        fs::create_dir(dir.path().join("new")).unwrap();
        let new = number(&dir.path().join("new"));
        assert_eq!(cgroups.path(new, begin + SECOND / 2), None);
        assert_eq!(cgroups.path(new, begin + SECOND * 2).as_deref(), Some("/new"));
        fs::remove_dir(dir.path().join("new")).unwrap();
        // Its events may come later than its end.
        assert_eq!(cgroups.path(new, begin + SECOND * 20).as_deref(), Some("/new"));
        assert_eq!(cgroups.path(0, begin + SECOND * 30), None);
        assert_eq!(cgroups.path(new, begin + SECOND * 30), None);
    }

    #[test]
    fn a_process_says_where_it_is() {
        let id = "3f2a9c01d4e5b6f7a8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f";
        let docker = format!("12:pids:/docker/{id}\n1:name=systemd:/system.slice/docker.service\n0::/\n");
        assert_eq!(best(&docker), Some(&*format!("/docker/{id}")));
        assert_eq!(best("0::/user.slice/user-0.slice\n"), Some("/user.slice/user-0.slice"));
        assert_eq!(best("5:cpu,cpuacct:/\n1:name=systemd:/init.scope\n0::/\n"), Some("/init.scope"));
        assert_eq!(best("0::/\n"), Some("/"));
        // A colon may be in a name, and a file may be cut.
        assert_eq!(best("0::/a.slice:cri:b\n"), Some("/a.slice:cri:b"));
        for lines in ["", "0", "0:", "::", "0::relative"] {
            assert_eq!(best(lines), None, "{lines}");
        }
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("7")).unwrap();
        fs::write(dir.path().join("7/cgroup"), "0::/x\n").unwrap();
        assert_eq!(of_process(dir.path(), 7).as_deref(), Some("/x"));
        assert_eq!(of_process(dir.path(), 8), None);
    }
}
