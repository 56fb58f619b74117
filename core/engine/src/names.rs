//! What to say to a name that no value of a field has. The names of many fields are the running kernel's, so they are
//! known neither to completion nor to the command line's own checks, and there may be a hundred: the answer names those
//! that may have been meant.

use tracer_dsl::{Diagnostic, diagnostic::suggest};

/// So many names are listed at most.
const LISTED: usize = 12;

/// The error for a `name` that is none of the `names` of `field`.
pub(crate) fn never(field: &str, name: &str, names: &[(i64, String)]) -> Diagnostic {
    let error = Diagnostic::error(format!("`{field}` is never `{name}` on this kernel"));
    let words = || names.iter().map(|(_, known)| known.as_str());
    if words().next().is_none() {
        return error.because("this kernel does not name its values").hint("a number can be given");
    }
    // A kernel's header, or its documentation, has the whole name.
    if let Some(whole) = words().filter(|known| is_end_of(known, name)).max_by_key(|known| known.len()) {
        return error.hint(format!("here that is `{whole}`"));
    }
    let near = suggest(name, words());
    let similar: Vec<&str> = if names.len() <= LISTED {
        words().collect()
    } else {
        let alike = words().filter(|known| Some(*known) != near && share_a_word(known, name));
        alike.take(LISTED).collect()
    };
    let error = match near {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    };
    match (similar.is_empty(), near) {
        (false, _) if names.len() <= LISTED => error.hint(format!("known: {}", similar.join(", "))),
        (false, _) => error.hint(format!("similar: {}", similar.join(", "))),
        (true, Some(_)) => error,
        (true, None) => error.hint(format!("{} names are known, and a number can be given", names.len())),
    }
}

/// Whether `name` is `known` with more words in front.
fn is_end_of(known: &str, name: &str) -> bool {
    let (known, name) = (known.to_lowercase(), name.to_lowercase());
    name.strip_suffix(&known).is_some_and(|front| front.ends_with('_'))
}

/// Whether two names have a word of some length in common.
fn share_a_word(known: &str, name: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let split = text.split(['_', '-']).filter(|word| word.len() > 2);
        split.map(str::to_lowercase).collect()
    };
    let known = words(known);
    words(name).iter().any(|word| known.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REASONS: [&str; 16] = [
        "NOT_SPECIFIED",
        "NO_SOCKET",
        "PKT_TOO_SMALL",
        "TCP_CSUM",
        "SOCKET_FILTER",
        "UDP_CSUM",
        "NETFILTER_DROP",
        "OTHERHOST",
        "IP_CSUM",
        "IP_INHDR",
        "SOCKET_RCVBUFF",
        "XFRM_POLICY",
        "QDISC_DROP",
        "OFO_DROP",
        "NOMEM",
        "SOCKET",
    ];

    fn hints(name: &str, known: &[&str]) -> Vec<String> {
        let names: Vec<(i64, String)> = (0..).zip(known.iter().map(ToString::to_string)).collect();
        let error = never("skb_drop.reason", name, &names);
        assert_eq!(error.message, format!("`skb_drop.reason` is never `{name}` on this kernel"));
        error.hints
    }

    #[test]
    fn near_misses_are_named() {
        assert_eq!(hints("NETFILTER_DORP", &REASONS), ["did you mean `NETFILTER_DROP`?"]);
    }

    #[test]
    fn what_shares_a_word_is_listed() {
        let found = hints("netfilter_drop", &REASONS);
        assert_eq!(found, ["did you mean `NETFILTER_DROP`?", "similar: QDISC_DROP, OFO_DROP"]);
        assert_eq!(
            hints("checksum-socket", &REASONS),
            ["similar: NO_SOCKET, SOCKET_FILTER, SOCKET_RCVBUFF, SOCKET"]
        );
    }

    #[test]
    fn the_name_in_the_kernels_headers_is_known() {
        let found = hints("SKB_DROP_REASON_NO_SOCKET", &REASONS);
        assert_eq!(found, ["here that is `NO_SOCKET`"]);
    }

    #[test]
    fn few_names_are_all_listed_and_none_are_no_error_of_the_word() {
        assert_eq!(hints("nothing", &["CORE", "OTHER"]), ["known: CORE, OTHER"]);
        assert_eq!(hints("FAR_FETCHED", &REASONS), ["16 names are known, and a number can be given"]);
        let unnamed = never("a.b", "X", &[]);
        assert_eq!(unnamed.reason.as_deref(), Some("this kernel does not name its values"));
    }
}
