/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "tracer/kernel.h"

struct greedy_args {
	struct sk_buff *skb REQUIRED;
};

struct greedy {
	__u64 len;
};

READER(greedy, struct greedy_args *args, struct greedy *out)
{
	out->len = LOAD(args->skb->len);
	((volatile __u64 *)out)[1] = ~0ULL;
	return PRESENT(out);
}
