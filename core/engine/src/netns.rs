//! `--netns`: which network namespace a word names.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use tracer_dsl::{Diagnostic, Diagnostics, option::Located};

/// Where `ip netns` keeps the namespaces that have names.
const NAMED: &str = "/run/netns";

/// The inode numbers of the namespaces that are named: by `ip netns`, by the number of a process, or by a file.
///
/// # Errors
/// Each that is not there, or is no network namespace.
pub(crate) fn inums(words: &[Located<String>]) -> Result<Vec<u32>, Diagnostics> {
    let mut found = Diagnostics::new();
    let mut inums = Vec::new();
    for word in words {
        let path = path(&word.value);
        match inum(&path) {
            Ok(inum) => inums.push(inum),
            Err(error) => {
                let reason = match error.kind() {
                    io::ErrorKind::InvalidData => format!("{} is no network namespace", path.display()),
                    _ => format!("{}: {error}", path.display()),
                };
                found.push(
                    Diagnostic::error(format!("there is no network namespace `{}`", word.value))
                        .at(word.source.clone())
                        .because(reason)
                        .hint(
                            "it takes a name as `ip netns list` has it, the number of a process, or a path",
                        ),
                );
            }
        }
    }
    found.or_value(inums)
}

fn path(word: &str) -> PathBuf {
    if word.contains('/') {
        PathBuf::from(word)
    } else if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) {
        PathBuf::from(format!("/proc/{word}/ns/net"))
    } else {
        Path::new(NAMED).join(word)
    }
}

fn inum(path: &Path) -> io::Result<u32> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    if !tracer_kernel::netns::is_network_namespace(&fs::File::open(path)?)? {
        return Err(wrong());
    }
    u32::try_from(fs::metadata(path)?.ino()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use tracer_dsl::SourceRef;

    use super::*;

    fn of(word: &str) -> Result<Vec<u32>, Diagnostics> {
        let source = SourceRef::command_line("netns", word);
        inums(&[Located { value: word.to_owned(), source }])
    }

    #[test]
    fn processes_and_files_name_namespaces() {
        let own = fs::metadata("/proc/self/ns/net").unwrap().ino();
        let pid = std::process::id().to_string();
        for word in ["/proc/self/ns/net", pid.as_str()] {
            assert_eq!(
                of(word).unwrap().iter().map(|inum| u64::from(*inum)).collect::<Vec<_>>(),
                [own],
                "{word}"
            );
        }
    }

    #[test]
    fn what_is_none_is_said() {
        for (word, reason) in [
            ("no-such-namespace", "/run/netns/no-such-namespace: No such file"),
            ("/proc/self/ns/mnt", "/proc/self/ns/mnt is no network namespace"),
            ("/etc/hostname", "/etc/hostname is no network namespace"),
            ("0", "/proc/0/ns/net: No such file"),
        ] {
            let found = of(word).unwrap_err().to_string();
            assert!(
                found.contains(&format!("no network namespace `{word}`")) && found.contains(reason),
                "{found}"
            );
        }
    }
}
