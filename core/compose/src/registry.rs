//! Where collectors that are linked into the binary are found.

use tracer_plugin_abi::c::Plugin;

/// What a native half that is linked into the binary begins with: it gives the descriptor, which is valid for good. Nothing here
/// calls it.
pub type Entry = extern "C" fn() -> *const Plugin;

/// A collector's folder, embedded. Submit one with `inventory::submit!`, and link the crate.
#[derive(Debug, Clone, Copy)]
pub struct Embedded {
    /// `collector.toml`.
    pub manifest: &'static str,
    /// `NAME.bpf.o`; `None` for one that has a native half only.
    pub probe: Option<&'static [u8]>,
    /// `NAME.direct.bpf.o`.
    pub direct: Option<&'static [u8]>,
    /// The native half, if the manifest has `[native]`.
    pub native: Option<Entry>,
}

inventory::collect!(Embedded);

#[doc(hidden)]
pub use inventory;

/// Submits the collector in the folder of this name beside the crate's `Cargo.toml`; the crate's build script has compiled it
/// to `OUT_DIR` with `tracer_ebpf::build`. A binary that links the crate has the collector.
///
/// - `collector!("name")`: what there is runs in the kernel.
/// - `collector!("name", native = path::to::entry)`: it has a native half too. `entry` is an
///   `extern "C" fn() -> *const tracer_plugin_abi::c::Plugin`, which returns `tracer_plugin_abi::descriptor!(...)`.
/// - `collector!("name", only_native = path::to::entry)`: it has nothing else, so nothing is compiled to BPF.
#[macro_export]
macro_rules! collector {
    ($name:literal) => {
        $crate::collector!(@bpf $name, None);
    };
    ($name:literal, native = $entry:path) => {
        $crate::collector!(@bpf $name, Some($entry));
    };
    ($name:literal, only_native = $entry:path) => {
        $crate::inventory::submit! {
            $crate::Embedded {
                manifest: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $name, "/collector.toml")),
                probe: None,
                direct: None,
                native: Some($entry),
            }
        }
    };
    (@bpf $name:literal, $native:expr) => {
        $crate::inventory::submit! {
            $crate::Embedded {
                manifest: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $name, "/collector.toml")),
                probe: Some(include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".bpf.o"))),
                direct: Some(include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".direct.bpf.o"))),
                native: $native,
            }
        }
    };
}
