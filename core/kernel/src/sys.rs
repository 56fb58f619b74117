//! bpf(2) itself, because aya keeps its own wrapper private and cannot load an instruction stream that was
//! composed at run time. Each command's attribute is a small `#[repr(C)]` struct beside the code that uses
//! it: the kernel takes any prefix of `union bpf_attr` and reads the rest as zero, so a struct that ends
//! after the fields in use also works on kernels that know no later ones.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The commands in use, with their numbers from `enum bpf_cmd` (include/uapi/linux/bpf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Command {
    MapCreate = 0,
    MapLookup = 1,
    MapUpdate = 2,
    MapDelete = 3,
    MapNextKey = 4,
    ProgLoad = 5,
    ProgTestRun = 10,
    ProgNextId = 11,
    ProgById = 13,
    ObjectInfo = 15,
    RawTracepointOpen = 17,
    BtfLoad = 18,
    BtfById = 19,
    BtfNextId = 23,
    LinkCreate = 28,
    EnableStats = 32,
}

/// A prefix of `union bpf_attr` for one command.
///
/// # Safety
///
/// The type is `#[repr(C)]`, made of integers and arrays of integers only, without padding, and its fields
/// lie where the kernel's header has them.
pub(crate) unsafe trait Attr {}

/// Calls bpf(2) and gives the number that it returns: a new descriptor, or 0.
///
/// # Safety
///
/// Every address in `attr` is valid for what `command` does with it (reads and writes of the lengths that
/// `attr` and the objects it names imply), for the length of the call.
pub(crate) unsafe fn bpf<A: Attr>(command: Command, attr: &mut A) -> io::Result<i32> {
    // SAFETY: `attr` is a live, exclusively borrowed attribute of exactly the size given; what its addresses
    // point to is the caller's promise.
    let returned =
        unsafe { libc::syscall(libc::SYS_bpf, command as i32, std::ptr::from_mut(attr), size_of::<A>()) };
    if returned < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(returned).map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))
}

/// [`bpf`] for commands whose result is a new descriptor.
///
/// # Safety
///
/// As for [`bpf`]; and `command` is one that returns a descriptor.
pub(crate) unsafe fn bpf_fd<A: Attr>(command: Command, attr: &mut A) -> io::Result<OwnedFd> {
    // SAFETY: passed on from the caller.
    let fd = unsafe { bpf(command, attr) }?;
    // SAFETY: the kernel has just given us this descriptor, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor as an attribute field.
pub(crate) fn raw(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// The address of a slice's first element as an attribute field; 0 when the slice is empty.
pub(crate) fn address<T>(slice: &[T]) -> u64 {
    if slice.is_empty() { 0 } else { slice.as_ptr().expose_provenance() as u64 }
}

/// The address of a slice that the kernel will write to.
pub(crate) fn address_mut<T>(slice: &mut [T]) -> u64 {
    if slice.is_empty() { 0 } else { slice.as_mut_ptr().expose_provenance() as u64 }
}

/// A length as an attribute field, or E2BIG.
pub(crate) fn length(len: usize) -> io::Result<u32> {
    u32::try_from(len).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))
}

/// A name as the kernel takes it: 15 characters of `[A-Za-z0-9_.]` and a zero (`BPF_OBJ_NAME_LEN`,
/// bpf_obj_name_cpy() in kernel/bpf/syscall.c). Names are for people looking at `bpftool`, so a wrong
/// character is replaced, not refused.
pub(crate) fn object_name(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().take(15).zip(name.bytes()) {
        *to = if from.is_ascii_alphanumeric() || from == b'.' { from } else { b'_' };
    }
    bytes
}

/// Fills `info` (a prefix of the object's info struct) and gives how many bytes this kernel filled: fields
/// beyond that do not exist here and were left as they were.
pub(crate) fn object_info<I: Info>(fd: BorrowedFd<'_>, info: &mut I) -> io::Result<usize> {
    #[repr(C)]
    struct ObjectInfo {
        fd: u32,
        len: u32,
        info: u64,
    }
    // SAFETY: three integers, 16 bytes, no padding; `info` in `union bpf_attr`.
    unsafe impl Attr for ObjectInfo {}

    let mut attr = ObjectInfo {
        fd: raw(fd),
        len: length(size_of::<I>())?,
        info: std::ptr::from_mut(info).expose_provenance() as u64,
    };
    // SAFETY: the kernel writes at most `len` bytes at `info`, which is exclusively borrowed and has that
    // size; `Info` promises that any bytes make a valid value and that addresses inside are valid or zero.
    unsafe { bpf(Command::ObjectInfo, &mut attr) }?;
    Ok(attr.len as usize)
}

/// A prefix of `struct bpf_prog_info`, `bpf_btf_info` or `bpf_link_info`.
///
/// # Safety
///
/// The type is `#[repr(C)]`, made of integers only, without padding; every address in it is valid for the
/// length that stands beside it, or zero.
pub(crate) unsafe trait Info {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_and_cleaned() {
        assert_eq!(&object_name("tcp:net-dev"), b"tcp_net_dev\0\0\0\0\0");
        assert_eq!(&object_name("a_name_longer_than_the_kernel_takes"), b"a_name_longer_t\0");
    }
}
