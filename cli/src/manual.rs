//! `tracer completion` and `tracer man`: what the one option table says, for shells and for man(1).

use std::{fs, io, path::PathBuf};

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;

use crate::{
    command::{complain, printed},
    exit::Exit,
};

/// What was asked for.
pub(crate) enum Asked {
    /// The completions of a shell.
    Completion(Shell),
    /// The manual page, or all pages into a folder.
    Man(Option<PathBuf>),
}

/// The sub-commands.
pub(crate) fn commands() -> [Command; 2] {
    let shell = Arg::new("shell").value_name("SHELL").required(true).value_parser(value_parser!(Shell));
    let dir = Arg::new("dir").value_name("DIR").value_parser(value_parser!(PathBuf));
    [
        Command::new("completion")
            .about("Print the completions of a shell")
            .arg(shell.help("The shell that they are for")),
        Command::new("man").about("Print the manual page, or write all pages into a folder").arg(dir.help(
            "Write tracer.1 and a page for each sub-command here; the folder is made if it is missing",
        )),
    ]
}

/// What the words behind the sub-command `name` ask for; `None` if it is another's.
pub(crate) fn asked(name: &str, matches: &ArgMatches) -> Option<Asked> {
    match name {
        "completion" => matches.get_one("shell").copied().map(Asked::Completion),
        "man" => Some(Asked::Man(matches.get_one("dir").cloned())),
        _ => None,
    }
}

/// Does it, for the whole command line `command`.
pub(crate) fn run(asked: Asked, mut command: Command) -> Exit {
    match asked {
        Asked::Completion(shell) => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut command, "tracer", &mut text);
            printed(&String::from_utf8_lossy(&text))
        }
        Asked::Man(None) => {
            let mut text = Vec::new();
            match clap_mangen::Man::new(command).render(&mut text) {
                Ok(()) => printed(&String::from_utf8_lossy(&text)),
                Err(error) => complain(&format!("error: cannot make the manual page: {error}"), Exit::Failed),
            }
        }
        Asked::Man(Some(dir)) => {
            let written = fs::create_dir_all(&dir).and_then(|()| pages(command, &dir));
            match written {
                Ok(()) => Exit::Ok,
                Err(error) => complain(
                    &format!("error: cannot write manual pages to {}: {error}", dir.display()),
                    Exit::Failed,
                ),
            }
        }
    }
}

fn pages(command: Command, dir: &std::path::Path) -> io::Result<()> {
    clap_mangen::generate_to(command, dir)
}
