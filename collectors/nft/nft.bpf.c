/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What nftables decided: table, chain, rule and verdict, read at __nft_trace_packet.
 *
 * That function has two forms. Until 6.3 it is called with (info, chain, type), and the packet,
 * the rule and the verdict hang on the trace info; later with (pkt, verdict, rule, info, type),
 * and the chain is not said. Arguments come by type, and what hangs on the trace info is derived
 * by the manifest, so only the chain is looked for here (chain.h). nft.md describes the fields.
 */
#include "types.h"
#include "chain.h"

struct nft_args {
	struct nft_traceinfo *info REQUIRED;
	struct nft_verdict *verdict;
	struct nft_rule_dp *rule;
	/* Until 5.16. */
	struct nft_rule *old_rule;
	struct nft_chain *chain;
	struct nf_hook_state *state;
	enum nft_trace_types type;
};

/* What the verdict alone takes: each argument more is a read for every accepted packet. */
struct verdict_args {
	struct nft_traceinfo *info REQUIRED;
	struct nft_verdict *verdict;
	enum nft_trace_types type;
};

struct nft {
	__u64 table_handle;
	__u64 chain_handle;
	/* Handle of the rule; 0 for a policy or a chain's end. */
	__u64 rule;
	enum verdict verdict;
	enum family family;
	enum hook hook;
	/* Inode number of the network namespace. */
	__u32 netns NETNS;
	/* The queue that a verdict `queue` names. */
	__u16 queue;
	/* Whether the verdict is the base chain's policy. */
	__u8 policy;
	/* Whether there is no verdict, but the end of a chain's rules. */
	__u8 chain_end;
	__u32 table TEXT;
	__u32 chain TEXT;
	/* The chain that a jump or goto leads to. */
	__u32 target TEXT;
	char names[3 * NAME_SIZE] STRINGS;
};

/* 1, verdict and code; or 0 when this call of the function has nothing to say. */
INLINE int decide(struct nft_traceinfo *info, struct nft_verdict *verdict, __u32 type, __u32 *is, __s32 *code)
{
	/*
	 * Tracing was switched on while this packet was inside a chain: the rest of the trace info
	 * was never initialised.
	 */
	if (!info || !LOAD(info->trace))
		return 0;
	if (type == NFT_TRACETYPE_POLICY) {
		struct nft_base_chain *base = LOAD(info->basechain);

		/* The verdict's code is a left-over of the last rule here. */
		*code = 0;
		*is = LOAD(base->policy) == 0 ? verdict_drop : verdict_accept;
		return 1;
	}
	if (!verdict)
		return 0;
	*code = LOAD(verdict->code);
	/* A queue's number reaches into the sign, so not every negative code is one of these. */
	if (*code < 0 && *code >= NFT_RETURN)
		*is = verdict_continue + (NFT_CONTINUE - *code);
	else
		*is = *code & NF_VERDICT_MASK;
	return 1;
}

ACCESSOR(nft, verdict, struct verdict_args *args, __u64 *value)
{
	__u32 verdict;
	__s32 code;

	if (!decide(args->info, args->verdict, args->type, &verdict, &code))
		return ABSENT;
	*value = verdict;
	return PRESENT_VALUE;
}

/* The hook's name: its number depends on the family. */
INLINE __u32 hook_of(__u32 family, __u32 number)
{
	if (family == family_netdev)
		return number == 0 ? hook_ingress : hook_egress;
	if (family == family_arp)
		return number == 0 ? hook_input : hook_output;
	return number < 6 ? hook_prerouting + number : hook_unknown;
}

READER(nft, struct nft_args *args, struct nft *out)
{
	struct nft_base_chain *base;
	struct nft_table *table;
	struct net *net = NULL;
	__u64 word = 0, chain, used = 0;
	__u32 verdict;
	__s32 code;

	if (!decide(args->info, args->verdict, args->type, &verdict, &code))
		return ABSENT;
	out->verdict = verdict;
	out->policy = args->type == NFT_TRACETYPE_POLICY;
	if (verdict == verdict_queue)
		out->queue = (__u32)code >> NF_VERDICT_QUEUE_SHIFT;
	if (args->state)
		net = LOAD(args->state->net);
	base = LOAD(args->info->basechain);
	table = LOAD(base->chain.table);
	out->table_handle = LOAD(table->handle);

	/* A rule is not said for a policy: the pointer is null, or a left-over. */
	if (args->rule && !out->policy)
		word = PEEK(__u64, args->rule);
	out->chain_end = code == NFT_CONTINUE && (args->type == NFT_TRACETYPE_RETURN || RULE_IS_LAST(word));
	if (!out->policy && !out->chain_end)
		out->rule = args->old_rule ? OLD_RULE_HANDLE(args->old_rule) : RULE_HANDLE(word);

	if (args->chain)
		chain = (__u64)args->chain;
	else if (word && HAS_FIELD(((struct nft_rule_dp_last *)0)->chain))
		chain = chain_of_rule(args->rule, word, net, out->table_handle);
	else
		chain = (__u64)&base->chain;
	if (chain) {
		struct nft_chain *c = (void *)chain;

		out->chain_handle = PEEK(__u64, (__u64)&c->handle);
		used = APPEND_TEXT(out, chain, names, used, NAME_SIZE, PEEK(__u64, (__u64)&c->name));
	}
	if (args->verdict && (verdict == verdict_jump || verdict == verdict_goto)) {
		struct nft_chain *target = LOAD(args->verdict->chain);

		used = APPEND_TEXT(out, target, names, used, NAME_SIZE, LOAD(target->name));
	}

	/* A jump never leaves the table, so the base chain's table is the chain's. */
	used = APPEND_TEXT(out, table, names, used, NAME_SIZE, LOAD(table->name));
	out->family = LOAD_BITS(table, family);
	if (args->state)
		out->hook = hook_of(out->family, LOAD(args->state->hook));
	if (net)
		out->netns = LOAD(net->ns.inum);
	return USED(out, names, used);
}
