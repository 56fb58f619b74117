//! The kernels of the test matrix: where each comes from, and its cache under `target/vm/kernels`. Cached are the packages
//! as downloaded and what guests need of them: the ELF image, which boots faster than the compressed one, and the modules.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::archive::Suite;
use super::modules;
use crate::{command, place};

/// A line of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    /// Major and minor number, as one types it.
    pub(crate) name: &'static str,
    /// The Debian suites that carry it, first choice first.
    suites: &'static [&'static str],
    /// Whether cases that name no kernels run on it without being asked; the others get the cases that name them.
    pub(crate) usual: bool,
}

/// All kernels that can be asked for.
pub(crate) const VERSIONS: &[Version] = &[
    Version { name: "5.10", suites: &["bullseye"], usual: false },
    Version { name: "6.1", suites: &["bookworm"], usual: true },
    Version { name: "6.12", suites: &["bookworm-backports", "trixie"], usual: true },
    Version { name: "6.18", suites: &["trixie-backports"], usual: false },
    Version { name: "7.3", suites: &["trixie-backports"], usual: false },
];

impl Version {
    /// The version with this name.
    pub(crate) fn named(name: &str) -> Result<Version> {
        let known = || VERSIONS.iter().map(|version| version.name).collect::<Vec<_>>().join(", ");
        VERSIONS
            .iter()
            .copied()
            .find(|version| version.name == name)
            .with_context(|| format!("there is no kernel `{name}` here: there are {}", known()))
    }

    /// The package for this version among a suite's packages: the newest build for virtual machines.
    fn newest(self, packages: &[String]) -> Option<String> {
        let builds = packages.iter().filter(|package| {
            let Some(rest) =
                package.strip_prefix("linux-image-").and_then(|rest| rest.strip_prefix(self.name))
            else {
                return false;
            };
            rest.starts_with('.') && rest.ends_with("-cloud-amd64")
        });
        builds.max_by_key(|package| numbers(package)).cloned()
    }
}

/// The numbers in a name, for comparing versions: 6.12.95 is newer than 6.12.9.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// A kernel that can be booted.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// Which line of the matrix it is.
    pub(crate) version: Version,
    /// Its full release, such as `6.12.95+deb12-cloud-amd64`.
    pub(crate) release: String,
    /// The uncompressed image.
    pub(crate) image: PathBuf,
    /// The folder that goes to the guest's `/lib/modules/RELEASE`.
    pub(crate) modules: PathBuf,
}

impl Kernel {
    /// Take a kernel from the cache, or fetch and unpack it first.
    pub(crate) fn cached(version: Version) -> Result<Kernel> {
        let folder = place::target()?.join("vm/kernels");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let (packages, unpacked) =
            (folder.join(format!("{}.packages", version.name)), folder.join(version.name));
        if let Some(kernel) = Kernel::open(version, &unpacked) {
            return Ok(kernel);
        }
        // Each folder is made under another name and renamed when it is whole, so an interrupted run leaves no half one.
        if !packages.exists() {
            let work =
                Scratch::new(folder.join(format!("{}.fetching-{}", version.name, std::process::id())))?;
            fetch(version, &work.folder)?;
            work.keep_as(&packages)?;
        }
        let work = Scratch::new(folder.join(format!("{}.unpacking-{}", version.name, std::process::id())))?;
        unpack(&packages, &work.folder).with_context(|| {
            format!(
                "the packages in {} cannot be used: delete that folder, and they are fetched again",
                packages.display()
            )
        })?;
        if unpacked.exists() {
            fs::remove_dir_all(&unpacked)
                .with_context(|| format!("cannot replace {}", unpacked.display()))?;
        }
        work.keep_as(&unpacked)?;
        Kernel::open(version, &unpacked)
            .with_context(|| format!("{} is not whole: delete it", unpacked.display()))
    }

    /// A cache entry, unless it was made for another set of modules.
    fn open(version: Version, folder: &Path) -> Option<Kernel> {
        let made_for = fs::read_to_string(folder.join("made-for")).ok()?;
        if made_for != modules::WANTED.join(" ") {
            return None;
        }
        let release = fs::read_to_string(folder.join("release")).ok()?;
        let (image, modules) = (folder.join("vmlinux"), folder.join("modules"));
        Some(Kernel { version, release, image, modules })
    }
}

fn fetch(version: Version, into: &Path) -> Result<()> {
    let apt = into.join("apt");
    let mut refusals = Vec::new();
    for name in version.suites {
        println!("   Linux {}: fetching from the machine's package mirror (suite {name})", version.name);
        let attempt = Suite::fetch(name, &apt).and_then(|suite| {
            let image = version.newest(&suite.packages("linux-image-")?).with_context(|| {
                format!("the suite {name} has no Linux {} for virtual machines", version.name)
            })?;
            let mut wanted = vec![image.clone()];
            // Since 7.1 or so the image package is empty, and these two hold image and modules.
            for part in ["linux-binary-", "linux-modules-"] {
                let sibling = image.replace("linux-image-", part);
                wanted.extend(suite.packages(&sibling)?.into_iter().filter(|package| *package == sibling));
            }
            suite.download(&wanted, into)
        });
        // Tens of megabytes of lists that the packages' folder has no use for.
        fs::remove_dir_all(&apt).with_context(|| format!("cannot remove {}", apt.display()))?;
        match attempt {
            Ok(()) => return Ok(()),
            Err(error) => refusals.push(format!("{error:#}")),
        }
    }
    bail!("Linux {} cannot be fetched: {}", version.name, refusals.join("; "))
}

fn unpack(packages: &Path, into: &Path) -> Result<()> {
    let tree = Scratch::new(into.join("tree"))?;
    for entry in fs::read_dir(packages)? {
        let package = entry?.path();
        if package.extension().is_some_and(|ending| ending == "deb") {
            command::quiet(command::program("dpkg-deb")?.arg("-x").arg(&package).arg(&tree.folder))?;
        }
    }
    // Where /usr is not merged yet, and where it is; depmod knows the first only.
    let (split, merged) = (tree.folder.join("lib"), tree.folder.join("usr/lib"));
    if !split.exists() {
        symlink(&merged, &split).context("cannot link lib to usr/lib")?;
    }
    let all = single(&split.join("modules"))?;
    let release = all.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // Since 7.1 or so the image stands with the modules.
    let images = [tree.folder.join(format!("boot/vmlinuz-{release}")), all.join("vmlinuz")];
    let image = images
        .iter()
        .find(|image| image.exists())
        .with_context(|| format!("the packages hold no image of {release}"))?;
    extract_elf(image, &into.join("vmlinux"))?;
    modules::select(&tree.folder, &all, &release, &into.join("modules"))?;
    fs::write(into.join("release"), &release)?;
    fs::write(into.join("made-for"), modules::WANTED.join(" "))?;
    Ok(())
}

/// The ELF image inside a bzImage: the header says where the compressed payload stands, its last four bytes how long the
/// image is (Documentation/arch/x86/boot.rst in the kernel's source).
fn extract_elf(compressed: &Path, into: &Path) -> Result<()> {
    let bytes = fs::read(compressed).with_context(|| format!("cannot read {}", compressed.display()))?;
    let number = |at: usize| -> Result<usize> {
        let word = bytes.get(at..at + 4).context("the kernel image is cut short")?;
        Ok(u32::from_le_bytes([word[0], word[1], word[2], word[3]]).try_into()?)
    };
    ensure!(bytes.get(0x202..0x206) == Some(b"HdrS"), "{} is no x86 kernel image", compressed.display());
    let setup_sectors = match bytes[0x1f1] {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = (setup_sectors + 1) * 512 + number(0x248)?;
    let end = start + number(0x24c)?;
    let payload = bytes.get(start..end).context("the kernel image's payload is cut short")?;
    let length = number(end - 4)?;
    let (tool, ending) = match payload {
        [0x02, 0x21, 0x4c, 0x18, ..] => ("lz4", "lz4"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => ("zstd", "zst"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => ("xz", "xz"),
        [0x1f, 0x8b, ..] => ("gzip", "gz"),
        [a, b, c, d, ..] => {
            bail!("the kernel image is compressed in an unknown way ({a:02x} {b:02x} {c:02x} {d:02x})")
        }
        _ => bail!("the kernel image has no payload"),
    };
    let packed = into.with_extension(ending);
    fs::write(&packed, payload)?;
    // The length after the data makes some of them fail at their very end; the result's length is what counts.
    command::filter(command::program(tool)?.arg("-dc"), &packed, into)?;
    fs::remove_file(&packed)?;
    let image = fs::read(into)?;
    ensure!(
        image.len() == length && image.starts_with(b"\x7fELF"),
        "`{tool}` made {} bytes of the kernel image instead of an ELF file of {length}",
        image.len()
    );
    Ok(())
}

/// The one entry of a folder.
fn single(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let [entry] = &entries[..] else {
        bail!("{} holds {} entries instead of one", folder.display(), entries.len());
    };
    Ok(entry.path())
}

/// A folder that vanishes again unless it is kept.
struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    fn new(folder: PathBuf) -> Result<Scratch> {
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Scratch { folder })
    }

    /// Give the folder its lasting name. That another process was quicker is no failure: both made the same.
    fn keep_as(self, name: &Path) -> Result<()> {
        match fs::rename(&self.folder, name) {
            Err(_) if name.exists() => Ok(()),
            result => result.with_context(|| format!("cannot rename {}", self.folder.display())),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // After `keep_as` there is nothing under this name.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_build_is_taken_by_number() {
        let packages = [
            "linux-image-6.12.9+deb12-cloud-amd64",
            "linux-image-6.12.95+deb12-cloud-amd64",
            "linux-image-6.12.95+deb12-cloud-amd64-unsigned",
            "linux-image-6.12.96+deb12-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
        ]
        .map(str::to_owned);
        let newest = |name| Version::named(name).unwrap().newest(&packages);
        assert_eq!(newest("6.12").as_deref(), Some("linux-image-6.12.95+deb12-cloud-amd64"));
        assert_eq!(newest("6.1").as_deref(), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(newest("6.18"), None);
    }
}
