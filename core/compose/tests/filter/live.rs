//! The same instructions in the running kernel: its verifier takes them, and its own structures are as they should be.
//! What needs privileges says SKIPPED on stderr where they are missing.

use std::os::fd::AsRawFd;

use tracer_bpf::btf::Kind;
use tracer_bpf::insn::{Label, PSEUDO_MAP_VALUE, Width};
use tracer_bpf::{Assembler, Btf, Insn};
use tracer_compose::filter::{KernelTest, Memory, ValueTest};
use tracer_compose::{ArgType, Arguments};
use tracer_event::{Field, Show};
use tracer_kernel::map::{self, Map, MapSpec};
use tracer_kernel::prog::{Program, ProgramKind, ProgramSpec};
use tracer_kernel::{Capabilities, Capability, Symbols};

use crate::values::comparison;

struct Live {
    btf: Btf,
    scratch: Map,
    symbols: Symbols,
}

impl Live {
    fn new(test: &str) -> Option<Self> {
        tracer_kernel::limits::raise_limits();
        let own = Capabilities::of_this_thread().unwrap();
        let missing = own.missing(&[Capability::Bpf, Capability::Perfmon, Capability::SysAdmin]);
        if !missing.is_empty() || !own.in_initial_user_namespace() {
            eprintln!("SKIPPED {test}: missing {missing:?}");
            return None;
        }
        let Ok(btf) = std::fs::read("/sys/kernel/btf/vmlinux") else {
            eprintln!("SKIPPED {test}: no BTF of the kernel");
            return None;
        };
        let spec = MapSpec {
            name: "scratch",
            kind: map::ARRAY,
            key_size: 4,
            value_size: 1024,
            max_entries: 1,
            flags: 0,
            inner: None,
        };
        let scratch = Map::create(&spec).unwrap();
        Some(Self { btf: Btf::parse(btf).unwrap(), scratch, symbols: Symbols::open().unwrap() })
    }

    /// The arguments of a function whose first parameter is a pointer to the structure.
    fn arguments(&self, name: &str) -> Arguments {
        let wanted = ArgType::Struct(name.to_owned());
        let prototypes =
            self.btf.own_ids().filter(|id| self.btf.ty(*id).is_ok_and(|ty| ty.kind() == Kind::FuncProto));
        let mut arguments = prototypes.map(|id| Arguments::of_function(&self.btf, id, 0, &[]));
        arguments.find(|arguments| arguments.index(&wanted) == Some(0)).unwrap()
    }

    /// Whether it holds of the structure at the address, by the running kernel.
    fn asked(&self, text: &str, address: u64) -> bool {
        self.program(text).test_run(&[address]).unwrap() == 1
    }

    /// Instructions that the verifier went through; `None` on kernels that do not tell.
    fn verified(&self, text: &str) -> Option<usize> {
        let program = self.program(text);
        let info =
            std::fs::read_to_string(format!("/proc/self/fdinfo/{}", program.fd().as_raw_fd())).unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix("verified_insns:"))?;
        line.trim().parse().ok()
    }

    fn program(&self, text: &str) -> Program {
        let (filter, comparison) = comparison(text);
        let arguments = self.arguments(&comparison.path.steps[0].name);
        let test = KernelTest::new(&[&self.btf], &arguments, &filter, &comparison);
        let test = test.unwrap_or_else(|found| panic!("`{text}`: {found:?}")).unwrap();
        self.load(text, |asm, otherwise| {
            asm.load(Width::B8, 1, 6, 0);
            let scratch = Memory { register: 7, offset: 1024 - test.scratch() as i16 };
            test.emit(asm, 1, scratch, otherwise);
        })
    }

    /// A program that returns whether what `emit` makes fell through. r6 is the context, r7 points at 1024 bytes.
    fn load(&self, text: &str, emit: impl FnOnce(&mut Assembler, Label)) -> Program {
        let mut asm = Assembler::default();
        let otherwise = asm.label();
        asm.mov_reg(6, 1);
        asm.load_pseudo(7, PSEUDO_MAP_VALUE, self.scratch.fd().as_raw_fd(), 0);
        emit(&mut asm, otherwise);
        asm.mov(0, 1);
        asm.exit();
        asm.place(otherwise);
        asm.mov(0, 0);
        asm.exit();
        let insns: Vec<_> = asm.finish().unwrap().into_iter().map(Insn::bytes).collect();
        let program = Program::load(&ProgramSpec {
            name: "filter",
            kind: ProgramKind::RawTracepoint,
            insns: &insns,
            btf: None,
            func_info: &[],
            line_info: &[],
            license: c"Dual MIT/GPL",
        });
        program.unwrap_or_else(|error| panic!("`{text}`: {error}\n{}", error.log))
    }
}

#[test]
fn the_kernels_own_structures() {
    let Some(live) = Live::new("the_kernels_own_structures") else { return };
    let (Some(init), Some(net)) = (live.symbols.address("init_task"), live.symbols.address("init_net"))
    else {
        eprintln!("SKIPPED the_kernels_own_structures: addresses are hidden");
        return;
    };
    for (text, address) in [
        ("task_struct.comm =~ \"swapper*\"", init),
        ("task_struct.comm =~ \"*app?r*\"", init),
        ("task_struct.comm != init", init),
        ("task_struct.pid == 0", init),
        ("task_struct.group_leader.pid == 0", init),
        ("task_struct.flags & 0x200000 != 0", init),
        ("task_struct.static_prio in {100, 120}", init),
        ("task_struct.nsproxy.uts_ns.name.sysname == \"Linux\"", init),
        ("task_struct.nsproxy.uts_ns.name.sysname =~ \"L*n?x\"", init),
        ("net.loopback_dev.name == lo", net),
        ("net.loopback_dev.ifindex == 1", net),
        ("net.loopback_dev.type == 772", net),
        ("net.loopback_dev.dev_addr == 00:00:00:00:00:00", net),
        ("net.loopback_dev.perm_addr == 00:00:00:00:00:00", net),
        ("net.loopback_dev.dev.kobj.name == lo", net),
        ("net.loopback_dev.dev.kobj.name =~ \"?o\"", net),
        ("net.loopback_dev.nd_net.net != 0", net),
        ("net.loopback_dev.nd_net.net:~0x7:net.loopback_dev.ifindex > 0", net),
        ("net.loopback_dev.proto_down == false", net),
    ] {
        assert!(live.asked(text, address), "`{text}` does not hold");
    }
    for (text, address) in [
        ("net.loopback_dev.name == lo0", net),
        ("net.loopback_dev.ifindex != 1", net),
        ("net.loopback_dev.dev.kobj.name =~ \"*x*\"", net),
        ("net.loopback_dev.ifindex != 77", 0),
        ("net.loopback_dev.ifindex != 77", 0xffff_8000_0000_0000),
    ] {
        assert!(!live.asked(text, address), "`{text}` holds");
    }
}

#[test]
fn texts_in_a_sections_array() {
    let Some(live) = Live::new("texts_in_a_sections_array") else { return };
    let mut value = vec![0; 1024];
    value[8..12].copy_from_slice(&[12, 0, 9, 0]);
    value[12..21].copy_from_slice(b"firewalld");
    let of = Field { name: "y".into(), offset: 8, kind: tracer_event::Kind::Text, show: Show::Plain };
    for (text, wanted) in [
        ("x.y == firewalld", true),
        ("x.y == firewall", false),
        ("x.y =~ \"fire*\"", true),
        ("x.y =~ \"?ire*l?\"", true),
        ("x.y != firewalld", false),
    ] {
        live.scratch.update(&[0; 4], &value, 0).unwrap();
        let (filter, comparison) = comparison(text);
        let test = ValueTest::of_field(&of, &filter, &comparison).unwrap();
        let program = live.load(text, |asm, otherwise| {
            let scratch = Memory { register: 7, offset: 1024 - test.copies() as i16 };
            test.copy_text(asm, Memory { register: 7, offset: 0 }, 8, scratch, otherwise);
            test.emit(asm, scratch, otherwise);
        });
        assert_eq!(program.test_run(&[]).unwrap() == 1, wanted, "`{text}`");
    }
}

#[test]
fn the_verifier_walks_through_a_pattern_once() {
    let Some(live) = Live::new("the_verifier_walks_through_a_pattern_once") else { return };
    // Rounds, and instructions in each: 6 for each letter, 11 more, and 10 where there is a `?`.
    for (text, rounds, round) in [
        ("net_device.name =~ \"v?th*\"", 16, 3 * 6 + 21),
        ("net_device.name =~ \"*?a\"", 16, 6 + 21),
        ("net_device.dev.kobj.name =~ \"*a*b*\"", 255, 2 * 6 + 11),
        ("net_device.dev.kobj.name =~ \"????????*\"", 255, 21),
    ] {
        let Some(verified) = live.verified(text) else {
            eprintln!("SKIPPED the_verifier_walks_through_a_pattern_once: this kernel does not tell");
            return;
        };
        println!("`{text}`: {verified} instructions verified");
        assert!(verified < rounds * (round + 6) + 100, "`{text}`: {verified}");
    }
}

#[test]
fn the_longest_patterns_are_verified() {
    let Some(live) = Live::new("the_longest_patterns_are_verified") else { return };
    let letters: String = ('!'..='z').filter(|c| !"\"*?".contains(*c)).take(62).collect();
    for pattern in [format!("*?{letters}*"), "*a*b*c*?*".to_owned(), "?".repeat(63)] {
        assert!(!live.asked(&format!("net_device.dev.kobj.name =~ \"{pattern}\""), 0));
        assert!(!live.asked(&format!("net_device.name =~ \"{pattern}\""), 0));
    }
}
