//! Sessions and events that were never seen: all that a record can be, and a plugin must bear.

use std::{os::unix::net::UnixDatagram, sync::Arc};

use tracer_compose::Fragment;
use tracer_event::{Field, Kind, Layout, ProbeInfo, Probes, Schema, Session, Show, Tag, Tail, Trim, header};

/// Bytes of a packet in an ordinary event, and in the largest.
const PACKET: u32 = 256;
const HUGE: u32 = Schema::MAX_TAIL;
/// Addresses of a stack at most: as many as the kernel gives.
const STACK: usize = 127;

/// A session with events of each kind at each probe.
pub(in crate::native) fn session(fragment: &Fragment) -> Session {
    let own: Vec<Arc<Schema>> = fragment.readers.iter().map(|reader| Arc::clone(&reader.schema)).collect();
    let with = fragment.native.iter().flat_map(|half| &half.with);
    let mut known: Vec<&str> = own.iter().map(|schema| schema.section()).collect();
    known.extend(fragment.native_section());
    // Of others' sections, only the names are known here, and what the usual ones are like.
    let mut others: Vec<Arc<Schema>> = Vec::new();
    for name in with.map(String::as_str).chain(["skb", "skb_tracking"]) {
        if !known.contains(&name) {
            known.push(name);
            others.extend(other(name, PACKET));
        }
    }
    let all = own.iter().chain(&others).cloned().collect();
    let probes = [
        ("everything", Tag::Kprobe, all),
        ("own", Tag::RawTracepoint, own),
        ("others", Tag::Fexit, others),
        ("nothing", Tag::Kretprobe, Vec::new()),
        ("huge", Tag::Fentry, other("skb", HUGE).into_iter().collect()),
    ];
    // Two of one name, or too many, cannot be: then that probe is none.
    let info = |(name, tag, schemas): (&str, Tag, Vec<Arc<Schema>>)| {
        let layout = Arc::new(Layout::new(schemas).ok()?);
        let name = format!("tracer_plugin_check:{name}");
        Some(ProbeInfo { tag, name, way: "made up".to_owned(), layout, trim: Trim::Machinery })
    };
    Session {
        tracer: env!("CARGO_PKG_VERSION").to_owned(),
        host: "made-up".to_owned(),
        kernel: "6.12.0".to_owned(),
        machine: std::env::consts::ARCH.to_owned(),
        command: vec!["tracer".to_owned(), "plugin".to_owned(), "check".to_owned()],
        own_netns: Some(4_026_531_840),
        probes: Arc::new(Probes::new(probes.into_iter().filter_map(info).collect())),
    }
}

/// Another run: of another machine, with another order of probes.
pub(in crate::native) fn another(session: &Session) -> Session {
    let mut probes: Vec<ProbeInfo> = session.probes.iter().cloned().collect();
    probes.reverse();
    let probes = Arc::new(Probes::new(probes));
    Session { host: "made-up-too".to_owned(), own_netns: None, probes, ..session.clone() }
}

/// A section of somebody else's.
fn other(name: &str, packet: u32) -> Option<Arc<Schema>> {
    let field = |name: &str, offset, kind, show| Field { name: name.to_owned(), offset, kind, show };
    let number = |name, offset, width| field(name, offset, Kind::Uint(width), Show::Plain);
    let schema = match name {
        "skb" => Schema::new(
            name,
            20,
            Some(Tail { max: packet }),
            vec![
                number("len", 0, 4),
                number("data_len", 4, 4),
                number("orig_len", 8, 4),
                field("protocol", 12, Kind::Uint(2), Show::Be16),
                number("link", 14, 2),
                field("vlan_proto", 16, Kind::Uint(2), Show::Be16),
                number("vlan_tci", 18, 2),
                field("data", 20, Kind::Tail, Show::Packet),
            ],
            None,
        ),
        "skb_tracking" => {
            let id = field("id", 0, Kind::Uint(8), Show::PacketId);
            Schema::new(name, 16, None, vec![id, field("skb", 8, Kind::Uint(8), Show::Hex)], None)
        }
        _ => Schema::new(name, 8, None, vec![number("value", 0, 8)], None),
    };
    schema.ok().map(Arc::new)
}

/// Numbers that look random, and are the same everywhere, so that what happened can be seen again.
pub(super) struct Noise(pub(super) u64);

impl Noise {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap_or(0) % end.max(1)
    }
}

/// What sections are made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// They are absent.
    Nothing,
    /// This byte.
    Byte(u8),
    /// Any bytes, and any of the sections.
    Noise,
}

/// Records of a session.
pub(in crate::native) struct Records {
    session: Session,
    noise: Noise,
    /// Numbers of what there is, by which a plugin may find something: a process, a socket, a device.
    real: Vec<u64>,
    /// That socket.
    _socket: Option<UnixDatagram>,
}

impl Records {
    pub(in crate::native) fn of(session: &Session) -> Records {
        let socket = UnixDatagram::unbound().ok();
        let inode = socket.as_ref().and_then(|socket| rustix::fs::fstat(socket).ok()).map(|stat| stat.st_ino);
        let real = [Some(u64::from(std::process::id())), inode, Some(1)];
        Records {
            session: session.clone(),
            noise: Noise(0x9e37_79b9_7f4a_7c15),
            real: real.into_iter().flatten().collect(),
            _socket: socket,
        }
    }

    /// One of each kind at each probe: those that a bound is met with.
    pub(in crate::native) fn kinds(&mut self) -> Vec<Vec<u8>> {
        let kinds = [Of::Nothing, Of::Byte(0), Of::Byte(0xff), Of::Byte(0x0a), Of::Noise];
        let probes = 0..self.session.probes.iter().len();
        let each = probes.flat_map(|probe| kinds.map(|kind| (probe, kind)));
        // Of huge ones, one is enough.
        let some =
            each.filter(|(probe, of)| !self.is_huge(*probe) || matches!(of, Of::Nothing | Of::Byte(0xff)));
        let some: Vec<(usize, Of)> = some.collect();
        some.into_iter().map(|(probe, of)| self.record(probe, of)).collect()
    }

    /// So many of any kind, but not huge.
    pub(in crate::native) fn some(&mut self, number: usize) -> Vec<Vec<u8>> {
        let probes: Vec<usize> =
            (0..self.session.probes.iter().len()).filter(|probe| !self.is_huge(*probe)).collect();
        let record = |_| {
            let probe = probes[self.noise.below(probes.len())];
            self.record(probe, Of::Noise)
        };
        (0..number).map(record).collect()
    }

    fn is_huge(&self, probe: usize) -> bool {
        self.session.probes.iter().nth(probe).is_some_and(|probe| probe.layout.max_size(0) > HUGE)
    }

    /// A record of a probe. Times run wherever they like.
    fn record(&mut self, probe: usize, of: Of) -> Vec<u8> {
        let layout = Arc::clone(&self.session.probes.iter().nth(probe).expect("a number below").layout);
        let mut bytes = vec![0; layout.fixed_end() as usize];
        let mut present: u64 = 0;
        for (index, placed) in layout.sections().iter().enumerate() {
            if of == Of::Nothing || of == Of::Noise && self.noise.below(4) == 0 {
                continue;
            }
            present |= 1 << index;
            let (at, size) = (placed.offset as usize, placed.schema.size() as usize);
            match placed.schema.tail() {
                None => {
                    self.fill(&mut bytes[at..at + size], of);
                    self.real(&mut bytes[at..at + size], &placed.schema, of);
                }
                Some(tail) => {
                    let max = tail.max as usize;
                    let used = size + if of == Of::Noise { self.noise.below(max + 1) } else { max };
                    let len = u32::try_from(used).unwrap_or(u32::MAX);
                    bytes[at..at + 4].copy_from_slice(&len.to_le_bytes());
                    let start = bytes.len();
                    bytes.resize(start + used, 0);
                    self.fill(&mut bytes[start..], of);
                    self.real(&mut bytes[start..start + size], &placed.schema, of);
                    bytes.resize(bytes.len().next_multiple_of(8), 0);
                }
            }
        }
        let frames = match of {
            Of::Nothing => 0,
            Of::Byte(_) => STACK,
            Of::Noise => self.noise.below(STACK + 1),
        };
        let start = bytes.len();
        bytes.resize(start + frames * 8, 0);
        self.fill(&mut bytes[start..], of);
        let (size, stack) = (bytes.len(), frames * 8);
        // Names of threads are their own choice: they need have no end, and be no text.
        self.fill(&mut bytes[header::TIME..header::SECTIONS], of);
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(header::RECORD_SIZE, &u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
        put(header::PROBE, &u16::try_from(probe).unwrap_or(u16::MAX).to_le_bytes());
        put(header::SECTIONS, &present.to_le_bytes());
        // Some are of a process that there is.
        if of == Of::Noise && size.is_multiple_of(16) {
            put(header::TGID, &std::process::id().to_le_bytes());
            put(header::PID, &std::process::id().to_le_bytes());
        }
        put(header::STACK, &u32::try_from(stack).unwrap_or(u32::MAX).to_le_bytes());
        bytes
    }

    /// Makes some numbers of a section those of something that there is.
    fn real(&mut self, section: &mut [u8], schema: &Schema, of: Of) {
        if of != Of::Noise {
            return;
        }
        for field in schema.fields() {
            let Kind::Uint(width @ (4 | 8)) = field.kind else { continue };
            if self.noise.below(3) == 0 {
                let value = self.real[self.noise.below(self.real.len())].to_le_bytes();
                let (at, width) = (field.offset as usize, usize::from(width));
                section[at..at + width].copy_from_slice(&value[..width]);
            }
        }
    }

    fn fill(&mut self, bytes: &mut [u8], of: Of) {
        match of {
            Of::Nothing => {}
            Of::Byte(byte) => bytes.fill(byte),
            Of::Noise => {
                for chunk in bytes.chunks_mut(8) {
                    let noise = self.noise.next().to_le_bytes();
                    chunk.copy_from_slice(&noise[..chunk.len()]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_compose::Library;
    use tracer_event::{Clock, Context, NoSymbols};

    use super::*;

    fn fragment(native: &str) -> Fragment {
        let head = "version = 1\nname = \"x\"\nabout = \"for a test\"\n";
        Fragment::parse_native(&format!("{head}{native}"), None, Library::Linked).unwrap()
    }

    #[test]
    fn all_of_them_are_records() {
        for native in ["[native]\nsink = true\n", "[native]\nsection = \"o\"\nwith = [\"skb\", \"dev\"]\n"] {
            let session = session(&fragment(native));
            assert_eq!(session.probes.iter().len(), 5);
            let clock = Clock::default();
            let context = Context {
                own_netns: None,
                symbols: &NoSymbols,
                clock: &clock,
                utc: false,
                link_header: true,
            };
            let mut records = Records::of(&session);
            let all = [records.kinds(), records.some(500)].concat();
            assert_eq!(all.len(), 522);
            let (mut stacks, mut ids, mut back, mut last) = (0, 0, 0, 0);
            for bytes in &all {
                let event = session.probes.event(bytes, &context).unwrap();
                stacks += usize::from(event.record.stack().count() == STACK);
                ids += usize::from(event.record.packet_id().is_some());
                back += usize::from(event.record.header().time < last);
                last = event.record.header().time;
            }
            assert!(stacks > 10 && ids > 100 && back > 100, "{stacks} {ids} {back}");
            assert!(all.iter().any(|bytes| bytes.len() > HUGE as usize));
            assert!(another(&session) != session);
        }
    }

    /// A section that the plugin adds itself is in no event before.
    #[test]
    fn no_section_is_there_twice() {
        let session = session(&fragment("[native]\nsection = \"skb\"\nwith = [\"y\"]\n"));
        let layouts = session.probes.iter().map(|probe| &probe.layout);
        let names: Vec<Vec<&str>> =
            layouts.map(|layout| layout.sections().iter().map(|s| s.schema.section()).collect()).collect();
        assert_eq!(names[0], ["y", "skb_tracking"]);
    }
}
