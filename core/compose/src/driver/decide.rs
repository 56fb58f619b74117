//! What becomes of a hit: whether the filter lets it pass, and the rate limit.
//!
//! The filter is conditions that must all hold. Each is decided as early as it can be: before anything is read, or right behind
//! the last reader that it asks about. What a condition needs is fetched before it, on a path that every hit takes, and
//! then only looked at; so what is known behind it does not depend on how it was decided.

use tracer_bpf::insn::{Alu, Cond, Label, PSEUDO_MAP_VALUE, Width};

use super::{FILTER, Generator, frame, helper, imm};
use crate::{
    error::ComposeError,
    filter::{Condition, Source, Stage},
    fragment::Accessor,
    shape::{COUNTERS, MapRef},
};

/// What a condition that was decided has settled: an accessor's value is one of these.
pub(super) struct Known<'a> {
    pub(super) fragment: usize,
    pub(super) function: &'a str,
    pub(super) values: Vec<i64>,
}

impl<'a> Generator<'a> {
    /// Goes on when all conditions of a stage hold, else to `filtered`.
    pub(super) fn filter(&mut self, stage: Stage, filtered: Label) -> Result<(), ComposeError> {
        let shape = self.shape;
        for condition in shape.filter.iter().filter(|condition| condition.stage() == stage) {
            self.conjunct(condition, filtered)?;
        }
        Ok(())
    }

    fn conjunct(&mut self, condition: &'a Condition<'a>, filtered: Label) -> Result<(), ComposeError> {
        let needs = self.needs(condition);
        self.guards(Some(&needs), filtered)?;
        self.part(&format!("{FILTER}{}", condition.subject()));
        for index in needs {
            self.fetch(index)?;
        }
        let asks_packet = condition.leaves().into_iter().any(|leaf| matches!(leaf, Condition::Packet(_)));
        if asks_packet && !std::mem::replace(&mut self.packet_is_read, true) {
            self.read_packet()?;
        }
        self.decide(condition, filtered)?;
        if let Condition::Value(Source::Accessor { fragment, accessor, .. }, test) = condition
            && let Some(values) = test.only()
        {
            self.known.push(Known { fragment: *fragment, function: &accessor.function, values });
        }
        Ok(())
    }

    /// The arguments that a condition looks at, or reads through.
    fn needs(&self, condition: &Condition<'_>) -> Vec<usize> {
        let mut needs: Vec<usize> = Vec::new();
        for leaf in condition.leaves() {
            let wants = match leaf {
                Condition::Value(Source::Accessor { accessor, .. }, _) => Some(&accessor.wants),
                Condition::Packet(_) => self.shape.packet.map(|(_, reader)| &reader.wants),
                Condition::Followed { follow, .. } => Some(&follow.asked.wants),
                Condition::Kernel { test, .. } => {
                    needs.push(test.argument());
                    None
                }
                _ => None,
            };
            let members = wants.into_iter().flat_map(|wants| &wants.members);
            needs.extend(members.filter_map(|want| self.shape.arguments.index(want.argument()?)));
        }
        needs
    }

    /// Goes on when it holds, else to `otherwise`.
    fn decide(&mut self, condition: &'a Condition<'a>, otherwise: Label) -> Result<(), ComposeError> {
        match condition {
            Condition::Constant(true) => {}
            Condition::Constant(false) => self.never(otherwise),
            Condition::Not(inside) => {
                let holds = self.asm.label();
                self.decide(inside, holds)?;
                self.asm.jump(otherwise);
                self.asm.place(holds);
            }
            Condition::All(parts) => {
                for part in parts {
                    self.decide(part, otherwise)?;
                }
            }
            Condition::Any(parts) => {
                let holds = self.asm.label();
                let Some((last, others)) = parts.split_last() else {
                    self.never(otherwise);
                    return Ok(());
                };
                for part in others {
                    let next = self.asm.label();
                    self.decide(part, next)?;
                    self.asm.jump(holds);
                    self.asm.place(next);
                }
                self.decide(last, otherwise)?;
                self.asm.place(holds);
            }
            Condition::Packet(test) => self.packet(test, otherwise)?,
            Condition::Has(reader) => self.has(*reader, otherwise),
            Condition::Followed { fragment, follow } => {
                self.arguments(*fragment, &follow.asked.wants)?;
                self.call(*fragment, &follow.asked.function);
                self.asm.jump_if(Cond::Eq, 0, 0, otherwise);
            }
            Condition::Kernel { test, .. } => self.kernel(test, otherwise)?,
            Condition::Value(source, test) => self.value_of(source, test, otherwise)?,
        }
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
