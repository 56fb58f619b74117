//! `build` and `test`: the release binary, and everything that must hold before a change lands. All steps run even if an
//! early one fails, so that one run tells all there is to mend.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{command, install, place, setup, vm};

/// Build the release binary and return its path.
pub(crate) fn build() -> Result<PathBuf> {
    println!("== build: cargo build --release --package tracer");
    command::shown(command::cargo()?.args(["build", "--release", "--package", "tracer"]))
        .context("tracer cannot be built")?;
    let tracer = place::target()?.join("release/tracer");
    ensure!(
        tracer.exists(),
        "the build made no {}: if cargo is configured to build elsewhere, give the file with `vm --tracer FILE`",
        tracer.display()
    );
    Ok(tracer)
}

/// Build the sender of packets that cases use and return its path.
pub(crate) fn traffic() -> Result<PathBuf> {
    command::quiet(command::cargo()?.args(["build", "--release", "--package", "tracer-traffic"]))
        .context("tracer-traffic cannot be built")?;
    Ok(place::target()?.join("release/tracer-traffic"))
}

/// Put filters, and packets that they are asked of, into a folder.
pub(crate) fn filters(folder: &Path) -> Result<()> {
    let run = ["run", "--quiet", "--release", "--package", "tracer-filter-tests", "--"];
    command::quiet(command::cargo()?.args(run).arg(folder)).context("filters to test cannot be made")
}

/// Run all tests.
pub(crate) fn run() -> Result<()> {
    println!("== set-up");
    setup::architecture()?;
    setup::run()?;
    let mut failed = Vec::new();
    for (title, arguments) in [
        ("format", &["fmt", "--all", "--check"][..]),
        ("lints", &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
        ("documentation", &["doc", "--workspace", "--no-deps", "--document-private-items"]),
        ("unit tests", &["test", "--workspace"]),
    ] {
        println!("== {title}: cargo {}", arguments.join(" "));
        // A link in the documentation that leads nowhere is a warning of rustdoc's.
        if let Err(error) =
            command::shown(command::cargo()?.env("RUSTDOCFLAGS", "-D warnings").args(arguments))
        {
            eprintln!("error: {error:#}");
            failed.push(title);
        }
    }
    let tracer = build()?;
    println!("== install");
    if let Err(error) = install::check(&tracer, &place::target()?.join("tmp/installed")) {
        eprintln!("error: {error:#}");
        failed.push("install");
    }
    println!("== VM cases");
    if let Err(error) = vm::run_all(&tracer) {
        eprintln!("error: {error:#}");
        failed.push("VM cases");
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}
