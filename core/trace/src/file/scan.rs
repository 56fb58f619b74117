//! Blocks one after another, out of a file that may be cut or damaged anywhere. Where there is no block, the next is
//! searched for by its mark; a length is believed only where the header's checksum is right.

use std::io::{self, Read};

use super::block::{self, FILE_HEADER, HEADER, Header, Kind, MARK};
use super::damage::{BlockProblem, Flaw};

/// Bytes that are read at once.
const CHUNK: usize = 16 << 10;

/// Reads blocks.
#[derive(Debug)]
pub(super) struct Scanner<R> {
    input: R,
    /// Bytes that were read ahead.
    ahead: Vec<u8>,
    /// How many of them are used up.
    used: usize,
    /// Of the next byte.
    offset: u64,
    at_end: bool,
    /// Whether the last thing found says that and why the file ends.
    is_ended: bool,
}

/// What stands in a file.
#[derive(Debug)]
pub(super) enum Found {
    Block(Block),
    Flaw(Flaw),
}

/// A block whose checksums are right.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) offset: u64,
    pub(super) header: Header,
    pub(super) stored: Vec<u8>,
}

impl<R: Read> Scanner<R> {
    /// Of an input whose first byte is at `offset` in its file.
    pub(super) fn new(input: R, offset: u64) -> Scanner<R> {
        Scanner { input, ahead: Vec::new(), used: 0, offset, at_end: false, is_ended: false }
    }

    /// Bytes from the start of the file to what is found next.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next block, or what is wrong there; `None` at the end.
    ///
    /// # Errors
    ///
    /// Those of the input.
    pub(super) fn next(&mut self) -> io::Result<Option<Found>> {
        self.fill(HEADER)?;
        if let Some(header) = self.rest().first_chunk().and_then(Header::read) {
            return self.block(header).map(Some);
        }
        if self.rest().is_empty() {
            let told = std::mem::replace(&mut self.is_ended, true);
            return Ok((!told).then_some(Found::Flaw(Flaw::NoEnd { offset: self.offset })));
        }
        // Traces that were put together with `cat`.
        if self.rest().first_chunk::<FILE_HEADER>().is_some_and(|header| {
            block::is_trace(header)
                && block::version(header).is_some_and(|version| block::VERSIONS.contains(&version))
        }) {
            self.skip(FILE_HEADER);
            return self.next();
        }
        self.gap().map(|flaw| Some(Found::Flaw(flaw)))
    }

    fn block(&mut self, header: Header) -> io::Result<Found> {
        let offset = self.offset;
        self.skip(HEADER);
        let wanted = header.stored as usize;
        let have = wanted.min(self.rest().len());
        let mut stored = self.rest()[..have].to_vec();
        self.skip(have);
        // Grows as bytes come, not as the header says.
        let read = (&mut self.input).take((wanted - have) as u64).read_to_end(&mut stored)?;
        self.offset += read as u64;
        self.is_ended = header.kind == Kind::End.number();
        let missing = (wanted - stored.len()) as u64;
        if missing > 0 {
            (self.is_ended, self.at_end) = (true, true);
            let size = (HEADER + wanted) as u64;
            return Ok(Found::Flaw(Flaw::Cut { offset, kind: header.kind, size, missing }));
        }
        if !header.matches(&stored) {
            let problem = BlockProblem::Checksum;
            return Ok(Found::Flaw(Flaw::Block { offset, kind: header.kind, problem }));
        }
        Ok(Found::Block(Block { offset, header, stored }))
    }

    /// Skips to the next block's header, or to the end.
    fn gap(&mut self) -> io::Result<Flaw> {
        let offset = self.offset;
        let start = self.rest();
        if start.len() < HEADER && (MARK.starts_with(start) || start.starts_with(&MARK)) {
            let bytes = start.len() as u64;
            self.skip(start.len());
            self.is_ended = true;
            return Ok(Flaw::CutHeader { offset, bytes });
        }
        self.skip(1);
        loop {
            self.fill(HEADER)?;
            let rest = self.rest();
            let header: Option<&[u8; HEADER]> = rest.first_chunk();
            if rest.is_empty() || header.is_some_and(|header| Header::read(header).is_some()) {
                break;
            }
            let next = rest[1..].iter().position(|byte| *byte == MARK[0]);
            self.skip(next.map_or(rest.len(), |next| next + 1));
        }
        Ok(Flaw::Skipped { offset, bytes: self.offset - offset })
    }

    fn rest(&self) -> &[u8] {
        &self.ahead[self.used..]
    }

    fn skip(&mut self, bytes: usize) {
        self.used += bytes;
        self.offset += bytes as u64;
    }

    /// Reads until there are that many bytes ahead, or no more to come.
    fn fill(&mut self, bytes: usize) -> io::Result<()> {
        while !self.at_end && self.rest().len() < bytes {
            self.ahead.drain(..self.used);
            self.used = 0;
            let len = self.ahead.len();
            self.ahead.resize(len + CHUNK, 0);
            let read = self.input.read(&mut self.ahead[len..]);
            self.ahead.truncate(len + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => self.at_end = true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let len = self.0.len().min(out.len()).min(3);
            out[..len].copy_from_slice(&self.0[..len]);
            self.0 = &self.0[len..];
            Ok(len)
        }
    }

    fn found(bytes: &[u8]) -> Vec<String> {
        let of = |input: &mut dyn Read| {
            let mut scanner = Scanner::new(input, 0);
            let mut found = vec![];
            while let Some(next) = scanner.next().unwrap() {
                found.push(match next {
                    Found::Block(block) => format!("{} {}", Kind::name(block.header.kind), block.offset),
                    Found::Flaw(flaw) => flaw.to_string(),
                });
            }
            assert_eq!(scanner.offset(), bytes.len() as u64);
            found
        };
        let fast = of(&mut &*bytes);
        assert_eq!(fast, of(&mut Slow(bytes)));
        fast
    }

    fn blocks() -> Vec<u8> {
        let mut bytes = vec![];
        block::put(&mut bytes, Kind::Clock, b"tick");
        block::put(&mut bytes, Kind::Symbols, b"names");
        block::put(&mut bytes, Kind::End, b"");
        bytes
    }

    const SECOND: usize = HEADER + 4;
    const THIRD: usize = SECOND + HEADER + 5;

    #[test]
    fn whole_files_have_no_flaws() {
        assert_eq!(found(&blocks()), ["clock 0", "symbols 28", "end 57"]);
        let twice = [&blocks()[..], &block::file_header(), &blocks()].concat();
        assert_eq!(found(&twice).len(), 6, "put together");
    }

    #[test]
    fn cut_files_say_what_is_missing() {
        let cut = |len| found(&blocks()[..len]).pop().unwrap();
        assert_eq!(
            cut(SECOND),
            "the file has no end block: its tracer was killed, or is still writing; all up to offset 28 was read"
        );
        assert_eq!(
            cut(SECOND + 3),
            "the file ends inside a block's header at offset 28, after 3 bytes of it; all before it was read"
        );
        assert_eq!(
            cut(THIRD - 2),
            "the file ends inside a block (kind: symbols) at offset 28: 2 of its 29 bytes are missing; all before it was read"
        );
    }

    #[test]
    fn a_damaged_payload_costs_its_block() {
        let mut bytes = blocks();
        bytes[THIRD - 1] ^= 1;
        let damaged =
            "the block (kind: symbols) at offset 28 is damaged and was left out: its checksum does not match";
        assert_eq!(found(&bytes), ["clock 0", damaged, "end 57"]);
    }

    #[test]
    fn behind_a_damaged_header_the_next_block_is_found() {
        for at in SECOND..SECOND + HEADER {
            let mut bytes = blocks();
            bytes[at] ^= 0x10;
            assert_eq!(
                found(&bytes),
                ["clock 0", "29 bytes at offset 28 are no block and were skipped", "end 57"]
            );
        }
        let noise = [&blocks()[..SECOND], &MARK, &[0; 5_000], &MARK, &MARK, &blocks()[SECOND..]].concat();
        assert_eq!(found(&noise)[1], "5012 bytes at offset 28 are no block and were skipped");
    }

    #[test]
    fn a_length_is_not_memory() {
        let mut bytes = vec![];
        block::put(&mut bytes, Kind::Events, &vec![1; 4096]);
        let large = (block::PAYLOAD as u32).to_le_bytes();
        bytes[8..12].copy_from_slice(&large);
        bytes[12..16].copy_from_slice(&large);
        let checksum = crc32c::crc32c(&bytes[..20]);
        bytes[20..24].copy_from_slice(&checksum.to_le_bytes());
        let mut scanner = Scanner::new(&bytes[..], 0);
        assert!(matches!(scanner.next(), Ok(Some(Found::Flaw(Flaw::Cut { .. })))));
        assert!(scanner.ahead.capacity() <= 2 * CHUNK);
    }
}
