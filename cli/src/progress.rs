//! How far long work is: a bar on standard error, if that is a terminal and nothing else is shown there.

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracer_trace::file::Progress;

/// Work that takes less is done before anybody could read the bar.
const PATIENCE: Duration = Duration::from_millis(700);

/// A bar that shows itself when it takes long.
pub(crate) struct Bar {
    begun: Instant,
    bar: Option<ProgressBar>,
    wanted: bool,
}

impl Bar {
    /// `printing`: whether the work's output goes to standard output, which may be the same terminal.
    pub(crate) fn new(printing: bool) -> Bar {
        let wanted = io::stderr().is_terminal() && !(printing && io::stdout().is_terminal());
        Bar { begun: Instant::now(), bar: None, wanted }
    }

    pub(crate) fn tell(&mut self, progress: Progress) {
        if !self.wanted || self.begun.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(progress.total), ProgressDrawTarget::stderr());
            let style = "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
            // The template is ours, and its words are indicatif's.
            bar.with_style(
                ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        });
        bar.set_position(progress.read);
    }

    /// Takes the bar away.
    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
