//! The netlink socket. Nothing here waits: nfnetlink works on a request while it is being sent, so every
//! answer is in the receive queue when send(2) returns, and a dump goes on while it is being read. An empty
//! queue where an answer should be is an error rather than a hang.

use std::io;

use netlink_sys::{Socket, SocketAddr};

use super::batch::{Batch, Message, messages};
use super::uapi::*;

/// A socket to nfnetlink in the network namespace of the thread that opened it. Closed on exec, so that a
/// child does not keep an owned table alive.
pub(super) struct Nfnetlink {
    socket: Socket,
    next: u32,
}

impl Nfnetlink {
    pub(super) fn open() -> io::Result<Nfnetlink> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        // To the kernel and from nobody else.
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.set_non_blocking(true)?;
        // An error then quotes the request's header instead of all of it.
        socket.set_cap_ack(true)?;
        Ok(Nfnetlink { socket, next: 1 })
    }

    /// Sends one transaction: all of what `fill` adds happens, or nothing. Each message needs `NLM_F_ACK`.
    ///
    /// The error is the first refused message's: its place among those added (`None`: the transaction as a
    /// whole), and why. Later ones often fail only because of it.
    pub(super) fn commit(&mut self, fill: impl FnOnce(&mut Batch)) -> Result<(), (Option<u32>, io::Error)> {
        let mut batch = Batch::new(self.next);
        let begin = batch.bracket(NFNL_MSG_BATCH_BEGIN);
        let first = batch.next();
        fill(&mut batch);
        let end = batch.bracket(NFNL_MSG_BATCH_END);
        self.next = batch.next();

        let whole = |errno| (None, errno);
        self.socket.send(batch.bytes(), 0).map_err(whole)?;
        let mut acknowledged = 0;
        let mut refused: Option<(u32, i32)> = None;
        while let Some(bytes) = self.receive().map_err(whole)? {
            for message in messages(&bytes).filter(|m| m.kind == NLMSG_ERROR && batch.has(m.sequence)) {
                match message.status() {
                    0 => acknowledged += 1,
                    status if refused.is_none_or(|(sequence, _)| message.sequence < sequence) => {
                        refused = Some((message.sequence, -status));
                    }
                    _ => {}
                }
            }
        }
        match refused {
            Some((sequence, errno)) => {
                let place = (begin < sequence && sequence < end).then(|| sequence - first);
                Err((place, io::Error::from_raw_os_error(errno)))
            }
            None if acknowledged < end - first => Err(whole(io::Error::from_raw_os_error(libc::EPROTO))),
            None => Ok(()),
        }
    }

    /// Shows `each` everything that a `NFT_MSG_GET*` of all families lists. Once more from the start when the
    /// ruleset changed under it, so `each` may see things twice.
    pub(super) fn dump(&mut self, kind: u16, mut each: impl FnMut(Message<'_>)) -> io::Result<()> {
        // A ruleset that changes all the time is listed well enough by the last of a few tries.
        for _ in 0..5 {
            if !self.dump_once(kind, &mut each)? {
                break;
            }
        }
        Ok(())
    }

    /// Whether the listing was interrupted by a change.
    fn dump_once(&mut self, kind: u16, each: &mut impl FnMut(Message<'_>)) -> io::Result<bool> {
        let mut batch = Batch::new(self.next);
        batch.nft(kind, NLM_F_DUMP, NFPROTO_UNSPEC, |_| {});
        self.next = batch.next();
        self.socket.send(batch.bytes(), 0)?;
        let mut interrupted = false;
        while let Some(bytes) = self.receive()? {
            for message in messages(&bytes).filter(|m| batch.has(m.sequence)) {
                interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
                match message.kind {
                    NLMSG_DONE | NLMSG_ERROR if message.status() < 0 => {
                        return Err(io::Error::from_raw_os_error(-message.status()));
                    }
                    NLMSG_DONE => return Ok(interrupted),
                    NLMSG_NOOP | NLMSG_ERROR => {}
                    _ => each(message),
                }
            }
        }
        Err(io::Error::from_raw_os_error(libc::EPROTO))
    }

    /// The next datagram; `None` when there is none.
    fn receive(&self) -> io::Result<Option<Vec<u8>>> {
        match self.socket.recv_from_full() {
            Ok((bytes, _)) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}
