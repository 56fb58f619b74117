//! The finished program: the driver, each fragment function placed behind it once, one BTF.

use std::collections::HashMap;

use tracer_bpf::{Insn, btf::Builder, btf::Moved, listing};
use tracer_event::Layout;

use crate::{
    alone::AloneShape,
    driver::{self, BEHIND, Callee, Driver, FILTER, Function, GUARD, Inlined},
    error::ComposeError,
    hook::HookShape,
    link::{Func, Linked, MapSpec},
    shape::{MapRef, Shape},
};

/// What a program refers to by descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageMap {
    /// See [`MapRef::Slots`].
    Slots {
        /// Bytes of the array's one value.
        size: u32,
    },
    /// See [`MapRef::Rings`].
    Rings,
    /// See [`MapRef::Calls`]: a hash of [`crate::CALLS`] entries with keys of 16 bytes.
    Calls {
        /// Bytes of a value.
        size: u32,
    },
    /// A fragment's map; programs with a map of the same name share it.
    Fragment(MapSpec),
}

/// A program that only has to be loaded: descriptors of maps are missing.
#[derive(Debug)]
pub struct Image {
    /// Instructions; a load of a map has an index into `maps` as its immediate.
    pub insns: Vec<Insn>,
    /// The maps.
    pub maps: Vec<ImageMap>,
    /// Standalone BTF with all functions.
    pub btf: Vec<u8>,
    /// `struct bpf_func_info`.
    pub func_info: Vec<[u32; 2]>,
    /// `struct bpf_line_info`.
    pub line_info: Vec<[u32; 4]>,
    /// Where sections lie in the program's records.
    pub layout: Layout,
    /// Bytes of one CPU's slot.
    pub slot_size: u32,
    /// With several probes, where in the array of slots their counters begin, and the bytes of one CPU's; see
    /// [`Shape::counters`].
    pub counters: Option<(u32, u32)>,
    /// Names behind instruction ranges, for messages.
    places: Vec<Placed>,
}

#[derive(Debug)]
struct Placed {
    start: usize,
    /// The collector, or `None` for generated code.
    collector: Option<String>,
    name: String,
}

/// Which part of a program an instruction belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blame {
    /// The collector whose code it is; `None` for generated code.
    pub collector: Option<String>,
    /// The C function, or the part of the generated code.
    pub function: String,
    /// File, line and text of the C line.
    pub line: Option<(String, u32, String)>,
}

/// Composes the program of a shape.
pub fn compose(shape: &Shape<'_>) -> Result<Image, ComposeError> {
    let layout = shape.layout().map_err(|e| ComposeError::Layout(e.to_string()))?;
    let driver = driver::generate(shape, &layout)?;
    let slot_size = shape.slot_size(&layout);
    let sizes = Sizes { slot: slot_size, slots: shape.slots_size(&layout), call: shape.call_size(&layout) };
    let counters = (shape.count > 1).then(|| (shape.counters(&layout), shape.counters_size()));
    let mut linker = Linker::new(&driver, layout, sizes);
    linker.image.counters = counters;
    for inlined in &driver.inlined {
        linker.tell_of(shape, inlined);
    }
    let generated: Vec<usize> =
        driver.functions.iter().map(|function| linker.place_generated(function)).collect();
    for call in &driver.calls {
        let start = match &call.callee {
            Callee::Generated(index) => generated[*index],
            Callee::Fragment { fragment, function } => {
                let linked = shape.fragments[*fragment];
                let func = linked.funcs.get(function);
                let func = func.ok_or_else(|| ComposeError::NotLinked(function.clone()))?;
                linker.place(linked, *fragment, function, func)
            }
        };
        linker.call(call.at, start);
    }
    Ok(linker.finish())
}

/// Composes the program that shows a function to the verifier alone; it is never attached.
pub fn compose_alone(shape: &AloneShape<'_>) -> Result<Image, ComposeError> {
    let layout = Layout::new(Vec::new()).map_err(|e| ComposeError::Layout(e.to_string()))?;
    let driver = driver::generate_alone(shape)?;
    let sizes = Sizes { slot: 0, slots: shape.memory.unwrap_or(0), call: 0 };
    let mut linker = Linker::new(&driver, layout, sizes);
    linker.call_fragment(&driver, shape.fragment)?;
    Ok(linker.finish())
}

/// Composes the program of a hook: it has no slots, and its records' layout is empty.
pub fn compose_hook(shape: &HookShape<'_>) -> Result<Image, ComposeError> {
    let layout = Layout::new(Vec::new()).map_err(|e| ComposeError::Layout(e.to_string()))?;
    let driver = driver::generate_hook(shape)?;
    let mut linker = Linker::new(&driver, layout, Sizes { slot: 0, slots: 0, call: 0 });
    linker.call_fragment(&driver, shape.fragment)?;
    Ok(linker.finish())
}

impl Linker {
    /// Leads all calls to functions of the one fragment that there is.
    fn call_fragment(&mut self, driver: &Driver, linked: &Linked) -> Result<(), ComposeError> {
        for call in &driver.calls {
            let Callee::Fragment { fragment, function } = &call.callee else { continue };
            let func = linked.funcs.get(function);
            let func = func.ok_or_else(|| ComposeError::NotLinked(function.clone()))?;
            let start = self.place(linked, *fragment, function, func);
            self.call(call.at, start);
        }
        Ok(())
    }

    /// Leads the call at `at` to the function at `start`.
    fn call(&mut self, at: usize, start: usize) {
        let distance = i64::try_from(start).unwrap_or(0) - i64::try_from(at).unwrap_or(0) - 1;
        self.image.insns[at].imm = i32::try_from(distance).unwrap_or(i32::MAX);
    }

    fn finish(self) -> Image {
        let Linker { btf, mut image, .. } = self;
        image.btf = btf.bytes();
        // The generated function's own lines were there first. Where two begin at one instruction, C says more.
        image.line_info.sort_by_key(|line| line[0]);
        image.line_info.dedup_by(|later, kept| {
            let same = later[0] == kept[0];
            if same {
                *kept = *later;
            }
            same
        });
        image.places.sort_by_key(|place| place.start);
        image
    }
}

/// Bytes of a slot, of all slots, and of an event that waits.
#[derive(Clone, Copy)]
struct Sizes {
    slot: u32,
    slots: u32,
    call: u32,
}

struct Linker {
    btf: Builder,
    /// Each fragment's BTF is appended once.
    moved: HashMap<usize, Moved>,
    placed: HashMap<(usize, String), usize>,
    image: Image,
}

impl Linker {
    fn new(driver: &Driver, layout: Layout, sizes: Sizes) -> Self {
        let mut btf = Builder::default();
        let int = btf.int("int", 4, true);
        let ctx = btf.ptr(0);
        let main = btf.func("tracer", int, &[("ctx", ctx)], true);
        let file = btf.str("tracer");
        let mut image = Image {
            insns: driver.insns.clone(),
            maps: Vec::new(),
            btf: Vec::new(),
            func_info: vec![[0, main]],
            line_info: Vec::new(),
            layout,
            slot_size: sizes.slot,
            counters: None,
            places: Vec::new(),
        };
        for (i, (start, name)) in driver.parts.iter().enumerate() {
            let text = btf.str(&format!("tracer: {name}"));
            // Line number in the upper 22 bits, column in the lower 10.
            let line = u32::try_from(i + 1).unwrap_or(1) << 10;
            image.line_info.push([u32::try_from(*start).unwrap_or(0), file, text, line]);
            image.places.push(Placed { start: *start, collector: None, name: name.clone() });
        }
        for (at, map) in &driver.maps {
            let map = match map {
                MapRef::Slots => ImageMap::Slots { size: sizes.slots },
                MapRef::Rings => ImageMap::Rings,
                MapRef::Calls => ImageMap::Calls { size: sizes.call },
            };
            image.refer(*at, map);
        }
        Self { btf, moved: HashMap::new(), placed: HashMap::new(), image }
    }

    /// Names the lines of a function that stands inside the generated one.
    fn tell_of(&mut self, shape: &Shape<'_>, inlined: &Inlined) {
        let Inlined { at, fragment, function } = inlined;
        let linked = shape.fragments[*fragment];
        let Some(func) = linked.funcs.get(function) else { return };
        let moved = *self.moved.entry(*fragment).or_insert_with(|| self.btf.append(&linked.btf));
        let base = u32::try_from(*at).unwrap_or(u32::MAX);
        let lines = func.line_info.iter();
        let lines =
            lines.map(|[at, file, text, line]| [base + at, moved.str(*file), moved.str(*text), *line]);
        self.image.line_info.extend(lines);
        let collector = Some(linked.collector.clone());
        self.image.places.push(Placed { start: *at, collector, name: function.clone() });
    }

    /// Puts a generated function behind what is there.
    fn place_generated(&mut self, function: &Function) -> usize {
        let start = self.image.insns.len();
        let at = u32::try_from(start).unwrap_or(u32::MAX);
        let (int, pointer) = (self.btf.int("int", 4, true), self.btf.ptr(0));
        let number = self.btf.int("unsigned long", 8, false);
        let params = [("block", pointer), ("used", number)];
        let ty = self.btf.func("tracer_filter", int, &params, false);
        self.image.func_info.push([at, ty]);
        let (file, text) = (self.btf.str("tracer"), self.btf.str(&format!("tracer: {}", function.name)));
        self.image.line_info.push([at, file, text, 1 << 10]);
        self.image.insns.extend_from_slice(&function.insns);
        self.image.places.push(Placed { start, collector: None, name: function.name.clone() });
        start
    }

    /// Where a function stands; put there when it is needed first.
    fn place(&mut self, linked: &Linked, fragment: usize, name: &str, func: &Func) -> usize {
        if let Some(start) = self.placed.get(&(fragment, name.to_owned())) {
            return *start;
        }
        let moved = *self.moved.entry(fragment).or_insert_with(|| self.btf.append(&linked.btf));
        let image = &mut self.image;
        let start = image.insns.len();
        let base = u32::try_from(start).unwrap_or(u32::MAX);
        image.insns.extend_from_slice(&func.insns);
        for at in func.map_loads() {
            let index = usize::try_from(func.insns[at].imm).unwrap_or(usize::MAX);
            if let Some(map) = linked.maps.get(index) {
                image.refer(start + at, ImageMap::Fragment(map.clone()));
            }
        }
        image.func_info.extend(func.func_info.iter().map(|[at, ty]| [base + at, moved.ty(*ty)]));
        let lines = func.line_info.iter();
        let lines =
            lines.map(|[at, file, text, line]| [base + at, moved.str(*file), moved.str(*text), *line]);
        image.line_info.extend(lines);
        let collector = Some(linked.collector.clone());
        image.places.push(Placed { start, collector, name: name.to_owned() });
        self.placed.insert((fragment, name.to_owned()), start);
        start
    }
}

impl Image {
    /// Makes the instruction at `at` load a map; maps are listed once.
    fn refer(&mut self, at: usize, map: ImageMap) {
        let index = self.maps.iter().position(|m| *m == map).unwrap_or_else(|| {
            self.maps.push(map);
            self.maps.len() - 1
        });
        self.insns[at].imm = i32::try_from(index).unwrap_or(i32::MAX);
    }

    /// The instructions of the filter, part by part, with their numbers in the program; empty where it has none.
    pub fn filter_listing(&self) -> String {
        let mut text = String::new();
        let mut shown = false;
        for (index, place) in self.places.iter().enumerate() {
            // What is behind a fragment's code that was put in goes on with what was before.
            let goes_on = place.collector.is_some() || place.name.starts_with(BEHIND);
            let begins = place.name.starts_with(FILTER) || place.name.starts_with(GUARD);
            shown = if goes_on { shown && index > 0 } else { begins };
            if !shown {
                continue;
            }
            let end = self.places.get(index + 1).map_or(self.insns.len(), |next| next.start);
            let whose = place.collector.as_ref().map_or(String::new(), |name| format!("collector {name}: "));
            text += &format!("{whose}{}\n", place.name);
            text += &listing(self.insns.get(place.start..end).unwrap_or_default(), place.start);
        }
        text
    }

    /// Whose code an instruction is, for a message about it.
    pub fn blame(&self, insn: usize) -> Option<Blame> {
        let place = self.places.iter().rev().find(|p| p.start <= insn)?;
        let line =
            self.line_info.iter().rev().find(|l| l[0] as usize <= insn && l[0] as usize >= place.start);
        let btf = tracer_bpf::Btf::parse(self.btf.clone()).ok();
        let line = line.zip(btf).map(|(l, btf)| {
            (btf.str(l[1]).trim_start_matches("./").to_owned(), l[3] >> 10, btf.str(l[2]).trim().to_owned())
        });
        let line = line.filter(|_| place.collector.is_some());
        Some(Blame { collector: place.collector.clone(), function: place.name.clone(), line })
    }
}
