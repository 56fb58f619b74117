//! The binary has its own collector beside those of tracer, and none of it is a plugin.

use std::process::Command;

fn printed(arguments: &[&str]) -> String {
    let ran = Command::new(env!("CARGO_BIN_EXE_own")).args(arguments).output().expect("it runs");
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).expect("it prints text")
}

#[test]
fn its_collector_is_built_in() {
    let list = printed(&["plugin", "list", "--no-plugins"]);
    let line = list.lines().find(|line| line.starts_with("mark ")).expect("it is listed");
    assert!(line.ends_with("built in"), "{line}");
    assert!(list.contains("\nskb "), "{list}");
}
