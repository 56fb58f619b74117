/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The kernel's types that more than one collector reads, with just the members that are read.
 * Offsets are resolved against the running kernel, so order and gaps mean nothing here.
 */
#ifndef TRACER_KERNEL_H
#define TRACER_KERNEL_H

#include "fragment.h"

struct net_device;
struct sock;
struct net;

struct ns_common {
	__u32 inum;
} KERNEL;

struct net {
	struct ns_common ns;
	/* Since 5.7; 0 on 5.10 until somebody asks for it. */
	__u64 net_cookie;
} KERNEL;

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	char name[16];
	__s32 ifindex;
	__u16 type;
	possible_net_t nd_net;
} KERNEL;

struct sock_common {
	possible_net_t skc_net;
} KERNEL;

struct sock {
	struct sock_common __sk_common;
} KERNEL;

struct sk_buff {
	struct sk_buff *next;
	struct net_device *dev;
	struct sock *sk;
	__u8 *head;
	__u8 *data;
	__u32 len;
	__u32 data_len;
	__u32 mark;
	__u32 hash;
	__s32 skb_iif;
	__u16 protocol;
	__u16 mac_header;
	__u16 network_header;
	/* Where the linear part's memory ends, from `head`: the shared info is there. */
	__u32 end;
	__u16 vlan_proto;
	__u16 vlan_tci;
	/* Since 6.2: both of these, 0 if there is no tag; */
	__u32 vlan_all;
	/* until 6.1: whether there is one. */
	__u8 vlan_present : 1;
} KERNEL;

/*
 * The first inode number of a namespace: PROC_DYNAMIC_FIRST of fs/proc/generic.c, and a little below it those of the
 * namespaces that a machine starts with, since 6.18.
 */
#define NAMESPACE_FIRST 0xefffff00u

/*
 * Whether this is a device. `skb->dev` shares its memory with other things while a packet is in a socket's queue or waits to be
 * sent again: what is found there then has neither a number nor a namespace, or not one that could be true.
 */
INLINE int is_device(struct net_device *dev)
{
	struct net *net;

	if (!dev || LOAD(dev->ifindex) <= 0)
		return 0;
	net = LOAD(dev->nd_net.net);
	return net && LOAD(net->ns.inum) >= NAMESPACE_FIRST;
}

struct nf_hook_state {
	__u8 hook;
	__u8 pf;
	struct net_device *in;
	struct net_device *out;
	struct sock *sk;
	struct net *net;
} KERNEL;

#endif
