//! The tracer's own network namespace: events from it are shown without a namespace, so output must know
//! which it is.

use std::fs;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;

/// What identifies a network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetNs {
    /// `net->ns.inum`, the number in `net:[4026531840]`. Reused after a namespace is gone.
    pub inum: u32,
    /// `net->net_cookie`, never reused while the machine is up; `None` before 5.14, where nobody tells.
    pub cookie: Option<u64>,
}

impl NetNs {
    /// The calling thread's (namespaces are per thread).
    ///
    /// # Errors
    ///
    /// Those of stat(2) on `/proc/thread-self/ns/net`.
    pub fn of_this_thread() -> io::Result<NetNs> {
        let inode = fs::metadata("/proc/thread-self/ns/net")?.ino();
        let inum = u32::try_from(inode)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("namespace inode {inode}")))?;
        Ok(NetNs { inum, cookie: cookie() })
    }
}

/// Whether a file is a network namespace (`NS_GET_NSTYPE`, linux/nsfs.h; since 4.11).
///
/// # Errors
///
/// Those of ioctl(2), but for those that say that the file is no namespace.
pub fn is_network_namespace(file: &fs::File) -> io::Result<bool> {
    /// `_IO(0xb7, 3)`
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: the request takes no argument.
    let kind = unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE) };
    if kind >= 0 {
        return Ok(kind == libc::CLONE_NEWNET);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOTTY | libc::EINVAL | libc::EOPNOTSUPP) => Ok(false),
        _ => Err(error),
    }
}

/// Asks any socket, as `SO_NETNS_COOKIE` (asm-generic/socket.h, 71) tells of the socket's namespace.
fn cookie() -> Option<u64> {
    let socket = UdpSocket::bind("127.0.0.1:0").or_else(|_| UdpSocket::bind("[::]:0")).ok()?;
    let mut cookie = 0u64;
    let mut len = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes to `cookie`, which has that size; both live on this
    // frame.
    let failed = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            std::ptr::from_mut(&mut cookie).cast(),
            &raw mut len,
        )
    };
    (failed == 0).then_some(cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_namespace_has_a_number() {
        let netns = NetNs::of_this_thread().unwrap();
        assert!(netns.inum > 0);
        let link = fs::read_link("/proc/thread-self/ns/net").unwrap();
        assert_eq!(link.to_string_lossy(), format!("net:[{}]", netns.inum));
    }
}
