//! The built-in collectors.
//!
//! Each is a folder of the same form as a third party's: `collector.toml` and a fragment. This
//! crate embeds them and submits them to `inventory`, where the engine finds them. It may use
//! `tracer-compose`, for the type of what it submits.

#![forbid(unsafe_code)]

use tracer_compose::collector;

collector!("nft");
collector!("skb");
collector!("skb_drop");
collector!("skb_tracking");
collector!("dev");
collector!("ns");

#[cfg(test)]
mod tests {
    use tracer_compose::{ArgType, Embedded, Fragment};

    #[test]
    fn all_are_registered_and_sound() {
        let parsed: Vec<Fragment> = inventory::iter::<Embedded>()
            .map(|e| Fragment::parse(e.manifest, e.probe.unwrap(), e.direct).unwrap())
            .collect();
        let mut names: Vec<&str> = parsed.iter().map(|f| f.manifest.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["dev", "nft", "ns", "skb", "skb_drop", "skb_tracking"]);
    }

    #[test]
    fn nft_guards_its_probe() {
        let nft = inventory::iter::<Embedded>().find(|e| e.manifest.contains("\"nft\"")).unwrap();
        let parse = |manifest: &str| Fragment::parse(manifest, nft.probe.unwrap(), nft.direct);
        let fragment = parse(nft.manifest).unwrap();
        let (accessor, withheld, when) = fragment.guard().unwrap();
        assert_eq!((accessor.field.as_str(), when), ("verdict", vec![2]));
        assert_eq!(withheld.unwrap().to_string(), "struct sk_buff *");

        let refused = |from: &str, to: &str| {
            assert!(nft.manifest.contains(from));
            parse(&nft.manifest.replace(from, to)).unwrap_err().to_string()
        };
        let never = refused("when = [\"stolen\"]", "when = [\"stollen\"]");
        assert!(never.contains("value among `when` of `nft.verdict`"), "{never}");
        let late = refused("field = \"verdict\"", "field = \"family\"");
        assert!(late.contains("accessor `nft.family`"), "{late}");
        let circular = refused("withhold = \"sk_buff\"", "withhold = \"nft_verdict\"");
        assert!(circular.contains("an argument that it decides about"), "{circular}");
    }

    #[test]
    fn nft_says_its_fields_by_name() {
        let nft = inventory::iter::<Embedded>().find(|e| e.manifest.contains("\"nft\"")).unwrap();
        let nft = Fragment::parse(nft.manifest, nft.probe.unwrap(), nft.direct).unwrap();
        let schema = nft.schema("nft").unwrap();
        let verdict = schema.field("verdict").unwrap();
        let tracer_event::Kind::Enum { names, .. } = &verdict.kind else { panic!("{verdict:?}") };
        assert!(names.contains(&(0, "drop".into())) && names.contains(&(7, "jump".into())), "{names:?}");
        assert!(nft.accessor("nft", "verdict").is_some());
        let info = &nft.readers[0].wants.members[0];
        assert_eq!(
            (info.argument().unwrap().to_string().as_str(), info.required),
            ("struct nft_traceinfo *", true)
        );
    }

    #[test]
    fn drop_reasons_are_the_kernels() {
        let skb_drop = inventory::iter::<Embedded>().find(|e| e.manifest.contains("\"skb_drop\"")).unwrap();
        let skb_drop = Fragment::parse(skb_drop.manifest, skb_drop.probe.unwrap(), skb_drop.direct).unwrap();
        let reader = &skb_drop.readers[0];
        let reason = ArgType::Enum("skb_drop_reason".to_owned());
        assert_eq!(skb_drop.needs_argument(), [&reason]);
        assert!(reader.wants.members[0].required && skb_drop.manifest.without.is_some());
        for field in ["reason", "subsys"] {
            let kind = &reader.schema.field(field).unwrap().kind;
            assert!(matches!(kind, tracer_event::Kind::Enum { names, .. } if names.is_empty()), "{kind:?}");
            assert!(reader.kernel_enums.iter().any(|named| named.field == field));
            assert!(skb_drop.accessor("skb_drop", field).is_some());
        }
    }
}
