//! Process limits that stand in a tracer's way. Before 5.11 BPF memory is charged to RLIMIT_MEMLOCK, whose
//! usual 64 KiB make every map creation fail with a bare EPERM; and a run with hundreds of probes holds more
//! descriptors than the usual soft limit of 1024.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What [`raise_limits`] reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that may be locked; `None` is unlimited. Matters on kernels before 5.11 only.
    pub memlock: Option<u64>,
    /// Descriptors that may be open; `None` is unlimited.
    pub nofile: Option<u64>,
}

/// Raises RLIMIT_MEMLOCK (to unlimited, or as far as allowed) and RLIMIT_NOFILE (to its hard limit).
///
/// Call once at start, before the first map. Not being allowed to raise is no error: the limits in force are
/// returned, and with CAP_SYS_RESOURCE missing they may simply be enough.
pub fn raise_limits() -> Limits {
    let unlimited = Rlimit { current: None, maximum: None };
    if setrlimit(Resource::Memlock, unlimited).is_err() {
        raise_to_hard(Resource::Memlock);
    }
    raise_to_hard(Resource::Nofile);
    Limits { memlock: getrlimit(Resource::Memlock).current, nofile: getrlimit(Resource::Nofile).current }
}

/// Whether an error from loading or creating looks like the old memory accounting: EPERM on a kernel before
/// 5.11 is what it answers for "more locked memory than RLIMIT_MEMLOCK".
pub fn may_be_memlock(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EPERM)
        && crate::host::KernelRelease::running().is_before(5, 11)
        && getrlimit(Resource::Memlock).current.is_some()
}

fn raise_to_hard(resource: Resource) {
    let limit = getrlimit(resource);
    // Raising the soft limit up to the hard one needs no privilege; if it still fails, the old value stays in
    // force and the caller reads it.
    let _ = setrlimit(resource, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_reaches_the_hard_limit() {
        let limits = raise_limits();
        assert_eq!(limits.nofile, getrlimit(Resource::Nofile).maximum);
    }
}
