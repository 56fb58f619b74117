//! Guards: what a collector knows about the hits of a probe, whoever reads there. A hit at which
//! the guard's field is absent is no event, and with some values of it an argument must not be
//! touched: all readers get it as NULL then, and so what is derived from it.

use tracer_bpf::insn::{Label, Width};

use super::{GUARD, Generator, frame};
use crate::{arguments::Origin, error::ComposeError, shape::Guard};

impl<'a> Generator<'a> {
    /// The guards that have to stand before these arguments are looked at; all of those that do not stand yet, without
    /// `needs`.
    pub(super) fn guards(&mut self, needs: Option<&[usize]>, filtered: Label) -> Result<(), ComposeError> {
        let shape = self.shape;
        for (number, guard) in shape.guards.iter().enumerate() {
            let concerned = needs.is_none_or(|needs| needs.iter().any(|index| self.touches(*index, guard)));
            if concerned && !std::mem::replace(&mut self.guarded[number], true) {
                self.part(&format!("{GUARD}{}.{}", guard.accessor.section, guard.accessor.field));
                self.guard(guard, filtered)?;
            }
        }
        Ok(())
    }

    fn guard(&mut self, guard: &Guard<'a>, filtered: Label) -> Result<(), ComposeError> {
        // A condition on the same field has let some values pass only, and no absent one.
        let same = |known: &&super::decide::Known<'_>| {
            known.fragment == guard.fragment && known.function == guard.accessor.function
        };
        let known: Vec<_> = self.known.iter().filter(same).collect();
        let when = guard.when.iter().filter(|value| known.iter().all(|known| known.values.contains(value)));
        let when: Vec<i64> = when.copied().collect();
        let withheld = guard.withhold.as_ref().and_then(|ty| self.shape.arguments.index(ty));
        let withheld = withheld.filter(|index| !when.is_empty() && !self.fetched[*index]);
        if withheld.is_none() && !known.is_empty() {
            return Ok(());
        }
        // On both paths behind the test, the same arguments are there.
        if let Some(Origin::Derived { from, .. }) =
            withheld.and_then(|index| self.shape.arguments.at(index)).map(|a| a.origin)
        {
            self.fetch(from)?;
        }
        self.value(guard.fragment, guard.accessor, filtered)?;
        let Some(index) = withheld else { return Ok(()) };
        let behind = self.asm.label();
        self.asm.store_imm(Width::B8, 10, Self::argument(index), 0);
        self.asm.load(Width::B8, 1, 10, frame::VALUE);
        for value in when {
            self.jump_if_value(value, behind);
        }
        self.fetch(index)?;
        self.asm.place(behind);
        self.nullable[index] = true;
        Ok(())
    }

    /// Whether an argument is withheld by the guard, or derived from what is.
    fn touches(&self, index: usize, guard: &Guard<'_>) -> bool {
        let arguments = self.shape.arguments;
        let Some(withheld) = guard.withhold.as_ref().and_then(|ty| arguments.index(ty)) else { return false };
        let mut index = index;
        while index != withheld {
            match arguments.at(index).map(|a| a.origin) {
                // Origins lead to arguments before them.
                Some(Origin::Derived { from, .. }) => index = from,
                _ => return false,
            }
        }
        true
    }
}
