//! Whether packets and ids belong together: of all events in which a packet can be told from others by what is in it, those of one
//! packet have one id, and no two packets share one. What NAT and bridges change (addresses, ports, link-layer headers) does
//! not tell packets apart here.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    error::Error,
    fmt::Write as _,
    io::BufRead,
};

use serde_json::Value;

/// Violations that are shown.
const SHOWN: usize = 10;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    /// The packets' ids, and their events.
    packets: HashMap<String, (String, u64)>,
    /// The packets of each id.
    owners: HashMap<String, String>,
    /// By id, the TCP sequence numbers that its packets span, and the largest packet's.
    spans: HashMap<String, Span>,
    probes: BTreeMap<String, u64>,
    /// Addresses of the socket buffers.
    buffers: HashSet<String>,
    wrong: Vec<String>,
    events: u64,
    /// Whether packets may be parts of one another.
    parts: bool,
}

/// Sequence numbers of the bytes that TCP packets carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u32,
    length: u32,
}

impl Span {
    /// Whether all that `other` carries is carried by this one too.
    fn holds(self, other: Self) -> bool {
        let ahead = other.start.wrapping_sub(self.start);
        ahead <= self.length && u64::from(ahead) + u64::from(other.length) <= u64::from(self.length)
    }
}

/// What a packet is known by.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    key: String,
    span: Option<Span>,
}

impl Ids {
    /// Reads JSON lines. With `parts`, a packet may have the id of one that it is a part of (segments of a large one).
    pub(crate) fn read(lines: impl BufRead, parts: bool) -> Result<Self, Box<dyn Error>> {
        let mut ids = Self { parts, ..Self::default() };
        for line in lines.lines() {
            let line: Value = serde_json::from_str(&line?)?;
            if line["type"] == "event" {
                ids.event(&line);
            }
        }
        Ok(ids)
    }

    fn event(&mut self, event: &Value) {
        let raw = event["skb"]["data"]["raw"].as_str().and_then(bytes);
        let link = event["skb"]["link"].as_u64();
        let Some(known) = raw.zip(link).and_then(|(raw, link)| known(&raw, link)) else { return };
        let probe = format!("{} {}", event["probe"]["type"], event["probe"]["name"]).replace('"', "");
        let said = || format!("at {} in {probe}: {}", event["time"], known.key);
        *self.probes.entry(probe.clone()).or_default() += 1;
        self.events += 1;
        let Some(id) = event["skb_tracking"]["id"].as_str() else {
            self.wrong.push(format!("{} has no id", said()));
            return;
        };
        let said = || format!("{} has id {id}", said());
        if let Some(buffer) =
            event["skb_tracking"]["skb"].as_str().filter(|buffer| !self.buffers.contains(*buffer))
        {
            self.buffers.insert(buffer.to_owned());
        }
        let of_packet = self.packets.entry(known.key.clone()).or_insert_with(|| (id.to_owned(), 0));
        of_packet.1 += 1;
        if of_packet.0 != id {
            self.wrong.push(format!("{}, and had {}", said(), of_packet.0));
        }
        if self.parts
            && let Some(span) = known.span
        {
            let whole = self.spans.entry(id.to_owned()).or_insert(span);
            if span.holds(*whole) {
                *whole = span;
            } else if !whole.holds(span) {
                self.wrong.push(format!("{}, of another packet's {whole:?}", said()));
            }
            return;
        }
        let owner = self.owners.entry(id.to_owned()).or_insert_with(|| known.key.clone());
        if *owner != known.key {
            self.wrong.push(format!("{}, which is that of {owner}", said()));
        }
    }

    /// In words; whether all was right comes with it.
    pub(crate) fn report(&self) -> (String, bool) {
        let mut text = String::new();
        let ids: HashSet<&String> = self.packets.values().map(|(id, _)| id).collect();
        let fewest = self.packets.values().map(|(_, events)| *events).min().unwrap_or(0);
        let _ = writeln!(
            text,
            "{} events of {} packets with {} ids in {} buffers, {fewest} events of a packet or more, {} wrong",
            self.events,
            self.packets.len(),
            ids.len(),
            self.buffers.len(),
            self.wrong.len()
        );
        for (probe, events) in &self.probes {
            let _ = writeln!(text, "{events} in {probe}");
        }
        for wrong in self.wrong.iter().take(SHOWN) {
            let _ = writeln!(text, "wrong: {wrong}");
        }
        (text, self.wrong.is_empty() && self.events > 0)
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// What tells an IPv4 packet from all others, wherever it is seen: of UDP what it carries, of echoes what they carry and their
/// numbers, of TCP the place in the connection's bytes, the flags and the sender's identification.
fn known(raw: &[u8], link: u64) -> Option<Known> {
    let word = |bytes: &[u8], at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let long = |bytes: &[u8], at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let ip = match link {
        1 if word(raw, 12)? == 0x0800 => raw.get(14..)?,
        101 => raw,
        _ => return None,
    };
    let first = *ip.first()?;
    let header = usize::from(first & 0xf) * 4;
    // Not a header yet, or a fragment.
    if first >> 4 != 4 || header < 20 || word(ip, 6)? & 0x3fff != 0 {
        return None;
    }
    let total = usize::from(word(ip, 2)?);
    let above = ip.get(header..total.min(ip.len()))?;
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    match *ip.get(9)? {
        1 => {
            let kind = *above.first()?;
            let echo = matches!(kind, 0 | 8);
            echo.then(|| Some(Known { key: format!("icmp {kind} {}", hex(above.get(6..24)?)), span: None }))?
        }
        17 => Some(Known { key: format!("udp {}", hex(above.get(8..12)?)), span: None }),
        6 => {
            let (seq, ack) = (long(above, 4)?, long(above, 8)?);
            let (offset, flags) = (usize::from(*above.get(12)? >> 4) * 4, *above.get(13)?);
            let length = u32::try_from(total.checked_sub(header + offset)?).ok()?;
            let key = format!("tcp {seq} {ack} {flags:#x} len {length} id {}", word(ip, 4)?);
            Some(Known { key, span: Some(Span { start: seq, length }) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event with a UDP packet that carries `number`.
    fn event(number: u32, id: Option<&str>) -> String {
        let mut ip = vec![0x45, 0, 0, 32, 0, 1, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        ip.extend([0, 1, 0, 2, 0, 12, 0, 0]);
        ip.extend(number.to_be_bytes());
        let raw = ip.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let id = id.map_or(String::new(), |id| format!(",\"skb_tracking\":{{\"id\":\"{id}\"}}"));
        format!(
            "{{\"type\":\"event\",\"time\":1,\"probe\":{{\"type\":\"kprobe\",\"name\":\"f\"}},\
             \"skb\":{{\"link\":101,\"data\":{{\"raw\":\"{raw}\"}}}}{id}}}\n"
        )
    }

    fn report(events: &[(u32, Option<&str>)]) -> (String, bool) {
        let lines: String = events.iter().map(|(number, id)| event(*number, *id)).collect();
        Ids::read(lines.as_bytes(), false).unwrap().report()
    }

    #[test]
    fn ids_and_packets_belong_together() {
        let (text, right) = report(&[(1, Some("a")), (1, Some("a")), (2, Some("b"))]);
        assert!(
            right && text.starts_with("3 events of 2 packets with 2 ids in 0 buffers, 1 events"),
            "{text}"
        );
        for wrong in [
            &[(1, Some("a")), (1, Some("b"))][..],
            &[(1, Some("a")), (2, Some("a"))],
            &[(1, Some("a")), (1, None)],
            &[],
        ] {
            let (text, right) = report(wrong);
            assert!(!right, "{text}");
        }
    }

    #[test]
    fn parts_are_within_the_whole() {
        let span = |start, length| Span { start, length };
        assert!(span(u32::MAX - 1, 10).holds(span(3, 5)) && !span(u32::MAX - 1, 10).holds(span(3, 6)));
        assert!(!span(5, 10).holds(span(4, 1)) && span(5, 10).holds(span(5, 10)));
    }
}
