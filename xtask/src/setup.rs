//! `setup`: installs what the other tasks need and this machine lacks. As root it does so; else it prints the one command
//! to type, because a build tool does not ask for passwords.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{command, place};

/// What is needed, by the file that shows it is there, and Debian's package for it.
const NEEDED: &[(&str, &str)] = &[
    // The linker for Rust programs; the compiler for BPF fragments is looked for separately.
    ("cc", "gcc"),
    // The header of native plugins is for C++ too.
    ("c++", "g++"),
    ("make", "make"),
    // The firewall under test, here and (copied) in the guests.
    ("nft", "nftables"),
    ("ip", "iproute2"),
    // Another reading of packets, to hold ours against.
    ("tcpdump", "tcpdump"),
    // Another reading of the capture files that we write; capinfos comes with it.
    ("tshark", "tshark"),
    // Guests.
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("cpio", "cpio"),
    ("mke2fs", "e2fsprogs"),
    ("depmod", "kmod"),
    ("setpriv", "util-linux"),
    // Unpacking kernels and their modules.
    ("lz4", "lz4"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
];

/// Install what is missing.
///
/// # Errors
/// When something is missing and cannot be installed: not root, no known package manager, or the package manager failed.
pub(crate) fn run() -> Result<()> {
    let missing = missing();
    if !missing.is_empty() {
        install(&missing)?;
    }
    rust_components()
}

fn missing() -> Vec<&'static str> {
    let mut packages: Vec<_> = NEEDED
        .iter()
        .filter(|(program, _)| place::program(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if clang().is_none() {
        packages.push("clang-19");
    }
    if busybox().is_none() {
        packages.push("busybox-static");
    }
    packages
}

/// A compiler for BPF. Any of these will do (`ebpf` looks for them), so a machine that has a newer one gets no second one.
pub(crate) fn clang() -> Option<std::path::PathBuf> {
    let named = std::env::var_os("CLANG").map(Into::into);
    named.or_else(|| (17..=22).rev().find_map(|version| place::program(&format!("clang-{version}"))))
}

/// The busybox of the machine, if it is one that needs no libraries.
pub(crate) fn busybox() -> Option<std::path::PathBuf> {
    let busybox = place::program("busybox")?;
    // A dynamic program names its loader; nothing else in busybox does.
    let bytes = std::fs::read(&busybox).ok()?;
    let dynamic = bytes.windows(8).take(4096).any(|window| window == b"/ld-linu");
    (!dynamic).then_some(busybox)
}

fn install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    let Some(apt) = place::program("apt-get") else {
        bail!(
            "missing on this machine (by Debian's package names): {list}\n  install them with your package manager, then run this again"
        );
    };
    let line = format!("apt-get install --yes --no-install-recommends {list}");
    if !place::is_root() {
        bail!("missing on this machine: {list}\n  as root, type: {line}");
    }
    println!("== set-up: {line}");
    let attempt = |arguments: &[&str]| {
        let mut apt = Command::new(&apt);
        command::shown(
            apt.env("DEBIAN_FRONTEND", "noninteractive")
                .args(["-qq", "-o", "Dpkg::Use-Pty=0"])
                .args(arguments),
        )
    };
    // A fresh machine has no package lists, an old one has stale ones.
    attempt(&["update"]).context("the machine's package lists cannot be updated")?;
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    attempt(&arguments)
        .with_context(|| format!("{list} cannot be installed from the machine's package mirror"))
}

/// `test` formats and lints; a minimal tool chain comes without both.
fn rust_components() -> Result<()> {
    let lacks = |tool: &str| -> Result<bool> {
        let mut cargo = command::cargo()?;
        Ok(command::quiet(cargo.args([tool, "--version"])).is_err())
    };
    for (tool, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if lacks(tool)? {
            let Some(rustup) = place::program("rustup") else {
                bail!("`cargo {tool}` is missing: install the Rust component {component}");
            };
            println!("== set-up: rustup component add {component}");
            command::shown(Command::new(rustup).args(["component", "add", component]))?;
        }
    }
    Ok(())
}

/// Whether the guests of this crate can run here: they are x86-64, and so must be the tracer put into them.
pub(crate) fn architecture() -> Result<()> {
    if cfg!(target_arch = "x86_64") && Path::new("/proc/self").exists() {
        return Ok(());
    }
    bail!(
        "the virtual machines run x86-64 kernels, and this machine builds for {}: run them on x86-64 Linux",
        std::env::consts::ARCH
    )
}
