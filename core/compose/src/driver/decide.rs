//! What becomes of a hit: conditions on fields that can be had early, and the rate limit.

use tracer_bpf::insn::{Alu, Cond, Label, PSEUDO_MAP_VALUE, Width};

use super::{Generator, frame, helper, imm};
use crate::{
    error::ComposeError,
    fragment::Accessor,
    shape::{COUNTERS, Condition, MapRef},
};

impl<'a> Generator<'a> {
    /// Goes on when all conditions of one alternative hold, else to `filtered`. Gives the conditions that are known to
    /// hold then.
    pub(super) fn filter(&mut self, filtered: Label) -> Result<&'a [Condition<'a>], ComposeError> {
        let shape = self.shape;
        match &shape.conditions[..] {
            [] => return Ok(&[]),
            [only] => {
                self.all_of(only, filtered)?;
                return Ok(only);
            }
            // One that asks for nothing lets everything pass.
            several if several.iter().any(Vec::is_empty) => return Ok(&[]),
            _ => {}
        }
        let passed = self.asm.label();
        for alternative in &shape.conditions {
            // What one alternative has fetched, another has not.
            let before = (self.fetched.clone(), self.nullable.clone(), self.guarded.clone());
            let next = self.asm.label();
            self.all_of(alternative, next)?;
            self.asm.jump(passed);
            self.asm.place(next);
            (self.fetched, self.nullable, self.guarded) = before;
        }
        self.asm.jump(filtered);
        self.asm.place(passed);
        Ok(&[])
    }

    fn all_of(&mut self, conditions: &'a [Condition<'a>], otherwise: Label) -> Result<(), ComposeError> {
        for (asked, condition) in conditions.iter().enumerate() {
            self.guards(Some(&condition.accessor.wants), &conditions[..asked], otherwise)?;
            self.part(&format!("filter {}.{}", condition.accessor.section, condition.accessor.field));
            self.condition(condition, otherwise)?;
        }
        Ok(())
    }

    /// Goes on when the accessor's value is among those wanted, else to `filtered`.
    pub(super) fn condition(
        &mut self,
        condition: &Condition<'_>,
        filtered: Label,
    ) -> Result<(), ComposeError> {
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
    pub(super) fn value(
        &mut self,
        fragment: usize,
        accessor: &Accessor,
        absent: Label,
    ) -> Result<(), ComposeError> {
        self.arguments(fragment, &accessor.wants)?;
        self.asm.store_imm(Width::B8, 10, frame::VALUE, 0);
        self.asm.mov_reg(2, 10);
        self.asm.alu(Alu::Add, 2, i32::from(frame::VALUE));
        self.call(fragment, &accessor.function);
        self.asm.jump_if(Cond::Eq, 0, 0, absent);
        Ok(())
    }

    /// Jumps when r1 is `value`.
    pub(super) fn jump_if_value(&mut self, value: i64, to: Label) {
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
    pub(super) fn rate(&mut self, rate: u32, limited: Label) {
        let same = self.asm.label();
        self.asm.call(helper::KTIME_GET_NS);
        self.asm.store(Width::B8, 10, frame::TIME, 0);
        self.asm.alu(Alu::Div, 0, 1_000_000_000);
        self.map_at(2, MapRef::Slots, PSEUDO_MAP_VALUE, self.shape.shared(self.layout));
        if self.shape.count > 1 {
            self.asm.load(Width::B8, 1, 10, frame::INDEX);
            self.asm.alu(Alu::Mul, 1, imm(COUNTERS));
            self.asm.alu_reg(Alu::Add, 2, 1);
        }
        self.asm.load(Width::B8, 1, 2, 0);
        // A CPU that was held up does not bring a second back.
        self.asm.jump_if_reg(Cond::Ge, 1, 0, same);
        self.asm.store(Width::B8, 2, 0, 0);
        self.asm.store_imm(Width::B8, 2, 8, 0);
        self.asm.place(same);
        self.asm.load(Width::B8, 1, 2, 8);
        self.asm.jump_if(Cond::Ge, 1, imm(rate.min(i32::MAX.unsigned_abs())), limited);
        self.asm.mov(1, 1);
        self.asm.atomic_add(2, 8, 1);
    }
}
