//! What tracer and a plugin's process say to each other: frames over a socket, each with its kind and its length. Neither side
//! believes the other's lengths, and tracer's side never waits longer than it wants to.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

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

/// One end of the socket.
#[derive(Debug)]
pub(super) struct Channel {
    stream: UnixStream,
}

impl Channel {
    pub(super) fn new(stream: UnixStream) -> Channel {
        Channel { stream }
    }

    /// Sends a frame whose payload is in parts.
    ///
    /// # Errors
    /// The other end is gone, or has not taken it by the deadline (`TimedOut`).
    pub(super) fn send(&mut self, kind: Kind, parts: &[&[u8]], deadline: Option<Instant>) -> io::Result<()> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let len = u32::try_from(len).ok().filter(|len| *len as usize <= MOST);
        let len =
            len.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the message is too long"))?;
        let mut front = len.to_le_bytes().to_vec();
        front.push(kind as u8);
        // One write for what is small.
        if len < 4096 {
            parts.iter().for_each(|part| front.extend(*part));
            return self.write(&front, deadline);
        }
        self.write(&front, deadline)?;
        parts.iter().try_for_each(|part| self.write(part, deadline))
    }

    fn write(&mut self, mut bytes: &[u8], deadline: Option<Instant>) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.set_write_timeout(left(deadline)?)?;
            match self.stream.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if is_early(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Receives a frame; `None` if the other end is closed.
    ///
    /// # Errors
    /// Nothing came by the deadline (`TimedOut`), or what came is no frame.
    pub(super) fn receive(
        &mut self,
        payload: &mut Vec<u8>,
        deadline: Option<Instant>,
    ) -> io::Result<Option<Kind>> {
        let mut front = [0; 5];
        if !self.read(&mut front, deadline)? {
            return Ok(None);
        }
        let [a, b, c, d, kind] = front;
        let len = u32::from_le_bytes([a, b, c, d]) as usize;
        let kind = KINDS.into_iter().find(|known| *known as u8 == kind).filter(|_| len <= MOST);
        let kind =
            kind.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "what it says makes no sense"))?;
        payload.clear();
        payload.resize(len, 0);
        Ok(self.read(payload, deadline)?.then_some(kind))
    }

    /// Whether a frame, or the end, can be received without waiting.
    pub(super) fn is_ready(&self) -> bool {
        let mut fds = [PollFd::new(&self.stream, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
    }

    /// Fills the bytes; `false` if the other end is closed.
    fn read(&mut self, mut bytes: &mut [u8], deadline: Option<Instant>) -> io::Result<bool> {
        while !bytes.is_empty() {
            self.stream.set_read_timeout(left(deadline)?)?;
            match self.stream.read(bytes) {
                Ok(0) => return Ok(false),
                Ok(read) => bytes = &mut bytes[read..],
                Err(error) if is_early(&error) => {}
                // It was closed with something unread.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// The time that is left; `None`: as long as it takes.
fn left(deadline: Option<Instant>) -> io::Result<Option<Duration>> {
    let Some(deadline) = deadline else { return Ok(None) };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
}

/// Whether the system returned before anything was done: [`left`] says whether that was in time.
fn is_early(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
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
    use super::*;

    fn pair() -> (Channel, Channel) {
        let (a, b) = UnixStream::pair().unwrap();
        (Channel::new(a), Channel::new(b))
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
        drop(a);
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
