//! A small standalone BTF with just the types that CO-RE relocations ask about.
//!
//! Resolving a fragment against a whole kernel's BTF costs tens of milliseconds in a parser that
//! looks at each of its 100,000 types; a slice holds a few hundred. Pointers are cut (they become
//! `void *`): a relocation never follows one, and two pointers are always compatible.

use std::collections::HashMap;

use super::{
    Btf, BtfError, Builder, Kind,
    builder::{info, renumber},
    types::{Info, Type},
};

/// Collects types from one or more BTFs.
#[derive(Debug, Default)]
pub struct Slice {
    out: Builder,
    void_ptr: Option<u32>,
}

impl Slice {
    /// Adds a type with all that it contains by value. `btf`'s ids are taken once per call, so a
    /// type that two calls share is there twice; equal copies do no harm to a relocation.
    pub fn add(&mut self, btf: &Btf, id: u32) -> Result<(), BtfError> {
        self.add_following(btf, id, |_| false)
    }

    /// The same, and pointers to those types that `follow` wants stay pointers to them, with what they contain.
    pub fn add_following(
        &mut self,
        btf: &Btf,
        id: u32,
        follow: impl Fn(&Type<'_>) -> bool,
    ) -> Result<(), BtfError> {
        let is_cut = |t: &Type<'_>| {
            let target = t.target().and_then(|target| btf.ty(btf.resolve(target)).ok());
            t.kind() == Kind::Ptr && !target.is_some_and(|target| follow(&target))
        };
        // Ids are given out before the types are written, because types may refer forward.
        let mut order = Vec::new();
        let mut ids = HashMap::new();
        let mut queue = vec![id];
        self.void_ptr();
        let first = self.out.next_id();
        while let Some(id) = queue.pop() {
            let t = btf.ty(id)?;
            if id == 0 || is_cut(&t) || ids.contains_key(&id) {
                continue;
            }
            ids.insert(id, first + u32::try_from(order.len()).unwrap_or(u32::MAX));
            order.push(id);
            // Functions and tags are not part of any layout.
            match t.kind() {
                Kind::Struct | Kind::Union => queue.extend(t.members().map(|m| m.ty)),
                Kind::Array => queue.extend(t.array().map(|(element, _)| element)),
                k if k.is_modifier() || k == Kind::Ptr => queue.extend(t.target()),
                _ => {}
            }
        }
        let void_ptr = self.void_ptr();
        for id in order {
            let t = btf.ty(id)?;
            let mut words = t.words();
            let vlen = Info(words[1]).vlen();
            let is_ptr = |id: u32| btf.ty(id).is_ok_and(|t| t.kind() == Kind::Ptr);
            let ty = |id: u32| match ids.get(&id) {
                Some(new) => *new,
                None if is_ptr(id) => void_ptr,
                None => 0,
            };
            let out = &mut self.out;
            renumber(&mut words, t.kind(), vlen, ty, |s| out.str(btf.str(s)));
            match t.kind() {
                // Members of newer kinds are only names here: a tag says nothing about layout,
                // and a float is as good as an integer of its size.
                Kind::TypeTag => words = vec![0, info(Kind::Const, 0), words[2]],
                Kind::Float => words = vec![words[0], info(Kind::Int, 0), words[2], words[2] * 8],
                _ => {}
            }
            self.out.push(&words);
        }
        Ok(())
    }

    fn void_ptr(&mut self) -> u32 {
        *self.void_ptr.get_or_insert_with(|| self.out.ptr(0))
    }

    /// The slice as a standalone blob.
    pub fn bytes(&self) -> Vec<u8> {
        self.out.bytes()
    }
}
