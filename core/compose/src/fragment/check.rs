//! Manifest and object against each other: what one names, the other has, and all of it fits.

use tracer_bpf::{Btf, btf::Kind};
use tracer_event::Kind as FieldKind;

use super::{ARGUMENTS_MAX, Fragment, From, SECTION_MAX};
use crate::error::FragmentError;

impl Fragment {
    /// Everything that the manifest names is there, and accessors belong to sections.
    pub(super) fn check_names(&self) -> Result<(), FragmentError> {
        let missing = |what, name: &str| Err(FragmentError::Missing { what, name: name.to_owned() });
        for section in self.manifest.sections.keys() {
            if self.schema(section).is_none() && self.native_section() != Some(section) {
                return match self.native_section() {
                    Some(native) if !self.manifest.sections.contains_key(native) => {
                        Err(FragmentError::OtherSection {
                            section: section.clone(),
                            native: native.to_owned(),
                        })
                    }
                    _ => missing("section", section),
                };
            }
        }
        self.check_native()?;
        for a in &self.accessors {
            let Some(field) = self.schema(&a.section).and_then(|schema| schema.field(&a.field)) else {
                return missing("field", &format!("{}.{}", a.section, a.field));
            };
            let size = match field.kind {
                FieldKind::Str(len) | FieldKind::Bytes(len) => len,
                FieldKind::Text => a.size,
                _ => 8,
            };
            if a.size != size {
                let reason = format!("its value takes {} bytes; one of this field takes {size}", a.size);
                return Err(FragmentError::Signature { function: a.function.clone(), reason });
            }
        }
        for field in self.manifest.options.iter().filter_map(|o| o.selects.as_ref()) {
            if self.accessor(&self.manifest.name, field).is_none() {
                return missing("accessor", &format!("{}.{field}", self.manifest.name));
            }
        }
        self.check_guard()?;
        let hooks = self.manifest.hooks.iter();
        if let Some(hook) = hooks.map(|hook| &hook.name).find(|name| self.hook(name).is_none()) {
            return missing("hook", hook);
        }
        let wants = self.readers.iter().map(|r| &r.wants).chain(self.accessors.iter().map(|a| &a.wants));
        let follow = self.follow.iter().flat_map(|follow| [&follow.note, &follow.asked]);
        let wants = wants.chain(self.hooks.iter().chain(follow).map(|hook| &hook.wants));
        let wanted = wants.flat_map(|w| &w.members).filter_map(|w| match &w.from {
            From::Option(name) => Some(name),
            _ => None,
        });
        for name in wanted.chain(self.readers.iter().filter_map(|r| r.tail_max.as_ref())) {
            if !self.manifest.numbers().any(|(n, _)| n == name) {
                return Err(FragmentError::NoOption(name.clone()));
            }
        }
        Ok(())
    }

    /// The maps that the manifest names are there.
    pub(super) fn check_maps(&self, btf: Option<&Btf>) -> Result<(), FragmentError> {
        let sized = self.manifest.options.iter().filter_map(|option| option.sizes.as_ref());
        for map in sized.chain(self.manifest.losses.iter().map(|loss| &loss.map)) {
            if btf.is_none_or(|btf| btf.find_own(Kind::Var, map).next().is_none()) {
                return Err(FragmentError::Missing { what: "map", name: map.clone() });
            }
        }
        Ok(())
    }

    /// Maps carry the collector's name, and nothing takes more room than there is.
    pub(super) fn check_sizes(&self) -> Result<(), FragmentError> {
        let collector = &self.manifest.name;
        let foreign =
            |map: &&String| !map.strip_prefix(collector.as_str()).is_some_and(|rest| rest.starts_with('_'));
        if let Some(map) = self.maps.iter().find(foreign) {
            return Err(FragmentError::MapName { map: map.clone(), collector: collector.clone() });
        }
        let sections = self.readers.iter().map(|reader| {
            let what = format!("section {}", reader.schema.section());
            (what, reader.schema.size(), SECTION_MAX)
        });
        let follow = self.follow.iter().flat_map(|follow| [&follow.note, &follow.asked]);
        let wants = self.readers.iter().map(|r| (&r.function, &r.wants));
        let wants = wants.chain(self.accessors.iter().map(|a| (&a.function, &a.wants)));
        let wants = wants.chain(self.hooks.iter().chain(follow).map(|hook| (&hook.function, &hook.wants)));
        let arguments = wants.map(|(function, wants)| {
            (format!("{function}: its struct of arguments"), wants.size, ARGUMENTS_MAX)
        });
        match sections.chain(arguments).find(|(_, size, most)| size > most) {
            Some((what, size, most)) => Err(FragmentError::TooLarge { what, size, most }),
            None => Ok(()),
        }
    }

    /// The guard's accessor and values are there, and the accessor does without what is withheld.
    fn check_guard(&self) -> Result<(), FragmentError> {
        let Some(guard) = &self.manifest.guard else { return Ok(()) };
        let name = format!("{}.{}", self.manifest.name, guard.field);
        let Some((accessor, withheld, values)) = self.guard() else {
            return Err(FragmentError::Missing { what: "accessor", name });
        };
        if values.len() != guard.when.len() {
            return Err(FragmentError::Missing { what: "a value among `when` of", name });
        }
        if accessor.wants.members.iter().any(|w| w.argument().is_some_and(|ty| Some(ty) == withheld.as_ref()))
        {
            return Err(FragmentError::Signature {
                function: accessor.function.clone(),
                reason: "it takes an argument that it decides about".to_owned(),
            });
        }
        Ok(())
    }
}
