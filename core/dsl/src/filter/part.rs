//! A filter as back ends take it. What is about the packet only is gathered into packet sub-expressions, as large as they
//! get, and told as tests on bytes; all else stays as it was written, for whoever knows what the names mean.

use std::ops::Range;

use super::bytes::{State, Test};
use super::read::Filter;
use super::tree::{Comparison, Node, NodeKind};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// A part of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The contrary.
    Not(Box<Part>),
    /// All of them, asked in this order.
    All(Vec<Part>),
    /// One of them, asked in this order.
    Any(Vec<Part>),
    /// A packet sub-expression. It is false where there is no packet.
    Packet(Test),
    /// A field compares so; false where it is absent.
    Field(Comparison),
    /// The event has a section.
    Has {
        /// Its name.
        section: String,
        /// The bytes of the filter's text.
        span: Range<usize>,
    },
}

impl Filter {
    /// Its parts.
    ///
    /// # Errors
    /// All packet primitives that cannot be asked in their place, such as a VLAN tag behind an MPLS label, with their
    /// places in the filter's text.
    pub fn parts(&self) -> Result<Part, Diagnostics> {
        let mut gatherer = Gatherer { state: State::new(self), found: Diagnostics::new() };
        match gatherer.part(&self.root) {
            Some(part) => gatherer.found.or_value(part),
            None => Err(gatherer.found),
        }
    }

    /// The types that its paths take pointers as: `nf_conn` of `sk_buff._nfct:~0x7:nf_conn.mark`.
    pub fn casts(&self) -> Vec<&str> {
        let mut casts = Vec::new();
        let mut open = vec![&self.root];
        while let Some(node) = open.pop() {
            match &node.kind {
                NodeKind::Not(inside) => open.push(inside),
                NodeKind::And(parts) | NodeKind::Or(parts) => open.extend(parts),
                NodeKind::Field(comparison) => {
                    let steps = comparison.path.steps.iter();
                    casts.extend(steps.filter_map(|step| step.cast.as_ref()?.1.as_deref()));
                }
                NodeKind::Packet(_) | NodeKind::Has(_) => {}
            }
        }
        casts
    }

    /// The whole filter, which can be about the packet only.
    ///
    /// # Errors
    /// A part that is about the event, with its place in the filter's text; and what cannot be asked in its place, such
    /// as a VLAN tag behind an MPLS label.
    pub fn packet(&self) -> Result<Test, Box<Diagnostic>> {
        State::new(self).node(&self.root)
    }
}

struct Gatherer<'a> {
    /// One for all sub-expressions: `vlan` moves what stands behind it, whatever is in between.
    state: State<'a>,
    found: Diagnostics,
}

impl Gatherer<'_> {
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
            NodeKind::Field(comparison) => Some(Part::Field(comparison.clone())),
            NodeKind::Has(section) => Some(Part::Has { section: section.clone(), span: node.span.clone() }),
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
