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
    &[
        Builtin { name: "dropmon", text: include_str!("../dropmon.toml") },
        Builtin { name: "generic", text: include_str!("../generic.toml") },
        Builtin { name: "ifdump", text: include_str!("../ifdump.toml") },
        Builtin { name: "nft-dropmon", text: include_str!("../nft-dropmon.toml") },
    ]
}

#[cfg(test)]
mod tests {
    use tracer_dsl::option::ValueType;
    use tracer_dsl::{OptionDef, OptionTable, Profile, Settings, SubCommand};

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

    fn collectors(settings: &Settings) -> Vec<&str> {
        settings.words("collectors").iter().map(|word| word.value.as_str()).collect()
    }

    fn probes(settings: &Settings) -> Vec<String> {
        settings.probe_specs("probe").iter().map(ToString::to_string).collect()
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
        assert_eq!(collectors(&collect), ["nft", "skb", "dev", "ns"]);
        assert_eq!(probes(&collect), ["kprobe:__nft_trace_packet/stack"]);
        let conditions = collect.conditions(&table());
        assert_eq!(conditions[0].to_string(), "nft.verdict in {drop}");

        let pcap = profile.settings(SubCommand::Pcap);
        assert_eq!(pcap.probes("probe")[0].value.to_string(), "kprobe:__nft_trace_packet");
    }
    #[test]
    fn dropmon_sees_every_drop_with_its_stack_and_reason() {
        let profile = parse("dropmon");
        let collect = profile.settings(SubCommand::Collect);
        assert_eq!(collectors(&collect), ["skb_drop", "skb", "dev", "ns"]);
        assert_eq!(probes(&collect), ["raw_tracepoint:skb:kfree_skb/stack"]);
        assert_eq!(probes(&profile.settings(SubCommand::Pcap)), ["raw_tracepoint:skb:kfree_skb"]);
    }

    #[test]
    fn ifdump_sees_both_directions_and_writes_what_it_sees() {
        let profile = parse("ifdump");
        let collect = profile.settings(SubCommand::Collect);
        assert_eq!(collectors(&collect), ["skb", "dev", "ns"]);
        let both = ["raw_tracepoint:net:netif_receive_skb", "raw_tracepoint:net:net_dev_start_xmit"];
        assert_eq!(probes(&collect), both);
        assert_eq!(probes(&profile.settings(SubCommand::Pcap)), both);
    }

    #[test]
    fn generic_needs_nothing_of_the_kernel() {
        let profile = parse("generic");
        for command in [SubCommand::Collect, SubCommand::Pcap] {
            let settings = profile.settings(command);
            let specs = settings.probe_specs("probe");
            assert!(specs.iter().all(|spec| spec.optional), "{specs:?}");
            assert!(specs.iter().all(|spec| spec.filter.is_empty() && spec.when.is_none()));
        }
        let collect = profile.settings(SubCommand::Collect);
        assert_eq!(collectors(&collect), ["skb", "skb_drop", "dev", "ns"]);
        let probes = probes(&collect);
        assert!(probes.len() >= 25, "{probes:?}");
        for part in
            ["netif_receive_skb", "ip_rcv", "ipv6_rcv", "tcp_v4_rcv", "net_dev_queue", "kfree_skb/stack"]
        {
            assert!(probes.iter().any(|probe| probe.contains(part)), "{part}");
        }
        // A packet of a trace is written where it comes in and where it goes out, and all of that is collected.
        let pcap = profile.settings(SubCommand::Pcap);
        for probe in pcap.probes("probe") {
            assert!(collect.probes("probe").iter().any(|other| other.value.same_place(&probe.value)));
        }
    }

    /// Each of these is a choice that somebody will question.
    #[test]
    fn every_setting_has_a_comment() {
        for builtin in builtin() {
            let lines: Vec<_> = builtin.text.lines().collect();
            for (i, line) in lines.iter().enumerate() {
                let setting = line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains('=');
                let top = ["version", "name", "about"].iter().any(|key| line.starts_with(key));
                let reason = i > 0 && lines[i - 1].starts_with('#');
                assert!(!setting || top || reason, "{}: `{line}`", builtin.name);
            }
        }
    }
}
