//! Kernel packages out of the machine's own package mirror. The mirror's address is asked of apt, so no host name stands
//! here; other suites of the same archive are read through a private package list, which leaves the machine's lists alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{command, place};

/// Says where Debian's archive is, on machines whose own packages are not Debian's.
const MIRROR_VARIABLE: &str = "TRACER_DEBIAN_MIRROR";

/// One suite of the archive, with package lists of its own in a private folder.
pub(crate) struct Suite {
    folder: PathBuf,
}

impl Suite {
    /// Fetch the package lists of a suite into `folder`.
    pub(crate) fn fetch(name: &str, folder: &Path) -> Result<Suite> {
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))
                .with_context(|| format!("cannot create {}", folder.join(part).display()))?;
        }
        // apt wants absolute names.
        let folder = folder.canonicalize().with_context(|| format!("cannot find {}", folder.display()))?;
        // Debian's keys, old suites' included, have a file of their own where the distribution brings them.
        let keys = Path::new("/usr/share/keyrings/debian-archive-keyring.gpg");
        let signed_by =
            if keys.exists() { format!("[signed-by={}] ", keys.display()) } else { String::new() };
        let line = format!("deb {signed_by}{} {name} main\n", mirror()?);
        fs::write(folder.join("sources.list"), line).context("cannot write a private package list")?;
        let suite = Suite { folder };
        command::quiet(suite.apt("apt-get")?.args(["--quiet", "update"]))
            .with_context(|| format!("the package lists of the suite {name} cannot be fetched"))?;
        Ok(suite)
    }

    /// The names of all packages that start so.
    pub(crate) fn packages(&self, prefix: &str) -> Result<Vec<String>> {
        let names = command::output(self.apt("apt-cache")?.args(["pkgnames", prefix]))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Download packages into a folder, without installing anything.
    pub(crate) fn download(&self, packages: &[String], into: &Path) -> Result<()> {
        let mut apt = self.apt("apt-get")?;
        command::quiet(apt.current_dir(into).args(["--quiet", "download"]).args(packages))
            .with_context(|| format!("{} cannot be downloaded", packages.join(", ")))
    }

    fn apt(&self, program: &str) -> Result<Command> {
        let mut apt = command::program(program)?;
        let at = |part: &str| self.folder.join(part).display().to_string();
        let mut settings = vec![
            format!("Dir::Etc::sourcelist={}", at("sources.list")),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::State::lists={}", at("lists")),
            format!("Dir::Cache={}", at("cache")),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=3".to_owned(),
        ];
        if place::is_root() {
            // apt's own user often cannot look into a checkout.
            settings.push("APT::Sandbox::User=root".to_owned());
        }
        for setting in settings {
            apt.args(["-o", &setting]);
        }
        Ok(apt)
    }
}

/// The address of Debian's main archive, as this machine is configured.
fn mirror() -> Result<String> {
    if let Ok(mirror) = std::env::var(MIRROR_VARIABLE) {
        return Ok(mirror);
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field = |name: &str| {
        release
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .map(|value| value.trim_matches('"'))
    };
    if field("ID") == Some("debian") {
        // Debian's main archive is where this machine takes its main suite from (security has an archive of its own).
        let targets = command::output(command::program("apt-get")?.args([
            "indextargets",
            "--format",
            "$(RELEASE) $(COMPONENT) $(REPO_URI)",
            "Created-By: Packages",
        ]))?;
        let codename = field("VERSION_CODENAME").unwrap_or("stable");
        for target in targets.lines() {
            if let [suite, "main", uri] = target.split(' ').collect::<Vec<_>>()[..]
                && [codename, "stable", "testing", "unstable", "sid"].contains(&suite)
            {
                return Ok(uri.to_owned());
            }
        }
    }
    bail!(
        "the guests' kernels are Debian packages, and no Debian archive is among this machine's package sources\n  \
         set {MIRROR_VARIABLE} to the address of one, and install debian-archive-keyring"
    )
}
