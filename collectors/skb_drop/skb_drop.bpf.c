/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Why the kernel dropped a packet: the drop reason that the traced function, or tracepoint, is given.
 *
 * No number and no name of a reason stands here. They change with almost every release, and
 * sub-systems have reasons of their own, some of them in modules: the names are the running kernel's.
 */
#include "tracer/fragment.h"

/* The kernel's, by name: C wants one value at least. */
enum skb_drop_reason {
	SKB_DROP_REASON_OF_THE_KERNEL,
};

/* SKB_DROP_REASON_SUBSYS_SHIFT of include/net/dropreason.h; before 6.4 there are no sub-systems, and it is 0. */
#define SUBSYS_SHIFT 16

struct skb_drop_args {
	enum skb_drop_reason reason REQUIRED;
};

struct skb_drop {
	/* The whole number, the sub-system's in its upper half: so are the values of the sub-systems' own enums. */
	__u32 reason KERNEL_ENUM("skb_drop_reason,mac80211_drop_reason,___mac80211_drop_reason,ovs_drop_reason,"
				 "qdisc_drop_reason");
	__u16 subsys KERNEL_ENUM("skb_drop_reason_subsys");
};

READER(skb_drop, struct skb_drop_args *args, struct skb_drop *out)
{
	out->reason = args->reason;
	out->subsys = (__u32)args->reason >> SUBSYS_SHIFT;
	return PRESENT(out);
}

ACCESSOR(skb_drop, reason, struct skb_drop_args *args, __u64 *value)
{
	*value = (__u32)args->reason;
	return PRESENT_VALUE;
}

ACCESSOR(skb_drop, subsys, struct skb_drop_args *args, __u64 *value)
{
	*value = (__u32)args->reason >> SUBSYS_SHIFT;
	return PRESENT_VALUE;
}
