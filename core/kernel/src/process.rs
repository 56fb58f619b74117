//! What a process that another one started does first.

use std::{io, os::fd::RawFd};

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

/// Closes the file descriptors that came with the program, from the one behind standard error on, but for these: the ones that are
/// not closed when a program is started, which nothing of ours ever makes.
///
/// To be called first: a descriptor that is closed here and used afterwards would be another one's.
///
/// # Errors
/// /proc cannot be read.
pub fn close_inherited(keep: &[RawFd]) -> io::Result<()> {
    let number = |entry: io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?.filter_map(number).collect();
    for fd in open.into_iter().filter(|fd| *fd > libc::STDERR_FILENO && !keep.contains(fd)) {
        // SAFETY: it only reads a flag; a number that is none is an error.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
        if flags >= 0 && flags & libc::FD_CLOEXEC == 0 {
            // SAFETY: the standard library, and all that is used here, opens files with that flag, so none of them owns this one.
            unsafe { libc::close(fd) };
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsRawFd as _, process::Command};

    use super::*;

    /// In a process of its own, for it closes what others have.
    #[test]
    fn what_came_along_is_closed() {
        const WORD: &str = "TRACER_TEST_CLOSES";
        if std::env::var_os(WORD).is_some() {
            let own = File::open("/dev/null").unwrap();
            close_inherited(&[30]).unwrap();
            let is_open = |fd: i32| std::fs::symlink_metadata(format!("/proc/self/fd/{fd}")).is_ok();
            assert!(is_open(own.as_raw_fd()) && is_open(30) && !is_open(31) && is_open(2));
            return;
        }
        let test = format!("{} what_came_along_is_closed", std::env::current_exe().unwrap().display());
        let script = format!("exec 30</dev/null 31</dev/null; {test}");
        assert!(Command::new("/bin/bash").args(["-c", &script]).env(WORD, "1").status().unwrap().success());
    }
}
