//! One program: its maps, its types, the call that loads it.

use std::os::fd::{AsFd, AsRawFd, RawFd};

use tracer_compose::{CALLS, Image, ImageMap, MapSpec as FragmentMap, Role};
use tracer_kernel::{
    Map, MapError, MapSpec, Program, ProgramKind, ProgramSpec, btf, map, prog, prog::TracingPoint,
};

use super::{Loaded, Loader, Part, explain::explain};
use crate::{error::Error, plan::PlannedProbe, request::Way, types::Place};

/// Why something is not attached.
pub(crate) enum Refusal {
    /// This way of attaching does not work; another may.
    Way(String),
    /// It works, but not at this place, or at one of these.
    Place(String),
    /// No way will.
    Fatal(Error),
}

/// Where a program is to run, as far as the verifier asks.
pub(crate) enum Point<'p> {
    /// At any place of a kind.
    Kind(ProgramKind<'p>),
    /// At this place, by its types.
    Tracing {
        /// Entry, return or tracepoint.
        at: TracingPoint,
        /// The place.
        place: &'p Place,
    },
    /// The same, for a hook.
    Hook {
        /// Entry, return or tracepoint.
        at: TracingPoint,
        /// The place.
        place: &'p Place,
    },
}

/// A map that is too large for one probe may be small enough for the next.
impl From<MapError> for Refusal {
    fn from(error: MapError) -> Self {
        Self::Way(error.to_string())
    }
}

impl Loader<'_> {
    /// Loads a program. `calls` is the map that entry and return share, made by the first of them.
    pub(super) fn load_program(
        &mut self,
        probe: &PlannedProbe<'_>,
        part: Part,
        image: &Image,
        calls: &mut Option<Map>,
    ) -> Result<Loaded, Refusal> {
        let slots = self.make_maps(image, calls)?;
        // Every program counts, so every image has slots.
        let slots = slots.ok_or_else(|| Refusal::Way("the program has no slots".to_owned()))?;
        let place = probe.place.as_ref();
        let point = match (part.way, part.role) {
            (Way::Kprobe | Way::Kretprobe, _) => Point::Kind(ProgramKind::Kprobe),
            (Way::KprobeMulti, _) => Point::Kind(ProgramKind::KprobeMulti),
            (Way::RawTracepoint, _) => Point::Kind(ProgramKind::RawTracepoint),
            (by_types, role) => {
                let at = match (by_types, role) {
                    (Way::TpBtf, _) => TracingPoint::TpBtf,
                    (Way::Fexit, Role::Return(_)) => TracingPoint::Fexit,
                    _ => TracingPoint::Fentry,
                };
                let place = place.ok_or_else(|| Refusal::Way("the place has no types".to_owned()))?;
                Point::Tracing { at, place }
            }
        };
        self.judge_alone(probe, part, &point)?;
        let program = self.load_image(&point, image, Some(&slots), calls.as_ref())?;
        let (slot_size, cpus) = (image.slot_size as usize, self.cpus as usize);
        Ok(Loaded { program, slots, slot_size, counters: image.counters, cpus })
    }

    /// Loads an image whose maps are there.
    pub(super) fn load_image(
        &self,
        point: &Point<'_>,
        image: &Image,
        slots: Option<&Map>,
        calls: Option<&Map>,
    ) -> Result<Program, Refusal> {
        load_image(point, image, &|index| match image.maps.get(index)? {
            ImageMap::Slots { .. } => slots.map(|slots| slots.fd().as_raw_fd()),
            ImageMap::Rings => Some(self.rings.fd().as_raw_fd()),
            ImageMap::Calls { .. } => calls.map(|calls| calls.fd().as_raw_fd()),
            ImageMap::Fragment(spec) => Some(self.maps.get(&spec.name)?.fd().as_raw_fd()),
        })
    }

    /// Makes the maps that an image refers to and that are not there yet; returns its own slots.
    pub(super) fn make_maps(
        &mut self,
        image: &Image,
        calls: &mut Option<Map>,
    ) -> Result<Option<Map>, Refusal> {
        let mut slots = None;
        for map in &image.maps {
            match map {
                ImageMap::Rings => {}
                ImageMap::Slots { size } => slots = Some(own("tracer_slots", map::ARRAY, 4, *size, 1)?),
                ImageMap::Calls { .. } if calls.is_some() => {}
                ImageMap::Calls { size } => *calls = Some(own("tracer_calls", map::HASH, 16, *size, CALLS)?),
                ImageMap::Fragment(spec) if self.maps.contains_key(&spec.name) => {}
                ImageMap::Fragment(spec) => {
                    let entries = self.plan.sizes.get(&spec.name).copied().unwrap_or(spec.max_entries);
                    let map = fragment_map(spec, entries)?;
                    self.maps.insert(spec.name.clone(), map);
                }
            }
        }
        Ok(slots)
    }
}

/// Loads an image with these maps, by their numbers in it.
pub(super) fn load_image(
    point: &Point<'_>,
    image: &Image,
    descriptor: &dyn Fn(usize) -> Option<RawFd>,
) -> Result<Program, Refusal> {
    let mut insns = image.insns.clone();
    for insn in insns.iter_mut().filter(|i| i.is_ld_imm64() && matches!(i.src, 1 | 2)) {
        // The composer lists every map that it refers to.
        insn.imm = usize::try_from(insn.imm).ok().and_then(descriptor).unwrap_or(-1);
    }
    let insns: Vec<[u8; 8]> = insns.into_iter().map(tracer_bpf::Insn::bytes).collect();
    let types = prog::btf_load(&image.btf).map_err(|e| Refusal::Way(e.to_string()))?;
    let module = match point {
        Point::Tracing { place, .. } | Point::Hook { place, .. } => place.module.as_ref(),
        Point::Kind(_) => None,
    };
    let object = match module {
        Some(module) => {
            let object = btf::module_object(module)
                .map_err(|e| Refusal::Way(format!("types of module {module}: {e}")))?;
            let gone = || Refusal::Way(format!("module {module} has no types in the kernel"));
            Some(object.ok_or_else(gone)?)
        }
        None => None,
    };
    let kind = match point {
        Point::Kind(kind) => *kind,
        Point::Tracing { at, place } | Point::Hook { at, place } => {
            ProgramKind::Tracing { at: *at, btf_id: place.id, btf_object: object.as_ref().map(AsFd::as_fd) }
        }
    };
    let program = Program::load(&ProgramSpec {
        // Whoever measures tells them apart by it.
        name: if matches!(point, Point::Hook { .. }) { "tracer_hook" } else { "tracer" },
        kind,
        insns: &insns,
        btf: Some(types.as_fd()),
        func_info: &image.func_info,
        line_info: &image.line_info,
        license: c"Dual MIT/GPL",
    });
    program.map_err(|e| match e.errno.raw_os_error() {
        // The verifier gives way to a signal.
        Some(code) if code == rustix::io::Errno::AGAIN.raw_os_error() => Refusal::Fatal(Error::Interrupted),
        _ => Refusal::Way(explain(&e, image)),
    })
}

fn own(name: &str, kind: u32, key_size: u32, value_size: u32, max_entries: u32) -> Result<Map, MapError> {
    Map::create(&MapSpec { name, kind, key_size, value_size, max_entries, flags: 0, inner: None })
}

fn fragment_map(spec: &FragmentMap, max_entries: u32) -> Result<Map, MapError> {
    Map::create(&MapSpec {
        name: &spec.name,
        kind: spec.kind,
        key_size: spec.key_size,
        value_size: spec.value_size,
        max_entries,
        flags: spec.flags,
        inner: None,
    })
}
