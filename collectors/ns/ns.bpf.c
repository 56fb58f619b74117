/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The network namespace: from what states it for sure first, from the packet's device last. */
#include "tracer/kernel.h"

struct ns_args {
	struct nf_hook_state *state;
	struct net *net;
	struct sock *sk;
	struct sk_buff *skb;
	struct net_device *dev;
};

struct ns {
	/* Never reused while the machine runs; 0 where the kernel has none. */
	__u64 cookie HEX;
	/* What `lsns` and `ip netns identify` show; may be reused. */
	__u32 inum NETNS;
};

INLINE struct net *net_of(struct ns_args *args)
{
	struct net_device *dev = args->dev;
	struct sock *sk = args->sk;

	if (args->state)
		return LOAD(args->state->net);
	if (args->net)
		return args->net;
	if (args->skb && !dev) {
		dev = LOAD(args->skb->dev);
		if (!is_device(dev))
			dev = NULL;
	}
	if (dev)
		return LOAD(dev->nd_net.net);
	if (args->skb && !sk)
		sk = LOAD(args->skb->sk);
	if (sk)
		return LOAD(sk->__sk_common.skc_net.net);
	return NULL;
}

READER(ns, struct ns_args *args, struct ns *out)
{
	struct net *net = net_of(args);

	if (!net)
		return ABSENT;
	out->inum = LOAD(net->ns.inum);
	if (HAS_FIELD(net->net_cookie))
		out->cookie = LOAD(net->net_cookie);
	return PRESENT(out);
}

ACCESSOR(ns, inum, struct ns_args *args, __u64 *value)
{
	struct net *net = net_of(args);

	if (!net)
		return ABSENT;
	*value = LOAD(net->ns.inum);
	return PRESENT_VALUE;
}
