//! Where collectors that are linked into the binary are found.

/// A collector's folder, embedded. Submit one with `inventory::submit!`, and link the crate.
#[derive(Debug, Clone, Copy)]
pub struct Embedded {
    /// `collector.toml`.
    pub manifest: &'static str,
    /// `NAME.bpf.o`.
    pub probe: &'static [u8],
    /// `NAME.direct.bpf.o`.
    pub direct: Option<&'static [u8]>,
}

inventory::collect!(Embedded);

#[doc(hidden)]
pub use inventory;

/// Submits the collector in the folder of this name beside the crate's `Cargo.toml`; the crate's build script has compiled it
/// to `OUT_DIR` with `tracer_ebpf::build`. A binary that links the crate has the collector.
#[macro_export]
macro_rules! collector {
    ($name:literal) => {
        $crate::inventory::submit! {
            $crate::Embedded {
                manifest: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $name, "/collector.toml")),
                probe: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".bpf.o")),
                direct: Some(include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".direct.bpf.o"))),
            }
        }
    };
}
