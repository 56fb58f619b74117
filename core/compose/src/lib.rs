//! Composes BPF programs from collector fragments
