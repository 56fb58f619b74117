//! A test as a graph of questions: each leads to the next one or to an answer. A question whose answer is known from those
//! asked before on the way is passed by, so that of `host A or host B or ...` each kind of packet is asked its own
//! addresses only, as libpcap's optimizer has it. What is passed by was read before on the same way, so that it cannot
//! be beyond the data.

use std::collections::{BTreeMap, BTreeSet};

use tracer_dsl::filter::bytes::{Load, Number, Test};
use tracer_dsl::filter::tree::{Operator, Order};

/// Where an answer leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// The next question.
    Ask(usize),
    Holds,
    Fails,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    Compare(Compare),
    /// See [`Test::Chain`].
    Chain {
        network: usize,
        six: bool,
        protocol: u8,
    },
    Relation {
        left: Number,
        order: Order,
        right: Number,
    },
}

/// The bits of `mask` against a number. The mask is no wider than what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compare {
    pub(super) load: Load,
    pub(super) mask: u32,
    pub(super) order: Order,
    pub(super) value: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) ask: Ask,
    pub(super) yes: Goal,
    pub(super) no: Goal,
}

/// Answers lead to questions with lower numbers only.
#[derive(Debug, Clone)]
pub(super) struct Graph {
    pub(super) questions: Vec<Question>,
    pub(super) first: Goal,
}

impl Graph {
    pub(super) fn new(test: &Test) -> Graph {
        let mut graph = Graph { questions: Vec::new(), first: Goal::Fails };
        graph.first = graph.add(test, Goal::Holds, Goal::Fails);
        graph.pass_by();
        graph
    }

    /// From the end to the begin, since an answer needs its goal.
    fn add(&mut self, test: &Test, yes: Goal, no: Goal) -> Goal {
        match test {
            Test::Not(inside) => self.add(inside, no, yes),
            Test::All(parts) => parts.iter().rev().fold(yes, |yes, part| self.add(part, yes, no)),
            Test::Any(parts) => parts.iter().rev().fold(no, |no, part| self.add(part, yes, no)),
            Test::Compare { load, mask, order, value } => {
                let (mask, order, value) = (mask & width_mask(load.size), *order, *value);
                self.push(Ask::Compare(Compare { load: *load, mask, order, value }), yes, no)
            }
            Test::Chain { network, six, protocol } => {
                self.push(Ask::Chain { network: *network, six: *six, protocol: *protocol }, yes, no)
            }
            Test::Relation { left, order, right } => {
                let ask = match compare(left, *order, right) {
                    Some(compare) => Ask::Compare(compare),
                    None => Ask::Relation { left: left.clone(), order: *order, right: right.clone() },
                };
                self.push(ask, yes, no)
            }
        }
    }

    fn push(&mut self, ask: Ask, yes: Goal, no: Goal) -> Goal {
        self.questions.push(Question { ask, yes, no });
        Goal::Ask(self.questions.len() - 1)
    }

    /// Leads answers past questions that are decided by then. What is known at a question is what is known on all ways
    /// to it; those that no way leads to any more are passed by too.
    fn pass_by(&mut self) {
        let mut known: Vec<Option<Facts>> = vec![None; self.questions.len()];
        if let Goal::Ask(first) = self.first {
            known[first] = Some(Facts::default());
        }
        for at in (0..self.questions.len()).rev() {
            let Some(facts) = known[at].take() else { continue };
            let Question { ask, yes, no } = self.questions[at].clone();
            let leads = [(true, yes), (false, no)].map(|(answer, goal)| {
                let mut facts = facts.clone();
                if let Ask::Compare(compare) = &ask {
                    facts.note(compare, answer);
                }
                let goal = self.decided(goal, &facts);
                if let Goal::Ask(next) = goal {
                    match &mut known[next] {
                        Some(other) => other.meet(&facts),
                        none => *none = Some(facts),
                    }
                }
                goal
            });
            [self.questions[at].yes, self.questions[at].no] = leads;
        }
    }

    fn decided(&self, mut goal: Goal, facts: &Facts) -> Goal {
        while let Goal::Ask(at) = goal {
            let Question { ask: Ask::Compare(compare), yes, no } = &self.questions[at] else { break };
            goal = match facts.answer(compare) {
                Some(true) => *yes,
                Some(false) => *no,
                None => break,
            };
        }
        goal
    }
}

pub(super) fn width_mask(size: u8) -> u32 {
    match size {
        1 => 0xff,
        2 => 0xffff,
        _ => u32::MAX,
    }
}

/// A relation of something at a fixed place and a constant.
fn compare(left: &Number, order: Order, right: &Number) -> Option<Compare> {
    if let (Some((load, mask)), Number::Constant(value)) = (masked(left), right) {
        return Some(Compare { load, mask, order, value: *value });
    }
    let (Number::Constant(value), Some((load, mask))) = (left, masked(right)) else { return None };
    let order = match order {
        Order::Less => Order::Greater,
        Order::LessOrEqual => Order::GreaterOrEqual,
        Order::Greater => Order::Less,
        Order::GreaterOrEqual => Order::LessOrEqual,
        same => same,
    };
    Some(Compare { load, mask, order, value: *value })
}

fn masked(number: &Number) -> Option<(Load, u32)> {
    if let Number::Binary(Operator::And, left, right) = number {
        return match (&**left, &**right) {
            (Number::Constant(bits), inside) | (inside, Number::Constant(bits)) => {
                let (load, mask) = masked(inside)?;
                Some((load, mask & bits))
            }
            _ => None,
        };
    }
    let load = fixed(number)?;
    Some((load, width_mask(load.size)))
}

/// A read whose place depends on nothing but the length of an IPv4 header.
pub(super) fn fixed(number: &Number) -> Option<Load> {
    let Number::Load { load, index } = number else { return None };
    let Number::Constant(index) = **index else { return None };
    // Far from where the sum would wrap.
    let offset = usize::from(u16::try_from(index).ok()?);
    Some(Load { offset: load.offset.checked_add(offset)?, ..*load })
}

/// [`Load`] as a key.
pub(super) type Key = (usize, Option<usize>, u8);

pub(super) fn key(load: Load) -> Key {
    (load.offset, load.behind_ipv4, load.size)
}

/// What is known of the packet's bytes, by place and mask. A place that is here was read.
#[derive(Debug, Clone, Default)]
struct Facts(BTreeMap<(Key, u32), Fact>);

/// A number is from the one to the other and none of a few.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fact {
    from: u32,
    to: u32,
    not: BTreeSet<u32>,
}

/// The most numbers remembered that something is not: enough for EtherTypes and protocols.
const NOT_MAX: usize = 16;

impl Facts {
    fn note(&mut self, compare: &Compare, answer: bool) {
        let Compare { load, mask, order, value } = *compare;
        let fact = self.0.entry((key(load), mask)).or_insert_with(|| Fact::any(mask));
        match (order, answer) {
            (Order::Equal | Order::In | Order::Like, true) | (Order::Unequal, false) => {
                fact.within(value, value);
            }
            (Order::Equal | Order::In | Order::Like, false) | (Order::Unequal, true) => {
                if fact.not.len() < NOT_MAX {
                    fact.not.insert(value);
                }
            }
            (Order::Less, true) | (Order::GreaterOrEqual, false) => fact.within(0, value.saturating_sub(1)),
            (Order::LessOrEqual, true) | (Order::Greater, false) => fact.within(0, value),
            (Order::Greater, true) | (Order::LessOrEqual, false) => {
                fact.within(value.saturating_add(1), u32::MAX);
            }
            (Order::GreaterOrEqual, true) | (Order::Less, false) => fact.within(value, u32::MAX),
        }
    }

    fn answer(&self, compare: &Compare) -> Option<bool> {
        let Compare { load, mask, order, value } = *compare;
        let whole = self.0.get(&(key(load), width_mask(load.size)));
        if let Some(Fact { from, to, .. }) = whole
            && from == to
        {
            return Fact { from: from & mask, to: from & mask, not: BTreeSet::new() }.answer(order, value);
        }
        self.0.get(&(key(load), mask))?.answer(order, value)
    }

    fn meet(&mut self, other: &Facts) {
        self.0.retain(|key, fact| match other.0.get(key) {
            None => false,
            Some(other) => {
                fact.from = fact.from.min(other.from);
                fact.to = fact.to.max(other.to);
                // What is outside of the one's range is not that number either.
                let Fact { from, to, not } = other;
                fact.not.retain(|number| not.contains(number) || number < from || number > to);
                true
            }
        });
    }
}

impl Fact {
    fn any(mask: u32) -> Fact {
        Fact { from: 0, to: mask, not: BTreeSet::new() }
    }

    fn within(&mut self, from: u32, to: u32) {
        (self.from, self.to) = (self.from.max(from), self.to.min(to));
    }

    fn answer(&self, order: Order, value: u32) -> Option<bool> {
        let Fact { from, to, not } = self;
        let sure = |yes: bool, no: bool| yes.then_some(true).or(no.then_some(false));
        match order {
            Order::Equal | Order::In | Order::Like => {
                sure(*from == value && *to == value, value < *from || value > *to || not.contains(&value))
            }
            Order::Unequal => self.answer(Order::Equal, value).map(|equal| !equal),
            Order::Less => sure(*to < value, *from >= value),
            Order::LessOrEqual => sure(*to <= value, *from > value),
            Order::Greater => sure(*from > value, *to <= value),
            Order::GreaterOrEqual => sure(*from >= value, *to < value),
        }
    }
}

impl Compare {
    /// The answer, where it does not depend on what is read.
    pub(super) fn answer(&self) -> Option<bool> {
        Fact::any(self.mask).answer(self.order, self.value)
    }
}
