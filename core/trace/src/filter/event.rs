//! A filter asked of events: packet sub-expressions of the packet in the record, comparisons of its fields.

use std::cell::OnceCell;

use std::ops::Range;

use tracer_dsl::Diagnostics;
use tracer_dsl::diagnostic::Diagnostic;
use tracer_dsl::filter::bytes::Test;
use tracer_dsl::filter::{Filter, Part};
use tracer_event::packet::Capture;
use tracer_event::{Event, Section, Session};

use super::field::FieldTest;
use super::frame::holds;

/// A filter, checked against what a trace has.
#[derive(Debug, Clone)]
pub struct EventFilter(Condition);

#[derive(Debug, Clone)]
enum Condition {
    Not(Box<Condition>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
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
        let mut found = Diagnostics::new();
        let parts = found.take(filter.parts());
        let condition = parts.and_then(|part| condition(&part, filter, session, &mut found));
        match condition {
            Some(condition) => found.or_value(EventFilter(condition)),
            None => Err(found),
        }
    }

    /// Whether an event matches.
    pub fn matches(&self, event: &Event<'_>) -> bool {
        let packet = OnceCell::new();
        self.0.holds(event, &packet)
    }
}

/// `None` after having said why.
fn condition(part: &Part, filter: &Filter, session: &Session, found: &mut Diagnostics) -> Option<Condition> {
    let mut all = |parts: &[Part]| -> Option<Vec<Condition>> {
        // All that is wrong is said, not the first of it.
        let all: Vec<_> = parts.iter().map(|part| condition(part, filter, session, found)).collect();
        all.into_iter().collect()
    };
    Some(match part {
        Part::Not(inside) => Condition::Not(Box::new(condition(inside, filter, session, found)?)),
        Part::All(parts) => Condition::All(all(parts)?),
        Part::Any(parts) => Condition::Any(all(parts)?),
        Part::Packet(test) => Condition::Packet(test.clone()),
        Part::Field(comparison) => Condition::Field(
            found.take(FieldTest::new(filter, comparison, session).map_err(|one| (*one).into()))?,
        ),
        Part::Has { section, span } => {
            let schemas = session.probes.iter().flat_map(|probe| probe.layout.sections());
            let known: Vec<&str> = schemas.map(|placed| placed.schema.section()).collect();
            if !known.contains(&section.as_str()) {
                found.push(unknown_section(filter, section, &known, span.clone()));
                return None;
            }
            Condition::Has(section.clone())
        }
    })
}

fn unknown_section(filter: &Filter, section: &str, known: &[&str], span: Range<usize>) -> Diagnostic {
    let mut known = known.to_vec();
    known.sort_unstable();
    known.dedup();
    Diagnostic::unknown("section", section, known).at(filter.at(span))
}

impl Condition {
    fn holds<'e>(&self, event: &Event<'e>, packet: &OnceCell<Option<Capture<'e>>>) -> bool {
        match self {
            Condition::Not(inside) => !inside.holds(event, packet),
            Condition::All(parts) => parts.iter().all(|part| part.holds(event, packet)),
            Condition::Any(parts) => parts.iter().any(|part| part.holds(event, packet)),
            Condition::Packet(test) => packet
                .get_or_init(|| sections(event).find_map(|section| section.capture()))
                .as_ref()
                .is_some_and(|capture| holds(test, capture)),
            Condition::Field(test) => test.holds(event),
            Condition::Has(section) => event.record.section_named(section).is_some(),
        }
    }
}

fn sections<'e>(event: &Event<'e>) -> impl Iterator<Item = Section<'e>> {
    let record = event.record;
    (0..record.layout().sections().len()).filter_map(move |index| record.section(index))
}
