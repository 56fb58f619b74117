//! Comparisons of values, as BPF: paths are resolved in a slice of a real kernel's BTF, and the instructions run in an
//! interpreter of BPF whose kernel memory is made up.

#![expect(clippy::unwrap_used, reason = "what cannot be set up cannot be tested")]

mod btf;
mod kernel;
mod live;
mod machine;
mod values;
