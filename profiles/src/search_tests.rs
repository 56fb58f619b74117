//! Searching in real folders, each test in one of its own.

use super::*;

/// A folder that is gone when the test is.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tracer-profiles-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn dir(&self, name: &str) -> PathBuf {
        let dir = self.0.join(name);
        fs::create_dir_all(&dir).unwrap();
        dir
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Without the system's folders, which may hold anything where the tests run.
fn path(named: &[PathBuf], usual: &[PathBuf]) -> SearchPath {
    SearchPath { named: named.to_vec(), usual: usual.to_vec() }
}

#[test]
fn the_nearest_folder_wins_and_what_is_built_in_comes_last() {
    let folder = Folder::new("nearest");
    let (near, far) = (folder.dir("near"), folder.dir("far"));
    let search = path(std::slice::from_ref(&near), std::slice::from_ref(&far));

    let found = find("nft-dropmon", &search).unwrap();
    assert_eq!((&found.origin, found.file().as_str()), (&Origin::BuiltIn, "nft-dropmon.toml (built in)"));
    assert_eq!(found.text, builtin()[0].text);

    for (dir, text) in [(&far, "far"), (&near, "near")] {
        let file = dir.join("nft-dropmon.toml");
        fs::write(&file, text).unwrap();
        let found = find("nft-dropmon", &search).unwrap();
        assert_eq!(found.file(), file.display().to_string());
        let origin = Origin::File(file);
        assert_eq!(found, Loaded { name: "nft-dropmon".into(), origin, text: text.into() });
    }
}

#[test]
fn a_path_is_taken_as_such() {
    let folder = Folder::new("path");
    let file = folder.0.join("mine.toml");
    fs::write(&file, "text").unwrap();
    let found = find(file.to_str().unwrap(), &path(&[], &[])).unwrap();
    let origin = Origin::File(file);
    assert_eq!(found, Loaded { name: "mine".into(), origin, text: "text".into() });

    let error = find("./nft-dropmon", &path(&[], &[])).unwrap_err();
    assert!(matches!(error, FindError::Unreadable { kind: io::ErrorKind::NotFound, .. }));
    let error = find("absent.toml", &path(&[], &[])).unwrap_err();
    assert!(matches!(error, FindError::Unreadable { kind: io::ErrorKind::NotFound, .. }));
}

#[test]
fn an_unknown_profile_names_the_nearest_and_lists_all_with_their_places() {
    let folder = Folder::new("unknown");
    let (near, far) = (folder.dir("near"), folder.dir("far"));
    for file in [near.join("mine.toml"), far.join("mine.toml"), far.join("notes.txt")] {
        fs::write(file, "").unwrap();
    }
    let error = find("nft-dropmom", &path(std::slice::from_ref(&near), &[far])).unwrap_err();
    let mine = near.join("mine.toml");
    let known = vec![
        Known { name: "mine".into(), origin: Origin::File(mine.clone()) },
        Known { name: "nft-dropmon".into(), origin: Origin::BuiltIn },
    ];
    assert_eq!(error, FindError::Unknown { name: "nft-dropmom".into(), known });
    let expected = Diagnostic::error("unknown profile `nft-dropmom`")
        .hint("did you mean `nft-dropmon`?")
        .hint(format!("known: mine ({}), nft-dropmon (built in)", mine.display()));
    assert_eq!(Diagnostic::from(error), expected);
}

#[test]
fn a_probe_in_the_place_of_a_profile_is_recognised() {
    let error = find("kprobe:kfree_skb", &path(&[], &[])).unwrap_err();
    let hints = Diagnostic::from(error).hints;
    assert_eq!(hints, ["is it a probe? `--probe kprobe:kfree_skb`", "known: nft-dropmon (built in)"]);
}

#[test]
fn a_missing_folder_is_a_mistake_only_where_the_user_named_it() {
    let folder = Folder::new("missing");
    let gone = folder.0.join("gone");
    assert!(find("nft-dropmon", &path(&[], std::slice::from_ref(&gone))).is_ok());
    let error = find("nft-dropmon", &path(std::slice::from_ref(&gone), &[])).unwrap_err();
    assert!(
        matches!(&error, FindError::Unreadable { path, kind: io::ErrorKind::NotFound, .. } if *path == gone)
    );
    assert!(error.to_string().starts_with(&format!("cannot read {}: ", gone.display())));
}

#[test]
fn a_file_that_cannot_be_read_is_not_passed_over() {
    let folder = Folder::new("unreadable");
    let near = folder.dir("near");
    fs::write(near.join("nft-dropmon.toml"), b"\xff\xfe").unwrap();
    let error = find("nft-dropmon", &path(&[], &[near])).unwrap_err();
    assert!(matches!(error, FindError::Unreadable { kind: io::ErrorKind::InvalidData, .. }));
}

#[test]
fn the_user_stands_between_the_named_folders_and_the_systems() {
    let search = SearchPath::new([PathBuf::from("/x")]).with_user(Path::new("/home/u/.config"));
    let dirs: Vec<_> = search.dirs().map(|dir| dir.display().to_string()).collect();
    assert_eq!(
        dirs,
        ["/x", "/home/u/.config/tracer/profiles", "/etc/tracer/profiles", "/usr/share/tracer/profiles"]
    );
}
