//! The plugins that guests find in `/payload/plugins`: the examples, those that are to be refused, and the built-in collectors as
//! folders of the same form.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{command, place, setup};

/// Compiles all that have a manifest into folders of theirs.
pub(super) fn write(into: &Path) -> Result<()> {
    let workspace = place::workspace()?;
    for sources in ["plugins/examples", "collectors", "tests/vm/plugins"] {
        let sources = workspace.join(sources);
        for entry in fs::read_dir(&sources).with_context(|| format!("cannot read {}", sources.display()))? {
            let source = entry?.path();
            let name = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let manifest = source.join("collector.toml");
            if manifest.exists() {
                let folder = into.join(&name);
                fs::create_dir_all(&folder)?;
                fs::copy(manifest, folder.join("collector.toml"))?;
                compile(&source, &name, &folder).with_context(|| format!("plugin {name} cannot be built"))?;
            }
        }
    }
    Ok(())
}

/// The shared libraries among them.
pub(super) fn libraries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let plugin = entry?.path();
        let name = plugin.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.extend(Some(plugin.join(format!("{name}.so"))).filter(|library| library.exists()));
    }
    Ok(found)
}

/// A fragment, a native half in C or Rust, or both, as far as there are sources.
fn compile(source: &Path, name: &str, folder: &Path) -> Result<()> {
    let workspace = place::workspace()?;
    let fragment = source.join(format!("{name}.bpf.c"));
    if fragment.exists() {
        let clang = setup::clang().context("there is no clang: run `cargo xtask setup`")?;
        for (object, direct) in [("bpf.o", None), ("direct.bpf.o", Some("-DTRACER_DIRECT"))] {
            let mut compile = Command::new(&clang);
            compile.args(["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Wno-unused-variable", "-I"]);
            compile.arg(workspace.join("ebpf/include")).args(direct).arg("-c").arg(&fragment);
            command::quiet(compile.arg("-o").arg(folder.join(format!("{name}.{object}"))))?;
        }
    }
    let library = folder.join(format!("{name}.so"));
    let in_c = source.join(format!("{name}.c"));
    if in_c.exists() {
        let mut compile = command::program("cc")?;
        compile.args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-I"]);
        compile.arg(workspace.join("plugins/abi/include")).arg(in_c);
        command::quiet(compile.arg("-o").arg(&library))?;
    } else if source.join("Cargo.toml").exists() {
        command::quiet(command::cargo()?.args(["build", "--release", "--package", name]))?;
        fs::copy(place::target()?.join(format!("release/lib{name}.so")), &library)
            .with_context(|| format!("cannot copy lib{name}.so"))?;
    }
    if library.exists() {
        // Whatever the umask here is: what others may write is not loaded.
        fs::set_permissions(&library, fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}
