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
