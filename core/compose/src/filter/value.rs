//! A comparison as BPF makes it: checked against what the field is, and turned into numbers, texts or bytes.

use tracer_bpf::{
    Assembler,
    insn::{Alu, Cond, Label, Width},
};
use tracer_dsl::Diagnostic;
use tracer_dsl::filter::tree::{Comparison, Order};
use tracer_dsl::filter::{Class, Filter, HeaderField, Operand, is_like};
use tracer_event::{Field, Kind, Show};

use super::bytes::BytesTest;
use super::helper;
use super::number::{Number, NumberTest};
use super::text::{End, TextTest};

/// A place in memory: a register and bytes from there. The register's address is a multiple of 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// r6 to r10: the others are changed.
    pub register: u8,
    /// Bytes; what is read there ends below 32 KiB.
    pub offset: i16,
}

impl Memory {
    /// So many bytes further on.
    pub(super) fn behind(self, bytes: usize) -> Self {
        let bytes = i16::try_from(bytes).unwrap_or(i16::MAX);
        Self { offset: self.offset.saturating_add(bytes), ..self }
    }

    /// `to` = the address.
    pub(super) fn address(self, asm: &mut Assembler, to: u8) {
        asm.mov_reg(to, self.register);
        if self.offset != 0 {
            asm.alu(Alu::Add, to, i32::from(self.offset));
        }
    }
}

/// How a value lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A number.
    Number(Number),
    /// A text that ends at the first NUL, or after that many bytes.
    Text(u32),
    /// The same, where one of that many bytes was cut: it is read with `…` behind it, as in stored traces.
    Cut(u32),
    /// At least as many bytes as it is compared with.
    Bytes,
}

impl Form {
    /// That of a section's field; `None` for a [`Kind::Text`], whose bytes are elsewhere (see [`ValueTest::copy_text`]), and
    /// for tails.
    pub fn of(field: &Field) -> Option<Form> {
        let big_endian = matches!(field.show, Show::Be16 | Show::Be32 | Show::Ipv4);
        Some(match field.kind {
            Kind::Uint(bytes) => Form::Number(Number { big_endian, ..Number::plain(bytes, false) }),
            Kind::Int(bytes) => Form::Number(Number::plain(bytes, true)),
            Kind::Enum { width, signed, .. } => Form::Number(Number::plain(width, signed)),
            Kind::Bytes(_) => Form::Bytes,
            Kind::Str(bytes) => Form::Cut(bytes),
            Kind::Text | Kind::Tail => return None,
        })
    }
}

/// A comparison, checked, of a value of one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueTest {
    form: Form,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Number(NumberTest),
    Text(TextTest),
    Bytes(BytesTest),
}

impl ValueTest {
    /// Checks a comparison of values that are `class` and lie in memory as `form` says.
    ///
    /// # Errors
    /// What does not fit the class ([`Class::operands`]), and a pattern that is too long, with its place in the filter's
    /// text.
    pub fn new(
        class: &Class,
        form: Form,
        filter: &Filter,
        comparison: &Comparison,
    ) -> Result<ValueTest, Box<Diagnostic>> {
        let operands = class.operands(filter, comparison)?;
        let what = match form {
            Form::Number(number) => {
                let values =
                    operands.iter().flat_map(|operand| numbers(class, number, comparison.order, operand));
                What::Number(NumberTest {
                    mask: comparison.mask,
                    signed: number.signed,
                    order: if comparison.order == Order::Like { Order::In } else { comparison.order },
                    values: values.collect(),
                })
            }
            Form::Text(cap) | Form::Cut(cap) => {
                let tail = if matches!(form, Form::Cut(_)) { "…" } else { "" };
                let texts = operands.into_iter().filter_map(|operand| match operand {
                    Operand::Text(text) => Some(text),
                    Operand::Number(_) | Operand::Bytes(_) => None,
                });
                let test = TextTest::new(End { cap, tail }, comparison.order, texts.collect());
                What::Text(test.map_err(|reason| {
                    let place =
                        comparison.values.first().map_or(comparison.path.span.clone(), |v| v.span.clone());
                    let found = Diagnostic::error("this cannot be asked in the kernel").at(filter.at(place));
                    Box::new(found.because(reason))
                })?)
            }
            Form::Bytes => {
                let values = operands.into_iter().filter_map(|operand| match operand {
                    Operand::Bytes(bytes) => Some(bytes),
                    Operand::Number(_) | Operand::Text(_) => None,
                });
                let negated = comparison.order == Order::Unequal;
                What::Bytes(BytesTest { negated, values: values.collect() })
            }
        };
        Ok(ValueTest { form, what })
    }

    /// Checks a comparison of a section's field. A [`Kind::Text`] is asked where [`ValueTest::copy_text`] put it.
    ///
    /// # Errors
    /// As [`ValueTest::new`]; and a field that cannot be compared.
    pub fn of_field(
        field: &Field,
        filter: &Filter,
        comparison: &Comparison,
    ) -> Result<ValueTest, Box<Diagnostic>> {
        let class = match Class::of(field) {
            // Of several names of a value the first counts, as in stored traces.
            Class::Enum(mut names) => {
                let mut seen = std::collections::HashSet::new();
                names.retain(|(value, _)| seen.insert(*value));
                Class::Enum(names)
            }
            class => class,
        };
        let form = Form::of(field).unwrap_or(Form::Text(TextTest::MOST));
        ValueTest::new(&class, form, filter, comparison)
    }

    /// Checks a comparison of a field of the header, as the record has it. The names that a probe has are not in its
    /// records: see [`ValueTest::holds`].
    ///
    /// # Errors
    /// As [`ValueTest::new`].
    pub fn of_header(
        field: HeaderField,
        filter: &Filter,
        comparison: &Comparison,
    ) -> Result<ValueTest, Box<Diagnostic>> {
        let form = match field {
            HeaderField::Time => Form::Number(Number::plain(8, false)),
            HeaderField::Cpu => Form::Number(Number::plain(2, false)),
            HeaderField::Pid | HeaderField::Tgid => Form::Number(Number::plain(4, false)),
            HeaderField::Comm => Form::Text(16),
            HeaderField::Probe | HeaderField::Type | HeaderField::Way => Form::Text(u32::MAX),
        };
        ValueTest::new(&field.class(), form, filter, comparison)
    }

    /// A number that is one of these; `None` for a field that is no number.
    pub fn one_of(field: &Field, values: &[i64]) -> Option<ValueTest> {
        let form = Form::of(field)?;
        let Form::Number(number) = form else { return None };
        let values = values.iter().map(|value| i128::from(*value)).collect();
        let test = NumberTest { mask: None, signed: number.signed, order: Order::In, values };
        Some(ValueTest { form, what: What::Number(test) })
    }

    /// How many patterns are searched for, and how many values there are.
    pub(super) fn counts(&self) -> (usize, usize) {
        match &self.what {
            What::Number(test) => (0, test.values.len()),
            What::Text(test) => test.counts(),
            What::Bytes(test) => (0, test.values.len()),
        }
    }

    /// The numbers that pass, where no others do.
    pub(crate) fn only(&self) -> Option<Vec<i64>> {
        match &self.what {
            What::Number(NumberTest { mask: None, order: Order::Equal | Order::In, values, .. }) => {
                values.iter().map(|value| i64::try_from(*value).ok()).collect()
            }
            _ => None,
        }
    }

    /// The form that it is of.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Whether it holds for a text that is known beforehand; `None` where it is about no text.
    pub fn holds(&self, text: &str) -> Option<bool> {
        match &self.what {
            What::Text(test) => Some(test.holds(text)),
            What::Number(_) | What::Bytes(_) => None,
        }
    }

    /// Bytes of the value that it looks at; a text's end counts.
    pub fn looks_at(&self) -> u32 {
        match (&self.what, self.form) {
            (_, Form::Number(number)) => number.bytes.into(),
            (What::Text(test), _) => test.looks_at(),
            (What::Bytes(test), _) => {
                let longest = test.values.iter().map(Vec::len).max().unwrap_or(0);
                u32::try_from(longest).unwrap_or(u32::MAX)
            }
            (What::Number(_), _) => 8,
        }
    }

    /// The same, and only these bits of the number count.
    #[must_use]
    pub(super) fn masked(mut self, more: u64) -> Self {
        if let What::Number(test) = &mut self.what {
            test.mask = Some(test.mask.map_or(more, |mask| mask & more));
        }
        self
    }

    /// Asks of a value in memory, where [`ValueTest::looks_at`] bytes can be read; a bitfield's are rounded up to 4 or 8.
    /// Falls through where it holds. Changes r0 to r5.
    pub fn emit(&self, asm: &mut Assembler, at: Memory, otherwise: Label) {
        match (&self.what, self.form) {
            (What::Number(test), Form::Number(number)) => {
                number.load(asm, at);
                test.emit(asm, 1, otherwise);
            }
            (What::Number(test), _) => test.emit(asm, 1, otherwise),
            (What::Text(test), _) => test.emit(asm, at, otherwise),
            (What::Bytes(test), _) => test.emit(asm, at, otherwise),
        }
    }

    /// Bytes of scratch memory that [`ValueTest::copy_text`] uses.
    pub fn copies(&self) -> u32 {
        (self.looks_at() + 1).next_multiple_of(8)
    }

    /// Puts as much of a [`Kind::Text`] as it looks at into the scratch memory, with a NUL behind it: there it can be
    /// asked. `section` is the section in the record, and may be in any register; `field` the field's offset in it. Goes
    /// to `otherwise` where that fails. Changes r0 to r5.
    pub fn copy_text(
        &self,
        asm: &mut Assembler,
        section: Memory,
        field: u32,
        scratch: Memory,
        otherwise: Label,
    ) {
        let short = asm.label();
        let most = self.looks_at().min(TextTest::MOST).cast_signed();
        section.address(asm, 4);
        asm.load(Width::B4, 3, 4, i16::try_from(field).unwrap_or(i16::MAX));
        asm.mov_reg(2, 3);
        asm.alu(Alu::Rsh, 2, 16);
        asm.alu(Alu::And, 3, 0xffff);
        asm.jump_if(Cond::Le, 2, most, short);
        asm.mov(2, most);
        asm.place(short);
        // The end first: behind the call nobody knows the length.
        scratch.address(asm, 1);
        asm.alu_reg(Alu::Add, 1, 2);
        asm.store_imm(Width::B1, 1, 0, 0);
        scratch.address(asm, 1);
        asm.alu_reg(Alu::Add, 3, 4);
        asm.call(helper::PROBE_READ_KERNEL);
        asm.jump_if(Cond::Slt, 0, 0, otherwise);
    }

    /// Asks of a number in a register from r1 to r5 that is extended to 64 bits and in the host's order. Falls through
    /// where it holds, and where it is about no number. Changes that register and r0.
    pub fn emit_number(&self, asm: &mut Assembler, register: u8, otherwise: Label) {
        if let What::Number(test) = &self.what {
            test.emit(asm, register, otherwise);
        }
    }
}

/// The numbers that an operand stands for.
fn numbers(class: &Class, number: Number, order: Order, operand: &Operand) -> Vec<i128> {
    match operand {
        Operand::Number(value) => vec![*value],
        Operand::Text(text) => {
            let Class::Enum(names) = class else { return Vec::new() };
            let wanted = |name: &str| if order == Order::Like { is_like(name, text) } else { name == text };
            let found = names.iter().filter(|(_, name)| wanted(name));
            let values = found.map(|(value, _)| match number.signed {
                true => i128::from(*value),
                // Enums of 64 unsigned bits come as signed numbers.
                false => i128::from(value.cast_unsigned()),
            });
            values.collect()
        }
        Operand::Bytes(bytes) => <[u8; 4]>::try_from(&bytes[..])
            .map(|bytes| u32::from_be_bytes(bytes).into())
            .into_iter()
            .collect(),
    }
}

/// Goes to `otherwise` always. The verifier wants every instruction to be reached by some way, and sees itself that this
/// jump is taken.
pub(super) fn never(asm: &mut Assembler, otherwise: Label) {
    asm.mov(0, 0);
    asm.jump_if(Cond::Eq, 0, 0, otherwise);
}

/// `register &= bits`.
pub(super) fn and(asm: &mut Assembler, register: u8, bits: u64, spare: u8) {
    match i32::try_from(bits.cast_signed()) {
        Ok(bits) => asm.alu(Alu::And, register, bits),
        Err(_) => {
            asm.load64(spare, bits);
            asm.alu_reg(Alu::And, register, spare);
        }
    }
}

/// Jumps if `register condition bits`, all 64 of them. Changes r0.
pub(super) fn jump_if(asm: &mut Assembler, condition: Cond, register: u8, bits: u64, to: Label) {
    match i32::try_from(bits.cast_signed()) {
        Ok(immediate @ 0..) => asm.jump_if(condition, register, immediate, to),
        // Not all that run BPF agree on whether such an immediate of an unsigned jump is sign-extended.
        Ok(immediate) => {
            asm.mov(0, immediate);
            asm.jump_if_reg(condition, register, 0, to);
        }
        Err(_) => {
            asm.load64(0, bits);
            asm.jump_if_reg(condition, register, 0, to);
        }
    }
}
