//! Values in the kernel's memory: a way from one of the probe's arguments through pointers, and the instructions that
//! follow it. Nothing there is sure to be readable: each step goes through `bpf_probe_read_kernel`, and one that fails
//! makes the value absent.

use tracer_bpf::{
    Assembler, Btf,
    insn::{Alu, Cond, Label, Width},
};
use tracer_dsl::Diagnostic;
use tracer_dsl::filter::tree::{Comparison, Literal, LiteralKind, Path};
use tracer_dsl::filter::{Class, Filter};

use super::helper;
use super::number::Number;
use super::resolve;
use super::text::TextTest;
use super::value::{Form, Memory, ValueTest, and};
use crate::arguments::Arguments;

/// Bytes that are looked at of a text whose memory has no known length.
const UNKNOWN_TEXT: u32 = TextTest::MOST - 1;

/// A pointer that is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hop {
    /// Bytes from where the way has got to.
    pub(super) offset: i32,
    /// Bits of the pointer that count.
    pub(super) mask: u64,
}

/// What is at the end of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A number, of which some bits may count only, and what it may be compared with.
    Number { number: Number, mask: Option<u64>, class: Class },
    /// A text; of an array, its bytes.
    Text(Option<u32>),
    /// Bytes; of an array, how many.
    Bytes(Option<u32>, Class),
}

/// A way through the kernel's structures, as far as BTF can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelPath {
    pub(super) argument: usize,
    pub(super) hops: Vec<Hop>,
    /// Bytes from there to the value.
    pub(super) offset: i32,
    pub(super) value: Value,
    /// Whether the last pointer was followed because of what it points at: it is a number as well.
    pub(super) through_pointer: bool,
}

impl KernelPath {
    /// Follows a path whose first step is the name of a structure that an argument points at, such as `sk_buff`.
    ///
    /// `types` are looked through for structures in this order; the first is the BTF of the probed function, the others
    /// add what it only mentions, such as those of modules.
    ///
    /// `None` where the probe has no such argument, or `types` have no such structure (see
    /// [`no_argument`](super::no_argument)).
    ///
    /// # Errors
    /// A step that leads nowhere, with its place in the filter's text.
    pub fn resolve(
        types: &[&Btf],
        arguments: &Arguments,
        filter: &Filter,
        path: &Path,
    ) -> Result<Option<KernelPath>, Box<Diagnostic>> {
        resolve::resolve(types, arguments, filter, path)
    }

    /// Which of the probe's arguments it begins with: an index in [`Arguments`].
    pub fn argument(&self) -> usize {
        self.argument
    }

    /// What its values may be compared with.
    pub fn class(&self) -> Class {
        match &self.value {
            Value::Number { class, .. } | Value::Bytes(_, class) => class.clone(),
            Value::Text(_) => Class::Text,
        }
    }

    /// The pointer that was followed last, as a number.
    fn into_pointer(mut self) -> Self {
        if let Some(last) = self.hops.pop() {
            self.offset = last.offset;
            let mask = (last.mask != u64::MAX).then_some(last.mask);
            let class = Class::Number(0, u64::MAX.into());
            self.value = Value::Number { number: Number::plain(8, false), mask, class };
            self.through_pointer = false;
        }
        self
    }
}

/// A comparison of a value in the kernel's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelTest {
    path: KernelPath,
    test: ValueTest,
}

impl KernelTest {
    /// Follows the comparison's path and checks what it is compared with. `types` and `None`: see
    /// [`KernelPath::resolve`].
    ///
    /// # Errors
    /// A step that leads nowhere, or a value that does not fit, with its place in the filter's text.
    pub fn new(
        types: &[&Btf],
        arguments: &Arguments,
        filter: &Filter,
        comparison: &Comparison,
    ) -> Result<Option<KernelTest>, Box<Diagnostic>> {
        let Some(mut path) = KernelPath::resolve(types, arguments, filter, &comparison.path)? else {
            return Ok(None);
        };
        let numbers = comparison.values.iter().all(|value| matches!(value.kind, LiteralKind::Number(_)));
        if path.through_pointer && numbers {
            path = path.into_pointer();
        }
        let (form, mask) = match &path.value {
            Value::Number { number, mask, .. } => (Form::Number(*number), *mask),
            Value::Text(bytes) => (Form::Text(bytes.unwrap_or(UNKNOWN_TEXT)), None),
            Value::Bytes(..) => (Form::Bytes, None),
        };
        let mut test = ValueTest::new(&path.class(), form, filter, comparison)?;
        if let Some(mask) = mask {
            test = test.masked(mask);
        }
        let this = KernelTest { path, test };
        let is_long = |value: &&Literal| match &value.kind {
            LiteralKind::Name(text) => {
                form == Form::Text(UNKNOWN_TEXT) && text.trim_end_matches('*').len() >= UNKNOWN_TEXT as usize
            }
            LiteralKind::Bytes(bytes) => bytes.len() > UNKNOWN_TEXT as usize,
            _ => false,
        };
        if let Some(long) = comparison.values.iter().find(is_long) {
            let found = Diagnostic::error("this is too long").at(filter.at(long.span.clone()));
            return Err(found.because(format!("fewer than {UNKNOWN_TEXT} bytes are compared")).into());
        }
        Ok(Some(this))
    }

    /// See [`ValueTest::counts`].
    pub(super) fn counts(&self) -> (usize, usize) {
        self.test.counts()
    }

    /// Which of the probe's arguments it asks: an index in [`Arguments`].
    pub fn argument(&self) -> usize {
        self.path.argument
    }

    /// Bytes of scratch memory that [`KernelTest::emit`] uses; a multiple of 8, at most 256.
    pub fn scratch(&self) -> u32 {
        self.reads().max(8).next_multiple_of(8)
    }

    /// Bytes that are read of the value.
    fn reads(&self) -> u32 {
        match self.path.value {
            Value::Number { number, .. } => number.bytes.into(),
            // One more: the helper puts an end behind what it reads of a longer text.
            Value::Text(None) => self.test.looks_at().saturating_add(1),
            Value::Text(Some(_)) | Value::Bytes(..) => self.test.looks_at().max(1),
        }
    }

    /// Asks. `pointer` is the register, from r1 to r5, with the argument; it may be NULL. `scratch` is memory that may be
    /// written, in a map's value or on the stack. Falls through where the comparison holds, goes to `otherwise` where it
    /// does not and where the value cannot be had. Changes r0 to r5.
    pub fn emit(&self, asm: &mut Assembler, pointer: u8, scratch: Memory, otherwise: Label) {
        self.load(asm, pointer, scratch, otherwise);
        self.test.emit(asm, scratch, otherwise);
    }

    /// Puts the value, or as much of it as the test looks at, into the scratch memory.
    fn load(&self, asm: &mut Assembler, pointer: u8, scratch: Memory, otherwise: Label) {
        asm.jump_if(Cond::Eq, pointer, 0, otherwise);
        let mut at = pointer;
        for hop in &self.path.hops {
            let read = Read { helper: helper::PROBE_READ_KERNEL, at, offset: hop.offset, bytes: 8 };
            read.emit(asm, scratch, otherwise);
            at = 3;
            asm.load(Width::B8, at, scratch.register, scratch.offset);
            if hop.mask != u64::MAX {
                and(asm, at, hop.mask, 0);
            }
            asm.jump_if(Cond::Eq, at, 0, otherwise);
        }
        let helper = match self.path.value {
            Value::Text(None) => helper::PROBE_READ_KERNEL_STR,
            _ => helper::PROBE_READ_KERNEL,
        };
        Read { helper, at, offset: self.path.offset, bytes: self.reads() }.emit(asm, scratch, otherwise);
    }
}

/// A read of the kernel's memory into the scratch memory.
struct Read {
    helper: i32,
    at: u8,
    offset: i32,
    bytes: u32,
}

impl Read {
    fn emit(&self, asm: &mut Assembler, scratch: Memory, otherwise: Label) {
        if self.at != 3 {
            asm.mov_reg(3, self.at);
        }
        if self.offset != 0 {
            asm.alu(Alu::Add, 3, self.offset);
        }
        scratch.address(asm, 1);
        asm.mov(2, self.bytes.cast_signed());
        asm.call(self.helper);
        // The one gives 0, the other a length; both an error below 0.
        asm.jump_if(Cond::Slt, 0, 0, otherwise);
    }
}
