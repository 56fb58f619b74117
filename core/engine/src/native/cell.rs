//! Where a plugin runs: the process gives up what it does not need before any code of the plugin's is there, and sees to it that it
//! ends when tracer does, with all that the plugin may have started.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::{fd::AsFd as _, unix::net::UnixStream},
    path::{Path, PathBuf},
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, Resource, Rlimit, Signal},
};
use tracer_kernel::{
    Capability,
    caps::keep_only,
    process::{close_inherited, ignore_requests_to_end},
};

use super::{frame::Channel, process::WORD};

/// What a plugin's process may still do: look into files, whoever's they are, and see the kernel's addresses.
const CAPABILITIES: [Capability; 2] = [Capability::DacReadSearch, Capability::Syslog];
/// The same with what the manifest's `needs = ["ptrace"]` asks for: to look into other processes. Nothing is changed with that by mistake. On
/// purpose, much is: who has it may attach to any process with ptrace(2) and write to its memory, and tracer or init are no exception.
const WITH_PTRACE: [Capability; 3] = [Capability::DacReadSearch, Capability::SysPtrace, Capability::Syslog];

/// The word for that right.
pub(super) const PTRACE: &str = "ptrace";

/// Descriptors below this are the standard ones.
const FIRST: i32 = 10;

/// Memory that a plugin may take: this, or a quarter of what the machine has if that is more.
const MEMORY: u64 = 1 << 30;

/// The words that a plugin's process is started with.
pub(super) struct Words {
    /// The plugin's name.
    pub(super) name: String,
    parent: OsString,
    /// Whether it may look into other processes.
    ptrace: bool,
    /// The descriptor of the library, if that is not linked into this binary.
    library: Option<OsString>,
}

impl Words {
    /// Reads a command line; `None` if it is another.
    pub(super) fn of(words: &[OsString]) -> Option<Words> {
        let [_, word, name, parent, rights, library @ ..] = words else { return None };
        (word == WORD).then(|| Words {
            name: name.to_string_lossy().into_owned(),
            parent: parent.clone(),
            ptrace: rights == PTRACE,
            library: library.first().cloned(),
        })
    }
}

/// Takes the socket from standard input and the library from its descriptor, and lets go of everything else.
pub(super) fn enter(words: &Words) -> io::Result<(Channel, Option<File>)> {
    let stdin = io::stdin();
    let socket = rustix::io::fcntl_dupfd_cloexec(stdin.as_fd(), FIRST)?;
    if !rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&socket)?.st_mode).is_socket() {
        return Err(io::Error::other("standard input is no socket"));
    }
    let library = words.library.as_ref().map(inherited).transpose()?;
    // Whatever else tracer was started with is nothing to a plugin.
    close_inherited(&[])?;
    let nothing = File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    // What a plugin prints must not be among the events.
    rustix::stdio::dup2_stdout(io::stderr())?;
    ignore_requests_to_end()?;
    // Away from the terminal, and with all that it forks in one group, which is how they are ended. It was not the first of one.
    rustix::process::setsid()?;
    // Who is stopped cannot see that tracer has ended.
    rustix::process::set_parent_process_death_signal(Some(Signal::CONT))?;
    let parent = words.parent.to_str().and_then(|parent| parent.parse().ok()).and_then(Pid::from_raw);
    if rustix::process::getppid() != parent {
        return Err(io::Error::other("whoever started it is gone"));
    }
    // If memory is short, this goes first; and it does not get that far by itself.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    limit_memory()?;
    rustix::thread::set_no_new_privs(true)?;
    // Without any there is nothing to drop.
    let _ = keep_only(if words.ptrace { &WITH_PTRACE } else { &CAPABILITIES });
    let channel = Channel::new(UnixStream::from(socket))?.mine();
    watch(channel.another()?)?;
    Ok((channel, library))
}

/// The file that the parent has opened. Only what is opened here is kept.
fn inherited(number: &OsString) -> io::Result<File> {
    let path: PathBuf = Path::new("/proc/self/fd").join(number);
    File::open(path)
}

fn limit_memory() -> io::Result<()> {
    let machine = rustix::system::sysinfo();
    let quarter = (machine.totalram as u64).saturating_mul(u64::from(machine.mem_unit)) / 4;
    let most = quarter.max(MEMORY);
    let now = rustix::process::getrlimit(Resource::Data);
    let least = |limit: Option<u64>| Some(limit.map_or(most, |limit| limit.min(most)));
    let limits = Rlimit { current: least(now.current), maximum: least(now.maximum) };
    Ok(rustix::process::setrlimit(Resource::Data, limits)?)
}

/// Ends this process and all that it has forked, as tracer would.
pub(super) fn end_all() {
    let _ = rustix::process::kill_current_process_group(Signal::KILL);
}

/// Has a thread wait for tracer's end, however that comes, and end this process's group then. The kernel's signal for that reaches only
/// this process, and not what it has forked.
fn watch(socket: UnixStream) -> io::Result<()> {
    let watch = move || {
        // The end is always waited for, and nothing else is.
        while poll(&mut [PollFd::new(&socket, PollFlags::empty())], None) == Err(rustix::io::Errno::INTR) {}
        end_all();
    };
    thread::Builder::new().name("tracer-watch".to_owned()).spawn(watch).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_these_words_begin_a_process() {
        let words = |words: &[&str]| Words::of(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(words(&["tracer", WORD, "x"]).is_none());
        assert!(words(&["tracer", "collect", "x", "1", "-"]).is_none());
        let linked = words(&["tracer", WORD, "x", "1", "-"]).unwrap();
        assert!(linked.name == "x" && linked.library.is_none());
        assert_eq!(
            words(&["tracer", WORD, "x", "1", PTRACE, "7"]).unwrap().library,
            Some(OsString::from("7"))
        );
    }
}
