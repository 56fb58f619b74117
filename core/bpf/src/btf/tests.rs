//! BTF written by the builder and read back: bases, splits, paths and slices.

use std::sync::Arc;

use super::{builder::info, *};

/// `struct inner { u32 a; u16 b:4; }`, `struct outer { struct inner *p; struct { u32 x; struct inner in; }; }`
fn base() -> (Builder, u32, u32) {
    let mut b = Builder::default();
    let u32_ = b.int("u32", 4, false);
    let u16_ = b.int("u16", 2, false);
    let (inner, a, bits) = (b.str("inner"), b.str("a"), b.str("b"));
    // kind_flag: member offsets carry a width in their top byte.
    let flagged = info(Kind::Struct, 2) | 1 << 31;
    let inner = b.push(&[inner, flagged, 8, a, u32_, 0, bits, u16_, 4 << 24 | 36]);
    let ptr = b.ptr(inner);
    let (x, in_) = (b.str("x"), b.str("in"));
    let anon = b.push(&[0, info(Kind::Struct, 2), 12, x, u32_, 0, in_, inner, 32]);
    let (outer, p) = (b.str("outer"), b.str("p"));
    let outer = b.push(&[outer, info(Kind::Struct, 2), 24, p, ptr, 0, 0, anon, 64]);
    (b, inner, outer)
}

#[test]
fn paths_descend_into_anonymous_members() {
    let (b, inner, outer) = base();
    let btf = Btf::parse(b.bytes()).unwrap();
    assert_eq!(btf.find(Kind::Struct, "outer"), Some(outer));
    assert_eq!(btf.find(Kind::Union, "outer"), None);
    let at = btf.path(outer, "in.b").unwrap();
    assert_eq!((at.bit_offset, at.bits), (64 + 32 + 36, 4));
    assert_eq!(at.byte_offset(), None);
    assert_eq!(btf.path(outer, "x").unwrap().byte_offset(), Some(8));
    assert_eq!(btf.path(outer, "p.a"), None, "a pointer ends a path");
    let p = btf.member(outer, "p").unwrap();
    assert_eq!(btf.pointee(p.ty), Some("inner"));
    assert_eq!(btf.size_of(inner), Some(8));
}

#[test]
fn a_pointer_to_a_pointer_is_not_a_pointer_to_a_struct() {
    let (mut b, inner, _) = base();
    let ptr = b.ptr(inner);
    let ptr_ptr = b.ptr(ptr);
    let btf = Btf::parse(b.bytes()).unwrap();
    assert_eq!(btf.pointee(ptr), Some("inner"));
    assert_eq!(btf.pointee(ptr_ptr), None);
}

/// A split blob is a builder's blob without the base's types: ids and offsets continue.
fn split(base: &Btf, inner: u32) -> Vec<u8> {
    let first_str = base.str_len();
    let strs = b"mod_struct\0field\0";
    let types: Vec<u32> = vec![first_str, info(Kind::Struct, 1), 8, first_str + 11, inner, 0];
    let mut out = vec![0x9f, 0xeb, 1, 0];
    let (t, s) = (u32::try_from(types.len() * 4).unwrap(), u32::try_from(strs.len()).unwrap());
    for w in [24, 0, t, t, s].iter().chain(&types) {
        out.extend_from_slice(&w.to_le_bytes());
    }
    out.extend_from_slice(strs);
    out
}

#[test]
fn a_file_says_by_its_strings_whether_it_continues_a_base() {
    let (b, inner, _) = base();
    let base = Arc::new(Btf::parse(b.bytes()).unwrap());
    let module = Btf::parse_either(split(&base, inner), base.clone()).unwrap();
    assert!(module.base().is_some());
    let alone = Btf::parse_either(base.bytes().to_vec(), base.clone()).unwrap();
    assert!(alone.base().is_none());
    assert_eq!(alone.own_ids(), base.own_ids());
}

#[test]
fn a_split_continues_its_base() {
    let (b, inner, _) = base();
    let base = Arc::new(Btf::parse(b.bytes()).unwrap());
    let module = Btf::parse_split(split(&base, inner), base.clone()).unwrap();
    let id = module.find(Kind::Struct, "mod_struct").unwrap();
    assert_eq!(id, base.end_id());
    let at = module.path(id, "field.a").unwrap();
    assert_eq!(module.ty(at.ty).unwrap().name(), "u32");
    assert_eq!(module.find(Kind::Struct, "inner"), Some(inner), "the base's types are found too");
    assert_eq!(base.find(Kind::Struct, "mod_struct"), None);
}

#[test]
fn a_slice_holds_what_is_contained_by_value() {
    let (b, inner, outer) = base();
    let base = Arc::new(Btf::parse(b.bytes()).unwrap());
    let module = Btf::parse_split(split(&base, inner), base.clone()).unwrap();
    let mut slice = Slice::default();
    slice.add(&base, outer).unwrap();
    slice.add(&module, module.find(Kind::Struct, "mod_struct").unwrap()).unwrap();
    let btf = Btf::parse(slice.bytes()).unwrap();
    let outer = btf.find(Kind::Struct, "outer").unwrap();
    assert_eq!(btf.path(outer, "in.b").unwrap().bit_offset, 64 + 32 + 36);
    let p = btf.member(outer, "p").unwrap();
    assert_eq!(btf.ty(p.ty).unwrap().kind(), Kind::Ptr);
    assert_eq!(btf.pointee(p.ty), None, "pointers are cut");
    let m = btf.find(Kind::Struct, "mod_struct").unwrap();
    assert_eq!(btf.path(m, "field.a").unwrap().bit_offset, 0);
}

#[test]
fn appending_renumbers() {
    let (b, _, _) = base();
    let btf = Btf::parse(b.bytes()).unwrap();
    let mut out = Builder::default();
    let int = out.int("int", 4, true);
    let f = out.func("f", int, &[("x", int)], true);
    let moved = out.append(&btf);
    let merged = Btf::parse(out.bytes()).unwrap();
    let outer = moved.ty(btf.find(Kind::Struct, "outer").unwrap());
    assert_eq!(merged.ty(outer).unwrap().name(), "outer");
    assert_eq!(merged.path(outer, "in.b").unwrap().bit_offset, 64 + 32 + 36);
    let proto = merged.prototype(f).unwrap();
    assert_eq!(merged.ty(proto).unwrap().params().next().unwrap().name, "x");
}

#[test]
fn hostile_blobs_are_errors() {
    let (b, _, _) = base();
    let good = b.bytes();
    for cut in 0..good.len() {
        let _ = Btf::parse(good[..cut].to_vec());
    }
    assert_eq!(Btf::parse(vec![0; 24]).unwrap_err(), BtfError::Magic(0));
    let mut bad = good.clone();
    bad[24 + 7] = 0x1f;
    assert_eq!(Btf::parse(bad).unwrap_err(), BtfError::UnknownKind { id: 1, kind: 0x1f });
    // A typedef loop ends.
    let mut b = Builder::default();
    let name = b.str("loop");
    b.push(&[name, info(Kind::Typedef, 0), 1]);
    let btf = Btf::parse(b.bytes()).unwrap();
    assert_eq!(btf.resolve(1), 0);
    assert_eq!(btf.size_of(1), None);
}
