//! What a plugin prints while it is checked: it must not be among the results, and its end tells why it failed.

use std::{
    io::{self, PipeWriter, Read as _},
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

use tracer_event::Escaped;

/// Bytes that are kept, and lines that are told.
const KEPT: usize = 4096;
const LINES: usize = 5;
/// How long a plugin's last words are waited for once its process is gone.
const LAST: Duration = Duration::from_millis(200);

/// Takes what plugins print.
pub(super) struct Printed {
    writer: PipeWriter,
    kept: Arc<Mutex<Vec<u8>>>,
    end: Receiver<()>,
}

impl Printed {
    pub(super) fn new() -> io::Result<Printed> {
        let (mut reader, writer) = io::pipe()?;
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (ended, end) = channel();
        let ours = Arc::clone(&kept);
        let read = move || {
            let mut bytes = [0; 4096];
            while let Ok(some @ 1..) = reader.read(&mut bytes) {
                let mut kept = ours.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&bytes[..some]);
                let over = kept.len().saturating_sub(KEPT);
                kept.drain(..over);
            }
            let _ = ended.send(());
        };
        thread::Builder::new().name("tracer-printed".to_owned()).spawn(read)?;
        Ok(Printed { writer, kept, end })
    }

    /// Where a process is to print to.
    pub(super) fn writer(&self) -> io::Result<OwnedFd> {
        Ok(self.writer.try_clone()?.into())
    }

    /// The last lines, once the processes are gone.
    pub(super) fn last(self) -> Vec<String> {
        drop(self.writer);
        // Whoever has hidden a process has the other end for ever.
        let _ = self.end.recv_timeout(LAST);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept);
        let mut lines: Vec<String> =
            text.lines().rev().filter(|line| !line.trim().is_empty()).take(LINES).map(harmless).collect();
        lines.reverse();
        lines
    }
}

fn harmless(line: &str) -> String {
    Escaped(&line.chars().take(200).collect::<String>()).to_string()
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write as _};

    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let printed = Printed::new().unwrap();
        let mut file = File::from(printed.writer().unwrap());
        for number in 0..100_000 {
            writeln!(file, "line {number}\n").unwrap();
        }
        write!(file, "\x1b[2Jthe end").unwrap();
        drop(file);
        let last = printed.last();
        assert_eq!(last.len(), LINES);
        assert_eq!(last[3..], ["line 99999", "\\x1b[2Jthe end"]);
        // That somebody still has it is nothing to wait for.
        let printed = Printed::new().unwrap();
        let _held = printed.writer().unwrap();
        assert!(printed.last().is_empty());
    }
}
