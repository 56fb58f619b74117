//! A trace as `tracer -p nft-dropmon collect -P __nft_trace_packet/stack,tp:skb:kfree_skb -o` writes it on a firewall with
//! a bit of everything: by the schemas of the built-in collectors, which their objects state.

use std::{path::Path, sync::Arc};

use tracer_compose::{Catalog, KernelEnums};
use tracer_event::{
    Account, Clock, ClockSample, Context, Kind, Layout, Loss, ProbeInfo, Probes, Schema, Session, Show,
    Symbol, Symbols, Tag, Trim, header, sample::Bytes,
};
use tracer_trace::{Sink, file::TraceSink};

use crate::packets::{arp, dns, echo, ethernet, fragment, ipv4, ipv6, tagged, tcp, udp, vxlan};

/// Namespaces: the tracer's own, and that of a container.
const OWN: u64 = 4_026_531_840;
const CONTAINER: u64 = 4_026_532_637;
/// When it begins: `CLOCK_MONOTONIC`, ns.
const START: u64 = 3_443_313_000_000;

/// Writes the trace.
pub fn write(path: &Path) {
    let mut bytes = Vec::new();
    feed(Box::new(TraceSink::new(&mut bytes)));
    std::fs::write(path, bytes).unwrap();
}

/// Gives a sink the whole run.
pub fn feed(mut sink: Box<dyn Sink + '_>) {
    let session = session();
    let mut clock = Clock::default();
    sink.begin(&session).unwrap();
    let (mut delivered, probes) = ([0, 0], &session.probes);
    for (i, hit) in hits().iter().enumerate() {
        // Twice, and the second time the wall clock was set by a millisecond meanwhile.
        if let Some(slewed) = [(0, 0), (14, 1_000_000)].iter().find(|(at, _)| *at == i).map(|(_, by)| *by) {
            let monotonic = START + i as u64 * 4_000_000_000;
            let realtime = 1_764_000_000_000_000_000 + i64::try_from(i).unwrap() * 4_000_000_000 + slewed;
            clock.add(ClockSample { monotonic, realtime });
            sink.clock(ClockSample { monotonic, realtime }).unwrap();
        }
        let context = Context {
            own_netns: session.own_netns,
            symbols: &Names,
            clock: &clock,
            utc: false,
            link_header: false,
        };
        let time = START + 82_998 + i as u64 * 4_000_170_011;
        let number = usize::from(hit.rule.is_none());
        let probe = probes.probe(u16::try_from(number).unwrap()).unwrap();
        let record = hit.record(number, &probe.layout, time);
        let event = probes.event(&record, &context).unwrap();
        if i == 9 {
            sink.loss(&Loss { events: 17, probe: event.probe, cpu: 3, before: Some(time) }).unwrap();
        }
        sink.event(&event).unwrap();
        delivered[number] += 1;
        if i % 8 == 7 {
            sink.flush().unwrap();
        }
    }
    sink.loss(&Loss { events: 3, probe: probes.probe(1).unwrap(), cpu: 0, before: None }).unwrap();
    let account = |delivered, filtered, lost, missed| Account {
        hits: filtered + delivered + lost,
        filtered,
        limited: 0,
        delivered,
        lost,
        missed,
    };
    sink.account(&[account(delivered[0], 97_090, 17, Some(0)), account(delivered[1], 0, 3, None)]).unwrap();
    sink.finish().unwrap();
}

fn session() -> Session {
    let catalog = Catalog::new().unwrap();
    let layout = |names: &[&str]| {
        let schema = |name: &&str| {
            let reader = &catalog.find(name).unwrap().readers[0];
            reader.schema_with(|option| (option == "snaplen").then_some(256), &KernelEnums::default())
        };
        Arc::new(Layout::new(names.iter().map(schema).collect()).unwrap())
    };
    let function = "__nft_trace_packet".to_owned();
    let rule = ProbeInfo {
        tag: Tag::Kprobe,
        trim: Trim::Entry(function.clone()),
        way: "fentry".into(),
        name: function,
        layout: layout(&["nft", "skb", "dev", "ns"]),
    };
    let freed = ProbeInfo {
        tag: Tag::RawTracepoint,
        trim: Trim::Machinery,
        way: "tp_btf".into(),
        name: "skb:kfree_skb".into(),
        layout: layout(&["skb", "dev", "ns"]),
    };
    let command =
        "tracer -p nft-dropmon collect --allow-system-changes -P tp:skb:kfree_skb/stack -o dropmon.trace";
    Session {
        tracer: "0.1.0".into(),
        host: "gw".into(),
        kernel: "6.12.95-cloud-amd64".into(),
        machine: "x86_64".into(),
        command: command.split(' ').map(String::from).collect(),
        own_netns: Some(OWN),
        probes: Arc::new(Probes::new(vec![rule, freed])),
    }
}

/// A rule, or a chain's policy where the handle is 0: family, table and chain with their handles.
type Rule = (&'static str, (&'static str, u64), (&'static str, u64), &'static str, u64);

const DENY: Rule = ("inet", ("firewalld", 1), ("filter_IN_FedoraServer", 202), "input", 215);
const SCAN: Rule = ("inet", ("firewalld", 1), ("filter_IN_public_deny", 188), "input", 190);
const POLICY: Rule = ("ip", ("filter", 3), ("FORWARD", 2), "forward", 0);
const EGRESS: Rule = ("ip", ("filter", 3), ("OUTPUT", 4), "output", 31);
const SIX: Rule = ("ip6", ("filter", 4), ("INPUT", 1), "input", 12);
const ARP: Rule = ("arp", ("guard", 7), ("input", 1), "input", 3);

struct Hit {
    rule: Option<Rule>,
    task: (&'static str, u32, u8),
    ethertype: u16,
    link: u64,
    /// A tag that the device took off.
    vlan: u64,
    packet: Vec<u8>,
    device: (&'static str, u64),
    received: u64,
    netns: u64,
    stack: &'static [&'static str],
}

/// What is most often so.
fn hit(rule: Rule, ethertype: u16, frame: Vec<u8>) -> Hit {
    Hit {
        rule: Some(rule),
        task: ("swapper/3", 0, 3),
        ethertype,
        link: 1,
        vlan: 0,
        packet: frame,
        device: ("eth0", 2),
        received: 2,
        netns: OWN,
        stack: &RECEIVE,
    }
}

fn hits() -> Vec<Hit> {
    const GATE: [u8; 4] = [172, 16, 42, 2];
    const PEER: [u8; 4] = [172, 16, 42, 1];
    const SCANNER: [u8; 4] = [198, 51, 100, 7];
    let ip = |frame: Vec<u8>| ethernet(0x0800, &frame);
    let mut hits = Vec::new();
    for round in 0..2_u16 {
        let syn = |source, port| ipv4(6, 37_968 + round, [source, GATE], &tcp([52_294, port], 1_971_640_626));
        hits.push(hit(DENY, 0x0800, ip(syn(PEER, 8080))));
        let freed = Hit { rule: None, stack: &FREED, ..hit(DENY, 0x0800, ip(syn(PEER, 8080))) };
        hits.push(freed);
        hits.push(hit(SCAN, 0x0800, ip(syn(SCANNER, 22 + round))));
        let question = ipv4(17, 0, [PEER, GATE], &udp([41_234, 53], &dns()));
        hits.push(hit(DENY, 0x0800, ip(question)));
        hits.push(hit(DENY, 0x0800, ip(ipv4(1, 511, [SCANNER, GATE], &echo(8, 1 + round)))));
        let six = |next, payload: &[u8]| ethernet(0x86dd, &ipv6(next, [7, 1], payload));
        hits.push(hit(SIX, 0x86dd, six(6, &tcp([40_022, 22], 7))));
        hits.push(hit(SIX, 0x86dd, six(58, &echo(128, 1 + round))));
        // The tag in the packet, and beside it.
        let inside =
            tagged(0x2000 | 42, 0x0800, &ipv4(17, 9, [PEER, GATE], &udp([5060, 5060], b"OPTIONS sip:")));
        hits.push(hit(DENY, 0x8100, ethernet(0x8100, &inside)));
        hits.push(Hit { vlan: 100, device: ("eth0.100", 5), ..hit(DENY, 0x0800, ip(syn(PEER, 443))) });
        // A datagram in two pieces, forwarded into the container.
        let whole = udp([9999, 6000], &[0x5a; 40]);
        let into = |place, piece: &[u8]| Hit {
            device: ("veth0", 2),
            received: 0,
            netns: CONTAINER,
            task: ("ksoftirqd/1", 23, 1),
            stack: &FORWARD,
            ..hit(POLICY, 0x0800, ip(fragment(17, 77, place, [PEER, [10, 0, 0, 2]], piece)))
        };
        hits.push(into(0x2000, &whole[..32]));
        hits.push(into(4, &whole[32..]));
        let inner = ethernet(0x0800, &ipv4(6, 3, [[10, 1, 0, 5], [10, 1, 0, 6]], &tcp([33_000, 80], 99)));
        let tunnel = ipv4(17, 12, [SCANNER, GATE], &udp([49_152, 4789], &vxlan(42, &inner)));
        hits.push(hit(SCAN, 0x0800, ip(tunnel)));
        hits.push(hit(ARP, 0x0806, ethernet(0x0806, &arp(GATE, PEER))));
        // Sent by a program here: no link header yet.
        let mine = ipv4(6, 1, [GATE, [192, 0, 2, 1]], &tcp([48_884, 25], 5));
        hits.push(Hit {
            link: 101,
            received: 0,
            task: ("curl", 4711, 0),
            stack: &SEND,
            ..hit(EGRESS, 0x0800, mine)
        });
    }
    hits
}

impl Hit {
    fn record(&self, probe: usize, layout: &Layout, time: u64) -> Vec<u8> {
        let mut bytes = Bytes::new(layout);
        for (index, placed) in layout.sections().iter().enumerate() {
            let schema = &placed.schema;
            bytes = match schema.section() {
                "nft" => bytes.tail(index, &self.nft(schema)),
                "skb" => bytes.tail(index, &self.skb(schema)),
                "dev" => {
                    let is = [
                        ("name", Is::Word(self.device.0)),
                        ("ifindex", Is::Number(self.device.1)),
                        ("rx_ifindex", Is::Number(self.received)),
                    ];
                    bytes.fixed(index, &section(schema, &is, &[]))
                }
                _ => {
                    let cookie = if self.netns == OWN { 1 } else { 0x1004 };
                    let is = [("cookie", Is::Number(cookie)), ("inum", Is::Number(self.netns))];
                    bytes.fixed(index, &section(schema, &is, &[]))
                }
            };
        }
        let stack: Vec<u64> = self.stack.iter().map(|name| address(name)).collect();
        let mut record = bytes.stack(&stack).finish();
        let (comm, pid, cpu) = self.task;
        record[header::PROBE] = u8::try_from(probe).unwrap();
        record[header::CPU] = cpu;
        record[header::TIME..][..8].copy_from_slice(&time.to_le_bytes());
        record[header::TGID..][..4].copy_from_slice(&pid.to_le_bytes());
        record[header::PID..][..4].copy_from_slice(&pid.to_le_bytes());
        record[header::COMM..][..comm.len()].copy_from_slice(comm.as_bytes());
        record
    }

    fn nft(&self, schema: &Schema) -> Vec<u8> {
        let (family, (table, table_handle), (chain, chain_handle), hook, rule) = self.rule.unwrap();
        let is = [
            ("table_handle", Is::Number(table_handle)),
            ("chain_handle", Is::Number(chain_handle)),
            ("rule", Is::Number(rule)),
            ("verdict", Is::Word("drop")),
            ("family", Is::Word(family)),
            ("hook", Is::Word(hook)),
            ("netns", Is::Number(self.netns)),
            ("policy", Is::Number(u64::from(rule == 0))),
            ("chain", Is::Word(chain)),
            ("table", Is::Word(table)),
        ];
        section(schema, &is, &[])
    }

    fn skb(&self, schema: &Schema) -> Vec<u8> {
        let len = self.packet.len() as u64;
        let is = [
            ("len", Is::Number(if self.link == 1 { len - 14 } else { len })),
            ("hash", Is::Number(if self.received == 0 { 0 } else { 0x1bad_cafe })),
            ("orig_len", Is::Number(len)),
            ("protocol", Is::Number(u64::from(self.ethertype))),
            ("link", Is::Number(self.link)),
            ("vlan_proto", Is::Number(if self.vlan == 0 { 0 } else { 0x8100 })),
            ("vlan_tci", Is::Number(self.vlan)),
        ];
        section(schema, &is, &self.packet)
    }
}

/// What a field is to be: a number; or a word, which may be an enumerator.
enum Is {
    Number(u64),
    Word(&'static str),
}

/// A section's bytes by its schema.
fn section(schema: &Schema, fields: &[(&str, Is)], tail: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; schema.size() as usize];
    let mut put = |at: u32, value: &[u8]| bytes[at as usize..][..value.len()].copy_from_slice(value);
    let mut strings = Vec::new();
    for (name, is) in fields {
        let field = schema.field(name).unwrap_or_else(|| panic!("{}.{name}", schema.section()));
        let number = match (is, &field.kind) {
            (Is::Number(number), _) => *number,
            (Is::Word(word), Kind::Enum { names, .. }) => {
                let found = names.iter().find(|(_, name)| name == word);
                u64::try_from(found.unwrap_or_else(|| panic!("{name} {word}")).0).unwrap()
            }
            (Is::Word(word), Kind::Text) => {
                let place = u64::from(schema.size()) + strings.len() as u64;
                strings.extend(word.bytes());
                place | (word.len() as u64) << 16
            }
            (Is::Word(word), _) => {
                put(field.offset, word.as_bytes());
                continue;
            }
        };
        let width = field.kind.size().unwrap() as usize;
        let mut value = number.to_le_bytes()[..width].to_vec();
        if matches!(field.show, Show::Be16 | Show::Be32) {
            value.reverse();
        }
        put(field.offset, &value);
    }
    bytes.extend(strings);
    bytes.extend(tail);
    bytes
}

const RECEIVE: [&str; 14] = [
    "bpf_prog_6deef7357e7b4530_tracer",
    "bpf_trampoline_6442536467",
    "__nft_trace_packet",
    "nft_do_chain",
    "nft_do_chain_inet",
    "nf_hook_slow",
    "ip_local_deliver",
    "__netif_receive_skb_list_core",
    "netif_receive_skb_list_internal",
    "napi_complete_done",
    "virtnet_poll",
    "net_rx_action",
    "handle_softirqs",
    "asm_common_interrupt",
];
const FORWARD: [&str; 10] = [
    "bpf_prog_6deef7357e7b4530_tracer",
    "bpf_trampoline_6442536467",
    "__nft_trace_packet",
    "nft_do_chain",
    "nft_do_chain_ipv4",
    "nf_hook_slow",
    "ip_forward",
    "process_backlog",
    "net_rx_action",
    "run_ksoftirqd",
];
const SEND: [&str; 12] = [
    "bpf_prog_6deef7357e7b4530_tracer",
    "bpf_trampoline_6442536467",
    "__nft_trace_packet",
    "nft_do_chain",
    "nft_do_chain_ipv4",
    "nf_hook_slow",
    "__ip_local_out",
    "__ip_queue_xmit",
    "tcp_v4_connect",
    "__x64_sys_connect",
    "do_syscall_64",
    "entry_SYSCALL_64_after_hwframe",
];
/// One frame is of a module that was unloaded: it has no name.
const FREED: [&str; 9] = [
    "bpf_prog_0d1c2b3a49586776_tracer",
    "bpf_trace_run3",
    "__traceiter_kfree_skb",
    "sk_skb_reason_drop",
    "nf_hook_slow",
    "",
    "ip_local_deliver",
    "net_rx_action",
    "handle_softirqs",
];

/// A function's place in the kernel follows from its name, and so does how far in it calls.
fn address(name: &str) -> u64 {
    let hash = name.bytes().fold(0_u64, |hash, byte| (hash * 31 + u64::from(byte)) % 0xfff);
    0xffff_ffff_8100_0000 + (hash << 12) + (5 + hash % 0x3f0)
}

struct Names;

impl Symbols for Names {
    fn resolve(&self, wanted: u64) -> Option<Symbol<'_>> {
        let all = RECEIVE.iter().chain(&FORWARD).chain(&SEND).chain(&FREED);
        let name = all.copied().find(|name| !name.is_empty() && address(name) == wanted)?;
        Some(Symbol { name: name.into(), offset: wanted & 0xfff })
    }
}
