/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The network device of a packet, and the one it was received on.
 *
 * `skb->dev` shares its memory with other things while a packet sits in a socket's queue, and is
 * NULL for a locally made packet that was not routed yet. Inside netfilter the hook's own state
 * names the devices: there it decides, and `skb->dev` only picks between its two.
 */
#include "tracer/kernel.h"

struct dev_args {
	struct sk_buff *skb;
	struct nf_hook_state *state;
	struct net_device *dev;
};

struct dev {
	char name[16] DEVICE;
	__u32 ifindex;
	/* The interface that the packet was received on; 0 for a locally made packet. */
	__u32 rx_ifindex;
};

INLINE struct net_device *device_of(struct dev_args *args)
{
	struct net_device *dev = args->dev;

	if (args->skb)
		dev = LOAD(args->skb->dev);
	if (args->state) {
		struct net_device *in = LOAD(args->state->in);
		struct net_device *out = LOAD(args->state->out);

		if (!dev || (dev != in && dev != out))
			dev = out ? out : in;
	} else if (args->skb && !is_device(dev)) {
		dev = args->dev;
	}
	return dev;
}

READER(dev, struct dev_args *args, struct dev *out)
{
	struct net_device *dev = device_of(args);

	if (!dev)
		return ABSENT;
	COPY_STRING(out->name, &dev->name);
	out->ifindex = LOAD(dev->ifindex);
	if (args->skb)
		out->rx_ifindex = LOAD(args->skb->skb_iif);
	return PRESENT(out);
}

ACCESSOR(dev, ifindex, struct dev_args *args, __u64 *value)
{
	struct net_device *dev = device_of(args);

	if (!dev)
		return ABSENT;
	*value = LOAD(dev->ifindex);
	return PRESENT_VALUE;
}

ACCESSOR(dev, name, struct dev_args *args, char (*value)[16])
{
	struct net_device *dev = device_of(args);

	if (!dev)
		return ABSENT;
	COPY_STRING(*value, &dev->name);
	return PRESENT_VALUE;
}
