//! A section of a capture file: what its header says of the machine, and its interfaces. An interface is a device of a
//! namespace with a link type, and comes into being with its first packet.

use std::collections::HashMap;
use std::fmt::{self, Display};

use tracer_event::packet::{ETHERNET, RAW};
use tracer_event::{Clock, Escaped, Session};

use super::block::{self, Block};
use super::losses::Losses;

/// The options of a section's header, but for comments.
const HARDWARE: u16 = 2;
const OS: u16 = 3;
const APPLICATION: u16 = 4;
/// Those of an interface's description.
const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const IF_TSRESOL: u16 = 9;
const IF_OS: u16 = 12;
/// Those of an interface's statistics.
const ISB_IFRECV: u16 = 4;
const ISB_IFDROP: u16 = 5;
const ISB_USRDELIV: u16 = 8;

/// What the times of a section's packets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    /// Nanoseconds since 1970 (UTC).
    Wall,
    /// Nanoseconds of `CLOCK_MONOTONIC`, because nothing says what the wall clock was.
    Monotonic,
}

/// A section that has been begun.
#[derive(Debug)]
pub(super) struct Section {
    machine: Machine,
    times: Times,
    interfaces: Vec<Interface>,
    /// Their numbers. By name last, because that is looked up without taking it.
    numbers: HashMap<(Option<u64>, u16), HashMap<Box<str>, usize>>,
}

/// The machine that a section's header names.
#[derive(Debug, PartialEq, Eq)]
struct Machine {
    host: String,
    kernel: String,
    architecture: String,
}

#[derive(Debug, Default)]
struct Interface {
    packets: u64,
    lost: u64,
    /// The time of its last packet.
    last: u64,
}

/// What makes an interface.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'a> {
    /// The inode number of the network namespace.
    pub(super) netns: Option<u64>,
    /// The pcap LINKTYPE.
    pub(super) link: u16,
    /// The device's name; empty where there is none.
    pub(super) device: &'a str,
}

impl Section {
    /// The most interfaces of a section, a bound on memory: then a new section begins, with a new table.
    pub(super) const MAX_INTERFACES: usize = 1 << 14;

    /// Writes the header, with the session's JSON. Says whether that is too long.
    ///
    /// The JSON is no custom block behind the header, because Wireshark lists such blocks among the packets, and with one
    /// in front, which has no time, its times since the first packet are times since 1970.
    pub(super) fn begin(out: &mut Vec<u8>, session: &Session, times: Times, json: &str) -> (Section, bool) {
        let mut header = Block::new(out, block::SECTION_HEADER);
        header.fixed(0x1a2b_3c4d_u32.to_le_bytes());
        // Version 1.0; the section's length is not known.
        header.fixed([1, 0, 0, 0]);
        header.fixed((-1_i64).to_le_bytes());
        if !session.machine.is_empty() {
            header.text(HARDWARE, Word(&session.machine));
        }
        if !session.kernel.is_empty() {
            header.text(OS, Os(session));
        }
        if !session.tracer.is_empty() {
            header.text(APPLICATION, format_args!("tracer {}", Word(&session.tracer)));
        }
        if !session.host.is_empty() {
            header.text(block::COMMENT, format_args!("host {}", Word(&session.host)));
        }
        if times == Times::Monotonic {
            header.text(
                block::COMMENT,
                "Times are not wall-clock times: what the wall clock said was not recorded. They are nanoseconds of \
                 the monotonic clock, which starts with the machine.",
            );
        }
        let long_json = header.json(json, block::SESSION_MAX);
        header.finish();
        let machine = Machine::of(session);
        (Section { machine, times, interfaces: Vec::new(), numbers: HashMap::new() }, long_json)
    }

    /// Whether events of this session can go on in this section.
    pub(super) fn is_of(&self, session: &Session) -> bool {
        self.machine == Machine::of(session)
    }

    pub(super) fn times(&self) -> Times {
        self.times
    }

    pub(super) fn is_full(&self) -> bool {
        self.interfaces.len() >= Section::MAX_INTERFACES
    }

    /// The number of an interface that has been described.
    pub(super) fn interface(&self, key: Key<'_>) -> Option<usize> {
        self.numbers.get(&(key.netns, key.link))?.get(cut(key.device)).copied()
    }

    /// Takes a new interface, to be described at once.
    pub(super) fn add(&mut self, key: Key<'_>) -> usize {
        let number = self.interfaces.len();
        self.interfaces.push(Interface::default());
        let names = self.numbers.entry((key.netns, key.link)).or_default();
        names.insert(cut(key.device).into(), number);
        number
    }

    /// Counts a packet of that interface, and what was lost before it.
    pub(super) fn count(&mut self, interface: usize, time: u64, lost: u64) {
        if let Some(interface) = self.interfaces.get_mut(interface) {
            interface.packets += 1;
            interface.lost = interface.lost.saturating_add(lost);
            interface.last = interface.last.max(time);
        }
    }

    /// Writes the statistics of all interfaces. Events lost since the last packet go to the interface whose packet was
    /// the last in time, and stay in `losses` where there is no interface.
    pub(super) fn end(mut self, out: &mut Vec<u8>, losses: &mut Losses) {
        let interfaces = self.interfaces.iter().enumerate();
        let last = interfaces.max_by_key(|(_, interface)| interface.last).map(|(number, _)| number);
        let losses = last.map(|_| std::mem::take(losses)).unwrap_or_default();
        for (number, interface) in self.interfaces.iter_mut().enumerate() {
            let has_losses = last == Some(number) && losses.events() > 0;
            if has_losses {
                interface.lost = interface.lost.saturating_add(losses.events());
            }
            let mut statistics = Block::new(out, block::INTERFACE_STATISTICS);
            statistics.fixed((number as u32).to_le_bytes());
            statistics.fixed(halves(interface.last));
            statistics.option(ISB_IFRECV, interface.packets.saturating_add(interface.lost).to_le_bytes());
            statistics.option(ISB_IFDROP, interface.lost.to_le_bytes());
            statistics.option(ISB_USRDELIV, interface.packets.to_le_bytes());
            if has_losses {
                statistics.text(block::COMMENT, losses.text());
            }
            statistics.finish();
        }
    }
}

/// Describes an interface. Its name is the device's, with the namespace where that is not the tracer's own.
pub(super) fn describe(out: &mut Vec<u8>, session: &Session, own_netns: Option<u64>, key: Key<'_>) {
    let mut description = Block::new(out, block::INTERFACE_DESCRIPTION);
    description.fixed(key.link.to_le_bytes());
    // Reserved; no limit on the length of packets, because there is none that all probes share.
    description.fixed([0; 6]);
    match key.netns.filter(|inum| Some(*inum) != own_netns) {
        _ if key.device.is_empty() => {}
        None => _ = description.text(IF_NAME, Word(key.device)),
        Some(inum) => _ = description.text(IF_NAME, format_args!("{}@{inum}", Word(key.device))),
    }
    description.text(IF_DESCRIPTION, Description { key, own_netns });
    description.option(IF_TSRESOL, [9]);
    if !session.kernel.is_empty() {
        description.text(IF_OS, Os(session));
    }
    description.finish();
}

impl Machine {
    fn of(session: &Session) -> Machine {
        Machine {
            host: session.host.clone(),
            kernel: session.kernel.clone(),
            architecture: session.machine.clone(),
        }
    }
}

impl Times {
    /// What the times of an event with this clock are.
    pub(super) fn of(clock: &Clock) -> Times {
        if clock.samples().is_empty() { Times::Monotonic } else { Times::Wall }
    }

    /// A time of such an event as the format has it: unsigned nanoseconds.
    pub(super) fn of_event(self, clock: &Clock, time: u64) -> u64 {
        match self {
            Times::Monotonic => time,
            // Before 1970 or beyond 2262 there is only a wrong clock.
            Times::Wall => clock.realtime(time).map_or(u64::MAX, |ns| u64::try_from(ns).unwrap_or(0)),
        }
    }
}

/// A time as blocks have it: the upper 32 bits first.
pub(super) fn halves(time: u64) -> [u8; 8] {
    time.rotate_left(32).to_le_bytes()
}

/// A name, which may be anybody's choice.
struct Word<'a>(&'a str);

impl Word<'_> {
    /// The most bytes of a name, which is far more than names have.
    const MAX: usize = 255;
}

impl Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = cut(self.0);
        write!(f, "{}{}", Escaped(shown), if shown.len() < self.0.len() { "…" } else { "" })
    }
}

/// No more of a name than is a name.
fn cut(name: &str) -> &str {
    &name[..block::fitting(name, Word::MAX)]
}

/// The operating system. Nothing but Linux has what tracer traces.
struct Os<'a>(&'a Session);

impl Display for Os<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Linux {}", Word(&self.0.kernel))
    }
}

/// All that is known of an interface.
struct Description<'a> {
    key: Key<'a>,
    own_netns: Option<u64>,
}

impl Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key { netns, link, device } = self.key;
        match device {
            "" => f.write_str("no device known")?,
            device => write!(f, "{}", Word(device))?,
        }
        if let Some(inum) = netns {
            let whose = if Some(inum) == self.own_netns { " (tracer's own)" } else { "" };
            write!(f, ", network namespace {inum}{whose}")?;
        }
        match u32::from(link) {
            ETHERNET => Ok(()),
            RAW => f.write_str(", packets without a link-layer header"),
            link => write!(f, ", link type {link}"),
        }
    }
}
