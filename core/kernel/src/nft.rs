//! nf_tables, as far as a tracer needs it: is the trace call switched on, and switch it on without touching a
//! packet.
//!
//! The kernel calls `__nft_trace_packet` for every rule on the machine as soon as one `meta nftrace set`
//! expression exists anywhere, in whatever namespace, table or chain, reachable or not (a static key counts
//! such expressions). So one table with one chain without a hook, holding `meta nftrace set 0`, is the
//! switch: no packet ever gets there and none is marked. See [`TraceSwitch`].
//!
//! A request to nf_tables loads its module where it is one, and the module stays. Ask [`present`] first.

mod batch;
mod key;
mod rules;
mod socket;
mod switch;
mod uapi;

pub use key::{KeyError, trace_enabled};
pub use rules::trace_rules;
pub use switch::{ArmError, Form, TraceSwitch, own_table_name};

use crate::symbols::Symbols;

/// Whether nf_tables is there now, built in or loaded: its packet loop is among the symbols, addresses shown
/// or not.
pub fn present(symbols: &Symbols) -> bool {
    symbols.contains("nft_do_chain")
}

/// Why nf_tables could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum NftError {
    /// The kernel has no nf_tables.
    #[error("this kernel has no nf_tables")]
    NoSubsystem,
    /// CAP_NET_ADMIN is missing in the user namespace that owns this network namespace.
    #[error("nf_tables: not permitted: CAP_NET_ADMIN is missing")]
    Permission,
    /// Anything else.
    #[error("nf_tables: cannot {what}: {errno}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// The kernel's answer.
        errno: std::io::Error,
    },
}

impl NftError {
    fn of(what: &'static str, errno: std::io::Error) -> NftError {
        match errno.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => NftError::Permission,
            // EPROTONOSUPPORT: no NETLINK_NETFILTER; the others: nfnetlink without nf_tables.
            Some(libc::EPROTONOSUPPORT | libc::EOPNOTSUPP | libc::EINVAL) => NftError::NoSubsystem,
            _ => NftError::Refused { what, errno },
        }
    }
}
