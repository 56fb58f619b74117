//! Writing BTF: new types, and whole foreign blobs appended with their ids and strings renumbered.

use std::collections::HashMap;

use super::{
    Btf, Kind,
    types::{Info, TYPE, word},
};

/// A BTF under construction, standing alone.
#[derive(Debug, Clone)]
pub struct Builder {
    types: Vec<u8>,
    strs: Vec<u8>,
    known: HashMap<Vec<u8>, u32>,
    next_id: u32,
}

impl Default for Builder {
    fn default() -> Self {
        Self { types: Vec::new(), strs: vec![0], known: HashMap::new(), next_id: 1 }
    }
}

/// How far a blob's type ids and string offsets moved when it was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    types: u32,
    strs: u32,
}

impl Moved {
    /// The new id of a type of the appended blob.
    pub fn ty(&self, id: u32) -> u32 {
        if id == 0 { 0 } else { id + self.types }
    }

    /// The new offset of a string of the appended blob.
    pub fn str(&self, offset: u32) -> u32 {
        if offset == 0 { 0 } else { offset + self.strs }
    }
}

impl Builder {
    /// The id that the next type will get.
    pub fn next_id(&self) -> u32 {
        self.next_id
    }

    /// Adds a string once; equal strings share an offset.
    pub fn str(&mut self, s: &str) -> u32 {
        if s.is_empty() {
            return 0;
        }
        if let Some(at) = self.known.get(s.as_bytes()) {
            return *at;
        }
        let at = offset(self.strs.len());
        self.strs.extend_from_slice(s.as_bytes());
        self.strs.push(0);
        self.known.insert(s.as_bytes().to_vec(), at);
        at
    }

    /// Adds a type from its words: name offset, info, size or type, and what the kind adds.
    pub(super) fn push(&mut self, words: &[u32]) -> u32 {
        for w in words {
            self.types.extend_from_slice(&w.to_le_bytes());
        }
        self.next_id += 1;
        self.next_id - 1
    }

    /// An integer of `size` bytes.
    pub fn int(&mut self, name: &str, size: u32, signed: bool) -> u32 {
        let name = self.str(name);
        self.push(&[name, info(Kind::Int, 0), size, (u32::from(signed) << 24) | (size * 8)])
    }

    /// An unsigned enum of 4 bytes.
    pub fn enumeration(&mut self, name: &str, enumerators: &[(&str, u32)]) -> u32 {
        let mut words = vec![self.str(name), info(Kind::Enum, enumerators.len()), 4];
        for (name, value) in enumerators {
            words.extend([self.str(name), *value]);
        }
        self.push(&words)
    }

    /// A pointer; to `void` with id 0.
    pub fn ptr(&mut self, to: u32) -> u32 {
        self.push(&[0, info(Kind::Ptr, 0), to])
    }

    /// A function with its prototype. `global` is the linkage: the entry function of a program is
    /// global, functions that are verified with their caller are static.
    pub fn func(&mut self, name: &str, returns: u32, params: &[(&str, u32)], global: bool) -> u32 {
        let mut words = vec![0, info(Kind::FuncProto, params.len()), returns];
        for (name, ty) in params {
            words.extend([self.str(name), *ty]);
        }
        let proto = self.push(&words);
        let name = self.str(name);
        self.push(&[name, info(Kind::Func, usize::from(global)), proto])
    }

    /// Appends a standalone BTF; its functions become static, as only the entry may be global.
    pub fn append(&mut self, btf: &Btf) -> Moved {
        let moved = Moved { types: self.next_id - 1, strs: offset(self.strs.len()) };
        for id in btf.own_ids() {
            // Own ids always resolve.
            let Ok(t) = btf.ty(id) else { continue };
            let mut words = t.words();
            let info = Info(words[1]);
            renumber(&mut words, t.kind(), info.vlen(), |ty| moved.ty(ty), |s| moved.str(s));
            if t.kind() == Kind::Func {
                words[1] &= !0xffff;
            }
            self.push(&words);
        }
        self.strs.extend_from_slice(btf.strs_bytes());
        moved
    }

    /// The blob, as the kernel and [`Btf::parse`] take it.
    pub fn bytes(&self) -> Vec<u8> {
        let (types, strs) = (offset(self.types.len()), offset(self.strs.len()));
        let mut out = vec![0x9f, 0xeb, 1, 0];
        for w in [24, 0, types, types, strs] {
            out.extend_from_slice(&w.to_le_bytes());
        }
        out.extend_from_slice(&self.types);
        out.extend_from_slice(&self.strs);
        out
    }
}

/// Offsets in BTF are 32 bits wide; a blob beyond that cannot exist.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

pub(super) fn info(kind: Kind, vlen: usize) -> u32 {
    u32::from(kind as u8) << 24 | u32::try_from(vlen).unwrap_or(0) & 0xffff
}

/// Rewrites every type id and string offset in the words of one type.
pub(super) fn renumber(
    words: &mut [u32],
    kind: Kind,
    vlen: usize,
    mut ty: impl FnMut(u32) -> u32,
    mut string: impl FnMut(u32) -> u32,
) {
    words[0] = string(words[0]);
    if kind.refers() {
        words[2] = ty(words[2]);
    }
    let extra = &mut words[TYPE / 4..];
    match kind {
        Kind::Array => {
            extra[0] = ty(extra[0]);
            extra[1] = ty(extra[1]);
        }
        Kind::Struct | Kind::Union => {
            for m in extra.chunks_exact_mut(3).take(vlen) {
                m[0] = string(m[0]);
                m[1] = ty(m[1]);
            }
        }
        Kind::Enum => extra.chunks_exact_mut(2).take(vlen).for_each(|e| e[0] = string(e[0])),
        Kind::Enum64 => extra.chunks_exact_mut(3).take(vlen).for_each(|e| e[0] = string(e[0])),
        Kind::FuncProto => {
            for p in extra.chunks_exact_mut(2).take(vlen) {
                p[0] = string(p[0]);
                p[1] = ty(p[1]);
            }
        }
        Kind::Datasec => extra.chunks_exact_mut(3).take(vlen).for_each(|v| v[0] = ty(v[0])),
        _ => {}
    }
}

impl super::Type<'_> {
    /// The type as words.
    pub(super) fn words(&self) -> Vec<u32> {
        let vlen = Info(word(self.raw(), 4)).vlen();
        let n = (TYPE + self.kind().extra(vlen)) / 4;
        (0..n).map(|i| word(self.raw(), i * 4)).collect()
    }
}
