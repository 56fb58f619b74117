//! What a library says of itself, read and judged before anything of it is called. The pointers must be taken on trust (this runs where
//! a crash does no harm); sizes, counts, texts and places are not.

use std::{ffi::c_void, mem::MaybeUninit, mem::offset_of};

use tracer_plugin_abi::c;

use crate::{FieldProblem, LoadError};

/// Longer structs, strides, names and so on come from no plugin that was meant to work.
const MOST_STRUCT: u32 = 4096;
const MOST_TEXT: u64 = 256;
const MOST_FIELDS: u64 = 256;
const MOST_NAMES: u64 = 4096;
const MOST_SECTION: u32 = 4096;
const MOST_TEXTS: u32 = 32768;

/// What a plugin says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its name, a C identifier.
    pub name: String,
    /// Its version.
    pub release: String,
    /// Its licence.
    pub licence: String,
    /// What `enrich` fills.
    pub section: Option<DeclaredSection>,
    /// Which functions it has.
    pub functions: Functions,
}

/// Which of the functions that a plugin need not have are there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the interface says what they are")]
pub struct Functions {
    pub enrich: bool,
    pub event: bool,
    pub loss: bool,
    pub tick: bool,
    pub flush: bool,
    pub stop: bool,
}

/// A section of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredSection {
    /// A C identifier.
    pub name: String,
    /// Bytes of the struct, 1 to 4096.
    pub size: u32,
    /// Bytes of all texts behind it, up to 32768.
    pub texts: u32,
    /// The fields.
    pub fields: Vec<DeclaredField>,
}

/// A field of a section. It lies inside the struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredField {
    /// A C identifier, in no other field.
    pub name: String,
    /// How it is shown, as the plugin says. Not judged here.
    pub show: String,
    /// One of the interface's `KIND_...`.
    pub kind: u32,
    /// Bytes from the begin of the struct.
    pub offset: u32,
    /// Its bytes: of a number 1, 2, 4 or 8, of a text 4.
    pub size: u32,
    /// Names of values, of numbers only.
    pub names: Vec<(i64, String)>,
}

/// Reads a descriptor.
///
/// # Safety
/// If it is not NULL and begins as a descriptor does, it is one: all pointers in it are NULL or valid for as much as is said beside them.
pub(crate) unsafe fn read(plugin: *const c::Plugin) -> Result<(Description, c::Functions), LoadError> {
    if plugin.is_null() {
        return Err(LoadError::NoDescriptor);
    }
    // SAFETY: the caller vouches for it; the magic comes first.
    let magic = unsafe { sized(plugin, 8) }.magic;
    if magic != c::MAGIC {
        return Err(LoadError::Magic(magic));
    }
    // What no version of the interface may move.
    // SAFETY: the caller vouches for it; the magic, the version and the size come first.
    let head = unsafe { sized(plugin, 16) };
    if head.major != c::MAJOR {
        return Err(LoadError::Major { major: head.major, minor: head.minor });
    }
    let first = offset_of!(c::Plugin, functions) + size_of::<*const c::Functions>();
    struct_size("tracer_plugin.struct_size", head.struct_size, first)?;
    // SAFETY: it says that it has so many bytes.
    let plugin = unsafe { sized(plugin, head.struct_size) };
    // SAFETY: the caller vouches for all pointers.
    unsafe {
        let name = identifier("tracer_plugin.name", plugin.name)?;
        let release = text("tracer_plugin.release", plugin.release)?;
        let licence = text("tracer_plugin.licence", plugin.licence)?;
        let functions = functions(plugin.functions)?;
        let section = if plugin.section.is_null() { None } else { Some(section(plugin.section)?) };
        match (&section, functions.enrich.is_some()) {
            (Some(section), false) => return Err(LoadError::SectionWithoutEnrich(section.name.clone())),
            (None, true) => return Err(LoadError::EnrichWithoutSection),
            (None, false) if functions.event.is_none() => return Err(LoadError::NothingToDo),
            _ => {}
        }
        let there = Functions {
            enrich: functions.enrich.is_some(),
            event: functions.event.is_some(),
            loss: functions.loss.is_some(),
            tick: functions.tick.is_some(),
            flush: functions.flush.is_some(),
            stop: functions.stop.is_some(),
        };
        Ok((Description { name, release, licence, section, functions: there }, functions))
    }
}

/// # Safety
/// As of [`read`].
unsafe fn functions(functions: *const c::Functions) -> Result<c::Functions, LoadError> {
    if functions.is_null() {
        return Err(LoadError::NoFunctions);
    }
    let first = offset_of!(c::Functions, stop) + size_of::<*const c_void>();
    // SAFETY: the caller vouches for it; the size comes first.
    let size = unsafe { sized(functions, 4) }.struct_size;
    struct_size("tracer_functions.struct_size", size, first)?;
    // SAFETY: it says that it has so many bytes.
    Ok(unsafe { sized(functions, size) })
}

/// # Safety
/// As of [`read`]; it is not NULL.
unsafe fn section(section: *const c::Section) -> Result<DeclaredSection, LoadError> {
    let first = offset_of!(c::Section, fields_len) + size_of::<u64>();
    // SAFETY: the caller vouches for it; the size comes first.
    let size = unsafe { sized(section, 4) }.struct_size;
    struct_size("tracer_section.struct_size", size, first)?;
    // SAFETY: it says that it has so many bytes.
    let section = unsafe { sized(section, size) };
    let stride = section.field_size;
    struct_size("tracer_section.field_size", stride, offset_of!(c::Field, names_len) + size_of::<u64>())?;
    let within = |what, is: u32, least: u32, most: u32| match is {
        is if (least..=most).contains(&is) => Ok(is),
        is => Err(LoadError::Size { what, is: is.into(), least: least.into(), most: most.into() }),
    };
    let size = within("tracer_section.size", section.size, 1, MOST_SECTION)?;
    let texts = within("tracer_section.texts", section.texts, 0, MOST_TEXTS)?;
    // SAFETY: the caller vouches for the text.
    let name = unsafe { identifier("tracer_section.name", section.name)? };
    let count =
        count("tracer_section.fields_len", section.fields.is_null(), section.fields_len, MOST_FIELDS)?;
    let mut declared = DeclaredSection { name, size, texts, fields: Vec::with_capacity(count) };
    for i in 0..count {
        // SAFETY: the section says that it has so many fields, each of so many bytes; the caller vouches for their pointers.
        let field = unsafe {
            let at = section.fields.cast::<u8>().add(i * stride as usize);
            field(sized(at.cast(), stride), i)?
        };
        if declared.fields.iter().any(|earlier| earlier.name == field.name) {
            return Err(LoadError::Twice { section: declared.name, field: field.name });
        }
        if let Some(problem) = problem(&field, &declared) {
            return Err(LoadError::Field { section: declared.name, field: field.name, problem });
        }
        declared.fields.push(field);
    }
    if texts > 0 && !declared.fields.iter().any(|field| field.kind == c::KIND_TEXT) {
        return Err(LoadError::TextsWithoutField { section: declared.name, texts });
    }
    Ok(declared)
}

/// # Safety
/// As of [`read`].
unsafe fn field(field: c::Field, index: usize) -> Result<DeclaredField, LoadError> {
    // SAFETY: the caller vouches for the texts.
    let (name, show) = unsafe {
        let name = identifier(&format!("the name of field {index}"), field.name)?;
        let show = text(&format!("show of field {name}"), field.show)?;
        (name, show)
    };
    let count =
        count(&format!("names_len of field {name}"), field.names.is_null(), field.names_len, MOST_NAMES)?;
    let mut names = Vec::with_capacity(count);
    for i in 0..count {
        // SAFETY: the field says that it has so many names; the caller vouches for their texts.
        let (value, text) = unsafe {
            let entry = field.names.add(i).read_unaligned();
            (entry.value, text(&format!("name {i} of field {name}"), entry.name)?)
        };
        names.push((value, text));
    }
    Ok(DeclaredField { name, show, kind: field.kind, offset: field.offset, size: field.size, names })
}

fn problem(field: &DeclaredField, section: &DeclaredSection) -> Option<FieldProblem> {
    let DeclaredField { kind, offset, size, .. } = *field;
    let number = matches!(kind, c::KIND_UINT | c::KIND_INT);
    match kind {
        c::KIND_UINT | c::KIND_INT if !matches!(size, 1 | 2 | 4 | 8) => {
            return Some(FieldProblem::Width(size));
        }
        c::KIND_TEXT if size != 4 => return Some(FieldProblem::TextWidth(size)),
        c::KIND_TEXT if section.texts == 0 => return Some(FieldProblem::NoTexts),
        c::KIND_STRING | c::KIND_BYTES if size == 0 => return Some(FieldProblem::NoBytes),
        c::KIND_UINT | c::KIND_INT | c::KIND_TEXT | c::KIND_STRING | c::KIND_BYTES => {}
        unknown => return Some(FieldProblem::Kind(unknown)),
    }
    if offset.checked_add(size).is_none_or(|end| end > section.size) {
        return Some(FieldProblem::Outside { offset, size, struct_size: section.size });
    }
    (!number && !field.names.is_empty()).then_some(FieldProblem::Names)
}

/// Reads `size` bytes of a struct, or as many as it has here; the others are zero.
///
/// # Safety
/// So many bytes are there. `T` is one of the interface's structs: integers and pointers, of which zero is a value.
unsafe fn sized<T: Copy>(pointer: *const T, size: u32) -> T {
    let mut read = MaybeUninit::<T>::zeroed();
    let size = (size as usize).min(size_of::<T>());
    // SAFETY: the caller vouches for the bytes to be read, and no more are written than there is room for. All-zero is a value.
    unsafe {
        std::ptr::copy_nonoverlapping(pointer.cast::<u8>(), read.as_mut_ptr().cast::<u8>(), size);
        read.assume_init()
    }
}

/// A struct is at least as large as the first version of the interface had it.
fn struct_size(what: &'static str, is: u32, first: usize) -> Result<(), LoadError> {
    if is as usize >= first && is <= MOST_STRUCT {
        return Ok(());
    }
    Err(LoadError::Size { what, is: is.into(), least: first as u64, most: MOST_STRUCT.into() })
}

fn count(what: &str, null: bool, is: u64, most: u64) -> Result<usize, LoadError> {
    if is > most {
        return Err(LoadError::Count { what: what.to_owned(), is, most });
    }
    if null && is > 0 {
        return Err(LoadError::NoArray(what.replacen("_len", "", 1)));
    }
    Ok(usize::try_from(is).unwrap_or(0))
}

/// # Safety
/// The text is NULL, or has as many bytes as it says.
unsafe fn text(what: &str, text: c::Text) -> Result<String, LoadError> {
    if text.len > MOST_TEXT {
        return Err(LoadError::LongText { what: what.to_owned(), len: text.len });
    }
    if text.len == 0 {
        return Ok(String::new());
    }
    if text.bytes.is_null() {
        return Err(LoadError::NoText(what.to_owned()));
    }
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { std::slice::from_raw_parts(text.bytes, usize::try_from(text.len).unwrap_or(0)) };
    String::from_utf8(bytes.to_vec())
        .map_err(|error| LoadError::TextEncoding { what: what.to_owned(), text: error.into_bytes() })
}

/// # Safety
/// As of [`text`].
unsafe fn identifier(what: &str, name: c::Text) -> Result<String, LoadError> {
    // SAFETY: the caller vouches for it.
    let name = unsafe { text(what, name)? };
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(name);
    }
    Err(LoadError::Name { what: what.to_owned(), name })
}
