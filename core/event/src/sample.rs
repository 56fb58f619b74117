//! For tests: the sample event of DESIGN §11, as bytes, and a hand tool for making records. The schemas are those that
//! the built-in collectors have.

use std::sync::Arc;

use crate::header::{self, RECORD_SIZE, SECTIONS, STACK};
use crate::{
    Clock, Context, Field, Kind, Layout, NoSymbols, Place, ProbeInfo, Schema, Show, Symbol, Symbols, Tag,
    Tail, Text, Trim,
};

pub mod dropmon;
pub mod tracked;

static CLOCK: Clock = Clock::NONE;

/// Knows nothing, and shows what is shown by default.
pub const CONTEXT: Context<'static> =
    Context { own_netns: None, symbols: &NoSymbols, clock: &CLOCK, utc: false, link_header: false };

pub const NETNS: u64 = 4_026_531_840;

/// 172.16.42.1.52294 > 172.16.42.2.8080, a TCP SYN of 60 bytes in an Ethernet frame.
pub const SYN: [u8; 74] = [
    0x02, 0x42, 0xac, 0x10, 0x2a, 0x02, 0x02, 0x42, 0xac, 0x10, 0x2a, 0x01, 0x08, 0x00, // Ethernet
    0x45, 0x00, 0x00, 0x3c, 0x94, 0x50, 0x40, 0x00, 0x40, 0x06, 0x00, 0x00, // IPv4
    172, 16, 42, 1, 172, 16, 42, 2, // its addresses
    0xcc, 0x46, 0x1f, 0x90, 0x75, 0x84, 0xd9, 0x32, 0x00, 0x00, 0x00, 0x00, // TCP
    0xa0, 0x02, 0xfa, 0xf0, 0x00, 0x00, 0x00, 0x00, // data offset 10, SYN, window 64240
    0x02, 0x04, 0x05, 0xb4, 0x04, 0x02, 0x08, 0x0a, 0, 0, 0, 1, 0, 0, 0, 0, 0x01, 0x03, 0x03,
    0x07, // its options
];

pub const NFT_RULE: usize = 80;
pub const NFT_POLICY: usize = 92;

pub fn probe() -> ProbeInfo {
    let name = "__nft_trace_packet".to_owned();
    ProbeInfo {
        tag: Tag::Kprobe,
        trim: Trim::Entry(name.clone()),
        way: "fentry".into(),
        name,
        layout: Arc::new(layout()),
    }
}

pub fn layout() -> Layout {
    let nft = schema(
        "nft",
        96,
        None,
        vec![
            field("table", 0, Kind::Str(32), Show::Plain),
            field("chain", 32, Kind::Str(32), Show::Plain),
            field("table_handle", 64, Kind::Uint(8), Show::Plain),
            field("chain_handle", 72, Kind::Uint(8), Show::Plain),
            field("rule", 80, Kind::Uint(8), Show::Plain),
            field("verdict", 88, verdict(), Show::Plain),
            field("policy", 92, Kind::Uint(1), Show::Plain),
        ],
        "table {table} ({table_handle}) chain {chain} ({chain_handle})[ handle {rule}] {verdict}[policy? (policy)]",
        Place::Line,
    );
    let key = ["table", "chain", "rule", "verdict"].map(String::from).to_vec();
    let nft = Arc::new(Schema::clone(&nft).with_key(key).unwrap());
    let ns = schema(
        "ns",
        4,
        None,
        vec![field("inum", 0, Kind::Uint(4), Show::Netns)],
        "[ns {inum}]",
        Place::Packet(0),
    );
    let dev = schema(
        "dev",
        24,
        None,
        vec![
            field("name", 0, Kind::Str(16), Show::Device),
            field("ifindex", 16, Kind::Uint(4), Show::Plain),
            field("rx_ifindex", 20, Kind::Uint(4), Show::Plain),
        ],
        "if {ifindex} ({name})[ rxif {rx_ifindex}]",
        Place::Packet(10),
    );
    let skb = schema(
        "skb",
        12,
        Some(Tail { max: 256 }),
        vec![
            field("orig_len", 0, Kind::Uint(4), Show::Plain),
            field("link", 4, Kind::Uint(4), Show::Plain),
            field("protocol", 8, Kind::Uint(2), Show::Be16),
            field("data", 12, Kind::Tail, Show::Packet),
        ],
        "{data}",
        Place::Packet(20),
    );
    let reason = Kind::Enum { width: 4, signed: false, names: vec![(2, "NETFILTER_DROP".into())] };
    let drop = schema(
        "skb_drop",
        4,
        None,
        vec![field("reason", 0, reason, Show::Plain)],
        "(drop {reason})",
        Place::Head,
    );
    Layout::new(vec![nft, ns, dev, skb, drop]).unwrap()
}

/// Two tail sections, `one` and `two`, with structs of 4 bytes and arrays of at most 32.
pub fn two_tails() -> Layout {
    let section = |name| {
        let data = vec![field("data", 4, Kind::Tail, Show::Plain)];
        schema(name, 4, Some(Tail { max: 32 }), data, "{data}", Place::Line)
    };
    Layout::new(vec![section("one"), section("two")]).unwrap()
}

pub fn record() -> Vec<u8> {
    let layout = layout();
    let mut dev = [0; 24];
    dev[..4].copy_from_slice(b"eth0");
    dev[16] = 2;
    dev[20] = 2;
    let mut skb = vec![74, 0, 0, 0, 1, 0, 0, 0, 0x08, 0x00, 0, 0];
    skb.extend(SYN);
    let mut bytes = Bytes::new(&layout)
        .fixed(0, &nft())
        .fixed(1, &u32::try_from(NETNS).unwrap().to_le_bytes())
        .fixed(2, &dev)
        .tail(3, &skb)
        .stack(&[0xffff_ffff_c001_0001, 0xffff_ffff_c002_03ef])
        .finish();
    bytes[header::TIME..header::TIME + 8].copy_from_slice(&3_443_313_082_998_u64.to_le_bytes());
    bytes[header::COMM..header::COMM + 9].copy_from_slice(b"swapper/0");
    bytes
}

pub fn nft() -> [u8; 96] {
    let mut nft = [0; 96];
    nft[..9].copy_from_slice(b"firewalld");
    nft[32..54].copy_from_slice(b"filter_IN_FedoraServer");
    nft[64] = 1;
    nft[72] = 202;
    nft[NFT_RULE] = 215;
    nft
}

/// The names of the sample's stack.
pub struct Names;

impl Symbols for Names {
    fn resolve(&self, address: u64) -> Option<Symbol<'_>> {
        let name = match address >> 16 {
            0xffff_ffff_c001 => "__nft_trace_packet",
            0xffff_ffff_c002 => "nft_do_chain",
            _ => return None,
        };
        Some(Symbol { name: name.into(), offset: address & 0xffff })
    }
}

/// The same JSON Schema for who wants to know of everything that it does not describe.
pub fn strict(mut schema: serde_json::Value) -> serde_json::Value {
    fn close(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(members) => {
                // `properties` is also a name that a property may have.
                if members.get("properties").is_some_and(serde_json::Value::is_object) {
                    members.insert("additionalProperties".into(), false.into());
                }
                members.values_mut().for_each(close);
            }
            serde_json::Value::Array(values) => values.iter_mut().for_each(close),
            _ => {}
        }
    }
    close(&mut schema);
    schema["anyOf"].as_array_mut().unwrap().pop();
    schema
}

/// A record in the making. Tails must be added in the layout's order.
pub struct Bytes<'a> {
    layout: &'a Layout,
    bytes: Vec<u8>,
    sections: u64,
    stack: u32,
}

impl<'a> Bytes<'a> {
    pub fn new(layout: &'a Layout) -> Bytes<'a> {
        Bytes { layout, bytes: vec![0; layout.fixed_end() as usize], sections: 0, stack: 0 }
    }

    pub fn fixed(mut self, index: usize, section: &[u8]) -> Bytes<'a> {
        let start = self.layout.sections()[index].offset as usize;
        self.bytes[start..start + section.len()].copy_from_slice(section);
        self.sections |= 1 << index;
        self
    }

    pub fn tail(mut self, index: usize, section: &[u8]) -> Bytes<'a> {
        let len = u32::try_from(section.len()).unwrap();
        self.bytes.extend(section);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.fixed(index, &len.to_le_bytes())
    }

    pub fn stack(mut self, addresses: &[u64]) -> Bytes<'a> {
        for address in addresses {
            self.bytes.extend(address.to_le_bytes());
            self.stack += 8;
        }
        self
    }

    pub fn finish(mut self) -> Vec<u8> {
        let size = u32::try_from(self.bytes.len()).unwrap();
        self.bytes[RECORD_SIZE..RECORD_SIZE + 4].copy_from_slice(&size.to_le_bytes());
        self.bytes[SECTIONS..SECTIONS + 8].copy_from_slice(&self.sections.to_le_bytes());
        self.bytes[STACK..STACK + 4].copy_from_slice(&self.stack.to_le_bytes());
        self.bytes
    }
}

fn verdict() -> Kind {
    Kind::Enum { width: 4, signed: true, names: vec![(0, "drop".into()), (1, "accept".into())] }
}

fn field(name: &str, offset: u32, kind: Kind, show: Show) -> Field {
    Field { name: name.into(), offset, kind, show }
}

fn schema(
    name: &str,
    size: u32,
    tail: Option<Tail>,
    fields: Vec<Field>,
    template: &str,
    place: Place,
) -> Arc<Schema> {
    let text = Text { template: template.parse().unwrap(), place };
    Arc::new(Schema::new(name, size, tail, fields, Some(text)).unwrap())
}
