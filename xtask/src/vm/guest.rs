//! A running guest: QEMU in software emulation, its console in a file, and a channel on which the scripts in the guest
//! send what they did. The flags are measured ones: `cx16` breaks some kernels' allocators in this emulation, the
//! uncompressed image starts in three seconds, and the rest saves a second more.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::image::Images;
use super::kernel::Kernel;
use crate::command;

/// What a guest sends.
#[derive(Debug)]
pub(crate) enum Frame {
    /// It has booted.
    Ready,
    /// A case starts, by its number on the disk.
    Begin(usize),
    /// A file of the running case.
    File { name: String, bytes: Vec<u8> },
    /// The case is over.
    End,
    /// All cases are.
    Done,
}

/// A guest that runs the cases on its disk.
pub(crate) struct Guest {
    qemu: Child,
    frames: Receiver<Frame>,
    console: PathBuf,
}

impl Guest {
    /// Start one; `folder` gets its console.
    pub(crate) fn boot(kernel: &Kernel, images: &Images, folder: &Path) -> Result<Guest> {
        let console = folder.join("console.log");
        let mut qemu = qemu(kernel, images, "")?;
        qemu.arg("-serial").arg(format!("file:{}", console.display()));
        qemu.args(["-chardev", "stdio,id=report,signal=off", "-device", "virtio-serial-pci"]);
        qemu.args(["-device", "virtserialport,chardev=report,name=report"]);
        let errors = File::create(folder.join("qemu.log"))?;
        // The input stays open: a closed one would close the channel in the other direction too.
        let mut qemu = qemu.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).spawn()?;
        let output = qemu.stdout.take().context("QEMU was started without an output")?;
        Ok(Guest { qemu, frames: listen(output), console })
    }

    /// The next frame.
    ///
    /// # Errors
    /// When the guest ended or panicked, or nothing came in that time: why, and the console's last lines.
    pub(crate) fn next(&mut self, limit: Duration) -> Result<Frame> {
        match self.frames.recv_timeout(limit) {
            Ok(frame) => Ok(frame),
            Err(RecvTimeoutError::Timeout) => {
                bail!("the guest was silent for {} seconds{}", limit.as_secs(), self.last_words())
            }
            Err(RecvTimeoutError::Disconnected) => bail!("the guest ended{}", self.last_words()),
        }
    }

    fn last_words(&self) -> String {
        let console = fs::read(&self.console).unwrap_or_default();
        let console = String::from_utf8_lossy(&console);
        let lines: Vec<_> = console.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        // A panic's own line stands well before its end.
        let from = lines
            .iter()
            .position(|line| line.contains("Kernel panic") || line.contains("Oops") || line.contains("BUG:"))
            .unwrap_or(lines.len().saturating_sub(15));
        let last: String = lines.iter().skip(from).take(40).map(|line| format!("\n    | {line}")).collect();
        if last.is_empty() { "; its console is empty".to_owned() } else { format!("; on its console:{last}") }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It has nothing to lose: its disk is read-only.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// Run a guest on this terminal until it is shut down.
pub(crate) fn shell(kernel: &Kernel, images: &Images) -> Result<()> {
    let mut qemu = qemu(kernel, images, " tracer.shell")?;
    // `signal=off`: ^C is for the program in the guest, not for the guest.
    command::shown(qemu.args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]))
}

fn qemu(kernel: &Kernel, images: &Images, arguments: &str) -> Result<Command> {
    // Ends with this program, even if that is killed: `setpriv` asks the kernel to see to it.
    let mut qemu = command::program("setpriv")?;
    qemu.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
    qemu.args(["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max,-cx16", "-smp", "2", "-m", "768M"]);
    qemu.args(["-nodefaults", "-display", "none", "-no-reboot"]);
    qemu.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(&images.initramfs);
    qemu.arg("-append").arg(format!(
        "console=ttyS0 quiet panic=-1 mitigations=off cryptomgr.notests no5lvl random.trust_cpu=on no_timer_check tsc=reliable tracer.guest{arguments}"
    ));
    let drive = format!("id=payload,if=none,file={},format=raw,readonly=on", images.payload.display());
    qemu.args(["-drive", &drive, "-device", "virtio-blk-pci,drive=payload"]);
    Ok(qemu)
}

/// Read frames on a thread of their own; it ends when the sender does.
pub(crate) fn listen(output: ChildStdout) -> Receiver<Frame> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        // A guest that dies in the middle of a frame is the same as one that dies before it.
        let _ = read_frames(BufReader::new(output), &sender);
    });
    receiver
}

/// The guest's side of this is `tests/vm/runner.sh`.
fn read_frames(mut input: impl BufRead, sender: &Sender<Frame>) -> Result<()> {
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        let words: Vec<_> = line.split_whitespace().collect();
        let frame = match words[..] {
            ["ready"] => Frame::Ready,
            ["begin", number] => Frame::Begin(number.parse()?),
            ["file", name, size] => {
                let mut bytes = vec![0; size.parse()?];
                input.read_exact(&mut bytes)?;
                Frame::File { name: name.to_owned(), bytes }
            }
            ["end"] => Frame::End,
            ["done"] => Frame::Done,
            _ => bail!("`{line}` is no frame"),
        };
        sender.send(frame)?;
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_and_files_may_hold_anything() {
        let (sender, receiver) = channel();
        read_frames(&b"ready\nbegin 007\nfile stdout 4\na\nb\nend\ndone\n"[..], &sender).unwrap();
        drop(sender);
        let frames: Vec<_> = receiver.iter().map(|frame| format!("{frame:?}")).collect();
        assert_eq!(
            frames,
            ["Ready", "Begin(7)", "File { name: \"stdout\", bytes: [97, 10, 98, 10] }", "End", "Done"]
        );
    }
}
