//! `vm`: throw-away virtual machines with distribution kernels, in software emulation, because what a tracer does depends
//! on the kernel under it and no machine has them all. `tests/vm/README.md` is the description for those who write cases.

mod archive;
mod case;
mod expect;
mod export;
mod guest;
mod image;
mod kernel;
mod modules;
mod outcome;
mod plugins;
mod suite;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

pub(crate) use case::Case;
pub(crate) use guest::{Frame, listen};
pub(crate) use image::{Payload, write_payload};
pub(crate) use kernel::{Kernel, VERSIONS, Version};
pub(crate) use outcome::Outcome;
pub(crate) use suite::{Scratch, Tally, in_guest};

use crate::{setup, test};

/// `cargo xtask vm ARGUMENT...`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let request = Request::parse(arguments)?;
    if request.list {
        for case in Case::all()? {
            println!("{:<40} {}", case.name, case.about);
        }
        return Ok(());
    }
    setup::architecture()?;
    setup::run()?;
    let tracer = match &request.tracer {
        Some(file) => file.canonicalize().with_context(|| format!("cannot find {}", file.display()))?,
        None => test::build()?,
    };
    if let Some(version) = request.shell {
        return shell(version, &tracer);
    }
    let mut cases = Case::all()?;
    cases.retain(|case| {
        request.patterns.is_empty() || request.patterns.iter().any(|part| case.name.contains(part))
    });
    if cases.is_empty() {
        bail!(
            "no case's name contains `{}`: `cargo xtask vm --list` prints them",
            request.patterns.join("` or `")
        );
    }
    let asked = !request.kernels.is_empty();
    let versions = if asked { &request.kernels } else { VERSIONS };
    conclude(suite::run(versions, asked, &tracer, &cases)?)
}

/// All cases on all kernels of the matrix.
pub(crate) fn run_all(tracer: &std::path::Path) -> Result<()> {
    conclude(suite::run(VERSIONS, false, tracer, &Case::all()?)?)
}

fn conclude(tally: Tally) -> Result<()> {
    let Tally { passed, failed } = tally;
    println!("{passed} passed, {failed} failed");
    if failed > 0 {
        bail!("{failed} VM cases failed");
    }
    if passed == 0 {
        bail!("no case is for these kernels, so nothing was tested");
    }
    Ok(())
}

fn shell(version: Version, tracer: &std::path::Path) -> Result<()> {
    let kernel = Kernel::cached(version)?;
    let scratch = Scratch::new()?;
    let images =
        image::Images::make(&kernel, &Payload { tracer, cases: &[] }, &scratch.fresh(version.name)?)?;
    println!(
        "Linux {} with `tracer`, `nft` and `ip`; `. /payload/lib.sh` has the cases' helpers; `exit` ends it",
        kernel.release
    );
    let result = guest::shell(&kernel, &images);
    scratch.remove();
    result
}

#[derive(Default)]
struct Request {
    kernels: Vec<Version>,
    tracer: Option<PathBuf>,
    shell: Option<Version>,
    list: bool,
    patterns: Vec<String>,
}

impl Request {
    fn parse(arguments: &[String]) -> Result<Request> {
        let mut request = Request::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("`{argument}` is followed by a value"));
            match argument.as_str() {
                "--kernel" => request.kernels.push(Version::named(value()?)?),
                "--shell" => request.shell = Some(Version::named(value()?)?),
                "--tracer" => request.tracer = Some(PathBuf::from(value()?)),
                "--list" => request.list = true,
                option if option.starts_with('-') => {
                    bail!("`vm` has no option `{option}`: there are --kernel, --shell, --tracer, --list")
                }
                pattern => request.patterns.push(pattern.to_owned()),
            }
        }
        Ok(request)
    }
}
