//! One BTF type: the twelve bytes of `struct btf_type` and what its kind adds.

use super::{Btf, BtfError};

/// Bytes of `struct btf_type`.
pub(super) const TYPE: usize = 12;

/// The kinds of `include/uapi/linux/btf.h`, with their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are those of the C header")]
pub enum Kind {
    Void = 0,
    Int = 1,
    Ptr = 2,
    Array = 3,
    Struct = 4,
    Union = 5,
    Enum = 6,
    Fwd = 7,
    Typedef = 8,
    Volatile = 9,
    Const = 10,
    Restrict = 11,
    Func = 12,
    FuncProto = 13,
    Var = 14,
    Datasec = 15,
    Float = 16,
    DeclTag = 17,
    TypeTag = 18,
    Enum64 = 19,
}

impl Kind {
    pub(super) fn from_number(kind: u8) -> Option<Self> {
        use Kind::*;
        const ALL: [Kind; 20] = [
            Void, Int, Ptr, Array, Struct, Union, Enum, Fwd, Typedef, Volatile, Const, Restrict, Func,
            FuncProto, Var, Datasec, Float, DeclTag, TypeTag, Enum64,
        ];
        ALL.get(usize::from(kind)).copied()
    }

    /// Whether the third word of the type is another type's id (it is a size otherwise).
    pub(super) fn refers(self) -> bool {
        use Kind::*;
        matches!(
            self,
            Ptr | Typedef | Volatile | Const | Restrict | Func | FuncProto | Var | DeclTag | TypeTag
        )
    }

    /// Whether the type only renames or qualifies another.
    pub(super) fn is_modifier(self) -> bool {
        matches!(self, Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag)
    }

    /// Bytes that follow the common twelve.
    pub(super) fn extra(self, vlen: usize) -> usize {
        use Kind::*;
        match self {
            Int | Var | DeclTag => 4,
            Array => 12,
            Struct | Union | Datasec | Enum64 => vlen * 12,
            Enum | FuncProto => vlen * 8,
            _ => 0,
        }
    }
}

/// A little-endian word; callers have checked that it is inside.
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    let b = bytes.get(at..at + 4).unwrap_or(&[0; 4]);
    u32::from_le_bytes([b[0], b[1], b[2], b[3]])
}

/// Whole length of the type that begins at `bytes`.
pub(super) fn len(bytes: &[u8], id: u32) -> Result<usize, BtfError> {
    if bytes.len() < TYPE {
        return Err(BtfError::Truncated { need: TYPE, have: bytes.len() });
    }
    let info = Info(word(bytes, 4));
    let kind = info.kind().ok_or(BtfError::UnknownKind { id, kind: info.kind_number() })?;
    Ok(TYPE + kind.extra(info.vlen()))
}

/// The `info` word: kind, number of members, and a flag.
#[derive(Clone, Copy)]
pub(super) struct Info(pub(super) u32);

impl Info {
    pub(super) fn kind_number(self) -> u8 {
        ((self.0 >> 24) & 0x1f) as u8
    }
    pub(super) fn kind(self) -> Option<Kind> {
        Kind::from_number(self.kind_number())
    }
    pub(super) fn vlen(self) -> usize {
        (self.0 & 0xffff) as usize
    }
    fn flag(self) -> bool {
        self.0 >> 31 == 1
    }
}

/// A type as seen from one BTF; ids that it mentions are that BTF's.
#[derive(Clone, Copy)]
pub struct Type<'a> {
    btf: &'a Btf,
    id: u32,
    bytes: &'a [u8],
}

/// A struct or union member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// Name; empty for an anonymous struct or union.
    pub name: &'a str,
    /// Type id.
    pub ty: u32,
    /// Offset from the start of the struct, in bits.
    pub bit_offset: u32,
    /// Width in bits for a bitfield, 0 for a plain member.
    pub bits: u32,
}

/// A parameter of a function prototype.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param<'a> {
    /// Name; may be empty.
    pub name: &'a str,
    /// Type id.
    pub ty: u32,
}

/// A value of an enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enumerator<'a> {
    /// Name.
    pub name: &'a str,
    /// Value; a 64-bit unsigned value beyond `i64::MAX` wraps.
    pub value: i64,
}

impl<'a> Type<'a> {
    pub(super) fn new(btf: &'a Btf, id: u32, bytes: &'a [u8]) -> Self {
        Self { btf, id, bytes }
    }

    pub(super) fn void(btf: &'a Btf) -> Self {
        Self { btf, id: 0, bytes: &[] }
    }

    /// A base's type, used from a split: ids and strings resolve the same way through either.
    pub(super) fn seen_from(self, btf: &'a Btf) -> Self {
        Self { btf, ..self }
    }

    /// The type's bytes, and what follows them.
    pub(super) fn raw(&self) -> &'a [u8] {
        self.bytes
    }

    fn info(&self) -> Info {
        Info(word(self.bytes, 4))
    }

    /// The type's id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The type's kind.
    pub fn kind(&self) -> Kind {
        // Parsing refused unknown kinds.
        self.info().kind().unwrap_or(Kind::Void)
    }

    /// The type's name; empty where it has none.
    pub fn name(&self) -> &'a str {
        self.btf.str(word(self.bytes, 0))
    }

    /// The type that a pointer, qualifier, typedef, function, variable or tag refers to.
    pub fn target(&self) -> Option<u32> {
        self.kind().refers().then(|| word(self.bytes, 8))
    }

    /// `sizeof` in bytes, for kinds that state one.
    pub fn size(&self) -> Option<u32> {
        use Kind::*;
        matches!(self.kind(), Int | Struct | Union | Enum | Datasec | Float | Enum64)
            .then(|| word(self.bytes, 8))
    }

    /// Whether an integer or enum is signed.
    pub fn is_signed(&self) -> bool {
        match self.kind() {
            Kind::Int => (word(self.bytes, TYPE) >> 24) & 1 == 1,
            Kind::Enum | Kind::Enum64 => self.info().flag(),
            _ => false,
        }
    }

    /// Whether an integer is a truth value.
    pub fn is_bool(&self) -> bool {
        // `BTF_INT_BOOL`
        self.kind() == Kind::Int && (word(self.bytes, TYPE) >> 26) & 1 == 1
    }

    /// Element type and number of elements of an array.
    pub fn array(&self) -> Option<(u32, u32)> {
        (self.kind() == Kind::Array).then(|| (word(self.bytes, TYPE), word(self.bytes, TYPE + 8)))
    }

    /// Members of a struct or union, in order.
    pub fn members(&self) -> impl Iterator<Item = Member<'a>> + use<'a> {
        let (this, flag) = (*self, self.info().flag());
        let n = if matches!(self.kind(), Kind::Struct | Kind::Union) { self.info().vlen() } else { 0 };
        (0..n).map(move |i| {
            let at = TYPE + i * 12;
            let offset = word(this.bytes, at + 8);
            let (bit_offset, bits) = if flag { (offset & 0xff_ffff, offset >> 24) } else { (offset, 0) };
            Member {
                name: this.btf.str(word(this.bytes, at)),
                ty: word(this.bytes, at + 4),
                bit_offset,
                bits,
            }
        })
    }

    /// Parameters of a function prototype, in order.
    pub fn params(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        let this = *self;
        let n = if self.kind() == Kind::FuncProto { self.info().vlen() } else { 0 };
        (0..n).map(move |i| {
            let at = TYPE + i * 8;
            Param { name: this.btf.str(word(this.bytes, at)), ty: word(this.bytes, at + 4) }
        })
    }

    /// Values of an enum, in order.
    pub fn enumerators(&self) -> impl Iterator<Item = Enumerator<'a>> + use<'a> {
        let (this, kind, signed) = (*self, self.kind(), self.is_signed());
        let n = if matches!(kind, Kind::Enum | Kind::Enum64) { self.info().vlen() } else { 0 };
        (0..n).map(move |i| {
            let (at, low, high);
            if kind == Kind::Enum {
                at = TYPE + i * 8;
                low = word(this.bytes, at + 4);
                high = if signed && low >> 31 == 1 { u32::MAX } else { 0 };
            } else {
                at = TYPE + i * 12;
                low = word(this.bytes, at + 4);
                high = word(this.bytes, at + 8);
            }
            let value = (u64::from(high) << 32 | u64::from(low)).cast_signed();
            Enumerator { name: this.btf.str(word(this.bytes, at)), value }
        })
    }

    /// Variables of a data section: type id (of a `VAR`), offset and size in bytes.
    pub fn variables(&self) -> impl Iterator<Item = (u32, u32, u32)> + use<'a> {
        let this = *self;
        let n = if self.kind() == Kind::Datasec { self.info().vlen() } else { 0 };
        (0..n).map(move |i| {
            let at = TYPE + i * 12;
            (word(this.bytes, at), word(this.bytes, at + 4), word(this.bytes, at + 8))
        })
    }

    /// The member or parameter that a declaration tag is on; `None` for a tag on the type itself.
    pub fn tag_component(&self) -> Option<usize> {
        let index = word(self.bytes, TYPE);
        (self.kind() == Kind::DeclTag && index != u32::MAX).then_some(index as usize)
    }
}

impl std::fmt::Debug for Type<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?} [{}]", self.kind(), self.name(), self.id)
    }
}
