//! Events of a function's return. What the function was called with may be gone by then, a packet above all: so an
//! event is made at the entry, waits for the return in a map, and gets the returned value there.
//!
//! A call is known by where it stands on the stack, which tells apart calls that nest in one task and calls in interrupts.
//! The programs of a trampoline see the same context at entry and return; a kprobe sees the stack pointer, which a
//! return has moved by the return address. (By task it would go wrong where calls nest.)

use tracer_bpf::insn::{Alu, Cond, Label, PSEUDO_MAP_FD, Width};
use tracer_event::header;

use super::{Generator, SP, frame, helper, imm, offset};
use crate::{
    error::ComposeError,
    filter::Stage,
    shape::{Attach, MapRef, ReturnValue, Role, counter},
};

impl Generator<'_> {
    /// The event waits for the function's return.
    pub(super) fn keep_until_return(&mut self, lost: Label) -> Result<(), ComposeError> {
        self.call_key()?;
        self.map(1, MapRef::Calls, PSEUDO_MAP_FD);
        self.asm.mov_reg(2, 10);
        self.asm.alu(Alu::Add, 2, i32::from(frame::CALL));
        self.asm.mov_reg(3, 7);
        self.asm.alu(Alu::Add, 3, imm(self.record_at));
        self.asm.mov(4, 0);
        self.asm.call(helper::MAP_UPDATE_ELEM);
        self.asm.jump_if(Cond::Ne, 0, 0, lost);
        Ok(())
    }

    /// The whole function, for a return: the event of the call goes out, if one waits.
    pub(super) fn returned(&mut self, value: ReturnValue) -> Result<(), ComposeError> {
        let (nowhere, end) = (self.asm.label(), self.asm.label());
        let (lost, taken, filtered) = (self.asm.label(), self.asm.label(), self.asm.label());
        self.part("slot of this CPU");
        self.slot(nowhere);
        self.enter_once(nowhere);
        self.part("the call's event");
        self.call_key()?;
        self.map(1, MapRef::Calls, PSEUDO_MAP_FD);
        self.asm.mov_reg(2, 10);
        self.asm.alu(Alu::Add, 2, i32::from(frame::CALL));
        self.asm.call(helper::MAP_LOOKUP_ELEM);
        // Filtered, limited or missed at the entry, or entered before the probe was there.
        self.asm.jump_if(Cond::Eq, 0, 0, end);
        self.asm.mov_reg(8, 0);
        // It went out already, and could not be removed.
        self.asm.load(Width::B4, 1, 8, offset_of(header::RECORD_SIZE));
        self.asm.jump_if(Cond::Eq, 1, 0, end);
        self.part("the caller");
        // A call at the same place of another task's stack, whose return was missed.
        self.asm.call(helper::GET_CURRENT_PID_TGID);
        self.asm.load(Width::B4, 1, 8, offset_of(header::TGID));
        self.asm.load(Width::B4, 2, 8, offset_of(header::PID));
        self.asm.alu(Alu::Lsh, 1, 32);
        self.asm.alu_reg(Alu::Or, 1, 2);
        self.asm.jump_if_reg(Cond::Ne, 1, 0, taken);
        self.part("the return");
        self.at_return(value)?;
        self.filter(Stage::Return, filtered)?;
        self.part("output");
        self.ring(lost);
        let most = self.shape.call_size(self.layout);
        self.asm.mov_reg(2, 8);
        self.asm.load(Width::B4, 3, 8, offset_of(header::RECORD_SIZE));
        // It was written by the program at the entry; the verifier knows nothing of that.
        self.asm.jump_if(Cond::Gt, 3, imm(most), lost);
        self.asm.mov(4, super::NO_WAKEUP);
        self.asm.call(helper::RINGBUF_OUTPUT);
        self.asm.jump_if(Cond::Ne, 0, 0, lost);
        self.count(counter::DELIVERED);
        self.asm.jump(taken);
        if self.shape.filter.iter().any(|condition| condition.stage() == Stage::Return) {
            self.asm.place(filtered);
            self.count(counter::FILTERED);
            // The entry has admitted it.
            let at = self.counters_register();
            self.asm.load(Width::B8, 1, at, counter::ADMITTED);
            self.asm.alu(Alu::Sub, 1, 1);
            self.asm.store(Width::B8, at, counter::ADMITTED, 1);
            self.asm.jump(taken);
        }
        self.asm.place(lost);
        self.count(counter::LOST);
        self.asm.place(taken);
        self.asm.store_imm(Width::B4, 8, offset_of(header::RECORD_SIZE), 0);
        self.remove_call();
        self.leave(end);
        self.end(nowhere);
        Ok(())
    }

    /// Removes what waits at this place of the stack, if something does.
    pub(super) fn forget_call(&mut self, end: Label) -> Result<(), ComposeError> {
        self.call_key()?;
        self.map(1, MapRef::Calls, PSEUDO_MAP_FD);
        self.asm.mov_reg(2, 10);
        self.asm.alu(Alu::Add, 2, i32::from(frame::CALL));
        // Nearly always there is nothing, and looking takes no lock.
        self.asm.call(helper::MAP_LOOKUP_ELEM);
        self.asm.jump_if(Cond::Eq, 0, 0, end);
        self.remove_call();
        Ok(())
    }

    fn remove_call(&mut self) {
        self.map(1, MapRef::Calls, PSEUDO_MAP_FD);
        self.asm.mov_reg(2, 10);
        self.asm.alu(Alu::Add, 2, i32::from(frame::CALL));
        self.asm.call(helper::MAP_DELETE_ELEM);
    }

    /// What is true of the return: when and where it is, and the value. r8 points at the event.
    fn at_return(&mut self, value: ReturnValue) -> Result<(), ComposeError> {
        self.asm.call(helper::KTIME_GET_NS);
        self.asm.store(Width::B8, 8, offset_of(header::TIME), 0);
        self.asm.call(helper::GET_SMP_PROCESSOR_ID);
        self.asm.store(Width::B2, 8, offset_of(header::CPU), 0);
        self.asm.load(Width::B8, 1, self.counters_register(), counter::LOST);
        self.asm.store(Width::B8, 8, offset_of(header::LOST), 1);
        // Behind the readers' sections.
        let Some(placed) = self.layout.sections().get(self.shape.readers.len()) else { return Ok(()) };
        let from = match self.shape.attach {
            Attach::Kprobe => super::RETURNED.ok_or(ComposeError::Returns)?,
            // Behind the parameters.
            _ => 8 * i16::from(value.parameters),
        };
        self.asm.load(Width::B8, 1, 6, from);
        self.asm.store(Width::B8, 8, offset(placed.offset)?, 1);
        self.asm.load(Width::B8, 1, 8, offset_of(header::SECTIONS));
        self.asm.load64(2, 1 << self.shape.readers.len().min(63));
        self.asm.alu_reg(Alu::Or, 1, 2);
        self.asm.store(Width::B8, 8, offset_of(header::SECTIONS), 1);
        Ok(())
    }

    /// Puts what the call is known by on the stack: its place there, and the probe, since a function that ends in a jump
    /// to another one leaves it its place.
    fn call_key(&mut self) -> Result<(), ComposeError> {
        match self.shape.attach {
            Attach::Kprobe => {
                self.asm.load(Width::B8, 1, 6, SP.ok_or(ComposeError::Returns)?);
                if matches!(self.shape.role, Role::Return(_)) {
                    // The return address is gone.
                    self.asm.alu(Alu::Sub, 1, 8);
                }
                self.asm.store(Width::B8, 10, frame::CALL, 1);
            }
            _ => {
                // The context's address as a number: the verifier lets no pointer be one.
                self.asm.store(Width::B8, 10, frame::VALUE, 6);
                self.asm.mov_reg(1, 10);
                self.asm.alu(Alu::Add, 1, i32::from(frame::CALL));
                self.asm.mov(2, 8);
                self.asm.mov_reg(3, 10);
                self.asm.alu(Alu::Add, 3, i32::from(frame::VALUE));
                self.asm.call(helper::PROBE_READ_KERNEL);
            }
        }
        if self.shape.count > 1 {
            self.asm.load(Width::B8, 1, 10, frame::INDEX);
        } else {
            self.asm.mov(1, 0);
        }
        self.asm.store(Width::B8, 10, frame::CALL + 8, 1);
        Ok(())
    }
}

fn offset_of(field: usize) -> i16 {
    // A field of the header's 64 bytes.
    i16::try_from(field).unwrap_or(0)
}
