//! The examples in a page of the documentation. A TOML block whose first line is `# NAME.toml` is a file of that
//! name, which commands further down may use.

use crate::folder::Folder;

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

/// Writes the files that stand in a page.
pub fn write_all(folder: &Folder, page: &str) {
    for (language, text) in blocks(page) {
        if let (true, Some(name)) = (language == "toml", file_name(&text)) {
            folder.write(name, &text);
        }
    }
}
