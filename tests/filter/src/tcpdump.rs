//! tcpdump as the judge of filters: the numbers of the packets of a file that a filter lets through.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::pcap::{self, Captured};

/// A file of packets, each with its number as its time; gone at the end.
pub struct File {
    program: PathBuf,
    path: PathBuf,
}

impl File {
    /// `None` where there is no tcpdump.
    pub fn new(link: u32, packets: &[Captured]) -> Option<File> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let Some(program) = program() else {
            eprintln!("NOT TESTED: tcpdump is not installed (`apt install tcpdump`)");
            return None;
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tracer-filter-{}-{number}.pcap", std::process::id()));
        let mut file = pcap::file(packets);
        file[20..24].copy_from_slice(&link.to_le_bytes());
        std::fs::write(&path, file).unwrap();
        Some(File { program, path })
    }

    /// The packets that match, or why the filter is none. Without libpcap's optimizer, which leaves out reads, so that
    /// data that ends there is not noticed.
    pub fn matching(&self, filter: &str) -> Result<BTreeSet<usize>, String> {
        let output = Command::new(&self.program)
            .args(["-O", "-w", "-", "-r"])
            .arg(&self.path)
            .args(["--", filter])
            .output();
        let output = output.unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let mut numbers = BTreeSet::new();
        let mut rest = output.stdout.get(24..).unwrap_or_default();
        while let Some((header, after)) = rest.split_first_chunk::<16>() {
            let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap()) as usize;
            numbers.insert(word(0));
            rest = &after[word(8)..];
        }
        Ok(numbers)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]);
    folders.map(|folder| folder.join("tcpdump")).find(|file| file.is_file())
}
