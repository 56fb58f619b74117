//! A filter as the program of one probe decides it. Names are resolved to what gives the value there; what cannot be had at
//! the probe is false already.

use tracer_dsl::filter::HeaderField;
use tracer_dsl::filter::bytes::Test;
use tracer_event::Field;

use super::{KernelTest, ValueTest};
use crate::fragment::{Accessor, Follow};

/// What must hold for a hit to become an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition<'a> {
    /// Decided already.
    Constant(bool),
    /// The contrary.
    Not(Box<Condition<'a>>),
    /// All of them.
    All(Vec<Condition<'a>>),
    /// One of them.
    Any(Vec<Condition<'a>>),
    /// A packet sub-expression; false where there is no packet.
    Packet(Test),
    /// The reader with this place among the shape's has something to say.
    Has(usize),
    /// The packet has passed the filter before, at whatever probe.
    Followed {
        /// The place of the collector that knows it again, among the shape's.
        fragment: usize,
        /// Its functions.
        follow: &'a Follow,
    },
    /// A value in the kernel's memory compares so; false where it is absent.
    Kernel {
        /// The comparison.
        test: KernelTest,
        /// As it was written.
        path: String,
    },
    /// Another value compares so; false where it is absent.
    Value(Source<'a>, ValueTest),
}

/// What gives a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Source<'a> {
    /// A fragment's accessor.
    Accessor {
        /// The fragment's place among the shape's.
        fragment: usize,
        /// The function.
        accessor: &'a Accessor,
        /// What it gives.
        field: Field,
    },
    /// What a reader has written.
    Section {
        /// The reader's place among the shape's.
        reader: usize,
        /// Its section.
        section: String,
        /// The field.
        field: Field,
    },
    /// What the traced function has returned.
    Returned(Field),
    /// What every event has.
    Header(HeaderField),
}

/// The earliest that a condition can be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Before anything is read.
    Early,
    /// Behind the reader with this place among the shape's.
    Reader(usize),
    /// When the traced function returns.
    Return,
}

impl<'a> Condition<'a> {
    /// The same with all that is known already worked in: a constant is then the whole, or nowhere. The conditions of `All`
    /// and `Any` are no such themselves.
    #[must_use]
    pub fn folded(self) -> Self {
        match self {
            Self::Not(inside) => match inside.folded() {
                Self::Constant(holds) => Self::Constant(!holds),
                Self::Not(inside) => *inside,
                other => Self::Not(Box::new(other)),
            },
            Self::All(parts) => Self::joined(parts, true),
            Self::Any(parts) => Self::joined(parts, false),
            other => other,
        }
    }

    /// `neutral` changes nothing, and its contrary decides.
    fn joined(parts: Vec<Self>, neutral: bool) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match (part.folded(), neutral) {
                (Self::Constant(holds), _) if holds == neutral => {}
                (Self::Constant(holds), _) => return Self::Constant(holds),
                (Self::All(inside), true) | (Self::Any(inside), false) => kept.extend(inside),
                (other, _) => kept.push(other),
            }
        }
        match kept.len() {
            0 => Self::Constant(neutral),
            1 => kept.swap_remove(0),
            _ if neutral => Self::All(kept),
            _ => Self::Any(kept),
        }
    }

    /// The conditions that must all hold, in the order in which they are best asked: what ends most hits for least comes
    /// first. None, if nothing is asked.
    pub fn conjuncts(self) -> Vec<Self> {
        let mut all = match self.folded() {
            Self::Constant(true) => Vec::new(),
            Self::All(all) => all,
            one => vec![one],
        };
        all.sort_by_key(|one| (one.stage(), one.cost()));
        all
    }

    /// The earliest that it can be decided.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Constant(_) | Self::Packet(_) => Stage::Early,
            Self::Not(inside) => inside.stage(),
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().map(Self::stage).max().unwrap_or(Stage::Early)
            }
            Self::Has(reader) | Self::Value(Source::Section { reader, .. }, _) => Stage::Reader(*reader),
            Self::Value(Source::Returned(_), _) => Stage::Return,
            Self::Followed { .. } | Self::Kernel { .. } | Self::Value(..) => Stage::Early,
        }
    }

    /// Roughly, in steps that are an order of magnitude apart.
    fn cost(&self) -> u8 {
        match self {
            Self::Constant(_) => 0,
            Self::Has(_) | Self::Value(Source::Accessor { .. } | Source::Returned(_), _) => 1,
            Self::Followed { .. } | Self::Value(Source::Header(_), _) => 2,
            Self::Kernel { .. } | Self::Value(Source::Section { .. }, _) => 3,
            Self::Packet(_) => 4,
            Self::Not(inside) => inside.cost(),
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::cost).max().unwrap_or(0),
        }
    }

    /// All its leaves.
    pub fn leaves(&self) -> Vec<&Self> {
        match self {
            Self::Not(inside) => inside.leaves(),
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::leaves).collect(),
            leaf => vec![leaf],
        }
    }

    /// What it is about.
    pub fn subject(&self) -> String {
        let subject = |leaf: &Self| match leaf {
            Self::Packet(_) => "the packet".to_owned(),
            Self::Has(_) => "whether a section is there".to_owned(),
            Self::Followed { .. } => "what the packet has passed before".to_owned(),
            Self::Kernel { path, .. } => path.clone(),
            Self::Value(Source::Accessor { accessor, .. }, _) => {
                format!("{}.{}", accessor.section, accessor.field)
            }
            Self::Value(Source::Section { section, field, .. }, _) => format!("{section}.{}", field.name),
            Self::Value(Source::Returned(field), _) => format!("ret.{}", field.name),
            Self::Value(Source::Header(field), _) => field.name().to_owned(),
            Self::Constant(_) | Self::Not(_) | Self::All(_) | Self::Any(_) => {
                "what is known before".to_owned()
            }
        };
        let mut subjects: Vec<String> = self.leaves().into_iter().map(subject).collect();
        subjects.dedup();
        subjects.join(", ")
    }

    /// The same with what is known of the probe worked in.
    #[must_use]
    pub fn with_header(self, known: &dyn Fn(HeaderField) -> Option<String>) -> Self {
        match self {
            Self::Not(inside) => Self::Not(Box::new(inside.with_header(known))),
            Self::All(parts) => Self::All(parts.into_iter().map(|part| part.with_header(known)).collect()),
            Self::Any(parts) => Self::Any(parts.into_iter().map(|part| part.with_header(known)).collect()),
            Self::Value(Source::Header(field), test) => match known(field).map(|text| test.holds(&text)) {
                Some(holds) => Self::Constant(holds.unwrap_or(false)),
                None => Self::Value(Source::Header(field), test),
            },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_dsl::filter::Filter;
    use tracer_dsl::filter::tree::NodeKind;

    use super::*;

    fn packet() -> Condition<'static> {
        Condition::Packet("tcp".parse::<Filter>().unwrap().packet().unwrap())
    }

    fn header(text: &str) -> Condition<'static> {
        let filter: Filter = text.parse().unwrap();
        let NodeKind::Field(comparison) = &filter.root.kind else { panic!("{text}") };
        let (section, field) = comparison.path.field().unwrap();
        let field = HeaderField::named(section, field).unwrap();
        Condition::Value(Source::Header(field), ValueTest::of_header(field, &filter, comparison).unwrap())
    }

    #[test]
    fn what_is_known_is_worked_in() {
        use Condition::{All, Any, Constant, Has, Not};
        let known = |field| (field == HeaderField::Probe).then(|| "tcp_v4_rcv".to_owned());
        for (condition, folded) in [
            (All(vec![]), Constant(true)),
            (Any(vec![]), Constant(false)),
            (All(vec![Constant(true), Has(1)]), Has(1)),
            (All(vec![Constant(false), Has(1)]), Constant(false)),
            (Any(vec![Has(1), Not(Box::new(Constant(false)))]), Constant(true)),
            (Not(Box::new(Not(Box::new(Has(1))))), Has(1)),
            (All(vec![All(vec![Has(1), Has(2)]), Has(3)]), All(vec![Has(1), Has(2), Has(3)])),
            (Any(vec![All(vec![Has(1), Has(2)]), Has(3)]), Any(vec![All(vec![Has(1), Has(2)]), Has(3)])),
            (header("probe.name =~ \"tcp_*\""), Constant(true)),
            (header("event.probe != tcp_v4_rcv"), Constant(false)),
            (Not(Box::new(header("event.probe == ip_rcv"))), Constant(true)),
        ] {
            assert_eq!(condition.clone().with_header(&known).folded(), folded, "{condition:?}");
        }
        let other = header("task.pid == 1");
        assert_eq!(other.clone().with_header(&known), other);
    }

    #[test]
    fn conditions_are_asked_early_and_the_cheap_ones_first() {
        let late = Condition::Any(vec![packet(), Condition::Has(2)]);
        let all = Condition::All(vec![
            Condition::Has(1),
            late.clone(),
            packet(),
            Condition::Constant(true),
            header("task.pid == 1"),
        ]);
        assert_eq!(all.conjuncts(), [header("task.pid == 1"), packet(), Condition::Has(1), late.clone()]);
        assert_eq!((late.stage(), packet().stage()), (Stage::Reader(2), Stage::Early));
        assert_eq!(Condition::Constant(true).conjuncts(), []);
        assert_eq!(Condition::Constant(false).conjuncts(), [Condition::Constant(false)]);
        assert_eq!(late.subject(), "the packet, whether a section is there");
    }
}
