/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The TCP socket that a probe is about. It is the function's argument `struct sock *`, or the one that its packet belongs to.
 *
 * An example of a plugin: everything that is not C is in collector.toml beside this file.
 */
#include "tracer/kernel.h"

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6

/*
 * Just the members that are read: where the running kernel has them is found out when the program is loaded. The names are the
 * kernel's. `struct sock_common` and `struct sock` are in tracer/kernel.h with other members; `___tcp` makes this a further
 * description of the same type.
 */
struct sock_common___tcp {
	unsigned short skc_family;
	unsigned char skc_state;
} KERNEL;

struct sock___tcp {
	struct sock_common___tcp __sk_common;
	__u16 sk_protocol;
} KERNEL;

struct tcp_sock {
	__u32 rcv_nxt;
	__u32 snd_nxt;
	__u32 snd_una;
	__u32 snd_wnd;
	__u32 rcv_wnd;
	__u32 snd_cwnd;
	__u32 retrans_out;
	__u32 total_retrans;
} KERNEL;

/* The kernel's numbers, include/net/tcp_states.h. The values' names are these without the enum's own. */
enum tcp_state {
	tcp_state_established = 1,
	tcp_state_syn_sent,
	tcp_state_syn_recv,
	tcp_state_fin_wait1,
	tcp_state_fin_wait2,
	tcp_state_time_wait,
	tcp_state_close,
	tcp_state_close_wait,
	tcp_state_last_ack,
	tcp_state_listen,
	tcp_state_closing,
	tcp_state_new_syn_recv,
};

/* What is wanted, by type: NULL where a probe has it not. */
struct tcpsock_args {
	struct sock *sk;
	struct sk_buff *skb;
	__u32 min_retransmits OPTION("min_retransmits");
};

/* What is reported. */
struct tcpsock {
	enum tcp_state state;
	/* Sequence numbers: the first that is not acknowledged, the next to send, the next expected. */
	__u32 snd_una;
	__u32 snd_nxt;
	__u32 rcv_nxt;
	/* Windows: the peer's, our own, and the congestion window in packets. */
	__u32 snd_wnd;
	__u32 rcv_wnd;
	__u32 cwnd;
	/* Segments that are on their way again, and all that ever were. */
	__u32 retrans;
	__u32 total_retrans;
};

/* The full TCP socket, or NULL. */
INLINE struct sock___tcp *tcp_of(struct tcpsock_args *args)
{
	struct sock *found = args->sk;
	struct sock___tcp *sk;
	__u16 family;
	__u8 state;

	if (!found && args->skb)
		found = LOAD(args->skb->sk);
	if (!found)
		return NULL;
	sk = (struct sock___tcp *)found;
	family = READ(sk->__sk_common.skc_family);
	state = READ(sk->__sk_common.skc_state);
	if (family != AF_INET && family != AF_INET6)
		return NULL;
	/* A connection that is half open or waits to be forgotten is a smaller thing, without any of the rest. */
	if (state == tcp_state_time_wait || state == tcp_state_new_syn_recv)
		return NULL;
	return READ(sk->sk_protocol) == IPPROTO_TCP ? sk : NULL;
}

READER(tcpsock, struct tcpsock_args *args, struct tcpsock *out)
{
	struct sock___tcp *sk = tcp_of(args);
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	if (!sk)
		return ABSENT;
	out->total_retrans = READ(tp->total_retrans);
	if (out->total_retrans < args->min_retransmits)
		return ABSENT;
	out->state = READ(sk->__sk_common.skc_state);
	out->snd_una = READ(tp->snd_una);
	out->snd_nxt = READ(tp->snd_nxt);
	out->rcv_nxt = READ(tp->rcv_nxt);
	out->snd_wnd = READ(tp->snd_wnd);
	out->rcv_wnd = READ(tp->rcv_wnd);
	out->cwnd = READ(tp->snd_cwnd);
	out->retrans = READ(tp->retrans_out);
	return PRESENT(out);
}

/* So that a filter on the state decides before anything else is read, and for `--tcpsock-states`. */
ACCESSOR(tcpsock, state, struct tcpsock_args *args, __u64 *value)
{
	struct sock___tcp *sk = tcp_of(args);

	if (!sk)
		return ABSENT;
	*value = READ(sk->__sk_common.skc_state);
	return PRESENT_VALUE;
}
