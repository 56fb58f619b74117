//! Where in a probe's records is what is counted. It is looked up once per session, so that an event costs no search.
//!
//! Nothing here is about a particular collector: a packet is a field shown as one, a namespace is a field shown as one,
//! and a thing to count is a section with a key.

use tracer_event::packet::{Address, Capture, Flow, FlowDetail};
use tracer_event::{Context, Event, Layout, Schema, Section, Show, Value};

use super::cell::Key;

/// The column that says in which network namespace something is, where that is not the tracer's own.
pub(super) const NETNS: &str = "netns";
/// The columns of a flow.
pub(super) const FLOW: [&str; 8] =
    [NETNS, "source", "sport", "destination", "dport", "protocol", "type", "code"];

/// One probe's records.
#[derive(Debug)]
pub(super) struct Plan {
    /// The probe's row.
    pub(super) probe: usize,
    /// The sections with a packet.
    packets: Vec<usize>,
    /// Where a namespace is said: section and field.
    netns: Vec<(usize, usize)>,
    /// The sections with a key.
    pub(super) keyed: Vec<Thing>,
}

/// A section with a key.
#[derive(Debug)]
pub(super) struct Thing {
    /// Which section.
    section: usize,
    /// The key's fields.
    fields: Vec<usize>,
    /// The section's own word on the namespace; it counts more than another section's.
    netns: Option<usize>,
    /// Whether the namespace is a column besides the key: names and handles are those of a namespace.
    with_netns: bool,
    /// Which table it is counted in.
    pub(super) table: usize,
}

impl Plan {
    /// `probe` is the number of the probe's row; `table` gives the number of a table by its name and columns.
    pub(super) fn new(
        layout: &Layout,
        probe: usize,
        mut table: impl FnMut(&str, Vec<String>) -> usize,
    ) -> Plan {
        let mut plan = Plan { probe, packets: Vec::new(), netns: Vec::new(), keyed: Vec::new() };
        for (section, placed) in layout.sections().iter().enumerate() {
            let schema = &*placed.schema;
            let netns = shown(schema, Show::Netns);
            plan.packets.extend(shown(schema, Show::Packet).map(|_| section));
            plan.netns.extend(netns.map(|field| (section, field)));
            plan.keyed.extend(Thing::new(schema, section, netns, &mut table));
        }
        plan
    }

    /// The event's packet; of several the first.
    pub(super) fn capture<'a>(&self, event: &Event<'a>) -> Option<Capture<'a>> {
        self.packets.iter().find_map(|section| event.record.section(*section)?.capture())
    }

    /// The inode number of the event's namespace; of several the first.
    pub(super) fn netns(&self, event: &Event<'_>) -> Option<u64> {
        self.netns.iter().find_map(|(section, field)| inode(&event.record.section(*section)?, *field))
    }
}

impl Thing {
    fn new(
        schema: &Schema,
        section: usize,
        netns: Option<usize>,
        table: &mut impl FnMut(&str, Vec<String>) -> usize,
    ) -> Option<Thing> {
        let mut fields: Vec<usize> = Vec::new();
        for name in schema.key() {
            // The schema was checked: the key's names are fields. One that is named twice says nothing the second time.
            let field = schema.fields().iter().position(|field| field.name == name)?;
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
        let key = || fields.iter().filter_map(|field| schema.fields().get(*field));
        let with_netns = !key().any(|field| field.show == Show::Netns || field.name == NETNS);
        let columns = with_netns.then_some(NETNS).into_iter().chain(key().map(|field| &*field.name));
        let columns: Vec<String> = columns.map(str::to_owned).collect();
        let table = if fields.is_empty() { return None } else { table(schema.section(), columns) };
        Some(Thing { section, fields, netns, with_netns, table })
    }

    /// Writes the event's key; `false` where the section is absent. `netns` is what the event says otherwise.
    pub(super) fn key(&self, event: &Event<'_>, netns: Option<u64>, key: &mut Key) -> bool {
        let Some(section) = event.record.section(self.section) else { return false };
        if self.with_netns {
            let netns = self.netns.and_then(|field| inode(&section, field)).or(netns);
            foreign(netns, event.context, key);
        }
        for field in &self.fields {
            let field = section.schema().fields().get(*field);
            match field.and_then(|field| Some((field, section.value(field)?))) {
                Some((field, value)) => key.value(field, &value),
                None => key.absent(),
            }
        }
        true
    }
}

/// Writes the key of a flow, a cell for each of [`FLOW`].
pub(super) fn flow(flow: &Flow, netns: Option<u64>, context: &Context<'_>, key: &mut Key) {
    foreign(netns, context, key);
    let (ports, icmp) = match flow.detail {
        Some(FlowDetail::Ports(ports)) => (Some(ports), None),
        Some(FlowDetail::Icmp { kind, code }) => (None, Some((kind, code))),
        None => (None, None),
    };
    address(flow.source, key);
    number(ports.map(|ports| ports.source), key);
    address(flow.destination, key);
    number(ports.map(|ports| ports.destination), key);
    match flow.protocol.name() {
        Some(name) => key.text(name),
        None => key.text(&flow.protocol.to_string()),
    }
    number(icmp.map(|(kind, _)| kind), key);
    number(icmp.map(|(_, code)| code), key);
}

fn foreign(netns: Option<u64>, context: &Context<'_>, key: &mut Key) {
    number(netns.filter(|netns| context.own_netns != Some(*netns)), key);
}

fn address(address: Option<Address>, key: &mut Key) {
    match address {
        Some(Address::Ip(address)) => key.ip(address),
        Some(Address::Mac(address)) => key.mac(address),
        None => key.absent(),
    }
}

fn number(number: Option<impl Into<u64>>, key: &mut Key) {
    match number {
        Some(number) => key.uint(number.into()),
        None => key.absent(),
    }
}

/// The first field that is shown this way.
fn shown(schema: &Schema, show: Show) -> Option<usize> {
    schema.fields().iter().position(|field| field.show == show)
}

/// A namespace's inode number; 0 is none.
fn inode(section: &Section<'_>, field: usize) -> Option<u64> {
    match section.value(section.schema().fields().get(field)?) {
        Some(Value::Uint(inode)) if inode != 0 => Some(inode),
        _ => None,
    }
}
