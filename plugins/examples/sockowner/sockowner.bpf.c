/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The socket that a probe is about, by the two numbers that its owner is found by: the inode, of which a process has a
 * descriptor, and the cgroup that it belongs to. Whose they are is a matter of /proc and /sys/fs/cgroup, which a fragment
 * cannot read: the native half in src/ does.
 */
#include "tracer/kernel.h"

/* include/net/tcp_states.h. The states of sockets of all kinds are from there. */
#define TCP_TIME_WAIT 6
#define TCP_NEW_SYN_RECV 12
/* include/uapi/linux/stat.h */
#define S_IFMT 0170000
#define S_IFSOCK 0140000

struct kernfs_node {
	__u64 id;
} KERNEL;

struct cgroup {
	struct kernfs_node *kn;
} KERNEL;

/* Since 5.15. Before, a number in whose lowest bits is whether it is a pointer. */
struct sock_cgroup_data {
	struct cgroup *cgroup;
} KERNEL;

struct sock_cgroup_data___packed {
	__u64 val;
} KERNEL;

struct inode {
	__u16 i_mode;
	unsigned long i_ino;
} KERNEL;

struct file {
	struct inode *f_inode;
} KERNEL;

struct socket {
	struct file *file;
} KERNEL;

struct sock_common___owner {
	unsigned short skc_family;
	unsigned char skc_state;
} KERNEL;

/* `struct sock` is in tracer/kernel.h with other members: `___owner` makes this a further description of the same type. */
struct sock___owner {
	struct sock_common___owner __sk_common;
	struct socket *sk_socket;
	struct sock_cgroup_data sk_cgrp_data;
} KERNEL;

struct sock___packed {
	struct sock_cgroup_data___packed sk_cgrp_data;
} KERNEL;

/* What is wanted, by type: NULL where a probe has it not. */
struct sockowner_args {
	struct sock *sk;
	struct sk_buff *skb;
};

/* What is reported: 0 where there is none. */
struct sockowner {
	__u64 inode;
	__u64 cgroup;
};

/* The full socket, or NULL. */
INLINE struct sock___owner *socket_of(struct sockowner_args *args)
{
	struct sock *found = args->sk;
	struct sock___owner *sk;
	__u8 state;

	if (!found && args->skb)
		found = LOAD(args->skb->sk);
	if (!found)
		return NULL;
	sk = (struct sock___owner *)found;
	/* Where fragments are put together, something else is in the place of a packet's socket: it has no family. */
	if (!READ(sk->__sk_common.skc_family))
		return NULL;
	/* A connection that is half open or waits to be forgotten is a smaller thing, without any of the rest. */
	state = READ(sk->__sk_common.skc_state);
	if (state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV)
		return NULL;
	return sk;
}

/* 0 of a socket that no process has: the kernel's own, one not accepted yet, one that was closed. */
INLINE __u64 inode_of(struct sock___owner *sk)
{
	struct socket *socket = READ(sk->sk_socket);
	struct file *file;
	struct inode *inode;

	if (!socket)
		return 0;
	file = READ(socket->file);
	if (!file)
		return 0;
	inode = READ(file->f_inode);
	/* The file of a TUN device has a socket too, and is none. */
	if (!inode || (READ(inode->i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	return READ(inode->i_ino);
}

/* 0 where the kernel has no cgroups, or, until 5.14, the socket is in the first of all. */
INLINE __u64 cgroup_of(struct sock___owner *sk)
{
	struct sock___packed *packed = (struct sock___packed *)sk;
	struct cgroup *cgroup = NULL;
	struct kernfs_node *node;

	if (HAS_FIELD(sk->sk_cgrp_data.cgroup)) {
		cgroup = READ(sk->sk_cgrp_data.cgroup);
	} else if (HAS_FIELD(packed->sk_cgrp_data.val)) {
		__u64 value = READ(packed->sk_cgrp_data.val);

		if (!(value & 3))
			cgroup = (struct cgroup *)value;
	}
	if (!cgroup)
		return 0;
	node = READ(cgroup->kn);
	return node ? READ(node->id) : 0;
}

READER(sockowner, struct sockowner_args *args, struct sockowner *out)
{
	struct sock___owner *sk = socket_of(args);

	if (!sk)
		return ABSENT;
	out->inode = inode_of(sk);
	out->cgroup = cgroup_of(sk);
	if (!out->inode && !out->cgroup)
		return ABSENT;
	return PRESENT(out);
}

/* So that a filter on the inode decides before anything else is read. */
ACCESSOR(sockowner, inode, struct sockowner_args *args, __u64 *value)
{
	struct sock___owner *sk = socket_of(args);

	if (!sk)
		return ABSENT;
	*value = inode_of(sk);
	/* As the section has it: 0 is a value where the cgroup is known. */
	return *value || cgroup_of(sk) ? PRESENT_VALUE : ABSENT;
}
