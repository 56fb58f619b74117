# What the cases' shell parts share. Addresses and names are fixed, so that a case's text can name them:
#
#   namespace `peer`                          the namespace the tracer runs in
#   p0  10.42.0.1  fd42::1   ---- veth ----   v0  10.42.0.2  fd42::2

# busybox's shell prefers its own applet, which knows neither namespaces nor veth.
REAL_IP=$(PATH=/usr/sbin:/sbin:/usr/bin:/bin which ip)
ip() { "$REAL_IP" "$@"; }

# Two ends of a wire: one here, one in the namespace `peer`.
wire() {
    namespace peer
    ip link add v0 type veth peer name p0 netns peer
    address here v0 2
    address peer p0 1
}

# Two ends of a wire, both in namespaces of their own: `peer` as above, v0 in the namespace NAME.
wire_to() { # NAME
    namespace peer
    namespace "$1"
    ip -n "$1" link add v0 type veth peer name p0 netns peer
    address "$1" v0 2
    address peer p0 1
}

namespace() { # NAME
    ip netns add "$1"
    ip -n "$1" link set lo up
}

# Addresses 10.42.0.N and fd42::N for a device. Neighbour discovery and the like would be packets that no case sent: a
# case that is about IPv6 gets its address without waiting, and the rest of IPv6's chatter passes before the tracer is there.
address() { # NAMESPACE|here DEVICE N
    case $1 in
        here) in_place= ;;
        *) in_place="-n $1" ;;
    esac
    ip $in_place link set "$2" addrgenmode none
    ip $in_place addr add "10.42.0.$3/24" dev "$2"
    ip $in_place addr add "fd42::$3/64" dev "$2" nodad
    ip $in_place link set "$2" up
}

# Run a program in a namespace.
inside() { # NAME COMMAND...
    namespace=$1
    shift
    ip netns exec "$namespace" "$@"
}

# Try to connect by TCP from the peer, from a port that is known: a SYN, and one more if a second passes in silence.
connect() { # PORT SOURCE-PORT
    source_port "$2"
    inside peer busybox nc -w 1 10.42.0.2 "$1" </dev/null || true
}

# The port from which the peer's next connections come (busybox's `nc -p` is for listening only).
source_port() { # PORT
    inside peer busybox sh -c "echo $1 $1 >/proc/sys/net/ipv4/ip_local_port_range"
}

# The handle of the one rule whose text contains TEXT. Where: arguments for `nft list`, such as `chain inet t in`.
rule_handle() { # TEXT WHERE...
    text=$1
    shift
    nft -a list "$@" | grep -F -- "$text" | sed -n 's/.*# handle \([0-9]*\)$/\1/p'
}

# The handle of a table or a chain.
table_handle() { # FAMILY TABLE
    nft -a list table "$1" "$2" | sed -n '1s/.*# handle \([0-9]*\)$/\1/p'
}

chain_handle() { # FAMILY TABLE CHAIN
    nft -a list chain "$1" "$2" "$3" | sed -n 's/^\tchain .*# handle \([0-9]*\)$/\1/p'
}

# The index of a device.
index_of() { # DEVICE
    cat "/sys/class/net/$1/ifindex"
}

# The number by which the kernel knows a namespace.
namespace_number() { # NAME
    stat -L -c %i "/run/netns/$1"
}

# Try a command again and again, for so many seconds at most; fails if it never succeeded.
wait_for() { # SECONDS COMMAND...
    read -r wait_end _ </proc/uptime
    wait_end=$((${wait_end%.*} + $1 + 1))
    shift
    until "$@"; do
        read -r wait_now _ </proc/uptime
        [ "${wait_now%.*}" -lt "$wait_end" ] || return 1
        usleep 50000
    done
}

# Run a command that must end with this status, as `set -e` does not care for the status behind a `!`. What it says is in
# the file `said` then.
ends_with() { # STATUS COMMAND...
    wanted=$1
    shift
    status=0
    "$@" 2>said || status=$?
    [ "$status" = "$wanted" ] || { cat said >&2; return 1; }
}

# A table that drops what comes for UDP port 9999, and nothing else.
drop_udp_9999() {
    # A burst must not end in the receiver's backlog, before it comes to a rule.
    echo 100000 >/proc/sys/net/core/netdev_max_backlog
    # Nor in the sender's queue for a neighbour that is not known yet.
    inside peer ping -c 1 -w 10 10.42.0.2 >/dev/null
    nft -f - <<'RULES'
table inet firewall {
    chain input {
        type filter hook input priority filter; policy accept;
        udp dport 9999 drop
    }
}
RULES
}

# The number in front of a word in the tracer's account of a probe: `account hits`.
account() { # WORD [PROBE]
    sed -n "s/^tracer: ${2:-kprobe:__nft_trace_packet[^:]*}: .*\b\([0-9][0-9]*\) $1\b.*/\1/p" stderr | head -n 1
}

# The sum of the losses that the tracer reported among its events.
losses_in_place() {
    sed -n 's/^\([0-9]* \)\{0,1\}lost \([0-9]*\) events of .*/\2/p' stdout | { sum=0; while read -r n; do sum=$((sum + n)); done; echo $sum; }
}

# A client and a server with a router between them that is a bridge on the client's side and translates addresses both ways:
#
#   client c0 10.1.0.2 -- b0 ]bridge br0 10.1.0.1 router r1 10.2.0.1[ -- s0 10.2.0.2 server
#
# To the server everything comes from 10.2.0.1; what comes to 10.1.0.1, TCP port 8080, goes to port 80 of the server.
routed() {
    namespace client
    namespace router
    namespace server
    ip link add c0 netns client type veth peer name b0 netns router
    ip link add r1 netns router type veth peer name s0 netns server
    ip -n router link add br0 type bridge
    ip -n router link set b0 master br0
    for end in client.c0 router.b0 router.br0 router.r1 server.s0; do
        ip -n "${end%.*}" link set "${end#*.}" addrgenmode none
        ip -n "${end%.*}" link set "${end#*.}" up
    done
    ip -n client addr add 10.1.0.2/24 dev c0
    ip -n client route add default via 10.1.0.1
    ip -n router addr add 10.1.0.1/24 dev br0
    ip -n router addr add 10.2.0.1/24 dev r1
    ip -n server addr add 10.2.0.2/24 dev s0
    inside router busybox sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
    inside router nft -f - <<'RULES'
table ip nat {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        ip daddr 10.1.0.1 tcp dport 8080 dnat to 10.2.0.2:80
    }
    chain postrouting {
        type nat hook postrouting priority srcnat;
        oifname "r1" masquerade
    }
}
RULES
    # Neighbours are known afterwards, and the bridge has learnt where the client is.
    inside client ping -c 1 -w 10 10.2.0.2 >/dev/null
}

# The server answers each line with the same line, at port 80.
echo_server() {
    inside server busybox nc -ll -p 80 -e busybox cat &
    wait_for 10 inside server busybox sh -c 'netstat -tln | grep -q ":80 "'
}
