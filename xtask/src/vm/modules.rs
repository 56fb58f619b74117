//! The modules that guests get: a chosen few and what those depend on, uncompressed, because each ten megabytes of a
//! guest's first file system cost most of a second of its boot.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::command;

/// Modules by name, where a kernel has them (what is built in, or not there yet, is passed over).
pub(crate) const WANTED: &[&str] = &[
    // The guest's own devices.
    "virtio_pci",
    "virtio_blk",
    "virtio_console",
    // nftables.
    "nf_tables",
    "nft_chain_nat",
    "nft_compat",
    "nft_counter",
    "nft_ct",
    "nft_fib_inet",
    "nft_fwd_netdev",
    "nft_limit",
    "nft_log",
    "nft_masq",
    "nft_meta_bridge",
    "nft_nat",
    "nft_numgen",
    "nft_queue",
    "nft_redir",
    "nft_reject_bridge",
    "nft_reject_inet",
    "nft_reject_netdev",
    "nf_conntrack_bridge",
    "nf_conntrack_netlink",
    "nf_log_syslog",
    // What packets pass.
    "8021q",
    "bridge",
    "br_netfilter",
    "dummy",
    "openvswitch",
    "sch_netem",
    "veth",
    "vxlan",
];

/// Copy what is wanted out of a package's module folder, with dependencies and a fresh index.
pub(crate) fn select(root: &Path, all: &Path, release: &str, into: &Path) -> Result<()> {
    let depmod = |root: &Path| command::quiet(command::program("depmod")?.arg("-b").arg(root).arg(release));
    depmod(root)?;
    let index = all.join("modules.dep");
    let index = fs::read_to_string(&index).with_context(|| format!("cannot read {}", index.display()))?;
    let chosen = closure(&index, WANTED);
    // depmod works on /lib/modules/RELEASE below a root; that is what the folder looks like while it is made.
    let made = into.with_extension("root");
    let folder = made.join("lib/modules").join(release);
    for module in &chosen {
        let target = folder.join(module);
        fs::create_dir_all(target.parent().context("a module stands in a folder")?)?;
        let source = all.join(module);
        match source.extension().and_then(|ending| ending.to_str()) {
            Some("xz") => drop(command::filter(
                command::program("xz")?.arg("-dc"),
                &source,
                &target.with_extension(""),
            )?),
            Some("zst") => drop(command::filter(
                command::program("zstd")?.arg("-dc"),
                &source,
                &target.with_extension(""),
            )?),
            _ => drop(
                fs::copy(&source, &target).with_context(|| format!("cannot copy {}", source.display()))?,
            ),
        }
    }
    for list in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
        if all.join(list).exists() {
            fs::copy(all.join(list), folder.join(list))?;
        }
    }
    depmod(&made)?;
    fs::rename(&folder, into)?;
    fs::remove_dir_all(&made)?;
    Ok(())
}

/// The paths of the named modules and of all that they need, out of a `modules.dep`: lines of `module: dependency...`,
/// where the dependencies are already complete.
fn closure<'i>(index: &'i str, names: &[&str]) -> BTreeSet<&'i str> {
    let mut paths = BTreeSet::new();
    for line in index.lines() {
        let Some((module, dependencies)) = line.split_once(':') else { continue };
        let file = module.rsplit('/').next().unwrap_or(module);
        let name = file.split(".ko").next().unwrap_or(file).replace('-', "_");
        if names.contains(&name.as_str()) {
            paths.insert(module);
            paths.extend(dependencies.split_whitespace());
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_along_and_a_dash_is_an_underscore() {
        let index = "kernel/a/nf-tables.ko.xz: kernel/b/nfnetlink.ko.xz\nkernel/b/nfnetlink.ko.xz:\nkernel/c/other.ko:\n";
        let found: Vec<_> = closure(index, &["nf_tables"]).into_iter().collect();
        assert_eq!(found, ["kernel/a/nf-tables.ko.xz", "kernel/b/nfnetlink.ko.xz"]);
    }
}
