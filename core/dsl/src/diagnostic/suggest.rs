//! "Did you mean": the nearest known word, if one is near enough to be what was meant. A far-fetched
//! suggestion is worse than none, so the bound is strict.

/// How alike two words must be, from 0 to 1: `nftt` and `nft` are (0.75), `dev` and `ns` are not (0).
const NEAR: f64 = 0.6;

/// The candidate most like `word`, if one is near enough. Case and `-` or `_` make no difference.
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = folded(word);
    candidates
        .into_iter()
        .map(|candidate| {
            let likeness = strsim::normalized_damerau_levenshtein(&word, &folded(candidate));
            (likeness, candidate)
        })
        .filter(|(likeness, _)| *likeness >= NEAR)
        // The first of several equally near ones, so the answer follows the caller's order.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, candidate)| candidate)
}

fn folded(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::super::Diagnostic;
    use super::*;

    const COLLECTORS: [&str; 5] = ["nft", "skb", "dev", "ns", "skb-drop"];

    #[test]
    fn near_words_are_found() {
        assert_eq!(suggest("nftt", COLLECTORS), Some("nft"));
        assert_eq!(suggest("skb_drop", COLLECTORS), Some("skb-drop"));
        assert_eq!(suggest("SKB", COLLECTORS), Some("skb"));
        assert_eq!(suggest("kporbe", ["kretprobe", "kprobe"]), Some("kprobe"));
    }

    #[test]
    fn far_words_are_not() {
        assert_eq!(suggest("ovs", COLLECTORS), None);
        assert_eq!(suggest("", COLLECTORS), None);
        assert_eq!(suggest("nft", []), None);
    }

    #[test]
    fn an_unknown_word_names_the_nearest_and_lists_all() {
        let found = Diagnostic::unknown("collector", "nftt", COLLECTORS);
        assert_eq!(found.message, "unknown collector `nftt`");
        assert_eq!(found.hints, ["did you mean `nft`?", "known: nft, skb, dev, ns, skb-drop"]);
    }

    #[test]
    fn an_unknown_word_with_nothing_near_only_lists() {
        let found = Diagnostic::unknown("collector", "ovs", ["nft"]);
        assert_eq!(found.hints, ["known: nft"]);
    }
}
