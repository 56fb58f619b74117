//! Kprobes as perf events: the last way to reach a place, and the only one that covers every function on
//! every kernel. The kprobe PMU is used, so neither tracefs nor names in a global list are needed, and
//! nothing is left behind.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::attach::AttachError;
use crate::sys;

/// A place in the kernel's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A function by its name in kallsyms, plus bytes.
    Symbol {
        /// The name; suffixes such as `.constprop.0` included.
        name: String,
        /// Bytes from its start; 0 is its entry.
        offset: u64,
    },
    /// An address, for names that several functions share.
    Address(u64),
}

impl Place {
    /// A function's entry.
    pub fn function(name: &str) -> Place {
        Place::Symbol { name: name.to_owned(), offset: 0 }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Symbol { name, offset: 0 } => f.write_str(name),
            Place::Symbol { name, offset } => write!(f, "{name}+{offset:#x}"),
            Place::Address(address) => write!(f, "{address:#x}"),
        }
    }
}

const PMU: &str = "/sys/bus/event_source/devices/kprobe";

/// Whether this kernel has kprobes (CONFIG_KPROBE_EVENTS and CONFIG_PERF_EVENTS).
pub(crate) fn present() -> bool {
    fs::exists(format!("{PMU}/type")).unwrap_or(false)
}

/// Opens a perf event that fires at `place`, or, with `returns`, when the function there returns.
pub(crate) fn open(place: &Place, returns: bool) -> Result<OwnedFd, AttachError> {
    let number = fs::read_to_string(format!("{PMU}/type")).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => AttachError::NoKprobes,
        _ => AttachError::refused(place, error),
    })?;
    let pmu: u32 = number.trim().parse().map_err(|_| AttachError::NoKprobes)?;
    let name = match place {
        Place::Symbol { name, .. } => Some(
            CString::new(name.as_str()).map_err(|_| AttachError::NotFound { place: place.to_string() })?,
        ),
        Place::Address(_) => None,
    };
    let attr = PerfEvent {
        kind: pmu,
        size: size_of::<PerfEvent>() as u32,
        // `retprobe` is config:0 (format/retprobe in the PMU's folder; PERF_PROBE_CONFIG_IS_RETPROBE).
        config: u64::from(returns),
        unused: [0; 5],
        name: name.as_ref().map_or(0, |name| name.as_ptr().expose_provenance() as u64),
        offset: match place {
            Place::Symbol { offset, .. } => *offset,
            Place::Address(address) => *address,
        },
    };
    perf_event_open(&attr).map_err(|error| AttachError::at_kprobe(place, error))
}

/// Sets a program on a perf event the way kernels before 5.15 know. The program runs until the event is
/// closed.
pub(crate) fn set_program(event: &OwnedFd, program: std::os::fd::BorrowedFd<'_>) -> io::Result<()> {
    // `_IOW('$', 8, __u32)`, include/uapi/linux/perf_event.h.
    const PERF_EVENT_IOC_SET_BPF: u64 = 0x4004_2408;
    // SAFETY: the request takes a descriptor by value and no address.
    check(unsafe { libc::ioctl(event.as_raw_fd(), PERF_EVENT_IOC_SET_BPF as _, sys::raw(program)) })
}

/// `perf_event_open(attr, pid -1, cpu 0)`: a kprobe fires on all CPUs whichever one its event is on.
fn perf_event_open(attr: &PerfEvent) -> io::Result<OwnedFd> {
    // PERF_FLAG_FD_CLOEXEC
    const CLOEXEC: u64 = 8;
    // SAFETY: the kernel reads `attr.size` bytes, the struct's own size, and the zero-terminated name that it
    // points to, which outlives the call.
    let fd = unsafe {
        libc::syscall(libc::SYS_perf_event_open, std::ptr::from_ref(attr), -1i32, 0i32, -1i32, CLOEXEC)
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))?;
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn check(returned: i32) -> io::Result<()> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `struct perf_event_attr` up to config2 (PERF_ATTR_SIZE_VER1, 72 bytes). `disabled` stays 0: the event is
/// on at once, and does nothing until a program is set.
#[repr(C)]
struct PerfEvent {
    kind: u32,
    size: u32,
    config: u64,
    // sample_period, sample_type, read_format, flags, wakeup_events and bp_type
    unused: [u64; 5],
    // config1: kprobe_func
    name: u64,
    // config2: probe_offset or kprobe_addr
    offset: u64,
}
const _: () = assert!(size_of::<PerfEvent>() == 72);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_as_in_stacks() {
        assert_eq!(Place::function("ip_rcv").to_string(), "ip_rcv");
        assert_eq!(Place::Symbol { name: "ip_rcv".into(), offset: 16 }.to_string(), "ip_rcv+0x10");
        assert_eq!(Place::Address(0xffff_ffff_8100_0000).to_string(), "0xffffffff81000000");
    }
}
