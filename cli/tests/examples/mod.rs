//! The examples in a page of the documentation. A TOML block whose first line is `# NAME.toml` is a file of that
//! name, which commands further down may use.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A code block: its language and its text.
pub fn blocks(text: &str) -> Vec<(String, String)> {
    let (mut blocks, mut open): (Vec<(String, String)>, bool) = (Vec::new(), false);
    for line in text.lines() {
        match (line.strip_prefix("```"), open) {
            (Some(language), false) => {
                blocks.push((language.to_owned(), String::new()));
                open = true;
            }
            (Some(_), true) => open = false,
            (None, true) => {
                let (_, text) = blocks.last_mut().expect("a block is open");
                text.push_str(line);
                text.push('\n');
            }
            (None, false) => {}
        }
    }
    blocks
}

/// The name of the file that a TOML block is.
pub fn file_name(toml: &str) -> Option<&str> {
    let name = toml.lines().next()?.strip_prefix("# ")?;
    name.ends_with(".toml").then_some(name)
}

/// A folder with the files of a page, gone when the test is.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tracer-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes the files that stand in a page.
    pub fn write_all(&self, page: &str) {
        for (language, text) in blocks(page) {
            if let (true, Some(name)) = (language == "toml", file_name(&text)) {
                self.write(name, &text);
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
