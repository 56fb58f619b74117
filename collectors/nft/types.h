/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * nf_tables' types, as far as they are read, and the numbers behind its names. The numbers are
 * those of all kernels from 5.10 to 7.3; layouts are resolved against the running one.
 */
#ifndef TRACER_NFT_TYPES_H
#define TRACER_NFT_TYPES_H

#include "tracer/kernel.h"

/* NFT_NAME_MAXLEN of include/uapi/linux/netfilter/nf_tables.h: every name fits. */
#define NAME_SIZE 256

struct nft_table {
	__u64 handle;
	__u16 family : 6, flags : 8, genmask : 2;
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

struct nft_rule;
struct nft_rule_dp;

/* The chain of the rule blob's end marker: since 6.4. */
struct nft_rule_dp_last {
	struct nft_chain *chain;
} KERNEL;

/* include/net/netfilter/nf_tables.h */
enum nft_trace_types {
	NFT_TRACETYPE_UNSPEC,
	NFT_TRACETYPE_POLICY,
	NFT_TRACETYPE_RETURN,
	NFT_TRACETYPE_RULE,
};

/* include/uapi/linux/netfilter.h, and nf_tables.h, enum nft_verdicts. */
#define NF_VERDICT_MASK 0xff
#define NF_VERDICT_QUEUE_SHIFT 16
#define NFT_CONTINUE -1
#define NFT_RETURN -5

/* The kernel's numbers from 0 on; then the negative ones, -1 continue to -5 return. */
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

/* NFPROTO_* of include/uapi/linux/netfilter.h. */
enum family {
	family_inet = 1,
	family_ip = 2,
	family_arp = 3,
	family_netdev = 5,
	family_bridge = 7,
	family_ip6 = 10,
};

/* From `prerouting` on, one more than the numbers of enum nf_inet_hooks. */
enum hook {
	hook_unknown = 0,
	hook_prerouting = 1,
	hook_input = 2,
	hook_forward = 3,
	hook_output = 4,
	hook_postrouting = 5,
	hook_ingress = 6,
	hook_egress = 7,
};

/*
 * The first word of `struct nft_rule_dp` (since 5.17): is_last:1, dlen:12, handle:42. Clang cannot
 * relocate a bitfield of 42 bits, and the layout is the same in 6.1 to 7.3.
 */
#define RULE_IS_LAST(word) ((word) & 1)
#define RULE_DLEN(word) (((word) >> 1) & 0xfff)
#define RULE_HANDLE(word) (((word) >> 13) & HANDLE_MASK)
#define RULE_HEADER 8
#define HANDLE_MASK ((1ULL << 42) - 1)

/* Before, a rule is a `struct nft_rule`: a list head, and handle:42 in the word behind it. */
#define OLD_RULE_HANDLE(rule) (PEEK(__u64, (__u64)(rule) + 16) & HANDLE_MASK)

#endif
