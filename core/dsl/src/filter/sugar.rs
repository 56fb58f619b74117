//! Options that are short for filters: `-i eth0` is `dev.name == "eth0"`.

use super::read::Filter;
use crate::diagnostic::{Diagnostic, Diagnostics, SourceRef};
use crate::option::Located;

/// `-i`: packets at one of these devices. `None` for none of them.
///
/// # Errors
/// Names that no device can have.
pub fn on_devices(names: &[Located<String>]) -> Result<Option<Located<Filter>>, Diagnostics> {
    let mut found = Diagnostics::new();
    for name in names.iter().filter(|name| !is_device_name(&name.value)) {
        found.push(
            Diagnostic::error(format!("`{}` is no name of a network device", name.value))
                .at(name.source.clone())
                .because("it has 1 to 15 characters, no space, no slash, no quote")
                .hint("`ip link` lists the names; `*` stands for any characters"),
        );
    }
    let one = |name: &Located<String>| {
        let sign = if name.value.contains(['*', '?']) { "=~" } else { "==" };
        format!("dev.name {sign} \"{}\"", name.value)
    };
    found.or_value(())?;
    short("--interface", names.iter().map(one))
}

/// `--netns`: packets in one of the namespaces with these inode numbers. `None` for none of them.
///
/// # Errors
/// None.
pub fn in_namespaces(inums: impl IntoIterator<Item = u32>) -> Result<Option<Located<Filter>>, Diagnostics> {
    short("--netns", inums.into_iter().map(|inum| format!("ns.inum == {inum}")))
}

fn short(
    option: &str,
    alternatives: impl Iterator<Item = String>,
) -> Result<Option<Located<Filter>>, Diagnostics> {
    let text = alternatives.collect::<Vec<_>>().join(" or ");
    if text.is_empty() {
        return Ok(None);
    }
    let source = SourceRef::new(option, text.clone(), 0..text.len());
    Ok(Some(Located { value: text.parse()?, source }))
}

/// `dev_valid_name` of net/core/dev.c, with IFNAMSIZ 16, and the quote, which filters have no way to write.
fn is_device_name(name: &str) -> bool {
    let refused = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '"');
    (1..16).contains(&name.len()) && !matches!(name, "." | "..") && !name.contains(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(names: &[&str]) -> Vec<Located<String>> {
        let located = |name: &&str| Located {
            value: (*name).to_owned(),
            source: SourceRef::command_line("interface", name),
        };
        names.iter().map(located).collect()
    }

    #[test]
    fn options_are_short_for_filters() {
        let text = |names: &[&str]| on_devices(&words(names)).unwrap().map(|f| f.value.text().to_owned());
        assert_eq!(text(&["eth0"]).unwrap(), "dev.name == \"eth0\"");
        assert_eq!(text(&["eth0", "v*"]).unwrap(), "dev.name == \"eth0\" or dev.name =~ \"v*\"");
        assert_eq!(text(&[]), None);
        assert_eq!(in_namespaces([5, 7]).unwrap().unwrap().value.text(), "ns.inum == 5 or ns.inum == 7");
    }

    #[test]
    fn what_is_no_device_is_said() {
        let found = on_devices(&words(&["a/b", "", "sixteencharacter", "x\"y", "fine"])).unwrap_err();
        assert_eq!(found.iter().count(), 4);
        assert!(found.to_string().contains("`a/b` is no name of a network device"), "{found}");
    }
}
