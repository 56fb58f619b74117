/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The socket buffer and the first bytes of its packet.
 *
 * `tracer/packet.h` decides where the packet begins and what lies behind its linear part. A VLAN
 * tag that a device took off, or is to put in, is not in those bytes: it stands beside them, and
 * whoever shows or stores the packet puts it back.
 */
#include "tracer/packet.h"

/* What the option `snaplen` may be at most: see collector.toml. */
#define SNAPLEN_MAX 65535

struct skb_args {
	struct sk_buff *skb REQUIRED;
	/* 64 bits, so that the verifier keeps its value on the stack on all kernels. */
	__u64 snaplen OPTION("snaplen");
	/* x86-64 with memory randomisation; elsewhere 0, and packets end with their linear part. */
	__u64 vmemmap_base SYMBOL("vmemmap_base");
	__u64 page_offset_base SYMBOL("page_offset_base");
};

struct skb_accessor_args {
	struct sk_buff *skb REQUIRED;
};

struct skb {
	/* Bytes of data from the data pointer on, as the stack counts them now. */
	__u32 len;
	/* Bytes of these that are outside of the linear part. */
	__u32 data_len;
	__u32 mark HEX;
	__u32 hash HEX;
	/* Bytes of the packet from where `data` begins. */
	__u32 orig_len;
	__u16 protocol BE16;
	__u16 link;
	/* A tag that is not in the data: its TPID (0 if there is none) and the tag itself. */
	__u16 vlan_proto BE16;
	__u16 vlan_tci;
	__u8 data[SNAPLEN_MAX] PACKET AT_MOST("snaplen");
};

READER(skb, struct skb_args *args, struct skb *out)
{
	struct skb_fields fields;
	struct located packet;
	__u64 n, room = args->snaplen;

	if (!args->skb)
		return ABSENT;
	skb_fields(&fields, args->skb);
	out->len = FIELD(&fields, len);
	out->data_len = FIELD(&fields, data_len);
	out->mark = FIELD(&fields, mark);
	out->hash = FIELD(&fields, hash);
	out->protocol = FIELD(&fields, protocol);
	out->vlan_proto = vlan_proto(&fields);
	if (out->vlan_proto)
		out->vlan_tci = FIELD(&fields, vlan_tci);
	locate(&fields, &packet);
	out->link = packet.link;

	n = packet.linear;
	BARRIER(n);
	/* Left-over offsets can make it less than nothing. */
	if ((__s64)n < 0)
		n = 0;
	if (n > room)
		n = room;
	if (n && bpf_probe_read_kernel(out->data, n, (void *)packet.start)) {
		n = 0;
	} else if (n < room && FIELD(&fields, data_len)) {
		struct memory memory = {
			.pages = args->vmemmap_base ? PEEK(__u64, args->vmemmap_base) : 0,
			.map = args->page_offset_base ? PEEK(__u64, args->page_offset_base) : 0,
		};
		volatile __u32 *filled = &out->orig_len;

		*filled = n;
		append_nonlinear(&fields, &memory, out->data, room, filled);
		n = *filled;
		if (n > room)
			n = room;
	}
	out->orig_len = packet.length;
	return USED(out, data, n);
}

ACCESSOR(skb, len, struct skb_accessor_args *args, __u64 *value)
{
	if (!args->skb)
		return ABSENT;
	*value = LOAD(args->skb->len);
	return PRESENT_VALUE;
}
