/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "tracking.h"

struct skb_tracking_args {
	struct sk_buff *skb REQUIRED;
};

struct skb_tracking {
	__u64 id PACKET_ID;
	/* The buffer's own address, which tells clones apart. */
	__u64 skb HEX;
};

READER(skb_tracking, struct skb_tracking_args *args, struct skb_tracking *out)
{
	__u64 head;

	if (!args->skb)
		return ABSENT;
	head = (__u64)LOAD(args->skb->head);
	if (!head)
		return ABSENT;
	out->id = id_of(head);
	if (!out->id)
		return ABSENT;
	out->skb = (__u64)args->skb;
	return PRESENT(out);
}

struct ended_args {
	struct sk_buff *skb REQUIRED;
};

HOOK(ended, struct ended_args *args)
{
	forget((__u64)LOAD(args->skb->head));
	return 0;
}
