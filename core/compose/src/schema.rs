//! From a section struct's BTF to a schema: the fragment's own type information is the only
//! description of what it reports.

use tracer_bpf::{
    Btf,
    btf::{Kind as BtfKind, Type},
};
use tracer_event::{Field, Kind, Place, Schema, Show, Tail, Template, Text};

use crate::{
    error::FragmentError,
    kernel_enum::KernelEnumField,
    manifest::{PlaceName, SectionText},
};

/// Builds the schema of section `name` from struct `id`.
pub(crate) fn of_struct(
    btf: &Btf,
    id: u32,
    name: &str,
    text: Option<&SectionText>,
) -> Result<Schema, FragmentError> {
    let refuse = |field: &str, reason: String| FragmentError::Field {
        section: name.to_owned(),
        field: field.to_owned(),
        reason,
    };
    let ty = btf.ty(id)?;
    let size = ty.size().unwrap_or(0);
    let tags = Tags::of(btf, id);
    let members: Vec<_> = ty.members().collect();
    let mut fields = Vec::new();
    let mut tail = None;
    for (i, member) in members.iter().enumerate() {
        if member.bits != 0 || !member.bit_offset.is_multiple_of(8) {
            return Err(refuse(member.name, "bitfields have no place in a section".into()));
        }
        let of_kernel = tags.kernel_enums(i);
        let show = match tags.on(i) {
            None | Some(TEXT) => Show::Plain,
            Some(_) if of_kernel.is_some() => Show::Plain,
            Some(tag) => tag.parse().map_err(|_| refuse(member.name, format!("unknown tag `{tag}`")))?,
        };
        let offset = member.bit_offset / 8;
        let mut kind = kind_of(btf, member.ty).map_err(|reason| refuse(member.name, reason))?;
        if let Some(enums) = &of_kernel {
            kind = named_by_kernel(&kind, enums).map_err(|reason| refuse(member.name, reason))?;
        }
        match (show, &kind) {
            (Show::Packet, Kind::Bytes(max)) | (Show::Strings, Kind::Str(max)) => {
                if i + 1 != members.len() {
                    return Err(refuse(member.name, "it must be the last of its section".into()));
                }
                tail = Some((offset, Tail { max: *max }));
                kind = Kind::Tail;
            }
            (Show::Packet, _) => return Err(refuse(member.name, "packet data is an array of bytes".into())),
            (Show::Strings, _) => {
                return Err(refuse(member.name, "strings are an array of characters".into()));
            }
            _ if tags.on(i) == Some(TEXT) && kind == Kind::Uint(4) => kind = Kind::Text,
            _ if tags.on(i) == Some(TEXT) => return Err(refuse(member.name, "a text is a __u32".into())),
            _ => {}
        }
        fields.push(Field { name: member.name.to_owned(), offset, kind, show });
    }
    if tail.is_none() && fields.iter().any(|f| f.kind == Kind::Text) {
        return Err(refuse("", "a text needs an array of STRINGS at the end of its section".into()));
    }
    let (size, tail) = tail.map_or((size, None), |(offset, tail)| (offset, Some(tail)));
    with_text(name, size, tail, fields, text)
}

/// The schema of these fields, with the text and the key that the manifest gives the section.
pub(crate) fn with_text(
    name: &str,
    size: u32,
    tail: Option<Tail>,
    fields: Vec<Field>,
    text: Option<&SectionText>,
) -> Result<Schema, FragmentError> {
    let key = text.map_or(Vec::new(), |t| t.key.clone());
    let text = text.map(|t| place(name, t)).transpose()?;
    Schema::new(name, size, tail, fields, text)
        .and_then(|schema| schema.with_key(key))
        .map_err(|e| FragmentError::Schema { section: name.to_owned(), reason: e.to_string() })
}

/// The fields of struct `id` whose values enums of the kernel name.
pub(crate) fn kernel_enums(btf: &Btf, id: u32) -> Result<Vec<KernelEnumField>, FragmentError> {
    let tags = Tags::of(btf, id);
    let members = btf.ty(id)?.members().enumerate();
    let named = members.filter_map(|(i, member)| {
        let enums = tags.kernel_enums(i)?.into_iter().map(str::to_owned).collect();
        Some(KernelEnumField { field: member.name.to_owned(), enums })
    });
    Ok(named.collect())
}

/// The kind of a number whose names are not known before the kernel is.
fn named_by_kernel(kind: &Kind, enums: &[&str]) -> Result<Kind, String> {
    if enums.iter().any(|name| name.is_empty()) {
        return Err("KERNEL_ENUM takes the names of enums of the kernel, with commas between them".into());
    }
    match kind {
        Kind::Uint(width) => Ok(Kind::Enum { width: *width, signed: false, names: Vec::new() }),
        Kind::Int(width) => Ok(Kind::Enum { width: *width, signed: true, names: Vec::new() }),
        _ => Err("enums of the kernel name the values of an integer".into()),
    }
}

/// Where a section's text stands, and the text.
pub(crate) fn place(section: &str, text: &SectionText) -> Result<Text, FragmentError> {
    let template: Template = text.text.parse().map_err(|e: tracer_event::TemplateError| {
        FragmentError::Schema { section: section.to_owned(), reason: e.to_string() }
    })?;
    let place = match text.place {
        PlaceName::Head => Place::Head,
        PlaceName::Packet => Place::Packet(text.order),
        PlaceName::Line => Place::Line,
    };
    Ok(Text { template, place })
}

fn kind_of(btf: &Btf, id: u32) -> Result<Kind, String> {
    let ty = btf.ty(btf.resolve(id)).map_err(|e| e.to_string())?;
    let width = |t: &Type<'_>| u8::try_from(t.size().unwrap_or(0)).unwrap_or(0);
    match ty.kind() {
        BtfKind::Int if ty.is_signed() => Ok(Kind::Int(width(&ty))),
        BtfKind::Int => Ok(Kind::Uint(width(&ty))),
        BtfKind::Enum | BtfKind::Enum64 => {
            Ok(Kind::Enum { width: width(&ty), signed: ty.is_signed(), names: enum_names(&ty) })
        }
        BtfKind::Array => {
            let (element, n) = ty.array().unwrap_or_default();
            let element = btf.ty(btf.resolve(element)).map_err(|e| e.to_string())?;
            match (element.kind(), element.size(), element.name()) {
                // `char` is text, `unsigned char` is bytes: that is how C code writes them.
                (BtfKind::Int, Some(1), "char") => Ok(Kind::Str(n)),
                (BtfKind::Int, Some(1), _) => Ok(Kind::Bytes(n)),
                _ => Err("an array in a section holds characters or bytes".into()),
            }
        }
        kind => Err(format!("a {kind:?} has no place in a section")),
    }
}

/// An enum's names as users write them: `verdict_drop` of `enum verdict` is `drop`.
fn enum_names(ty: &Type<'_>) -> Vec<(i64, String)> {
    let prefix = format!("{}_", ty.name());
    let all = ty.enumerators().all(|e| e.name.starts_with(&prefix));
    let short = |n: &str| if all { n[prefix.len()..].to_owned() } else { n.to_owned() };
    ty.enumerators().map(|e| (e.value, short(e.name))).collect()
}

/// The tag of a number that refers to a string in the section's last array.
const TEXT: &str = "text";

/// Begins a tag that bounds an array by an option.
const MAX: &str = "max:";

/// Begins a tag that lists enums of the kernel.
const KERNEL_ENUM: &str = "enum:";

/// Declaration tags on the members of one struct.
pub(crate) struct Tags(Vec<(usize, String)>);

impl Tags {
    pub(crate) fn of(btf: &Btf, id: u32) -> Self {
        let tags = btf.own_ids().filter_map(|t| btf.ty(t).ok()).filter(|t| t.kind() == BtfKind::DeclTag);
        let ours = tags.filter(|t| t.target() == Some(id));
        Self(ours.filter_map(|t| Some((t.tag_component()?, t.name().to_owned()))).collect())
    }

    /// The tag that says what a member is; those with `max:` only bound it.
    pub(crate) fn on(&self, member: usize) -> Option<&str> {
        let tags = self.0.iter().filter(|(i, tag)| *i == member && !tag.starts_with(MAX));
        tags.map(|(_, tag)| tag.as_str()).next()
    }

    /// All tags of a member.
    pub(crate) fn all(&self, member: usize) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(i, _)| *i == member).map(|(_, tag)| tag.as_str())
    }

    /// The enums of the kernel that name a member's values.
    pub(crate) fn kernel_enums(&self, member: usize) -> Option<Vec<&str>> {
        Some(self.on(member)?.strip_prefix(KERNEL_ENUM)?.split(',').map(str::trim).collect())
    }

    /// The option that bounds the struct's last array.
    pub(crate) fn tail_max(&self) -> Option<String> {
        self.0.iter().find_map(|(_, tag)| Some(tag.strip_prefix(MAX)?.to_owned()))
    }
}
