/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Which chain a rule is in, where the kernel does not say (since 6.4): the marker behind the last
 * rule of a chain names it.
 *
 * Finding it means walking there, tens of ns a rule, so the answer is remembered. Handles are
 * unique in a table and never given out again, nor are cookies of namespaces, and a rule cannot
 * move to another chain: so an entry stays right for as long as it can be asked for.
 */
#ifndef TRACER_NFT_CHAIN_H
#define TRACER_NFT_CHAIN_H

#include "types.h"

struct rule_key {
	__u64 netns;
	__u64 table;
	__u64 rule;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct rule_key);
	__type(value, __u64);
} nft_chains SEC(".maps");

/* Rules of one chain that are walked at most: the kernel's own limit of a blob is far above. */
#define WALK_MAX 65536

struct walk {
	__u64 rule;
	__u64 end;
};

static long walk_step(__u32 index, struct walk *walk)
{
	__u64 word = PEEK(__u64, walk->rule);

	if (RULE_IS_LAST(word)) {
		walk->end = walk->rule;
		return 1;
	}
	walk->rule += RULE_HEADER + RULE_DLEN(word);
	return 0;
}

INLINE __u64 chain_at_end(__u64 end)
{
	struct nft_rule_dp_last *last = (void *)end;

	return PEEK(__u64, (__u64)&last->chain);
}

/* The address of the chain of a rule whose first word this is; 0 when it is not found. */
INLINE __u64 chain_of_rule(struct nft_rule_dp *rule, __u64 word, struct net *net, __u64 table)
{
	struct rule_key key = { .table = table, .rule = RULE_HANDLE(word) };
	struct walk walk = {};
	__u64 chain = 0, *known;

	if (RULE_IS_LAST(word))
		return chain_at_end((__u64)rule);
	if (net)
		key.netns = LOAD(net->net_cookie);
	known = bpf_map_lookup_elem(&nft_chains, &key);
	if (known)
		return *known;
	walk.rule = ADDRESS(rule);
	bpf_loop(WALK_MAX, walk_step, &walk, 0);
	if (walk.end)
		chain = chain_at_end(walk.end);
	if (chain)
		bpf_map_update_elem(&nft_chains, &key, &chain, BPF_ANY);
	return chain;
}

#endif
