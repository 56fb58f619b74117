//! The end of a sink that writes text of any kind. A batch is one write, so that lines of a busy tracer come in whole
//! and cost few system calls.

use std::io::{self, Write};

/// Text on its way to `W`.
#[derive(Debug)]
pub(crate) struct Batch<W> {
    out: W,
    pending: String,
}

impl<W: Write> Batch<W> {
    /// Bytes of text after which a batch is written before its end: a bound on memory.
    const FULL: usize = 1 << 20;

    pub(crate) fn new(out: W) -> Batch<W> {
        Batch { out, pending: String::new() }
    }

    /// Appends to the batch, and writes it if it is full.
    pub(crate) fn add(&mut self, append: impl FnOnce(&mut String)) -> io::Result<()> {
        append(&mut self.pending);
        if self.pending.len() >= Batch::<W>::FULL { self.write() } else { Ok(()) }
    }

    /// Writes what there is.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() {
            self.write()?;
        }
        self.out.flush()
    }

    fn write(&mut self) -> io::Result<()> {
        let written = self.out.write_all(self.pending.as_bytes());
        // Also after an error: part of it may be out, and must not come twice.
        self.pending.clear();
        written
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::{cell::RefCell, rc::Rc};

    /// Keeps each write apart.
    #[derive(Clone, Default)]
    pub(crate) struct Writes(pub(crate) Rc<RefCell<Vec<String>>>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().push(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Writes {
        /// All of it.
        pub(crate) fn text(&self) -> String {
            self.0.borrow().concat()
        }
    }

    pub(crate) struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
