//! Which capabilities this thread has, to say in advance what will not work and why. The kernel answers a
//! bare EPERM for a dozen different lacks; a message that names the capability is worth more.

use std::fmt;
use std::fs;
use std::io;

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// A capability that some part of tracing needs, with its number from include/uapi/linux/capability.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Capability {
    /// Giving files away.
    Chown = 0,
    /// Files and folders whatever their permissions say.
    DacOverride = 1,
    /// Reading files and folders whatever their permissions say.
    DacReadSearch = 2,
    /// Network configuration: nftables, namespaces' sockets.
    NetAdmin = 12,
    /// Looking into other processes: the descriptors and namespaces below `/proc/PID`.
    SysPtrace = 19,
    /// Everything not split off; BTF objects by id, setns, statistics.
    SysAdmin = 21,
    /// Limits beyond the hard ones.
    SysResource = 24,
    /// Kernel addresses in `/proc/kallsyms`.
    Syslog = 34,
    /// Reading kernel memory and attaching to it; 5.8.
    Perfmon = 38,
    /// Maps and programs; 5.8.
    Bpf = 39,
}

/// Gives up all capabilities of the calling thread but these, for good. Capabilities are per thread: other
/// threads keep theirs, and threads started later inherit what is left.
///
/// # Errors
///
/// capset(2)'s; none is expected, as nothing is gained.
pub fn keep_only(needed: &[Capability]) -> io::Result<()> {
    let wanted = needed.iter().fold(0u64, |set, capability| set | 1 << (*capability as u8));
    let wanted = CapabilitySet::from_bits_retain(wanted);
    let own = capabilities(None)?;
    let (effective, permitted) = (own.effective & wanted, own.permitted & wanted);
    Ok(set_capabilities(None, CapabilitySets { effective, permitted, inheritable: CapabilitySet::empty() })?)
}

impl Capability {
    /// All of them, in the order of their numbers.
    pub const ALL: [Capability; 10] = [
        Capability::Chown,
        Capability::DacOverride,
        Capability::DacReadSearch,
        Capability::NetAdmin,
        Capability::SysPtrace,
        Capability::SysAdmin,
        Capability::SysResource,
        Capability::Syslog,
        Capability::Perfmon,
        Capability::Bpf,
    ];

    /// The kernel's name, such as `CAP_BPF`.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Chown => "CAP_CHOWN",
            Capability::DacOverride => "CAP_DAC_OVERRIDE",
            Capability::DacReadSearch => "CAP_DAC_READ_SEARCH",
            Capability::SysPtrace => "CAP_SYS_PTRACE",
            Capability::NetAdmin => "CAP_NET_ADMIN",
            Capability::SysAdmin => "CAP_SYS_ADMIN",
            Capability::SysResource => "CAP_SYS_RESOURCE",
            Capability::Syslog => "CAP_SYSLOG",
            Capability::Perfmon => "CAP_PERFMON",
            Capability::Bpf => "CAP_BPF",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A thread's effective capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    effective: u64,
    initial_user_namespace: bool,
}

impl Capabilities {
    /// The calling thread's: capabilities are per thread, and worker threads drop theirs.
    ///
    /// # Errors
    ///
    /// Those of reading `/proc/thread-self/status`.
    pub fn of_this_thread() -> io::Result<Capabilities> {
        let status = fs::read_to_string("/proc/thread-self/status")?;
        let effective = effective(&status).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "no CapEff in /proc/thread-self/status")
        })?;
        // Without user namespaces in the kernel there is no such file, and only the initial one.
        let map = fs::read_to_string("/proc/thread-self/uid_map").ok();
        Ok(Capabilities { effective, initial_user_namespace: map.is_none_or(|map| maps_everybody(&map)) })
    }

    /// Whether the capability is effective, by itself or through CAP_SYS_ADMIN, which the kernel lets stand
    /// for CAP_BPF, CAP_PERFMON (bpf_capable(), perfmon_capable() in include/linux/capability.h) and
    /// CAP_SYSLOG before 2.6.38 only.
    pub fn has(self, capability: Capability) -> bool {
        let set = |capability: Capability| self.effective >> (capability as u8) & 1 == 1;
        match capability {
            Capability::Bpf | Capability::Perfmon => set(capability) || set(Capability::SysAdmin),
            _ => set(capability),
        }
    }

    /// Those of `needed` that are missing, in the same order.
    pub fn missing(self, needed: &[Capability]) -> Vec<Capability> {
        needed.iter().copied().filter(|&capability| !self.has(capability)).collect()
    }

    /// Whether the capabilities count for the whole machine. In a user namespace of a container `CapEff` may
    /// be full and the kernel refuses everything here all the same.
    pub fn in_initial_user_namespace(self) -> bool {
        self.initial_user_namespace
    }
}

fn effective(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(value.trim(), 16).ok()
}

/// The initial user namespace maps all ids to themselves (user_namespaces(7)).
fn maps_everybody(uid_map: &str) -> bool {
    uid_map.split_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_gives_up_what_it_does_not_keep() {
        let before = Capabilities::of_this_thread().unwrap();
        let worker = std::thread::spawn(|| {
            keep_only(&[Capability::NetAdmin]).unwrap();
            Capabilities::of_this_thread().unwrap()
        });
        let after = worker.join().unwrap();
        assert!(!after.has(Capability::SysAdmin) && !after.has(Capability::Bpf));
        assert_eq!(after.has(Capability::NetAdmin), before.has(Capability::NetAdmin));
        assert_eq!(Capabilities::of_this_thread().unwrap(), before, "other threads keep theirs");
    }

    fn with(effective: u64) -> Capabilities {
        Capabilities { effective, initial_user_namespace: true }
    }

    #[test]
    fn sys_admin_stands_for_bpf_and_perfmon() {
        let admin = with(1 << 21);
        assert_eq!(
            admin.missing(&Capability::ALL),
            [
                Capability::Chown,
                Capability::DacOverride,
                Capability::DacReadSearch,
                Capability::NetAdmin,
                Capability::SysPtrace,
                Capability::SysResource,
                Capability::Syslog
            ]
        );
        assert!(!with(1 << 39).has(Capability::Perfmon));
        assert!(with(1 << 39).has(Capability::Bpf));
    }

    #[test]
    fn status_lines() {
        let status = "Name:\tx\nCapPrm:\t0000000000000001\nCapEff:\t000001fffeffffff\nCapBnd:\t0\n";
        assert_eq!(effective(status), Some(0x1ff_feff_ffff));
        assert_eq!(effective("Name:\tx\n"), None);
        assert!(Capabilities::of_this_thread().is_ok());
    }

    #[test]
    fn user_namespaces() {
        assert!(maps_everybody("         0          0 4294967295\n"));
        assert!(!maps_everybody("         0       1000          1\n"));
    }
}
