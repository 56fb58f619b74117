//! Fragments as a compiler makes them: what is read from a good one, and why a bad one is refused
//! before it gets near a linker or a kernel.

#![expect(clippy::unwrap_used, reason = "what cannot be set up cannot be tested")]

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tracer_bpf::{Btf, btf::Builder};
use tracer_compose::{ArgType, Build, Fragment, FragmentError, From, KernelEnums, Library, Linked, Target};
use tracer_event::{Kind, Schema, Show};

/// Compiles a fragment; the folder is gone afterwards.
fn object(name: &str, source: &str) -> Vec<u8> {
    // Tests run at the same time.
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let unique = format!("tracer-compose-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let root: PathBuf = std::env::temp_dir().join(unique);
    let dir = root.join(name);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(format!("{name}.bpf.c")), source).unwrap();
    let objects = tracer_ebpf::build(&dir, &dir).unwrap_or_else(|e| panic!("{e}"));
    let object = fs::read(objects.probe).unwrap();
    fs::remove_dir_all(root).unwrap();
    object
}

fn manifest(name: &str) -> String {
    format!("version = 1\nname = \"{name}\"\nabout = \"for a test\"\n")
}

fn refused(name: &str, source: &str) -> FragmentError {
    Fragment::parse(&manifest(name), &object(name, source), None).unwrap_err()
}

const HEAD: &str = "#include \"tracer/kernel.h\"\nstruct x_args { struct sk_buff *skb REQUIRED; };\n";

#[test]
fn the_signature_is_the_declaration() {
    let source = "#include \"tracer/kernel.h\"
        enum colour { colour_red, colour_blue = 5 };
        enum nft_trace_types { UNSPEC };
        struct x_args {
            struct sk_buff *skb REQUIRED;
            enum nft_trace_types type;
            __u32 depth OPTION(\"depth\");
            __u64 base SYMBOL(\"page_offset_base\");
        };
        struct x { __u64 a HEX; __u8 addr[4] IPV4; char name[16]; enum colour colour; __s16 n; };
        READER(x, struct x_args *args, struct x *out) { out->a = args->depth + args->base; return PRESENT(out); }
        ACCESSOR(x, a, struct x_args *args, __u64 *value) { *value = 1; return PRESENT_VALUE; }";
    let manifest = manifest("x")
        + "[section.x]\nplace = \"line\"\ntext = \"{colour} {name}\"\n\
           [[option]]\nname = \"depth\"\nabout = \"how deep\"\nnumber = { min = 1, max = 9, default = 3 }\n";
    let fragment = Fragment::parse(&manifest, &object("x", source), None).unwrap();
    let reader = &fragment.readers[0];
    let froms: Vec<&From> = reader.wants.members.iter().map(|w| &w.from).collect();
    assert_eq!(
        froms,
        [
            &From::Argument(ArgType::Struct("sk_buff".into())),
            &From::Argument(ArgType::Enum("nft_trace_types".into())),
            &From::Option("depth".into()),
            &From::Symbol("page_offset_base".into()),
        ]
    );
    assert!(reader.wants.members[0].required && !reader.wants.members[1].required);
    let field = |name: &str| reader.schema.field(name).unwrap();
    assert_eq!((&field("a").kind, field("a").show), (&Kind::Uint(8), Show::Hex));
    assert_eq!((&field("addr").kind, field("addr").show), (&Kind::Bytes(4), Show::Ipv4));
    assert_eq!(field("name").kind, Kind::Str(16));
    assert_eq!(field("n").kind, Kind::Int(2));
    let names = vec![(0, "red".to_owned()), (5, "blue".to_owned())];
    assert_eq!(field("colour").kind, Kind::Enum { width: 4, signed: false, names });
    assert!(fragment.accessor("x", "a").is_some());
}

#[test]
fn names_that_only_the_kernel_knows_come_with_its_types() {
    let source = format!(
        "{HEAD}struct x {{ __u32 why KERNEL_ENUM(\"why,why_of_module\"); __s16 how KERNEL_ENUM(\"how\"); __u16 n; }};
         READER(x, struct x_args *args, struct x *out) {{ return PRESENT(out); }}"
    );
    let text = "[section.x]\nplace = \"head\"\ntext = \"({why} {how})\"\nkey = [\"why\"]\n";
    let fragment = Fragment::parse(&(manifest("x") + text), &object("x", &source), None).unwrap();
    let reader = &fragment.readers[0];
    let kind = |schema: &Schema, field: &str| schema.field(field).unwrap().kind.clone();
    let unnamed = |width, signed| Kind::Enum { width, signed, names: vec![] };
    assert_eq!(kind(&reader.schema, "why"), unnamed(4, false));
    assert_eq!(kind(&reader.schema, "how"), unnamed(2, true));

    let mut kernel = Builder::default();
    kernel.enumeration("why", &[("WHY_NOT", 7), ("NO_REASON", 8)]);
    kernel.enumeration("why_of_module", &[("WHY_EVER", 7), ("FULL", 0x1_0001)]);
    let btf = Btf::parse(kernel.bytes()).unwrap();
    let mut enums = KernelEnums::default();
    btf.own_ids().for_each(|id| enums.insert(&btf.ty(id).unwrap()));
    let schema = reader.schema_with(|_| None, &enums);
    let names = [(7, "NOT"), (8, "NO_REASON"), (0x1_0001, "FULL")].map(|(n, name)| (n, name.to_owned()));
    assert_eq!(kind(&schema, "why"), Kind::Enum { width: 4, signed: false, names: names.to_vec() });
    assert_eq!(kind(&schema, "how"), unnamed(2, true), "a kernel without that enum");
    assert_eq!(kind(&schema, "n"), Kind::Uint(2));
    assert_eq!((schema.text(), schema.key().len()), (reader.schema.text(), 1));
}

#[test]
fn what_the_kernel_cannot_name_is_refused() {
    let refusal = |member: &str| {
        let source = format!(
            "{HEAD}struct x {{ {member}; }};
             READER(x, struct x_args *args, struct x *out) {{ return PRESENT(out); }}"
        );
        refused("x", &source).to_string()
    };
    let array = refusal("char why[8] KERNEL_ENUM(\"why\")");
    assert_eq!(array, "section x, field why: enums of the kernel name the values of an integer");
    let empty = refusal("__u32 why KERNEL_ENUM(\"why,\")");
    assert!(empty.contains("takes the names of enums of the kernel"), "{empty}");
}

#[test]
fn an_undefined_function_is_named() {
    let source = format!(
        "{HEAD}struct x {{ __u32 n; }};
         int elsewhere(void);
         READER(x, struct x_args *args, struct x *out) {{ out->n = elsewhere(); return PRESENT(out); }}"
    );
    assert_eq!(refused("x", &source), FragmentError::Undefined("elsewhere".into()));
}

#[test]
fn global_data_is_refused() {
    let source = format!(
        "{HEAD}struct x {{ __u32 n; }};
         static volatile __u32 counter = 1;
         READER(x, struct x_args *args, struct x *out) {{ out->n = counter++; return PRESENT(out); }}"
    );
    assert_eq!(refused("x", &source), FragmentError::GlobalData(".data".into()));
}

#[test]
fn a_licence_that_the_kernel_would_refuse_is_refused_first() {
    let source = format!(
        "{HEAD}struct x {{ __u32 n; }};
         READER(x, struct x_args *args, struct x *out) {{ return PRESENT(out); }}"
    );
    let mut object = object("x", &source);
    let at = object.windows(12).position(|w| w == b"Dual MIT/GPL").unwrap();
    object[at..at + 12].copy_from_slice(b"Proprietary\0");
    let error = Fragment::parse(&manifest("x"), &object, None).unwrap_err();
    assert_eq!(error, FragmentError::Licence("Proprietary".into()));
}

#[test]
fn an_argument_that_no_probe_can_have_is_refused() {
    let source = "#include \"tracer/kernel.h\"
        struct x_args { struct sk_buff **skbs; };
        struct x { __u32 n; };
        READER(x, struct x_args *args, struct x *out) { return PRESENT(out); }";
    let FragmentError::Signature { function, reason } = refused("x", source) else { panic!() };
    assert_eq!(function, "reader__x");
    assert!(reason.contains("`skbs` is neither a pointer to a struct, nor an enum"), "{reason}");
}

#[test]
fn a_field_that_no_schema_can_hold_is_refused() {
    let source = format!(
        "{HEAD}struct x {{ __u32 a:3; }};
         READER(x, struct x_args *args, struct x *out) {{ return PRESENT(out); }}"
    );
    let error = refused("x", &source).to_string();
    assert_eq!(error, "section x, field a: bitfields have no place in a section");
}

#[test]
fn the_manifest_must_speak_of_what_is_there() {
    let source = format!(
        "{HEAD}struct x {{ __u32 n; }};
         READER(x, struct x_args *args, struct x *out) {{ return PRESENT(out); }}"
    );
    let object = object("x", &source);
    let with = |more: &str| Fragment::parse(&(manifest("x") + more), &object, None).unwrap_err().to_string();
    assert_eq!(
        with("[section.y]\nplace = \"line\"\ntext = \"{n}\"\n"),
        "collector.toml names section `y`, which the object does not have"
    );
    assert_eq!(
        with("[[option]]\nname = \"n\"\nabout = \"\"\nselects = \"n\"\n"),
        "collector.toml names accessor `x.n`, which the object does not have"
    );
    assert!(with("[section.x]\nplace = \"line\"\ntext = \"{m}\"\n").contains('m'));
}

const MAP: &str = "struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, __u64); \
                   __type(value, __u64); } x_map SEC(\".maps\");\n";

#[test]
fn a_hooks_signature_is_its_declaration() {
    let source = format!(
        "{HEAD}{MAP}struct x {{ __u32 n; }};
         READER(x, struct x_args *args, struct x *out) {{ return PRESENT(out); }}
         struct copied_args {{
             struct sk_buff *skb REQUIRED;
             __u8 stolen PARAMETER(\"head_stolen\");
             struct sk_buff *copy RETURNED REQUIRED;
         }};
         HOOK(copied, struct copied_args *args)
         {{
             __u64 key = (__u64)args->skb, value = (__u64)args->copy;
             return bpf_map_update_elem(&x_map, &key, &value, args->stolen);
         }}"
    );
    let text = manifest("x")
        + "default = false\n[[hook]]\nname = \"copied\"\nat = [\"fexit:skb_copy\", \"fexit:skb_copy_expand\"]\n\
           without = \"copies are not followed\"\n\
           [[option]]\nname = \"room\"\nabout = \"\"\nnumber = { min = 1, max = 9, default = 3 }\nsizes = \"x_map\"\n\
           [[loss]]\nmap = \"x_map\"\nwhat = \"packets\"\n\
           [[except]]\nfunctions = [\"kfree_skbmem\"]\nwhy = \"it is gone\"\n";
    let fragment = Fragment::parse(&text, &object("x", &source), None).unwrap();
    let hook = fragment.hook("copied").unwrap();
    assert_eq!(hook.function, "hook__copied");
    let froms: Vec<&From> = hook.wants.members.iter().map(|w| &w.from).collect();
    let skb = From::Argument(ArgType::Struct("sk_buff".into()));
    assert_eq!(froms, [&skb, &From::Parameter("head_stolen".into()), &From::Returned]);
    assert_eq!((hook.wants.members[1].size, hook.wants.members[2].required), (1, true));
    let manifest = &fragment.manifest;
    assert!(!manifest.default && manifest.hooks[0].at.len() == 2 && manifest.losses[0].index == 0);
    assert_eq!(manifest.exceptions[0].functions, ["kfree_skbmem"]);
}

#[test]
fn a_hook_that_cannot_be_one_is_refused() {
    let reader = "struct x { __u32 n; };
        READER(x, struct x_args *args, struct x *out) { return PRESENT(out); }\n";
    let returned = "#include \"tracer/kernel.h\"\nstruct x_args { struct sk_buff *skb RETURNED; };\n";
    let reason = refused("x", &format!("{returned}{reader}")).to_string();
    assert_eq!(
        reason,
        "reader__x: only a hook takes parameters by their names, and what a function returned"
    );
    let two = format!("{HEAD}{reader}HOOK(h, struct x_args *args, int more) {{ return more; }}");
    assert_eq!(refused("x", &two).to_string(), "hook__h: it takes one parameter: a struct of arguments");

    let object = object("x", &format!("{HEAD}{reader}"));
    let with = |more: &str| Fragment::parse(&(manifest("x") + more), &object, None).unwrap_err().to_string();
    assert_eq!(
        with("[[hook]]\nname = \"h\"\nat = [\"fentry:ip_rcv\"]\n"),
        "collector.toml names hook `h`, which the object does not have"
    );
    let sizes = "[[option]]\nname = \"n\"\nabout = \"\"\nnumber = { min = 1, max = 9, default = 3 }\nsizes = \"x_m\"\n";
    assert_eq!(with(sizes), "collector.toml names map `x_m`, which the object does not have");
    assert_eq!(
        with("[[loss]]\nmap = \"x_l\"\nwhat = \"packets\"\n"),
        "collector.toml names map `x_l`, which the object does not have"
    );
}

#[test]
fn what_is_no_object_is_refused() {
    let error = Fragment::parse(&manifest("x"), b"\x7fELF and no more", None).unwrap_err();
    assert!(matches!(error, FragmentError::Elf(_)), "{error}");
    // Cut anywhere, an object is an error and never a panic.
    let whole = object(
        "x",
        &format!(
            "{HEAD}struct x {{ __u32 n; }};
             READER(x, struct x_args *args, struct x *out) {{ return PRESENT(out); }}"
        ),
    );
    for cut in (0..whole.len()).step_by(7) {
        let _ = Fragment::parse(&manifest("x"), &whole[..cut], None);
    }
}

#[test]
fn a_native_half_stands_beside_the_object() {
    let source = format!(
        "{HEAD}struct x {{ __u64 a; }};
         READER(x, struct x_args *args, struct x *out) {{ return PRESENT(out); }}"
    );
    let object = object("x", &source);
    let parse = |native: &str| {
        let file = fs::File::open("/dev/null").unwrap();
        let text = format!("{}[native]\n{native}", manifest("x"));
        Fragment::parse_native(&text, Some((&object, None)), Library::File(Arc::new(file)))
    };
    let fragment = parse("section = \"owner\"\n").unwrap();
    assert_eq!((fragment.readers.len(), fragment.has_object()), (1, true));
    assert_eq!(fragment.native.unwrap().with, ["x"]);
    assert_eq!(parse("section = \"owner\"\nwith = [\"skb\"]\n").unwrap().native.unwrap().with, ["skb"]);
    assert!(parse("sink = true\n").unwrap().is_collector());
    let same = parse("section = \"x\"\n").unwrap_err().to_string();
    assert_eq!(same, "section x: `[native]` adds it, and a reader reports one of that name");
    let other = parse("section = \"owner\"\n[section.ovner]\nplace = \"line\"\ntext = \"{n}\"\n")
        .unwrap_err()
        .to_string();
    let expected = "collector.toml describes section `ovner`, but its `[native]` adds `owner`: write the same name in both";
    assert_eq!(other, expected);
}

#[test]
fn what_has_no_object_is_linked_without_functions() {
    let text = format!("{}[native]\nsink = true\n", manifest("x"));
    let file = Arc::new(fs::File::open("/dev/null").unwrap());
    let fragment = Fragment::parse_native(&text, None, Library::File(file)).unwrap();
    assert!(!fragment.is_collector());
    let target = Target::new(&Builder::default().bytes(), tracer_kernel::features::btf()).unwrap();
    for build in [Build::Probe, Build::Direct] {
        let linked = Linked::new(&fragment, build, &target).unwrap();
        assert!(linked.funcs.is_empty() && linked.maps.is_empty() && linked.collector == "x");
    }
}
