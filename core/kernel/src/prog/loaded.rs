//! The programs that are in the kernel already, whoever loaded them: for measuring a program that another
//! process has attached, by the kernel's own counters.

use std::io;
use std::os::fd::AsFd;

use super::{ProgInfo, Program};
use crate::sys::{self, Attr, Command};

/// All programs in this kernel, by id, each with its name as the kernel keeps it (15 characters at most).
///
/// What is returned keeps its program in the kernel until it is dropped. Needs CAP_SYS_ADMIN.
///
/// # Errors
///
/// EPERM without CAP_SYS_ADMIN; the kernel's answer otherwise.
pub fn loaded() -> io::Result<Vec<Program>> {
    let mut programs = Vec::new();
    let mut id = 0;
    while let Some(next) = next_id(id)? {
        id = next;
        // SAFETY: the attribute holds no address, and the command gives a descriptor.
        let fd = match unsafe { sys::bpf_fd(Command::ProgById, &mut Id { id, next: 0, flags: 0 }) } {
            Ok(fd) => fd,
            // Unloaded between the two calls.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => continue,
            Err(error) => return Err(error),
        };
        let mut info = ProgInfo::default();
        sys::object_info(fd.as_fd(), &mut info)?;
        let end = memchr::memchr(0, &info.name).unwrap_or(info.name.len());
        let name = String::from_utf8_lossy(&info.name[..end]).into_owned();
        programs.push(Program { fd, name });
    }
    Ok(programs)
}

/// The id after `id`; `None` at the end.
fn next_id(id: u32) -> io::Result<Option<u32>> {
    let mut attr = Id { id, next: 0, flags: 0 };
    // SAFETY: the attribute holds no address.
    match unsafe { sys::bpf(Command::ProgNextId, &mut attr) } {
        Ok(_) => Ok(Some(attr.next)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `BPF_PROG_GET_NEXT_ID` and `BPF_PROG_GET_FD_BY_ID`.
#[repr(C)]
struct Id {
    id: u32,
    next: u32,
    flags: u32,
}
// SAFETY: three integers of one size.
unsafe impl Attr for Id {}
