//! What is wrong with a trace that can be read nevertheless. Each damage names its file and place, so that whoever reads
//! the output knows what is not in it.

use std::path::{Path, PathBuf};

use tracer_event::RecordError;

use super::{block, unpack};

/// Something in a trace that was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {flaw}", file.display())]
pub struct Damage {
    /// Which file.
    pub file: PathBuf,
    /// What is wrong in it.
    pub flaw: Flaw,
}

/// What is wrong. Offsets and sizes are bytes; offsets count from the start of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Flaw {
    /// The disk was full, or the file was copied in part.
    #[error("the file ends inside a block (kind: {name}) at offset {offset}: {missing} of its {size} bytes are missing; all before it was read", name = block::Kind::name(*kind))]
    Cut { offset: u64, kind: u16, size: u64, missing: u64 },
    /// As `Cut`, inside of a block's header, so that nothing is known about the block.
    #[error(
        "the file ends inside a block's header at offset {offset}, after {bytes} bytes of it; all before it was read"
    )]
    CutHeader { offset: u64, bytes: u64 },
    /// The tracer was ended, or is still writing.
    #[error(
        "the file has no end block: its tracer was killed, or is still writing; all up to offset {offset} was read"
    )]
    NoEnd { offset: u64 },
    /// A block whose place is known, so that what follows it is read.
    #[error("the block (kind: {name}) at offset {offset} is damaged and was left out: {problem}", name = block::Kind::name(*kind))]
    Block { offset: u64, kind: u16, problem: BlockProblem },
    /// A block's header is damaged, so that its length is not known.
    #[error("{bytes} bytes at offset {offset} are no block and were skipped")]
    Skipped { offset: u64, bytes: u64 },
    /// Bytes between blocks read well, but are not what their kind says.
    #[error(
        "the events at offset {offset}: {records} records do not agree with their schemas and were left out, the first: {first}"
    )]
    Records { offset: u64, records: u64, first: RecordError },
    /// Written by a newer tracer, and shown as well as can be.
    #[error("it was written by tracer {tracer}; {what} is not known to this version: {instead}")]
    Unknown { tracer: String, what: String, instead: &'static str },
    /// More than this version keeps in memory.
    #[error("more than {most} symbols; the rest is shown as addresses")]
    Symbols { most: usize },
    /// Somebody deleted files from the middle of a set.
    #[error("{}", match parts {
        1 => "one older file of the same run is missing".to_owned(),
        parts => format!("{parts} older files of the same run are missing"),
    })]
    Gap { parts: u64 },
}

/// Why a block cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockProblem {
    /// Some of its bytes changed.
    #[error("its checksum does not match")]
    Checksum,
    /// Its bytes are as they were written, and wrong.
    #[error("{0}")]
    Payload(String),
    /// An events block that breaks off; what came before was read.
    #[error("after {items} items: {reason}")]
    Items {
        /// Events and losses that were read.
        items: u64,
        /// What is wrong.
        reason: String,
    },
    /// Events whose schemas were not read.
    #[error("the probes that its events are of were not read")]
    Probes,
}

impl Damage {
    /// Whether events may be missing because of it that were in the file once. A file without an end block may still be
    /// written to, and what is unknown is shown nevertheless.
    pub fn loses_events(&self) -> bool {
        match self.flaw {
            Flaw::Cut { .. }
            | Flaw::CutHeader { .. }
            | Flaw::Block { .. }
            | Flaw::Skipped { .. }
            | Flaw::Records { .. }
            | Flaw::Gap { .. } => true,
            Flaw::NoEnd { .. } | Flaw::Unknown { .. } | Flaw::Symbols { .. } => false,
        }
    }

    pub(super) fn new(file: &Path, flaw: Flaw) -> Damage {
        Damage { file: file.to_owned(), flaw }
    }
}

impl BlockProblem {
    pub(super) fn items(items: u64, reason: unpack::Malformed) -> BlockProblem {
        BlockProblem::Items { items, reason: reason.to_string() }
    }
}
