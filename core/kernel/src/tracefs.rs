//! tracefs without a mount that anybody sees: the list of functions that can be traced, and the groups of tracepoints,
//! are only there. Where the machine has it mounted, that mount is read; else one is made that has no place in any
//! folder and goes with its descriptor.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, Mode, OFlags, openat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

/// Where distributions mount it.
const MOUNTED: &str = "/sys/kernel/tracing";

/// tracefs, opened.
#[derive(Debug)]
pub struct TraceFs(Root);

#[derive(Debug)]
enum Root {
    Mounted(PathBuf),
    /// A mount that is in no folder; 5.2.
    Detached(OwnedFd),
}

impl TraceFs {
    /// Opens it, or makes a detached mount of it, which takes CAP_SYS_ADMIN and 5.2.
    ///
    /// # Errors
    ///
    /// Those of fsopen(2) and fsmount(2): ENODEV on a kernel without tracefs, EPERM without the capability.
    pub fn open() -> io::Result<TraceFs> {
        let mounted = Path::new(MOUNTED);
        if mounted.join("README").exists() {
            return Ok(TraceFs(Root::Mounted(mounted.to_owned())));
        }
        let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)?;
        Ok(TraceFs(Root::Detached(mount)))
    }

    /// The functions that the kernel can trace, `available_filter_functions`, by name.
    ///
    /// # Errors
    ///
    /// ENOENT on a kernel without CONFIG_DYNAMIC_FTRACE, and whatever the machine's policy says.
    pub fn traceable_functions(&self) -> io::Result<Vec<String>> {
        let mut text = String::new();
        self.file("available_filter_functions")?.read_to_string(&mut text)?;
        // A module's functions have its name behind them, in brackets.
        let names = text.lines().filter_map(|line| line.split_whitespace().next());
        Ok(names.map(str::to_owned).collect())
    }

    /// The tracepoints of a group, by name.
    ///
    /// # Errors
    ///
    /// ENOENT for a group that is not there.
    pub fn tracepoints(&self, group: &str) -> io::Result<Vec<String>> {
        self.folders(&format!("events/{group}"))
    }

    /// The groups of tracepoints.
    ///
    /// # Errors
    ///
    /// Those of reading a folder.
    pub fn groups(&self) -> io::Result<Vec<String>> {
        self.folders("events")
    }

    fn file(&self, name: &str) -> io::Result<File> {
        match &self.0 {
            Root::Mounted(folder) => File::open(folder.join(name)),
            Root::Detached(mount) => {
                Ok(openat(mount, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.into())
            }
        }
    }

    /// The names of the folders in a folder, in order.
    fn folders(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut names: Vec<String> = match &self.0 {
            Root::Mounted(root) => {
                let entries = fs::read_dir(root.join(folder))?.filter_map(Result::ok);
                let folders = entries.filter(|entry| entry.file_type().is_ok_and(|ty| ty.is_dir()));
                folders.filter_map(|entry| entry.file_name().into_string().ok()).collect()
            }
            Root::Detached(mount) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let entries = Dir::read_from(openat(mount, folder, flags, Mode::empty())?)?;
                let folders = entries
                    .filter_map(Result::ok)
                    .filter(|entry| entry.file_type() == rustix::fs::FileType::Directory);
                folders
                    .filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned))
                    .filter(|name| name != "." && name != "..")
                    .collect()
            }
        };
        names.sort_unstable();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_tracepoints() {
        let tracefs = match TraceFs::open() {
            Ok(tracefs) => tracefs,
            Err(error) => {
                eprintln!("SKIPPED: no tracefs here: {error}");
                return;
            }
        };
        let Ok(groups) = tracefs.groups() else { return };
        assert!(groups.iter().any(|group| group == "skb"), "{groups:?}");
        assert!(tracefs.tracepoints("skb").unwrap().iter().any(|name| name == "kfree_skb"));
        assert_eq!(tracefs.tracepoints("no_such_group").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
