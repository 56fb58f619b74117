//! `install`: what belongs to tracer, put below a prefix as other programs are: the binary, the headers that plugins are
//! compiled with, manual pages and completions. Nothing else is written, so removing the files undoes it.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};

use crate::command;

/// Where shells look for completions, below the prefix.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/tracer"),
    ("zsh", "share/zsh/site-functions/_tracer"),
    ("fish", "share/fish/vendor_completions.d/tracer.fish"),
];

/// Installs a binary, and all that it can tell of itself.
pub(crate) fn run(tracer: &Path, prefix: &Path) -> Result<()> {
    let below = |path: &str| -> Result<std::path::PathBuf> {
        let path = prefix.join(path);
        let folder = path.parent().unwrap_or(prefix);
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(path)
    };
    let binary = below("bin/tracer")?;
    // In a file of its own first: the one that is there may be running.
    let new = binary.with_extension("new");
    let copied = fs::copy(tracer, &new).and_then(|_| fs::rename(&new, &binary));
    copied.with_context(|| format!("cannot write {}", binary.display()))?;
    let own = || std::process::Command::new(&binary);
    command::quiet(own().arg("man").arg(below("share/man/man1")?))?;
    command::quiet(own().args(["plugin", "include-dir", "--write"]).arg(below("share/tracer/include")?))?;
    for (shell, path) in COMPLETIONS {
        let text = command::output(own().args(["completion", shell]))?;
        let path = below(path)?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!(
        "installed below {}: bin/tracer, headers for plugins, manual pages, completions",
        prefix.display()
    );
    Ok(())
}

/// Installs into a folder that is thrown away, and asks what is there where it is.
pub(crate) fn check(tracer: &Path, folder: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(folder);
    run(tracer, folder)?;
    let include = command::output(
        std::process::Command::new(folder.join("bin/tracer")).args(["plugin", "include-dir"]),
    )?;
    let include = Path::new(include.trim());
    ensure!(include.starts_with(folder), "headers are found in {}", include.display());
    for file in [
        include.join("tracer/fragment.h"),
        include.join("tracer/plugin.h"),
        folder.join("share/man/man1/tracer.1"),
    ] {
        ensure!(file.is_file(), "{} was not installed", file.display());
    }
    for (_, path) in COMPLETIONS {
        ensure!(fs::metadata(folder.join(path))?.len() > 100, "{path} was not installed");
    }
    // It is what it says, and a second time as good.
    run(tracer, folder)?;
    fs::remove_dir_all(folder).context("cannot clean up")
}
