//! Where things are: the workspace, its target folder, and the machine's programs. In one place, because `/usr/sbin` is not
//! on everybody's PATH and half of what is used here lives there.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The workspace's root folder.
pub(crate) fn workspace() -> Result<PathBuf> {
    // Set by cargo at run time, so that a moved or copied checkout is found where it is now.
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .context("CARGO_MANIFEST_DIR is not set: start this as `cargo xtask ...`")?;
    let root = Path::new(&manifest).parent().context("the xtask package has no parent folder")?;
    Ok(root.to_path_buf())
}

/// cargo's target folder: the one this program was built into, whatever variable or configuration chose it.
pub(crate) fn target() -> Result<PathBuf> {
    let program = env::current_exe().context("cannot tell where this program was started from")?;
    let target = program.ancestors().nth(2).context("this program does not stand in a target folder")?;
    Ok(target.to_path_buf())
}

/// The path of a program, looked for on PATH and where distributions keep administrators' programs.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let also = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    env::split_paths(&path).chain(also).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Whether this process may change the system.
pub(crate) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    // real, effective, saved, file system
    uids.and_then(|uids| uids.split_whitespace().nth(1)) == Some("0")
}
