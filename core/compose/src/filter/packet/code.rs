//! The function that asks a sub-expression. Each question becomes a few instructions whose jumps are the short way out:
//! no answer is ever a number. What was proven or read on all ways to a question is not proven or read again: how many
//! bytes are there, where the payload of an IPv4 header begins, and up to four numbers that are asked more than once.
//!
//! For the verifier, the frame's begin and size are numbers of which it knows only that the first is at most the offset
//! of the data. So it finds one state where ways meet, and prunes.

use std::collections::HashMap;

use tracer_bpf::{
    Assembler, Insn,
    insn::{Alu, Cond, Label, Width},
};
use tracer_dsl::filter::bytes::{Load, Test};
use tracer_dsl::filter::tree::Order;

use super::graph::{Ask, Compare, Goal, Graph, Key, fixed, key, width_mask};
use super::{Block, FIRST, INSNS_MAX, PRESENT, PacketError, SIZE, START, STATE};

/// A number that is computed.
pub(super) const VALUE: u8 = 0;
/// For anything, between two instructions.
pub(super) const SCRATCH: u8 = 1;
/// Numbers that are asked again, as they stand in the packet.
const KEPT: [u8; 4] = [2, 3, 4, 5];
/// The frame's first byte.
pub(super) const FRAME: u8 = 6;
/// Bytes of the frame.
pub(super) const BYTES: u8 = 7;
pub(super) const BLOCK: u8 = 8;
/// Bytes of the IPv4 header that [`State::header`] says.
pub(super) const HEADER_LEN: u8 = 9;

/// Nothing behind this runs: it reads beyond the window, or divides by 0.
pub(super) struct Dead;

/// What holds at a question, whichever way led there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    /// Bytes that are there.
    bytes: u32,
    /// Not more than this many bytes at the begin are unknown.
    unknown: u32,
    /// Where the header is whose length is in [`HEADER_LEN`].
    header: Option<usize>,
    /// Bytes that are there behind as many as [`HEADER_LEN`] says.
    behind: u32,
    /// What is in the registers of [`KEPT`].
    kept: [Option<Key>; KEPT.len()],
}

impl State {
    fn meet(self, other: State) -> State {
        let header = self.header.filter(|_| self.header == other.header);
        State {
            bytes: self.bytes.min(other.bytes),
            unknown: self.unknown.max(other.unknown),
            header,
            behind: if header.is_some() { self.behind.min(other.behind) } else { 0 },
            kept: std::array::from_fn(|i| self.kept[i].filter(|_| self.kept[i] == other.kept[i])),
        }
    }
}

pub(super) struct Code {
    pub(super) asm: Assembler,
    pub(super) window: u32,
    pub(super) fails: Label,
    pub(super) state: State,
    holds: Label,
    holds_used: bool,
    places: Vec<Label>,
    arrivals: Vec<Option<State>>,
    /// How often each number is still asked.
    uses: HashMap<Key, usize>,
}

pub(super) fn generate(block: &Block, test: &Test) -> Result<Vec<Insn>, PacketError> {
    let graph = Graph::new(test);
    let mut asm = Assembler::default();
    let (holds, fails) = (asm.label(), asm.label());
    let places = graph.questions.iter().map(|_| asm.label()).collect();
    let start = State { bytes: 0, unknown: 12, header: None, behind: 0, kept: [None; KEPT.len()] };
    let mut code = Code {
        asm,
        window: block.window,
        fails,
        state: start,
        holds,
        holds_used: false,
        places,
        arrivals: vec![None; graph.questions.len()],
        uses: HashMap::new(),
    };
    code.prologue(block.data());
    code.questions(&graph)?;
    code.finish()
}

impl Code {
    fn prologue(&mut self, data: u32) {
        let asm = &mut self.asm;
        asm.mov_reg(BLOCK, 1);
        asm.load(Width::B4, VALUE, BLOCK, STATE);
        asm.jump_if(Cond::Ne, VALUE, PRESENT, self.fails);
        asm.load(Width::B4, VALUE, BLOCK, START);
        asm.jump_if(Cond::Gt, VALUE, i32::try_from(data).unwrap_or(i32::MAX), self.fails);
        asm.mov_reg(FRAME, BLOCK);
        asm.alu_reg(Alu::Add, FRAME, VALUE);
        asm.load(Width::B4, BYTES, BLOCK, SIZE);
    }

    fn questions(&mut self, graph: &Graph) -> Result<(), PacketError> {
        let reached = reached(graph);
        for at in reached.iter().copied() {
            match &graph.questions[at].ask {
                Ask::Compare(Compare { load, .. }) => *self.uses.entry(key(*load)).or_default() += 1,
                Ask::Chain { .. } => {}
                Ask::Relation { left, right, .. } => {
                    for number in [left, right] {
                        super::number::each(number, &mut |part| {
                            if let Some(load) = fixed(part) {
                                *self.uses.entry(key(load)).or_default() += 1;
                            }
                        });
                    }
                }
            }
        }
        let start = self.state;
        // Behind the last question stands the answer that fails.
        let next = |number: usize| reached.get(number).map_or(Goal::Fails, |at| Goal::Ask(*at));
        self.lead(graph.first, next(0), start);
        for (number, at) in reached.iter().enumerate() {
            let question = &graph.questions[*at];
            // Reads beyond the window end the ways to some.
            let Some(state) = self.arrivals[*at] else { continue };
            self.state = state;
            self.asm.place(self.places[*at]);
            let next = next(number + 1);
            let asked = match &question.ask {
                Ask::Compare(compare) => self.compare(compare, question.yes, question.no, next),
                Ask::Chain { network, six, protocol } => {
                    self.chain(*network, *six, *protocol, (question.yes, question.no, next))
                }
                Ask::Relation { left, order, right } => {
                    self.relation(left, *order, right, (question.yes, question.no, next))?
                }
            };
            if let Err(Dead) = asked {
                self.asm.jump(self.fails);
            }
            if self.asm.here() > INSNS_MAX {
                return Err(PacketError::Long);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Insn>, PacketError> {
        let mut answer = |label, value| {
            self.asm.place(label);
            self.asm.mov(VALUE, value);
            self.asm.exit();
        };
        answer(self.fails, 0);
        if self.holds_used {
            answer(self.holds, 1);
        }
        Ok(self.asm.finish()?)
    }

    /// Goes there, unless it is next anyway.
    pub(super) fn lead(&mut self, goal: Goal, next: Goal, state: State) {
        let label = self.label(goal, state);
        if goal != next {
            self.asm.jump(label);
        }
    }

    /// A goal's label, for a jump in this state.
    pub(super) fn label(&mut self, goal: Goal, state: State) -> Label {
        match goal {
            Goal::Ask(at) => {
                let arrival = &mut self.arrivals[at];
                *arrival = Some(arrival.map_or(state, |other| other.meet(state)));
                self.places[at]
            }
            Goal::Holds => {
                self.holds_used = true;
                self.holds
            }
            Goal::Fails => self.fails,
        }
    }

    fn compare(&mut self, compare: &Compare, yes: Goal, no: Goal, next: Goal) -> Result<(), Dead> {
        let Compare { load, mask, order, value } = *compare;
        let register = self.read(load, VALUE)?;
        if let Some(answer) = compare.answer() {
            self.lead(if answer { yes } else { no }, next, self.state);
            return Ok(());
        }
        let whole = mask == width_mask(load.size);
        let equality = matches!(order, Order::Equal | Order::Unequal | Order::In | Order::Like);
        if equality {
            // In the order of the packet, so that nothing is swapped.
            let (mask, value) = (swapped(mask, load.size), swapped(value, load.size));
            let (zero, other) = if order == Order::Unequal { (no, yes) } else { (yes, no) };
            if !whole && value == 0 && zero == next {
                let other = self.label(other, self.state);
                self.asm.jump32_if(Cond::Set, register, mask.cast_signed(), other);
                self.label(zero, self.state);
                return Ok(());
            }
            let mut register = register;
            if !whole {
                register = self.own(register);
                self.asm.alu32(Alu::And, register, mask.cast_signed());
            }
            let cond = if order == Order::Unequal { Cond::Ne } else { Cond::Eq };
            self.branch(cond, register, value, (yes, no, next));
            return Ok(());
        }
        let mut register = register;
        if load.size > 1 {
            register = self.own(register);
            self.asm.swap_be(width(load.size), register);
        }
        if !whole {
            register = self.own(register);
            self.asm.alu32(Alu::And, register, mask.cast_signed());
        }
        self.branch(cond(order), register, value, (yes, no, next));
        Ok(())
    }

    /// The number in a register that may be changed.
    fn own(&mut self, register: u8) -> u8 {
        if register != VALUE {
            self.asm.mov_reg(VALUE, register);
        }
        VALUE
    }

    pub(super) fn branch(&mut self, cond: Cond, register: u8, value: u32, goals: (Goal, Goal, Goal)) {
        self.either(cond, goals, |asm, cond, to| asm.jump32_if(cond, register, value.cast_signed(), to));
    }

    pub(super) fn either(
        &mut self,
        cond: Cond,
        (yes, no, next): (Goal, Goal, Goal),
        jump: impl FnOnce(&mut Assembler, Cond, Label),
    ) {
        let state = self.state;
        if yes == next {
            let label = self.label(no, state);
            jump(&mut self.asm, contrary(cond), label);
            self.label(yes, state);
        } else {
            let label = self.label(yes, state);
            jump(&mut self.asm, cond, label);
            self.lead(no, next, state);
        }
    }

    /// Reads a number, as it stands in the packet: where it is asked again into a register of its own, else into `into`.
    pub(super) fn read(&mut self, load: Load, into: u8) -> Result<u8, Dead> {
        let key = key(load);
        let left = self.uses.get_mut(&key).map_or(0, |uses| {
            *uses = uses.saturating_sub(1);
            *uses
        });
        if let Some(slot) = self.state.kept.iter().position(|kept| *kept == Some(key)) {
            return Ok(KEPT[slot]);
        }
        let slot = (left > 0).then(|| self.slot(left)).flatten();
        let register = slot.map_or(into, |slot| KEPT[slot]);
        self.load(load, register)?;
        if let Some(slot) = slot {
            self.state.kept[slot] = Some(key);
        }
        Ok(register)
    }

    /// A place to keep a number that is asked so many times more: a free one, or that of one which is asked less often.
    fn slot(&self, left: usize) -> Option<usize> {
        let uses = |kept: &Option<Key>| kept.map_or(0, |key| self.uses.get(&key).copied().unwrap_or(0));
        let (slot, least) = self.state.kept.iter().map(uses).enumerate().min_by_key(|(_, uses)| *uses)?;
        (least < left).then_some(slot)
    }

    /// Takes the registers of numbers that are kept for something else.
    pub(super) fn take_kept(&mut self) -> [u8; KEPT.len()] {
        self.state.kept = [None; KEPT.len()];
        KEPT
    }

    /// Reads a number, as it stands in the packet.
    pub(super) fn load(&mut self, load: Load, register: u8) -> Result<(), Dead> {
        let (offset, size) = (u32::try_from(load.offset).map_err(|_| Dead)?, u32::from(load.size));
        let end = offset.checked_add(size).filter(|end| *end <= self.window).ok_or(Dead)?;
        let short = i16::try_from(offset).map_err(|_| Dead)?;
        let Some(header) = load.behind_ipv4 else {
            self.bytes(end);
            self.known(offset);
            self.asm.load(width(load.size), register, FRAME, short);
            return Ok(());
        };
        self.header(header)?;
        if self.state.behind < end {
            self.asm.mov_reg(SCRATCH, HEADER_LEN);
            self.asm.alu(Alu::Add, SCRATCH, end.cast_signed());
            self.asm.jump_if_reg(Cond::Gt, SCRATCH, BYTES, self.fails);
            self.state.behind = end;
            self.state.bytes = self.state.bytes.max(end);
        }
        self.known(offset);
        self.asm.mov_reg(SCRATCH, FRAME);
        self.asm.alu_reg(Alu::Add, SCRATCH, HEADER_LEN);
        self.asm.load(width(load.size), register, SCRATCH, short);
        Ok(())
    }

    /// Has the length of the IPv4 header at `offset` in [`HEADER_LEN`].
    pub(super) fn header(&mut self, offset: usize) -> Result<(), Dead> {
        if self.state.header == Some(offset) {
            return Ok(());
        }
        let at = u32::try_from(offset).map_err(|_| Dead)?;
        if at >= self.window {
            return Err(Dead);
        }
        self.bytes(at + 1);
        self.known(at);
        self.asm.load(Width::B1, HEADER_LEN, FRAME, i16::try_from(at).map_err(|_| Dead)?);
        self.asm.alu32(Alu::And, HEADER_LEN, 0xf);
        self.asm.alu32(Alu::Lsh, HEADER_LEN, 2);
        (self.state.header, self.state.behind) = (Some(offset), 0);
        Ok(())
    }

    /// So many bytes are there, or the sub-expression fails.
    fn bytes(&mut self, end: u32) {
        if self.state.bytes < end {
            self.asm.jump_if(Cond::Lt, BYTES, end.cast_signed(), self.fails);
            self.state.bytes = end;
        }
    }

    /// The byte at `offset` is known, or the sub-expression fails.
    fn known(&mut self, offset: u32) {
        if self.state.unknown > offset {
            self.asm.load(Width::B4, SCRATCH, BLOCK, FIRST);
            self.asm.jump_if(Cond::Gt, SCRATCH, offset.cast_signed(), self.fails);
            self.state.unknown = offset;
        }
    }

    /// Whether each byte from `offset` on is known.
    pub(super) fn all_known(&self, offset: u32) -> bool {
        self.state.unknown <= offset
    }
}

/// The questions that are asked, in an order in which none stands before one that leads to it, and where most are followed
/// by what is asked if the answer is no: chains stay together. (A depth-first search's postorder, reversed.)
fn reached(graph: &Graph) -> Vec<usize> {
    let mut seen = vec![false; graph.questions.len()];
    let mut order = Vec::new();
    // Whether all that it leads to was put in already.
    let mut stack = vec![(graph.first, false)];
    while let Some((goal, done)) = stack.pop() {
        let Goal::Ask(at) = goal else { continue };
        if done {
            order.push(at);
        } else if !std::mem::replace(&mut seen[at], true) {
            let question = &graph.questions[at];
            stack.extend([(goal, true), (question.no, false), (question.yes, false)]);
        }
    }
    order.reverse();
    order
}

pub(super) fn width(size: u8) -> Width {
    Width::from_bytes(size.into()).unwrap_or(Width::B4)
}

/// As a number of that size stands in a packet, for this machine's loads.
fn swapped(number: u32, size: u8) -> u32 {
    match size {
        1 => number,
        2 => u32::from((number as u16).to_be()),
        _ => number.to_be(),
    }
}

pub(super) fn cond(order: Order) -> Cond {
    match order {
        Order::Equal | Order::In | Order::Like => Cond::Eq,
        Order::Unequal => Cond::Ne,
        Order::Less => Cond::Lt,
        Order::LessOrEqual => Cond::Le,
        Order::Greater => Cond::Gt,
        Order::GreaterOrEqual => Cond::Ge,
    }
}

fn contrary(cond: Cond) -> Cond {
    match cond {
        Cond::Eq => Cond::Ne,
        Cond::Ne => Cond::Eq,
        Cond::Lt => Cond::Ge,
        Cond::Ge => Cond::Lt,
        Cond::Le => Cond::Gt,
        Cond::Gt => Cond::Le,
        // No other is asked.
        same => same,
    }
}
