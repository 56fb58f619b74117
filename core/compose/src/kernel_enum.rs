//! Names out of the running kernel. The numbers of a drop reason change with almost every release, so a fragment
//! cannot carry their names: a field says which of the kernel's enums name its values (`KERNEL_ENUM` in
//! `tracer/fragment.h`), and once the kernel's BTF is at hand the names are put into the field's schema. From there on
//! they are names like any other's: in text, in JSON, in filters, and in stored traces.

use std::collections::BTreeMap;

use tracer_bpf::btf::Type;

/// A field whose values enums of the kernel name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelEnumField {
    /// The field.
    pub field: String,
    /// The enums, without `enum`. Where two name one value, the first counts.
    pub enums: Vec<String>,
}

/// Enumerators of the running kernel, by the name of their enum.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KernelEnums(BTreeMap<String, Vec<(i64, String)>>);

impl KernelEnums {
    /// Takes an enum's enumerators; a second enum of the same name changes nothing.
    ///
    /// The enum's own name is cut off where an enumerator begins with it, as the kernel itself does when it prints
    /// them: `SKB_DROP_REASON_NO_SOCKET` of `enum skb_drop_reason` is `NO_SOCKET`, `SKB_CONSUMED` stays.
    pub fn insert(&mut self, ty: &Type<'_>) {
        self.0.entry(ty.name().to_owned()).or_insert_with(|| short_names(ty));
    }

    /// The names that these enums give to values, as far as this kernel has the enums. An enum adds only values that
    /// those before it do not name.
    pub fn names(&self, enums: &[String]) -> Vec<(i64, String)> {
        let mut all: Vec<(i64, String)> = Vec::new();
        for names in enums.iter().filter_map(|name| self.0.get(name)) {
            let before: std::collections::BTreeSet<i64> = all.iter().map(|(value, _)| *value).collect();
            all.extend(names.iter().filter(|(value, _)| !before.contains(value)).cloned());
        }
        all
    }
}

/// The names of an enum's values as sections have them: see [`KernelEnums::insert`].
pub(crate) fn short_names(ty: &Type<'_>) -> Vec<(i64, String)> {
    let prefix = format!("{}_", ty.name().to_ascii_uppercase());
    let short = |name: &str| {
        let rest = name.strip_prefix(&prefix);
        // What is left has to be a word, not a number.
        let word = rest.filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
        word.unwrap_or(name).to_owned()
    };
    ty.enumerators().map(|e| (e.value, short(e.name))).collect()
}

#[cfg(test)]
mod tests {
    use tracer_bpf::{
        Btf,
        btf::{Builder, Kind},
    };

    use super::*;

    fn enums(of: &[(&str, &[(&str, u32)])]) -> KernelEnums {
        let mut builder = Builder::default();
        for (name, values) in of {
            builder.enumeration(name, values);
        }
        let btf = Btf::parse(builder.bytes()).unwrap();
        let mut enums = KernelEnums::default();
        for id in btf.own_ids() {
            let ty = btf.ty(id).unwrap();
            assert_eq!(ty.kind(), Kind::Enum);
            enums.insert(&ty);
        }
        enums
    }

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_name_of_the_enum_is_cut_where_it_is_in_front() {
        let reasons: &[(&str, u32)] =
            &[("ICE_CREAM", 0), ("ICE_MELTED", 1), ("ICE_KIND_FLAT", 2), ("ICE_KIND_7", 3), ("ICE_KIND_", 4)];
        let names = enums(&[("ice_kind", reasons)]).names(&list(&["ice_kind"]));
        let names: Vec<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["ICE_CREAM", "ICE_MELTED", "FLAT", "ICE_KIND_7", "ICE_KIND_"]);
    }

    #[test]
    fn several_enums_make_one_table_and_the_first_counts() {
        let enums = enums(&[
            ("core", &[("CORE_NONE", 0), ("CORE_USED", 1), ("CORE_MASK", 0xffff_0000)]),
            ("part", &[("PART_UNSPEC", 0), ("__PART", 0x2_0000), ("PART_FULL", 0x2_0001)]),
            ("core", &[("CORE_OTHER", 9)]),
        ]);
        let names = enums.names(&list(&["core", "absent", "part"]));
        let expected =
            [(0, "NONE"), (1, "USED"), (0xffff_0000, "MASK"), (0x2_0000, "__PART"), (0x2_0001, "FULL")];
        assert_eq!(names, expected.map(|(value, name)| (value, name.to_owned())));
        assert_eq!(enums.names(&list(&["part", "core"]))[0], (0, "UNSPEC".to_owned()));
        assert!(enums.names(&list(&["absent"])).is_empty());
    }
}
