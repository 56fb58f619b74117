/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The packets that are followed, by the address of their data.
 *
 * All clones of a packet share its data, and the data lives as long as the last of them. So an entry begins when an event
 * first asks for it, and ends when the kernel frees the data.
 *
 * The map is an ordinary hash with its entries allocated beforehand. One that made room by dropping the oldest entries would
 * drop packets that are still under way, and give them a second id in silence; allocation on demand is not safe wherever
 * a probe may stand. When it is full, packets go without an id, and are counted.
 */
#ifndef SKB_TRACKING_H
#define SKB_TRACKING_H

#include "tracer/kernel.h"

struct entry {
	/* Never 0. */
	__u64 id;
	/* See below. */
	__u64 flags;
};

/* A filter has let an event of this packet pass: what follows is of a packet that was asked for. */
#define PASSED 1

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, struct entry);
} skb_tracking_packets SEC(".maps");

/* What was lost because the map was full. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} skb_tracking_lost SEC(".maps");

/* The last id that was given on this CPU, without the CPU's number. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} skb_tracking_last SEC(".maps");

INLINE void count_loss(void)
{
	__u32 zero = 0;
	__u64 *lost = bpf_map_lookup_elem(&skb_tracking_lost, &zero);

	/* Interrupts count too. */
	if (lost)
		__sync_fetch_and_add(lost, 1);
}

/*
 * An id that was not given before: the time in microseconds or so, and the CPU in the lower bits. Where a clock stands still for
 * longer, or more packets come than microseconds pass, it counts on; the atomic operations are for interrupts in between.
 */
INLINE __u64 new_id(void)
{
	__u32 zero = 0, cpu = bpf_get_smp_processor_id();
	__u64 now = bpf_ktime_get_ns() >> 10, next;
	__u64 *last = bpf_map_lookup_elem(&skb_tracking_last, &zero);

	if (!last)
		return 0;
	next = __sync_fetch_and_add(last, 1) + 1;
	if (now > next && __sync_val_compare_and_swap(last, next, now) == next)
		next = now;
	return next << 12 | (cpu & 0xfff);
}

INLINE struct entry *entry_of(__u64 data)
{
	return bpf_map_lookup_elem(&skb_tracking_packets, &data);
}

/* The packet's id; a new one if this is the first that is seen of it; 0 if there is no room. */
INLINE __u64 id_of(__u64 data)
{
	struct entry *known = entry_of(data);
	struct entry new = {};

	if (known)
		return known->id;
	new.id = new_id();
	if (!new.id)
		return 0;
	if (!bpf_map_update_elem(&skb_tracking_packets, &data, &new, BPF_NOEXIST))
		return new.id;
	/* Another CPU may have been faster with a clone. */
	known = entry_of(data);
	if (known)
		return known->id;
	count_loss();
	return 0;
}

/* Gives data the entry of the packet that it belongs to, of which `entry` may be another's place in the map. */
INLINE void put(__u64 data, struct entry *entry, __u64 flags)
{
	struct entry same = *entry;

	/* -EEXIST, where it may not replace what is there, is no loss. */
	if (data && bpf_map_update_elem(&skb_tracking_packets, &data, &same, flags) && !entry_of(data))
		count_loss();
}

/* Segments of a packet that are looked at: with 512 KiB at most, and a segment's usual size, there are fewer. */
#define SEGMENTS_MAX 256

/* What a function returned: a buffer, and not NULL or an error in its place (include/linux/err.h). */
INLINE int is_buffer(struct sk_buff *skb)
{
	return skb && (__u64)skb < (__u64)-4095;
}

/* Looking first takes no lock, and most of the machine's packets have no entry. */
INLINE void forget(__u64 data)
{
	if (entry_of(data))
		bpf_map_delete_elem(&skb_tracking_packets, &data);
}

#endif
