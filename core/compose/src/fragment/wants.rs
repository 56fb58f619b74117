//! What a fragment's function wants to be given: the struct of arguments in its signature, member by member.

use tracer_bpf::{Btf, btf::Kind};

use crate::{
    arguments::{ArgType, Arguments},
    error::FragmentError,
    schema,
};

/// Tags of arguments.
const REQUIRED: &str = "required";
const RETURNED: &str = "returned";

/// A struct of arguments, member by member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wants {
    /// `sizeof` of the struct.
    pub size: u32,
    /// Its members.
    pub members: Vec<Want>,
}

/// One member of an argument struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// What it is filled with.
    pub from: From,
    /// Byte offset in the struct.
    pub offset: u32,
    /// Bytes: 8 for a pointer, the size of the enum or integer for others.
    pub size: u32,
    /// Whether the function makes no sense without it.
    pub required: bool,
}

/// What a member of an argument struct is filled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// An argument of the probe, by its type.
    Argument(ArgType),
    /// The value of one of the collector's options: a constant of the program.
    Option(String),
    /// The address of a kernel symbol, 0 where the kernel does not have or show it.
    Symbol(String),
    /// For hooks: the parameter of this name, 0 where the function has none.
    Parameter(String),
    /// For hooks at a return: what the function returned.
    Returned,
}

/// What a function takes: the members of the struct that its first parameter points at.
pub(super) fn wants(btf: &Btf, param: u32, function: &str) -> Result<Wants, FragmentError> {
    let refuse = |reason: String| FragmentError::Signature { function: function.to_owned(), reason };
    let Some(id) = pointed_struct(btf, param) else {
        return Err(refuse("its first parameter must be a pointer to a struct of arguments".to_owned()));
    };
    let (ty, tags) = (btf.ty(id)?, schema::Tags::of(btf, id));
    let members = ty.members().enumerate().map(|(i, m)| {
        let bad = || {
            let what = "is neither a pointer to a struct, nor an enum, nor tagged as an option or symbol";
            refuse(format!("argument `{}` {what}", m.name))
        };
        let mut from = None;
        for tag in tags.all(i) {
            from = match tag.split_once(':') {
                Some(("option", name)) => Some(From::Option(name.to_owned())),
                Some(("symbol", name)) => Some(From::Symbol(name.to_owned())),
                Some(("parameter", name)) => Some(From::Parameter(name.to_owned())),
                None if tag == RETURNED => Some(From::Returned),
                _ => from,
            };
        }
        let from = match from {
            Some(from) => from,
            None => From::Argument(ArgType::of(btf, m.ty).ok_or_else(bad)?),
        };
        let size = btf.size_of(m.ty).filter(|n| matches!(n, 1 | 2 | 4 | 8)).ok_or_else(bad)?;
        Ok(Want { from, offset: m.bit_offset / 8, size, required: tags.all(i).any(|tag| tag == REQUIRED) })
    });
    Ok(Wants { size: ty.size().unwrap_or(0), members: members.collect::<Result<_, FragmentError>>()? })
}

impl Wants {
    /// The same, of a function that may be called at any probe: arguments are known by their types there, and by nothing
    /// else.
    pub(super) fn of_probe(self, function: &str) -> Result<Self, FragmentError> {
        let hooks_only = |want: &Want| matches!(want.from, From::Parameter(_) | From::Returned);
        if self.members.iter().any(hooks_only) {
            let reason =
                "only a hook takes parameters by their names, and what a function returned".to_owned();
            return Err(FragmentError::Signature { function: function.to_owned(), reason });
        }
        Ok(self)
    }

    /// Whether a function that wants this makes sense at a probe: all required arguments are
    /// there, and at least one of all.
    pub fn met_by(&self, arguments: &Arguments) -> bool {
        let has = |want: &Want| want.argument().is_some_and(|ty| arguments.index(ty).is_some());
        self.members.iter().filter(|w| w.required).all(has) && self.members.iter().any(has)
    }
}

impl Want {
    /// The type of the argument that is wanted, if it is one.
    pub fn argument(&self) -> Option<&ArgType> {
        match &self.from {
            From::Argument(ty) => Some(ty),
            From::Option(_) | From::Symbol(_) | From::Parameter(_) | From::Returned => None,
        }
    }
}

/// The struct that a parameter points at.
pub(super) fn pointed_struct(btf: &Btf, id: u32) -> Option<u32> {
    let ptr = btf.ty(btf.resolve(id)).ok().filter(|t| t.kind() == Kind::Ptr)?;
    let to = btf.resolve(ptr.target()?);
    (btf.ty(to).ok()?.kind() == Kind::Struct).then_some(to)
}
