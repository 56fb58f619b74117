//! What kind of machine this is: the kernel's version and its CPUs. Versions choose nothing by themselves
//! (features are probed or looked up in BTF); they are for profiles' `when`, for messages, and for the few
//! things that have no probe.

use std::fmt;
use std::fs;
use std::io;

/// A kernel's release, such as `6.12.95-cloud-amd64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelRelease {
    /// The whole string, as `uname -r` prints it.
    pub text: String,
    /// `6` of `6.12.95`.
    pub major: u32,
    /// `12` of `6.12.95`.
    pub minor: u32,
    /// `95` of `6.12.95`; 0 when there is none.
    pub patch: u32,
}

impl KernelRelease {
    /// The running kernel's, from uname(2).
    pub fn running() -> KernelRelease {
        KernelRelease::parse(&rustix::system::uname().release().to_string_lossy())
    }

    /// Reads the leading numbers; what is not a number counts as 0, as distributions may append anything.
    pub fn parse(text: &str) -> KernelRelease {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
        KernelRelease {
            text: text.to_owned(),
            major: numbers.next().unwrap_or(0),
            minor: numbers.next().unwrap_or(0),
            patch: patch(text),
        }
    }

    /// Whether this is older than `major.minor`.
    pub fn is_before(&self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) < (major, minor)
    }
}

impl fmt::Display for KernelRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The third number, only if a dot stands before it: `6.1-rc4` has none.
fn patch(text: &str) -> u32 {
    let third = text.splitn(3, '.').nth(2).unwrap_or("");
    let digits = third.len() - third.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    third[..digits].parse().unwrap_or(0)
}

/// The CPUs that may ever come up, online or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PossibleCpus {
    /// How many there are: a per-CPU map's value has this many parts.
    pub count: usize,
    /// One more than the highest number: an array indexed by `bpf_get_smp_processor_id()` needs this many
    /// elements. Differs from `count` where the numbers have holes.
    pub slots: usize,
}

impl PossibleCpus {
    /// Reads `/sys/devices/system/cpu/possible` (Documentation/admin-guide/cputopology.rst).
    ///
    /// # Errors
    ///
    /// Those of reading the file; `InvalidData` when it is not a CPU list.
    pub fn read() -> io::Result<PossibleCpus> {
        let text = fs::read_to_string("/sys/devices/system/cpu/possible")?;
        PossibleCpus::parse(&text).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("not a list of CPUs: {:?}", text.trim()))
        })
    }

    /// Parses a list such as `0-3,8-11`.
    fn parse(text: &str) -> Option<PossibleCpus> {
        let mut cpus = PossibleCpus { count: 0, slots: 0 };
        for range in text.trim().split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            cpus.count += last.checked_sub(first)? + 1;
            cpus.slots = cpus.slots.max(last + 1);
        }
        Some(cpus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        let numbers = |text| {
            let release = KernelRelease::parse(text);
            (release.major, release.minor, release.patch)
        };
        assert_eq!(numbers("6.12.95+deb13-cloud-amd64"), (6, 12, 95));
        assert_eq!(numbers("5.10.0-32-amd64"), (5, 10, 0));
        assert_eq!(numbers("6.1-rc4"), (6, 1, 0));
        assert_eq!(numbers("7"), (7, 0, 0));
        assert!(KernelRelease::parse("5.9.16").is_before(5, 10));
        assert!(!KernelRelease::parse("6.1.0").is_before(5, 10));
        assert!(KernelRelease::running().major >= 4);
    }

    #[test]
    fn cpu_lists() {
        assert_eq!(PossibleCpus::parse("0\n"), Some(PossibleCpus { count: 1, slots: 1 }));
        assert_eq!(PossibleCpus::parse("0-1,8-11\n"), Some(PossibleCpus { count: 6, slots: 12 }));
        assert_eq!(PossibleCpus::parse("3-1"), None);
        assert_eq!(PossibleCpus::parse(""), None);
        assert!(PossibleCpus::read().unwrap().count >= 1);
    }
}
