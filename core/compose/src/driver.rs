//! The generated main function of a composed program: it fetches arguments, decides, calls the
//! readers, and writes the record. See `docs/architecture.md` for the order and the reasons.
//!
//! Registers: r6 the kernel's context, r7 this CPU's slot, r8 bytes of the record that are used
//! beyond its fixed part, r9 the counters of the probe that was hit, where a program has several.
//! Everything else is scratch or on the stack.

mod alone;
mod arguments;
mod decide;
mod guard;
mod hook;
mod inline;
mod leaf;
mod record;
mod returns;

pub(crate) use alone::generate as generate_alone;
pub(crate) use hook::generate as generate_hook;
pub(crate) use inline::Inlined;

use tracer_bpf::{
    Assembler, Insn,
    insn::{Alu, Cond, Label, PSEUDO_MAP_VALUE, Width},
};
use tracer_event::Layout;

use crate::{
    error::ComposeError,
    filter::{Condition, Scratch, Source, Stage},
    shape::{Attach, COUNTERS, MapRef, Role, Shape, counter},
};
use decide::Known;

/// Helpers by their numbers in `include/uapi/linux/bpf.h`.
mod helper {
    pub(super) const MAP_LOOKUP_ELEM: i32 = 1;
    pub(super) const MAP_UPDATE_ELEM: i32 = 2;
    pub(super) const MAP_DELETE_ELEM: i32 = 3;
    pub(super) const KTIME_GET_NS: i32 = 5;
    pub(super) const GET_SMP_PROCESSOR_ID: i32 = 8;
    pub(super) const GET_CURRENT_PID_TGID: i32 = 14;
    pub(super) const GET_CURRENT_COMM: i32 = 16;
    pub(super) const GET_STACK: i32 = 67;
    pub(super) const PROBE_READ_KERNEL: i32 = 113;
    pub(super) const RINGBUF_OUTPUT: i32 = 130;
    pub(super) const GET_ATTACH_COOKIE: i32 = 174;
}

/// `BPF_RB_NO_WAKEUP`: whoever reads the ring looks into it by the clock. A wakeup is an interrupt on the traced
/// CPU and a message to another one: it takes longer than the rest of the event (docs/performance.md).
const NO_WAKEUP: i32 = 1;

/// Offsets from the frame pointer, r10.
mod frame {
    /// An accessor's value; the rings' key.
    pub(super) const VALUE: i16 = -8;
    /// Presence bits.
    pub(super) const PRESENT: i16 = -16;
    /// The time, where the rate limit had to ask for it.
    pub(super) const TIME: i16 = -24;
    /// Which of the program's probes was hit, where it has several.
    pub(super) const INDEX: i16 = -32;
    /// What a call of the probed function is known by until it returns: 16 bytes.
    pub(super) const CALL: i16 = -48;
    /// Arguments, eight bytes each, downwards from here; the struct of the next call below them.
    pub(super) const ARGUMENTS: i16 = -48;
    /// A program has 512 bytes; what is left is the readers'.
    pub(super) const MAX: usize = 256;
}

/// What the parts' names begin with that are the filter's, a guard's, or the rest of such a one.
pub(crate) const FILTER: &str = "filter: ";
/// See [`FILTER`].
pub(crate) const GUARD: &str = "guard ";
/// See [`FILTER`].
pub(crate) const BEHIND: &str = "behind ";

/// A call of a function, to be patched when the function has its place.
pub(crate) struct Call {
    /// Index of the call instruction.
    pub(crate) at: usize,
    pub(crate) callee: Callee,
}

/// What is called.
pub(crate) enum Callee {
    /// A fragment's C function.
    Fragment {
        /// Index of the fragment in the shape.
        fragment: usize,
        /// Its name.
        function: String,
    },
    /// One of [`Driver::functions`].
    Generated(usize),
}

/// A generated function beside the main one: it takes up to two arguments, and knows of no map.
pub(crate) struct Function {
    /// What the verifier's messages call it.
    pub(crate) name: String,
    pub(crate) insns: Vec<Insn>,
}

/// The generated function, and what remains to be filled in.
pub(crate) struct Driver {
    pub(crate) insns: Vec<Insn>,
    pub(crate) calls: Vec<Call>,
    /// Further functions.
    pub(crate) functions: Vec<Function>,
    /// Functions that need no call.
    pub(crate) inlined: Vec<Inlined>,
    /// Map loads: index of the instruction, and the map.
    pub(crate) maps: Vec<(usize, MapRef)>,
    /// First instruction of each part, with its name, for messages of the verifier.
    pub(crate) parts: Vec<(usize, String)>,
}

pub(crate) fn generate(shape: &Shape<'_>, layout: &Layout) -> Result<Driver, ComposeError> {
    let driver = Driver {
        insns: Vec::new(),
        calls: Vec::new(),
        functions: Vec::new(),
        inlined: Vec::new(),
        maps: Vec::new(),
        parts: Vec::new(),
    };
    let fetched = vec![false; shape.arguments.iter().len()];
    // A tracepoint's callers may pass NULL, and newer verifiers insist that it is tested for.
    let nullable = vec![shape.attach == Attach::TpBtf; fetched.len()];
    let guarded = vec![false; shape.guards.len()];
    let mut g = Generator {
        asm: Assembler::default(),
        driver,
        shape,
        layout,
        scratch: Scratch::new(shape, layout)?,
        record_at: shape.record_at(layout),
        fetched,
        nullable,
        guarded,
        known: Vec::new(),
        packet_is_read: false,
        limited: false,
    };
    match shape.role {
        Role::Event | Role::Entry => g.hit()?,
        Role::Return(value) => g.returned(value)?,
    }
    g.driver.insns = g.asm.finish()?;
    Ok(g.driver)
}

struct Generator<'a> {
    asm: Assembler,
    driver: Driver,
    shape: &'a Shape<'a>,
    layout: &'a Layout,
    /// Where the filter's memory is.
    scratch: Scratch,
    /// Where the record is, in the slot.
    record_at: u32,
    /// Whether each argument is on the stack already.
    fetched: Vec<bool>,
    /// Whether each argument may be NULL because a guard withholds it.
    nullable: Vec<bool>,
    /// Whether each guard stands already.
    guarded: Vec<bool>,
    /// What holds here, since the filter would have ended the hit otherwise.
    known: Vec<Known<'a>>,
    /// Whether the filter has the packet.
    packet_is_read: bool,
    /// Whether the rate limit was passed, and has left the time.
    limited: bool,
}

/// A byte offset that one instruction can carry.
fn offset(bytes: u32) -> Result<i16, ComposeError> {
    i16::try_from(bytes).map_err(|_| ComposeError::Offset(bytes))
}

fn imm(n: u32) -> i32 {
    n.cast_signed()
}

impl<'a> Generator<'a> {
    /// The whole function, for a hit from which an event is made.
    fn hit(&mut self) -> Result<(), ComposeError> {
        let (shape, nowhere, filtered) = (self.shape, self.asm.label(), self.asm.label());
        let (limited, lost, end, forget) =
            (self.asm.label(), self.asm.label(), self.asm.label(), self.asm.label());
        // An event of a call that was at the same place of the stack, and whose return was missed, must not get the return of
        // this one, which is left out.
        let out = if shape.role == Role::Entry { forget } else { end };
        self.check_frame()?;
        self.part("slot of this CPU");
        self.slot(nowhere);
        self.enter_once(nowhere);
        self.filter(Stage::Early, filtered)?;
        self.guards(None, filtered)?;
        // What the filter may still leave out is not admitted, and uses up no limit.
        let stages = shape.filter.iter().map(Condition::stage);
        let last = stages.filter(|stage| matches!(stage, Stage::Reader(_))).max();
        if last.is_none() {
            self.admit(limited)?;
        }
        self.part("context");
        self.context();
        for (index, reader) in shape.readers.iter().enumerate() {
            self.part(&format!("reader {}", reader.reader.schema.section()));
            self.reader(index)?;
            self.filter(Stage::Reader(index), filtered)?;
            if last == Some(Stage::Reader(index)) {
                self.admit(limited)?;
            }
        }
        self.part("output");
        self.complete();
        if shape.role == Role::Entry {
            self.keep_until_return(lost)?;
        } else {
            self.output(lost);
            self.count(counter::DELIVERED);
        }
        self.asm.jump(end);
        self.asm.place(lost);
        self.count(counter::LOST);
        self.asm.jump(end);
        if shape.rate.is_some() {
            self.asm.place(limited);
            self.count(counter::LIMITED);
            self.asm.jump(out);
        }
        if self.is_filtered() {
            self.asm.place(filtered);
            self.count(counter::FILTERED);
        }
        if shape.role == Role::Entry && (shape.rate.is_some() || self.is_filtered()) {
            self.asm.place(forget);
            self.forget_call(end)?;
        }
        self.leave(end);
        self.end(nowhere);
        Ok(())
    }

    /// Whether some hit may be left out: else nothing leads to what counts those.
    fn is_filtered(&self) -> bool {
        let mut stages = self.shape.filter.iter().map(Condition::stage);
        stages.any(|stage| stage != Stage::Return) || !self.shape.guards.is_empty()
    }

    /// The hit becomes an event, if the rate limit allows.
    fn admit(&mut self, limited: Label) -> Result<(), ComposeError> {
        if let Some((fragment, follow)) = self.shape.follow {
            self.part("what follows of the packet is wanted too");
            self.arguments(fragment, &follow.note.wants)?;
            self.call(fragment, &follow.note.function);
        }
        self.part("admitted");
        self.count(counter::ADMITTED);
        if let Some(rate) = self.shape.rate {
            self.part("rate limit");
            self.rate(rate, limited);
            self.limited = true;
        }
        Ok(())
    }

    /// Leaves, if the program is running on this CPU already: some kernels start it again in an interrupt. That hit is
    /// lost; the counters may be in use by the one that was interrupted, hence the atomic additions.
    fn enter_once(&mut self, end: Label) {
        if !self.shape.reentered {
            return;
        }
        let free = self.asm.label();
        let counters = self.counters_register();
        self.asm.load(Width::B8, 1, 7, counter::BUSY);
        self.asm.jump_if(Cond::Eq, 1, 0, free);
        self.asm.mov(1, 1);
        if !matches!(self.shape.role, Role::Return(_)) {
            self.asm.atomic_add(counters, counter::ADMITTED, 1);
        }
        self.asm.atomic_add(counters, counter::LOST, 1);
        self.asm.jump(end);
        self.asm.place(free);
        self.asm.store_imm(Width::B8, 7, counter::BUSY, 1);
    }

    /// Where everybody goes who got past [`Generator::enter_once`].
    fn leave(&mut self, leave: Label) {
        self.asm.place(leave);
        if self.shape.reentered {
            self.asm.store_imm(Width::B8, 7, counter::BUSY, 0);
        }
    }

    fn end(&mut self, end: Label) {
        self.asm.place(end);
        self.asm.mov(0, 0);
        self.asm.exit();
    }

    fn part(&mut self, name: &str) {
        let here = self.asm.here();
        // A part that came out empty leaves its place to the next: the kernel wants them to ascend.
        self.driver.parts.retain(|(start, _)| *start != here);
        self.driver.parts.push((here, name.to_owned()));
    }

    fn check_frame(&self) -> Result<(), ComposeError> {
        let wants = self.shape.readers.iter().map(|r| &r.reader.wants);
        let early = self.shape.filter.iter().flat_map(Condition::leaves).filter_map(|leaf| match leaf {
            Condition::Value(Source::Accessor { accessor, .. }, _) => Some(&accessor.wants),
            Condition::Packet(_) => self.shape.packet.map(|(_, reader)| &reader.wants),
            Condition::Followed { follow, .. } => Some(&follow.asked.wants),
            _ => None,
        });
        let wants = wants.chain(early).chain(self.shape.follow.map(|(_, follow)| &follow.note.wants));
        let wants = wants.chain(self.shape.guards.iter().map(|g| &g.accessor.wants));
        let largest = wants.map(|w| w.size as usize).max().unwrap_or(0).next_multiple_of(8);
        let need = usize::from(frame::ARGUMENTS.unsigned_abs()) + 8 * self.fetched.len() + largest;
        if need > frame::MAX { Err(ComposeError::Stack(need, frame::MAX)) } else { Ok(()) }
    }

    /// Where an argument is kept: below [`frame::MAX`], so the cast cannot lose anything.
    fn argument(index: usize) -> i16 {
        frame::ARGUMENTS - 8 * (i16::try_from(index).unwrap_or(i16::MAX / 16) + 1)
    }

    /// r7 = this CPU's slot, which is all the memory that the program writes to. The kernel does
    /// not enter a program again on the same CPU, so it is nobody else's while this one runs.
    fn slot(&mut self, end: Label) {
        self.asm.mov_reg(6, 1);
        self.asm.call(helper::GET_SMP_PROCESSOR_ID);
        self.asm.jump_if(Cond::Ge, 0, imm(self.shape.cpus), end);
        if self.shape.count > 1 {
            self.asm.mov_reg(9, 0);
        }
        self.asm.alu(Alu::Mul, 0, imm(self.shape.slot_size(self.layout)));
        self.map(7, MapRef::Slots, PSEUDO_MAP_VALUE);
        self.asm.alu_reg(Alu::Add, 7, 0);
        if self.shape.count > 1 {
            self.counters(end);
        }
    }

    /// r9 = the counters of the probe that was hit, of the CPU in r9. A probe's cookie is its place among the program's, and 1.
    fn counters(&mut self, end: Label) {
        let count = self.shape.count;
        self.asm.mov_reg(1, 6);
        self.asm.call(helper::GET_ATTACH_COOKIE);
        // Cookies count from 1: the kernel says 0 where it finds none.
        self.asm.alu(Alu::Sub, 0, 1);
        self.asm.jump_if(Cond::Ge, 0, i32::from(count), end);
        self.asm.store(Width::B8, 10, frame::INDEX, 0);
        self.asm.alu(Alu::Mul, 9, i32::from(count) * imm(COUNTERS));
        self.asm.alu(Alu::Mul, 0, imm(COUNTERS));
        self.map_at(1, MapRef::Slots, PSEUDO_MAP_VALUE, self.shape.counters(self.layout));
        self.asm.alu_reg(Alu::Add, 1, 9);
        self.asm.alu_reg(Alu::Add, 1, 0);
        self.asm.mov_reg(9, 1);
    }

    /// The register that points at the counters.
    fn counters_register(&self) -> u8 {
        if self.shape.count > 1 { 9 } else { 7 }
    }

    fn map(&mut self, register: u8, map: MapRef, kind: u8) {
        self.map_at(register, map, kind, 0);
    }

    /// `at` is an offset into the value of the map.
    fn map_at(&mut self, register: u8, map: MapRef, kind: u8, at: u32) {
        self.driver.maps.push((self.asm.here(), map));
        self.asm.load_pseudo(register, kind, 0, imm(at));
    }

    fn count(&mut self, counter: i16) {
        let at = self.counters_register();
        self.asm.load(Width::B8, 1, at, counter);
        self.asm.alu(Alu::Add, 1, 1);
        self.asm.store(Width::B8, at, counter, 1);
    }

    fn call(&mut self, fragment: usize, function: &str) {
        if self.inline(fragment, function) {
            self.part(&format!("{BEHIND}{function}"));
            return;
        }
        let at = self.asm.call_function();
        let callee = Callee::Fragment { fragment, function: function.to_owned() };
        self.driver.calls.push(Call { at, callee });
    }

    /// Calls a generated function, which is there once for all calls with the same instructions.
    fn call_generated(&mut self, name: &str, insns: Vec<Insn>) {
        let functions = &mut self.driver.functions;
        let known = functions.iter().position(|function| function.insns == insns);
        let index = known.unwrap_or(functions.len());
        if known.is_none() {
            functions.push(Function { name: name.to_owned(), insns });
        }
        let at = self.asm.call_function();
        self.driver.calls.push(Call { at, callee: Callee::Generated(index) });
    }
}

impl Attach {
    /// Where a parameter of the traced function is found in the program's context, in bytes.
    pub(crate) fn parameter(self, n: u8) -> Option<i16> {
        match self {
            // The context is an array of the parameters; 12 is the limit of trampolines and tracepoints.
            Self::Fentry | Self::TpBtf | Self::RawTracepoint => (n < 12).then(|| 8 * i16::from(n)),
            Self::Kprobe => PT_REGS.get(usize::from(n)).copied(),
        }
    }
}

/// Offsets in `struct pt_regs` of the registers that hold parameters, by the kernel's calling
/// convention: `arch/x86/include/asm/ptrace.h` (rdi, rsi, rdx, rcx, r8, r9).
#[cfg(target_arch = "x86_64")]
const PT_REGS: [i16; 6] = [112, 104, 96, 88, 72, 64];
/// `arch/arm64/include/asm/ptrace.h`: `struct user_pt_regs`, x0 to x7.
#[cfg(target_arch = "aarch64")]
const PT_REGS: [i16; 8] = [0, 8, 16, 24, 32, 40, 48, 56];
/// Other machines have fentry, or no kprobes that pass parameters.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const PT_REGS: [i16; 0] = [];

/// Offsets in `struct pt_regs` of the stack pointer and of the register that a function returns its value in, where a
/// return leaves the stack pointer 8 bytes above that of the entry.
#[cfg(target_arch = "x86_64")]
const SP: Option<i16> = Some(152);
/// See [`SP`].
#[cfg(target_arch = "x86_64")]
const RETURNED: Option<i16> = Some(80);
/// Elsewhere a return is not recognised by the stack pointer.
#[cfg(not(target_arch = "x86_64"))]
const SP: Option<i16> = None;
/// See [`SP`].
#[cfg(not(target_arch = "x86_64"))]
const RETURNED: Option<i16> = None;
