//! The BPF Type Format: the kernel's own description of its types and functions.
//!
//! Source of the format: the kernel's `Documentation/bpf/btf.rst` and `include/uapi/linux/btf.h`.
//! A *base* BTF (vmlinux) stands alone; a *split* BTF (a module's) continues the base's type ids
//! and string offsets, so it is always held together with its base: parsed alone it would give
//! wrong types without any error.

mod builder;
mod slice;
#[cfg(test)]
mod tests;
mod types;
mod walk;

use std::sync::Arc;

use memchr::memmem;

pub use builder::{Builder, Moved};
pub use slice::Slice;
pub use types::{Enumerator, Kind, Member, Param, Type};
pub use walk::Located;

/// Magic number of a BTF blob in the byte order of the machine that wrote it.
const MAGIC: u16 = 0xeb9f;
/// Bytes of `struct btf_header` up to and including `str_len`; later kernels may append.
const HEADER: usize = 24;

/// One BTF: a base, or a split that continues a base.
#[derive(Debug)]
pub struct Btf {
    data: Vec<u8>,
    base: Option<Arc<Btf>>,
    /// Byte offset in `data` of each own type, in id order.
    offsets: Vec<u32>,
    /// `name_off` of each own type, in id order: a name is searched by scanning this.
    names: Vec<u32>,
    first_id: u32,
    first_str: u32,
    strs: std::ops::Range<usize>,
}

/// Why a BTF blob could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    /// The blob ends before its header, or its sections reach beyond its end.
    #[error("BTF is cut short: {need} bytes are needed and {have} are there")]
    Truncated {
        /// Bytes that the header announces.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// The first two bytes are not BTF's magic number (or the byte order is foreign).
    #[error("not BTF of this machine's byte order: magic {0:#06x} instead of 0xeb9f")]
    Magic(u16),
    /// A kind that is newer than this reader: what follows it cannot be found.
    #[error("BTF type {id} has the unknown kind {kind}")]
    UnknownKind {
        /// The type's id.
        id: u32,
        /// The kind's number.
        kind: u8,
    },
    /// A type id that the blob does not define.
    #[error("BTF refers to type {0}, which it does not define")]
    NoType(u32),
}

impl Btf {
    /// Parses a BTF that stands alone, such as vmlinux's or a fragment's.
    pub fn parse(data: Vec<u8>) -> Result<Self, BtfError> {
        Self::parse_with(data, None)
    }

    /// Parses a module's split BTF, which continues `base`.
    pub fn parse_split(data: Vec<u8>, base: Arc<Btf>) -> Result<Self, BtfError> {
        Self::parse_with(data, Some(base))
    }

    /// Parses a BTF out of a file that does not say which it is: a split that continues `base`, or
    /// one that stands alone, whose strings begin with the empty one (a split's never do).
    pub fn parse_either(data: Vec<u8>, base: Arc<Btf>) -> Result<Self, BtfError> {
        let header = Header::parse(&data)?;
        match data[header.strs].first() {
            Some(0) | None => Self::parse(data),
            Some(_) => Self::parse_split(data, base),
        }
    }

    fn parse_with(data: Vec<u8>, base: Option<Arc<Btf>>) -> Result<Self, BtfError> {
        let header = Header::parse(&data)?;
        let (first_id, first_str) = base.as_ref().map_or((1, 0), |b| (b.end_id(), b.first_str + b.str_len()));
        let types = &data[header.types.clone()];
        let mut offsets = Vec::with_capacity(types.len() / 20);
        let mut names = Vec::with_capacity(types.len() / 20);
        let mut at = 0;
        while at < types.len() {
            let id = first_id + u32::try_from(offsets.len()).unwrap_or(u32::MAX);
            let len = types::len(&types[at..], id)?;
            if at + len > types.len() {
                return Err(BtfError::Truncated { need: at + len, have: types.len() });
            }
            offsets.push(u32::try_from(header.types.start + at).unwrap_or(u32::MAX));
            names.push(types::word(&types[at..], 0));
            at += len;
        }
        Ok(Self { offsets, names, base, first_id, first_str, strs: header.strs, data })
    }

    /// The BTF that this one continues.
    pub fn base(&self) -> Option<&Arc<Btf>> {
        self.base.as_ref()
    }

    /// The id after the last type; the first id of a split that continues this BTF.
    pub fn end_id(&self) -> u32 {
        self.first_id + u32::try_from(self.offsets.len()).unwrap_or(u32::MAX)
    }

    fn str_len(&self) -> u32 {
        u32::try_from(self.strs.len()).unwrap_or(u32::MAX)
    }

    /// Ids of the types that this BTF itself defines, without its base's.
    pub fn own_ids(&self) -> std::ops::Range<u32> {
        self.first_id..self.end_id()
    }

    /// The type with this id, in this BTF or its base. Id 0 is `void`.
    pub fn ty(&self, id: u32) -> Result<Type<'_>, BtfError> {
        if id == 0 {
            return Ok(Type::void(self));
        }
        if id < self.first_id {
            return match &self.base {
                Some(base) => base.ty(id).map(|t| t.seen_from(self)),
                None => Err(BtfError::NoType(id)),
            };
        }
        let offset = self.offsets.get((id - self.first_id) as usize).ok_or(BtfError::NoType(id))?;
        Ok(Type::new(self, id, &self.data[*offset as usize..]))
    }

    /// The string at an offset, in this BTF or its base; empty where the offset is out of range.
    pub fn str(&self, offset: u32) -> &str {
        if offset < self.first_str {
            return self.base.as_ref().map_or("", |b| b.str(offset));
        }
        let at = (offset - self.first_str) as usize;
        let tail = self.strs_bytes().get(at..).unwrap_or_default();
        let end = memchr::memchr(0, tail).unwrap_or(tail.len());
        std::str::from_utf8(&tail[..end]).unwrap_or("")
    }

    fn strs_bytes(&self) -> &[u8] {
        &self.data[self.strs.clone()]
    }

    /// Ids of the types of one kind and name, among this BTF's own types only.
    pub fn find_own<'a>(&'a self, kind: Kind, name: &str) -> impl Iterator<Item = u32> + use<'a> {
        let wanted = self.string_offsets(name);
        let hits = self.names.iter().enumerate().filter(move |(_, n)| wanted.contains(n));
        hits.map(|(i, _)| self.first_id + u32::try_from(i).unwrap_or(u32::MAX))
            .filter(move |id| self.ty(*id).is_ok_and(|t| t.kind() == kind))
    }

    /// The first type of one kind and name: the base is searched first, because newer kernels'
    /// modules carry private copies of the base's types.
    pub fn find(&self, kind: Kind, name: &str) -> Option<u32> {
        self.base.as_ref().and_then(|b| b.find(kind, name)).or_else(|| self.find_own(kind, name).next())
    }

    /// All offsets at which a string is stored: in the own table, and, for a split, in the base's.
    fn string_offsets(&self, name: &str) -> Vec<u32> {
        let mut found = self.base.as_ref().map(|b| b.string_offsets(name)).unwrap_or_default();
        if name.is_empty() {
            return found;
        }
        let mut needle = name.as_bytes().to_vec();
        needle.push(0);
        // A tail of a longer string is a string too: linkers may share them.
        found.extend(
            memmem::find_iter(self.strs_bytes(), &needle)
                .map(|at| self.first_str + u32::try_from(at).unwrap_or(u32::MAX)),
        );
        found
    }

    /// The blob itself, as it was given to the parser.
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }
}

/// The parts of `struct btf_header` that matter, as byte ranges of the blob.
struct Header {
    types: std::ops::Range<usize>,
    strs: std::ops::Range<usize>,
}

impl Header {
    fn parse(data: &[u8]) -> Result<Self, BtfError> {
        if data.len() < HEADER {
            return Err(BtfError::Truncated { need: HEADER, have: data.len() });
        }
        let magic = u16::from_le_bytes([data[0], data[1]]);
        if magic != MAGIC {
            return Err(BtfError::Magic(magic));
        }
        let field = |i: usize| types::word(data, 4 + 4 * i) as usize;
        let (start, type_off, type_len, str_off, str_len) =
            (field(0), field(1), field(2), field(3), field(4));
        let types = start + type_off..start + type_off + type_len;
        let strs = start + str_off..start + str_off + str_len;
        let need = types.end.max(strs.end);
        if need > data.len() {
            return Err(BtfError::Truncated { need, have: data.len() });
        }
        Ok(Self { types, strs })
    }
}
