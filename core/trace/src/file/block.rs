//! How anything stands in a trace: a file header, then blocks, each with its kind, its length and its checksum. The
//! header of a block has a checksum of its own, so that its length can be believed, and a mark, so that the next block
//! is found where one cannot.

use std::ops::RangeInclusive;

/// What every trace begins with. The first byte is no ASCII and the last a newline, so that what was sent as text and
/// harmed by it is recognised.
pub(super) const MAGIC: [u8; 8] = *b"\x89tracer\n";
/// The version of the format that is written.
pub(super) const VERSION: u32 = 0;
/// The versions that are read.
pub(super) const VERSIONS: RangeInclusive<u32> = 0..=VERSION;
/// Bytes of a file header: magic, `u32` version, `u32` checksum of both.
pub(super) const FILE_HEADER: usize = 16;
/// What every block begins with.
pub(super) const MARK: [u8; 4] = *b"\xf4blk";
/// Bytes of a block's header.
pub(super) const HEADER: usize = 24;
/// The most bytes of a payload, as stored and as it is when decompressed.
pub(super) const PAYLOAD: usize = 32 << 20;
/// The most bytes of a payload that is JSON.
pub(super) const JSON: usize = 8 << 20;
/// No LZ4 byte stands for more than this many.
const LZ4_RATIO: usize = 255;

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The session, but for its probes.
    Session,
    /// The probes, with their schemas.
    Probes,
    /// Names of addresses.
    Symbols,
    /// Records and losses.
    Events,
    /// A look at both clocks.
    Clock,
    /// What became of all hits.
    Account,
    /// The end: counts and an index.
    End,
    /// Which of the events behind it are of one packet.
    Series,
    /// What a collector's events do not tell.
    Shortfall,
}

impl Kind {
    const ALL: [Kind; 9] = [
        Kind::Session,
        Kind::Probes,
        Kind::Symbols,
        Kind::Events,
        Kind::Clock,
        Kind::Account,
        Kind::End,
        Kind::Series,
        Kind::Shortfall,
    ];

    /// The number in the file.
    pub(super) fn number(self) -> u16 {
        match self {
            Kind::Session => 1,
            Kind::Probes => 2,
            Kind::Symbols => 3,
            Kind::Events => 4,
            Kind::Clock => 5,
            Kind::Account => 6,
            Kind::End => 7,
            Kind::Series => 8,
            Kind::Shortfall => 9,
        }
    }

    /// The kind of that number; `None` for those of a newer tracer.
    pub(super) fn of(number: u16) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// What a block of that number is called in messages.
    pub(super) fn name(number: u16) -> &'static str {
        match Kind::of(number) {
            Some(Kind::Session) => "session",
            Some(Kind::Probes) => "probes",
            Some(Kind::Symbols) => "symbols",
            Some(Kind::Events) => "events",
            Some(Kind::Clock) => "clock",
            Some(Kind::Account) => "account",
            Some(Kind::End) => "end",
            Some(Kind::Series) => "series",
            Some(Kind::Shortfall) => "shortfall",
            None => "unknown",
        }
    }
}

/// How a payload is stored.
const PLAIN: u8 = 0;
/// The LZ4 block format.
const LZ4: u8 = 1;

/// The header of a block, whose checksum is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: u16,
    codec: u8,
    /// Bytes of the payload as stored.
    pub(super) stored: u32,
    /// Bytes of the payload.
    raw: u32,
    checksum: u32,
}

/// A file's header.
pub(super) fn file_header() -> [u8; FILE_HEADER] {
    let mut header = [0; FILE_HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let checksum = crc32c::crc32c(&header[..12]);
    header[12..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Whether a file that begins with these bytes is, or was going to be, a trace.
pub(super) fn is_trace(start: &[u8]) -> bool {
    start.len() >= MAGIC.len() && start.starts_with(&MAGIC)
}

/// The version that a file's header names; `None` where its checksum is wrong.
pub(super) fn version(header: &[u8; FILE_HEADER]) -> Option<u32> {
    (crc32c::crc32c(&header[..12]) == u32_at(header, 12)).then(|| u32_at(header, 8))
}

/// Puts a block behind what is in `out`. The payload is compressed where that makes it smaller.
///
/// A payload has [`PAYLOAD`] bytes at most: whoever makes one sees to it.
pub(super) fn put(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    let start = out.len();
    out.resize(start + HEADER, 0);
    // Little is gained by compressing little, and what is not compressed can be read by a person.
    let compressed = if payload.len() < 256 || kind != Kind::Events {
        None
    } else {
        out.resize(start + HEADER + lz4_flex::block::get_maximum_output_size(payload.len()), 0);
        lz4_flex::block::compress_into(payload, &mut out[start + HEADER..])
            .ok()
            .filter(|len| *len < payload.len())
    };
    let codec = match compressed {
        Some(len) => {
            out.truncate(start + HEADER + len);
            LZ4
        }
        None => {
            out.truncate(start + HEADER);
            out.extend(payload);
            PLAIN
        }
    };
    let stored = &out[start + HEADER..];
    let (len, checksum) = (stored.len(), crc32c::crc32c(stored));
    let header = &mut out[start..start + HEADER];
    header[..4].copy_from_slice(&MARK);
    header[4..6].copy_from_slice(&kind.number().to_le_bytes());
    header[6] = codec;
    header[8..12].copy_from_slice(&(len as u32).to_le_bytes());
    header[12..16].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    header[16..20].copy_from_slice(&checksum.to_le_bytes());
    let checksum = crc32c::crc32c(&header[..20]);
    header[20..].copy_from_slice(&checksum.to_le_bytes());
}

impl Header {
    /// Reads a header; `None` where it is none, or says what cannot be.
    pub(super) fn read(bytes: &[u8; HEADER]) -> Option<Header> {
        if !bytes.starts_with(&MARK) || crc32c::crc32c(&bytes[..20]) != u32_at(bytes, 20) {
            return None;
        }
        let header = Header {
            kind: u16::from_le_bytes([bytes[4], bytes[5]]),
            codec: bytes[6],
            stored: u32_at(bytes, 8),
            raw: u32_at(bytes, 12),
            checksum: u32_at(bytes, 16),
        };
        let possible = header.stored as usize <= PAYLOAD && header.raw as usize <= PAYLOAD;
        possible.then_some(header)
    }

    /// Whether these are the bytes that were stored.
    pub(super) fn matches(&self, stored: &[u8]) -> bool {
        stored.len() == self.stored as usize && crc32c::crc32c(stored) == self.checksum
    }

    /// The payload, from bytes that match.
    ///
    /// # Errors
    ///
    /// Bytes that do not decompress to as many as the header says.
    pub(super) fn payload(&self, stored: Vec<u8>) -> Result<Vec<u8>, PayloadError> {
        let raw = self.raw as usize;
        match self.codec {
            PLAIN if stored.len() == raw => Ok(stored),
            // Before anything is allocated: a few bytes cannot become many.
            LZ4 if raw <= stored.len().saturating_mul(LZ4_RATIO) => {
                let mut payload = vec![0; raw];
                match lz4_flex::block::decompress_into(&stored, &mut payload) {
                    Ok(len) if len == raw => Ok(payload),
                    _ => Err(PayloadError::Compressed),
                }
            }
            PLAIN | LZ4 => Err(PayloadError::Length),
            codec => Err(PayloadError::Codec(codec)),
        }
    }

    /// The checksum of the payload as stored.
    pub(super) fn checksum(&self) -> u32 {
        self.checksum
    }
}

/// A payload that cannot be had from what is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PayloadError {
    #[error("it is compressed in a way ({0}) that this version does not know")]
    Codec(u8),
    #[error("its lengths contradict each other")]
    Length,
    #[error("it does not decompress")]
    Compressed,
}

/// `offset` is a constant inside of the header.
fn u32_at<const N: usize>(bytes: &[u8; N], offset: usize) -> u32 {
    u32::from_le_bytes([bytes[offset], bytes[offset + 1], bytes[offset + 2], bytes[offset + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(block: &[u8]) -> Result<Vec<u8>, PayloadError> {
        let header = Header::read(block.first_chunk().unwrap()).unwrap();
        let stored = block[HEADER..].to_vec();
        assert!(header.matches(&stored));
        header.payload(stored)
    }

    /// With a field of the header changed, and its checksum made right again.
    fn forged(block: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut block = block.to_vec();
        block[at..at + bytes.len()].copy_from_slice(bytes);
        let checksum = crc32c::crc32c(&block[..20]);
        block[20..24].copy_from_slice(&checksum.to_le_bytes());
        block
    }

    #[test]
    fn payloads_come_back() {
        for payload in [vec![], vec![1, 2, 3], vec![7; 100_000], (0..=255).collect()] {
            let mut block = vec![];
            put(&mut block, Kind::Events, &payload);
            assert_eq!(read(&block), Ok(payload.clone()));
            assert!(block.len() <= HEADER + payload.len());
        }
        assert!(Kind::ALL.into_iter().all(|kind| Kind::of(kind.number()) == Some(kind)));
        assert_eq!((Kind::of(0), Kind::name(999)), (None, "unknown"));
    }

    #[test]
    fn forged_lengths_are_not_believed() {
        let mut block = vec![];
        put(&mut block, Kind::Events, &[7; 100_000]);
        let bomb = forged(&block, 12, &(PAYLOAD as u32).to_le_bytes());
        assert_eq!(read(&bomb), Err(PayloadError::Length));
        let larger = forged(&block, 12, &100_001u32.to_le_bytes());
        assert_eq!(read(&larger), Err(PayloadError::Compressed));
        let smaller = forged(&block, 12, &99_999u32.to_le_bytes());
        assert_eq!(read(&smaller), Err(PayloadError::Compressed));
        let beyond = forged(&block, 12, &u32::MAX.to_le_bytes());
        assert_eq!(Header::read(beyond.first_chunk().unwrap()), None);
        assert_eq!(read(&forged(&block, 6, &[9])), Err(PayloadError::Codec(9)));
        assert_eq!(read(&forged(&block, 6, &[PLAIN])), Err(PayloadError::Length));
    }

    #[test]
    fn a_file_header_names_its_version() {
        let header = file_header();
        assert!(is_trace(&header) && !is_trace(b"\x89trace"));
        assert_eq!(version(&header), Some(VERSION));
        for at in 8..16 {
            let mut header = header;
            header[at] ^= 1;
            assert_eq!(version(&header), None);
        }
    }
}
