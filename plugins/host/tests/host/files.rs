//! Files that are no library, or not all of one.

use std::{fs, fs::File, io::Read, os::unix::fs::FileExt, process::Command};

use tracer_plugin_host::{Library, LoadError, inspect};

use crate::hostile::Hostile;

/// What `inspect` says of bytes.
fn inspected(bytes: &[u8]) -> Result<(), LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.so");
    fs::write(&path, bytes).unwrap();
    inspect(&File::open(path).unwrap())
}

fn message(bytes: &[u8]) -> String {
    inspected(bytes).unwrap_err().to_string()
}

/// A library that behaves.
fn library() -> Vec<u8> {
    fs::read(&Hostile::new("").path).unwrap()
}

#[test]
fn what_is_no_elf_file_is_refused() {
    assert_eq!(message(b""), "it is no ELF file");
    assert_eq!(message(b"#!/bin/sh\n"), "it is no ELF file");
    let folder = tempfile::tempdir().unwrap();
    let error = inspect(&File::open(folder.path()).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "it is no regular file, no shared library");
    let library = library();
    for len in [4, 5, 16, 20, 63] {
        assert_eq!(message(&library[..len]), format!("it is cut short: {len} of 64 bytes"));
    }
}

#[test]
fn the_architecture_is_named() {
    let here = std::env::consts::ARCH;
    for (machine, name) in
        [(183, "aarch64"), (62, "x86_64"), (243, "riscv"), (22, "s390x"), (999, "machine 999")]
    {
        if name == here {
            continue;
        }
        let mut library = library();
        library[18..20].copy_from_slice(&u16::to_ne_bytes(machine));
        assert_eq!(message(&library), format!("it is built for {name}; this machine is {here}"));
    }
    let mut narrow = library();
    narrow[4] = 1;
    let message_ = message(&narrow);
    assert!(message_.contains("(32 bits, ") && message_.contains("(64 bits, "), "{message_}");
    let mut swapped = library();
    swapped[5] = 3 - swapped[5];
    swapped[18..20].reverse();
    let message_ = message(&swapped);
    assert!(message_.contains("little-endian)") && message_.contains("big-endian)"), "{message_}");
}

#[test]
fn objects_and_programs_are_no_libraries() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("it.c");
    fs::write(&source, "int tracer_plugin(void) { return 0; }\nint main(void) { return tracer_plugin(); }\n")
        .unwrap();
    let built = |arguments: &[&str]| {
        let path = folder.path().join("it");
        let status = Command::new("cc").args(arguments).arg("-o").arg(&path).arg(&source).status().unwrap();
        assert!(status.success(), "{arguments:?}");
        message(&fs::read(path).unwrap())
    };
    assert_eq!(built(&["-c"]), "it is an object that was not linked, no shared library");
    assert_eq!(built(&["-no-pie"]), "it is a program, no shared library");
    assert_eq!(built(&["-fPIE", "-pie", "-rdynamic"]), "it is a program, no shared library");
}

#[test]
fn a_file_that_is_cut_is_refused_before_it_is_mapped() {
    let library = library();
    let mut refused = 0;
    for len in (0..library.len()).step_by(97).chain(library.len() - 70..library.len()) {
        match inspected(&library[..len]) {
            Err(LoadError::CutShort { is, needs }) => {
                assert!(is == len as u64 && needs > is && needs <= library.len() as u64, "{is} {needs}");
                refused += 1;
            }
            Err(LoadError::NotElf) => assert!(len < 4),
            Err(error) => panic!("{len}: {error}"),
            // The last header reaches to the end.
            Ok(()) => panic!("{len} of {} bytes were taken", library.len()),
        }
    }
    assert!(refused > 70);
}

/// Without section headers, the segments are all that the loader needs.
#[test]
fn a_file_that_is_cut_behind_what_is_needed_can_be_loaded() {
    let whole = Hostile::new("");
    let mut bytes = fs::read(&whole.path).unwrap();
    let sections = bytes.len() - 1;
    // No section headers: e_shoff, e_shnum and e_shstrndx.
    bytes[40..48].fill(0);
    bytes[60..64].fill(0);
    let mut needs = 0;
    for len in (0..=sections).rev().step_by(64) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.so");
        fs::write(&path, &bytes[..len]).unwrap();
        let file = File::open(path).unwrap();
        match inspect(&file) {
            // Each of these is mapped, and run. It would die if anything was missing.
            Ok(()) => {
                let library = Library::open(&file).unwrap();
                assert_eq!(library.description().name, "hostile");
                needs = len;
            }
            Err(LoadError::CutShort { .. } | LoadError::NotElf) => {}
            Err(error) => panic!("{len}: {error}"),
        }
    }
    assert!(needs > 0 && needs < sections - 1000, "{needs} of {sections}");
}

/// Whatever the headers say, `inspect` has an answer.
#[test]
fn headers_that_lie_are_survived() {
    let library = library();
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(&library, 0).unwrap();
    inspect(&file).unwrap();
    let lying = |at: usize, byte: u8| {
        file.write_all_at(&[byte], at as u64).unwrap();
        let result = inspect(&file);
        file.write_all_at(&library[at..=at], at as u64).unwrap();
        result
    };
    let headers = 64 + 56 * usize::from(library[56]);
    let refused = (0..headers)
        .map(|at| [0, 1, 0x7f, 0x80, 0xff].iter().filter(|byte| lying(at, **byte).is_err()).count());
    let refused: usize = refused.sum();
    assert!(refused > 100, "{refused}");
    // Section headers, which lead to symbols and their names.
    let table = usize::try_from(u64::from_le_bytes(library[40..48].try_into().unwrap())).unwrap();
    let refused = (table..library.len()).filter(|at| lying(*at, 0xff).is_err()).count();
    assert!(refused > 5, "{refused}");
}

/// Looking at a file does not move the position that another process may share.
#[test]
fn the_position_stays() {
    let library = Hostile::new("");
    let mut file = library.file();
    inspect(&file).unwrap();
    let mut begin = [0; 4];
    file.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"\x7fELF");
}
