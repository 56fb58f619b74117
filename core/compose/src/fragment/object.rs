//! A fragment's object as a file: what must hold of it before anything of it is believed.

use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use tracer_bpf::Btf;

use crate::{error::FragmentError, helpers};

/// What must hold of an object before it is given to the linker, which would answer some of it
/// with wrong code or a panic. Returns the object's BTF as the compiler wrote it.
pub(super) fn check_object(data: &[u8]) -> Result<Btf, FragmentError> {
    let elf = object::File::parse(data).map_err(|e| FragmentError::Elf(e.to_string()))?;
    if elf.architecture() != object::Architecture::Bpf || !elf.is_little_endian() {
        return Err(FragmentError::Elf("it was built for another machine than little-endian BPF".to_owned()));
    }
    let undefined = |s: &object::Symbol<'_, '_>| s.is_undefined() && s.name().is_ok_and(|n| !n.is_empty());
    if let Some(symbol) = elf.symbols().find(undefined) {
        return Err(FragmentError::Undefined(symbol.name().unwrap_or_default().to_owned()));
    }
    for section in elf.sections() {
        let name = section.name().unwrap_or_default();
        let global = [".data", ".rodata", ".bss"].iter().any(|g| name.starts_with(g));
        if global && section.size() != 0 {
            return Err(FragmentError::GlobalData(name.to_owned()));
        }
    }
    let licence = elf.section_by_name("license").and_then(|s| s.data().ok()).unwrap_or_default();
    let licence = String::from_utf8_lossy(licence).trim_end_matches('\0').to_owned();
    // include/linux/license.h, license_is_gpl_compatible().
    const GPL: [&str; 6] =
        ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];
    if !GPL.contains(&licence.as_str()) {
        return Err(FragmentError::Licence(licence));
    }
    let btf = elf.section_by_name(".BTF").and_then(|s| s.data().ok()).ok_or(FragmentError::NoBtf)?;
    abi(elf.section_by_name(ABI_SECTION).and_then(|s| s.data().ok()))?;
    for section in elf.sections().filter(|s| s.kind() == object::SectionKind::Text) {
        let name = section.name().unwrap_or_default();
        if let Some(helper) = section.data().ok().and_then(helpers::forbidden) {
            return Err(FragmentError::Helper { function: format!("the code in section {name}"), helper });
        }
    }
    Ok(Btf::parse(btf.to_vec())?)
}

/// Where an object says which version of the fragment ABI it was compiled with.
const ABI_SECTION: &str = "tracer_abi";

/// Judges what an object says of its version: the same major number, and no newer minor one.
fn abi(said: Option<&[u8]>) -> Result<(), FragmentError> {
    let said = said.ok_or(FragmentError::NoAbi)?;
    let said = String::from_utf8_lossy(said).trim_end_matches('\0').to_owned();
    let number = |text: &str| text.parse::<u32>().ok();
    let version = said.split_once('.').and_then(|(major, minor)| Some((number(major)?, number(minor)?)));
    let (major, minor) = ABI;
    match version {
        Some((of, to)) if of == major && to <= minor => Ok(()),
        _ => Err(FragmentError::Abi {
            found: said.escape_default().take(40).collect(),
            known: format!("{major}.{minor}"),
        }),
    }
}

/// The version of the fragment ABI: `TRACER_ABI_MAJOR` and `TRACER_ABI_MINOR` of `tracer/fragment.h`.
pub const ABI: (u32, u32) = (1, 0);

/// The names of an object's maps: what its section `.maps` defines.
pub(super) fn map_names(data: &[u8]) -> Vec<String> {
    let Ok(elf) = object::File::parse(data) else { return Vec::new() };
    let Some(maps) = elf.section_by_name(".maps").map(|section| section.index()) else { return Vec::new() };
    let symbols = elf.symbols().filter(|symbol| symbol.section_index() == Some(maps));
    let named = symbols.filter(|symbol| symbol.kind() == object::SymbolKind::Data);
    named.filter_map(|symbol| Some(symbol.name().ok()?.to_owned())).collect()
}
