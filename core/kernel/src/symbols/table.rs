//! kallsyms in memory: one text with all names, and 16 bytes per symbol. Compact because it stays for the
//! whole run (some 5 MB), parsed as bytes because a guest's start-up is felt.

use std::collections::{HashMap, HashSet};

use super::Symbol;

/// What is farther behind the nearest function than this is not in it; the kernel's largest are far smaller.
const FARTHEST: u64 = 128 << 10;

#[derive(Debug)]
pub(super) struct Table {
    names: String,
    modules: Vec<String>,
    /// Functions by address; among equal addresses the one to show comes first.
    text: Vec<Entry>,
    /// All else, in the file's order.
    data: Vec<Entry>,
    has_addresses: bool,
}

/// Where the name is, as `names[at..at + len]`.
#[derive(Clone, Copy, Debug)]
struct Entry {
    address: u64,
    at: u32,
    len: u16,
    /// Index into `modules` plus one, 0 for the kernel; the top bit marks a name to show last.
    module: u16,
}

/// Marks [`Entry::module`] of a symbol that is only shown when nothing else is at its address.
const LAST: u16 = 1 << 15;

impl Table {
    pub(super) fn parse(text: &[u8]) -> Table {
        let mut table = Table {
            names: String::new(),
            modules: Vec::new(),
            text: Vec::new(),
            data: Vec::new(),
            has_addresses: false,
        };
        // Names are about half of the file, lines about 40 bytes.
        let mut names = Vec::with_capacity(text.len() / 2);
        table.text.reserve(text.len() / 40);
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', text) {
            if let Some(line) = Line::parse(&text[start..end]) {
                table.add(&line, &mut names);
            }
            start = end + 1;
        }
        names.shrink_to_fit();
        table.names = String::from_utf8(names).expect("Line::parse takes ASCII only");
        // Nearly sorted already, and stable: among equals the file's order is the kernel's own.
        table.text.sort_by_key(|entry| (entry.address, entry.module & LAST));
        table.text.shrink_to_fit();
        table
    }

    pub(super) fn resolve(&self, address: u64) -> Option<Symbol<'_>> {
        if !self.has_addresses {
            return None;
        }
        let after = self.text.partition_point(|entry| entry.address <= address);
        let nearest = self.text.get(after.checked_sub(1)?)?.address;
        let offset = address - nearest;
        if offset > FARTHEST {
            return None;
        }
        let first = self.text[..after].partition_point(|entry| entry.address < nearest);
        Some(Symbol { offset, ..self.symbol(self.text[first]) })
    }

    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = Symbol<'_>> {
        let wanted = move |entry: &&Entry| usize::from(entry.len) == name.len() && self.name(**entry) == name;
        self.text.iter().chain(&self.data).filter(wanted).map(|entry| self.symbol(*entry))
    }

    /// The addresses of many names at once, where exactly one symbol has each.
    pub(super) fn addresses(&self, names: &HashSet<&str>) -> HashMap<String, u64> {
        let mut found: HashMap<String, Option<u64>> = HashMap::new();
        for entry in self.text.iter().chain(&self.data) {
            let name = self.name(*entry);
            if names.contains(name) {
                // A second one makes it nobody's.
                found
                    .entry(name.to_owned())
                    .and_modify(|address| *address = None)
                    .or_insert(Some(entry.address));
            }
        }
        found.into_iter().filter_map(|(name, address)| Some((name, address?))).collect()
    }

    pub(super) fn functions(&self) -> impl Iterator<Item = Symbol<'_>> {
        self.text.iter().map(|entry| self.symbol(*entry))
    }

    pub(super) fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.iter().map(String::as_str)
    }

    pub(super) fn has_addresses(&self) -> bool {
        self.has_addresses
    }

    fn add(&mut self, line: &Line<'_>, names: &mut Vec<u8>) {
        // Too many or too long for the entry's fields: no kernel has 4 GB of names, 64 KiB in one, or 32,767
        // modules.
        let (Ok(at), Ok(len)) = (u32::try_from(names.len()), u16::try_from(line.name.len())) else { return };
        let Some(module) = self.module(line.module) else { return };
        names.extend_from_slice(line.name);
        self.has_addresses |= line.address != 0;
        let entry = Entry { address: line.address, at, len, module };
        if line.is_function() {
            let last = if line.is_padding() { LAST } else { 0 };
            self.text.push(Entry { module: module | last, ..entry });
        } else {
            self.data.push(entry);
        }
    }

    /// Index plus one; the file lists a module's symbols together, so the newest is nearly always the one.
    fn module(&mut self, name: &[u8]) -> Option<u16> {
        if name.is_empty() {
            return Some(0);
        }
        let known = self.modules.iter().rposition(|known| known.as_bytes() == name);
        let index = known.unwrap_or_else(|| {
            self.modules.push(String::from_utf8_lossy(name).into_owned());
            self.modules.len() - 1
        });
        u16::try_from(index + 1).ok().filter(|index| index & LAST == 0)
    }

    fn symbol(&self, entry: Entry) -> Symbol<'_> {
        let module = usize::from(entry.module & !LAST);
        Symbol {
            name: self.name(entry),
            address: entry.address,
            offset: 0,
            module: module.checked_sub(1).map(|index| self.modules[index].as_str()),
        }
    }

    fn name(&self, entry: Entry) -> &str {
        let at = entry.at as usize;
        &self.names[at..at + usize::from(entry.len)]
    }
}

/// `ffffffff81000000 T _stext`, and for modules a tab and `[nf_tables]` after it.
struct Line<'a> {
    address: u64,
    kind: u8,
    name: &'a [u8],
    module: &'a [u8],
}

impl<'a> Line<'a> {
    fn parse(line: &'a [u8]) -> Option<Line<'a>> {
        let space = memchr::memchr(b' ', line)?;
        let (digits, rest) = line.split_at(space);
        let [b' ', kind, b' ', name @ ..] = rest else { return None };
        let (name, module) = match memchr::memchr(b'\t', name) {
            Some(tab) => (&name[..tab], bracketed(&name[tab + 1..])),
            None => (name, &[][..]),
        };
        if name.is_empty() || !name.is_ascii() {
            return None;
        }
        Some(Line { address: hexadecimal(digits)?, kind: *kind, name, module })
    }

    /// Text, global or static, and weak symbols, which are text as well (weak data is `v`; see nm(1)).
    fn is_function(&self) -> bool {
        matches!(self.kind, b't' | b'T' | b'w' | b'W')
    }

    /// Symbols on the padding in front of functions, for live patching and control flow integrity.
    fn is_padding(&self) -> bool {
        self.name.starts_with(b"__pfx_") || self.name.starts_with(b"__cfi_")
    }
}

fn bracketed(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).unwrap_or(text)
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| Some(number << 4 | u64::from((*digit as char).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T __pfx_first
ffffffff81000000 T first
ffffffff81000000 T also_first
ffffffff81000100 t twin
ffffffff81000200 W weak
ffffffff81000300 t twin
ffffffff82000000 D nft_trace_enabled
ffffffffc0000000 t nft_do_chain\t[nf_tables]
ffffffffc0000080 t nft_trace_init\t[nf_tables]
ffffffffc0001000 t bpf_prog_6deef7357e7b4530\t[bpf]
nonsense
";

    fn resolved(address: u64) -> Option<(String, u64, Option<String>)> {
        let table = Table::parse(TEXT.as_bytes());
        let symbol = table.resolve(address)?;
        Some((symbol.name.to_owned(), symbol.offset, symbol.module.map(str::to_owned)))
    }

    #[test]
    fn addresses_resolve_to_the_function_they_are_in() {
        assert_eq!(resolved(0xffff_ffff_8100_0104), Some(("twin".into(), 4, None)));
        assert_eq!(resolved(0xffff_ffff_8100_0200), Some(("weak".into(), 0, None)));
        assert_eq!(
            resolved(0xffff_ffff_c000_0010),
            Some(("nft_do_chain".into(), 16, Some("nf_tables".into())))
        );
        assert_eq!(
            resolved(0xffff_ffff_c000_1001),
            Some(("bpf_prog_6deef7357e7b4530".into(), 1, Some("bpf".into())))
        );
    }

    #[test]
    fn padding_gives_way_at_the_same_address() {
        assert_eq!(resolved(0xffff_ffff_8100_0000), Some(("first".into(), 0, None)));
    }

    #[test]
    fn data_and_distance_do_not_resolve() {
        assert_eq!(resolved(0xffff_ffff_8200_0000), None);
        assert_eq!(resolved(0xffff_ffff_80ff_ffff), None);
        assert_eq!(resolved(0xffff_ffff_c100_1001), None);
    }

    #[test]
    fn names_are_found_wherever_they_are() {
        let table = Table::parse(TEXT.as_bytes());
        let addresses = |name| table.named(name).map(|symbol| symbol.address).collect::<Vec<_>>();
        assert_eq!(addresses("nft_trace_enabled"), [0xffff_ffff_8200_0000]);
        assert_eq!(addresses("twin"), [0xffff_ffff_8100_0100, 0xffff_ffff_8100_0300]);
        assert!(addresses("twi").is_empty());
        assert_eq!(table.modules().collect::<Vec<_>>(), ["nf_tables", "bpf"]);
        assert_eq!(table.functions().count(), 9);
    }

    #[test]
    fn hidden_addresses_are_noticed() {
        let table = Table::parse(b"0000000000000000 T first\n0000000000000000 t nft_do_chain\t[nf_tables]\n");
        assert!(!table.has_addresses());
        assert_eq!(table.resolve(0x10), None);
        assert_eq!(table.named("nft_do_chain").next().unwrap().module, Some("nf_tables"));
    }

    #[test]
    fn broken_lines_are_left_out() {
        for line in ["", "ffff", "ffff T", "ffff T ", "zzzz T x", "fffffffffffffffff T x", "ffff TT x"] {
            assert!(Line::parse(line.as_bytes()).is_none(), "{line}");
        }
    }
}
