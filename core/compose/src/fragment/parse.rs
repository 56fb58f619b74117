//! From a collector's files to a fragment: the object's functions are known by their names, and what each wants and gives by
//! its C signature, read from the object's BTF.

use std::sync::Arc;

use tracer_bpf::{Btf, btf::Kind};

use super::{
    Accessor, Follow, Fragment, Library, Objects, Reader,
    object::{check_object, map_names},
    wants::{pointed_struct, wants},
};
use crate::{error::FragmentError, hook::Hook, manifest::Manifest, schema};

/// Names by which readers and accessors are known among an object's functions.
const READER: &str = "reader__";
const ACCESSOR: &str = "accessor__";
const HOOK: &str = "hook__";
const FOLLOW: &str = "follow__";
const FOLLOWED: &str = "followed__";

impl Fragment {
    /// Parses a collector: the text of its `collector.toml`, its `NAME.bpf.o`, and, where there is
    /// one, the same compiled for direct loads.
    ///
    /// # Errors
    /// Why it cannot be used; also a manifest with `[native]`, for which there would have to be a library.
    pub fn parse(manifest: &str, probe: &[u8], direct: Option<&[u8]>) -> Result<Self, FragmentError> {
        Self::of(manifest, Some((probe, direct)), None)
    }

    /// Parses a collector with a native half. The objects, as [`Fragment::parse`] takes them, may be missing: it has no
    /// readers then, and nothing else that runs in the kernel.
    ///
    /// # Errors
    /// Why it cannot be used; also a manifest without `[native]`.
    pub fn parse_native(
        manifest: &str,
        object: Option<(&[u8], Option<&[u8]>)>,
        library: Library,
    ) -> Result<Self, FragmentError> {
        Self::of(manifest, object, Some(library))
    }

    fn of(
        manifest: &str,
        object: Option<(&[u8], Option<&[u8]>)>,
        library: Option<Library>,
    ) -> Result<Self, FragmentError> {
        let manifest = Manifest::parse(manifest)?;
        let library = match (&manifest.native, library) {
            (Some(_), None) => return Err(FragmentError::NoLibrary),
            (None, Some(_)) => return Err(FragmentError::NoNative),
            (_, library) => library,
        };
        let btf = object.map(|(probe, _)| check_object(probe)).transpose()?;
        if let Some(direct) = object.and_then(|(_, direct)| direct) {
            check_object(direct)?;
        }
        let mut fragment = Self {
            manifest,
            readers: Vec::new(),
            accessors: Vec::new(),
            hooks: Vec::new(),
            follow: None,
            maps: object.map_or_else(Vec::new, |(probe, _)| map_names(probe)),
            native: None,
            folder: None,
            objects: object
                .map(|(probe, direct)| Objects { probe: probe.to_vec(), direct: direct.map(<[u8]>::to_vec) }),
        };
        if let Some(btf) = &btf {
            fragment.take_functions(btf)?;
        }
        fragment.native = library.and_then(|library| fragment.native_half(library));
        fragment.check_names()?;
        fragment.check_maps(btf.as_ref())?;
        fragment.check_sizes()?;
        Ok(fragment)
    }

    /// Finds readers, accessors and hooks among the object's functions.
    fn take_functions(&mut self, btf: &Btf) -> Result<(), FragmentError> {
        let (mut note, mut asked) = (None, None);
        for id in btf.own_ids() {
            let ty = btf.ty(id)?;
            if ty.kind() != Kind::Func {
                continue;
            }
            if let Some(section) = ty.name().strip_prefix(READER) {
                let reader = self.reader(btf, id, section)?;
                self.readers.push(reader);
            } else if let Some(field) = ty.name().strip_prefix(ACCESSOR) {
                self.accessors.push(accessor(btf, id, field)?);
            } else if let Some(name) = ty.name().strip_prefix(HOOK) {
                self.hooks.push(hook(btf, id, name)?);
            } else if let Some(name) = ty.name().strip_prefix(FOLLOW) {
                note = Some(hook(btf, id, name)?.of_probe()?);
            } else if let Some(name) = ty.name().strip_prefix(FOLLOWED) {
                asked = Some(hook(btf, id, name)?.of_probe()?);
            }
        }
        self.follow = match (note, asked) {
            (Some(note), Some(asked)) => Some(Follow { note, asked }),
            (None, None) => None,
            (Some(one), None) | (None, Some(one)) => {
                let reason = "FOLLOW and FOLLOWED make sense together only".to_owned();
                return Err(FragmentError::Signature { function: one.function, reason });
            }
        };
        Ok(())
    }

    fn reader(&self, btf: &Btf, func: u32, section: &str) -> Result<Reader, FragmentError> {
        let function = btf.ty(func)?.name().to_owned();
        let [args, out] = params(btf, func)?;
        let wants = wants(btf, args, &function)?.of_probe(&function)?;
        let Some(out) = pointed_struct(btf, out) else {
            let reason = "its second parameter must be a pointer to the section's struct".to_owned();
            return Err(FragmentError::Signature { function, reason });
        };
        let schema = schema::of_struct(btf, out, section, self.manifest.sections.get(section))?;
        let tail_max = schema::Tags::of(btf, out).tail_max();
        let kernel_enums = schema::kernel_enums(btf, out)?;
        Ok(Reader { function, wants, schema: Arc::new(schema), tail_max, kernel_enums })
    }
}

fn accessor(btf: &Btf, func: u32, name: &str) -> Result<Accessor, FragmentError> {
    let function = btf.ty(func)?.name().to_owned();
    let Some((section, field)) = name.split_once("__") else {
        let reason = "an accessor is named after a section and one of its fields".to_owned();
        return Err(FragmentError::Signature { function, reason });
    };
    let [args, value] = params(btf, func)?;
    let wants = wants(btf, args, &function)?.of_probe(&function)?;
    let pointer = btf.ty(btf.resolve(value)).ok().filter(|ty| ty.kind() == Kind::Ptr);
    let Some(size) = pointer.and_then(|ty| btf.size_of(ty.target()?)) else {
        let reason = "its second parameter must be a pointer to the value".to_owned();
        return Err(FragmentError::Signature { function, reason });
    };
    Ok(Accessor { function, wants, section: section.to_owned(), field: field.to_owned(), size })
}

fn hook(btf: &Btf, func: u32, name: &str) -> Result<Hook, FragmentError> {
    let function = btf.ty(func)?.name().to_owned();
    let proto = btf.ty(btf.prototype(func).unwrap_or(0))?;
    let params: Vec<u32> = proto.params().map(|p| p.ty).collect();
    let &[args] = params.as_slice() else {
        let reason = "it takes one parameter: a struct of arguments".to_owned();
        return Err(FragmentError::Signature { function, reason });
    };
    let wants = wants(btf, args, &function)?;
    Ok(Hook { function, name: name.to_owned(), wants })
}

impl Hook {
    /// The same of a function that runs at probes.
    fn of_probe(self) -> Result<Self, FragmentError> {
        let wants = self.wants.of_probe(&self.function)?;
        Ok(Self { wants, ..self })
    }
}

/// The types of a function's two parameters.
fn params(btf: &Btf, func: u32) -> Result<[u32; 2], FragmentError> {
    let ty = btf.ty(func)?;
    let proto = btf.ty(btf.prototype(func).unwrap_or(0))?;
    let params: Vec<u32> = proto.params().map(|p| p.ty).collect();
    params.try_into().map_err(|_| FragmentError::Signature {
        function: ty.name().to_owned(),
        reason: "it takes two parameters: a struct of arguments, and where to write".to_owned(),
    })
}
