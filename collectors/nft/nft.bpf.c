/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What nftables decided: table, chain, rule and verdict, read at __nft_trace_packet.
 *
 * That function has two forms. Until 6.3 it is called with (info, chain, type), and the packet,
 * the rule and the verdict hang on the trace info; later with (pkt, verdict, rule, info, type),
 * and the chain is not said. Arguments come by type, and what hangs on the trace info is derived
 * by the manifest, so only the chain is looked for here.
 */
#include "tracer/kernel.h"

struct nft_table {
	__u64 handle;
	char *name;
} KERNEL;

struct nft_chain {
	struct nft_table *table;
	__u64 handle;
	char *name;
} KERNEL;

struct nft_base_chain {
	__u8 policy;
	struct nft_chain chain;
} KERNEL;

struct nft_verdict {
	__s32 code;
	struct nft_chain *chain;
} KERNEL;

struct nft_traceinfo {
	__u8 trace;
	struct nft_base_chain *basechain;
} KERNEL;

/* The chain of the rule blob's end marker: since 6.4. */
struct nft_rule_dp_last {
	struct nft_chain *chain;
} KERNEL;

struct nft_rule_dp;

/* include/net/netfilter/nf_tables.h; the values are the same in all kernels. */
enum nft_trace_types {
	NFT_TRACETYPE_UNSPEC,
	NFT_TRACETYPE_POLICY,
	NFT_TRACETYPE_RETURN,
	NFT_TRACETYPE_RULE,
};

/* include/uapi/linux/netfilter.h and nf_tables.h, enum nft_verdicts. */
#define NF_VERDICT_MASK 0xff
#define NFT_CONTINUE -1

enum verdict {
	verdict_drop = 0,
	verdict_accept = 1,
	verdict_stolen = 2,
	verdict_queue = 3,
	verdict_repeat = 4,
	verdict_continue = 5,
	verdict_break = 6,
	verdict_jump = 7,
	verdict_goto = 8,
	verdict_return = 9,
};

/*
 * The first word of `struct nft_rule_dp` (since 5.17): is_last:1, dlen:12, handle:42. Clang cannot
 * relocate a bitfield of 42 bits, and the layout is the same in 6.1 to 7.3.
 */
#define RULE_IS_LAST(word) ((word)&1)
#define RULE_DLEN(word) (((word) >> 1) & 0xfff)
#define RULE_HANDLE(word) (((word) >> 13) & ((1ULL << 42) - 1))
#define RULE_HEADER 8

struct nft_args {
	struct nft_traceinfo *info REQUIRED;
	struct nft_verdict *verdict;
	struct nft_rule_dp *rule;
	struct nft_chain *chain;
	struct nf_hook_state *state;
	enum nft_trace_types type;
};

struct nft {
	__u64 table_handle;
	__u64 chain_handle;
	/* Handle of the rule; 0 for a chain's end or a policy. */
	__u64 rule;
	enum verdict verdict;
	/* Whether the verdict is the base chain's policy. */
	__u8 policy;
	char table[128];
	char chain[128];
};

/* 1 and the verdict, or 0 when this call of the function has nothing to say. */
INLINE int verdict_of(struct nft_args *args, __u32 *verdict)
{
	__s32 code;

	/*
	 * Tracing was switched on while this packet was inside a chain: the rest of the trace info
	 * was never initialised.
	 */
	if (!args->info || !LOAD(args->info->trace))
		return 0;
	if (args->type == NFT_TRACETYPE_POLICY) {
		struct nft_base_chain *base = LOAD(args->info->basechain);

		/* The verdict's code is a left-over of the last rule here. */
		*verdict = LOAD(base->policy) == 0 ? verdict_drop : verdict_accept;
		return 1;
	}
	if (!args->verdict)
		return 0;
	code = LOAD(args->verdict->code);
	if (code < 0)
		/* -1 continue, -2 break, -3 jump, -4 goto, -5 return */
		*verdict = verdict_continue + (NFT_CONTINUE - code);
	else
		*verdict = code & NF_VERDICT_MASK;
	return 1;
}

ACCESSOR(nft, verdict, struct nft_args *args, __u64 *value)
{
	__u32 verdict;

	if (!verdict_of(args, &verdict))
		return ABSENT;
	*value = verdict;
	return PRESENT_VALUE;
}

/*
 * Which chain a rule is in, remembered: finding it means walking to the end of the chain's rules,
 * tens of ns each. Handles are unique in a table and never given out again, and a rule cannot move
 * to another chain, so an entry stays right for as long as it can be asked for.
 */
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

/* The chain of a rule where it is no argument, as an address. */
INLINE __u64 chain_of_rule(struct nft_args *args, struct nft_base_chain *base, __u64 word)
{
	struct rule_key key = {};
	struct walk walk = {};
	__u64 chain = 0, *known;
	struct nft_table *table;

	if (RULE_IS_LAST(word))
		return chain_at_end((__u64)args->rule);
	table = LOAD(base->chain.table);
	key.table = LOAD(table->handle);
	key.rule = RULE_HANDLE(word);
	if (args->state) {
		struct net *net = LOAD(args->state->net);

		key.netns = LOAD(net->net_cookie);
	}
	known = bpf_map_lookup_elem(&nft_chains, &key);
	if (known)
		return *known;
	walk.rule = ADDRESS(args->rule);
	bpf_loop(WALK_MAX, walk_step, &walk, 0);
	if (walk.end)
		chain = chain_at_end(walk.end);
	if (chain)
		bpf_map_update_elem(&nft_chains, &key, &chain, BPF_ANY);
	return chain;
}

READER(nft, struct nft_args *args, struct nft *out)
{
	struct nft_base_chain *base;
	struct nft_table *table;
	__u32 verdict;
	__u64 word = 0, chain = 0;

	if (!verdict_of(args, &verdict))
		return ABSENT;
	out->verdict = verdict;
	out->policy = args->type == NFT_TRACETYPE_POLICY;
	base = LOAD(args->info->basechain);
	/* A rule is not said for a policy; before 6.4 neither for the implicit end of a chain. */
	if (args->rule && args->type != NFT_TRACETYPE_POLICY)
		word = PEEK(__u64, args->rule);
	if (!RULE_IS_LAST(word))
		out->rule = RULE_HANDLE(word);

	if (args->chain)
		chain = (__u64)args->chain;
	else if (word && HAS_FIELD(((struct nft_rule_dp_last *)0)->chain))
		chain = chain_of_rule(args, base, word);
	else
		chain = (__u64)&base->chain;
	if (chain) {
		struct nft_chain *c = (void *)chain;

		out->chain_handle = PEEK(__u64, (__u64)&c->handle);
		COPY_STRING(out->chain, PEEK(__u64, (__u64)&c->name));
	}
	/* A jump never leaves the table, so the base chain's table is the chain's. */
	table = LOAD(base->chain.table);
	out->table_handle = LOAD(table->handle);
	COPY_STRING(out->table, LOAD(table->name));
	return PRESENT(out);
}
