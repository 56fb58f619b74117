/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The length and the mark of packets. */
#include "tracer/kernel.h"

/* What is wanted, by type: any probe whose function has such an argument, wherever it stands. */
struct NAME_args {
	struct sk_buff *skb REQUIRED;
	__u32 longer_than OPTION("longer_than");
};

/* What is reported: these members are the fields. */
struct NAME {
	__u32 len;
	__u32 mark HEX;
};

/* Fills one section of an event. `out` is zeroed before. */
READER(NAME, struct NAME_args *args, struct NAME *out)
{
	out->len = LOAD(args->skb->len);
	if (out->len <= args->longer_than)
		return ABSENT;
	out->mark = LOAD(args->skb->mark);
	return PRESENT(out);
}

/* Gives one field early, so that a filter on it decides before anything else is done. */
ACCESSOR(NAME, len, struct NAME_args *args, __u64 *value)
{
	*value = LOAD(args->skb->len);
	return PRESENT_VALUE;
}
