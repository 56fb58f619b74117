//! A folder of a test's own.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A folder that is gone when the test is.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tracer-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary folder takes folders");
        Self(path)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).expect("the folder takes folders");
        fs::write(path, text).expect("the folder takes files");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
