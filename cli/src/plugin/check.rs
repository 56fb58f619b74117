//! `tracer plugin check`: the conformance suite, on a folder. A native half is run; as root, the running kernel is asked too.

use std::{collections::BTreeMap, path::PathBuf};

use tracer_compose::Fragment;
use tracer_engine::{
    TRIALS,
    native::{NO_HALF, Outcome, exercise},
    trials,
};
use tracer_plugins::{
    Trust,
    suite::{Askers, Checked, Ended, Exercises, NO_OBJECT, Trials, Verdict, check},
};

use crate::{
    command::{Known, printed},
    exit::Exit,
};

/// The running kernel.
struct Kernel;

impl Trials for Kernel {
    fn names(&self) -> &'static [&'static str] {
        &TRIALS
    }

    fn run(&self, fragment: &Fragment) -> Result<Vec<Ended>, String> {
        let ended = trials(fragment).map_err(|error| error.to_string())?;
        Ok(ended.into_iter().map(|trial| (trial.what, trial.outcome)).collect())
    }
}

/// Processes of this tracer.
struct Processes;

impl Exercises for Processes {
    fn run(&self, fragment: &Fragment) -> Vec<Checked> {
        let verdict = |outcome| match outcome {
            Outcome::Passed(on) => Verdict::Passed(on),
            Outcome::Failed(why) => Verdict::Failed(why),
            Outcome::Skipped(why) => Verdict::Skipped(why),
        };
        let checked = exercise(fragment).into_iter();
        checked.map(|(name, outcome)| Checked { name, verdict: verdict(outcome) }).collect()
    }
}

pub(crate) fn run(folders: &[PathBuf], known: &Known) -> Exit {
    let mut exit = Exit::Ok;
    for folder in folders {
        let askers = Askers { native: Some(&Processes), kernel: Some(&Kernel) };
        let checked = check(folder, &Trust::named(), &known.catalog, askers);
        let (mut text, mut passed, mut failed, mut skipped) = (format!("{}\n", folder.display()), 0, 0, 0);
        let mut absent = BTreeMap::new();
        for one in &checked {
            match &one.verdict {
                // What it does not have cannot be wrong.
                Verdict::Skipped(why) if [NO_OBJECT, NO_HALF].contains(&why.as_str()) => {
                    *absent.entry(why.clone()).or_insert(0) += 1;
                    continue;
                }
                Verdict::Passed(_) => passed += 1,
                Verdict::Failed(_) => failed += 1,
                Verdict::Skipped(_) => skipped += 1,
            }
            text += &format!("  {}\n", one.to_string().replace('\n', "\n        "));
        }
        text += &format!("{passed} passed, {failed} failed, {skipped} not made\n");
        for (why, number) in absent {
            text += &format!("{number} more have nothing to look at: {why}\n");
        }
        if failed > 0 {
            exit = Exit::Usage;
        }
        match printed(&text) {
            Exit::Ok => {}
            other => return other,
        }
    }
    exit
}
