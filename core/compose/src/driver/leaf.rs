//! The leaves of a filter: values from wherever they are, the packet, the presence of a section.

use tracer_bpf::insn::{Alu, Cond, Label, Width};
use tracer_dsl::filter::HeaderField;
use tracer_dsl::filter::bytes::Test;
use tracer_event::{Field, Kind};

use super::{BEHIND, FILTER, Generator, frame, helper, imm, offset};
use crate::{
    error::ComposeError,
    filter::{KernelTest, Memory, Source, VALUES, ValueTest, packet},
};

/// `TASK_COMM_LEN`: include/linux/sched.h.
const COMM: i32 = 16;

impl<'a> Generator<'a> {
    /// Goes on when a value in the kernel's memory compares as it should, else to `otherwise`.
    pub(super) fn kernel(&mut self, test: &KernelTest, otherwise: Label) -> Result<(), ComposeError> {
        let scratch = self.values()?;
        self.load_argument(1, test.argument())?;
        test.emit(&mut self.asm, 1, scratch, otherwise);
        Ok(())
    }

    /// Goes on when another value compares as it should, else to `otherwise`.
    pub(super) fn value_of(
        &mut self,
        source: &'a Source<'a>,
        test: &ValueTest,
        otherwise: Label,
    ) -> Result<(), ComposeError> {
        match source {
            Source::Accessor { fragment, accessor, .. } if accessor.size > 8 => {
                let scratch = self.values()?;
                self.arguments(*fragment, &accessor.wants)?;
                self.address(2, scratch);
                self.call(*fragment, &accessor.function);
                self.asm.jump_if(Cond::Eq, 0, 0, otherwise);
                test.emit(&mut self.asm, scratch, otherwise);
            }
            // Of 64 bits whatever its field's width, and in the host's order.
            Source::Accessor { fragment, accessor, .. } => {
                self.value(*fragment, accessor, otherwise)?;
                self.asm.load(Width::B8, 1, 10, frame::VALUE);
                test.emit_number(&mut self.asm, 1, otherwise);
            }
            Source::Section { reader, field, .. } => self.of_section(*reader, field, test, otherwise)?,
            Source::Returned(field) => {
                let placed = self.layout.sections().get(self.shape.readers.len());
                let at = placed.map_or(0, |placed| placed.offset) + field.offset;
                test.emit(&mut self.asm, Memory { register: 8, offset: offset(at)? }, otherwise);
            }
            Source::Header(field) => self.of_header(*field, test, otherwise)?,
        }
        Ok(())
    }

    fn of_header(
        &mut self,
        field: HeaderField,
        test: &ValueTest,
        otherwise: Label,
    ) -> Result<(), ComposeError> {
        match field {
            HeaderField::Time => self.asm.call(helper::KTIME_GET_NS),
            HeaderField::Cpu => self.asm.call(helper::GET_SMP_PROCESSOR_ID),
            HeaderField::Pid => {
                self.asm.call(helper::GET_CURRENT_PID_TGID);
                self.asm.alu32_reg(Alu::Mov, 0, 0);
            }
            HeaderField::Tgid => {
                self.asm.call(helper::GET_CURRENT_PID_TGID);
                self.asm.alu(Alu::Rsh, 0, 32);
            }
            HeaderField::Comm => {
                let scratch = self.values()?;
                self.address(1, scratch);
                self.asm.mov(2, COMM);
                self.asm.call(helper::GET_CURRENT_COMM);
                test.emit(&mut self.asm, scratch, otherwise);
                return Ok(());
            }
            // Worked in before, as they are known before.
            HeaderField::Probe | HeaderField::Type | HeaderField::Way => {
                self.never(otherwise);
                return Ok(());
            }
        }
        self.asm.mov_reg(1, 0);
        test.emit_number(&mut self.asm, 1, otherwise);
        Ok(())
    }

    /// What a reader has written.
    fn of_section(
        &mut self,
        reader: usize,
        field: &Field,
        test: &ValueTest,
        otherwise: Label,
    ) -> Result<(), ComposeError> {
        let Some(placed) = self.layout.sections().get(reader) else {
            self.never(otherwise);
            return Ok(());
        };
        self.has(reader, otherwise);
        let Some(tail) = placed.schema.tail() else {
            let at = self.record_at + placed.offset + field.offset;
            test.emit(&mut self.asm, Memory { register: 7, offset: offset(at)? }, otherwise);
            return Ok(());
        };
        // r3 = the section, which begins where the record's variable part had got to.
        let begin = self.scratch.tails.unwrap_or(0) + 8 * u32::try_from(reader).unwrap_or(0);
        let most = placed.schema.size() + tail.max;
        let room = self.layout.max_size(0) - self.layout.fixed_end();
        self.asm.load(Width::B8, 3, 7, offset(begin)?);
        // It was stored by the program itself; the verifier knows nothing of that.
        self.asm.jump_if(Cond::Gt, 3, imm(room.saturating_sub(most)), otherwise);
        self.asm.alu_reg(Alu::Add, 3, 7);
        self.asm.alu(Alu::Add, 3, imm(self.record_at + self.layout.fixed_end()));
        let scratch = self.values()?;
        if field.kind == Kind::Text {
            test.copy_text(
                &mut self.asm,
                Memory { register: 3, offset: 0 },
                field.offset,
                scratch,
                otherwise,
            );
            test.emit(&mut self.asm, scratch, otherwise);
            return Ok(());
        }
        self.asm.mov(2, imm(field.kind.size().unwrap_or(0).min(VALUES)));
        self.asm.alu(Alu::Add, 3, imm(field.offset));
        self.address(1, scratch);
        self.asm.call(helper::PROBE_READ_KERNEL);
        self.asm.jump_if(Cond::Ne, 0, 0, otherwise);
        test.emit(&mut self.asm, scratch, otherwise);
        Ok(())
    }

    /// Goes on when a reader had something to say.
    pub(super) fn has(&mut self, reader: usize, otherwise: Label) {
        let bit = u32::try_from(reader).unwrap_or(0);
        self.asm.load(Width::B8, 1, 10, frame::PRESENT);
        self.asm.alu(Alu::Rsh, 1, imm(bit));
        self.asm.alu(Alu::And, 1, 1);
        self.asm.jump_if(Cond::Eq, 1, 0, otherwise);
    }

    /// Goes to `otherwise`, always; what is behind has to look as if it could be reached.
    pub(super) fn never(&mut self, otherwise: Label) {
        self.asm.mov(0, 0);
        self.asm.jump_if(Cond::Eq, 0, 0, otherwise);
    }

    /// Where texts and the like are put.
    fn values(&self) -> Result<Memory, ComposeError> {
        Ok(Memory { register: 7, offset: offset(self.scratch.values.unwrap_or(0))? })
    }

    fn address(&mut self, register: u8, at: Memory) {
        self.asm.mov_reg(register, at.register);
        self.asm.alu(Alu::Add, register, i32::from(at.offset));
    }

    /// Has the packet's reader put the packet into the block.
    pub(super) fn read_packet(&mut self) -> Result<(), ComposeError> {
        let Some(((fragment, reader), (at, block))) = self.shape.packet.zip(self.scratch.block.clone())
        else {
            return Ok(());
        };
        let section = at + packet::SECTION;
        self.asm.mov_reg(2, 7);
        self.asm.alu(Alu::Add, 2, imm(section));
        for word in 0..reader.schema.size().div_ceil(8) {
            self.asm.store_imm(Width::B8, 2, offset(8 * word)?, 0);
        }
        let limit = reader.tail_max.as_deref().map(|option| (option, u64::from(block.window())));
        self.arguments_with(fragment, &reader.wants, limit)?;
        self.asm.mov_reg(2, 7);
        self.asm.alu(Alu::Add, 2, imm(section));
        self.call(fragment, &reader.function);
        self.asm.mov_reg(2, 0);
        self.asm.mov_reg(1, 7);
        self.asm.alu(Alu::Add, 1, imm(at));
        self.call_generated(&format!("{FILTER}the packet as a frame"), block.frame()?);
        self.part(&format!("{BEHIND}the packet"));
        Ok(())
    }

    /// Goes on when a packet sub-expression holds.
    pub(super) fn packet(&mut self, test: &Test, otherwise: Label) -> Result<(), ComposeError> {
        let Some((at, block)) = &self.scratch.block else {
            self.never(otherwise);
            return Ok(());
        };
        let (at, insns) = (*at, block.test(test)?);
        self.asm.mov_reg(1, 7);
        self.asm.alu(Alu::Add, 1, imm(at));
        self.call_generated(&format!("{FILTER}packet sub-expression"), insns);
        self.asm.jump_if(Cond::Eq, 0, 0, otherwise);
        Ok(())
    }
}
