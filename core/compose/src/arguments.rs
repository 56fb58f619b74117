//! Which arguments a probe offers, by type.
//!
//! A reader asks for a `struct sk_buff *`; the traced function has one as its third parameter, or
//! none, but a `struct nft_pktinfo *` whose member `skb` is one. Both are found here, once per
//! probe, from BTF: position and offset end up as constants in the composed program.

use std::{collections::BTreeMap, fmt};

use tracer_bpf::{Btf, btf::Kind};

/// The type of an argument.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ArgType {
    /// `struct NAME *`; a pointer to a pointer is not one.
    Struct(String),
    /// `enum NAME`, by value.
    Enum(String),
}

impl ArgType {
    /// Reads a parameter's or member's type; `None` for types that cannot be asked for.
    pub fn of(btf: &Btf, id: u32) -> Option<Self> {
        let ty = btf.ty(btf.resolve(id)).ok()?;
        match ty.kind() {
            Kind::Enum if !ty.name().is_empty() => Some(Self::Enum(ty.name().to_owned())),
            Kind::Ptr => btf.pointee(id).filter(|n| !n.is_empty()).map(|n| Self::Struct(n.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for ArgType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Struct(name) => write!(f, "struct {name} *"),
            Self::Enum(name) => write!(f, "enum {name}"),
        }
    }
}

/// How an argument is had at a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The traced function's parameter with this index.
    Parameter(u8),
    /// Read through another of the probe's arguments.
    Derived {
        /// Index in [`Arguments`] of the argument that is read.
        from: usize,
        /// Byte offset of the member in the struct that `from` points at.
        offset: u32,
    },
}

/// An argument with its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its type.
    pub ty: ArgType,
    /// Where it comes from.
    pub origin: Origin,
}

/// What a probe offers. An argument's origin refers only to arguments before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arguments(Vec<Argument>);

impl Arguments {
    /// Looks a function's prototype up. `skip` parameters at the front are not arguments (raw
    /// tracepoints have a private pointer there). Of several of one type the first counts.
    /// `derive` holds the manifests' derivations, in the order in which they are tried.
    pub fn of_function(btf: &Btf, prototype: u32, skip: usize, derive: &[String]) -> Self {
        let mut found = Self::default();
        let params = btf.ty(prototype).into_iter().flat_map(|t| t.params().collect::<Vec<_>>());
        for (i, param) in params.skip(skip).enumerate() {
            // A struct by value takes two places or none: what is behind it is not where it seems to be.
            if is_wide(btf, param.ty) {
                break;
            }
            let index = u8::try_from(i).unwrap_or(u8::MAX);
            if let Some(ty) = ArgType::of(btf, param.ty) {
                found.offer(ty, Origin::Parameter(index));
            }
        }
        found.derive(btf, derive);
        found
    }

    /// A function's parameters by their names, as far as each takes one place; `skip` as for [`Arguments::of_function`].
    pub fn names(btf: &Btf, prototype: u32, skip: usize) -> BTreeMap<String, u8> {
        let params = btf.ty(prototype).into_iter().flat_map(|t| t.params().collect::<Vec<_>>());
        let in_order = params.skip(skip).take_while(|param| !is_wide(btf, param.ty));
        (0..=u8::MAX).zip(in_order).map(|(n, param)| (param.name.to_owned(), n)).collect()
    }

    /// Whether each parameter of a function takes one place.
    pub fn are_in_order(btf: &Btf, prototype: u32) -> bool {
        btf.ty(prototype).is_ok_and(|ty| ty.params().all(|param| !is_wide(btf, param.ty)))
    }

    fn offer(&mut self, ty: ArgType, origin: Origin) -> bool {
        let new = self.index(&ty).is_none();
        if new {
            self.0.push(Argument { ty, origin });
        }
        new
    }

    fn derive(&mut self, btf: &Btf, rules: &[String]) {
        // What one rule gives another may start from, so until nothing new is found.
        let mut more = true;
        while more {
            more = false;
            for (owner, member) in rules.iter().filter_map(|r| r.split_once('.')) {
                let Some(from) = self.index(&ArgType::Struct(owner.to_owned())) else { continue };
                let Some(id) = btf.find(Kind::Struct, owner) else { continue };
                let Some(at) = btf.path(id, member) else { continue };
                let (Some(ty), Some(offset)) = (ArgType::of(btf, at.ty), at.byte_offset()) else { continue };
                if matches!(ty, ArgType::Struct(_)) {
                    more |= self.offer(ty, Origin::Derived { from, offset });
                }
            }
        }
    }

    /// The index of an argument of this type.
    pub fn index(&self, ty: &ArgType) -> Option<usize> {
        self.0.iter().position(|a| a.ty == *ty)
    }

    /// All arguments, those that others are derived from first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Argument> {
        self.0.iter()
    }

    /// One argument.
    pub fn at(&self, index: usize) -> Option<&Argument> {
        self.0.get(index)
    }
}

/// Whether a value of the type takes more than a register.
fn is_wide(btf: &Btf, ty: u32) -> bool {
    let kind = btf.ty(btf.resolve(ty)).map(|ty| ty.kind());
    matches!(kind, Ok(Kind::Struct | Kind::Union)) && btf.size_of(ty).is_none_or(|size| size > 8)
}
