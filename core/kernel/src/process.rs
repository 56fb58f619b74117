//! What a process that another one started does first.

use std::io;

/// Does not end with the signals that users and service managers end programs with: who started this process tells it when to end.
///
/// # Errors
/// sigaction(2)'s; none is expected.
pub fn ignore_requests_to_end() -> io::Result<()> {
    for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGTERM] {
        // SAFETY: ignoring a signal runs no code of ours.
        if unsafe { libc::signal(signal, libc::SIG_IGN) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
