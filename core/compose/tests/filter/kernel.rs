//! Paths through the kernel's structures: what is read where, what is absent, and what leads nowhere.

use tracer_bpf::btf::{Builder, Kind};
use tracer_bpf::{Assembler, Btf};
use tracer_compose::Arguments;
use tracer_compose::filter::{KernelPath, KernelTest, no_argument};
use tracer_dsl::Diagnostic;

use crate::machine::{self, Kernel, SCRATCH};
use crate::values::comparison;

/// The stored types with `int probe(struct sk_buff *skb, struct net_device *dev)`.
struct Types {
    btf: Btf,
    arguments: Arguments,
}

impl Types {
    fn new() -> Self {
        let linux = crate::btf::linux();
        let mut builder = Builder::default();
        let moved = builder.append(&linux);
        let mut pointer = |name: &str| {
            let id = moved.ty(linux.find(Kind::Struct, name).unwrap());
            builder.ptr(id)
        };
        let (skb, dev) = (pointer("sk_buff"), pointer("net_device"));
        let int = builder.int("int", 4, true);
        let function = builder.func("probe", int, &[("skb", skb), ("dev", dev)], true);
        let btf = Btf::parse(builder.bytes()).unwrap();
        let arguments = Arguments::of_function(&btf, btf.prototype(function).unwrap(), 0, &[]);
        Self { btf, arguments }
    }

    fn test(&self, text: &str) -> Result<Option<KernelTest>, Box<Diagnostic>> {
        let (filter, comparison) = comparison(text);
        KernelTest::new(&[&self.btf], &self.arguments, &filter, &comparison)
    }

    /// Where a member is, in bytes.
    fn at(&self, owner: &str, path: &str) -> usize {
        let id = self.btf.find(Kind::Struct, owner).unwrap();
        (self.btf.path(id, path).unwrap().bit_offset / 8) as usize
    }

    fn size(&self, owner: &str) -> usize {
        self.btf.size_of(self.btf.find(Kind::Struct, owner).unwrap()).unwrap() as usize
    }
}

const SKB: u64 = 0xffff_8880_0000_1000;
const DEV: u64 = 0xffff_8880_0001_0000;
const SOCK: u64 = 0xffff_8880_0002_0000;
const CONN: u64 = 0xffff_8880_0003_0000;
const ADDRESS: u64 = 0xffff_8880_0004_0000;
const TEXT: u64 = 0xffff_8880_0005_0000;

struct World {
    types: Types,
    kernel: Kernel,
}

impl World {
    fn new() -> Self {
        let types = Types::new();
        let mut kernel = Kernel::default();
        for (address, name) in [(SKB, "sk_buff"), (DEV, "net_device"), (SOCK, "sock"), (CONN, "nf_conn")] {
            kernel.0.insert(address, vec![0; types.size(name)]);
        }
        kernel.0.insert(ADDRESS, vec![0x02, 0x42, 0xac, 0x10, 0x2a, 0x01]);
        let mut world = Self { types, kernel };
        world.put(SKB, "sk_buff", "dev", &DEV.to_le_bytes());
        world.put(SKB, "sk_buff", "sk", &SOCK.to_le_bytes());
        // The state of a connection is in the three lowest bits.
        world.put(SKB, "sk_buff", "_nfct", &(CONN | 2).to_le_bytes());
        world.put(SKB, "sk_buff", "len", &1500u32.to_le_bytes());
        world.put(SKB, "sk_buff", "protocol", &0x0800u16.to_be_bytes());
        world.put(SKB, "sk_buff", "cb", &[0xfd, 1, 2, 3]);
        world.put(DEV, "net_device", "name", b"v0\0rubbish");
        world.put(DEV, "net_device", "ifindex", &3i32.to_le_bytes());
        world.put(DEV, "net_device", "dev_addr", &ADDRESS.to_le_bytes());
        world.put(DEV, "net_device", "perm_addr", &[2, 0x42, 0xac, 0x10, 0x2a, 2]);
        world.put(SOCK, "sock", "__sk_common.skc_family", &10u16.to_le_bytes());
        world.put(SOCK, "sock", "__sk_common.skc_daddr", &[10, 0, 0, 1]);
        let v6 = "2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
        world.put(SOCK, "sock", "__sk_common.skc_v6_daddr", &v6);
        world.put(SOCK, "sock", "__sk_common.skc_dport", &443u16.to_be_bytes());
        world.put(SOCK, "sock", "sk_priority", &7u32.to_le_bytes());
        world.put(SOCK, "sock", "sk_err", &(-5i32).to_le_bytes());
        world.put(CONN, "nf_conn", "mark", &0x10u32.to_le_bytes());
        world
    }

    fn put(&mut self, address: u64, owner: &str, path: &str, bytes: &[u8]) {
        let at = self.types.at(owner, path);
        self.kernel.put(address, at, bytes);
    }

    /// Sets a bitfield.
    fn bits(&mut self, address: u64, owner: &str, path: &str, value: u64) {
        let id = self.types.btf.find(Kind::Struct, owner).unwrap();
        let at = self.types.btf.path(id, path).unwrap();
        assert!(at.bits > 0, "{path} is no bitfield");
        let bytes = self.kernel.0.get_mut(&address).unwrap();
        for bit in 0..at.bits {
            let place = (at.bit_offset + bit) as usize;
            let byte = &mut bytes[place / 8];
            *byte = *byte & !(1 << (place % 8)) | ((value >> bit & 1) as u8) << (place % 8);
        }
    }

    fn asked(&self, text: &str) -> bool {
        self.asked_of(text, SKB)
    }

    fn asked_of(&self, text: &str, pointer: u64) -> bool {
        let test = self.types.test(text).unwrap_or_else(|found| panic!("`{text}`: {found:?}")).unwrap();
        let emit = |asm: &mut Assembler, otherwise| test.emit(asm, 1, SCRATCH, otherwise);
        machine::run(&self.kernel, &[], pointer, test.scratch() as usize, emit)
    }

    fn holds(&self, texts: &[&str]) {
        for text in texts {
            assert!(self.asked(text), "`{text}` does not hold");
        }
    }

    fn fails(&self, texts: &[&str]) {
        for text in texts {
            assert!(!self.asked(text), "`{text}` holds");
        }
    }
}

#[test]
fn numbers_behind_pointers() {
    let world = World::new();
    world.holds(&[
        "sk_buff.len == 1500",
        "sk_buff.len in {1, 1500}",
        "sk_buff.dev.ifindex in {2, 3}",
        "sk_buff.dev.ifindex > -1",
        "sk_buff.sk.sk_err == -5",
        "sk_buff.sk.sk_err < 0",
        "sk_buff.sk.__sk_common.skc_family == 10",
        "sk_buff.dev.ifindex & 1 == 1",
    ]);
    world.fails(&["sk_buff.len > 1500", "sk_buff.dev.ifindex == 2", "sk_buff.sk.sk_err >= 0"]);
}

#[test]
fn network_order_is_the_hosts() {
    let world = World::new();
    world.holds(&[
        "sk_buff.protocol == 0x0800",
        "sk_buff.protocol & 0xff00 == 0x0800",
        "sk_buff.sk.__sk_common.skc_dport == 443",
        "sk_buff.sk.__sk_common.skc_dport >= 443",
        "sk_buff.sk.__sk_common.skc_daddr == 10.0.0.1",
        "sk_buff.sk.__sk_common.skc_daddr == 0x0a000001",
        "sk_buff.sk.__sk_common.skc_daddr & 0xff000000 == 10.0.0.0",
        "sk_buff.sk.__sk_common.skc_daddr in {10.0.0.2, 10.0.0.1}",
        "sk_buff.sk.__sk_common.skc_v6_daddr == 2001:db8::1",
        "sk_buff.sk.__sk_common.skc_v6_daddr.in6_u.u6_addr32[0] == 0x20010db8",
        "sk_buff.sk.__sk_common.skc_v6_daddr.in6_u.u6_addr8 == 2001:db8::1",
        "sk_buff.sk.__sk_common.skc_v6_daddr.in6_u.u6_addr8[1] == 1",
    ]);
    world.fails(&[
        "sk_buff.sk.__sk_common.skc_daddr == 10.0.0.2",
        "sk_buff.sk.__sk_common.skc_v6_daddr == 2001:db8::2",
        "sk_buff.sk.__sk_common.skc_v6_daddr != 2001:db8::1",
    ]);
}

#[test]
fn texts() {
    let mut world = World::new();
    world.holds(&[
        "sk_buff.dev.name == \"v0\"",
        "sk_buff.dev.name =~ \"v*\"",
        "sk_buff.dev.name =~ \"*0\"",
        "sk_buff.dev.name in {eth0, v0}",
        "sk_buff.dev.name != eth0",
    ]);
    world.fails(&["sk_buff.dev.name == v", "sk_buff.dev.name == v00", "sk_buff.dev.name =~ \"e*\""]);
    world.put(DEV, "net_device", "name", b"0123456789abcdef");
    world.holds(&["sk_buff.dev.name == \"0123456789abcdef\"", "sk_buff.dev.name =~ \"*f\""]);
    world.fails(&["sk_buff.dev.name == \"0123456789abcde\"", "sk_buff.dev.name == \"0123456789abcdefg\""]);
}

#[test]
fn texts_that_pointers_lead_to() {
    let mut world = World::new();
    let path = "sk_buff.dev.dev.kobj.name";
    for len in [0, 1, 2, 7, 8, 9, 253, 254, 255, 299] {
        let own = "a".repeat(len);
        let mut memory = own.clone().into_bytes();
        memory.push(0);
        world.kernel.0.insert(TEXT, memory);
        world.put(DEV, "net_device", "dev.kobj.name", &TEXT.to_le_bytes());
        for other in [0, 1, 2, 6, 7, 8, 9, 10, 252, 253, 254] {
            let other = "a".repeat(other);
            assert_eq!(world.asked(&format!("{path} == \"{other}\"")), own == other, "{len}");
            assert_eq!(world.asked(&format!("{path} != \"{other}\"")), own != other, "{len}");
            assert_eq!(world.asked(&format!("{path} =~ \"{other}*\"")), own.starts_with(&other), "{len}");
        }
        assert_eq!(world.asked(&format!("{path} =~ \"*?a\"")), len >= 2);
        assert!(world.asked(&format!("{path} =~ \"*\"")));
        assert!(world.asked(&format!("{path} != 0")) && world.asked(&format!("{path} == {TEXT:#x}")));
        assert_eq!(world.asked(&format!("{path}[0] == 97")), len > 0);
    }
    let long = format!("{path} == \"{}\"", "a".repeat(255));
    assert!(said(&world.types.test(&long).unwrap_err()).contains("fewer than 255 bytes"));
    world.put(DEV, "net_device", "dev.kobj.name", &[0; 8]);
    world.fails(&["sk_buff.dev.dev.kobj.name == \"\"", "sk_buff.dev.dev.kobj.name != x"]);
    // As a number it is there.
    world.holds(&["sk_buff.dev.dev.kobj.name == 0"]);
}

#[test]
fn enums_and_truth_values() {
    let mut world = World::new();
    world.put(DEV, "net_device", "dev.power.runtime_status", &2i32.to_le_bytes());
    world.holds(&[
        "sk_buff.dev.dev.power.runtime_status == RPM_SUSPENDED",
        "sk_buff.dev.dev.power.runtime_status != RPM_ACTIVE",
        "sk_buff.dev.dev.power.runtime_status == 2",
        "sk_buff.dev.dev.power.runtime_status >= 2",
        "sk_buff.dev.dev.power.runtime_status =~ \"*SUSP*\"",
        "sk_buff.dev.dev.power.runtime_status in {RPM_SUSPENDED, 7}",
        "sk_buff.dev.proto_down == false",
        "sk_buff.dev.dev.offline == false",
    ]);
    world.fails(&["sk_buff.dev.dev.power.runtime_status == RPM_ACTIVE"]);
    world.put(DEV, "net_device", "dev.power.runtime_status", &(-1i32).to_le_bytes());
    world.holds(&[
        "sk_buff.dev.dev.power.runtime_status == RPM_INVALID",
        "sk_buff.dev.dev.power.runtime_status < 0",
    ]);
    world.put(DEV, "net_device", "proto_down", &[1]);
    world.bits(DEV, "net_device", "dev.offline", 1);
    world.holds(&[
        "sk_buff.dev.proto_down == true",
        "sk_buff.dev.proto_down != 0",
        "sk_buff.dev.dev.offline == true",
    ]);
    let found = world.types.test("sk_buff.dev.dev.power.runtime_status == RPM_SUSPENDE").unwrap_err();
    assert!(said(&found).contains("did you mean `RPM_SUSPENDED`?"));
}

#[test]
fn elements() {
    let mut world = World::new();
    let queues = TEXT;
    let size = world.types.size("netdev_queue");
    world.kernel.0.insert(queues, vec![0; 3 * size]);
    world.put(DEV, "net_device", "_tx", &queues.to_le_bytes());
    let dev = world.types.at("netdev_queue", "dev");
    world.kernel.put(queues, 2 * size + dev, &DEV.to_le_bytes());
    let at = world.types.at("net_device", "tc_to_txq");
    world.kernel.put(DEV, at + 5 * 4, &[7, 0, 9, 0]);
    world.holds(&[
        "sk_buff.dev._tx[2].dev.ifindex == 3",
        "sk_buff.dev.tc_to_txq[5].count == 7",
        "sk_buff.dev.tc_to_txq[5].offset == 9",
        "sk_buff.dev.tc_to_txq[15].offset == 0",
    ]);
    world.fails(&["sk_buff.dev._tx[1].dev.ifindex != 77", "sk_buff.dev._tx[3].dev.ifindex != 77"]);
}

#[test]
fn bytes_and_pointers() {
    let world = World::new();
    world.holds(&[
        "sk_buff.dev.dev_addr == 02:42:ac:10:2a:01",
        "sk_buff.dev.dev_addr == 02:42:ac",
        "sk_buff.dev.dev_addr in {00:00, 02:42:ac:10:2a:01}",
        "sk_buff.dev.dev_addr != 0",
        "sk_buff.dev.dev_addr[1] == 0x42",
        "sk_buff.dev.perm_addr == 02:42:ac:10:2a:02",
        "sk_buff.dev.perm_addr[31] == 0",
        "sk_buff.sk != 0",
        "sk_buff.sk == 0xffff888000020000",
        "sk_buff.sk > 0xffff888000010000",
        "sk_buff.cb[0] & 0x3 == 1",
        "sk_buff.cb[3] == 3",
    ]);
    world.fails(&[
        "sk_buff.dev.dev_addr == 02:42:ac:10:2a:02",
        "sk_buff.dev.dev_addr == 0",
        // More than can be read there.
        "sk_buff.dev.dev_addr == 02:42:ac:10:2a:01:00",
        "sk_buff.dev.dev_addr != 02:42:ac:10:2a:01:00",
        "sk_buff.sk == 0",
    ]);
}

#[test]
fn casts_mask_and_lead_on() {
    let mut world = World::new();
    world.holds(&[
        "sk_buff._nfct:~0x7:nf_conn.mark == 0x10",
        "sk_buff._nfct:~0x7:nf_conn != 0",
        "sk_buff._nfct:0x7 == 2",
        "sk_buff._nfct & 0x7 == 2",
        "sk_buff._nfct:~0x7 == 0xffff888000030000",
        "sk_buff.sk:~0x1.sk_priority == 7",
        "sk_buff.dev:0xffffffffffffff00.ifindex == 3",
    ]);
    world.fails(&["sk_buff._nfct:~0x7:nf_conn.mark == 0x11"]);
    world.put(SKB, "sk_buff", "_nfct", &2u64.to_le_bytes());
    world.fails(&["sk_buff._nfct:~0x7:nf_conn.mark == 0x10", "sk_buff._nfct:~0x7:nf_conn.mark != 0x10"]);
}

#[test]
fn bitfields() {
    let mut world = World::new();
    for value in 0..4 {
        world.bits(SKB, "sk_buff", "ip_summed", value);
        for other in 0..4 {
            assert_eq!(world.asked(&format!("sk_buff.ip_summed == {other}")), value == other);
        }
    }
    world.bits(SKB, "sk_buff", "ip_summed", 3);
    world.bits(SKB, "sk_buff", "pkt_type", 0);
    world.holds(&["sk_buff.pkt_type == 0", "sk_buff.ip_summed >= 3"]);
    assert!(world.types.test("sk_buff.ip_summed == 4").unwrap_err().message.contains("is no value"));
}

#[test]
fn what_cannot_be_read_is_absent() {
    let world = World::new();
    let not_even_unequal = ["sk_buff.dev.ifindex != 77", "sk_buff.dev.name != x", "sk_buff.len != 0"];
    for pointer in [0, 8, 0xdead_beef_0000, u64::MAX - 8] {
        for text in not_even_unequal {
            assert!(!world.asked_of(text, pointer), "`{text}` of {pointer:#x}");
        }
    }
    for dev in [0, 0x1000, 0xffff_ffff_ffff_0000] {
        let mut world = World::new();
        world.put(SKB, "sk_buff", "dev", &u64::to_le_bytes(dev));
        world.fails(&["sk_buff.dev.ifindex != 77", "sk_buff.dev.name != x", "sk_buff.dev.name =~ \"*\""]);
        world.holds(&["sk_buff.len == 1500"]);
    }
}

fn said(found: &Diagnostic) -> String {
    let place = found.source.as_ref().map(tracer_dsl::SourceRef::fragment).unwrap_or_default();
    format!(
        "[{place}] {}; {}; {}",
        found.message,
        found.reason.as_deref().unwrap_or_default(),
        found.hints.join("; ")
    )
}

#[test]
fn each_mistake_says_where_and_what_would_be_right() {
    let types = Types::new();
    for (text, wanted) in [
        ("sk_buff.lenn == 1", "[lenn] struct sk_buff has no member `lenn`; ; did you mean `len`?"),
        ("sk_buff.sk.skc_daddr == 10.0.0.1", "did you mean `__sk_common.skc_daddr`?"),
        ("sk_buff.len.x == 1", "[len] `len` has no members; it is unsigned int"),
        ("sk_buff.dev == x", "numbers take"),
        ("sk_buff.len == 10.0.0.1", "in network order `0x0100000a`"),
        ("sk_buff.len[0] == 1", "[len[0]] `len` takes no index"),
        ("sk_buff.cb[48] == 1", "[cb[48]] `cb` has no element 48; it has 48, from 0 to 47"),
        ("sk_buff.ip_summed[0] == 1", "it is a bitfield"),
        ("sk_buff.ip_summed:1:nf_conn.mark == 1", "is not a pointer"),
        ("sk_buff._nfct.mark == 1", "`_nfct:~0x7:STRUCT`"),
        ("sk_buff._nfct:~0x7:nf_con.mark == 1", "there is no `struct nf_con`"),
        ("sk_buff.sk.__sk_common == 1", "its members: "),
        ("sk_buff.sk.__sk_common.skc_v6_daddr == 10.0.0.1", "addresses take"),
        ("sk_buff:1.len == 1", "`sk_buff` takes no index and no cast"),
        ("sk_buff.dev.name == 5", "texts take"),
        ("sk_buff.dev.name & 1 == v0", "takes no mask"),
        ("sk_buff.dev.ifindex == 4294967295", "its values are -2147483648 to 2147483647"),
        ("sk_buff.dev.tc_to_txq.count == 1", "one element is `tc_to_txq[0]`"),
        ("sk_buff.dev.tc_to_txq == 1", "one element is `tc_to_txq[0]`"),
        ("sk_buff.dev._tx[99999999].dev.ifindex == 1", "is too far away"),
        ("sk_buff.dev.wireless_handlers.x == 1", ""),
        ("sk_buff.dev.perm_addr == de:ad", "has 32 bytes, not 2"),
    ] {
        let found = types.test(text).expect_err(text);
        assert!(said(&found).contains(wanted), "`{text}`: {}", said(&found));
    }
}

#[test]
fn a_probe_without_the_argument_is_no_mistake() {
    let types = Types::new();
    assert!(types.test("net.ifindex == 1").unwrap().is_none(), "known, but none of this probe's");
    assert!(types.test("nowhere.x == 1").unwrap().is_none());
    assert!(types.test("net.nothing == 1").is_err(), "what leads nowhere is one wherever it is asked");
    let (filter, comparison) = comparison("sk_buf.len == 1");
    let found = no_argument(&filter, &comparison.path, [&types.arguments]);
    assert_eq!(
        said(&found),
        "[sk_buf] no probe has a `struct sk_buf *`; it is no section, and no argument of a probe; did you mean `sk_buff`?; arguments: net_device, sk_buff"
    );
    let path = KernelPath::resolve(&[&types.btf], &types.arguments, &filter, &comparison.path);
    assert_eq!(path, Ok(None));
}

#[test]
fn what_one_btf_only_mentions_another_describes() {
    let types = Types::new();
    let mut builder = Builder::default();
    builder.int("int", 4, true);
    let other = Btf::parse(builder.bytes()).unwrap();
    let (filter, comparison) = comparison("sk_buff.len == 1");
    let found = KernelTest::new(&[&other, &types.btf], &types.arguments, &filter, &comparison);
    assert_eq!(found.unwrap().unwrap().argument(), 0);
    let (filter, comparison) = crate::values::comparison("net_device.ifindex == 1");
    let found = KernelTest::new(&[&other, &types.btf], &types.arguments, &filter, &comparison);
    assert_eq!(found.unwrap().unwrap().argument(), 1);
}

#[test]
fn the_pages_examples_lead_somewhere() {
    let page = include_str!("../../../../docs/filters.md");
    let block = page.split("```kernel\n").nth(1).unwrap().split("```").next().unwrap();
    let types = Types::new();
    let mut seen = 0;
    for part in block.lines().flat_map(|line| line.split(" and ")) {
        assert!(types.test(part).unwrap_or_else(|found| panic!("{found:?}")).is_some(), "`{part}`");
        seen += 1;
    }
    assert!(seen >= 10, "only {seen} examples found: does this test still read the page?");
}
