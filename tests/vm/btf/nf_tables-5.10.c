/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The types of module nf_tables of Debian's Linux 5.10 for amd64, which has no BTF of its modules: as
 * far as the nft collector reads them, with gaps in place of the rest. Offsets are those of the
 * kernel package's headers. Compiled with `clang -target bpf -g` it gives what `--btf` takes; guests
 * find it as /payload/btf/nf_tables-5.10.o.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef _Bool bool;

struct sk_buff;
struct nf_hook_state;

struct list_head {
	struct list_head *next, *prev;
};

struct xt_action_param {
	const void *match;
	const void *matchinfo;
	const struct nf_hook_state *state;
	int fragoff;
	u32 thoff;
	bool hotdrop;
};

struct nft_pktinfo {
	struct sk_buff *skb;
	bool tprot_set;
	u8 tprot;
	struct xt_action_param xt;
};

struct nft_verdict {
	u32 code;
	struct nft_chain *chain;
};

struct nft_rule {
	struct list_head list;
	u64 handle : 42, genmask : 2, dlen : 12, udata : 1;
	unsigned char data[];
};

struct nft_table {
	char before_handle[224];
	u64 handle;
	u32 use;
	u16 family : 6, flags : 8, genmask : 2;
	char *name;
};

struct nft_chain {
	char before_table[64];
	struct nft_table *table;
	u64 handle;
	u32 use;
	u8 flags : 5, bound : 1, genmask : 2;
	char *name;
};

struct nft_base_chain {
	char before_policy[64];
	u8 policy;
	u8 flags;
	void *stats;
	struct nft_chain chain;
};

enum nft_trace_types {
	NFT_TRACETYPE_UNSPEC,
	NFT_TRACETYPE_POLICY,
	NFT_TRACETYPE_RETURN,
	NFT_TRACETYPE_RULE,
};

struct nft_traceinfo {
	const struct nft_pktinfo *pkt;
	const struct nft_base_chain *basechain;
	const struct nft_chain *chain;
	const struct nft_rule *rule;
	const struct nft_verdict *verdict;
	enum nft_trace_types type;
	bool packet_dumped;
	bool trace;
};

#define AT(type, member, offset) \
	_Static_assert(__builtin_offsetof(struct type, member) == offset, #type "." #member)
AT(nft_pktinfo, xt.state, 32);
AT(nft_rule, data, 24);
AT(nft_table, name, 240);
AT(nft_chain, name, 88);
AT(nft_base_chain, chain, 80);
AT(nft_traceinfo, trace, 45);

/* A compiler describes what pointers lead to only where something else needs it. */
struct nft_pktinfo pktinfo;
struct nft_verdict verdict;
struct nft_rule rule;
struct nft_table table;
struct nft_base_chain base_chain;
struct nft_traceinfo traceinfo;

void __nft_trace_packet(struct nft_traceinfo *info, const struct nft_chain *chain, enum nft_trace_types type)
{
}
