//! What a guest starts from: a first file system with programs and modules, and a disk with the tracer under test and the
//! cases. Two, because the first is unpacked at each boot and must be small.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::case::Case;
use super::kernel::Kernel;
use super::plugins;
use crate::{command, place, setup, test};

/// The files that a guest is started with.
pub(crate) struct Images {
    /// The first file system, a cpio archive.
    pub(crate) initramfs: PathBuf,
    /// The disk, ext4.
    pub(crate) payload: PathBuf,
}

/// What is put onto the disk.
pub(crate) struct Payload<'p> {
    /// The executable under test.
    pub(crate) tracer: &'p Path,
    /// The cases to run, in this order.
    pub(crate) cases: &'p [Case],
}

impl Images {
    /// Make both in a folder.
    pub(crate) fn make(kernel: &Kernel, payload: &Payload<'_>, folder: &Path) -> Result<Images> {
        let images =
            Images { initramfs: folder.join("initramfs.cpio"), payload: folder.join("payload.ext4") };
        let disk = folder.join("payload");
        make_payload(payload, &disk, &images.payload).context("the guest's disk cannot be made")?;
        let plugins = plugins::libraries(&disk.join("plugins"))?;
        make_initramfs(kernel, payload, &plugins, &folder.join("initramfs"), &images.initramfs)
            .context("the guest's first file system cannot be made")?;
        Ok(images)
    }
}

fn make_initramfs(
    kernel: &Kernel,
    payload: &Payload<'_>,
    plugins: &[PathBuf],
    tree: &Path,
    into: &Path,
) -> Result<()> {
    for folder in ["bin", "dev", "etc", "lib/modules", "payload", "proc", "run", "sbin", "sys", "tmp", "root"]
    {
        fs::create_dir_all(tree.join(folder))?;
    }
    let busybox =
        setup::busybox().context("a static busybox is not installed: `cargo xtask setup` installs it")?;
    fs::copy(busybox, tree.join("bin/busybox"))?;
    // The kernel starts this one to load modules on demand; the rest of busybox is linked by the guest itself.
    symlink("/bin/busybox", tree.join("sbin/modprobe"))?;
    symlink("/bin/busybox", tree.join("bin/sh"))?;
    let mut files = BTreeSet::new();
    for name in ["nft", "ip"] {
        let program = place::program(name).with_context(|| format!("`{name}` is not installed"))?;
        // One place in the guest, wherever this machine has it.
        fs::create_dir_all(tree.join("usr/sbin"))?;
        fs::copy(&program, tree.join("usr/sbin").join(name))?;
        files.extend(libraries(&program)?);
    }
    files.extend(libraries(payload.tracer)?);
    for loads in payload.cases.iter().flat_map(|case| &case.programs).chain(plugins) {
        files.extend(libraries(loads)?);
    }
    for file in files {
        let target = tree.join(file.strip_prefix("/").unwrap_or(&file));
        fs::create_dir_all(target.parent().context("a library stands in a folder")?)?;
        fs::copy(&file, &target).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    let modules = tree.join("lib/modules").join(&kernel.release);
    command::quiet(command::program("cp")?.arg("-r").arg(&kernel.modules).arg(&modules))?;
    let init = tree.join("init");
    fs::copy(place::workspace()?.join("tests/vm/init.sh"), &init)?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    let find = command::program("find")?.arg(".").current_dir(tree).stdout(Stdio::piped()).spawn()?;
    let mut cpio = command::program("cpio")?;
    let cpio = cpio
        .args(["--quiet", "--create", "--format=newc", "--owner=0:0"])
        .current_dir(tree)
        .stdin(find.stdout.context("find has an output")?)
        .stdout(fs::File::create(into)?)
        .status()?;
    ensure!(cpio.success(), "`cpio` failed: {cpio}");
    Ok(())
}

fn make_payload(payload: &Payload<'_>, tree: &Path, into: &Path) -> Result<()> {
    write_payload(payload, tree)?;
    // Debug information is most of a tracer and of no use in there; a script has none, and no harm is done.
    if let Ok(mut strip) = command::program("strip") {
        let _ = strip.arg(tree.join("bin/tracer")).stderr(Stdio::null()).status();
    }
    let used = command::output(command::program("du")?.args(["-sk"]).arg(tree))?;
    let used: u64 = used.split_whitespace().next().context("`du` printed nothing")?.parse()?;
    let size = format!("{}k", used + used / 8 + 4096);
    command::quiet(
        command::program("mke2fs")?
            .args(["-q", "-t", "ext4", "-O", "^has_journal", "-d"])
            .arg(tree)
            .arg(into)
            .arg(size),
    )
}

/// Lay out the disk's content: the scripts, the tracer, and a folder per case, named such that they sort in order.
pub(crate) fn write_payload(payload: &Payload<'_>, tree: &Path) -> Result<()> {
    let scripts = place::workspace()?.join("tests/vm");
    fs::create_dir_all(tree.join("bin"))?;
    for script in ["runner.sh", "case.sh", "tracer.sh", "lib.sh"] {
        fs::copy(scripts.join(script), tree.join(script))
            .with_context(|| format!("cannot copy {}", scripts.join(script).display()))?;
    }
    let tracer = tree.join("bin/tracer");
    fs::copy(payload.tracer, &tracer).with_context(|| format!("cannot copy {}", payload.tracer.display()))?;
    fs::set_permissions(&tracer, fs::Permissions::from_mode(0o755))?;
    fs::copy(test::traffic()?, tree.join("bin/tracer-traffic")).context("cannot copy tracer-traffic")?;
    write_types(&scripts.join("btf"), &tree.join("btf"))?;
    plugins::write(&tree.join("plugins"))?;
    if payload.cases.iter().any(Case::asks_filters) {
        test::filters(&tree.join("filter"))?;
    }
    for program in payload.cases.iter().flat_map(|case| &case.programs) {
        let name = program.file_name().context("a program has a name")?;
        fs::copy(program, tree.join("bin").join(name))
            .with_context(|| format!("cannot copy {}", program.display()))?;
    }
    fs::create_dir_all(tree.join("cases"))?;
    for (index, case) in payload.cases.iter().enumerate() {
        let folder = tree.join("cases").join(format!("{index:03}"));
        fs::create_dir_all(&folder)?;
        for (name, text) in case.scripts() {
            fs::write(folder.join(name), text)?;
        }
    }
    Ok(())
}

/// Types of kernel modules, for kernels that have no BTF of them: C files, compiled to what `tracer --btf` takes.
fn write_types(sources: &Path, into: &Path) -> Result<()> {
    fs::create_dir_all(into)?;
    for entry in fs::read_dir(sources).with_context(|| format!("cannot read {}", sources.display()))? {
        let source = entry?.path();
        let name = source.file_stem().unwrap_or_default();
        // `with_extension` would take the version's last number for one.
        let object = into.join(format!("{}.o", name.to_string_lossy()));
        let mut clang = Command::new(setup::clang().context("there is no clang: run `cargo xtask setup`")?);
        command::quiet(clang.args(["-target", "bpf", "-g", "-c"]).arg(&source).arg("-o").arg(&object))?;
    }
    Ok(())
}

/// The shared libraries that a program loads, its loader included; none for a static one or a script.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let Ok(list) = command::output(command::program("ldd")?.arg(program)) else { return Ok(Vec::new()) };
    let paths = list.lines().filter_map(|line| {
        let path = line.split_once("=>").map_or(line, |(_, path)| path);
        let path = path.split_whitespace().next()?;
        path.starts_with('/').then(|| PathBuf::from(path))
    });
    Ok(paths.collect())
}
