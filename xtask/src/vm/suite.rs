//! Runs cases on kernels: all cases of a kernel in one boot, two kernels at a time, a verdict per case as it ends.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::case::Case;
use super::guest::{Frame, Guest};
use super::image::{Images, Payload};
use super::kernel::{Kernel, Version};
use super::outcome::Outcome;
use crate::place;

/// How long a guest may take to boot. Three seconds are usual; the machine may have better things to do.
const BOOT_LIMIT: Duration = Duration::from_secs(90);

/// What a guest may take beyond a case's own limit: to clean up after it and to report.
const CASE_GRACE: Duration = Duration::from_secs(40);

/// How many cases went how.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

/// Run the cases on each of the kernels they are for, and print the verdicts. `asked` when the kernels were named.
pub(crate) fn run(versions: &[Version], asked: bool, tracer: &Path, cases: &[Case]) -> Result<Tally> {
    let queue: Mutex<VecDeque<Version>> = Mutex::new(versions.iter().copied().collect());
    let tally = Mutex::new(Tally::default());
    // A guest keeps about a core busy.
    let guests = thread::available_parallelism().map_or(1, usize::from).min(versions.len()).max(1);
    let scratch = Scratch::new()?;
    thread::scope(|scope| {
        for _ in 0..guests {
            scope.spawn(|| {
                while let Some(version) = { queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front() }
                {
                    let cases: Vec<_> =
                        cases.iter().filter(|case| case.is_for(version, asked)).cloned().collect();
                    let result = on_kernel(version, tracer, cases, &scratch);
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    tally.passed += result.passed;
                    tally.failed += result.failed;
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    if tally.failed == 0 {
        scratch.remove();
    } else {
        println!("the guests' files are kept in {} until the next run", scratch.folder.display());
    }
    Ok(tally)
}

fn on_kernel(version: Version, tracer: &Path, cases: Vec<Case>, scratch: &Scratch) -> Tally {
    let mut tally = Tally::default();
    if cases.is_empty() {
        return tally;
    }
    let mut verdict = |case: &Case, seconds: f64, complaints: &[String], details: &str| {
        if complaints.is_empty() {
            tally.passed += 1;
        } else {
            tally.failed += 1;
        }
        print!("{}", verdict_text(version, case, seconds, complaints, details));
    };
    let kernel = match Kernel::cached(version) {
        Ok(kernel) => kernel,
        Err(error) => {
            // Said once; each case counts as failed, because none was seen to pass.
            println!("{:>6}  {error:#}", version.name);
            for case in &cases {
                verdict(case, 0.0, &["there is no kernel to run it on".to_owned()], "");
            }
            return tally;
        }
    };
    in_guest(&kernel, tracer, cases, scratch, |case, outcome| {
        verdict(case, outcome.seconds, &outcome.complaints(case), &outcome.details());
    });
    tally
}

/// Run cases in a guest, and report each. A guest that is lost is started again for the cases that are left; a case that
/// loses its guest twice has failed, and so have all if a guest twice does not even boot.
pub(crate) fn in_guest(
    kernel: &Kernel,
    tracer: &Path,
    cases: Vec<Case>,
    scratch: &Scratch,
    mut report: impl FnMut(&Case, Outcome),
) {
    let name = kernel.version.name;
    let mut left: VecDeque<Case> = cases.into();
    let mut losses = 0;
    while !left.is_empty() {
        let mut done = 0;
        let mut count = |case: &Case, outcome: Outcome| {
            done += 1;
            report(case, outcome);
        };
        let lost = one_boot(kernel, tracer, left.make_contiguous(), scratch, &mut count).err();
        left.drain(..done);
        let (Some(Lost { reason, booted }), Some(next)) = (lost, left.front()) else { continue };
        println!("{name:>6}  lost the guest at {}: {reason:#}", next.name);
        losses = if done > 0 { 1 } else { losses + 1 };
        if losses >= 2 {
            let failed = if booted { 1 } else { left.len() };
            for case in left.drain(..failed) {
                let failed = "the guest that should run it was lost twice, as told above".to_owned();
                report(&case, Outcome { failed, ..Outcome::default() });
            }
            losses = 0;
        }
        if !left.is_empty() {
            println!("{name:>6}  booting once more");
        }
    }
}

/// Why a guest did not run its cases to the end.
struct Lost {
    reason: anyhow::Error,
    /// Whether it did boot.
    booted: bool,
}

fn one_boot(
    kernel: &Kernel,
    tracer: &Path,
    cases: &[Case],
    scratch: &Scratch,
    report: &mut dyn FnMut(&Case, Outcome),
) -> Result<(), Lost> {
    let mut booted = false;
    follow(kernel, tracer, cases, scratch, &mut booted, report).map_err(|reason| Lost { reason, booted })
}

fn follow(
    kernel: &Kernel,
    tracer: &Path,
    cases: &[Case],
    scratch: &Scratch,
    booted: &mut bool,
    report: &mut dyn FnMut(&Case, Outcome),
) -> Result<()> {
    let folder = scratch.fresh(kernel.version.name)?;
    let images = Images::make(kernel, &Payload { tracer, cases }, &folder)?;
    let start = Instant::now();
    let mut guest = Guest::boot(kernel, &images, &folder)?;
    let mut limit = BOOT_LIMIT;
    let mut running: Option<(&Case, Outcome)> = None;
    loop {
        match guest.next(limit)? {
            Frame::Ready => {
                let seconds = start.elapsed().as_secs_f64();
                println!("{:>6}  booted in {seconds:.1} s ({})", kernel.version.name, kernel.release);
                *booted = true;
                limit = CASE_GRACE;
            }
            Frame::Begin(number) => {
                let case = cases
                    .get(number)
                    .with_context(|| format!("the guest runs a case {number} that it was not given"))?;
                limit = Duration::from_secs(case.limit.into()) + CASE_GRACE;
                running = Some((case, Outcome::default()));
            }
            Frame::File { name, bytes } => {
                if let Some((_, outcome)) = &mut running {
                    outcome.add(&name, &bytes);
                }
            }
            Frame::End => {
                if let Some((case, outcome)) = running.take() {
                    report(case, outcome);
                }
                limit = CASE_GRACE;
            }
            Frame::Done => return Ok(()),
        }
    }
}

fn verdict_text(version: Version, case: &Case, seconds: f64, complaints: &[String], details: &str) -> String {
    let word = if complaints.is_empty() { "ok  " } else { "FAIL" };
    let mut text = format!("{:>6}  {word}  {:<40} {seconds:5.1} s\n", version.name, case.name);
    if !complaints.is_empty() {
        let _ = writeln!(text, "        {}", case.about);
        for complaint in complaints {
            let _ = writeln!(text, "      - {}", complaint.replace('\n', "\n        "));
        }
        text.push_str(details);
    }
    text
}

/// The folder for the guests of this run. Those of earlier runs, kept because of a failure or left by a kill, go first.
pub(crate) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> Result<Scratch> {
        let all = place::target()?.join("vm/run");
        fs::create_dir_all(&all).with_context(|| format!("cannot create {}", all.display()))?;
        for entry in fs::read_dir(&all)? {
            let entry = entry?;
            // Named by process: what a living one uses stays.
            if !Path::new("/proc").join(entry.file_name()).exists() {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Ok(Scratch { folder: all.join(std::process::id().to_string()) })
    }

    /// An empty folder in it.
    pub(crate) fn fresh(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }

    pub(crate) fn remove(&self) {
        // Left behind, it is removed by the next run.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
