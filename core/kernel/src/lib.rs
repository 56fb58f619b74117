//! The running kernel: bpf(2), attaching, rings, symbols, netlink
