//! One object, resolved against the running kernel and cut into functions that can be placed
//! anywhere. aya-obj does the hard part; here it is kept from what it does not survive, and maps
//! become indices that the loader replaces by descriptors.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    os::fd::RawFd,
    panic::{AssertUnwindSafe, catch_unwind},
};

use aya_obj::{
    Object,
    btf::{Btf as ObjBtf, BtfFeatures},
};
use object::Endianness;
use tracer_bpf::{
    Btf, Insn, Pruned,
    btf::{Builder, Kind},
    insn::{PSEUDO_FUNC, PSEUDO_MAP_FD, PSEUDO_MAP_VALUE},
    prune,
};

use crate::{
    error::FragmentError,
    fragment::{Build, Fragment},
    helpers,
};

/// What the running kernel is: types to resolve against, and which kinds of BTF it can load.
pub struct Target {
    types: ObjBtf,
    features: &'static BtfFeatures,
}

impl Target {
    /// `types` is a standalone BTF, such as [`tracer_bpf::btf::Slice`] makes, with at least the
    /// types that [`kernel_types`] lists.
    pub fn new(types: &[u8], features: &'static BtfFeatures) -> Result<Self, FragmentError> {
        let types = ObjBtf::parse(types, Endianness::Little)
            .map_err(|e| FragmentError::Relocation(format!("kernel types: {e}")))?;
        Ok(Self { types, features })
    }
}

/// Kernel types that a fragment may ask about: all structs, unions and enums in its objects. The
/// caller looks them up in the kernel's BTF; those that are not there are the fragment's own.
pub fn kernel_types(fragment: &Fragment) -> Vec<(Kind, String)> {
    let mut names = HashSet::new();
    for build in [Build::Probe, Build::Direct] {
        let Some(btf) = fragment.object(build).and_then(object_btf) else { continue };
        for ty in btf.own_ids().filter_map(|id| btf.ty(id).ok()) {
            let kind = ty.kind();
            if matches!(kind, Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64) && !ty.name().is_empty()
            {
                // A flavour `T___v2` describes another version of `T`.
                let name = ty.name().split("___").next().unwrap_or_default();
                names.insert((kind, name.to_owned()));
            }
        }
    }
    names.into_iter().collect()
}

fn object_btf(data: &[u8]) -> Option<Btf> {
    Btf::parse(btf_section(data)?).ok()
}

/// The BTF in an ELF file: a fragment's, or a kernel module's.
pub fn btf_section(elf: &[u8]) -> Option<Vec<u8>> {
    use object::{Object as _, ObjectSection as _};
    let elf = object::File::parse(elf).ok()?;
    Some(elf.section_by_name(".BTF")?.data().ok()?.to_vec())
}

/// A map that a fragment declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapSpec {
    /// Name; carries the collector's, so that fragments do not meet.
    pub name: String,
    /// `BPF_MAP_TYPE_*`.
    pub kind: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Entries.
    pub max_entries: u32,
    /// `BPF_F_*`.
    pub flags: u32,
}

/// A function with all that it calls: position-independent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Func {
    /// Instructions. A load of a map has an index into [`Linked::maps`] as its immediate.
    pub insns: Vec<Insn>,
    /// Offset and BTF type of each contained function.
    pub func_info: Vec<[u32; 2]>,
    /// Offset, file name, line text, and line and column of source lines.
    pub line_info: Vec<[u32; 4]>,
}

/// A fragment that is ready to be composed into programs of this kernel.
#[derive(Debug)]
pub struct Linked {
    /// The collector.
    pub collector: String,
    /// The build that was linked.
    pub build: Build,
    /// Readers and accessors by the name of their C function.
    pub funcs: BTreeMap<String, Func>,
    /// The fragment's BTF as this kernel takes it.
    pub btf: Btf,
    /// The fragment's maps.
    pub maps: Vec<MapSpec>,
}

impl Linked {
    /// Links one build of a fragment. One of which nothing runs in the kernel has no functions then.
    ///
    /// # Errors
    /// The object does not fit this kernel's types, or is malformed.
    pub fn new(fragment: &Fragment, build: Build, target: &Target) -> Result<Self, FragmentError> {
        // aya-obj has paths that panic on objects that it does not expect; what is known of them
        // was refused when the fragment was parsed, and the rest must not end the run.
        catch_unwind(AssertUnwindSafe(|| link(fragment, build, target)))
            .unwrap_or_else(|_| Err(FragmentError::Relocation("the object is malformed".to_owned())))
    }
}

fn link(fragment: &Fragment, build: Build, target: &Target) -> Result<Linked, FragmentError> {
    let elf = |e: &dyn std::fmt::Display| FragmentError::Elf(e.to_string());
    let relocation = |e: &dyn std::error::Error| {
        let source = e.source().map(|s| format!(": {s}")).unwrap_or_default();
        FragmentError::Relocation(format!("{e}{source}"))
    };
    let Some(object) = fragment.object(build) else {
        let (collector, btf) = (fragment.manifest.name.clone(), Btf::parse(Builder::default().bytes())?);
        return Ok(Linked { collector, build, funcs: BTreeMap::new(), btf, maps: Vec::new() });
    };
    let mut obj = Object::parse(object).map_err(|e| elf(&e))?;
    let btf = obj
        .fixup_and_sanitize_btf(target.features)
        .map_err(|e| elf(&e))?
        .ok_or(FragmentError::NoBtf)?
        .to_bytes();
    obj.relocate_btf(&target.types).map_err(|e| relocation(&e))?;

    let collector = &fragment.manifest.name;
    let declared: BTreeMap<_, _> = std::mem::take(&mut obj.maps).into_iter().collect();
    let mut maps = Vec::new();
    for (name, map) in &declared {
        if !name.strip_prefix(collector.as_str()).is_some_and(|n| n.starts_with('_')) {
            return Err(FragmentError::MapName { map: name.clone(), collector: collector.clone() });
        }
        maps.push(MapSpec {
            name: name.clone(),
            kind: map.map_type(),
            key_size: map.key_size(),
            value_size: map.value_size(),
            max_entries: map.max_entries(),
            flags: map.map_flags(),
        });
    }
    let text: HashSet<usize> = obj.functions.keys().map(|(section, _)| *section).collect();
    let indices = declared.iter().enumerate();
    let indices =
        indices.map(|(i, (name, map))| (name.as_str(), RawFd::try_from(i).unwrap_or(RawFd::MAX), map));
    obj.relocate_maps(indices, &text).map_err(|e| relocation(&e))?;
    obj.relocate_calls(&text).map_err(|e| relocation(&e))?;

    let programs: HashMap<_, _> = obj.programs.iter().map(|(name, p)| (name, p.function_key())).collect();
    let funcs = programs.into_iter().filter_map(|(name, key)| {
        let f = obj.functions.get(&key)?;
        let func_info = f.func_info.func_info.iter().map(|i| [i.insn_off, i.type_id]).collect();
        let line_info = f.line_info.line_info.iter();
        let line_info = line_info.map(|l| [l.insn_off, l.file_name_off, l.line_off, l.line_col]).collect();
        let func = Func { insns: f.instructions.iter().map(insn).collect(), func_info, line_info };
        Some((name.clone(), func.without_dead_code()))
    });
    let funcs: BTreeMap<String, Func> = funcs.collect();
    // Relocation writes into instructions: what is judged is what will run.
    for (function, func) in &funcs {
        if let Some(helper) = helpers::forbidden_in(&func.insns) {
            return Err(FragmentError::Helper { function: function.clone(), helper });
        }
        if func.refers_elsewhere(maps.len()) {
            let reason = format!("{function} refers to a map or variable that is not its own");
            return Err(FragmentError::Relocation(reason));
        }
    }
    Ok(Linked { collector: collector.clone(), build, funcs, btf: Btf::parse(btf)?, maps })
}

fn insn(i: &aya_obj::generated::bpf_insn) -> Insn {
    Insn { code: i.code, dst: i.dst_reg(), src: i.src_reg(), off: i.off, imm: i.imm }
}

impl Func {
    /// What this kernel will never run does not go to its verifier, which might not know it.
    fn without_dead_code(self) -> Self {
        let Pruned { insns, moved } = prune(&self.insns);
        let place = |at: u32| u32::try_from(moved.get(at as usize).copied()??).ok();
        let func_info = self.func_info.iter().filter_map(|[at, ty]| Some([place(*at)?, *ty])).collect();
        let line_info = self.line_info.iter();
        let line_info =
            line_info.filter_map(|[at, file, text, line]| Some([place(*at)?, *file, *text, *line]));
        Self { insns, func_info, line_info: line_info.collect() }
    }

    /// Whether some load is of something that relocation did not put there: a map beyond the fragment's own, or what
    /// the kernel knows by a number. After linking it would be taken for one of the driver's maps.
    fn refers_elsewhere(&self, maps: usize) -> bool {
        self.insns.iter().filter(|insn| insn.is_ld_imm64()).any(|insn| match insn.src {
            0 | PSEUDO_FUNC => false,
            PSEUDO_MAP_FD | PSEUDO_MAP_VALUE => {
                usize::try_from(insn.imm).is_ok_and(|index| index >= maps) || insn.imm < 0
            }
            _ => true,
        })
    }

    /// Indices of the instructions that load a map, or its value.
    pub(crate) fn map_loads(&self) -> impl Iterator<Item = usize> {
        let loads = self.insns.iter().enumerate();
        loads
            .filter(|(_, i)| i.is_ld_imm64() && matches!(i.src, PSEUDO_MAP_FD | PSEUDO_MAP_VALUE))
            .map(|(at, _)| at)
    }
}
