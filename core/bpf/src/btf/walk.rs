//! Questions about types that take more than one step: what a typedef is in the end, how large a
//! type is, and where a path of members leads.

use super::{Btf, Kind, Member};

/// Where a member path ends: `headers.network_header` of `sk_buff`, for example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Located {
    /// Offset from the start of the outermost struct, in bits.
    pub bit_offset: u32,
    /// Width in bits for a bitfield, 0 for a plain member.
    pub bits: u32,
    /// The member's type id, as declared.
    pub ty: u32,
}

impl Located {
    /// Offset in bytes; `None` for a bitfield that does not start on a byte.
    pub fn byte_offset(&self) -> Option<u32> {
        self.bit_offset.is_multiple_of(8).then_some(self.bit_offset / 8)
    }
}

/// Qualifiers and typedefs nest a few deep; more is a loop in a hostile blob.
const DEPTH: usize = 32;

impl Btf {
    /// Strips typedefs, qualifiers and type tags.
    pub fn resolve(&self, id: u32) -> u32 {
        let mut id = id;
        for _ in 0..DEPTH {
            match self.ty(id) {
                Ok(t) if t.kind().is_modifier() => id = t.target().unwrap_or(0),
                _ => return id,
            }
        }
        0
    }

    /// `sizeof` in bytes.
    pub fn size_of(&self, id: u32) -> Option<u32> {
        self.size_within(id, DEPTH)
    }

    fn size_within(&self, id: u32, depth: usize) -> Option<u32> {
        let depth = depth.checked_sub(1)?;
        let t = self.ty(self.resolve(id)).ok()?;
        match t.kind() {
            Kind::Ptr => Some(8),
            Kind::Array => {
                let (element, n) = t.array()?;
                self.size_within(element, depth)?.checked_mul(n)
            }
            _ => t.size(),
        }
    }

    /// The struct or union that a pointer type points at, by name; `None` for a pointer to a
    /// pointer or to anything else. The name is compared, not the id: modules carry copies.
    pub fn pointee(&self, id: u32) -> Option<&str> {
        let t = self.ty(self.resolve(id)).ok()?;
        if t.kind() != Kind::Ptr {
            return None;
        }
        let to = self.ty(self.resolve(t.target()?)).ok()?;
        matches!(to.kind(), Kind::Struct | Kind::Union | Kind::Fwd).then(|| to.name())
    }

    /// A member by name, also inside anonymous structs and unions.
    pub fn member(&self, id: u32, name: &str) -> Option<Located> {
        self.member_within(self.resolve(id), name, 0, DEPTH)
    }

    fn member_within(&self, id: u32, name: &str, base: u32, depth: usize) -> Option<Located> {
        let depth = depth.checked_sub(1)?;
        let t = self.ty(id).ok()?;
        let found = |m: &Member<'_>| Located {
            bit_offset: base.saturating_add(m.bit_offset),
            bits: m.bits,
            ty: m.ty,
        };
        if let Some(m) = t.members().find(|m| m.name == name) {
            return Some(found(&m));
        }
        t.members().filter(|m| m.name.is_empty()).find_map(|m| {
            self.member_within(self.resolve(m.ty), name, base.saturating_add(m.bit_offset), depth)
        })
    }

    /// Follows `a.b.c` through members by value. A pointer on the way ends it: `None`.
    pub fn path(&self, id: u32, path: &str) -> Option<Located> {
        let mut at = Located { bit_offset: 0, bits: 0, ty: id };
        for name in path.split('.') {
            let next = self.member(at.ty, name)?;
            at = Located { bit_offset: at.bit_offset.saturating_add(next.bit_offset), ..next };
        }
        Some(at)
    }

    /// The prototype of a function: `FUNC` to `FUNC_PROTO`.
    pub fn prototype(&self, func: u32) -> Option<u32> {
        let t = self.ty(func).ok()?;
        (t.kind() == Kind::Func).then(|| t.target()).flatten()
    }
}
