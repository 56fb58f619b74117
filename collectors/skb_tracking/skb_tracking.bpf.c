/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * One id for a packet over its life.
 *
 * The reader looks the packet's data up (tracking.h). The hooks follow the data: they stand where the kernel frees it, moves it to
 * other memory, copies it, or takes its memory for another packet. collector.toml says where that is, and what is lost
 * where a kernel has no such place.
 *
 * No id may ever pass to another packet. So there are two nets: an entry ends with its data, and memory that becomes some
 * packet's data loses the entry that it may still have. The second is for hits that the kernel runs no program for: an
 * interrupt in the middle of a hook, in which the same hook is hit.
 */
#include "tracking.h"

struct skb_tracking_args {
	struct sk_buff *skb REQUIRED;
};

struct skb_tracking {
	__u64 id PACKET_ID;
	/* The buffer's own address, which tells clones apart. */
	__u64 skb HEX;
};

INLINE __u64 data_of(struct sk_buff *skb)
{
	return (__u64)LOAD(skb->head);
}

READER(skb_tracking, struct skb_tracking_args *args, struct skb_tracking *out)
{
	__u64 data;

	if (!args->skb)
		return ABSENT;
	data = data_of(args->skb);
	if (!data)
		return ABSENT;
	out->id = id_of(data);
	if (!out->id)
		return ABSENT;
	out->skb = (__u64)args->skb;
	return PRESENT(out);
}

/* For filters, which decide before anything begins: a packet of which nothing was seen yet has no id. */
ACCESSOR(skb_tracking, id, struct skb_tracking_args *args, __u64 *value)
{
	struct entry *entry;

	if (!args->skb)
		return ABSENT;
	entry = entry_of(data_of(args->skb));
	if (!entry)
		return ABSENT;
	*value = entry->id;
	return PRESENT_VALUE;
}

/* An event of the packet has passed the filter. */
FOLLOW(skb_tracking, struct skb_tracking_args *args)
{
	struct entry *entry;
	__u64 data;

	if (!args->skb)
		return 0;
	data = data_of(args->skb);
	if (!data || !id_of(data))
		return 0;
	entry = entry_of(data);
	if (entry)
		entry->flags = PASSED;
	return 0;
}

FOLLOWED(skb_tracking, struct skb_tracking_args *args)
{
	struct entry *entry;

	if (!args->skb)
		return 0;
	entry = entry_of(data_of(args->skb));
	return entry && (entry->flags & PASSED);
}

struct skb_only {
	struct sk_buff *skb REQUIRED;
};

/* The data is freed, or becomes part of another packet's, or the buffer is taken for the next packet. */
HOOK(ended, struct skb_only *args)
{
	forget(data_of(args->skb));
	return 0;
}

struct partly_freed {
	struct sk_buff *skb REQUIRED;
	__u8 head_stolen PARAMETER("head_stolen") REQUIRED;
};

/* A buffer is freed; its data too, or it lives on as a fragment of another packet's. */
HOOK(partly_freed, struct partly_freed *args)
{
	if (args->head_stolen)
		forget(data_of(args->skb));
	return 0;
}

struct memory_only {
	__u64 data PARAMETER("data") REQUIRED;
};

/* Memory becomes a packet's data. */
HOOK(begun, struct memory_only *args)
{
	forget(args->data);
	return 0;
}

struct returned_only {
	struct sk_buff *skb RETURNED REQUIRED;
};

/* The same, where only the new buffer says which memory that is. */
HOOK(allocated, struct returned_only *args)
{
	if (is_buffer(args->skb))
		forget(data_of(args->skb));
	return 0;
}

/*
 * The data is about to move: what is known of it is kept by the buffer's own address, which is nobody's data, while the kernel
 * frees the old memory. The kernel lets nobody else use the buffer meanwhile.
 */
HOOK(moving, struct skb_only *args)
{
	__u64 skb = (__u64)args->skb;
	struct entry *entry = entry_of(data_of(args->skb));

	if (entry)
		put(skb, entry, BPF_ANY);
	else
		forget(skb);
	return 0;
}

struct moved {
	struct sk_buff *skb REQUIRED;
	int failed RETURNED REQUIRED;
};

HOOK(moved, struct moved *args)
{
	__u64 skb = (__u64)args->skb;
	struct entry *entry = entry_of(skb);

	if (!entry)
		return 0;
	if (!args->failed)
		put(data_of(args->skb), entry, BPF_ANY);
	forget(skb);
	return 0;
}

struct copied {
	struct sk_buff *skb REQUIRED;
	struct sk_buff *copy RETURNED REQUIRED;
};

/* A copy, or a part, in memory of its own. */
HOOK(copied, struct copied *args)
{
	struct entry *entry = entry_of(data_of(args->skb));

	if (entry && is_buffer(args->copy))
		put(data_of(args->copy), entry, BPF_ANY);
	return 0;
}

/* A large packet became a list of small ones. One that it was once made of has kept its own data, and its own id. */
HOOK(segmented, struct copied *args)
{
	struct entry *entry = entry_of(data_of(args->skb));
	struct sk_buff *segment = args->copy;
	int i;

	if (!entry)
		return 0;
	for (i = 0; i < SEGMENTS_MAX; i++) {
		if (!is_buffer(segment))
			return 0;
		put(data_of(segment), entry, BPF_NOEXIST);
		segment = LOAD(segment->next);
	}
	return 0;
}
