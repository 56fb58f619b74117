//! What a plugin may ask for, answered in its process.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use tracer_bpf::btf::Kind as BtfKind;
use tracer_event::{Clock, Context, Event, NoSymbols, Probes, Session, Show, Value, json, text};
use tracer_kernel::Symbols;
use tracer_plugin_host::{Answer, EventParts, OptionValue as HostOption, Services, SessionInfo};

use super::{
    form::{self, OptionValue, Options, Start, declared},
    frame::{Channel, Kind},
};
use crate::types::Types;

/// What is there for all events.
pub(super) struct Shared {
    pub(super) channel: Rc<RefCell<Channel>>,
    options: Options,
    is_live: bool,
    utc: bool,
    link_header: bool,
    handles: Vec<Handle>,
    session: Session,
    /// The kernel's names and types; the inner is `None` where they cannot be had.
    symbols: Option<Option<Symbols>>,
    types: Option<Option<Types>>,
    text: text::Renderer,
    json: json::Renderer,
}

/// A field that a plugin asks for: its section's and its own place at each probe.
struct Handle {
    section: String,
    field: String,
    places: Vec<Option<(usize, usize)>>,
}

impl Handle {
    fn find(&mut self, probes: &Probes) {
        let place = |probe: &tracer_event::ProbeInfo| {
            let sections = probe.layout.sections();
            let section = sections.iter().position(|placed| placed.schema.section() == self.section)?;
            let fields = sections[section].schema.fields();
            Some((section, fields.iter().position(|field| field.name == self.field)?))
        };
        self.places = probes.iter().map(place).collect();
    }
}

impl Shared {
    pub(super) fn new(channel: Rc<RefCell<Channel>>, start: Start) -> Shared {
        let form::Start { role: _, options, live, utc, link_header, printed: _ } = start;
        Shared {
            channel,
            options,
            is_live: live,
            utc,
            link_header,
            handles: Vec::new(),
            session: Session::default(),
            symbols: None,
            types: None,
            text: text::Renderer::new(),
            json: json::Renderer::new(),
        }
    }

    /// Takes the session that follows, and says it as a plugin gets it.
    pub(super) fn begin(&mut self, session: &Session) -> SessionInfo {
        self.session = session.clone();
        self.handles.clear();
        (self.text, self.json) = (text::Renderer::new(), json::Renderer::new());
        let mut sections: Vec<tracer_plugin_host::DeclaredSection> = Vec::new();
        for placed in session.probes.iter().flat_map(|probe| probe.layout.sections()) {
            if !sections.iter().any(|known| known.name == placed.schema.section()) {
                sections.push(declared(&placed.schema));
            }
        }
        SessionInfo {
            live: self.is_live,
            tracer: session.tracer.clone(),
            host: session.host.clone(),
            kernel: session.kernel.clone(),
            machine: session.machine.clone(),
            own_netns: session.own_netns,
            probes: session.probes.iter().map(|probe| (probe.name.clone(), probe.tag.to_string())).collect(),
            sections,
        }
    }

    /// How a trace's events are shown.
    pub(super) fn show(&self) -> tracer_trace::file::Show {
        tracer_trace::file::Show { utc: self.utc, link_header: self.link_header }
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// What may be asked while there is no event, or while there is this one.
    pub(super) fn asked<'a>(&'a mut self, event: Option<&'a Event<'a>>) -> Asked<'a> {
        Asked { shared: self, event }
    }

    /// A context for events that have none of their own.
    pub(super) fn context<'a>(&self, clock: &'a Clock) -> Context<'a> {
        Context {
            own_netns: self.session.own_netns,
            symbols: &NoSymbols,
            clock,
            utc: self.utc,
            link_header: self.link_header,
        }
    }

    fn symbols(&mut self) -> Option<&Symbols> {
        // Of another machine, or of this one at another time, nothing is known here.
        let may = self.is_live;
        self.symbols.get_or_insert_with(|| Symbols::open().ok().filter(|_| may)).as_ref()
    }

    fn types(&mut self) -> Option<&mut Types> {
        let may = self.is_live;
        self.types.get_or_insert_with(|| Types::new().ok().filter(|_| may)).as_mut()
    }
}

/// An event as a plugin gets it; `stack` is where its stack is put.
pub(super) fn parts<'a>(event: &Event<'a>, stack: &'a mut Vec<u64>) -> EventParts<'a> {
    stack.clear();
    stack.extend(event.record.stack());
    let header = event.record.header();
    EventParts {
        probe: header.probe,
        cpu: header.cpu,
        time: header.time,
        realtime: event.context.clock.realtime(header.time).unwrap_or(0),
        tgid: header.tgid,
        pid: header.pid,
        comm: header.comm,
        packet_id: event.record.packet_id().unwrap_or(0),
        stack,
        record: event.record.bytes(),
    }
}

/// What a plugin may ask at one time.
pub(super) struct Asked<'a> {
    shared: &'a mut Shared,
    event: Option<&'a Event<'a>>,
}

impl Services for Asked<'_> {
    fn log(&mut self, level: u32, text: &str) {
        let level = [u8::try_from(level).unwrap_or(u8::MAX)];
        // Where nobody listens any more, the end is near.
        let _ = self.shared.channel.borrow_mut().send(Kind::Log, &[&level, text.as_bytes()], None);
    }

    fn option(&self, name: &str) -> Option<HostOption> {
        Some(match self.shared.options.get(name)? {
            OptionValue::Number(number) => HostOption::Number(*number),
            OptionValue::Text(text) => HostOption::Text(text.clone()),
        })
    }

    fn field(&mut self, section: &str, field: &str) -> Option<u32> {
        let Shared { handles, session, .. } = self.shared;
        let known = handles.iter().position(|known| known.section == section && known.field == field);
        let index = match known {
            Some(index) => index,
            None => {
                let mut handle =
                    Handle { section: section.to_owned(), field: field.to_owned(), places: Vec::new() };
                handle.find(&session.probes);
                if handle.places.iter().all(Option::is_none) {
                    return None;
                }
                handles.push(handle);
                handles.len() - 1
            }
        };
        u32::try_from(index).ok()
    }

    fn value(&self, handle: u32) -> Option<Answer> {
        let event = self.event?;
        let places = &self.shared.handles.get(usize::try_from(handle).ok()?)?.places;
        let (section, field) = (*places.get(usize::from(event.record.header().probe))?)?;
        let section = event.record.section(section)?;
        let field = section.schema().fields().get(field)?;
        Some(match section.value(field)? {
            Value::Uint(number) => Answer::Uint(number),
            Value::Int(number) => Answer::Int(number),
            Value::Enum { value, name: Some(name) } => Answer::Named(value, name.to_owned()),
            Value::Enum { value, name: None } => Answer::Int(value),
            Value::Str(text) => Answer::Text(text.into_owned()),
            Value::Bytes(_) if field.show == Show::Strings => return None,
            Value::Bytes(bytes) => Answer::Bytes(bytes.to_vec()),
        })
    }

    fn render(&mut self, json: bool) -> Option<String> {
        let (event, mut out) = (self.event?, String::new());
        if json {
            self.shared.json.event(&mut out, event);
        } else {
            self.shared.text.event(&mut out, event);
        }
        Some(out)
    }

    fn symbol(&mut self, address: u64) -> Option<(String, u64)> {
        if let Some(symbol) = self.event.and_then(|event| event.context.symbols.resolve(address)) {
            return Some((symbol.name.into_owned(), symbol.offset));
        }
        let symbol = self.shared.symbols()?.resolve(address)?;
        Some((symbol.name.to_owned(), symbol.offset))
    }

    fn address(&mut self, name: &str) -> Option<u64> {
        self.shared.symbols()?.address(name).filter(|address| *address != 0)
    }

    fn type_size(&mut self, name: &str) -> Option<u32> {
        let btf = self.shared.types()?.structure(name)?;
        btf.size_of(structure(&btf, name)?)
    }

    fn member(&mut self, name: &str, member: &str) -> Option<(u64, u32, u32)> {
        let btf = self.shared.types()?.structure(name)?;
        let found = btf.path(structure(&btf, name)?, member)?;
        Some((u64::from(found.bit_offset), btf.size_of(found.ty)?, found.bits))
    }

    fn enumerator(&mut self, name: &str, enumerator: &str) -> Option<i64> {
        self.shared.types()?.enumerator(name, enumerator)
    }
}

fn structure(btf: &Arc<tracer_bpf::Btf>, name: &str) -> Option<u32> {
    [BtfKind::Struct, BtfKind::Union].iter().find_map(|kind| btf.find_own(*kind, name).next())
}
