//! Against the running kernel: what needs privileges says SKIPPED on stderr where they are missing.
#![expect(clippy::unwrap_used, reason = "tests state their expectations by unwrapping")]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use tracer_kernel::attach::{AttachError, Link, kprobes_present};
use tracer_kernel::map::{self, Map, MapError, MapSpec};
use tracer_kernel::prog::{Insn, Program, ProgramKind, ProgramSpec, btf_load, enable_statistics};
use tracer_kernel::{Capabilities, Capability, Place, Ring, Symbols, btf, symbols};

/// Whether to go on; says so loudly if not.
fn privileged(test: &str) -> bool {
    tracer_kernel::limits::raise_limits();
    let own = Capabilities::of_this_thread().unwrap();
    let missing = own.missing(&[Capability::Bpf, Capability::Perfmon, Capability::SysAdmin]);
    if missing.is_empty() && own.in_initial_user_namespace() {
        return true;
    }
    eprintln!("SKIPPED {test}: missing {missing:?}");
    false
}

fn array(value_size: u32) -> MapSpec<'static> {
    MapSpec { name: "test", kind: map::ARRAY, key_size: 4, value_size, max_entries: 1, flags: 0, inner: None }
}

fn insn(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Insn {
    let [o0, o1] = offset.to_ne_bytes();
    let [i0, i1, i2, i3] = immediate.to_ne_bytes();
    [code, from << 4 | to, o0, o1, i0, i1, i2, i3]
}

fn raw_tracepoint(name: &str, insns: &[Insn]) -> Result<Program, tracer_kernel::LoadError> {
    Program::load(&ProgramSpec {
        name,
        kind: ProgramKind::RawTracepoint,
        insns,
        btf: None,
        func_info: &[],
        line_info: &[],
        license: c"Dual MIT/GPL",
    })
}

const EXIT: [Insn; 2] = [[0xb7, 0, 0, 0, 7, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];

#[test]
fn maps_hold_what_is_put_in() {
    if !privileged("maps_hold_what_is_put_in") {
        return;
    }
    // As large as the scratch slots of a machine with many CPUs.
    let big = Map::create(&array(2 << 20)).unwrap();
    let mut value = vec![0; 2 << 20];
    value[(2 << 20) - 1] = 9;
    big.update(&[0; 4], &value, 0).unwrap();
    let mut read = vec![0; 2 << 20];
    assert!(big.lookup(&[0; 4], &mut read).unwrap());
    assert!(read == value);
    assert!(!big.lookup(&1u32.to_ne_bytes(), &mut read).unwrap());
    assert!(matches!(big.lookup(&[0; 4], &mut [0; 8]), Err(MapError::Length { what: "value", .. })));
    assert!(matches!(big.update(&[0; 2], &value, 0), Err(MapError::Length { what: "key", .. })));

    let hash = Map::create(&MapSpec { kind: map::HASH, max_entries: 2, ..array(8) }).unwrap();
    for key in 0..2u32 {
        hash.update(&key.to_ne_bytes(), &[1; 8], 0).unwrap();
    }
    let full = hash.update(&2u32.to_ne_bytes(), &[1; 8], 0).unwrap_err();
    assert_eq!(full.errno().and_then(std::io::Error::raw_os_error), Some(libc::E2BIG));
    assert!(hash.delete(&0u32.to_ne_bytes()).unwrap());
    assert!(!hash.delete(&0u32.to_ne_bytes()).unwrap());
    let mut key = [0; 4];
    assert!(hash.next_key(None, &mut key).unwrap());
    assert_eq!(key, 1u32.to_ne_bytes());
    assert!(!hash.next_key(Some(&key), &mut [0; 4]).unwrap());

    let per_cpu = Map::create(&MapSpec { kind: map::PERCPU_ARRAY, ..array(4) }).unwrap();
    let mut parts = vec![1; per_cpu.value_bytes()];
    assert_eq!(parts.len() % 8, 0);
    assert!(per_cpu.lookup(&[0; 4], &mut parts).unwrap());
    assert!(parts.iter().all(|byte| *byte == 0));
}

#[test]
fn maps_of_maps_and_waiting() {
    if !privileged("maps_of_maps_and_waiting") {
        return;
    }
    let ring = MapSpec { kind: map::RINGBUF, key_size: 0, value_size: 0, max_entries: 4096, ..array(0) };
    let inner = Map::create(&ring).unwrap();
    let outer =
        Map::create(&MapSpec { kind: map::ARRAY_OF_MAPS, inner: Some(inner.fd()), ..array(4) }).unwrap();
    outer.update_map(0, &inner).unwrap();
    let mut id = [0; 4];
    assert!(outer.lookup(&[0; 4], &mut id).unwrap());
    assert_ne!(id, [0; 4]);
    map::wait_for_running_programs().unwrap();
    assert!(matches!(Map::create(&MapSpec { max_entries: 5, ..ring }), Err(MapError::Create { .. })));
    assert!(Ring::new(outer).is_err());
}

/// `ctx[0]` goes into the ring as 8 bytes; `bpf_ringbuf_output` is helper 130.
fn into_ring(ring: &Ring) -> Vec<Insn> {
    vec![
        insn(0x79, 1, 1, 0, 0),                           // r1 = *(u64 *)(r1 + 0)
        insn(0x7b, 10, 1, -8, 0),                         // *(u64 *)(r10 - 8) = r1
        insn(0x18, 1, 1, 0, ring.map().fd().as_raw_fd()), // r1 = map (BPF_PSEUDO_MAP_FD)
        insn(0, 0, 0, 0, 0),
        insn(0xbf, 2, 10, 0, 0),  // r2 = r10
        insn(0x07, 2, 0, 0, -8),  // r2 += -8
        insn(0xb7, 3, 0, 0, 8),   // r3 = 8
        insn(0xb7, 4, 0, 0, 0),   // r4 = 0
        insn(0x85, 0, 0, 0, 130), // call bpf_ringbuf_output
        insn(0x95, 0, 0, 0, 0),   // exit
    ]
}

#[test]
fn rings_give_back_every_record_in_order() {
    if !privileged("rings_give_back_every_record_in_order") {
        return;
    }
    let spec = MapSpec { kind: map::RINGBUF, key_size: 0, value_size: 0, max_entries: 4096, ..array(0) };
    let mut ring = Ring::new(Map::create(&spec).unwrap()).unwrap();
    let program = raw_tracepoint("into_ring", &into_ring(&ring)).unwrap();
    let (mut sent, mut read) = (0u64, Vec::new());
    // 16 bytes a record: 300 rounds go around a ring of one page more than once; 7 and 5 keep it unevenly
    // filled.
    for _ in 0..300 {
        for _ in 0..7 {
            assert_eq!(program.test_run(&[sent]).unwrap(), 0);
            sent += 1;
        }
        assert!(poll(&ring));
        let before = ring.pending();
        assert_eq!(ring.drain(5, |record| read.push(u64::from_ne_bytes(record.try_into().unwrap()))), 5);
        assert_eq!(before - ring.pending(), 5 * 16);
        ring.drain(usize::MAX, |record| read.push(u64::from_ne_bytes(record.try_into().unwrap())));
        assert_eq!(ring.pending(), 0);
        assert!(!poll(&ring));
    }
    assert!(read.into_iter().eq(0..sent));

    // A full ring refuses, and takes records again once it was drained.
    let mut fitting = 0;
    while program.test_run(&[0]).unwrap() == 0 {
        fitting += 1;
    }
    assert!(fitting > 200, "{fitting}");
    assert_eq!(ring.drain(usize::MAX, |_| {}), fitting);
    assert_eq!(program.test_run(&[0]).unwrap(), 0);
    fn sendable<T: Send>(_: &T) {}
    sendable(&ring);
}

fn poll(ring: &Ring) -> bool {
    let mut fd = libc::pollfd { fd: ring.fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd on this frame.
    unsafe { libc::poll(&raw mut fd, 1, 0) == 1 }
}

#[test]
fn an_edge_triggered_reader_misses_no_wakeup() {
    if !privileged("an_edge_triggered_reader_misses_no_wakeup") {
        return;
    }
    let spec = MapSpec { kind: map::RINGBUF, key_size: 0, value_size: 0, max_entries: 1 << 16, ..array(0) };
    let mut ring = Ring::new(Map::create(&spec).unwrap()).unwrap();
    let program = raw_tracepoint("into_ring", &into_ring(&ring)).unwrap();
    let waiter = Waiter::on(&ring);
    let total = 200_000u64;
    let reader_failed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=total {
                // A full ring takes nothing; the reader makes room, unless it has failed.
                while program.test_run(&[number]).unwrap() != 0 {
                    if reader_failed.load(Ordering::Relaxed) {
                        return;
                    }
                    std::thread::yield_now();
                }
            }
        });
        let (mut last, mut in_order) = (0, true);
        while last < total {
            let taken = ring.drain(100, |record| {
                let number = u64::from_ne_bytes(record.try_into().unwrap());
                in_order &= number == last + 1;
                last = number;
            });
            // As drain promises: below the maximum one may wait, and will be woken.
            if taken < 100 && last < total && !waiter.woken() {
                reader_failed.store(true, Ordering::Relaxed);
                panic!("no wakeup after record {last}, {} bytes pending", ring.pending());
            }
        }
        assert!(in_order, "a record is missing or twice");
    });
}

/// An edge-triggered epoll, as async runtimes use it.
struct Waiter(OwnedFd);

impl Waiter {
    fn on(ring: &Ring) -> Waiter {
        // SAFETY: no addresses; the descriptor is new and owned from here on.
        let epoll = Waiter(unsafe { OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC)) });
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET).cast_unsigned(), u64: 0 };
        // SAFETY: both descriptors are open and the event lives on this frame.
        let added = unsafe {
            libc::epoll_ctl(epoll.0.as_raw_fd(), libc::EPOLL_CTL_ADD, ring.fd().as_raw_fd(), &raw mut event)
        };
        assert_eq!(added, 0);
        epoll
    }

    /// Whether a wakeup comes within ten seconds.
    fn woken(&self) -> bool {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: room for the one event asked for.
        unsafe { libc::epoll_wait(self.0.as_raw_fd(), &raw mut event, 1, 10_000) == 1 }
    }
}

#[test]
fn programs_run_and_count() {
    if !privileged("programs_run_and_count") {
        return;
    }
    let statistics = enable_statistics();
    let program = raw_tracepoint("a-name:with/odd characters", &EXIT).unwrap();
    assert_eq!(program.test_run(&[]).unwrap(), 7);
    // sys_enter fires with every system call of this test; net_dev_queue needs traffic.
    let link = Link::raw_tracepoint(&program, "sys_enter").unwrap();
    assert_eq!(link.missed().unwrap(), None);
    std::thread::yield_now();
    link.detach();
    map::wait_for_running_programs().unwrap();
    let info = program.info().unwrap();
    assert!(info.id > 0);
    if statistics.is_ok() {
        assert!(info.run_count > 0, "{info:?}");
        assert!(info.run_time_ns > 0, "{info:?}");
        let before = info.run_count;
        std::thread::yield_now();
        assert_eq!(program.info().unwrap().run_count, before);
    } else {
        eprintln!("SKIPPED counting: {statistics:?}");
    }
}

#[test]
fn attaching_to_nowhere_says_so() {
    if !privileged("attaching_to_nowhere_says_so") {
        return;
    }
    let program = raw_tracepoint("exit", &EXIT).unwrap();
    assert!(matches!(Link::raw_tracepoint(&program, "no_such"), Err(AttachError::NotFound { .. })));
    // net_dev_queue has one argument, this program reads two.
    let reads_two = [insn(0x79, 0, 1, 8, 0), EXIT[1]];
    let program = raw_tracepoint("two", &reads_two).unwrap();
    let error = Link::raw_tracepoint(&program, "net_dev_queue").unwrap_err();
    assert!(matches!(error, AttachError::TooManyArguments { .. }), "{error}");

    let kprobe = Program::load(&ProgramSpec {
        name: "kprobe",
        kind: ProgramKind::Kprobe,
        insns: &EXIT,
        btf: None,
        func_info: &[],
        line_info: &[],
        license: c"GPL",
    })
    .unwrap();
    let error = Link::kprobe(&kprobe, &Place::function("no_such_function"), false, Some(1)).unwrap_err();
    if kprobes_present() {
        assert!(matches!(error, AttachError::NotFound { .. }), "{error}");
        let link = Link::kprobe(&kprobe, &Place::function("ip_rcv"), false, None).unwrap();
        link.missed().unwrap();
    } else {
        assert!(matches!(error, AttachError::NoKprobes), "{error}");
    }
}

#[test]
fn the_verifier_gives_its_reason() {
    if !privileged("the_verifier_gives_its_reason") {
        return;
    }
    // r0 is never set.
    let error = raw_tracepoint("bad", &[EXIT[1]]).unwrap_err();
    assert_eq!(error.errno.raw_os_error(), Some(libc::EACCES));
    assert_eq!(error.reason(), Some("R0 !read_ok"));
    assert!(error.log.contains("processed 1 insns"), "{}", error.log);

    // A log longer than the first buffer: many branches, then the same mistake.
    let mut long = vec![insn(0xbf, 6, 1, 0, 0)];
    long.extend((0..3000).map(|number| insn(0xb7, 1, 0, 0, number)));
    long.push(EXIT[1]);
    let error = raw_tracepoint("long", &long).unwrap_err();
    assert!(error.log.len() > 64 << 10, "{}", error.log.len());
    assert_eq!(error.reason(), Some("R0 !read_ok"));

    let error = btf_load(b"not BTF at all, and long enough for a header").unwrap_err();
    assert_eq!(error.errno.raw_os_error(), Some(libc::EINVAL));
}

#[test]
fn btf_of_the_kernel_and_of_modules() {
    match btf::vmlinux() {
        Ok(bytes) => assert_eq!(u16::from_ne_bytes([bytes[0], bytes[1]]), 0xeb9f),
        Err(error) => eprintln!("SKIPPED vmlinux: {error}"),
    }
    assert!(!btf::modules().contains(&"vmlinux".to_owned()));
    assert!(!btf::module_present("no_such_module"));
    btf::modules_loaded().unwrap();
    if !privileged("btf_of_the_kernel_and_of_modules") {
        return;
    }
    assert!(btf::module_object("no_such_module").unwrap().is_none());
    if let Some(name) = btf::modules().first() {
        assert!(btf::module_object(name).unwrap().is_some(), "{name}");
        assert!(!btf::module(name).unwrap().is_empty());
    } else {
        eprintln!("SKIPPED modules: this kernel has none with BTF");
    }
    // vmlinux is a kernel object with a name as well.
    assert!(btf::module_object("vmlinux").unwrap().is_some());
}

#[test]
fn symbols_of_the_kernel() {
    let mut symbols = Symbols::open().unwrap();
    let start = std::time::Instant::now();
    assert!(symbols.contains("ip_rcv"));
    println!("kallsyms read and parsed in {:?}", start.elapsed());
    assert!(!symbols.contains("no_such_symbol"));
    match symbols.visibility() {
        symbols::Visibility::Full => {
            let address = symbols.address("ip_rcv").unwrap();
            let symbol = symbols.resolve(address + 5).unwrap();
            assert_eq!((symbol.name, symbol.offset, symbol.module), ("ip_rcv", 5, None));
            assert_eq!(symbols.resolve(0x1000), None);
            assert!(symbols.functions().count() > 10_000);
        }
        other => eprintln!("SKIPPED addresses: {other:?}"),
    }
    symbols.forget();
    assert!(symbols.contains("ip_rcv"));
}
