//! What the verifier refuses is told in the words of whoever wrote the fragment. These tests load
//! programs, so they need root and a kernel with BTF; without, they say so and pass.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use tracer_compose::{Arguments, Fragment, KernelEnums};
use tracer_dsl::probe;
use tracer_kernel::{Capabilities, Capability, Symbols};

use super::*;
use crate::{plan::idle, source::rings};

/// A collector's folder that is gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, source: &str) -> Self {
        // Tests run at the same time.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let unique = format!("tracer-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(unique).join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(format!("{name}.bpf.c")), source).unwrap();
        Self(dir)
    }

    fn fragment(&self, manifest: &str) -> Fragment {
        let objects = tracer_ebpf::build(&self.0, &self.0).unwrap_or_else(|e| panic!("{e}"));
        Fragment::parse(manifest, &fs::read(objects.probe).unwrap(), Some(&fs::read(objects.direct).unwrap()))
            .unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

fn privileged() -> bool {
    let own = Capabilities::of_this_thread().unwrap();
    let enough = own.missing(&[Capability::Bpf, Capability::Perfmon]).is_empty();
    if !enough {
        eprintln!("SKIPPED: loading programs needs CAP_BPF and CAP_PERFMON");
    }
    enough
}

/// A probe at a tracepoint, with these readers.
fn at_tracepoint<'a>(types: &mut Types, name: &str, fragment: Option<&'a Fragment>) -> PlannedProbe<'a> {
    let short = name.split_once(':').unwrap().1;
    let place = types.find(crate::types::PlaceKind::Tracepoint, short).unwrap().unwrap();
    let arguments = Arguments::of_function(&place.btf, place.prototype, place.skip, &[]);
    PlannedProbe {
        probe: probe::parse(&format!("tp:{name}")).unwrap(),
        pattern: None,
        place: Some(place),
        returns: None,
        arguments,
        readers: fragment.into_iter().flat_map(|f| f.readers.iter().map(|r| (0, r))).collect(),
        asked: Default::default(),
        filter: vec![],
        packet: None,
        follow: None,
        guards: vec![],
        ways: vec![Way::TpBtf, Way::RawTracepoint],
    }
}

/// Loads the fragment's readers for a kprobe on `ip_rcv`; says why that failed.
fn refusal(fragment: &Fragment) -> String {
    let mut types = Types::new().unwrap();
    let function = types.function("ip_rcv").unwrap().unwrap();
    let arguments = Arguments::of_function(&function.btf, function.prototype, 0, &[]);
    let planned = PlannedProbe {
        probe: probe::parse("kprobe:ip_rcv").unwrap(),
        pattern: None,
        place: Some(function),
        returns: None,
        arguments,
        readers: fragment.readers.iter().map(|r| (0, r)).collect(),
        asked: Default::default(),
        filter: vec![],
        packet: None,
        follow: None,
        guards: vec![],
        ways: vec![Way::Kprobe],
    };
    let plan = Plan {
        collectors: vec![fragment],
        reporting: 1,
        probes: vec![planned],
        hooks: vec![],
        sizes: BTreeMap::new(),
        needs: BTreeSet::new(),
        notes: vec![],
        constants: BTreeMap::new(),
        kernel_enums: KernelEnums::default(),
        casts: vec![],
    };
    let (_ring, rings) = rings(1 << 16).unwrap();
    let symbols = Symbols::open().unwrap();
    let loader = Loader::new(&plan, &types, &symbols, &rings, 4, None).unwrap();
    match loader.load() {
        Ok(_) => panic!("it was accepted"),
        Err(error) => error.to_string(),
    }
}

const MANIFEST: &str = "version = 1\nname = \"bad\"\nabout = \"a fragment with a mistake\"\n";

#[test]
fn a_refused_fragment_is_named_with_its_line() {
    if !privileged() {
        return;
    }
    let folder = Folder::new(
        "bad",
        "#include \"tracer/kernel.h\"\n\
         struct bad_args { struct sk_buff *skb REQUIRED; };\n\
         struct bad { __u64 len; };\n\
         READER(bad, struct bad_args *args, struct bad *out)\n\
         {\n\
         \tout->len = *(volatile __u32 *)args->skb; /* not through LOAD */\n\
         \treturn PRESENT(out);\n\
         }\n",
    );
    let text = refusal(&folder.fragment(MANIFEST));
    assert!(text.contains("cannot attach kprobe:ip_rcv"), "{text}");
    assert!(text.contains("collector bad, in reader__bad"), "{text}");
    assert!(text.contains("bad/bad.bpf.c:6: out->len = "), "{text}");
}

#[test]
fn a_field_that_this_kernel_lacks_is_said_to_be_one() {
    if !privileged() {
        return;
    }
    let folder = Folder::new(
        "bad",
        "#include \"tracer/fragment.h\"\n\
         struct sk_buff { __u32 no_such_field; } KERNEL;\n\
         struct bad_args { struct sk_buff *skb REQUIRED; };\n\
         struct bad { __u32 x; };\n\
         READER(bad, struct bad_args *args, struct bad *out)\n\
         {\n\
         \tout->x = LOAD(args->skb->no_such_field);\n\
         \treturn PRESENT(out);\n\
         }\n",
    );
    let text = refusal(&folder.fragment(MANIFEST));
    assert!(text.contains("a field or type that this kernel does not have"), "{text}");
    // Clang puts the offset of a field at the head of the function.
    assert!(text.contains("at bad/bad.bpf.c:"), "{text}");
}

#[test]
fn a_collector_that_reads_nothing_says_why() {
    let folder = Folder::new(
        "bad",
        "#include \"tracer/kernel.h\"\n\
         enum why { WHY };\n\
         struct bad_args { struct sk_buff *skb; enum why why REQUIRED; };\n\
         struct bad { __u64 len; };\n\
         READER(bad, struct bad_args *args, struct bad *out) { return PRESENT(out); }\n",
    );
    let fragment = folder.fragment(&format!("{MANIFEST}without = \"this kernel never says why\"\n"));
    let only = |wanted: &str| idle(&fragment, |ty| ty.to_string() == wanted);
    // That it has the argument that is not required makes no difference.
    assert_eq!(only("struct sk_buff *"), "collector bad: this kernel never says why");
    let elsewhere =
        "collector bad finds nothing to read at these probes: it reads where a function is given `enum why`";
    assert_eq!(only("enum why"), elsewhere);
    assert_eq!(idle(&folder.fragment(MANIFEST), |_| false), elsewhere, "nothing to say in its manifest");
}

#[test]
fn a_refused_probe_of_many_is_left_out_unless_all_are_wanted() {
    if !privileged() {
        return;
    }
    let folder = Folder::new(
        "bad",
        "#include \"tracer/kernel.h\"\n\
         struct bad_args { struct sk_buff *skb REQUIRED; };\n\
         struct bad { __u64 len; };\n\
         READER(bad, struct bad_args *args, struct bad *out)\n\
         {\n\
         \tout->len = *(volatile __u32 *)((__u64)args->skb + 1); /* not through PEEK */\n\
         \t*(volatile __u64 *)((__u64)out + 8) = 0; /* not its own */\n\
         \treturn PRESENT(out);\n\
         }\n",
    );
    let fragment = folder.fragment(MANIFEST);
    let mut types = Types::new().unwrap();
    let good = at_tracepoint(&mut types, "skb:kfree_skb", None);
    let bad = at_tracepoint(&mut types, "net:netif_receive_skb", Some(&fragment));
    let plan = Plan {
        collectors: vec![&fragment],
        reporting: 1,
        probes: vec![good, bad],
        hooks: vec![],
        sizes: BTreeMap::new(),
        needs: BTreeSet::new(),
        notes: vec![],
        constants: BTreeMap::new(),
        kernel_enums: tracer_compose::KernelEnums::default(),
        casts: vec![],
    };
    let (_ring, rings) = rings(1 << 16).unwrap();
    let symbols = Symbols::open().unwrap();
    let loader = |strict| Loader::new(&plan, &types, &symbols, &rings, 4, None).unwrap().strict(strict);
    let outcome = loader(false).load().map_err(|e| e.to_string()).unwrap();
    assert_eq!(outcome.live.len(), 1);
    let [left_out] = &outcome.left_out[..] else { panic!("{:?}", outcome.left_out) };
    assert!(left_out.contains("cannot attach raw_tracepoint:net:netif_receive_skb"), "{left_out}");
    assert!(left_out.contains("collector bad, in reader__bad"), "{left_out}");
    let Err(error) = loader(true).load() else { panic!("it was accepted") };
    assert!(matches!(error, Error::Attach { .. }), "{error}");
}

/// A collector that counts what its hook at a tracepoint is hit by, with a hook at a place that is nowhere.
const COUNTING: &str = "#include \"tracer/kernel.h\"\n\
     struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 2); __type(key, __u32); \
     __type(value, __u64); } counting_hits SEC(\".maps\");\n\
     struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 9); __type(key, __u64); \
     __type(value, __u64); } counting_all SEC(\".maps\");\n\
     struct counting_args { struct sk_buff *skb REQUIRED; };\n\
     struct counting { __u64 known; };\n\
     READER(counting, struct counting_args *args, struct counting *out)\n\
     {\n\
     \t__u64 skb = (__u64)args->skb;\n\
     \tout->known = bpf_map_lookup_elem(&counting_all, &skb) != NULL;\n\
     \treturn PRESENT(out);\n\
     }\n\
     HOOK(seen, struct counting_args *args)\n\
     {\n\
     \t__u32 one = 1;\n\
     \t__u64 skb = (__u64)args->skb, len = LOAD(args->skb->len);\n\
     \t__u64 *hits = bpf_map_lookup_elem(&counting_hits, &one);\n\
     \tif (hits)\n\
     \t\t__sync_fetch_and_add(hits, 1);\n\
     \tbpf_map_update_elem(&counting_all, &skb, &len, BPF_ANY);\n\
     \treturn 0;\n\
     }\n";

fn counting(hooks: &str) -> Fragment {
    let manifest = "version = 1\nname = \"counting\"\nabout = \"counts\"\n\
                    [[loss]]\nmap = \"counting_hits\"\nindex = 1\nwhat = \"hits\"\nhelp = \"none\"\n\
                    [[option]]\nname = \"room\"\nabout = \"\"\nsizes = \"counting_all\"\n\
                    number = { min = 1, max = 500, default = 300 }\n";
    Folder::new("counting", COUNTING).fragment(&format!("{manifest}{hooks}"))
}

fn plan_of<'a>(types: &mut Types, fragment: &'a Fragment) -> Plan<'a> {
    Plan {
        casts: vec![],
        collectors: vec![fragment],
        reporting: 1,
        probes: vec![at_tracepoint(types, "net:netif_receive_skb", Some(fragment))],
        hooks: vec![],
        sizes: BTreeMap::from([("counting_all".to_owned(), 300)]),
        needs: BTreeSet::new(),
        notes: vec![],
        constants: BTreeMap::new(),
        kernel_enums: KernelEnums::default(),
    }
}

#[test]
fn hooks_are_attached_and_count() {
    if !privileged() {
        return;
    }
    let fragment = counting(
        "[[hook]]\nname = \"seen\"\nany = [\"fentry:no_such_function\", \"tp:net:net_dev_queue\", \"tp:skb:kfree_skb\"]\n\
         [[hook]]\nname = \"seen\"\nat = [\"tp:net:no_such_tracepoint\"]\nwithout = \"nothing is seen\"\n\
         [[hook]]\nname = \"seen\"\nat = [\"fentry:no_such_function\"]\nwhen = \"kernel < 3.0\"\n",
    );
    let mut types = Types::new().unwrap();
    let mut plan = plan_of(&mut types, &fragment);
    plan.add_hooks(true, &mut types).unwrap();
    let at: Vec<String> = plan.hooks.iter().map(|hook| hook.at.to_string()).collect();
    assert_eq!(at, ["tp:net:net_dev_queue"]);
    let [note] = &plan.notes[..] else { panic!("{:?}", plan.notes) };
    assert_eq!(
        note,
        "collector counting: nothing is seen: this kernel has no tracepoint `net:no_such_tracepoint` that is in its \
         type information"
    );
    let (_ring, rings) = rings(1 << 16).unwrap();
    let symbols = Symbols::open().unwrap();
    let mut outcome = Loader::new(&plan, &types, &symbols, &rings, 4, None).unwrap().load().unwrap();
    assert_eq!(outcome.hooks.len(), 1);
    let [a, b] = [0, 1].map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    for _ in 0..3 {
        a.send_to(b"x", b.local_addr().unwrap()).unwrap();
        b.recv_from(&mut [0; 8]).unwrap();
    }
    let [counter] = &mut outcome.counters[..] else { panic!("one number") };
    let shortfall = counter.look().unwrap().unwrap();
    assert!(shortfall.count >= 3 && shortfall.what == "hits", "{shortfall:?}");
    assert_eq!(counter.told(4), "collector counting: 4 hits\n  = help: none");
}

#[test]
fn a_collector_without_a_hook_that_it_needs_is_refused() {
    if !privileged() {
        return;
    }
    let fragment = counting(
        "[[hook]]\nname = \"seen\"\nat = [\"tp:skb:consume_skb\"]\n\
         [[hook]]\nname = \"seen\"\nat = [\"fentry:no_such_function\"]\n",
    );
    let mut types = Types::new().unwrap();
    let mut plan = plan_of(&mut types, &fragment);
    let Err(error) = plan.add_hooks(true, &mut types) else { panic!("it was accepted") };
    let text = error.to_string();
    assert!(
        text.starts_with("collector counting cannot be used here: this kernel has no function `no_such"),
        "{text}"
    );

    // Nobody asked for it: the others go on.
    let mut plan = plan_of(&mut types, &fragment);
    plan.add_hooks(false, &mut types).unwrap();
    assert!(plan.hooks.is_empty() && plan.probes[0].readers.is_empty());
    assert!(plan.notes[0].starts_with("collector counting is left out: "), "{:?}", plan.notes);
}

#[test]
fn a_collector_with_nothing_for_the_kernel_is_no_part_of_a_program() {
    if !privileged() {
        return;
    }
    let library =
        fs::File::open("/dev/null").map(std::sync::Arc::new).map(tracer_compose::Library::File).unwrap();
    let manifest = "version = 1\nname = \"own\"\nabout = \"\"\n[native]\nsection = \"own\"\n";
    let native = Fragment::parse_native(manifest, None, library).unwrap();
    let counting = counting("[[hook]]\nname = \"seen\"\nat = [\"tp:net:net_dev_queue\"]\n");
    let mut types = Types::new().unwrap();
    // In front of the other, whose number is another then.
    let mut plan = plan_of(&mut types, &counting);
    plan.collectors = vec![&native, &counting];
    plan.reporting = 2;
    plan.probes[0].readers = counting.readers.iter().map(|reader| (1, reader)).collect();
    plan.add_hooks(true, &mut types).unwrap();
    let (_ring, rings) = rings(1 << 16).unwrap();
    let symbols = Symbols::open().unwrap();
    let outcome = Loader::new(&plan, &types, &symbols, &rings, 4, None).unwrap().load().unwrap();
    let sections = outcome.live[0].info.layout.sections().iter();
    assert_eq!(sections.map(|placed| placed.schema.section()).collect::<Vec<_>>(), ["counting"]);
    assert_eq!(outcome.hooks.len(), 1);
    drop(outcome);
    // And alone: events say that the probe was hit, and the rest comes behind the kernel.
    plan.collectors = vec![&native];
    plan.reporting = 1;
    plan.probes[0].readers.clear();
    plan.hooks.clear();
    plan.sizes.clear();
    let outcome = Loader::new(&plan, &types, &symbols, &rings, 4, None).unwrap().load().unwrap();
    assert!(outcome.live[0].info.layout.sections().is_empty());
}
