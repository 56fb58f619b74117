//! Looking through the rules: does any of them turn tracing on? The fallback for where the static key cannot
//! be read; it sees the caller's network namespace only, while the key counts them all.

use super::NftError;
use super::batch::{Message, attributes, find, number, text};
use super::socket::Nfnetlink;
use super::uapi::*;

/// Whether a rule in the calling thread's network namespace has a `meta nftrace set` expression, which turns
/// the trace call on for all namespaces.
///
/// # Errors
///
/// [`NftError`]: no nf_tables, CAP_NET_ADMIN missing, or the kernel's answer.
pub fn trace_rules() -> Result<bool, NftError> {
    let mut found = false;
    Nfnetlink::open()
        .and_then(|mut socket| socket.dump(NFT_MSG_GETRULE, |rule| found |= sets_nftrace(&rule)))
        .map_err(|errno| NftError::of("list the rules", errno))?;
    Ok(found)
}

fn sets_nftrace(rule: &Message<'_>) -> bool {
    let expressions = find(rule.attributes(), NFTA_RULE_EXPRESSIONS).unwrap_or(&[]);
    attributes(expressions).any(|(kind, expression)| kind == NFTA_LIST_ELEM && is_nftrace_set(expression))
}

/// An expression of type `meta` with the key NFTRACE and a *source* register; with a destination
/// it would read the mark (no kernel knows that so far).
fn is_nftrace_set(expression: &[u8]) -> bool {
    let named = |kind| find(attributes(expression), kind);
    let meta = named(NFTA_EXPR_DATA).unwrap_or(&[]);
    named(NFTA_EXPR_NAME).and_then(text) == Some("meta")
        && find(attributes(meta), NFTA_META_KEY).and_then(number) == Some(NFT_META_NFTRACE)
        && find(attributes(meta), NFTA_META_SREG).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::batch::{Batch, messages};
    use super::*;

    fn rule_with(key: u32, register: u16) -> bool {
        let mut batch = Batch::new(1);
        batch.nft(NFT_MSG_NEWRULE, 0, NFPROTO_INET, |rule| {
            rule.text(NFTA_RULE_TABLE, "t");
            rule.nest(NFTA_RULE_EXPRESSIONS, |list| {
                list.nest(NFTA_LIST_ELEM, |counter| counter.text(NFTA_EXPR_NAME, "counter"));
                list.nest(NFTA_LIST_ELEM, |meta| {
                    meta.text(NFTA_EXPR_NAME, "meta");
                    meta.nest(NFTA_EXPR_DATA, |data| {
                        data.number(NFTA_META_KEY, key);
                        data.number(register, NFT_REG_1);
                    });
                });
            });
        });
        messages(batch.bytes()).any(|rule| sets_nftrace(&rule))
    }

    #[test]
    fn setting_counts_and_reading_does_not() {
        assert!(rule_with(NFT_META_NFTRACE, NFTA_META_SREG));
        // NFTA_META_DREG is 1.
        assert!(!rule_with(NFT_META_NFTRACE, 1));
        // `meta mark set 1`: NFT_META_MARK is 3.
        assert!(!rule_with(3, NFTA_META_SREG));
    }
}
