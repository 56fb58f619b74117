//! Exit codes: what scripts may rely on.

use std::process::ExitCode;

/// How tracer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, also when ended by Ctrl-C.
    Ok = 0,
    /// Something failed.
    Failed = 1,
    /// The command line, a profile or a filter is wrong.
    Usage = 2,
    /// The host lacks something: privileges, BTF, nf_tables, a way to attach.
    Host = 3,
    /// Events were lost, and `--fail-on-loss` was given.
    Lost = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
