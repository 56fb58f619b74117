/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The packet's mark. */
#include "tracer/kernel.h"

struct mark_args {
	struct sk_buff *skb REQUIRED;
};

struct mark {
	__u32 mark HEX;
};

READER(mark, struct mark_args *args, struct mark *out)
{
	out->mark = LOAD(args->skb->mark);
	return PRESENT(out);
}
