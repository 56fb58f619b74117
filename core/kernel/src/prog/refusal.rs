//! What the kernel says when it refuses programs and BTF. It explains itself only when given a buffer for a
//! log, and a log makes verification slower; so loading goes without one first and asks for reasons only
//! after a refusal.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use crate::sys::{self, Attr, Command};

/// Loads BTF for [`super::ProgramSpec::btf`]. It must be whole (not split), with the kernel's endianness.
///
/// # Errors
///
/// [`LoadError`] with the kernel's answer and its log.
pub fn btf_load(btf: &[u8]) -> Result<OwnedFd, LoadError> {
    load_with_log("BTF", |log| {
        let mut attr = BtfLoad {
            btf: sys::address(btf),
            btf_len: sys::length(btf.len())?,
            log_size: sys::length(log.len())?,
            log_level: u32::from(!log.is_empty()),
            log: sys::address_mut(log),
            log_true_size: 0,
        };
        // SAFETY: both addresses are of borrowed slices, with their lengths beside them.
        unsafe { sys::bpf_fd(Command::BtfLoad, &mut attr) }
    })
}

/// The kernel refused a program or BTF.
#[derive(Debug)]
pub struct LoadError {
    /// What was to be loaded.
    pub name: String,
    /// The kernel's answer: EACCES and EINVAL come from the verifier and have a log; EPERM is a missing
    /// capability (or RLIMIT_MEMLOCK before 5.11, or the machine's policy); ENOTSUPP (524) is a kind that
    /// this kernel lacks.
    pub errno: io::Error,
    /// The verifier's log, empty when it said nothing. Of a very long one the end is there: on kernels before
    /// 6.4, which keep the start, it may be cut.
    pub log: String,
}

impl LoadError {
    /// The last line of the log that says something about the program: the verifier's reason.
    pub fn reason(&self) -> Option<&str> {
        self.log.lines().rev().map(str::trim).find(|line| {
            // These are the verifier's closing statistics, after the reason.
            let statistics = ["processed ", "verification time ", "stack depth ", "peak_states "];
            !line.is_empty() && !statistics.iter().any(|start| line.starts_with(start))
        })
    }

    pub(super) fn of(name: &str, errno: io::Error, log: String) -> LoadError {
        LoadError { name: name.to_owned(), errno, log }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the kernel refused {}: {}", self.name, self.errno)?;
        self.reason().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

impl std::error::Error for LoadError {}

/// The first log buffer: enough for what most refusals say.
const LOG_START: usize = 64 << 10;
/// The largest log that every kernel accepts (`UINT_MAX >> 8`, the verifier's bound up to 5.1).
const LOG_MAX: usize = (16 << 20) - 1;
/// Verification is interrupted by signals (EAGAIN); libbpf tries five times as well (PROG_LOAD_ATTEMPTS).
const ATTEMPTS: usize = 5;

/// Loads without a log, which is faster; on refusal again with one, larger until it holds all of it.
pub(super) fn load_with_log(
    name: &str,
    mut load: impl FnMut(&mut [u8]) -> io::Result<OwnedFd>,
) -> Result<OwnedFd, LoadError> {
    let is = |error: &io::Error, errno| error.raw_os_error() == Some(errno);
    let mut attempt = |log: &mut [u8]| {
        let mut result = load(log);
        for _ in 1..ATTEMPTS {
            match &result {
                Err(error) if is(error, libc::EAGAIN) => result = load(log),
                _ => break,
            }
        }
        result
    };

    let mut first = match attempt(&mut []) {
        Ok(fd) => return Ok(fd),
        Err(errno) => errno,
    };
    let mut log = vec![0; LOG_START];
    loop {
        match attempt(&mut log) {
            // The refusal was about a moment (memory, a signal), not about the program.
            Ok(fd) => return Ok(fd),
            Err(errno) if is(&errno, libc::ENOSPC) && log.len() < LOG_MAX => {
                let larger = (log.len() * 8).min(LOG_MAX);
                // Freed first: the two together would not fit small machines.
                drop(std::mem::take(&mut log));
                log = vec![0; larger];
            }
            Err(errno) => {
                // ENOSPC is about the log; the reason is what came without one.
                if !is(&errno, libc::ENOSPC) {
                    first = errno;
                }
                let end = memchr::memchr(0, &log).unwrap_or(log.len());
                return Err(LoadError::of(name, first, String::from_utf8_lossy(&log[..end]).into_owned()));
            }
        }
    }
}

/// `BPF_BTF_LOAD`; `log_true_size` (6.4) is here because the struct would end in padding without it.
#[repr(C)]
struct BtfLoad {
    btf: u64,
    log: u64,
    btf_len: u32,
    log_size: u32,
    log_level: u32,
    log_true_size: u32,
}
const _: () = assert!(size_of::<BtfLoad>() == 32);
// SAFETY: integers only, no padding.
unsafe impl Attr for BtfLoad {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_line_before_the_statistics() {
        let log = "0: R1=ctx()\n0: (95) exit\nR0 !read_ok\nprocessed 1 insns (limit 1000000)\n\n";
        let error = LoadError::of("probe", io::Error::from_raw_os_error(libc::EACCES), log.to_owned());
        assert_eq!(error.reason(), Some("R0 !read_ok"));
        assert!(error.to_string().starts_with("the kernel refused probe: "), "{error}");
        assert!(error.to_string().ends_with(": R0 !read_ok"), "{error}");
    }

    #[test]
    fn the_log_grows_and_the_first_answer_is_kept() {
        let mut sizes = Vec::new();
        let error = load_with_log("probe", |log| {
            sizes.push(log.len());
            let errno = if log.is_empty() { libc::EINVAL } else { libc::ENOSPC };
            Err(io::Error::from_raw_os_error(errno))
        })
        .unwrap_err();
        assert_eq!(error.errno.raw_os_error(), Some(libc::EINVAL));
        assert_eq!(sizes, [0, 64 << 10, 512 << 10, 4 << 20, (16 << 20) - 1]);
    }

    #[test]
    fn an_interrupted_verification_is_tried_again() {
        let mut left = 2;
        let fd = load_with_log("probe", |_| {
            if left == 0 {
                return Ok(std::fs::File::open("/dev/null")?.into());
            }
            left -= 1;
            Err(io::Error::from_raw_os_error(libc::EAGAIN))
        });
        assert!(fd.is_ok());
    }
}
