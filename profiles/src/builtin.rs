//! The profiles that are part of the program, so that it is useful as a single file.

/// A profile that is part of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Builtin {
    /// The name to ask for it; its text says the same.
    pub name: &'static str,
    /// The TOML text.
    pub text: &'static str,
}

/// All built-in profiles, by name.
pub fn builtin() -> &'static [Builtin] {
    &[Builtin { name: "nft-dropmon", text: include_str!("../nft-dropmon.toml") }]
}

#[cfg(test)]
mod tests {
    use tracer_dsl::option::ValueType;
    use tracer_dsl::{OptionDef, OptionTable, Profile, SubCommand};

    use super::*;

    /// The options of built-in collectors that built-in profiles use, as their manifests define them.
    fn table() -> OptionTable {
        let verdicts = OptionDef::new("nft-verdicts", "", ValueType::list_of(["accept", "drop"]))
            .selects("nft.verdict".parse().unwrap())
            .on([SubCommand::Collect]);
        OptionTable::new([verdicts]).unwrap()
    }

    fn parse(name: &str) -> Profile {
        let builtin = builtin().iter().find(|profile| profile.name == name).unwrap();
        let parsed = Profile::parse(&format!("{name}.toml"), builtin.text, &table());
        parsed.unwrap_or_else(|found| panic!("{found}"))
    }

    #[test]
    fn each_parses_and_is_called_what_it_calls_itself() {
        for builtin in builtin() {
            let profile = parse(builtin.name);
            assert_eq!(profile.name, builtin.name);
            assert!(profile.about.is_some());
        }
        assert!(builtin().is_sorted_by_key(|profile| profile.name));
    }

    #[test]
    fn nft_dropmon_collects_what_its_page_says() {
        let profile = parse("nft-dropmon");
        let collect = profile.settings(SubCommand::Collect);
        let words: Vec<_> = collect.words("collectors").iter().map(|w| w.value.as_str()).collect();
        assert_eq!(words, ["nft", "skb", "dev", "ns"]);
        let probes: Vec<_> = collect.probes("probe").iter().map(|p| p.value.to_string()).collect();
        assert_eq!(probes, ["kprobe:__nft_trace_packet/stack"]);
        let conditions = collect.conditions(&table());
        assert_eq!(conditions[0].to_string(), "nft.verdict in {drop}");

        let pcap = profile.settings(SubCommand::Pcap);
        assert_eq!(pcap.probes("probe")[0].value.to_string(), "kprobe:__nft_trace_packet");
    }
}
