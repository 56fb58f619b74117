//! An event of the profile `nft-dropmon` as the built-in collectors make it: names in a section's final array, an
//! offloaded VLAN tag's fields beside the packet, and a whole stack. What is measured and stored should be like this.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Bytes, NETNS, SYN, field, schema};
use crate::{Kind, Layout, Place, ProbeInfo, Schema, Show, Symbol, Symbols, Tag, Tail, Trim, header};

/// The functions of the sample's stack, innermost first, behind two frames of the tracing machinery.
pub const STACK: [&str; 22] = [
    "bpf_prog_6deef7357e7b4530_tracer",
    "bpf_trampoline_6442536467",
    "__nft_trace_packet",
    "nft_do_chain",
    "nft_do_chain_inet",
    "nf_hook_slow",
    "ip_local_deliver",
    "ip_sublist_rcv_finish",
    "ip_sublist_rcv",
    "ip_list_rcv",
    "__netif_receive_skb_list_core",
    "netif_receive_skb_list_internal",
    "napi_complete_done",
    "virtnet_poll",
    "__napi_poll",
    "net_rx_action",
    "handle_softirqs",
    "__irq_exit_rcu",
    "common_interrupt",
    "asm_common_interrupt",
    "pv_native_safe_halt",
    "default_idle",
];

pub fn probe() -> ProbeInfo {
    let name = "__nft_trace_packet".to_owned();
    let (trim, layout) = (Trim::Entry(name.clone()), Arc::new(layout()));
    ProbeInfo { tag: Tag::Kprobe, trim, way: "fentry".into(), name, layout }
}

/// The sections in the order of the collectors of the profile.
pub fn layout() -> Layout {
    Layout::new(vec![nft(), skb(), dev(), ns()]).unwrap()
}

pub fn record() -> Vec<u8> {
    let layout = layout();
    let mut bytes = Bytes::new(&layout)
        .tail(0, &nft_bytes(&["filter_IN_FedoraServer", "", "firewalld"]))
        .tail(1, &skb_bytes(&SYN))
        .fixed(2, &[&b"eth0\0\0\0\0\0\0\0\0\0\0\0\0"[..], &[2, 0, 0, 0], &[2, 0, 0, 0]].concat())
        .fixed(3, &[4711u64.to_le_bytes(), NETNS.to_le_bytes()].concat())
        .stack(&std::array::from_fn::<u64, 22, _>(address))
        .finish();
    bytes[header::TIME..header::TIME + 8].copy_from_slice(&3_443_313_082_998_u64.to_le_bytes());
    bytes[header::COMM..header::COMM + 9].copy_from_slice(b"swapper/0");
    bytes[header::CPU] = 3;
    bytes
}

/// Chain, target and table; a rule's drop.
pub fn nft_bytes(names: &[&str; 3]) -> Vec<u8> {
    let mut bytes: Vec<u8> = [1u64, 202, 215].into_iter().flat_map(u64::to_le_bytes).collect();
    // Verdict, family, hook, and the namespace.
    let inum = u32::try_from(NETNS).unwrap();
    bytes.extend([0u32, 1, 1, inum].into_iter().flat_map(u32::to_le_bytes));
    bytes.extend([0; 4]);
    let mut place = 56u32;
    let [chain, target, table] = names.map(|name| {
        let len = u32::try_from(name.len()).unwrap();
        let text = if len == 0 { 0 } else { place | len << 16 };
        place += len;
        text
    });
    bytes.extend([table, chain, target].into_iter().flat_map(u32::to_le_bytes));
    bytes.extend(names.concat().bytes());
    bytes
}

/// A whole Ethernet frame of IPv4.
pub fn skb_bytes(frame: &[u8]) -> Vec<u8> {
    let len = u32::try_from(frame.len()).unwrap();
    let mut bytes: Vec<u8> =
        [len.saturating_sub(14), 0, 0x10, 0x1bad_cafe, len].into_iter().flat_map(u32::to_le_bytes).collect();
    // Protocol, link, and no tag.
    bytes.extend([0x08, 0x00, 1, 0, 0, 0, 0, 0]);
    bytes.extend(frame);
    bytes
}

/// The names of the stack's addresses, by a table as live tracing has one.
pub struct Table(HashMap<u64, (&'static str, u64)>);

impl Table {
    pub fn new() -> Table {
        Table(STACK.iter().enumerate().map(|(i, name)| (address(i), (*name, address(i) & 0xfff))).collect())
    }
}

impl Default for Table {
    fn default() -> Table {
        Table::new()
    }
}

impl Symbols for Table {
    fn resolve(&self, address: u64) -> Option<Symbol<'_>> {
        let (name, offset) = self.0.get(&address)?;
        Some(Symbol { name: (*name).into(), offset: *offset })
    }
}

fn address(index: usize) -> u64 {
    let index = u64::try_from(index).unwrap();
    0xffff_ffff_8100_0000 + (index << 12) + 7 + 13 * index
}

fn nft() -> Arc<Schema> {
    let names = |names: &[&str]| Kind::Enum {
        width: 4,
        signed: false,
        names: (0..).zip(names.iter().map(|name| (*name).to_owned())).collect(),
    };
    let verdicts =
        ["drop", "accept", "stolen", "queue", "repeat", "stop", "continue", "return", "jump", "goto"];
    let fields = vec![
        field("table_handle", 0, Kind::Uint(8), Show::Plain),
        field("chain_handle", 8, Kind::Uint(8), Show::Plain),
        field("rule", 16, Kind::Uint(8), Show::Plain),
        field("verdict", 24, names(&verdicts), Show::Plain),
        field("family", 28, names(&["unspecified", "inet", "ip", "ip6", "arp", "bridge"]), Show::Plain),
        field("hook", 32, names(&["prerouting", "input", "forward", "output", "postrouting"]), Show::Plain),
        field("netns", 36, Kind::Uint(4), Show::Netns),
        field("queue", 40, Kind::Uint(2), Show::Plain),
        field("policy", 42, Kind::Uint(1), Show::Plain),
        field("chain_end", 43, Kind::Uint(1), Show::Plain),
        field("table", 44, Kind::Text, Show::Plain),
        field("chain", 48, Kind::Text, Show::Plain),
        field("target", 52, Kind::Text, Show::Plain),
        field("names", 56, Kind::Tail, Show::Strings),
    ];
    let text = "table {table} ({table_handle}) chain {chain} ({chain_handle})[ handle {rule}] {verdict}[ {target}]\
        [verdict=queue? {queue}][policy? (policy)][chain_end? (end of chain)]";
    let schema = schema("nft", 56, Some(Tail { max: 768 }), fields, text, Place::Line);
    let key = ["family", "table", "chain", "rule", "verdict"].map(String::from).to_vec();
    Arc::new(Schema::clone(&schema).with_key(key).unwrap())
}

pub(super) fn skb() -> Arc<Schema> {
    let fields = vec![
        field("len", 0, Kind::Uint(4), Show::Plain),
        field("data_len", 4, Kind::Uint(4), Show::Plain),
        field("mark", 8, Kind::Uint(4), Show::Hex),
        field("hash", 12, Kind::Uint(4), Show::Hex),
        field("orig_len", 16, Kind::Uint(4), Show::Plain),
        field("protocol", 20, Kind::Uint(2), Show::Be16),
        field("link", 22, Kind::Uint(2), Show::Plain),
        field("vlan_proto", 24, Kind::Uint(2), Show::Be16),
        field("vlan_tci", 26, Kind::Uint(2), Show::Plain),
        field("data", 28, Kind::Tail, Show::Packet),
    ];
    schema("skb", 28, Some(Tail { max: 256 }), fields, "{data}", Place::Packet(30))
}

fn dev() -> Arc<Schema> {
    let fields = vec![
        field("name", 0, Kind::Str(16), Show::Device),
        field("ifindex", 16, Kind::Uint(4), Show::Plain),
        field("rx_ifindex", 20, Kind::Uint(4), Show::Plain),
    ];
    schema("dev", 24, None, fields, "if {ifindex} ({name})[ rxif {rx_ifindex}]", Place::Packet(20))
}

fn ns() -> Arc<Schema> {
    let fields =
        vec![field("cookie", 0, Kind::Uint(8), Show::Hex), field("inum", 8, Kind::Uint(4), Show::Netns)];
    schema("ns", 16, None, fields, "[ns {inum}]", Place::Packet(10))
}
