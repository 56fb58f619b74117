//! Searching in real folders, each test in one of its own.

use super::*;
use crate::Builtin;

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
    assert!(builtin().iter().any(|builtin| builtin.text == found.text));

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

    // Behind a `/` the ending may be left out.
    let without = folder.0.join("mine");
    assert_eq!(find(without.to_str().unwrap(), &path(&[], &[])).unwrap(), found);
    for absent in ["./absent", "./absent.toml"] {
        let error = find(absent, &path(&[], &[])).unwrap_err();
        let expected = Path::new(absent);
        assert!(
            matches!(&error, FindError::Unreadable { kind: io::ErrorKind::NotFound, path, .. } if path == expected)
        );
    }
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
    let built_in = |builtin: &Builtin| Known { name: builtin.name.into(), origin: Origin::BuiltIn };
    let mut known: Vec<Known> = builtin().iter().map(built_in).collect();
    known.push(Known { name: "mine".into(), origin: Origin::File(mine.clone()) });
    known.sort_by(|a, b| a.name.cmp(&b.name));
    let list: Vec<_> = known.iter().map(|k| format!("{} ({})", k.name, k.origin)).collect();
    assert_eq!(error, FindError::Unknown { name: "nft-dropmom".into(), known });
    let expected = Diagnostic::error("unknown profile `nft-dropmom`")
        .hint("did you mean `nft-dropmon`?")
        .hint(format!("known: {}", list.join(", ")));
    assert!(list.contains(&format!("mine ({})", mine.display())));
    assert_eq!(Diagnostic::from(error), expected);
}

#[test]
fn a_probe_in_the_place_of_a_profile_is_recognised() {
    let error = find("kprobe:kfree_skb", &path(&[], &[])).unwrap_err();
    let hints = Diagnostic::from(error).hints;
    assert_eq!(hints[0], "is it a probe? `--probe kprobe:kfree_skb`");
    assert!(hints[1].contains("nft-dropmon (built in)"));
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

#[test]
fn what_is_hidden_stands_behind_what_hides_it() {
    let folder = Folder::new("hidden");
    let (near, far) = (folder.dir("near"), folder.dir("far"));
    for dir in [&near, &far] {
        fs::write(dir.join("nft-dropmon.toml"), "").unwrap();
    }
    let search = path(std::slice::from_ref(&near), std::slice::from_ref(&far));
    let all = search.all().into_iter().filter(|known| known.name == "nft-dropmon");
    let origins: Vec<_> = all.map(|known| known.origin).collect();
    let file = |dir: &Path| Origin::File(dir.join("nft-dropmon.toml"));
    assert_eq!(origins, [file(&near), file(&far), Origin::BuiltIn]);
    assert_eq!(search.known().iter().filter(|known| known.name == "nft-dropmon").count(), 1);
}

#[test]
fn a_profile_names_its_parents_from_where_it_stands() {
    let folder = Folder::new("parents");
    let (near, far) = (folder.dir("near"), folder.dir("far"));
    for (file, text) in [
        (near.join("nft-dropmon.toml"), "near"),
        (far.join("nft-dropmon.toml"), "far"),
        (far.join("base.toml"), "base"),
        (folder.0.join("x.toml"), "x"),
    ] {
        fs::write(file, text).unwrap();
    }
    let search = path(&[near], &[far]);
    let text = |name, from: Option<&Source>| search.source(name, from).unwrap().text;
    let nearest = search.source("nft-dropmon", None).unwrap();
    assert_eq!(nearest.text, "near");
    // A path is relative to the file, and however it is written the file is the same.
    assert_eq!(text("../x.toml", Some(&nearest)), "x");
    assert_eq!(search.source("../near/nft-dropmon", Some(&nearest)).unwrap().path, nearest.path);
    assert_eq!(text("base", Some(&nearest)), "base");
    // Its own name is the one that it stands before, and so on to what is built in.
    let next = search.source("nft-dropmon", Some(&nearest)).unwrap();
    assert_eq!(next.text, "far");
    assert_eq!(search.source("nft-dropmon", Some(&next)).unwrap().path, None);
    // With nothing behind it, it is itself, which is told as a circle.
    let base = search.source("base", None).unwrap();
    assert_eq!(search.source("base", Some(&base)).unwrap(), base);
    assert!(search.source("../gone.toml", Some(&nearest)).is_err());
}
