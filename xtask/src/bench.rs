//! `bench`: what tracing costs, in figures that can be compared on a busy machine. Not a test: a time says nothing true
//! or false. The measuring itself is `tests/bench`, which runs in the guest.

mod trace;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};

use crate::vm::{Case, Kernel, Scratch, Version};
use crate::{command, place, setup, test, vm};

/// Kernels that are measured if none is named: the two forms of the probed function.
const KERNELS: [&str; 2] = ["6.1", "6.12"];

/// `cargo xtask bench ARGUMENT...`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    match arguments.split_first().map(|(what, rest)| (what.as_str(), rest)) {
        Some(("kernel", rest)) => kernel(rest),
        Some(("trace", rest)) => trace::run(rest),
        _ => bail!("`bench` is followed by what to measure: `cargo xtask bench kernel` or `bench trace`"),
    }
}

/// `cargo xtask bench kernel ARGUMENT...`
fn kernel(rest: &[String]) -> Result<()> {
    let mut names = Vec::new();
    let mut only = Vec::new();
    let mut rest = rest.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--kernel" => names.push(rest.next().context("`--kernel` is followed by a version")?.as_str()),
            "--only" => only.push(rest.next().context("`--only` is followed by a word")?.replace('\'', "")),
            _ => bail!("`bench kernel` has no option `{argument}`: there are --kernel and --only"),
        }
    }
    if names.is_empty() {
        names.extend(KERNELS);
    }
    let versions = names.into_iter().map(Version::named).collect::<Result<Vec<_>>>()?;
    setup::architecture()?;
    setup::run()?;
    let tracer = test::build()?;
    let mut scene = Case::at(&place::workspace()?.join("tests/bench/kernel.case"), vec![build()?])?;
    scene.arguments(&only);
    let scratch = Scratch::new()?;
    let mut failed = Vec::new();
    // One after another: two guests would disturb each other.
    for version in versions {
        let kernel = Kernel::cached(version)?;
        vm::in_guest(&kernel, &tracer, vec![scene.clone()], &scratch, |scene, outcome| {
            println!("\n## Linux {}\n{}", version.name, outcome.stdout.trim_end());
            let complaints = outcome.complaints(scene);
            if !complaints.is_empty() {
                eprintln!("{}\n{}", complaints.join("\n"), outcome.details());
                failed.push(version.name);
            }
        });
    }
    scratch.remove();
    ensure!(failed.is_empty(), "the measurement failed on {}", failed.join(", "));
    println!("\nThese tables are Markdown: they go into docs/performance.md as they are.");
    Ok(())
}

fn build() -> Result<PathBuf> {
    command::shown(command::cargo()?.args(["build", "--release", "--package", "tracer-bench"]))
        .context("the measuring program cannot be built")?;
    Ok(place::target()?.join("release/tracer-bench"))
}
