//! What tracer and a plugin's process say to each other: frames over a socket, each with its kind and its length. Neither side
//! believes the other's lengths, and tracer's side never waits longer than it wants to.

use std::{
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open},
};

/// What a frame is. The first ones go to the plugin's process, the others come from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Begin: [`Start`](super::form::Start) as JSON.
    Start = 1,
    /// The session, as a trace begins with it.
    Session,
    /// Records; wants sections, and `Failed` behind them if not all could be had.
    Batch,
    /// The time; wants `Done` or `Failed`.
    Tick,
    /// A part of a trace.
    Trace,
    /// No more is to come; wants `Done` or `Failed`.
    Stop,
    /// What the library says of itself: [`Described`](super::form::Described) as JSON.
    Described = 65,
    /// The library cannot be used: the reason.
    Refused,
    /// Sections, for the first of the records.
    Sections,
    /// It was done.
    Done,
    /// The plugin is at its end: the reason.
    Failed,
    /// The plugin says something: a byte for how much it matters, then the text.
    Log,
    /// So many events were taken so far.
    Taken,
    /// The plugin has started; wanted behind each session in a trace.
    Started,
}

const KINDS: [Kind; 14] = [
    Kind::Start,
    Kind::Session,
    Kind::Batch,
    Kind::Tick,
    Kind::Trace,
    Kind::Stop,
    Kind::Described,
    Kind::Refused,
    Kind::Sections,
    Kind::Done,
    Kind::Failed,
    Kind::Log,
    Kind::Taken,
    Kind::Started,
];

/// Bytes of a frame at most: a block of a trace, which is the largest that is ever sent, is smaller by far.
const MOST: usize = 64 << 20;
/// Bytes for which memory is taken before they have come: what the other side says of its lengths costs no more.
const STEP: usize = 1 << 20;
/// Smaller frames are one write.
const SMALL: usize = 4096;

/// One end of the socket. It never blocks in the system but in poll(2), with a deadline: whoever else has the socket, and whatever
/// has been set on it, cannot change that.
#[derive(Debug)]
pub(super) struct Channel {
    stream: UnixStream,
    /// The process that may use it, where others may come to have it: those that a plugin forks.
    owner: Option<Pid>,
    /// The process at the other end: when it has ended, nothing is to come, though others may have that end.
    peer: Option<OwnedFd>,
}

/// A frame on its way out.
pub(super) struct Outgoing<'a> {
    front: Vec<u8>,
    parts: &'a [&'a [u8]],
    /// Which of them is next, the front included, and how much of it is out.
    part: usize,
    sent: usize,
}

impl<'a> Outgoing<'a> {
    /// A frame whose payload is in parts.
    ///
    /// # Errors
    /// It is too long.
    pub(super) fn new(kind: Kind, parts: &'a [&'a [u8]]) -> io::Result<Self> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let len = u32::try_from(len).ok().filter(|len| *len as usize <= MOST);
        let len =
            len.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the message is too long"))?;
        let mut front = len.to_le_bytes().to_vec();
        front.push(kind as u8);
        let mut parts = parts;
        if (len as usize) < SMALL {
            parts.iter().for_each(|part| front.extend(*part));
            parts = &[];
        }
        Ok(Self { front, parts, part: 0, sent: 0 })
    }

    /// What is to be sent next.
    fn rest(&mut self) -> Option<&[u8]> {
        while self.sent == self.current()?.len() {
            (self.part, self.sent) = (self.part + 1, 0);
        }
        Some(&self.current()?[self.sent..])
    }

    fn current(&self) -> Option<&[u8]> {
        match self.part.checked_sub(1) {
            None => Some(&self.front),
            Some(part) => self.parts.get(part).copied(),
        }
    }
}

/// How far a frame has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// All of it is out.
    All,
    /// There is no room for more, but something to be received.
    Incoming,
}

impl Channel {
    /// An end of a socket.
    ///
    /// # Errors
    /// fcntl(2)'s.
    pub(super) fn new(stream: UnixStream) -> io::Result<Channel> {
        stream.set_nonblocking(true)?;
        Ok(Channel { stream, owner: None, peer: None })
    }

    /// The same, to this process, if the kernel can say when it ends (since 5.3).
    #[must_use]
    pub(super) fn to(self, peer: Option<Pid>) -> Channel {
        Channel { peer: peer.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()), ..self }
    }

    /// The same, for this process only: one that it forks ends when it gets here.
    #[must_use]
    pub(super) fn mine(self) -> Channel {
        Channel { owner: Some(getpid()), ..self }
    }

    /// Where a plugin forks within a function, two processes return from it, and tracer speaks to one: the other ends here, before it
    /// answers, or is given anything more.
    pub(super) fn check_owner(&self) {
        if self.owner.is_some_and(|owner| owner != getpid()) {
            // Without what a process does at its end: what is there to be written belongs to the other one.
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }

    /// Sends a frame whose payload is in parts, whatever comes meanwhile.
    ///
    /// # Errors
    /// The other end is gone, or has not taken it by the deadline (`TimedOut`).
    pub(super) fn send(&mut self, kind: Kind, parts: &[&[u8]], deadline: Option<Instant>) -> io::Result<()> {
        self.check_owner();
        let mut frame = Outgoing::new(kind, parts)?;
        while self.push(&mut frame, PollFlags::OUT, deadline)? != Sent::All {}
        Ok(())
    }

    /// Sends what is left of a frame, until there is something to be received: the other end may wait for that before it takes more.
    ///
    /// # Errors
    /// As [`Channel::send`].
    pub(super) fn send_some(&mut self, frame: &mut Outgoing<'_>, deadline: Instant) -> io::Result<Sent> {
        self.push(frame, PollFlags::OUT | PollFlags::IN, Some(deadline))
    }

    fn push(
        &mut self,
        frame: &mut Outgoing<'_>,
        until: PollFlags,
        deadline: Option<Instant>,
    ) -> io::Result<Sent> {
        while let Some(rest) = frame.rest() {
            match self.stream.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => frame.sent += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match self.wait(until, deadline)? {
                        None => return Err(io::ErrorKind::BrokenPipe.into()),
                        Some(events) if events.contains(PollFlags::IN) => return Ok(Sent::Incoming),
                        Some(_) => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Sent::All)
    }

    /// Receives a frame; `None` if the other end is closed.
    ///
    /// # Errors
    /// It has not come by the deadline (`TimedOut`), or what came is no frame.
    pub(super) fn receive(
        &mut self,
        payload: &mut Vec<u8>,
        deadline: Option<Instant>,
    ) -> io::Result<Option<Kind>> {
        self.check_owner();
        let mut front = [0; 5];
        if !self.read(&mut front, deadline)? {
            return Ok(None);
        }
        let [a, b, c, d, kind] = front;
        let len = u32::from_le_bytes([a, b, c, d]) as usize;
        let kind = KINDS.into_iter().find(|known| *known as u8 == kind).filter(|_| len <= MOST);
        let kind = kind.ok_or_else(|| {
            let what = "something is written to its connection to tracer that does not belong there";
            io::Error::new(io::ErrorKind::InvalidData, what)
        })?;
        payload.clear();
        while payload.len() < len {
            let start = payload.len();
            payload.resize(len.min(start + STEP), 0);
            if !self.read(&mut payload[start..], deadline)? {
                return Ok(None);
            }
        }
        Ok(Some(kind))
    }

    /// Whether a frame, or the end, can be received without waiting.
    pub(super) fn is_ready(&self) -> bool {
        let mut fds = self.watched(PollFlags::IN);
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
    }

    /// Whether nobody has the other end any more.
    pub(super) fn is_closed(&self) -> bool {
        let mut fds = [PollFd::new(&self.stream, PollFlags::empty())];
        let ready = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        ready.is_ok() && fds[0].revents().contains(PollFlags::HUP)
    }

    /// Another descriptor of this end.
    ///
    /// # Errors
    /// fcntl(2)'s.
    pub(super) fn another(&self) -> io::Result<UnixStream> {
        self.stream.try_clone()
    }

    /// Fills the bytes; `false` if the other end is closed. What has come is taken even if the deadline is over: it may be this process
    /// that did not run.
    fn read(&mut self, mut bytes: &mut [u8], deadline: Option<Instant>) -> io::Result<bool> {
        while !bytes.is_empty() {
            match self.stream.read(bytes) {
                Ok(0) => return Ok(false),
                Ok(read) => bytes = &mut bytes[read..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.wait(PollFlags::IN, deadline)?.is_none() {
                        return Ok(false);
                    }
                }
                // It was closed with something unread.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// What is waited for: the socket, and the end of the process at its other end.
    fn watched(&self, until: PollFlags) -> Vec<PollFd<'_>> {
        let peer = self.peer.iter().map(|peer| PollFd::new(peer, PollFlags::IN));
        [PollFd::new(&self.stream, until)].into_iter().chain(peer).collect()
    }

    /// Waits for one of these; says which it was, or that the process at the other end has ended. (A descriptor that is gone is an error
    /// that the next call has.)
    fn wait(&self, until: PollFlags, deadline: Option<Instant>) -> io::Result<Option<PollFlags>> {
        loop {
            let left = left(deadline)?;
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let mut fds = self.watched(until);
            match poll(&mut fds, left.as_ref()) {
                Ok(0) | Err(Errno::INTR) => {}
                // What it has sent before its end comes first.
                Ok(_) if fds[0].revents().is_empty() => return Ok(None),
                Ok(_) => return Ok(Some(fds[0].revents())),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The time that is left; `None`: as long as it takes.
fn left(deadline: Option<Instant>) -> io::Result<Option<Duration>> {
    let Some(deadline) = deadline else { return Ok(None) };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
}

/// Adds a piece with its length.
pub(super) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend(bytes);
}

/// Says that there is no piece here.
pub(super) fn put_none(out: &mut Vec<u8>) {
    out.extend(u32::MAX.to_le_bytes());
}

/// Takes the next piece off the front: `Some(None)` where there is none, `None` where the bytes make no sense.
pub(super) fn take<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    match u32::from_le_bytes(*len) {
        u32::MAX => Some(None),
        len => {
            let (piece, rest) = rest.split_at_checked(len as usize)?;
            *bytes = rest;
            Some(Some(piece))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn pair() -> (Channel, Channel) {
        let (a, b) = UnixStream::pair().unwrap();
        (Channel::new(a).unwrap(), Channel::new(b).unwrap())
    }

    fn soon() -> Option<Instant> {
        Some(Instant::now() + Duration::from_millis(50))
    }

    #[test]
    fn frames_arrive() {
        let (mut a, mut b) = pair();
        let mut got = Vec::new();
        assert!(!b.is_ready());
        a.send(Kind::Batch, &[b"ab", b"", b"c"], None).unwrap();
        a.send(Kind::Tick, &[&[7; 5000]], None).unwrap();
        assert!(b.is_ready());
        assert_eq!((b.receive(&mut got, soon()).unwrap(), got.as_slice()), (Some(Kind::Batch), &b"abc"[..]));
        assert_eq!((b.receive(&mut got, soon()).unwrap(), got.len()), (Some(Kind::Tick), 5000));
        assert!(!b.is_closed());
        drop(a);
        assert!(b.is_closed());
        assert_eq!(b.receive(&mut got, soon()).unwrap(), None);
    }

    #[test]
    fn nobody_is_waited_for_beyond_the_deadline() {
        let (mut a, mut b) = pair();
        let mut got = Vec::new();
        assert_eq!(b.receive(&mut got, soon()).unwrap_err().kind(), io::ErrorKind::TimedOut);
        let full = vec![0; 8 << 20];
        assert_eq!(a.send(Kind::Trace, &[&full], soon()).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    /// Both sides may have more to say than a socket holds.
    #[test]
    fn who_cannot_send_receives() {
        let (mut a, mut b) = pair();
        let much = vec![7; 4 << 20];
        let other = thread::spawn(move || {
            b.send(Kind::Log, &[&vec![8; 4 << 20]], None).unwrap();
            let mut got = Vec::new();
            (b.receive(&mut got, None).unwrap(), got.len())
        });
        let (parts, mut got) = ([&much[..], &much[..]], Vec::new());
        let mut frame = Outgoing::new(Kind::Trace, &parts).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while a.send_some(&mut frame, deadline).unwrap() == Sent::Incoming {
            assert_eq!(a.receive(&mut got, Some(deadline)).unwrap(), Some(Kind::Log));
        }
        assert_eq!(got, vec![8; 4 << 20]);
        assert_eq!(other.join().unwrap(), (Some(Kind::Trace), 8 << 20));
    }

    #[test]
    fn what_has_come_is_taken_however_late() {
        let (mut a, mut b) = pair();
        a.send(Kind::Batch, &[b"late"], None).unwrap();
        let past = Some(Instant::now());
        assert_eq!(b.receive(&mut Vec::new(), past).unwrap(), Some(Kind::Batch));
        assert_eq!(b.receive(&mut Vec::new(), past).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    /// A length alone is cheap.
    #[test]
    fn memory_is_taken_for_what_comes() {
        let (mut a, mut b) = pair();
        a.stream.write_all(&[0, 0, 0, 3, Kind::Batch as u8, 1, 2, 3]).unwrap();
        let mut got = Vec::new();
        assert_eq!(b.receive(&mut got, soon()).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(got.capacity() <= 2 * STEP);
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        for bytes in [&[0, 0, 0, 0, 99][..], &[0xff, 0xff, 0xff, 0xff, 1]] {
            let (mut a, mut b) = pair();
            a.stream.write_all(bytes).unwrap();
            assert_eq!(b.receive(&mut Vec::new(), soon()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        let (mut a, mut b) = pair();
        a.stream.write_all(&[9, 0, 0, 0, 1, 5]).unwrap();
        drop(a);
        assert_eq!(b.receive(&mut Vec::new(), soon()).unwrap(), None, "cut");
    }

    #[test]
    fn pieces() {
        let mut bytes = Vec::new();
        put(&mut bytes, b"one");
        put_none(&mut bytes);
        put(&mut bytes, b"");
        let mut rest = &bytes[..];
        assert_eq!(take(&mut rest), Some(Some(&b"one"[..])));
        assert_eq!((take(&mut rest), take(&mut rest)), (Some(None), Some(Some(&b""[..]))));
        assert_eq!(take(&mut rest), None);
        assert_eq!(take(&mut &[9, 0, 0, 0, 1][..]), None);
    }
}
