//! `cargo xtask`: everything about the workspace that is more than one cargo command, so that a newcomer, a developer and
//! a build machine type the same words. It uses no crate of the workspace, because it must build before the BPF compiler
//! is there to build those.

mod bench;
mod command;
mod demo;
mod install;
mod place;
mod setup;
mod test;
mod vm;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask TASK

  setup                  install what is missing (as root), or print the command that would
  build                  set up, then build the release binary of tracer
  install PREFIX         build, and put the binary, headers for plugins, manual pages and completions below a folder
  demo                   set up, build, and show tracer finding a real drop: here, or in a throw-away virtual machine
  test                   set up, then format, lints, unit tests, and the VM cases on every kernel of the matrix
  vm [OPTION...] [PATTERN...]
                         run the VM cases whose names contain one of the patterns (without a pattern: all)
    --kernel VERSION     on this kernel only (may be given more than once)
    --tracer FILE        test this executable instead of building one
    --list               print the cases and stop
  vm --shell VERSION [--tracer FILE]
                         a shell inside a guest with that kernel, tracer on its PATH; `exit` ends it
  bench kernel [--kernel VERSION...] [--only WORD...]
                         what a hit costs in the kernel, next to programs that do nothing: see docs/performance.md;
                         with words, only the rows whose title or way of attaching contains one of them
  bench trace [--peer COMMAND --peer-events N]
                         what an event costs on its way into a trace and out of it; with a peer, a command line that
                         prints a stored file of N events, printing is compared with it";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("help", arguments),
    };
    if !matches!(task, "vm" | "bench" | "install") && !rest.is_empty() {
        bail!("`cargo xtask {task}` takes no arguments, and was given `{}`\n\n{USAGE}", rest.join(" "));
    }
    match task {
        "setup" => setup::run(),
        "build" => setup::run().and_then(|()| test::build().map(drop)),
        "install" => match rest {
            [prefix] => {
                setup::run().and_then(|()| install::run(&test::build()?, std::path::Path::new(prefix)))
            }
            _ => bail!("`cargo xtask install` takes a folder, such as /usr/local"),
        },
        "demo" => demo::run(),
        "test" => test::run(),
        "vm" => vm::run(rest),
        "bench" => bench::run(rest),
        "help" | "-h" | "--help" => {
            println!("{USAGE}");
            Ok(())
        }
        other => bail!("there is no task `{other}`\n\n{USAGE}"),
    }
}
