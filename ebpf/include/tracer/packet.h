/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Where a packet begins, and where its bytes are: the one place that decides, for whoever reads packets.
 *
 * A socket buffer's header offsets are left-overs as often as facts, so each is believed only where
 * it fits the rest (`locate`). Behind the linear part, a packet goes on in page fragments and in a
 * list of further buffers; both can be read as long as the kernel's own map of all memory is known
 * (`struct memory`), else the packet ends with its linear part.
 */
#ifndef TRACER_PACKET_H
#define TRACER_PACKET_H

#include "kernel.h"

/* Link types as in pcap files: LINKTYPE_ETHERNET and LINKTYPE_RAW. */
#define LINK_ETHERNET 1
#define LINK_RAW 101
/* include/uapi/linux/if_arp.h */
#define ARPHRD_ETHER 1
#define ARPHRD_LOOPBACK 772
#define ETH_HLEN 14
/* A header offset that was never set: include/linux/skbuff.h, skb_mac_header_was_set(). */
#define UNSET 0xffff
/* The most fragments of a buffer: MAX_SKB_FRAGS, unless the kernel was configured otherwise. */
#define FRAGS_MAX 17
/* Buffers of a fragment list that are looked at. */
#define LIST_MAX 8

/*
 * The members of a buffer that are read, as the kernel has them. In builds with probe reads these are
 * copied at once (10 reads of 40 ns each otherwise): all lie between `len` and `data`, 104 bytes from
 * 6.12 to 7.3. A member that a kernel has elsewhere is read on its own.
 */
struct skb_fields {
	struct sk_buff *skb;
#ifndef TRACER_DIRECT
	__u8 bytes[112] __attribute__((aligned(8)));
#endif
};

#ifdef TRACER_DIRECT
#define FIELD(fields, member) LOAD((fields)->skb->member)
/* The byte that a bitfield of one byte is in. */
#define BITS(fields, member) (*((__u8 *)(fields)->skb + OFFSET((fields)->skb->member)))
#else
#define BITS(fields, member)                                                                 \
	(FIELD_AT(member) < sizeof((fields)->bytes)                                          \
		 ? (fields)->bytes[FIELD_AT(member)]                                         \
		 : PEEK(__u8, (__u8 *)(fields)->skb + OFFSET((fields)->skb->member)))
#define FIELD_AT(member) (OFFSET(((struct sk_buff *)0)->member) - OFFSET(((struct sk_buff *)0)->len))
#define FIELD(fields, member)                                                                \
	({                                                                                   \
		__typeof__((fields)->skb->member) field_;                                    \
		if (FIELD_AT(member) <= sizeof((fields)->bytes) - sizeof(field_))            \
			field_ = *(__typeof__(field_) *)((fields)->bytes + FIELD_AT(member)); \
		else                                                                         \
			field_ = LOAD((fields)->skb->member);                                \
		field_;                                                                      \
	})
#endif

INLINE void skb_fields(struct skb_fields *fields, struct sk_buff *skb)
{
	fields->skb = skb;
#ifndef TRACER_DIRECT
	bpf_probe_read_kernel(fields->bytes, sizeof(fields->bytes), &skb->len);
#endif
}

/* Where a packet begins. */
struct located {
	/* An address. */
	__u64 start;
	/* Bytes that lie there in one piece. */
	__u64 linear;
	/* Bytes of the packet from `start` on, those outside of the linear part included. */
	__u32 length;
	__u16 link;
};

INLINE int is_ethernet(struct sk_buff *skb)
{
	struct net_device *dev = LOAD(skb->dev);
	__u16 type;

	/* Before a device is assigned there is no MAC header to be had. */
	if (!dev)
		return 0;
	type = LOAD(dev->type);
	return type == ARPHRD_ETHER || type == ARPHRD_LOOPBACK;
}

/*
 * The MAC header, if it is set, is not ahead of the data pointer or cut through by it or by the
 * network header, and belongs to an Ethernet-like device; else the network header, if it is set and
 * inside the linear part; else the data pointer, where `skb->protocol` says what is there.
 */
INLINE void locate(struct skb_fields *fields, struct located *out)
{
	__u64 head = (__u64)FIELD(fields, head), data = (__u64)FIELD(fields, data);
	__u32 len = FIELD(fields, len), data_len = FIELD(fields, data_len);
	__u16 mac = FIELD(fields, mac_header), network = FIELD(fields, network_header);
	__u64 at = data - head, linear = len - data_len, before;
	int whole;

	/*
	 * Newer verifiers know these addresses as pointers, of which they allow no 32-bit arithmetic: so they are
	 * subtracted here, and the rest is done with the differences.
	 */
	BARRIER(at);
	whole = mac != UNSET && (at == mac || at >= mac + ETH_HLEN) &&
		(network <= mac || network == UNSET || network >= mac + ETH_HLEN);

	if (whole && is_ethernet(fields->skb)) {
		out->start = head + mac;
		before = at - mac;
		out->link = LINK_ETHERNET;
	} else {
		int inside = network != UNSET && network != 0 && network <= at + linear;

		out->start = inside ? head + network : data;
		before = inside ? at - network : 0;
		out->link = LINK_RAW;
	}
	/* Where data was pulled beyond the header, `before` counts backwards. */
	out->linear = before + linear;
	out->length = before + len;
}

/* A VLAN tag that the device took off the packet, or is to put in: its TPID, 0 if there is none. */
INLINE __u16 vlan_proto(struct skb_fields *fields)
{
	if (HAS_FIELD(fields->skb->vlan_all))
		/* Since 6.2: there is a tag if its TPID is set. */
		return FIELD(fields, vlan_proto);
	else {
		/* Until 6.1 a bit says so, and the rest is a left-over without it. */
		__u64 bits = BITS(fields, vlan_present);

		bits <<= __builtin_preserve_field_info(fields->skb->vlan_present, 4);
		bits >>= __builtin_preserve_field_info(fields->skb->vlan_present, 5);
		return bits ? FIELD(fields, vlan_proto) : 0;
	}
}

struct page {
	__u64 flags;
} KERNEL;

/* `struct bio_vec` until 6.8, later `struct skb_frag`, with the same layout on 64-bit machines. */
struct frag {
	__u64 page;
	__u32 len;
	__u32 offset;
};

struct skb_shared_info {
	__u8 nr_frags;
	struct sk_buff *frag_list;
	struct frag frags[FRAGS_MAX];
} KERNEL;

/*
 * Where the kernel keeps its array of `struct page` and its map of all memory: the values of
 * `vmemmap_base` and `page_offset_base` on x86-64; 0 where they are not known.
 */
struct memory {
	__u64 pages;
	__u64 map;
};

#define PAGE_SHIFT 12
/* include/net/netmem.h: the fragment is in a device's memory, which the CPU cannot read. */
#define NET_IOV 1UL

/* The address of a fragment's bytes; 0 if it is not known. */
INLINE __u64 frag_address(struct memory *memory, struct frag *frag)
{
	__u64 size = __builtin_preserve_type_info(*(struct page *)0, 1);

	if (!memory->pages || !memory->map || (frag->page & NET_IOV) || frag->page < memory->pages || !size)
		return 0;
	return memory->map + (((frag->page - memory->pages) / size) << PAGE_SHIFT) + frag->offset;
}

/*
 * Copies `len` bytes from `from` to `to + at`, of which `room` bytes may be written; `room` is a
 * constant to the verifier. Returns the end of what was written; 0 on failure.
 *
 * A length and a place that both vary are more than the verifier can add up. So a copy of 2^n to
 * 2^(n+1) bytes is two of 2^n that overlap: each place is then bounded on its own.
 */
#define PIECES(size)                                                                      \
	if (len >= (size)) {                                                              \
		__u64 last = end - (size);                                                \
									                  \
		BARRIER(last);                                                            \
		if (at > room - (size) || last > room - (size))                           \
			return 0;                                                         \
		if (bpf_probe_read_kernel(to + at, size, (void *)from))                   \
			return 0;                                                         \
		if (bpf_probe_read_kernel(to + last, size, (void *)(from + len - (size)))) \
			return 0;                                                         \
		return end;                                                               \
	}

SUBPROGRAM __u64 append(__u8 *to, __u64 at, __u64 from, __u64 len, __u64 room)
{
	__u64 end = at + len;

	BARRIER(end);
	if (len > room || at > room || end > room)
		return 0;
	PIECES(32768)
	PIECES(16384)
	PIECES(8192)
	PIECES(4096)
	PIECES(2048)
	PIECES(1024)
	PIECES(512)
	PIECES(256)
	PIECES(128)
	PIECES(64)
	PIECES(32)
	PIECES(16)
	PIECES(8)
	PIECES(4)
	PIECES(2)
	PIECES(1)
	return end;
}

/*
 * The bytes behind the linear part, of which `*filled` bytes are in `to` already. `filled` must be
 * in memory whose contents the verifier does not follow, such as the section: so each turn looks to it like
 * the one before.
 */
INLINE void append_nonlinear(struct skb_fields *fields, struct memory *memory, __u8 *to, __u64 room,
			     volatile __u32 *filled)
{
	struct skb_shared_info *shared =
		(void *)((__u64)FIELD(fields, head) + FIELD(fields, end));
	__u64 nr_frags = PEEK(__u8, (__u64)&shared->nr_frags);
	__u64 frags = (__u64)shared + OFFSET(shared->frags), list;
	int i;

	for (i = 0; i < FRAGS_MAX; i++) {
		struct frag frag = {};
		__u64 from, len, at = *filled;

		BARRIER(at);
		if (i >= nr_frags)
			break;
		if (at >= room)
			return;
		if (bpf_probe_read_kernel(&frag, sizeof(frag), (void *)(frags + i * sizeof(frag))))
			return;
		from = frag_address(memory, &frag);
		len = frag.len < room - at ? frag.len : room - at;
		at = from ? append(to, at, from, len, room) : 0;
		/* Something is missing in the middle: nothing behind it is in its place. */
		if (!at)
			return;
		*filled = at;
	}
	list = PEEK(__u64, (__u64)&shared->frag_list);
	for (i = 0; i < LIST_MAX; i++) {
		struct sk_buff *next = (void *)list;
		__u64 from, len, data_len, at = *filled;

		BARRIER(at);
		if (!list || at >= room)
			return;
		from = PEEK(__u64, (__u64)&next->data);
		data_len = PEEK(__u32, (__u64)&next->data_len);
		len = PEEK(__u32, (__u64)&next->len) - data_len;
		if (len > room - at)
			len = room - at;
		at = append(to, at, from, len, room);
		if (!at)
			return;
		*filled = at;
		/* Fragments of fragments are rare enough to be cut off. */
		if (data_len)
			return;
		list = PEEK(__u64, (__u64)&next->next);
	}
}

#endif
