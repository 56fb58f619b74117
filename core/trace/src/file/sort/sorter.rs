//! Items put into the order of their keys, in as much memory as there may be. Items are gathered until that is full, sorted,
//! and written to a temporary file as a *run*; at the end the runs are merged. Where there are more runs than can be merged
//! at once, some are merged into longer ones first.
//!
//! Runs stand one behind the other in one file, which has no name: however the process ends, it is gone. A run is read in
//! chunks, each compressed by itself.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What a sorter may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Space<'a> {
    /// Bytes of memory.
    pub(super) memory: usize,
    /// Where its temporary files are made.
    pub(super) folder: &'a Path,
}

impl Space<'_> {
    /// Bytes that a run is read and written by, but for the last item: small enough for many runs to be merged at once.
    fn chunk(&self) -> usize {
        (self.memory / 64).clamp(1 << 10, 256 << 10)
    }

    /// Runs that are merged at once, if no item has more bytes than `largest`. Besides there are the chunk that is written,
    /// and both as they are compressed.
    fn fan_in(&self, largest: usize) -> usize {
        (self.memory / (self.chunk() + largest)).saturating_sub(3).clamp(2, 1024)
    }
}

/// Takes items: a key of `N` numbers, and bytes.
#[derive(Debug)]
pub(super) struct Sorter<'a, const N: usize> {
    space: Space<'a>,
    entries: Vec<Entry<N>>,
    bytes: Vec<u8>,
    /// Bytes of the largest item, as it is in a run.
    largest: usize,
    runs: Option<Runs>,
}

/// An item in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<const N: usize> {
    key: [u64; N],
    at: usize,
    len: u32,
}

impl<'a, const N: usize> Sorter<'a, N> {
    pub(super) fn new(space: Space<'a>) -> Sorter<'a, N> {
        Sorter { space, entries: Vec::new(), bytes: Vec::new(), largest: 0, runs: None }
    }

    /// Takes an item; no two have the same key.
    ///
    /// # Errors
    ///
    /// Those of the temporary file, and an item of more than 4 GiB.
    pub(super) fn push(&mut self, key: [u64; N], parts: &[&[u8]]) -> io::Result<()> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let short = u32::try_from(len).map_err(io::Error::other)?;
        let used = self.bytes.len() + size_of_val(self.entries.as_slice());
        if used + len + size_of::<Entry<N>>() > self.space.memory && !self.entries.is_empty() {
            self.spill()?;
        }
        self.entries.push(Entry { key, at: self.bytes.len(), len: short });
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.largest = self.largest.max(item_len::<N>(len));
        Ok(())
    }

    /// Writes what there is as a run.
    fn spill(&mut self) -> io::Result<()> {
        let mut runs = match self.runs.take() {
            Some(runs) => runs,
            None => Runs::new(self.space)?,
        };
        self.entries.sort_unstable_by_key(|entry| entry.key);
        for entry in &self.entries {
            runs.push(&entry.key, &self.bytes[entry.range()])?;
        }
        runs.end_run()?;
        self.runs = Some(runs);
        self.entries.clear();
        self.bytes.clear();
        Ok(())
    }

    /// All items, in order.
    ///
    /// # Errors
    ///
    /// Those of the temporary files.
    pub(super) fn finish(mut self) -> io::Result<Sorted<N>> {
        if self.runs.is_none() {
            self.entries.sort_unstable_by_key(|entry| entry.key);
            return Ok(Sorted::Memory { entries: self.entries, bytes: self.bytes, next: 0 });
        }
        self.spill()?;
        let Sorter { space, largest, runs, entries, bytes } = self;
        // Merging needs the room.
        drop((entries, bytes));
        let mut runs = runs.map_or_else(|| Runs::new(space), Ok)?;
        let fan_in = space.fan_in(largest);
        while runs.runs.len() > fan_in {
            let mut longer = Runs::new(space)?;
            let source = runs.finish();
            for some in source.runs.chunks(fan_in) {
                let mut merge = Merge::<N>::new(&source.file, some)?;
                while let Some((key, bytes)) = merge.next(&source.file)? {
                    longer.push(&key, bytes)?;
                }
                longer.end_run()?;
            }
            runs = longer;
        }
        let Source { file, runs } = runs.finish();
        let merge = Merge::new(&file, &runs)?;
        Ok(Sorted::Merged { file, merge })
    }
}

impl<const N: usize> Entry<N> {
    fn range(&self) -> Range<usize> {
        self.at..self.at + self.len as usize
    }
}

/// Items in the order of their keys.
#[derive(Debug)]
pub(super) enum Sorted<const N: usize> {
    /// All did fit.
    Memory { entries: Vec<Entry<N>>, bytes: Vec<u8>, next: usize },
    /// They come from a file.
    Merged { file: File, merge: Merge<N> },
}

impl<const N: usize> Sorted<N> {
    /// The next item.
    ///
    /// # Errors
    ///
    /// Those of the temporary file.
    pub(super) fn next(&mut self) -> io::Result<Option<([u64; N], &[u8])>> {
        match self {
            Sorted::Memory { entries, bytes, next } => {
                let entry = entries.get(*next);
                *next += 1;
                Ok(entry.map(|entry| (entry.key, &bytes[entry.range()])))
            }
            Sorted::Merged { file, merge } => merge.next(file),
        }
    }
}

/// Bytes of an item in a run: its key, its length, and itself.
fn item_len<const N: usize>(len: usize) -> usize {
    8 * N + 4 + len
}

/// Runs being written.
#[derive(Debug)]
struct Runs {
    file: File,
    /// Bytes in the file.
    written: u64,
    runs: Vec<Range<u64>>,
    /// Where the run begins that is being written.
    start: u64,
    chunk: Vec<u8>,
    full: usize,
    compressed: Vec<u8>,
}

/// Runs that were written.
struct Source {
    file: File,
    runs: Vec<Range<u64>>,
}

/// Bytes in front of a chunk: those that it has, and those that it takes in the file.
const CHUNK_HEADER: usize = 8;

impl Runs {
    fn new(space: Space<'_>) -> io::Result<Runs> {
        let file = tempfile::tempfile_in(space.folder)?;
        let (chunk, full) = (Vec::new(), space.chunk());
        Ok(Runs { file, written: 0, runs: Vec::new(), start: 0, chunk, full, compressed: Vec::new() })
    }

    fn push<const N: usize>(&mut self, key: &[u64; N], bytes: &[u8]) -> io::Result<()> {
        for number in key {
            self.chunk.extend(number.to_le_bytes());
        }
        self.chunk.extend(u32::try_from(bytes.len()).map_err(io::Error::other)?.to_le_bytes());
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= self.full { self.write_chunk() } else { Ok(()) }
    }

    fn write_chunk(&mut self) -> io::Result<()> {
        let most = CHUNK_HEADER + lz4_flex::block::get_maximum_output_size(self.chunk.len());
        if self.compressed.len() < most {
            self.compressed.resize(most, 0);
        }
        let len = lz4_flex::block::compress_into(&self.chunk, &mut self.compressed[CHUNK_HEADER..])
            .map_err(io::Error::other)?;
        for (at, number) in [(0, self.chunk.len()), (4, len)] {
            let number = u32::try_from(number).map_err(io::Error::other)?;
            self.compressed[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        self.file.write_all(&self.compressed[..CHUNK_HEADER + len])?;
        self.written += (CHUNK_HEADER + len) as u64;
        self.chunk.clear();
        Ok(())
    }

    fn end_run(&mut self) -> io::Result<()> {
        if !self.chunk.is_empty() {
            self.write_chunk()?;
        }
        if self.start < self.written {
            self.runs.push(self.start..self.written);
        }
        self.start = self.written;
        Ok(())
    }

    fn finish(self) -> Source {
        Source { file: self.file, runs: self.runs }
    }
}

/// Runs that are read together. The file is not in here, so that several groups of its runs can be read one after another.
#[derive(Debug)]
pub(super) struct Merge<const N: usize> {
    cursors: Vec<Cursor>,
    /// The keys of the cursors' items, the least first.
    heap: BinaryHeap<Reverse<([u64; N], usize)>>,
    /// Whether the least one was given out, and is to be replaced.
    given: bool,
    stored: Vec<u8>,
}

impl<const N: usize> Merge<N> {
    fn new(file: &File, runs: &[Range<u64>]) -> io::Result<Merge<N>> {
        let (mut cursors, mut heap, mut stored) = (Vec::new(), BinaryHeap::new(), Vec::new());
        for run in runs {
            let mut cursor = Cursor { rest: run.clone(), chunk: Vec::new(), next: 0, item: 0..0 };
            if let Some(key) = cursor.advance(file, &mut stored)? {
                heap.push(Reverse((key, cursors.len())));
                cursors.push(cursor);
            }
        }
        Ok(Merge { cursors, heap, given: false, stored })
    }

    fn next(&mut self, file: &File) -> io::Result<Option<([u64; N], &[u8])>> {
        if std::mem::take(&mut self.given)
            && let Some(mut least) = self.heap.peek_mut()
        {
            let cursor = &mut self.cursors[least.0.1];
            match cursor.advance(file, &mut self.stored)? {
                Some(key) => least.0.0 = key,
                None => {
                    // Its memory is of use to nobody any more.
                    cursor.chunk = Vec::new();
                    PeekMut::pop(least);
                }
            }
        }
        let Some(Reverse((key, cursor))) = self.heap.peek() else { return Ok(None) };
        self.given = true;
        Ok(Some((*key, self.cursors[*cursor].bytes())))
    }
}

/// A place in a run.
#[derive(Debug)]
struct Cursor {
    /// What of the run was not read yet.
    rest: Range<u64>,
    chunk: Vec<u8>,
    /// Where in the chunk the next item is.
    next: usize,
    /// The bytes of this one.
    item: Range<usize>,
}

impl Cursor {
    /// Goes to the next item, and gives its key.
    fn advance<const N: usize>(&mut self, file: &File, stored: &mut Vec<u8>) -> io::Result<Option<[u64; N]>> {
        if self.next == self.chunk.len() {
            if self.rest.is_empty() {
                return Ok(None);
            }
            self.read_chunk(file, stored)?;
        }
        let item = self.chunk.get(self.next..).unwrap_or_default();
        let (words, rest) = item.split_at_checked(8 * N).ok_or_else(changed)?;
        let mut key = [0; N];
        for (number, bytes) in key.iter_mut().zip(words.as_chunks::<8>().0) {
            *number = u64::from_le_bytes(*bytes);
        }
        let len = rest.first_chunk().map(|len| u32::from_le_bytes(*len) as usize).ok_or_else(changed)?;
        let start = self.next + item_len::<N>(0);
        self.item = start..start + len;
        self.next = self.item.end;
        if self.next > self.chunk.len() { Err(changed()) } else { Ok(Some(key)) }
    }

    fn read_chunk(&mut self, file: &File, stored: &mut Vec<u8>) -> io::Result<()> {
        let mut header = [0; CHUNK_HEADER];
        file.read_exact_at(&mut header, self.rest.start)?;
        let [len, in_file] = [[0, 1, 2, 3], [4, 5, 6, 7]]
            .map(|at| u32::from_le_bytes(at.map(|at: usize| header[at])) as usize);
        let at = self.rest.start + CHUNK_HEADER as u64;
        self.rest.start = at + in_file as u64;
        if self.rest.start > self.rest.end {
            return Err(changed());
        }
        stored.resize(in_file, 0);
        file.read_exact_at(stored, at)?;
        self.chunk.resize(len, 0);
        match lz4_flex::block::decompress_into(stored, &mut self.chunk) {
            Ok(whole) if whole == len => {
                self.next = 0;
                Ok(())
            }
            _ => Err(changed()),
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.chunk[self.item.clone()]
    }
}

fn changed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what is read is not what was written")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random numbers, the same each time.
    fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
        let mut state = seed;
        move |bound| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 8) % bound
        }
    }

    fn all<const N: usize>(mut sorted: Sorted<N>) -> Vec<([u64; N], Vec<u8>)> {
        let mut items = vec![];
        while let Some((key, bytes)) = sorted.next().unwrap() {
            items.push((key, bytes.to_vec()));
        }
        assert!(sorted.next().unwrap().is_none());
        items
    }

    fn sorted(items: &[([u64; 2], Vec<u8>)], memory: usize) -> Sorted<2> {
        let folder = std::env::temp_dir();
        let mut sorter = Sorter::new(Space { memory, folder: &folder });
        items.iter().for_each(|(key, bytes)| sorter.push(*key, &[&bytes[..1], &bytes[1..]]).unwrap());
        sorter.finish().unwrap()
    }

    #[test]
    fn items_come_in_order_whatever_memory_there_is() {
        for (seed, count, longest) in [(1, 0, 2), (2, 1, 2), (3, 3_000, 2), (4, 3_000, 300), (5, 40, 20_000)]
        {
            let mut below = numbers(seed);
            let mut items: Vec<([u64; 2], Vec<u8>)> = (0..count)
                .map(|i| ([below(50), i], vec![below(256) as u8; 1 + below(longest) as usize]))
                .collect();
            let kept = [100 << 20, 50_000, 2_000, 0].map(|memory| sorted(&items, memory));
            items.sort();
            let all_fit = matches!(kept[0], Sorted::Memory { .. });
            assert!(all_fit && (count < 2 || matches!(kept[3], Sorted::Merged { .. })));
            kept.into_iter().for_each(|kept| assert!(all(kept) == items, "{count} items of up to {longest}"));
        }
    }

    #[test]
    fn runs_are_merged_several_times_where_there_are_many() {
        let folder = std::env::temp_dir();
        let space = Space { memory: 4 << 10, folder: &folder };
        assert_eq!(space.fan_in(100), 2);
        // With two at once, 1,000 runs take ten passes.
        let items: Vec<_> = (0..5_000).map(|i| ([(i * 7_919) % 5_003, i], vec![7; 500])).collect();
        let mut expected = items.clone();
        expected.sort();
        assert!(all(sorted(&items, 4 << 10)) == expected);
    }

    #[test]
    fn what_is_merged_takes_no_more_than_it_may() {
        let folder = std::env::temp_dir();
        for memory in [64 << 10, 1 << 20, 128 << 20, 1 << 30] {
            let space = Space { memory, folder: &folder };
            for largest in [100, 5_000, 8 << 20] {
                let fan_in = space.fan_in(largest);
                assert!(fan_in == 2 || (fan_in + 3) * (space.chunk() + largest) <= memory);
            }
        }
        assert!(Space { memory: 128 << 20, folder: &folder }.fan_in(600) > 300);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let mut sorter = Sorter::<1>::new(Space { memory: 0, folder: Path::new("/nonexistent/folder") });
        sorter.push([1], &[b"a"]).unwrap();
        assert_eq!(sorter.push([2], &[b"a"]).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_that_was_tampered_with_is_an_error() {
        let items: Vec<_> = (0..100).map(|i| ([i, i], vec![1; 200])).collect();
        for at in [0, 3, 5, 9, 40] {
            let mut kept = sorted(&items, 2_000);
            let Sorted::Merged { file, merge } = &mut kept else { panic!("it did fit") };
            // In the second chunk of the first run, or what follows it.
            let place = merge.cursors[0].rest.start + at;
            file.write_all_at(&[0xff], place).unwrap();
            let ended = loop {
                match kept.next() {
                    Ok(Some((_, bytes))) if bytes.len() < 1_000 => {}
                    Ok(_) => break None,
                    Err(error) => break Some(error),
                }
            };
            if at < 8 {
                assert!(ended.is_some(), "at {at}");
            }
        }
    }
}
