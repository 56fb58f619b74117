//! Arithmetic on a packet's bytes, `tcp[tcpflags] & tcp-syn != 0`: how strongly operators bind, and which numbers have
//! names.

use std::ops::Range;

use pest::iterators::Pair;

use super::names;
use super::read::{Reader, Rule, span};
use super::tree::{Arith, NodeKind, Operator, Order, Primitive, Protocol};
use crate::diagnostic::Diagnostic;

impl Reader {
    pub(super) fn relation<'i>(
        &mut self,
        left: Pair<'i, Rule>,
        mut rest: impl Iterator<Item = Pair<'i, Rule>>,
    ) -> Option<NodeKind> {
        let order = rest.next()?;
        let left = self.arith(left);
        let right = self.arith(rest.next()?);
        let order = Order::from_sign(order.as_str().trim_end());
        Some(NodeKind::Packet(Primitive::Relation(left?, order, right?)))
    }

    /// Joined by the binding of libpcap's grammar: `|` least, then `&`, shifts, sums, products. `^` stands with `|`, `%`
    /// with the products.
    fn arith(&mut self, pair: Pair<'_, Rule>) -> Option<Arith> {
        let place = span(&pair);
        let mut values: Vec<Arith> = Vec::new();
        let mut operators: Vec<Operator> = Vec::new();
        for (number, inner) in pair.into_inner().enumerate() {
            if number > 64 {
                return self.refuse(Diagnostic::error("more than 32 numbers are joined"), place);
            }
            if inner.as_rule() != Rule::binary {
                values.push(self.unary(inner)?);
                continue;
            }
            let operator = operator(inner.as_str().trim_end());
            while operators.last().is_some_and(|before| binding(*before) >= binding(operator)) {
                self.reduce(&mut values, &mut operators, &place)?;
            }
            operators.push(operator);
        }
        while !operators.is_empty() {
            self.reduce(&mut values, &mut operators, &place)?;
        }
        values.pop()
    }

    fn reduce(
        &mut self,
        values: &mut Vec<Arith>,
        operators: &mut Vec<Operator>,
        place: &Range<usize>,
    ) -> Option<()> {
        let (operator, right, left) = (operators.pop()?, values.pop()?, values.pop()?);
        match (operator, &right) {
            (Operator::Divide | Operator::Remainder, Arith::Number(0)) => {
                return self.refuse(Diagnostic::error("division by zero"), place.clone());
            }
            (Operator::ShiftLeft | Operator::ShiftRight, Arith::Number(32..)) => {
                return self.refuse(Diagnostic::error("a shift by more than 31 bits"), place.clone());
            }
            _ => {}
        }
        values.push(Arith::Binary(operator, Box::new(left), Box::new(right)));
        Some(())
    }

    fn unary(&mut self, pair: Pair<'_, Rule>) -> Option<Arith> {
        let mut negative = false;
        for inner in pair.into_inner() {
            let value = match inner.as_rule() {
                Rule::minus => {
                    negative = !negative;
                    continue;
                }
                Rule::length => Arith::Length,
                Rule::natural => Arith::Number(self.natural(&inner, u64::from(u32::MAX))?),
                Rule::inside => self.arith(inner.into_inner().next()?)?,
                Rule::load => self.load(inner)?,
                _ => {
                    let (name, place) = (inner.as_str().trim_end(), span(&inner));
                    match names::constant(name) {
                        Some(number) => Arith::Number(number),
                        None => {
                            let found =
                                Diagnostic::unknown("constant", name, names::CONSTANTS.map(|(n, _)| n));
                            return self.refuse(found, place);
                        }
                    }
                }
            };
            return Some(if negative { Arith::Negative(Box::new(value)) } else { value });
        }
        None
    }

    fn load(&mut self, pair: Pair<'_, Rule>) -> Option<Arith> {
        let mut inner = pair.into_inner();
        let protocol = Protocol::from_word(inner.next()?.as_str().trim_end());
        let offset = self.arith(inner.next()?)?;
        let size = match inner.next() {
            None => 1,
            Some(size) => match self.natural(&size, 4)? {
                3 | 0 => {
                    let found = Diagnostic::error("a number of this size cannot be read");
                    return self.refuse(found.because("there are 1, 2 and 4 bytes"), span(&size));
                }
                bytes => bytes,
            },
        };
        Some(Arith::Load { protocol, offset: Box::new(offset), size })
    }
}

fn operator(sign: &str) -> Operator {
    match sign {
        "-" => Operator::Subtract,
        "*" => Operator::Multiply,
        "/" => Operator::Divide,
        "%" => Operator::Remainder,
        "&" => Operator::And,
        "|" => Operator::Or,
        "^" => Operator::Xor,
        "<<" => Operator::ShiftLeft,
        ">>" => Operator::ShiftRight,
        _ => Operator::Add,
    }
}

fn binding(operator: Operator) -> u8 {
    match operator {
        Operator::Or | Operator::Xor => 0,
        Operator::And => 1,
        Operator::ShiftLeft | Operator::ShiftRight => 2,
        Operator::Add | Operator::Subtract => 3,
        Operator::Multiply | Operator::Divide | Operator::Remainder => 4,
    }
}
