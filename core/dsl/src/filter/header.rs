//! Fields that every event has, whatever was read at its probe.

use super::class::Class;

/// A field of an event's header, its probe, or the task that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderField {
    /// `event.time`: nanoseconds of the kernel's monotonic clock.
    Time,
    /// `event.cpu`
    Cpu,
    /// `event.probe`, `probe.name`: the probe's target.
    Probe,
    /// `probe.type`: how it was asked for, such as `kprobe`.
    Type,
    /// `probe.way`: how it was attached.
    Way,
    /// `task.comm`
    Comm,
    /// `task.pid`: the thread.
    Pid,
    /// `task.tgid`: the process.
    Tgid,
}

const ALL: [(&str, HeaderField); 9] = [
    ("event.time", HeaderField::Time),
    ("event.cpu", HeaderField::Cpu),
    ("event.probe", HeaderField::Probe),
    ("probe.name", HeaderField::Probe),
    ("probe.type", HeaderField::Type),
    ("probe.way", HeaderField::Way),
    ("task.comm", HeaderField::Comm),
    ("task.pid", HeaderField::Pid),
    ("task.tgid", HeaderField::Tgid),
];

impl HeaderField {
    /// The field that is written so.
    pub fn named(section: &str, field: &str) -> Option<HeaderField> {
        let known = ALL.iter().find(|(name, _)| name.split_once('.') == Some((section, field)));
        known.map(|(_, field)| *field)
    }

    /// All names of one section, `task` for example, as they are written; none if it is not of the header.
    pub fn names_of(section: &str) -> Vec<&'static str> {
        let names = ALL.iter().map(|(name, _)| *name);
        names.filter(|name| name.split('.').next() == Some(section)).collect()
    }

    /// How it is written.
    pub fn name(self) -> &'static str {
        ALL.iter().find(|(_, field)| *field == self).map_or("", |(name, _)| name)
    }

    /// The sections, for messages.
    pub const SECTIONS: [&'static str; 3] = ["event", "probe", "task"];

    /// What its values are.
    pub fn class(self) -> Class {
        match self {
            HeaderField::Time => Class::Number(0, u64::MAX.into()),
            HeaderField::Cpu => Class::Number(0, u16::MAX.into()),
            HeaderField::Pid | HeaderField::Tgid => Class::Number(0, u32::MAX.into()),
            HeaderField::Probe | HeaderField::Type | HeaderField::Way | HeaderField::Comm => Class::Text,
        }
    }
}
