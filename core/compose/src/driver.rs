//! The generated main function of a composed program: it fetches arguments, decides, calls the
//! readers, and writes the record. See `docs/architecture.md` for the order and the reasons.
//!
//! Registers: r6 the kernel's context, r7 this CPU's slot, r8 bytes of the record that are used
//! beyond its fixed part. Everything else is scratch or on the stack.

mod guard;
mod inline;

pub(crate) use inline::Inlined;

use tracer_bpf::{
    Assembler, Insn,
    insn::{Alu, Cond, Label, PSEUDO_MAP_FD, PSEUDO_MAP_VALUE, Width},
};
use tracer_event::{Layout, header};

use crate::{
    arguments::Origin,
    error::ComposeError,
    fragment::{Accessor, Build, From, Wants},
    shape::{Attach, Condition, MapRef, SLOT_HEADER, STACK_BYTES, Shape, counter},
};

/// Helpers by their numbers in `include/uapi/linux/bpf.h`.
mod helper {
    pub(super) const MAP_LOOKUP_ELEM: i32 = 1;
    pub(super) const KTIME_GET_NS: i32 = 5;
    pub(super) const GET_SMP_PROCESSOR_ID: i32 = 8;
    pub(super) const GET_CURRENT_PID_TGID: i32 = 14;
    pub(super) const GET_CURRENT_COMM: i32 = 16;
    pub(super) const GET_STACK: i32 = 67;
    pub(super) const PROBE_READ_KERNEL: i32 = 113;
    pub(super) const RINGBUF_OUTPUT: i32 = 130;
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
    /// Arguments, eight bytes each, downwards from here; the struct of the next call below them.
    pub(super) const ARGUMENTS: i16 = -24;
    /// A program has 512 bytes; what is left is the readers'.
    pub(super) const MAX: usize = 256;
}

/// A call of a fragment's function, to be patched when the function has its place.
pub(crate) struct Call {
    /// Index of the call instruction.
    pub(crate) at: usize,
    /// Index of the fragment in the shape.
    pub(crate) fragment: usize,
    /// The C function.
    pub(crate) function: String,
}

/// The generated function, and what remains to be filled in.
pub(crate) struct Driver {
    pub(crate) insns: Vec<Insn>,
    pub(crate) calls: Vec<Call>,
    /// Functions that need no call.
    pub(crate) inlined: Vec<Inlined>,
    /// Map loads: index of the instruction, and the map.
    pub(crate) maps: Vec<(usize, MapRef)>,
    /// First instruction of each part, with its name, for messages of the verifier.
    pub(crate) parts: Vec<(usize, String)>,
}

pub(crate) fn generate(shape: &Shape<'_>, layout: &Layout) -> Result<Driver, ComposeError> {
    let mut asm = Assembler::default();
    let (end, filtered, limited, lost) = (asm.label(), asm.label(), asm.label(), asm.label());
    let driver = Driver {
        insns: Vec::new(),
        calls: Vec::new(),
        inlined: Vec::new(),
        maps: Vec::new(),
        parts: Vec::new(),
    };
    let fetched = vec![false; shape.arguments.iter().len()];
    let nullable = fetched.clone();
    let guarded = vec![false; shape.guards.len()];
    let mut g = Generator { asm, driver, shape, layout, fetched, nullable, guarded };
    g.check_frame()?;
    g.part("slot of this CPU");
    g.slot(end);
    for (asked, condition) in shape.conditions.iter().enumerate() {
        g.guards(Some(&condition.accessor.wants), &shape.conditions[..asked], filtered)?;
        g.part(&format!("filter {}.{}", condition.accessor.section, condition.accessor.field));
        g.condition(condition, filtered)?;
    }
    g.guards(None, &shape.conditions, filtered)?;
    g.part("admitted");
    g.count(counter::ADMITTED);
    if let Some(rate) = shape.rate {
        g.part("rate limit");
        g.rate(rate, limited);
    }
    g.part("context");
    g.context();
    for (index, reader) in shape.readers.iter().enumerate() {
        g.part(&format!("reader {}", reader.reader.schema.section()));
        g.reader(index)?;
    }
    g.part("output");
    g.output(lost);
    g.count(counter::DELIVERED);
    g.asm.jump(end);
    g.asm.place(lost);
    g.count(counter::LOST);
    g.asm.jump(end);
    if shape.rate.is_some() {
        g.asm.place(limited);
        g.count(counter::LIMITED);
        g.asm.jump(end);
    }
    if !shape.conditions.is_empty() || !shape.guards.is_empty() {
        g.asm.place(filtered);
        g.count(counter::FILTERED);
    }
    g.asm.place(end);
    g.asm.mov(0, 0);
    g.asm.exit();
    g.driver.insns = g.asm.finish()?;
    Ok(g.driver)
}

struct Generator<'a> {
    asm: Assembler,
    driver: Driver,
    shape: &'a Shape<'a>,
    layout: &'a Layout,
    /// Whether each argument is on the stack already.
    fetched: Vec<bool>,
    /// Whether each argument may be NULL because a guard withholds it.
    nullable: Vec<bool>,
    /// Whether each guard stands already.
    guarded: Vec<bool>,
}

/// A byte offset that one instruction can carry.
fn offset(bytes: u32) -> Result<i16, ComposeError> {
    i16::try_from(bytes).map_err(|_| ComposeError::Offset(bytes))
}

fn imm(n: u32) -> i32 {
    n.cast_signed()
}

impl<'a> Generator<'a> {
    fn part(&mut self, name: &str) {
        let here = self.asm.here();
        // A part that came out empty leaves its place to the next: the kernel wants them to ascend.
        self.driver.parts.retain(|(start, _)| *start != here);
        self.driver.parts.push((here, name.to_owned()));
    }

    fn check_frame(&self) -> Result<(), ComposeError> {
        let wants = self.shape.readers.iter().map(|r| &r.reader.wants);
        let wants = wants.chain(self.shape.conditions.iter().map(|c| &c.accessor.wants));
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
        self.asm.alu(Alu::Mul, 0, imm(self.shape.slot_size(self.layout)));
        self.map(7, MapRef::Slots, PSEUDO_MAP_VALUE);
        self.asm.alu_reg(Alu::Add, 7, 0);
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
        self.asm.load(Width::B8, 1, 7, counter);
        self.asm.alu(Alu::Add, 1, 1);
        self.asm.store(Width::B8, 7, counter, 1);
    }

    /// Whether an argument has its place on the stack. One that the context holds is loaded from there each time:
    /// that is as near. Only where a guard may put NULL in its stead does it need a place.
    fn is_kept(&self, index: usize, origin: &Origin) -> bool {
        let arguments = self.shape.arguments;
        let mut withheld = self.shape.guards.iter().filter_map(|g| arguments.index(g.withhold.as_ref()?));
        matches!(origin, Origin::Derived { .. }) || withheld.any(|w| w == index)
    }

    /// An argument that was fetched, into a register.
    fn load_argument(&mut self, register: u8, index: usize) -> Result<(), ComposeError> {
        match self.shape.arguments.at(index).map(|a| &a.origin) {
            Some(origin @ Origin::Parameter(n)) if !self.is_kept(index, origin) => {
                let from = self.shape.attach.parameter(*n).ok_or(ComposeError::Parameter(*n))?;
                self.asm.load(Width::B8, register, 6, from);
            }
            _ => self.asm.load(Width::B8, register, 10, Self::argument(index)),
        }
        Ok(())
    }

    /// Puts an argument on the stack if it is kept there, and before it those that it is derived from.
    fn fetch(&mut self, index: usize) -> Result<(), ComposeError> {
        let Some(argument) = self.shape.arguments.at(index) else { return Ok(()) };
        if std::mem::replace(&mut self.fetched[index], true) {
            return Ok(());
        }
        let at = Self::argument(index);
        match argument.origin {
            Origin::Parameter(_) if !self.is_kept(index, &argument.origin) => {}
            Origin::Parameter(n) => {
                let from = self.shape.attach.parameter(n).ok_or(ComposeError::Parameter(n))?;
                self.asm.load(Width::B8, 1, 6, from);
                self.asm.store(Width::B8, 10, at, 1);
            }
            Origin::Derived { from, offset: member } => {
                self.fetch(from)?;
                self.nullable[index] = self.nullable[from];
                if self.shape.build == Build::Direct {
                    let null = self.asm.label();
                    self.load_argument(1, from)?;
                    if self.nullable[from] {
                        self.asm.jump_if(Cond::Eq, 1, 0, null);
                    }
                    // A null or stale pointer reads as 0: the kernel handles the fault.
                    self.asm.load(Width::B8, 1, 1, offset(member)?);
                    self.asm.place(null);
                    self.asm.store(Width::B8, 10, at, 1);
                } else {
                    self.asm.mov_reg(1, 10);
                    self.asm.alu(Alu::Add, 1, i32::from(at));
                    self.asm.mov(2, 8);
                    self.load_argument(3, from)?;
                    self.asm.alu(Alu::Add, 3, imm(member));
                    self.asm.call(helper::PROBE_READ_KERNEL);
                }
            }
        }
        Ok(())
    }

    /// Builds the argument struct of the next call below the arguments; r1 points at it.
    fn arguments(&mut self, fragment: usize, wants: &Wants) -> Result<(), ComposeError> {
        let size = i16::try_from(wants.size.next_multiple_of(8)).unwrap_or(i16::MAX);
        let base = Self::argument(self.fetched.len()) + 8 - size;
        let mut indices = Vec::new();
        for want in &wants.members {
            let index = want.argument().and_then(|ty| self.shape.arguments.index(ty));
            if let Some(index) = index {
                self.fetch(index)?;
            }
            indices.push(index);
        }
        // Gaps in the struct, and what cannot be had, are part of what the function may read.
        for word in 0..size / 8 {
            let filled = wants.members.iter().zip(&indices).any(|(want, index)| {
                let said = index.is_some() || !matches!(want.from, From::Argument(_));
                said && want.size == 8 && want.offset == u32::from((8 * word).unsigned_abs())
            });
            if !filled {
                self.asm.store_imm(Width::B8, 10, base + 8 * word, 0);
            }
        }
        for (want, index) in wants.members.iter().zip(indices) {
            let width = Width::from_bytes(want.size).ok_or(ComposeError::Offset(want.size))?;
            match (index, &want.from) {
                (Some(index), _) => self.load_argument(1, index)?,
                // Constants: the verifier knows them and removes what they rule out.
                (None, From::Option(name)) => self.asm.load64(1, self.shape.constant(fragment, name)),
                (None, From::Symbol(name)) => self.asm.load64(1, self.shape.symbol(name)),
                (None, From::Argument(_)) => continue,
            }
            self.asm.store(width, 10, base + offset(want.offset)?, 1);
        }
        self.asm.mov_reg(1, 10);
        self.asm.alu(Alu::Add, 1, i32::from(base));
        Ok(())
    }

    fn call(&mut self, fragment: usize, function: &str) {
        if self.inline(fragment, function) {
            self.part(&format!("behind {function}"));
            return;
        }
        let at = self.asm.call_function();
        self.driver.calls.push(Call { at, fragment, function: function.to_owned() });
    }

    /// Goes on when the accessor's value is among those wanted, else to `filtered`.
    fn condition(&mut self, condition: &Condition<'_>, filtered: Label) -> Result<(), ComposeError> {
        self.value(condition.fragment, condition.accessor, filtered)?;
        let wanted = self.asm.label();
        self.asm.load(Width::B8, 1, 10, frame::VALUE);
        let (last, others) = condition.values.split_last().map_or((None, &[][..]), |(l, o)| (Some(*l), o));
        for value in others {
            self.jump_if_value(*value, wanted);
        }
        match last.map(i32::try_from) {
            Some(Ok(value)) => self.asm.jump_if(Cond::Ne, 1, value, filtered),
            Some(Err(_)) | None => {
                last.into_iter().for_each(|value| self.jump_if_value(value, wanted));
                self.asm.jump(filtered);
            }
        }
        self.asm.place(wanted);
        Ok(())
    }

    /// Has an accessor store its value at [`frame::VALUE`]; goes to `absent` when there is none.
    fn value(&mut self, fragment: usize, accessor: &Accessor, absent: Label) -> Result<(), ComposeError> {
        self.arguments(fragment, &accessor.wants)?;
        self.asm.store_imm(Width::B8, 10, frame::VALUE, 0);
        self.asm.mov_reg(2, 10);
        self.asm.alu(Alu::Add, 2, i32::from(frame::VALUE));
        self.call(fragment, &accessor.function);
        self.asm.jump_if(Cond::Eq, 0, 0, absent);
        Ok(())
    }

    /// Jumps when r1 is `value`.
    fn jump_if_value(&mut self, value: i64, to: Label) {
        match i32::try_from(value) {
            Ok(value) => self.asm.jump_if(Cond::Eq, 1, value, to),
            Err(_) => {
                self.asm.load64(2, value.cast_unsigned());
                self.asm.jump_if_reg(Cond::Eq, 1, 2, to);
            }
        }
    }

    /// Goes to `limited` when this second's events are used up. CPUs may meet when a second begins,
    /// and then let a few more pass: never fewer, and no more than there are CPUs.
    fn rate(&mut self, rate: u32, limited: Label) {
        let same = self.asm.label();
        self.asm.call(helper::KTIME_GET_NS);
        self.asm.store(Width::B8, 10, frame::TIME, 0);
        self.asm.alu(Alu::Div, 0, 1_000_000_000);
        self.map_at(2, MapRef::Slots, PSEUDO_MAP_VALUE, self.shape.shared(self.layout));
        self.asm.load(Width::B8, 1, 2, 0);
        self.asm.jump_if_reg(Cond::Eq, 1, 0, same);
        self.asm.store(Width::B8, 2, 0, 0);
        self.asm.store_imm(Width::B8, 2, 8, 0);
        self.asm.place(same);
        self.asm.load(Width::B8, 1, 2, 8);
        self.asm.jump_if(Cond::Ge, 1, imm(rate.min(i32::MAX.unsigned_abs())), limited);
        self.asm.mov(1, 1);
        self.asm.atomic_add(2, 8, 1);
    }

    /// The header, but for what only the end knows.
    fn context(&mut self) {
        let at = |field: usize| SLOT_HEADER + i16::try_from(field).unwrap_or(0);
        if self.shape.rate.is_some() {
            self.asm.load(Width::B8, 0, 10, frame::TIME);
        } else {
            self.asm.call(helper::KTIME_GET_NS);
        }
        self.asm.store(Width::B8, 7, at(header::TIME), 0);
        self.asm.store_imm(Width::B2, 7, at(header::PROBE), i32::from(self.shape.probe));
        self.asm.call(helper::GET_SMP_PROCESSOR_ID);
        self.asm.store(Width::B2, 7, at(header::CPU), 0);
        self.asm.call(helper::GET_CURRENT_PID_TGID);
        self.asm.store(Width::B4, 7, at(header::PID), 0);
        self.asm.alu(Alu::Rsh, 0, 32);
        self.asm.store(Width::B4, 7, at(header::TGID), 0);
        self.asm.mov_reg(1, 7);
        self.asm.alu(Alu::Add, 1, i32::from(at(header::COMM)));
        self.asm.mov(2, 16);
        self.asm.call(helper::GET_CURRENT_COMM);
        self.asm.load(Width::B8, 1, 7, counter::LOST);
        self.asm.store(Width::B8, 7, at(header::LOST), 1);
        self.asm.store_imm(Width::B4, 7, at(header::FLAGS), 0);
        self.asm.store_imm(Width::B8, 10, frame::PRESENT, 0);
        self.asm.mov(8, 0);
    }

    /// Calls one reader on its zeroed section, and notes whether it had something to say.
    fn reader(&mut self, index: usize) -> Result<(), ComposeError> {
        let shape = self.shape;
        let (bound, placed) = (&shape.readers[index], &self.layout.sections()[index]);
        let (schema, absent) = (&placed.schema, self.asm.label());
        let start = SLOT_HEADER + offset(placed.offset)?;
        let tails = i32::from(SLOT_HEADER) + imm(self.layout.fixed_end());
        // r2 = the section: in its place, or where the variable part has got to.
        let target = |g: &mut Self| {
            g.asm.mov_reg(2, 7);
            match schema.tail() {
                None => g.asm.alu(Alu::Add, 2, i32::from(start)),
                Some(_) => {
                    g.asm.alu_reg(Alu::Add, 2, 8);
                    g.asm.alu(Alu::Add, 2, tails);
                }
            }
        };
        target(self);
        for word in 0..schema.size().div_ceil(8) {
            // The last word of a tail's fixed part may reach into its array: not yet written.
            self.asm.store_imm(Width::B8, 2, offset(8 * word)?, 0);
        }
        if schema.tail().is_some() {
            self.asm.store_imm(Width::B8, 7, start, 0);
        }
        self.arguments(bound.fragment, &bound.reader.wants)?;
        target(self);
        self.call(bound.fragment, &bound.reader.function);
        self.asm.jump_if(Cond::Eq, 0, 0, absent);
        if let Some(tail) = schema.tail() {
            // A reader that says nonsense is absent, and the record stays whole.
            self.asm.jump_if(Cond::Gt, 0, imm(schema.size() + tail.max), absent);
            self.asm.jump_if(Cond::Lt, 0, imm(schema.size()), absent);
            self.asm.store(Width::B4, 7, start, 0);
            // The padding to the next multiple of 8 still holds an older record's bytes.
            self.asm.mov_reg(2, 7);
            self.asm.alu_reg(Alu::Add, 2, 8);
            self.asm.alu_reg(Alu::Add, 2, 0);
            for byte in 0..7 {
                self.asm.alu(Alu::Add, 2, if byte == 0 { tails } else { 1 });
                self.asm.store_imm(Width::B1, 2, 0, 0);
            }
            self.asm.alu(Alu::Add, 0, 7);
            self.asm.alu(Alu::And, 0, -8);
            self.asm.alu_reg(Alu::Add, 8, 0);
        }
        self.asm.load(Width::B8, 1, 10, frame::PRESENT);
        if index < 31 {
            self.asm.alu(Alu::Or, 1, 1 << index);
        } else {
            self.asm.load64(2, 1 << index);
            self.asm.alu_reg(Alu::Or, 1, 2);
        }
        self.asm.store(Width::B8, 10, frame::PRESENT, 1);
        self.asm.place(absent);
        Ok(())
    }

    /// Presence bits, stack, size; then one copy of the used bytes into the ring.
    fn output(&mut self, lost: Label) {
        let at = |field: usize| SLOT_HEADER + i16::try_from(field).unwrap_or(0);
        let end = imm(self.layout.fixed_end());
        self.asm.load(Width::B8, 1, 10, frame::PRESENT);
        self.asm.store(Width::B8, 7, at(header::SECTIONS), 1);
        self.asm.store_imm(Width::B4, 7, at(header::STACK), 0);
        if self.shape.stack {
            let no_stack = self.asm.label();
            self.asm.mov_reg(1, 6);
            self.asm.mov_reg(2, 7);
            self.asm.alu_reg(Alu::Add, 2, 8);
            self.asm.alu(Alu::Add, 2, i32::from(SLOT_HEADER) + end);
            self.asm.mov(3, imm(STACK_BYTES));
            self.asm.mov(4, 0);
            self.asm.call(helper::GET_STACK);
            // Unsigned: a negative error is far above the limit.
            self.asm.jump_if(Cond::Gt, 0, imm(STACK_BYTES), no_stack);
            self.asm.store(Width::B4, 7, at(header::STACK), 0);
            self.asm.alu_reg(Alu::Add, 8, 0);
            self.asm.place(no_stack);
        }
        self.asm.alu(Alu::Add, 8, end);
        self.asm.store(Width::B4, 7, at(header::RECORD_SIZE), 8);
        self.asm.store_imm(Width::B8, 10, frame::VALUE, 0);
        self.map(1, MapRef::Rings, PSEUDO_MAP_FD);
        self.asm.mov_reg(2, 10);
        self.asm.alu(Alu::Add, 2, i32::from(frame::VALUE));
        self.asm.call(helper::MAP_LOOKUP_ELEM);
        self.asm.jump_if(Cond::Eq, 0, 0, lost);
        self.asm.mov_reg(1, 0);
        self.asm.mov_reg(2, 7);
        self.asm.alu(Alu::Add, 2, i32::from(SLOT_HEADER));
        self.asm.mov_reg(3, 8);
        self.asm.mov(4, NO_WAKEUP);
        self.asm.call(helper::RINGBUF_OUTPUT);
        self.asm.jump_if(Cond::Ne, 0, 0, lost);
    }
}

impl Attach {
    /// Where a parameter of the traced function is found in the program's context, in bytes.
    pub(crate) fn parameter(self, n: u8) -> Option<i16> {
        match self {
            // The trampoline's context is an array of the parameters; 12 is its limit.
            Self::Fentry => (n < 12).then(|| 8 * i16::from(n)),
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
