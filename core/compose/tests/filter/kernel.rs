//! Paths through the kernel's structures.
