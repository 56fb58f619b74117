//! From the names of a path to offsets, by BTF. What leads nowhere is said at its step, with the nearest name that would.

use std::collections::BTreeSet;

use tracer_bpf::{
    Btf,
    btf::{Kind, Member},
};
use tracer_dsl::diagnostic::{Diagnostic, suggest};
use tracer_dsl::filter::tree::{Path, Step};
use tracer_dsl::filter::{Class, Filter};

use super::kernel::{Hop, KernelPath, Value};
use super::number::Number;
use crate::arguments::{ArgType, Arguments};
use crate::kernel_enum;

/// How deep members by value are looked through for a name that was meant.
const DEPTH: usize = 3;
/// As many names are listed; of more, only the nearest.
const LISTED: usize = 24;

pub(super) fn resolve(
    types: &[&Btf],
    arguments: &Arguments,
    filter: &Filter,
    path: &Path,
) -> Result<Option<KernelPath>, Box<Diagnostic>> {
    let Some((root, steps)) = path.steps.split_first() else { return Ok(None) };
    let Some(aggregate) = aggregate(types, &root.name) else { return Ok(None) };
    let mut walk = Walk { types, filter, hops: Vec::new(), offset: 0, at: At::Value(aggregate) };
    if root.index.is_some() || root.cast.is_some() {
        let found = walk.error(root, format!("`{}` takes no index and no cast", root.name));
        return Err(found.because("it is an argument of the probe, a pointer to this structure").into());
    }
    let mut last = root;
    for step in steps {
        walk.step(last, step)?;
        last = step;
    }
    let (value, through_pointer) = walk.end(last)?;
    let offset = walk.offset(last)?;
    let argument = arguments.index(&ArgType::Struct(root.name.clone()));
    Ok(argument.map(|argument| KernelPath { argument, hops: walk.hops, offset, value, through_pointer }))
}

/// What to say where no probe has the argument that a path begins with.
pub fn no_argument<'a>(
    filter: &Filter,
    path: &Path,
    probes: impl IntoIterator<Item = &'a Arguments>,
) -> Box<Diagnostic> {
    let offered: BTreeSet<&str> = probes
        .into_iter()
        .flat_map(Arguments::iter)
        .filter_map(|argument| match &argument.ty {
            ArgType::Struct(name) => Some(name.as_str()),
            ArgType::Enum(_) => None,
        })
        .collect();
    let Some(root) = path.steps.first() else {
        return Diagnostic::error("an empty path").into();
    };
    let found = Diagnostic::error(format!("no probe has a `struct {} *`", root.name));
    let mut found =
        found.at(filter.at(root.span.clone())).because("it is no section, and no argument of a probe");
    if let Some(near) = suggest(&root.name, offered.iter().copied()) {
        found = found.hint(format!("did you mean `{near}`?"));
    }
    if !offered.is_empty() {
        let offered: Vec<&str> = offered.into_iter().collect();
        found = found.hint(format!("arguments: {}", offered.join(", ")));
    }
    found.into()
}

/// A type with the BTF that knows it.
#[derive(Clone, Copy)]
struct Ty<'a> {
    btf: &'a Btf,
    /// As declared.
    id: u32,
}

impl<'a> Ty<'a> {
    fn kind(self) -> Kind {
        self.btf.ty(self.btf.resolve(self.id)).map_or(Kind::Void, |ty| ty.kind())
    }

    fn name(self) -> &'a str {
        self.btf.ty(self.btf.resolve(self.id)).map_or("", |ty| ty.name())
    }

    fn size(self) -> Option<u32> {
        self.btf.size_of(self.id)
    }

    fn is_aggregate(self) -> bool {
        matches!(self.kind(), Kind::Struct | Kind::Union)
    }

    /// What a pointer points at.
    fn pointee(self) -> Option<Ty<'a>> {
        let ty = self.btf.ty(self.btf.resolve(self.id)).ok()?;
        (ty.kind() == Kind::Ptr).then(|| ty.target()).flatten().map(|id| Ty { id, ..self })
    }

    fn array(self) -> Option<(Ty<'a>, u32)> {
        let ty = self.btf.ty(self.btf.resolve(self.id)).ok()?;
        ty.array().map(|(id, count)| (Ty { id, ..self }, count))
    }

    /// Whether a typedef on the way to the type says that it is in network order.
    fn is_big_endian(self) -> bool {
        let mut id = self.id;
        // As `Btf::resolve`: no more than a few, or a loop.
        for _ in 0..32 {
            let Ok(ty) = self.btf.ty(id) else { return false };
            if ty.kind() == Kind::Typedef && matches!(ty.name(), "__be16" | "__be32" | "__be64") {
                return true;
            }
            match ty.kind() {
                Kind::Typedef | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                    id = ty.target().unwrap_or(0);
                }
                _ => return false,
            }
        }
        false
    }

    /// A letter of a text: `char`, whatever its sign is on this machine.
    fn is_char(self) -> bool {
        self.kind() == Kind::Int && self.name() == "char"
    }

    /// One of plain bytes: `unsigned char`, `u8`.
    fn is_byte(self) -> bool {
        let bool = self.btf.ty(self.btf.resolve(self.id)).is_ok_and(|ty| ty.is_bool());
        self.kind() == Kind::Int && self.size() == Some(1) && !self.is_char() && !bool
    }

    /// For a message.
    fn text(self) -> String {
        match self.kind() {
            Kind::Void => "void".to_owned(),
            Kind::Ptr => {
                self.pointee().map_or_else(|| "a pointer".to_owned(), |to| format!("{} *", to.shallow()))
            }
            Kind::Array => self.array().map_or_else(
                || "an array".to_owned(),
                |(of, count)| format!("an array of {count} {}", of.shallow()),
            ),
            _ => self.shallow(),
        }
    }

    fn shallow(self) -> String {
        let word = match self.kind() {
            Kind::Struct => "struct ",
            Kind::Union => "union ",
            Kind::Fwd => "struct ",
            Kind::Enum | Kind::Enum64 => "enum ",
            Kind::Void => return "void".to_owned(),
            Kind::Ptr => return "pointers".to_owned(),
            Kind::Array => return "arrays".to_owned(),
            Kind::FuncProto => return "function".to_owned(),
            _ => "",
        };
        match self.name() {
            "" => format!("{word}without a name"),
            name => format!("{word}{name}"),
        }
    }
}

/// The structure or union of that name in the first BTF that has it.
fn aggregate<'a>(types: &[&'a Btf], name: &str) -> Option<Ty<'a>> {
    let found = |btf: &'a Btf| {
        let id = btf.find(Kind::Struct, name).or_else(|| btf.find(Kind::Union, name))?;
        Some(Ty { btf, id })
    };
    types.iter().find_map(|btf| found(btf))
}

/// What the last step led to.
#[derive(Clone, Copy)]
enum At<'a> {
    /// A value of this type; of a bitfield, see [`At::Bits`].
    Value(Ty<'a>),
    /// A bitfield: type, bits before it in its first byte, width.
    Bits(Ty<'a>, u8, u8),
    /// A pointer or number of which some bits count, and where it points if that was said.
    Masked(Ty<'a>, u64, Option<Ty<'a>>),
}

struct Walk<'a, 'f> {
    types: &'f [&'a Btf],
    filter: &'f Filter,
    hops: Vec<Hop>,
    /// Bytes from where the last pointer led.
    offset: u64,
    at: At<'a>,
}

impl<'a> Walk<'a, '_> {
    fn error(&self, step: &Step, message: String) -> Diagnostic {
        Diagnostic::error(message).at(self.filter.at(step.span.clone()))
    }

    fn offset(&self, step: &Step) -> Result<i32, Box<Diagnostic>> {
        i32::try_from(self.offset)
            .map_err(|_| self.error(step, format!("`{}` is too far away", step.name)).into())
    }

    /// Follows a pointer that is here.
    fn hop(&mut self, step: &Step, mask: u64) -> Result<(), Box<Diagnostic>> {
        let offset = self.offset(step)?;
        self.hops.push(Hop { offset, mask });
        self.offset = 0;
        Ok(())
    }

    fn step(&mut self, last: &Step, step: &Step) -> Result<(), Box<Diagnostic>> {
        let inside = self.enter(last)?;
        let Some(found) = inside.btf.member(inside.id, &step.name) else {
            return Err(self.no_member(inside, step));
        };
        self.offset += u64::from(found.bit_offset / 8);
        let ty = Ty { btf: inside.btf, id: found.ty };
        let below = (found.bit_offset % 8) as u8;
        self.at = match u8::try_from(found.bits) {
            Ok(0) if below == 0 => At::Value(ty),
            Ok(bits @ 1..=64) if below + bits <= 64 => At::Bits(ty, below, bits),
            _ => return Err(self.error(step, format!("`{}` lies across too many bytes", step.name)).into()),
        };
        if let Some(index) = step.index {
            self.index(step, index)?;
        }
        if let Some((mask, target)) = &step.cast {
            self.cast(step, *mask, target.as_deref())?;
        }
        Ok(())
    }

    /// The structure that the next step is a member of.
    fn enter(&mut self, last: &Step) -> Result<Ty<'a>, Box<Diagnostic>> {
        let name = &last.name;
        let (target, mask) = match self.at {
            At::Value(ty) if ty.is_aggregate() => return Ok(ty),
            At::Masked(ty, mask, target) => (target.or_else(|| ty.pointee()), mask),
            At::Value(ty) => (ty.pointee(), u64::MAX),
            At::Bits(..) => (None, u64::MAX),
        };
        let (At::Value(ty) | At::Bits(ty, ..) | At::Masked(ty, ..)) = self.at;
        let Some(target) = target else {
            let found =
                self.error(last, format!("`{name}` has no members")).because(format!("it is {}", ty.text()));
            return Err(match ty.kind() {
                Kind::Array => found.hint(format!("one element is `{name}[0]`")),
                Kind::Int if ty.size() == Some(8) => found.hint(format!(
                    "where it holds a pointer, `{name}:~0x7:STRUCT` says so and which bits count"
                )),
                _ => found,
            }
            .into());
        };
        // What one BTF only mentions, another may describe.
        let whole = match target.kind() {
            Kind::Struct | Kind::Union => Some(target),
            Kind::Fwd => aggregate(self.types, target.name()),
            _ => None,
        };
        let Some(whole) = whole else {
            let found = self.error(last, format!("`{name}` leads to no structure"));
            let found = found.because(format!("it points at {}", target.shallow()));
            return Err(match target.kind() {
                Kind::Ptr => found.hint(format!("one element is `{name}[0]`")),
                Kind::Void => found.hint(format!("`{name}:~0:STRUCT` says what it points at")),
                _ => found.hint("the kernel's BTF does not describe it; a module's may"),
            }
            .into());
        };
        self.hop(last, mask)?;
        Ok(whole)
    }

    fn index(&mut self, step: &Step, index: u64) -> Result<(), Box<Diagnostic>> {
        let name = &step.name;
        let none = |found: Diagnostic, ty: Ty<'_>| found.because(format!("it is {}", ty.text()));
        let At::Value(ty) = self.at else {
            return Err(self
                .error(step, format!("`{name}` takes no index"))
                .because("it is a bitfield")
                .into());
        };
        let element = match ty.kind() {
            Kind::Array => {
                let Some((element, count)) = ty.array() else { return Ok(()) };
                // An array of 0 goes on as far as its memory does.
                if count > 0 && index >= count.into() {
                    let found = self.error(step, format!("`{name}` has no element {index}"));
                    return Err(found.because(format!("it has {count}, from 0 to {}", count - 1)).into());
                }
                element
            }
            Kind::Ptr => {
                let Some(element) = ty.pointee() else { return Ok(()) };
                self.hop(step, u64::MAX)?;
                match element.kind() {
                    Kind::Fwd => aggregate(self.types, element.name()).unwrap_or(element),
                    _ => element,
                }
            }
            _ => return Err(none(self.error(step, format!("`{name}` takes no index")), ty).into()),
        };
        let Some(size) = element.size() else {
            return Err(none(self.error(step, format!("`{name}` takes no index")), ty).into());
        };
        self.offset = self.offset.saturating_add(index.saturating_mul(size.into()));
        self.at = At::Value(element);
        Ok(())
    }

    fn cast(&mut self, step: &Step, mask: u64, target: Option<&str>) -> Result<(), Box<Diagnostic>> {
        let name = &step.name;
        let (At::Value(ty) | At::Bits(ty, ..) | At::Masked(ty, ..)) = self.at;
        let is_number = matches!(ty.kind(), Kind::Int | Kind::Enum | Kind::Enum64 | Kind::Ptr);
        let is_wide = ty.size() == Some(8) && matches!(self.at, At::Value(_));
        if !is_number || !(is_wide || target.is_none()) || matches!(self.at, At::Bits(..)) {
            let found = self.error(step, format!("`{name}` is not a pointer"));
            return Err(found
                .because(format!("it is {}", ty.text()))
                .hint("numbers are masked by `& MASK`")
                .into());
        }
        let target = match target {
            None => None,
            Some(target) => match aggregate(self.types, target) {
                Some(found) => Some(found),
                None => {
                    let found = self.error(step, format!("there is no `struct {target}`"));
                    return Err(found.because("the kernel's BTF has none of this name").into());
                }
            },
        };
        self.at = At::Masked(ty, mask, target);
        Ok(())
    }

    /// What the path ends at, and whether that is behind a pointer which is a number too.
    fn end(&mut self, last: &Step) -> Result<(Value, bool), Box<Diagnostic>> {
        let name = &last.name;
        let (ty, mask) = match self.at {
            At::Value(ty) => (ty, None),
            At::Bits(ty, below, bits) => {
                let bytes = (below + bits).div_ceil(8);
                let (signed, class) = self.number_class(ty, Some(bits));
                let number = Number { bytes, signed, big_endian: false, field: Some((below, bits)) };
                return Ok((Value::Number { number, mask: None, class }, false));
            }
            At::Masked(ty, mask, _) => (ty, Some(mask)),
        };
        let number = |bytes: u32, signed, big_endian, class| {
            let bytes = u8::try_from(bytes).unwrap_or(u8::MAX);
            let number = Number { big_endian, ..Number::plain(bytes, signed) };
            (Value::Number { number, mask, class }, false)
        };
        let address = Class::Number(0, u64::MAX.into());
        match (ty.kind(), ty.size()) {
            (Kind::Int | Kind::Enum | Kind::Enum64, Some(size @ (1 | 2 | 4 | 8))) => {
                let (signed, class) = self.number_class(ty, None);
                let big_endian = size > 1 && ty.is_big_endian();
                let class = match (&class, mask) {
                    (Class::Number(..), Some(_)) => address,
                    (Class::Number(..), None) if big_endian && size == 4 => Class::Be32,
                    _ => class,
                };
                Ok(number(size, signed, big_endian, class))
            }
            (Kind::Ptr, _) if mask.is_none() => {
                let target = ty.pointee();
                let value = match target {
                    Some(to) if to.is_char() => Value::Text(None),
                    Some(to) if to.is_byte() => Value::Bytes(None, Class::Bytes(None)),
                    _ => return Ok(number(8, false, false, address)),
                };
                self.hop(last, u64::MAX)?;
                Ok((value, true))
            }
            (Kind::Ptr, _) => Ok(number(8, false, false, address)),
            (Kind::Array, _) => match ty.array() {
                Some((of, count)) if of.is_char() => {
                    // Of longer ones the beginning is read, as of what a pointer points at.
                    let known = (1..=super::text::TextTest::MOST).contains(&count);
                    Ok((Value::Text(known.then_some(count)), false))
                }
                Some((of, count)) if of.is_byte() => {
                    let count = (count > 0).then_some(count);
                    Ok((Value::Bytes(count, Class::Bytes(count)), false))
                }
                _ => {
                    let found = self.error(last, format!("`{name}` is not one value"));
                    let found = found.because(format!("it is {}", ty.text()));
                    Err(found.hint(format!("one element is `{name}[0]`")).into())
                }
            },
            (Kind::Struct, Some(4)) if ty.name() == "in_addr" => {
                Ok((Value::Bytes(Some(4), Class::Ipv4), false))
            }
            (Kind::Struct, Some(16)) if ty.name() == "in6_addr" => {
                Ok((Value::Bytes(Some(16), Class::Ipv6), false))
            }
            (Kind::Struct | Kind::Union, _) => {
                let found = self.error(last, format!("`{name}` is not one value"));
                let names = members(ty, 0);
                let names: Vec<&str> = names.iter().map(String::as_str).take(LISTED).collect();
                let found = found.because(format!("it is {}", ty.text()));
                Err(found.hint(format!("its members: {}", names.join(", "))).into())
            }
            _ => {
                let found = self.error(last, format!("`{name}` cannot be compared"));
                Err(found.because(format!("it is {}", ty.text())).into())
            }
        }
    }

    /// Whether a number is signed, and what it may be compared with.
    fn number_class(&self, ty: Ty<'a>, bits: Option<u8>) -> (bool, Class) {
        let Ok(resolved) = ty.btf.ty(ty.btf.resolve(ty.id)) else { return (false, Class::Opaque) };
        let signed = resolved.is_signed();
        let class = match resolved.kind() {
            Kind::Enum | Kind::Enum64 => {
                let long = resolved.enumerators().map(|e| (e.value, e.name.to_owned()));
                // The names that sections have for the same numbers, too.
                let short = kernel_enum::short_names(&resolved);
                let mut names: Vec<(i64, String)> = long.collect();
                for name in short {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                Class::Enum(names)
            }
            _ if resolved.is_bool() => Class::Enum(vec![(0, "false".to_owned()), (1, "true".to_owned())]),
            _ => {
                let bits = bits
                    .unwrap_or_else(|| u8::try_from(resolved.size().unwrap_or(8).min(8) * 8).unwrap_or(64));
                let number = Number { field: Some((0, bits)), ..Number::plain(8, signed) };
                let (least, most) = number.range();
                Class::Number(least, most)
            }
        };
        (signed, class)
    }

    fn no_member(&self, inside: Ty<'a>, step: &Step) -> Box<Diagnostic> {
        let name = &step.name;
        let found = self.error(step, format!("{} has no member `{name}`", inside.shallow()));
        let here = members(inside, 0);
        let deep = members(inside, DEPTH);
        // Of members of members, the name itself counts.
        let tail = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
        let exact = deep.iter().find(|path| tail(path) == *name).cloned();
        let near = exact
            .or_else(|| suggest(name, here.iter().map(String::as_str)).map(str::to_owned))
            .or_else(|| {
                let tails: Vec<String> = deep.iter().map(|path| tail(path)).collect();
                let near = suggest(name, tails.iter().map(String::as_str))?;
                deep.iter().find(|path| tail(path) == near).cloned()
            });
        let found = match near {
            Some(near) => found.hint(format!("did you mean `{near}`?")),
            None => found,
        };
        if here.len() <= LISTED { found.hint(format!("members: {}", here.join(", "))) } else { found }.into()
    }
}

/// Names of members, those of anonymous members among them, and `a.b` of members by value that deep.
fn members(of: Ty<'_>, depth: usize) -> Vec<String> {
    fn add(btf: &Btf, id: u32, prefix: &str, depth: usize, nested: usize, names: &mut Vec<String>) {
        let Ok(ty) = btf.ty(btf.resolve(id)) else { return };
        let anonymous = |member: &Member<'_>| member.name.is_empty();
        for member in ty.members() {
            let inner = Ty { btf, id: member.ty };
            if anonymous(&member) {
                // As deep as `Btf::member` goes.
                if nested < 32 {
                    add(btf, member.ty, prefix, depth, nested + 1, names);
                }
                continue;
            }
            let name = format!("{prefix}{}", member.name);
            if depth > 0 && inner.is_aggregate() {
                add(btf, member.ty, &format!("{name}."), depth - 1, nested, names);
            }
            names.push(name);
        }
    }
    let mut names = Vec::new();
    add(of.btf, of.id, "", depth, 0, &mut names);
    names
}
