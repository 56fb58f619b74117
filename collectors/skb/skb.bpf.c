/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The socket buffer and the first bytes of its packet.
 *
 * Where the packet begins is decided once: at the MAC header when that is set, lies before the
 * data pointer's place and belongs to an Ethernet-like device; else at the network header when
 * that is set and inside the buffer; else at the data pointer, with the protocol that the buffer
 * states. Nothing beyond the linear part is read.
 */
#include "tracer/kernel.h"

/* Link types as in pcap files: LINKTYPE_ETHERNET and LINKTYPE_RAW. */
#define LINK_ETHERNET 1
#define LINK_RAW 101
/* include/uapi/linux/if_arp.h */
#define ARPHRD_ETHER 1
#define ARPHRD_LOOPBACK 772
#define ETH_HLEN 14
/* A header offset that was never set: include/linux/skbuff.h, skb_mac_header_was_set(). */
#define UNSET 0xffff

#define PACKET_MAX 256

struct skb_args {
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
	__u8 data[PACKET_MAX] PACKET;
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

READER(skb, struct skb_args *args, struct skb *out)
{
	struct sk_buff *skb = args->skb;
	__u64 head, data, start, end, n = 0;
	__u32 len, data_len;
	__u16 mac, network;

	if (!skb)
		return ABSENT;
	head = (__u64)LOAD(skb->head);
	data = (__u64)LOAD(skb->data);
	len = LOAD(skb->len);
	data_len = LOAD(skb->data_len);
	mac = LOAD(skb->mac_header);
	network = LOAD(skb->network_header);

	out->len = len;
	out->data_len = data_len;
	out->mark = LOAD(skb->mark);
	out->hash = LOAD(skb->hash);
	out->protocol = LOAD(skb->protocol);

	/* A MAC header that ends behind the network header is left over from another layer. */
	if (mac != UNSET && mac + ETH_HLEN <= network && head + mac <= data && is_ethernet(skb)) {
		start = head + mac;
		out->link = LINK_ETHERNET;
	} else if (network != UNSET && network != 0 && head + network <= data + len) {
		start = head + network;
		out->link = LINK_RAW;
	} else {
		start = data;
		out->link = LINK_RAW;
	}

	out->orig_len = data + len - start;
	end = data + (len - data_len);
	if (start < end)
		n = end - start < PACKET_MAX ? end - start : PACKET_MAX;
	BARRIER(n);
	if (n > PACKET_MAX)
		n = PACKET_MAX;
	if (bpf_probe_read_kernel(out->data, n, (void *)start))
		n = 0;
	return USED(out, data, n);
}

ACCESSOR(skb, len, struct skb_args *args, __u64 *value)
{
	if (!args->skb)
		return ABSENT;
	*value = LOAD(args->skb->len);
	return PRESENT_VALUE;
}
