//! Attaching: one [`Link`] whatever the way, so that the engine's ladder (fentry, kprobe.multi, perf kprobe)
//! differs in the call and in nothing after it. A link undoes itself; nothing it makes outlives its
//! descriptor.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::caps::{Capabilities, Capability};
use crate::kprobe::{self, Place};
use crate::prog::Program;
use crate::sys::{self, Attr, Command, Info};

/// A program attached to one place (or many, by kprobe.multi). Dropping it detaches; programs that are
/// running meanwhile run to their end (see [`crate::map::wait_for_running_programs`]).
#[derive(Debug)]
pub struct Link {
    fd: OwnedFd,
    misses: Misses,
}

/// What this link's kernel object can tell about hits that did not reach the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Misses {
    /// Not at the link: fentry and tracepoints miss per program only.
    Elsewhere,
    Kprobe,
    KprobeMulti,
}

impl Link {
    /// Attaches a tracing program (fentry, fexit, tp_btf) to the place it was loaded for. 5.5; on x86-64,
    /// arm64 from 6.0.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; EBUSY and E2BIG come from a function that has other trampolines or too many.
    pub fn tracing(program: &Program) -> Result<Link, AttachError> {
        let fd =
            raw_tracepoint_open(program, 0).map_err(|errno| AttachError::refused(program.name(), errno))?;
        Ok(Link { fd, misses: Misses::Elsewhere })
    }

    /// Attaches a raw tracepoint program to the tracepoint `name`, such as `kfree_skb` (without its group).
    ///
    /// # Errors
    ///
    /// [`AttachError::NotFound`] without such a tracepoint, [`AttachError::TooManyArguments`] when the
    /// program reads more arguments than it has.
    pub fn raw_tracepoint(program: &Program, name: &str) -> Result<Link, AttachError> {
        let not_found = || AttachError::NotFound { place: name.to_owned() };
        let c_name = CString::new(name).map_err(|_| not_found())?;
        let fd =
            raw_tracepoint_open(program, c_name.as_ptr().expose_provenance() as u64).map_err(|errno| {
                match errno.raw_os_error() {
                    Some(libc::ENOENT) => not_found(),
                    Some(libc::EINVAL) => AttachError::TooManyArguments { place: name.to_owned() },
                    _ => AttachError::refused(name, errno),
                }
            })?;
        Ok(Link { fd, misses: Misses::Elsewhere })
    }

    /// Attaches a kprobe program at `place`, or at the return of the function there.
    ///
    /// `cookie` is what `bpf_get_attach_cookie` gives in the program (5.15).
    ///
    /// # Errors
    ///
    /// [`AttachError::NoKprobes`], [`AttachError::NotFound`], [`AttachError::Ambiguous`],
    /// [`AttachError::NotProbeable`], [`AttachError::NoCookie`] before 5.15, or the kernel's answer.
    pub fn kprobe(
        program: &Program,
        place: &Place,
        returns: bool,
        cookie: Option<u64>,
    ) -> Result<Link, AttachError> {
        let event = kprobe::open(place, returns)?;
        let mut attr = PerfLink {
            program: sys::raw(program.fd()),
            target: sys::raw(event.as_fd()),
            attach_type: 41, // BPF_PERF_EVENT
            flags: 0,
            cookie: cookie.unwrap_or(0),
        };
        // SAFETY: the attribute holds no address.
        match unsafe { sys::bpf_fd(Command::LinkCreate, &mut attr) } {
            // `event` is closed here: the link holds it, and hundreds of probes need half the descriptors.
            Ok(fd) => return Ok(Link { fd, misses: Misses::Kprobe }),
            Err(errno) if errno.raw_os_error() == Some(libc::EINVAL) && cookie.is_some() => {
                return Err(AttachError::NoCookie { place: place.to_string() });
            }
            Err(errno) if errno.raw_os_error() == Some(libc::EINVAL) => {}
            Err(errno) => return Err(AttachError::refused(place, errno)),
        }
        kprobe::set_program(&event, program.fd()).map_err(|errno| AttachError::refused(place, errno))?;
        Ok(Link { fd: event, misses: Misses::Elsewhere })
    }

    /// Attaches a [`crate::ProgramKind::KprobeMulti`] program to all `places`, each with its cookie, at entry
    /// or at return. 5.18, with CONFIG_FPROBE.
    ///
    /// # Errors
    ///
    /// [`AttachError::NoKprobeMulti`] without it, [`AttachError::NotFound`] when one of the addresses is not
    /// traceable (the kernel does not say which).
    pub fn kprobe_multi(
        program: &Program,
        places: &[(u64, u64)],
        returns: bool,
    ) -> Result<Link, AttachError> {
        let (addresses, cookies): (Vec<u64>, Vec<u64>) = places.iter().copied().unzip();
        let what = format!("{} functions", places.len());
        let mut attr = MultiLink {
            program: sys::raw(program.fd()),
            target: 0,
            attach_type: 42, // BPF_TRACE_KPROBE_MULTI
            flags: 0,
            multi_flags: u32::from(returns), // BPF_F_KPROBE_MULTI_RETURN
            count: sys::length(places.len()).map_err(|errno| AttachError::refused(&what, errno))?,
            symbols: 0,
            addresses: sys::address(&addresses),
            cookies: sys::address(&cookies),
        };
        // SAFETY: both arrays live until the end of this function and have `count` elements of 8 bytes.
        let fd = unsafe { sys::bpf_fd(Command::LinkCreate, &mut attr) }.map_err(|errno| {
            match errno.raw_os_error() {
                Some(libc::EOPNOTSUPP) => AttachError::NoKprobeMulti,
                Some(libc::ENOENT | libc::ESRCH) => AttachError::NotFound { place: what.clone() },
                _ => AttachError::refused(&what, errno),
            }
        })?;
        Ok(Link { fd, misses: Misses::KprobeMulti })
    }

    /// Detaches. Dropping does the same; this says that it is meant. May take 100 ms for a perf kprobe, so do
    /// many in parallel.
    pub fn detach(self) {
        drop(self);
    }

    /// Hits that the kernel did not give to the program, as far as the link knows: kprobes from 6.7. `None`
    /// where nobody counts here; [`crate::prog::ProgramInfo::recursion_misses`] is counted apart from it.
    ///
    /// # Errors
    ///
    /// The kernel's answer; none is expected for an open link.
    pub fn missed(&self) -> io::Result<Option<u64>> {
        if self.misses == Misses::Elsewhere {
            return Ok(None);
        }
        let mut info = LinkInfo::default();
        let filled = sys::object_info(self.fd(), &mut info)?;
        // Both counters came with 6.7, which is also when the struct reached this size.
        if filled < size_of::<LinkInfo>() {
            return Ok(None);
        }
        Ok(match self.misses {
            Misses::Kprobe => Some(info.own[4]),
            Misses::KprobeMulti => Some(info.own[2]),
            Misses::Elsewhere => None,
        })
    }

    /// The descriptor: a BPF link, or a perf event on kernels before 5.15.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Whether this kernel has kprobes at all, so that a plan can say so before it tries.
pub fn kprobes_present() -> bool {
    kprobe::present()
}

/// Why a program was not attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The kernel has no kprobes.
    #[error("this kernel has no kprobes (no kprobe PMU: CONFIG_KPROBE_EVENTS is off)")]
    NoKprobes,
    /// The kernel has no kprobe.multi.
    #[error("this kernel has no kprobe.multi (CONFIG_FPROBE, 5.18)")]
    NoKprobeMulti,
    /// The kernel cannot tell one kprobe from another in a shared program.
    #[error("{place}: this kernel has no kprobe cookies (5.15)")]
    NoCookie {
        /// What was to be probed.
        place: String,
    },
    /// No such function or tracepoint.
    #[error("{place}: there is no such place in this kernel")]
    NotFound {
        /// What was to be probed.
        place: String,
    },
    /// Several functions have this name (the kernel says so from 6.7): attach by address.
    #[error("{place}: several functions have this name")]
    Ambiguous {
        /// What was to be probed.
        place: String,
    },
    /// The kernel does not allow a probe there.
    #[error("{place}: the kernel allows no kprobe there (blacklisted, or not the start of an instruction)")]
    NotProbeable {
        /// What was to be probed.
        place: String,
    },
    /// A raw tracepoint program reads arguments that the tracepoint does not have.
    #[error("{place}: the program reads more arguments than this tracepoint has")]
    TooManyArguments {
        /// The tracepoint.
        place: String,
    },
    /// Not allowed.
    #[error("{place}: not permitted: {}", lacking(missing))]
    Permission {
        /// What was to be probed.
        place: String,
        /// Which capabilities this thread lacks; empty when none is: the machine's policy says no.
        missing: Vec<Capability>,
    },
    /// Anything else.
    #[error("{place}: cannot attach: {errno}")]
    Refused {
        /// What was to be probed.
        place: String,
        /// The kernel's answer.
        errno: io::Error,
    },
}

impl AttachError {
    pub(crate) fn refused(place: &(impl ToString + ?Sized), errno: io::Error) -> AttachError {
        let place = place.to_string();
        match errno.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => {
                let missing = Capabilities::of_this_thread()
                    .map(|own| own.missing(&[Capability::Bpf, Capability::Perfmon]))
                    .unwrap_or_default();
                AttachError::Permission { place, missing }
            }
            _ => AttachError::Refused { place, errno },
        }
    }

    /// perf_event_open's answers, from kernel/trace/trace_kprobe.c and kernel/kprobes.c.
    pub(crate) fn at_kprobe(place: &Place, errno: io::Error) -> AttachError {
        match errno.raw_os_error() {
            Some(libc::ENOENT) => AttachError::NotFound { place: place.to_string() },
            Some(libc::EADDRNOTAVAIL) => AttachError::Ambiguous { place: place.to_string() },
            Some(libc::EINVAL | libc::EILSEQ) => AttachError::NotProbeable { place: place.to_string() },
            _ => AttachError::refused(place, errno),
        }
    }
}

fn lacking(missing: &[Capability]) -> String {
    match missing {
        [] => "no capability is missing, so a policy of this machine refuses it".to_owned(),
        _ => format!("missing {}", missing.iter().map(|c| c.name()).collect::<Vec<_>>().join(", ")),
    }
}

/// By name for raw tracepoints; with name 0 to what a tracing program was loaded for.
fn raw_tracepoint_open(program: &Program, name: u64) -> io::Result<OwnedFd> {
    let mut attr = RawTracepoint { name, program: program.fd().as_raw_fd().cast_unsigned(), unused: 0 };
    // SAFETY: `name` is zero or the address of a zero-terminated string that the caller keeps for the call.
    unsafe { sys::bpf_fd(Command::RawTracepointOpen, &mut attr) }
}

/// `raw_tracepoint` in `union bpf_attr`.
#[repr(C)]
struct RawTracepoint {
    name: u64,
    program: u32,
    unused: u32,
}
// SAFETY: integers only, the tail has a name.
unsafe impl Attr for RawTracepoint {}

/// `link_create` with `perf_event`.
#[repr(C)]
struct PerfLink {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    cookie: u64,
}
const _: () = assert!(size_of::<PerfLink>() == 24);
// SAFETY: integers only, no padding.
unsafe impl Attr for PerfLink {}

/// `link_create` with `kprobe_multi`.
#[repr(C)]
struct MultiLink {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    multi_flags: u32,
    count: u32,
    symbols: u64,
    addresses: u64,
    cookies: u64,
}
const _: () = assert!(size_of::<MultiLink>() == 48);
// SAFETY: integers only, no padding.
unsafe impl Attr for MultiLink {}

/// `struct bpf_link_info` as of 6.7 (56 bytes). In `own`, after the common part, a perf kprobe has its type,
/// name (address), name length and offset, address, missed; kprobe.multi has addresses (address), count and
/// flags, missed. Zeros passed in: the kernel copies no name and no addresses out.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    unused: u32,
    own: [u64; 5],
}
const _: () = assert!(size_of::<LinkInfo>() == 56);
// SAFETY: integers only, no padding; all addresses inside are zero when passed in.
unsafe impl Info for LinkInfo {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kprobe_answers_become_reasons() {
        let reason = |errno| {
            let error = AttachError::at_kprobe(&Place::function("f"), io::Error::from_raw_os_error(errno));
            error.to_string()
        };
        assert_eq!(reason(libc::ENOENT), "f: there is no such place in this kernel");
        assert_eq!(reason(libc::EADDRNOTAVAIL), "f: several functions have this name");
        assert!(reason(libc::EPERM).starts_with("f: not permitted: "), "{}", reason(libc::EPERM));
        assert!(reason(libc::ENOMEM).starts_with("f: cannot attach: "));
    }

    #[test]
    fn a_permission_error_names_what_is_missing() {
        let missing = vec![Capability::Bpf, Capability::Perfmon];
        let error = AttachError::Permission { place: "f".into(), missing };
        assert_eq!(error.to_string(), "f: not permitted: missing CAP_BPF, CAP_PERFMON");
    }
}
