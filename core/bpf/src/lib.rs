//! BTF and BPF instructions as plain bytes
