//! Running other programs such that a failure tells which program, with which arguments, and what it said.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::place;

/// A command for a program of the machine (see [`place::program`] for where it is looked for).
pub(crate) fn program(name: &str) -> Result<Command> {
    let path = place::program(name)
        .with_context(|| format!("`{name}` is not installed: `cargo xtask setup` installs it"))?;
    Ok(Command::new(path))
}

/// A command for the cargo that runs this task, in the workspace.
pub(crate) fn cargo() -> Result<Command> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(place::workspace()?);
    // These describe xtask; build scripts of other packages must not see them.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_")
            || name.to_string_lossy().starts_with("CARGO_MANIFEST_")
        {
            cargo.env_remove(name);
        }
    }
    Ok(cargo)
}

/// Run with the terminal as it is; anything but success is an error.
pub(crate) fn shown(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", line(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", line(command));
    }
    Ok(())
}

/// Run quietly and return what it printed; a failure carries what it said.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", line(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed: {}\n{}", line(command), output.status, said.trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Run quietly, for its effect.
pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Run a filter program from one file into another. Returns its status: some decompressors complain about what follows
/// their data, so the caller judges the result.
pub(crate) fn filter(command: &mut Command, from: &Path, into: &Path) -> Result<bool> {
    let input = File::open(from).with_context(|| format!("cannot open {}", from.display()))?;
    let output = File::create(into).with_context(|| format!("cannot create {}", into.display()))?;
    let status = command
        .stdin(input)
        .stdout(output)
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {}", line(command)))?;
    Ok(status.success())
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    format!("`{}`", words.join(" "))
}
