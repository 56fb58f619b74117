//! The types of a kernel: `linux.btf` is a slice of the BTF of Linux 6.18 (x86_64), made by
//! `cargo test -p tracer-compose --test filter -- --ignored`, which takes it from the kernel that it runs on.

use tracer_bpf::{
    Btf,
    btf::{Kind, Slice},
};

/// Structures that are whole; pointers to others are `void *`.
const STRUCTS: [&str; 6] = ["sk_buff", "net_device", "sock", "net", "nf_conn", "netdev_queue"];

pub(crate) fn linux() -> Btf {
    Btf::parse(include_bytes!("linux.btf").to_vec()).unwrap()
}

#[test]
#[ignore = "writes the file that the other tests read"]
fn write() {
    let kernel = Btf::parse(std::fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
    let mut slice = Slice::default();
    let root = kernel.find(Kind::Struct, "sk_buff").unwrap();
    let follow = |ty: &tracer_bpf::btf::Type<'_>| match ty.kind() {
        Kind::Struct => STRUCTS.contains(&ty.name()),
        Kind::Int => ty.size() == Some(1),
        _ => false,
    };
    slice.add_following(&kernel, root, follow).unwrap();
    let conn = kernel.find(Kind::Struct, "nf_conn").unwrap();
    slice.add(&kernel, conn).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/filter/linux.btf");
    std::fs::write(path, slice.bytes()).unwrap();
}
