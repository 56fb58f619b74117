//! A trace in several files is read as one, and does not grow beyond what was asked for.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tracer_trace::Sink;
use tracer_trace::file::{CreateError, Flaw, RotatingSink, Rotation, Trace};

use crate::common::{Both, Folder, Memory, read, run};

/// Writes a rotated trace, and returns what is in it.
fn rotated(folder: &Folder, rotation: &str, events: usize) -> Memory {
    let mut sink = Box::new(RotatingSink::create(&folder.path("t"), rotation.parse().unwrap()).unwrap());
    let mut memory = Memory::default();
    run(&mut Both(&mut *sink, &mut memory), events);
    sink.finish().unwrap();
    memory
}

fn names(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.path("")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_set_is_read_as_one() {
    let folder = Folder::new();
    let memory = rotated(&folder, "16K", 2_000);
    let trace = Trace::open(&folder.path("t")).unwrap();
    assert!(trace.files().len() > 5, "{:?}", names(&folder));
    assert_eq!(trace.totals().unwrap().events, 2_000);
    let (back, damages) = read(&folder.path("t")).unwrap();
    assert_eq!(damages, []);
    assert!(back == memory);
    // Each can be read alone.
    let files: Vec<PathBuf> = trace.files().map(PathBuf::from).collect();
    assert_eq!(files.last(), Some(&fs::canonicalize(folder.path("t")).unwrap()));
    let alone: usize = files[..files.len() - 1]
        .iter()
        .map(|file| {
            let (back, damages) = read(file).unwrap();
            assert_eq!(damages, []);
            assert!(back.of("event")[0].contains("__nft_trace_packet+0x"), "it has its own names");
            back.of("event").len()
        })
        .sum();
    assert!(alone > 1_500 && alone < 2_000);
}

#[test]
fn old_files_are_deleted() {
    let folder = Folder::new();
    let memory = rotated(&folder, "16K,3", 2_000);
    assert_eq!(names(&folder).len(), 3, "{:?}", names(&folder));
    let (back, damages) = read(&folder.path("t")).unwrap();
    assert_eq!(damages, []);
    let events = back.of("event");
    assert!(memory.of("event").ends_with(&events) && events.len() > 100);
    let folder = Folder::new();
    rotated(&folder, "16K,1", 2_000);
    assert_eq!(names(&folder), ["t"]);
}

#[test]
fn a_size_below_that_of_a_files_head_is_no_file_for_each_event() {
    let folder = Folder::new();
    let memory = rotated(&folder, "1K", 300);
    assert!(names(&folder).len() < 30, "{:?}", names(&folder));
    assert!(read(&folder.path("t")).unwrap().0 == memory);
}

#[test]
fn a_file_missing_in_the_middle_is_told() {
    let folder = Folder::new();
    rotated(&folder, "16K", 2_000);
    fs::remove_file(folder.path("t.2")).unwrap();
    fs::remove_file(folder.path("t.3")).unwrap();
    let (_, damages) = read(&folder.path("t")).unwrap();
    assert_eq!(damages.len(), 1);
    assert_eq!(damages[0].flaw, Flaw::Gap { parts: 2 });
    assert!(damages[0].file.ends_with("t.4"));
}

#[test]
fn a_new_run_replaces_its_set_and_leaves_others() {
    let folder = Folder::new();
    folder.file("t.7", b"precious");
    folder.file("t.x", b"precious");
    folder.file("t.01", b"precious");
    rotated(&folder, "16K", 500);
    assert!(names(&folder).contains(&"t.8".to_owned()), "numbers begin behind what is there");
    let memory = rotated(&folder, "16K", 300);
    assert_eq!(fs::read(folder.path("t.7")).unwrap(), b"precious");
    let now = names(&folder);
    assert!(["t.01", "t.x", "t.8"].iter().all(|name| now.iter().any(|now| now == name)), "{now:?}");
    assert_eq!(now.len(), 3 + Trace::open(&folder.path("t")).unwrap().files().len(), "no other set: {now:?}");
    assert!(read(&folder.path("t")).unwrap().0 == memory);
    // A trace that is not rotated begins a run of its own: what is left of another does not belong to it.
    fs::remove_file(folder.path("t")).unwrap();
    let memory = rotated(&folder, "1G", 10);
    assert!(read(&folder.path("t")).unwrap().0 == memory);
    assert!(names(&folder).contains(&"t.8".to_owned()));
}

#[test]
fn files_are_rotated_by_age_if_there_is_something_in_them() {
    let folder = Folder::new();
    let rotation = Rotation { age: Some(Duration::from_millis(1)), ..Rotation::default() };
    let mut sink = Box::new(RotatingSink::create(&folder.path("t"), rotation).unwrap());
    let mut memory = Memory::default();
    run(&mut Both(&mut *sink, &mut memory), 0);
    std::thread::sleep(Duration::from_millis(5));
    sink.flush().unwrap();
    assert_eq!(names(&folder), ["t"], "nothing happened");
    run(&mut Both(&mut *sink, &mut memory), 16);
    std::thread::sleep(Duration::from_millis(5));
    sink.flush().unwrap();
    assert!(names(&folder).contains(&"t.1".to_owned()));
}

#[test]
fn only_files_are_rotated() {
    let rotation = "1M".parse().unwrap();
    let error = RotatingSink::create("/dev/null".as_ref(), rotation).unwrap_err();
    assert!(matches!(error, CreateError::NotAFile(_)));
    let folder = Folder::new();
    let other = folder.file("t", b"precious");
    assert!(matches!(RotatingSink::create(&other, rotation), Err(CreateError::Other { .. })));
    assert_eq!(fs::read(other).unwrap(), b"precious");
}
