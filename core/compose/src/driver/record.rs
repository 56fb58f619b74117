//! The record, from its header to the ring.

use tracer_bpf::insn::{Alu, Cond, Label, PSEUDO_MAP_FD, Width};
use tracer_event::header;

use super::{Generator, NO_WAKEUP, frame, helper, imm, offset};
use crate::{
    error::ComposeError,
    shape::{MapRef, STACK_BYTES, counter},
};

impl Generator<'_> {
    /// Offsets of the header's fields in the slot.
    fn header(&self) -> impl Fn(usize) -> i16 + use<> {
        // The filter's scratch memory is bounded far below what an instruction's offset can be.
        let record = i16::try_from(self.record_at).unwrap_or(i16::MAX - 64);
        move |field| record + i16::try_from(field).unwrap_or(0)
    }

    /// The header, but for what only the end knows.
    pub(super) fn context(&mut self) {
        let at = self.header();
        if self.limited {
            self.asm.load(Width::B8, 0, 10, frame::TIME);
        } else {
            self.asm.call(helper::KTIME_GET_NS);
        }
        self.asm.store(Width::B8, 7, at(header::TIME), 0);
        if self.shape.count > 1 {
            self.asm.load(Width::B8, 1, 10, frame::INDEX);
            self.asm.alu(Alu::Add, 1, i32::from(self.shape.first));
            self.asm.store(Width::B2, 7, at(header::PROBE), 1);
        } else {
            self.asm.store_imm(Width::B2, 7, at(header::PROBE), i32::from(self.shape.first));
        }
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
        self.asm.load(Width::B8, 1, self.counters_register(), counter::LOST);
        self.asm.store(Width::B8, 7, at(header::LOST), 1);
        self.asm.store_imm(Width::B4, 7, at(header::FLAGS), 0);
        self.asm.store_imm(Width::B8, 10, frame::PRESENT, 0);
        self.asm.mov(8, 0);
    }

    /// Calls one reader on its zeroed section, and notes whether it had something to say.
    pub(super) fn reader(&mut self, index: usize) -> Result<(), ComposeError> {
        let shape = self.shape;
        let (bound, placed) = (&shape.readers[index], &self.layout.sections()[index]);
        let (schema, absent) = (&placed.schema, self.asm.label());
        let start = offset(self.record_at + placed.offset)?;
        let tails = imm(self.record_at + self.layout.fixed_end());
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
        if schema.tail().is_some()
            && let Some(tails) = self.scratch.tails
        {
            // Whoever asks about the section later has to know where it begins.
            self.asm.store(Width::B8, 7, offset(tails + 8 * u32::try_from(index).unwrap_or(0))?, 8);
        }
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

    /// Presence bits, stack, size: the size is in r8 too.
    pub(super) fn complete(&mut self) {
        let at = self.header();
        let end = imm(self.layout.fixed_end());
        self.asm.load(Width::B8, 1, 10, frame::PRESENT);
        self.asm.store(Width::B8, 7, at(header::SECTIONS), 1);
        self.asm.store_imm(Width::B4, 7, at(header::STACK), 0);
        if self.shape.stack {
            let no_stack = self.asm.label();
            self.asm.mov_reg(1, 6);
            self.asm.mov_reg(2, 7);
            self.asm.alu_reg(Alu::Add, 2, 8);
            self.asm.alu(Alu::Add, 2, imm(self.record_at) + end);
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
    }

    /// r1 = the ring.
    pub(super) fn ring(&mut self, lost: Label) {
        self.asm.store_imm(Width::B8, 10, frame::VALUE, 0);
        self.map(1, MapRef::Rings, PSEUDO_MAP_FD);
        self.asm.mov_reg(2, 10);
        self.asm.alu(Alu::Add, 2, i32::from(frame::VALUE));
        self.asm.call(helper::MAP_LOOKUP_ELEM);
        self.asm.jump_if(Cond::Eq, 0, 0, lost);
        self.asm.mov_reg(1, 0);
    }

    /// One copy of the used bytes into the ring.
    pub(super) fn output(&mut self, lost: Label) {
        self.ring(lost);
        self.asm.mov_reg(2, 7);
        self.asm.alu(Alu::Add, 2, imm(self.record_at));
        self.asm.mov_reg(3, 8);
        self.asm.mov(4, NO_WAKEUP);
        self.asm.call(helper::RINGBUF_OUTPUT);
        self.asm.jump_if(Cond::Ne, 0, 0, lost);
    }
}
