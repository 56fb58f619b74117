//! Where this kernel keeps its BTF, and its modules: as files for reading types, and as kernel objects for
//! attaching to a module's functions. Both are here because a plan needs the pair: the id found in a module's
//! file is only meaningful together with that module's object.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::sys::{self, Attr, Command, Info};

const FOLDER: &str = "/sys/kernel/btf";

/// The bytes of the kernel's own BTF, `/sys/kernel/btf/vmlinux` (3-6 MB; CONFIG_DEBUG_INFO_BTF).
///
/// # Errors
///
/// [`BtfError::Absent`] when this kernel was built without BTF, else why reading failed.
pub fn vmlinux() -> Result<Vec<u8>, BtfError> {
    read("vmlinux")
}

/// The bytes of a loaded module's BTF: split BTF, whose ids and string offsets go on where vmlinux's end
/// (CONFIG_DEBUG_INFO_BTF_MODULES; 5.11). What is built in has none of its own.
///
/// # Errors
///
/// [`BtfError::Absent`] when the module is not loaded or has no BTF, else why reading failed.
pub fn module(name: &str) -> Result<Vec<u8>, BtfError> {
    read(name)
}

/// The loaded modules that have BTF, sorted; empty without any.
pub fn modules() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(FOLDER)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name != "vmlinux")
        .collect();
    names.sort_unstable();
    names
}

/// The loaded modules, as `/proc/modules` lists them; empty on a kernel without module support.
///
/// # Errors
///
/// Those of reading the file, except that it is not there.
pub fn modules_loaded() -> io::Result<Vec<String>> {
    match fs::read_to_string("/proc/modules") {
        Ok(text) => Ok(module_names(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Whether a module is there, loaded or built in, by `/sys/module/NAME`.
///
/// `false` is not proof: code that is built in, has no parameters and no version has no folder there. Ask
/// [`crate::Symbols`] for one of its functions then.
pub fn module_present(name: &str) -> bool {
    plain(name) && Path::new("/sys/module").join(name.replace('-', "_")).is_dir()
}

/// The BTF object of a loaded module, for [`crate::ProgramKind::Tracing`]; `None` when there is none of that
/// name (built in: its types are in vmlinux). Needs 5.11 and CAP_SYS_ADMIN.
///
/// # Errors
///
/// EPERM without CAP_SYS_ADMIN; the kernel's answer otherwise.
pub fn module_object(name: &str) -> io::Result<Option<OwnedFd>> {
    let mut id = 0;
    while let Some(next) = next_id(id)? {
        id = next;
        let object = match by_id(id) {
            Ok(object) => object,
            // Unloaded between the two calls.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => continue,
            Err(error) => return Err(error),
        };
        let info = BtfObject::of(&object)?;
        if info.is_kernel && info.name == name.as_bytes() {
            return Ok(Some(object));
        }
    }
    Ok(None)
}

/// Why there is no BTF to read.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The file is not there.
    #[error("there is no {}", path.display())]
    Absent {
        /// Where it would be.
        path: PathBuf,
    },
    /// The file is there and cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn read(name: &str) -> Result<Vec<u8>, BtfError> {
    let path = Path::new(FOLDER).join(name);
    if !plain(name) {
        return Err(BtfError::Absent { path });
    }
    fs::read(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => BtfError::Absent { path },
        _ => BtfError::Read { path, source },
    })
}

/// A module's name comes from profiles, so it must not climb out of the folder it is looked up in.
fn plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains('/')
}

fn module_names(proc_modules: &str) -> Vec<String> {
    proc_modules.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// The id after `id`; `None` at the end.
fn next_id(id: u32) -> io::Result<Option<u32>> {
    let mut attr = Id { id, next: 0, flags: 0 };
    // SAFETY: the attribute holds no address.
    match unsafe { sys::bpf(Command::BtfNextId, &mut attr) } {
        Ok(_) => Ok(Some(attr.next)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn by_id(id: u32) -> io::Result<OwnedFd> {
    // SAFETY: the attribute holds no address.
    unsafe { sys::bpf_fd(Command::BtfById, &mut Id { id, next: 0, flags: 0 }) }
}

struct BtfObject {
    name: Vec<u8>,
    is_kernel: bool,
}

impl BtfObject {
    fn of(object: &OwnedFd) -> io::Result<BtfObject> {
        // MODULE_NAME_LEN is 64 - sizeof(long); user BTF has no name.
        let mut name = [0u8; 64];
        let mut info = BtfInfo {
            name: sys::address_mut(&mut name),
            name_len: sys::length(name.len())?,
            ..BtfInfo::default()
        };
        sys::object_info(object.as_fd(), &mut info)?;
        let end = memchr::memchr(0, &name).unwrap_or(name.len());
        Ok(BtfObject { name: name[..end].to_vec(), is_kernel: info.kernel_btf != 0 })
    }
}

/// `BPF_*_GET_NEXT_ID` and `BPF_*_GET_FD_BY_ID`.
#[repr(C)]
struct Id {
    id: u32,
    next: u32,
    flags: u32,
}
// SAFETY: three integers of one size.
unsafe impl Attr for Id {}

/// `struct bpf_btf_info`; name and kernel_btf since 5.11.
#[repr(C)]
#[derive(Default)]
struct BtfInfo {
    btf: u64,
    btf_size: u32,
    id: u32,
    name: u64,
    name_len: u32,
    kernel_btf: u32,
}
const _: () = assert!(size_of::<BtfInfo>() == 32);
// SAFETY: integers only, no padding; `btf` is zero and `name` has its length beside it.
unsafe impl Info for BtfInfo {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_words_of_proc_modules() {
        let text = "nf_tables 368640 0 - Live 0x0000000000000000\nveth 45056 1 br, Live 0x0\n";
        assert_eq!(module_names(text), ["nf_tables", "veth"]);
    }

    #[test]
    fn names_stay_in_their_folder() {
        assert!(matches!(module("../../../etc/passwd"), Err(BtfError::Absent { .. })));
        assert!(!module_present(".."));
    }
}
