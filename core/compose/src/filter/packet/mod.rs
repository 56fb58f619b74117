//! Packet sub-expressions of filters as BPF functions.
//!
//! A composed program calls the *reader* of a packet section into a scratch `Block` of the CPU's slot, with as many
//! bytes of data as the filter can look at, before anything else is done. Two generated functions follow: one makes an
//! Ethernet frame of what was read, whatever was captured, and one asks a sub-expression of it. They call nothing, have
//! no loops and no maps, and the verifier takes them because each access is bounded by constants.
//!
//! A block, in bytes:
//!
//! | offset | |
//! |---|---|
//! | `START` | u32, where in the block the frame begins |
//! | `SIZE` | u32, bytes of the frame that are there |
//! | `LENGTH` | u32, bytes that the frame had |
//! | `FIRST` | u32, the first byte of the frame that is known: 0, or 12 where there is no link header |
//! | `STATE` | u32, 0 when nothing was read, `ABSENT` or `PRESENT` |
//! | 20 | u32, not used |
//! | 24 | room, so that a tag or a made-up link header can stand before the data |
//! | `SECTION` | the section as its reader writes it: fixed fields, then the packet's bytes |
//! | behind | slack, for what the verifier cannot exclude |
//!
//! The function that makes the frame moves its first bytes to the front, over the last fixed fields of the section.

mod chain;
mod code;
mod frame;
mod graph;
mod number;
mod program;
mod window;

#[cfg(test)]
mod tests;

use tracer_bpf::{Insn, insn::AssembleError};
use tracer_dsl::filter::bytes::{FRAME_MAX, Test};
use tracer_event::{Kind, Schema, Show};

pub use program::{Program, ProgramError};
pub(crate) use window::window;

/// Offset of the frame's start in the block.
pub(crate) const START: i16 = 0;
/// Offset of the number of bytes of the frame that are there.
pub(crate) const SIZE: i16 = 4;
/// Offset of the number of bytes that the frame had.
pub(crate) const LENGTH: i16 = 8;
/// Offset of the first byte of the frame that is known.
pub(crate) const FIRST: i16 = 12;
/// Offset of what is known about the packet.
pub(crate) const STATE: i16 = 16;
/// Offset of the section.
pub(crate) const SECTION: u32 = 48;

/// [`STATE`]: there is no packet.
pub(crate) const ABSENT: i32 = 1;
/// [`STATE`]: there is a packet.
pub(crate) const PRESENT: i32 = 2;

/// The fewest bytes of data that are read: where the length is asked, the link header says whether a tag counts.
const WINDOW_MIN: u32 = 14;
/// Bytes behind the window: those of the longest IPv4 header, which are added to an offset that is inside.
const SLACK: u32 = 64;
/// The most bytes of a section's fixed fields.
const FIELDS_MAX: u32 = 2048;

/// The most instructions of one sub-expression. A list of 300 addresses or of 200 ports takes fewer. The verifier follows
/// at most 8192 branches that it has not looked at yet, in all of a program.
pub const INSNS_MAX: usize = 4000;

/// Why a sub-expression has no BPF program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// The sub-expression takes more than [`INSNS_MAX`] instructions.
    #[error(
        "the packet filter takes more than {INSNS_MAX} BPF instructions; a shorter list or a `net` takes fewer"
    )]
    Long,
    /// A number is computed out of more parts than there is room for.
    #[error(
        "arithmetic on the packet's bytes is nested too deep for a BPF program; write it with fewer parentheses"
    )]
    Deep,
    /// The section has no packet.
    #[error("section `{0}` has no packet data to filter")]
    NoPacket(String),
    /// The section's fixed fields are more than programs can hold twice.
    #[error(
        "section `{section}` has {size} bytes before its packet data; a filter takes at most {FIELDS_MAX}"
    )]
    Fields {
        /// The section.
        section: String,
        /// Bytes.
        size: u32,
    },
    /// The generator's own mistake.
    #[error("code generation: {0}")]
    Assemble(#[from] AssembleError),
}

/// Where a packet section and the frame that is made of it stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    window: u32,
    /// Bytes of the section before the packet's.
    fields: u32,
    link: Number,
    protocol: Number,
    original: Number,
    tag: Option<(Number, Number)>,
}

/// An unsigned number of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number {
    /// In the block.
    offset: i16,
    width: u8,
    big_endian: bool,
}

impl Block {
    /// For a packet section's schema, and sub-expressions that look at no more than `window` bytes of the frame.
    ///
    /// # Errors
    /// The section is none of a packet, or is too large.
    pub(crate) fn new(schema: &Schema, window: u32) -> Result<Block, PacketError> {
        let none = || PacketError::NoPacket(schema.section().to_owned());
        let (section, fields) = (schema.section().to_owned(), schema.size());
        if fields > FIELDS_MAX {
            return Err(PacketError::Fields { section, size: fields });
        }
        schema.fields().iter().find(|field| field.show == Show::Packet).ok_or_else(none)?;
        let number = |name: &str| {
            let field = schema.field(name)?;
            let Kind::Uint(width) = field.kind else { return None };
            let big_endian = field.show.is_big_endian();
            Some(Number { offset: i16::try_from(SECTION + field.offset).ok()?, width, big_endian })
        };
        Ok(Block {
            window: window.clamp(WINDOW_MIN, u32::try_from(FRAME_MAX).unwrap_or(u32::MAX)),
            fields,
            link: number("link").ok_or_else(none)?,
            protocol: number("protocol").ok_or_else(none)?,
            original: number("orig_len").ok_or_else(none)?,
            tag: number("vlan_proto").zip(number("vlan_tci")),
        })
    }

    /// Bytes of data that the reader shall give: what its option for the length of the data is to be.
    pub(crate) fn window(&self) -> u32 {
        self.window
    }

    /// Bytes of the block, a multiple of 8.
    pub(crate) fn size(&self) -> u32 {
        (self.data() + self.window + SLACK).next_multiple_of(8)
    }

    /// Offset of the packet's bytes in the block, which is also the frame's greatest start.
    fn data(&self) -> u32 {
        SECTION + self.fields
    }

    /// A function that makes the frame: r1 is the block, r2 what the reader returned. It returns nothing.
    ///
    /// # Errors
    /// The generator's own mistake.
    pub(crate) fn frame(&self) -> Result<Vec<Insn>, PacketError> {
        Ok(frame::generate(self)?)
    }

    /// A function that asks a sub-expression of the frame: r1 is the block; it returns 1 if the sub-expression holds, and
    /// 0 if it does not, if it reads beyond the data or the window, and if there is no packet.
    ///
    /// # Errors
    /// The sub-expression is too long or too deep.
    pub(crate) fn test(&self, test: &Test) -> Result<Vec<Insn>, PacketError> {
        code::generate(self, test)
    }
}
