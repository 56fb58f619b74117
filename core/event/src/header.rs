//! The 64 bytes that every record starts with. The composed program writes them, this reads them; the constants are
//! the contract between the two. All numbers are little-endian.

use std::borrow::Cow;

/// Bytes of the header.
pub const SIZE: usize = 64;
/// `u32`: bytes of the whole record.
pub const RECORD_SIZE: usize = 0;
/// `u16`: index into the table of probes.
pub const PROBE: usize = 4;
/// `u16`: the CPU that the probe was hit on.
pub const CPU: usize = 6;
/// `u64`: `CLOCK_MONOTONIC`, nanoseconds.
pub const TIME: usize = 8;
/// `u32`: thread group id, what user space calls the process id.
pub const TGID: usize = 16;
/// `u32`: the kernel's pid, what user space calls the thread id.
pub const PID: usize = 20;
/// `char[16]`: the task's name, NUL-terminated.
pub const COMM: usize = 24;
/// Bytes of the task's name.
pub const COMM_LEN: usize = 16;
/// `u64`: bit *i* says that the layout's section *i* is present.
pub const SECTIONS: usize = 40;
/// `u64`: how many records of this probe were lost on this CPU before this one, since the start.
pub const LOST: usize = 48;
/// `u32`: bytes of the stack at the record's end.
pub const STACK: usize = 56;
/// `u32`: zero.
pub const FLAGS: usize = 60;

/// A record's header, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the whole record.
    pub size: u32,
    /// Index into the table of probes.
    pub probe: u16,
    /// The CPU that the probe was hit on.
    pub cpu: u16,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub time: u64,
    /// What user space calls the process id.
    pub tgid: u32,
    /// What user space calls the thread id.
    pub pid: u32,
    /// The task's name as it came; [`Header::comm`] for reading.
    pub comm: [u8; COMM_LEN],
    /// Bit *i* says that the layout's section *i* is present.
    pub sections: u64,
    /// How many records of this probe were lost on this CPU before this one, since the start: a jump between two records
    /// is the place and the number of a loss.
    pub lost: u64,
    /// Bytes of the stack at the record's end.
    pub stack: u32,
    /// Zero for now.
    pub flags: u32,
}

impl Header {
    /// Reads the header at the start of `bytes`; `None` where they are fewer than [`SIZE`].
    pub fn read(bytes: &[u8]) -> Option<Header> {
        let header = bytes.first_chunk::<SIZE>()?;
        Some(Header {
            size: u32::from_le_bytes(at(header, RECORD_SIZE)?),
            probe: u16::from_le_bytes(at(header, PROBE)?),
            cpu: u16::from_le_bytes(at(header, CPU)?),
            time: u64::from_le_bytes(at(header, TIME)?),
            tgid: u32::from_le_bytes(at(header, TGID)?),
            pid: u32::from_le_bytes(at(header, PID)?),
            comm: at(header, COMM)?,
            sections: u64::from_le_bytes(at(header, SECTIONS)?),
            lost: u64::from_le_bytes(at(header, LOST)?),
            stack: u32::from_le_bytes(at(header, STACK)?),
            flags: u32::from_le_bytes(at(header, FLAGS)?),
        })
    }

    /// The task's name. It is the task's own choice: print it [escaped](crate::Escaped).
    pub fn comm(&self) -> Cow<'_, str> {
        until_nul(&self.comm)
    }
}

/// The `N` bytes at `offset`.
pub(crate) fn at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// The text before the first NUL, what is not UTF-8 replaced.
pub(crate) fn until_nul(bytes: &[u8]) -> Cow<'_, str> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    lossy(&bytes[..end])
}

/// A text with what is not UTF-8 replaced. Nearly all is, and looking at it whole is quicker than piece by piece.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_field_at_its_place() {
        let bytes: Vec<u8> = (0..64).collect();
        let header = Header::read(&bytes).unwrap();
        assert_eq!(header.size, 0x0302_0100);
        assert_eq!(header.probe, 0x0504);
        assert_eq!(header.cpu, 0x0706);
        assert_eq!(header.time, 0x0f0e_0d0c_0b0a_0908);
        assert_eq!(header.tgid, 0x1312_1110);
        assert_eq!(header.pid, 0x1716_1514);
        assert_eq!(header.comm[0], 24);
        assert_eq!(header.sections, 0x2f2e_2d2c_2b2a_2928);
        assert_eq!(header.lost, 0x3736_3534_3332_3130);
        assert_eq!(header.stack, 0x3b3a_3938);
        assert_eq!(header.flags, 0x3f3e_3d3c);
        assert_eq!(Header::read(&bytes[..63]), None);
    }

    #[test]
    fn names_end_at_a_nul_or_at_their_end() {
        assert_eq!(until_nul(b"nginx\0old"), "nginx");
        assert_eq!(until_nul(b"sixteen_bytes_xy"), "sixteen_bytes_xy");
        assert_eq!(until_nul(b"a\xffb\0"), "a\u{fffd}b");
        assert_eq!(until_nul(b""), "");
    }
}
