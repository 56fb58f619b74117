//! A filter asked of events: packet sub-expressions of the packet in the record, comparisons of its fields.

use std::cell::OnceCell;

use tracer_dsl::Diagnostics;
use tracer_dsl::diagnostic::Diagnostic;
use tracer_dsl::filter::Filter;
use tracer_dsl::filter::tree::{Node, NodeKind};
use tracer_event::packet::Capture;
use tracer_event::{Event, Section, Session};

use super::compile::State;
use super::field::FieldTest;
use super::frame::holds;
use super::test::Test;

/// A filter, checked against what a trace has.
#[derive(Debug, Clone)]
pub struct EventFilter(Part);

#[derive(Debug, Clone)]
enum Part {
    Not(Box<Part>),
    All(Vec<Part>),
    Any(Vec<Part>),
    Packet(Test),
    Field(FieldTest),
    Has(String),
}

impl EventFilter {
    /// Compiles a filter for the events of `session`.
    ///
    /// # Errors
    ///
    /// All that cannot be asked of them, each with its place in the filter's text: a section or field that there is
    /// not, a value that does not fit its field, a path through the kernel's memory.
    pub fn new(filter: &Filter, session: &Session) -> Result<EventFilter, Diagnostics> {
        let mut compiler = Compiler { filter, session, state: State::new(filter), found: Diagnostics::new() };
        let part = compiler.part(&filter.root);
        match part {
            Some(part) => compiler.found.or_value(EventFilter(part)),
            None => Err(compiler.found),
        }
    }

    /// Whether an event matches.
    pub fn matches(&self, event: &Event<'_>) -> bool {
        let packet = OnceCell::new();
        self.0.holds(event, &packet)
    }
}

struct Compiler<'a> {
    filter: &'a Filter,
    session: &'a Session,
    /// One for all sub-expressions: `vlan` moves what stands behind it, whatever is in between.
    state: State<'a>,
    found: Diagnostics,
}

impl Compiler<'_> {
    /// `None` after having said why.
    fn part(&mut self, node: &Node) -> Option<Part> {
        if node.is_packet() {
            return match self.state.node(node) {
                Ok(test) => Some(Part::Packet(test)),
                Err(found) => {
                    self.found.push(*found);
                    None
                }
            };
        }
        match &node.kind {
            NodeKind::Not(inside) => Some(Part::Not(Box::new(self.part(inside)?))),
            NodeKind::And(parts) => Some(Part::All(self.parts(parts, Test::All)?)),
            NodeKind::Or(parts) => Some(Part::Any(self.parts(parts, Test::Any)?)),
            NodeKind::Field(comparison) => match FieldTest::new(self.filter, comparison, self.session) {
                Ok(test) => Some(Part::Field(test)),
                Err(found) => {
                    self.found.push(*found);
                    None
                }
            },
            NodeKind::Has(section) => {
                let schemas = self.session.probes.iter().flat_map(|probe| probe.layout.sections());
                let known: Vec<&str> = schemas.map(|placed| placed.schema.section()).collect();
                if known.contains(&section.as_str()) {
                    return Some(Part::Has(section.clone()));
                }
                self.found.push(unknown_section(self.filter, section, &known, node));
                None
            }
            NodeKind::Packet(_) => None,
        }
    }

    /// Packet parts beside each other are one sub-expression.
    fn parts(&mut self, nodes: &[Node], join: fn(Vec<Test>) -> Test) -> Option<Vec<Part>> {
        let mut parts = Vec::new();
        let mut run = Vec::new();
        let mut whole = Some(());
        for node in nodes {
            match self.part(node) {
                Some(Part::Packet(test)) => run.push(test),
                Some(part) => {
                    if !run.is_empty() {
                        parts.push(Part::Packet(join(std::mem::take(&mut run))));
                    }
                    parts.push(part);
                }
                None => whole = None,
            }
        }
        if !run.is_empty() {
            parts.push(Part::Packet(join(run)));
        }
        whole.map(|()| parts)
    }
}

fn unknown_section(filter: &Filter, section: &str, known: &[&str], node: &Node) -> Diagnostic {
    let mut known = known.to_vec();
    known.sort_unstable();
    known.dedup();
    Diagnostic::unknown("section", section, known).at(filter.at(node.span.clone()))
}

impl Part {
    fn holds<'e>(&self, event: &Event<'e>, packet: &OnceCell<Option<Capture<'e>>>) -> bool {
        match self {
            Part::Not(inside) => !inside.holds(event, packet),
            Part::All(parts) => parts.iter().all(|part| part.holds(event, packet)),
            Part::Any(parts) => parts.iter().any(|part| part.holds(event, packet)),
            Part::Packet(test) => packet
                .get_or_init(|| sections(event).find_map(|section| section.capture()))
                .as_ref()
                .is_some_and(|capture| holds(test, capture)),
            Part::Field(test) => test.holds(event),
            Part::Has(section) => event.record.section_named(section).is_some(),
        }
    }
}

fn sections<'e>(event: &Event<'e>) -> impl Iterator<Item = Section<'e>> {
    let record = event.record;
    (0..record.layout().sections().len()).filter_map(move |index| record.section(index))
}
