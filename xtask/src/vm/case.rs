//! The case format: one small text file says what is set up, which tracer command runs, what traffic is sent, and what must
//! be seen. `tests/vm/README.md` describes it for those who write cases.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::expect::Expectation;
use super::kernel::Version;
use crate::place;

/// The parts of a case that are shell, in the order in which they run.
const SCRIPTS: [&str; 4] = ["setup", "tracer", "traffic", "after"];
/// Which of them is the command under test.
const TRACER: usize = 1;

/// One case, as read from its file.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The file's name without ending, after the collector's name if it is a collector's own.
    pub(crate) name: String,
    /// Its first comment lines.
    pub(crate) about: String,
    /// Kernels it is for; none: all.
    kernels: Vec<String>,
    /// Seconds that it may take.
    pub(crate) limit: u32,
    /// Whether the tracer must get ready (else it may end before).
    ready: bool,
    /// Whether the tracer ends on its own (else it gets SIGINT after the traffic).
    ends_itself: bool,
    /// The shell text of each of [`SCRIPTS`].
    scripts: [String; 4],
    /// What must be seen.
    pub(crate) expectations: Vec<Expectation>,
    /// Programs that it needs beside tracer; not said in the file.
    pub(crate) programs: Vec<PathBuf>,
}

impl Case {
    /// Gives the command under test more arguments, which are plain words.
    pub(crate) fn arguments(&mut self, words: &[String]) {
        let command = &mut self.scripts[TRACER];
        command.truncate(command.trim_end().len());
        words.iter().for_each(|word| command.push_str(&format!(" '{word}'")));
        command.push('\n');
    }

    /// All cases of the workspace, by name: those in `tests/vm` and those that collectors and example plugins bring.
    pub(crate) fn all() -> Result<Vec<Case>> {
        let root = place::workspace()?;
        let mut cases = in_folder(&root.join("tests/vm"), "")?;
        for folders in [root.join("collectors"), root.join("plugins/examples")] {
            for entry in
                fs::read_dir(&folders).with_context(|| format!("cannot read {}", folders.display()))?
            {
                let entry = entry?;
                let folder = entry.path().join("cases");
                if folder.is_dir() {
                    cases.extend(in_folder(&folder, &format!("{}/", entry.file_name().to_string_lossy()))?);
                }
            }
        }
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(cases)
    }

    /// A scene that is no test: it stands in a file of its own, and needs these programs.
    pub(crate) fn at(path: &Path, programs: Vec<PathBuf>) -> Result<Case> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let case = Case::parse(&stem, &text).with_context(|| path.display().to_string())?;
        Ok(Case { programs, ..case })
    }

    /// Whether the case is for this kernel; `asked` when the kernel was named on the command line.
    pub(crate) fn is_for(&self, version: Version, asked: bool) -> bool {
        if self.kernels.is_empty() {
            return asked || version.usual;
        }
        self.kernels.iter().any(|name| name == version.name)
    }

    /// The shell text of a section.
    pub(crate) fn script(&self, name: &str) -> &str {
        SCRIPTS.iter().position(|known| *known == name).map_or("", |at| &self.scripts[at])
    }

    /// Whether it needs the filters and packets that `tests/filter` makes.
    pub(crate) fn asks_filters(&self) -> bool {
        self.scripts.iter().any(|script| script.contains("/payload/filter/"))
    }

    /// The files that the guest runs, by name: the sections, and the settings as shell variables.
    pub(crate) fn scripts(&self) -> Vec<(&'static str, String)> {
        let yes = |value| if value { "yes" } else { "no" };
        let settings = format!(
            "NAME='{}'\nLIMIT={}\nMUST_GET_READY={}\nENDS_ITSELF={}\n",
            self.name,
            self.limit,
            yes(self.ready),
            yes(self.ends_itself)
        );
        let mut files = vec![("settings", settings)];
        files.extend(SCRIPTS.iter().zip(&self.scripts).map(|(name, text)| (*name, text.clone())));
        files
    }

    fn parse(name: &str, text: &str) -> Result<Case> {
        let mut case = Case {
            name: name.to_owned(),
            about: String::new(),
            kernels: Vec::new(),
            limit: 60,
            ready: true,
            ends_itself: false,
            scripts: Default::default(),
            expectations: Vec::new(),
            programs: Vec::new(),
        };
        // Names go into shell text and folder names.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
        ensure!(name.chars().all(plain), "a case's name is made of letters, digits, `-` and `_`");
        let mut section: Option<&str> = None;
        let mut expected = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(title) = title(line) {
                ensure!(
                    SCRIPTS.contains(&title) || title == "expect",
                    "line {number}: `{line}` starts no section: there are [{}] and [expect]",
                    SCRIPTS.join("], [")
                );
                section = Some(title);
                continue;
            }
            match section {
                None => case.heading(line).with_context(|| format!("line {number}"))?,
                Some("expect") => expected.push((number, line)),
                Some(title) => {
                    for (script, known) in case.scripts.iter_mut().zip(SCRIPTS) {
                        if known == title {
                            script.push_str(line);
                            script.push('\n');
                        }
                    }
                }
            }
        }
        ensure!(!case.about.is_empty(), "the first line says what the case is about: `# ...`");
        ensure!(
            !case.script("tracer").trim().is_empty(),
            "there is no [tracer] section: it holds the command under test"
        );
        case.expectations = Expectation::parse(&expected)?;
        ensure!(!case.expectations.is_empty(), "there is nothing in [expect]: such a case cannot fail");
        Ok(case)
    }

    fn heading(&mut self, line: &str) -> Result<()> {
        if let Some(comment) = line.strip_prefix('#') {
            if !self.about.is_empty() {
                self.about.push(' ');
            }
            self.about.push_str(comment.trim());
            return Ok(());
        }
        if line.trim().is_empty() {
            return Ok(());
        }
        let (key, value) = line
            .split_once('=')
            .with_context(|| format!("`{line}` is neither `# text` nor `key = value`"))?;
        match (key.trim(), value.trim()) {
            ("kernels", names) => {
                for name in names.split_whitespace() {
                    self.kernels.push(Version::named(name)?.name.to_owned());
                }
            }
            ("limit", seconds) => {
                self.limit =
                    seconds.parse().with_context(|| format!("`{seconds}` is no number of seconds"))?;
            }
            ("ready", "yes") => self.ready = true,
            ("ready", "optional") => self.ready = false,
            ("end", "signal") => self.ends_itself = false,
            ("end", "self") => self.ends_itself = true,
            (key @ ("ready" | "end"), value) => {
                bail!("`{key}` cannot be `{value}`: there are `ready = yes|optional` and `end = signal|self`")
            }
            (key, _) => bail!("there is no setting `{key}`: there are kernels, limit, ready, end"),
        }
        Ok(())
    }
}

/// The title of a section's first line, `[title]`; a comment may follow. (`[ -e file ]` is shell.)
fn title(line: &str) -> Option<&str> {
    let (title, rest) = line.strip_prefix('[')?.split_once(']')?;
    let rest = rest.trim();
    let word = title.chars().all(|c| c.is_ascii_lowercase());
    (word && (rest.is_empty() || rest.starts_with('#'))).then_some(title)
}

fn in_folder(folder: &Path, prefix: &str) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "case") {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        cases.push(
            Case::parse(&format!("{prefix}{stem}"), &text).with_context(|| path.display().to_string())?,
        );
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: &str = "# A drop\n# of a packet\nkernels = 6.1\nlimit = 90\nend = self\n\n[setup]\nA=1\n[tracer] # comment\ntracer collect\n[expect]\nexit 0\n";

    #[test]
    fn a_case_is_read() {
        let case = Case::parse("drop", CASE).unwrap();
        assert_eq!(case.about, "A drop of a packet");
        assert_eq!((case.limit, case.ready, case.ends_itself), (90, true, true));
        assert_eq!(case.script("setup"), "A=1\n");
        assert_eq!(case.script("tracer"), "tracer collect\n");
        let is_for = |case: &Case, name, asked| case.is_for(Version::named(name).unwrap(), asked);
        assert!(is_for(&case, "6.1", false));
        assert!(!is_for(&case, "6.12", true));
        let everywhere = Case::parse("drop", &CASE.replace("kernels = 6.1\n", "")).unwrap();
        assert!(is_for(&everywhere, "6.12", false) && is_for(&everywhere, "5.10", true));
        assert!(!is_for(&everywhere, "5.10", false));
    }

    #[test]
    fn what_cannot_be_a_case_is_refused() {
        for (text, reason) in [
            ("[tracer]\nx\n[expect]\nexit 0\n", "what the case is about"),
            ("# a\n[expect]\nexit 0\n", "no [tracer]"),
            ("# a\n[tracer]\nx\n", "cannot fail"),
            ("# a\n[trcer]\nx\n", "starts no section"),
            ("# a\nkernel = 6.1\n", "no setting `kernel`"),
            ("# a\nkernels = 6.2\n", "no kernel `6.2`"),
        ] {
            let error = format!("{:#}", Case::parse("x", text).unwrap_err());
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn the_cases_of_the_workspace_are_well_formed() {
        assert!(Case::all().unwrap().len() >= 7);
    }
}
