//! Records like those of `nft-dropmon` on a firewall: the sections of the built-in collectors, a few rules in a few
//! chains, some dozens of senders, twenty frames of stack by a few ways through the kernel. Random is what is random in
//! life: ports, sequence numbers, checksums, payload.

#![expect(clippy::unwrap_used, reason = "what is made here is sound, as every test shows")]

use std::sync::Arc;

use tracer_event::{
    Field, Kind, Layout, Place, ProbeInfo, Probes, Schema, Session, Show, Symbol, Symbols, Tag, Tail, Text,
    Trim, header, sample::Bytes,
};

/// The frames of a stack.
pub const FRAMES: u64 = 20;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// Mostly TCP SYNs, some UDP with a little payload, some pings.
    Scans,
    /// TCP segments that fill what is kept of a packet with noise: the worst for a compressor.
    Payload,
}

/// A source of records.
pub struct Traffic {
    layout: Arc<Layout>,
    numbers: Numbers,
    mix: Mix,
    time: u64,
}

impl Traffic {
    /// The same records each time.
    pub fn new(mix: Mix) -> Traffic {
        Traffic { layout: Arc::new(layout()), numbers: Numbers(1), mix, time: 3_443_313_082_998 }
    }

    /// A run in which these are seen.
    pub fn session(&self) -> Session {
        let name = "__nft_trace_packet".to_owned();
        let probe = ProbeInfo {
            tag: Tag::Kprobe,
            trim: Trim::Entry(name.clone()),
            way: "fentry".into(),
            name,
            layout: Arc::clone(&self.layout),
        };
        Session {
            tracer: "0.1.0".into(),
            host: "gw".into(),
            kernel: "6.12.95-cloud-amd64".into(),
            machine: "x86_64".into(),
            command: ["tracer", "-p", "nft-dropmon", "collect", "-o"].map(String::from).to_vec(),
            own_netns: Some(4_026_531_840),
            probes: Arc::new(Probes::new(vec![probe])),
        }
    }

    /// The next record.
    pub fn record(&mut self) -> Vec<u8> {
        let n = &mut self.numbers;
        self.time += 300 + n.below(2_000);
        let sender = n.below(48);
        let rule = n.below(6);
        let (chain, table) = CHAINS[rule as usize % CHAINS.len()];
        let mut nft = Vec::new();
        nft.extend([1 + (rule & 1), 202 + rule % 3, 215 + rule].map(u64::to_le_bytes).as_flattened());
        nft.extend([0u32, 1, 1, 4_026_531_840].map(u32::to_le_bytes).as_flattened());
        nft.extend([0; 4]);
        let chain_at = ((table.len() as u32) << 16) | (60 + chain.len() as u32);
        nft.extend([chain_at, ((chain.len() as u32) << 16) | 60, 0].map(u32::to_le_bytes).as_flattened());
        nft.resize(56, 0);
        nft.extend([0; 4]);
        nft.extend(chain.as_bytes());
        nft.extend(table.as_bytes());
        let device = 2 + (sender % 3) as u32;
        let mut dev = [0; 24];
        dev[..4].copy_from_slice(&[b'e', b't', b'h', b'0' + device as u8]);
        dev[16..20].copy_from_slice(&device.to_le_bytes());
        dev[20..].copy_from_slice(&device.to_le_bytes());
        let mut ns = [0; 12];
        ns[0] = 1;
        ns[8..].copy_from_slice(&4_026_531_840u32.to_le_bytes());
        let packet = packet(n, self.mix, sender);
        let original = packet.len() as u32;
        let mut skb = Vec::new();
        let hash = if n.below(2) == 0 { 0 } else { n.next() as u32 };
        skb.extend([original - 14, 0, 0, hash, original].map(u32::to_le_bytes).as_flattened());
        skb.extend([8, 0, 1, 0, 0, 0, 0, 0]);
        skb.extend(&packet[..packet.len().min(256)]);
        let way = n.below(8);
        let stack: Vec<u64> = (0..FRAMES).map(|frame| address(way, frame)).collect();
        let cpu = n.below(4);
        let mut bytes = Bytes::new(&self.layout)
            .tail(0, &nft)
            .tail(1, &skb)
            .fixed(2, &dev)
            .fixed(3, &ns)
            .stack(&stack)
            .finish();
        bytes[header::CPU] = cpu as u8;
        bytes[header::TIME..header::TIME + 8].copy_from_slice(&self.time.to_le_bytes());
        let (comm, pid) = if way < 6 { (format!("swapper/{cpu}"), 0) } else { ("ksoftirqd/1".into(), 23u32) };
        bytes[header::TGID..header::TGID + 4].copy_from_slice(&pid.to_le_bytes());
        bytes[header::PID..header::PID + 4].copy_from_slice(&pid.to_le_bytes());
        bytes[header::COMM..header::COMM + comm.len()].copy_from_slice(comm.as_bytes());
        bytes
    }
}

/// Ways through the kernel have their innermost and outermost frames in common.
fn address(way: u64, frame: u64) -> u64 {
    let function = if (4..12).contains(&frame) { 100 + (way * 37 + frame) % 60 } else { frame };
    0xffff_ffff_a000_0000 + function * 0x1340 + 0x2f
}

const CHAINS: [(&str, &str); 4] = [
    ("filter_IN_FedoraServer", "firewalld"),
    ("filter_IN_public_deny", "firewalld"),
    ("input", "filter"),
    ("forward", "filter"),
];

fn packet(n: &mut Numbers, mix: Mix, sender: u64) -> Vec<u8> {
    let kind = n.below(10);
    let (protocol, rest) = match (mix, kind) {
        (Mix::Payload, _) => {
            let mut tcp = tcp(n, 0x18);
            tcp.extend((0..1_400).map(|_| n.next() as u8));
            (6, tcp)
        }
        (_, 0..7) => (6, tcp(n, 0x02)),
        (_, 7 | 8) => {
            let payload = 12 + n.below(36);
            let mut udp = [(1024 + n.below(60_000)) as u16, 53, 8 + payload as u16, n.next() as u16]
                .map(u16::to_be_bytes)
                .as_flattened()
                .to_vec();
            udp.extend((0..payload).map(|_| n.next() as u8));
            (17, udp)
        }
        _ => {
            let mut icmp = vec![8, 0, n.next() as u8, n.next() as u8, 0x12, 0x34, 0, n.next() as u8];
            icmp.extend(0..56);
            (1, icmp)
        }
    };
    let mut packet =
        vec![2, 0x42, 0xac, 0x10, 0x2a, 2, 2, 0x42, 0xac, 0x10, 0x2a, sender as u8, 8, 0, 0x45, 0];
    packet.extend((20 + rest.len() as u16).to_be_bytes());
    packet.extend((n.next() as u16).to_be_bytes());
    packet.extend([0x40, 0, 64 - (sender % 5) as u8, protocol]);
    packet.extend((n.next() as u16).to_be_bytes());
    packet.extend([172, 16, (sender % 4) as u8, sender as u8, 172, 16, 42, 2]);
    packet.extend(rest);
    packet
}

fn tcp(n: &mut Numbers, flags: u8) -> Vec<u8> {
    let port = [22, 23, 80, 443, 445, 3389, 8080, 5900][n.below(8) as usize];
    let mut tcp = [(32_768 + n.below(28_000)) as u16, port].map(u16::to_be_bytes).as_flattened().to_vec();
    tcp.extend((n.next() as u32).to_be_bytes());
    tcp.extend([0, 0, 0, 0, 0xa0, flags, 0xfa, 0xf0]);
    tcp.extend((n.next() as u16).to_be_bytes());
    tcp.extend([0, 0, 2, 4, 5, 0xb4, 4, 2, 8, 10]);
    tcp.extend((n.next() as u32).to_be_bytes());
    tcp.extend([0, 0, 0, 0, 1, 3, 3, 7]);
    tcp
}

/// Knows a name for every address.
pub struct Names;

impl Symbols for Names {
    fn resolve(&self, address: u64) -> Option<Symbol<'_>> {
        let function = address.checked_sub(0xffff_ffff_a000_0000)? / 0x1340;
        let name = match function {
            0 => "__nft_trace_packet".to_owned(),
            n => format!(
                "{}_{n}",
                ["nf_hook_slow", "ip_local_deliver", "__netif_receive_skb_one_core"][n as usize % 3]
            ),
        };
        Some(Symbol { name: name.into(), offset: address % 0x1340 })
    }
}

/// Random numbers, the same each time (xorshift64*).
pub struct Numbers(pub u64);

impl Numbers {
    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn layout() -> Layout {
    let number = |name: &str, offset, width| field(name, offset, Kind::Uint(width), Show::Plain);
    let names = |names: &[(i64, &str)]| Kind::Enum {
        width: 4,
        signed: true,
        names: names.iter().map(|(value, name)| (*value, (*name).to_owned())).collect(),
    };
    let nft = vec![
        number("table_handle", 0, 8),
        number("chain_handle", 8, 8),
        number("rule", 16, 8),
        field("verdict", 24, names(&[(0, "drop"), (1, "accept"), (3, "queue")]), Show::Plain),
        field("family", 28, names(&[(1, "inet"), (2, "ip")]), Show::Plain),
        field("hook", 32, names(&[(1, "input"), (2, "forward")]), Show::Plain),
        field("netns", 36, Kind::Uint(4), Show::Netns),
        number("queue", 40, 2),
        number("policy", 42, 1),
        number("chain_end", 43, 1),
        field("table", 44, Kind::Text, Show::Plain),
        field("chain", 48, Kind::Text, Show::Plain),
        field("target", 52, Kind::Text, Show::Plain),
        field("names", 60, Kind::Tail, Show::Strings),
    ];
    let nft_text = "table {table} ({table_handle}) chain {chain} ({chain_handle})[ handle {rule}] {verdict}[ {target}][verdict=queue? {queue}][policy? (policy)][chain_end? (end of chain)]";
    let skb = vec![
        number("len", 0, 4),
        number("data_len", 4, 4),
        field("mark", 8, Kind::Uint(4), Show::Hex),
        field("hash", 12, Kind::Uint(4), Show::Hex),
        number("orig_len", 16, 4),
        field("protocol", 20, Kind::Uint(2), Show::Be16),
        number("link", 22, 2),
        field("vlan_proto", 24, Kind::Uint(2), Show::Be16),
        number("vlan_tci", 26, 2),
        field("data", 28, Kind::Tail, Show::Packet),
    ];
    let dev = vec![
        field("name", 0, Kind::Str(16), Show::Device),
        number("ifindex", 16, 4),
        number("rx_ifindex", 20, 4),
    ];
    let ns = vec![number("cookie", 0, 8), field("inum", 8, Kind::Uint(4), Show::Netns)];
    let key = ["family", "table", "chain", "rule", "verdict"].map(String::from).to_vec();
    let nft = schema("nft", 60, Some(Tail { max: 768 }), nft, nft_text, Place::Line).with_key(key).unwrap();
    let skb = schema("skb", 28, Some(Tail { max: 256 }), skb, "{data}", Place::Packet(20));
    let dev = schema("dev", 24, None, dev, "if {ifindex} ({name})[ rxif {rx_ifindex}]", Place::Packet(10));
    let ns = schema("ns", 12, None, ns, "[ns {inum}]", Place::Packet(0));
    Layout::new([nft, skb, dev, ns].map(Arc::new).to_vec()).unwrap()
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
) -> Schema {
    let text = Text { template: template.parse().unwrap(), place };
    Schema::new(name, size, tail, fields, Some(text)).unwrap()
}
