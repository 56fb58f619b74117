//! What this kernel's BPF can do, as far as aya probes for it.

use aya_obj::btf::BtfFeatures;

/// The kinds of BTF that the kernel can load; a fragment's BTF is reduced to these.
pub fn btf() -> &'static BtfFeatures {
    static NONE: BtfFeatures = BtfFeatures::new(false, false, false, false, false, false, false, false);
    aya::features().btf().unwrap_or(&NONE)
}
